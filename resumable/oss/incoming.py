"""Answers as they come in: their heads and bodies, read strictly and with bounds of our own.

http.client takes a head that was cut off for a whole one, waits for ever for one that trickles in,
refuses more than a hundred lines though the metadata of one object can have as many, and makes do
with lengths, codings and chunks that are none.
"""

import errno
import re
import time
from collections.abc import Mapping
from typing import Protocol

_MAX_LINES = 2_000
_MAX_SIZE = 64 * 1024
_READ_AHEAD = 16 * 1024
_BODILESS = (204, 304)

_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: .*)?")
_LENGTH = re.compile(r"0{,99}[0-9]{1,19}")
_NAME = re.compile(r"[!-9;-~]+")
_CHUNK = re.compile(r"0*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
# What no header carries: in a log it would look like lines, or steer a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

_BLANK = " \t"
_TOO_EARLY = "the answer ended too early"
_NO_ANSWER = "the server hung up without an answer"


class BrokenAnswerError(Exception):
    """What came is no answer of HTTP."""


class Receiver(Protocol):
    """A socket, as far as it is read."""

    def recv(self, size: int, /) -> bytes:
        """The next bytes, at least one; none at the end."""
        ...


class Stream:
    """The bytes that come over a connection, in their order.

    Attributes:
        received: How many have come.
    """

    def __init__(self, source: Receiver) -> None:
        self._source = source
        self._held = b""
        self.received = 0

    @property
    def is_empty(self) -> bool:
        """Whether all that was received was read."""
        return not self._held

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        if not self._held:
            return self._more(size)
        data, self._held = self._held[:size], self._held[size:]
        return data

    def receive(self) -> None:
        """Take in what has come; there is nothing held if that was the end."""
        self._held += self._more(_READ_AHEAD)

    def line(self, bound: int, deadline: float, if_none: str = _TOO_EARLY) -> str:
        """The next line without its end. Each byte stands for a character unless it is UTF-8.

        Args:
            bound: Bytes that it may have.
            deadline: When it must have ended, by the monotonic clock.
            if_none: What to tell if there is nothing.

        Raises:
            BrokenAnswerError: it is longer.
            ConnectionResetError: there is none, or only its beginning.
            TimeoutError: it does not end in time.
        """
        seen = 0
        while (end := self._held.find(b"\n", seen)) < 0:
            seen = len(self._held)
            if seen > bound:
                break
            if time.monotonic() > deadline:
                raise TimeoutError("the lines of the answer do not end")
            more = self._more(_READ_AHEAD)
            if not more:
                raise _ended(_TOO_EARLY if seen else if_none)
            self._held += more
        if not 0 <= end <= bound:
            raise BrokenAnswerError("a line is too long")
        line, self._held = self._held[:end].removesuffix(b"\r"), self._held[end + 1 :]
        try:
            return line.decode()
        except UnicodeError:
            return line.decode("latin-1")

    def _more(self, size: int) -> bytes:
        data = self._source.recv(size)
        self.received += len(data)
        return data


class IncomingAnswer:
    """An answer: its head, which was read, and its body, which is read from it.

    Args:
        stream: Where it comes from.
        method: Of the request; there is no body after HEAD.
        patience: Seconds for the lines of the head, and for those between chunks of the body.

    Attributes:
        status: The status.
        fields: The headers, their names in lower case. One that came several times is one.
        size: Bytes of the body, if the head tells.
        left: Bytes left of the body or of a chunk of it; None if it ends with the connection.
        is_over: Whether the body was read to its end.
        closes: Whether the connection ends with it.

    Raises:
        BrokenAnswerError: what came is no head.
        ConnectionResetError: it ended too early.
        TimeoutError: it does not end.
    """

    def __init__(self, stream: Stream, method: str, patience: float) -> None:
        self._stream = stream
        self._patience = patience
        deadline = time.monotonic() + patience
        self.status = 0
        while self.status < 200:
            minor, self.status = self._status_line(deadline)
            self.fields = self._read_fields(deadline)
        codings, lengths = self._listed("transfer-encoding"), self._listed("content-length")
        bodiless = method == "HEAD" or self.status in _BODILESS
        self._chunked = bool(codings) and not bodiless
        if self._chunked and codings != ["chunked"]:
            raise BrokenAnswerError("a transfer coding that nobody asked for")
        self.left = 0 if bodiless or self._chunked else _length(lengths)
        self.size = None if self._chunked else self.left
        self.is_over = self.size == 0
        self.closes = (
            minor == 0
            or "close" in self._listed("connection")
            or self.left is None
            or bool(codings and lengths)  # which of them others believe is not known
        )

    def read(self, size: int) -> bytes:
        """The next bytes of the body, at most so many; none at its end.

        Raises:
            BrokenAnswerError: it is not made of chunks as it should be.
            ConnectionResetError: it ended too early.
            TimeoutError: a line between chunks does not end.
        """
        if self._chunked and not self.left and not self.is_over:
            self._begin_chunk()
        if self.is_over:
            return b""
        data = self._stream.read(size if self.left is None else min(size, self.left))
        if self.left is None:
            self.is_over = not data
        elif not data:
            raise _ended(_TOO_EARLY)
        else:
            self.left -= len(data)
            if self._chunked and not self.left:
                self._expect_end_of_line()
            self.is_over = not self.left and not self._chunked
        return data

    def _status_line(self, deadline: float) -> tuple[int, int]:
        found = _STATUS_LINE.fullmatch(self._stream.line(_MAX_SIZE, deadline, _NO_ANSWER))
        if not found:
            raise BrokenAnswerError("it does not begin with a status")
        return int(found[1]), int(found[2])

    def _listed(self, name: str) -> list[str]:
        """The elements of a header that is a list, in lower case."""
        elements = self.fields.get(name, "").lower().split(",")
        return [stripped for element in elements if (stripped := element.strip())]

    def _read_fields(self, deadline: float) -> Mapping[str, str]:
        fields: dict[str, str] = {}
        left, name = _MAX_SIZE, ""
        for _ in range(_MAX_LINES):
            line = self._stream.line(left, deadline)
            if not line:
                return fields
            left -= len(line)
            is_folded = line[0] in _BLANK
            line = _CONTROL.sub(" ", line)
            if name and is_folded:
                fields[name] = f"{fields[name]} {line.strip(_BLANK)}".strip(_BLANK)
                continue
            name, colon, value = line.partition(":")
            if not colon or not _NAME.fullmatch(name):
                raise BrokenAnswerError("a line of the head is no header")
            name, value = name.lower(), value.strip(_BLANK)
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        raise BrokenAnswerError("the head is too large")

    def _begin_chunk(self) -> None:
        deadline = time.monotonic() + self._patience
        found = _CHUNK.fullmatch(self._stream.line(_MAX_SIZE, deadline))
        if not found:
            raise BrokenAnswerError("a chunk of no size")
        self.left = int(found[1], 16)
        if not self.left:
            self._read_fields(deadline)  # trailers, of which nobody knows
            self.is_over = True

    def _expect_end_of_line(self) -> None:
        if self._stream.line(len(b"\r"), time.monotonic() + self._patience):
            raise BrokenAnswerError("a chunk of another size")


def _ended(told: str) -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, told)


def _length(told: list[str]) -> int | None:
    """Bytes of a body by its header, which may come more than once, if it says the same."""
    if not all(map(_LENGTH.fullmatch, told)) or len(lengths := set(map(int, told))) > 1:
        raise BrokenAnswerError("the answer tells no length")
    return lengths.pop() if lengths else None
