"""The head of an answer, read with bounds of our own.

http.client takes a head that was cut off for a whole one, waits for ever for one that trickles in,
and refuses more than a hundred lines, although the metadata of one object can have as many.
"""

import io
import time
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse, IncompleteRead, UnknownProtocol
from socket import socket

_MAX_LINES = 2_000
_MAX_SIZE = 64 * 1024
_NO_CONTENT, _NOT_MODIFIED = 204, 304


class _Lines(io.BufferedReader):
    """Reads an answer, whose lines between two blocks of its body must come in time.

    Args:
        raw: What to read from.
        patience: Seconds.
    """

    def __init__(self, raw: io.RawIOBase, patience: float) -> None:
        super().__init__(raw)
        self._patience = patience
        self._since = time.monotonic()

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._since = time.monotonic()
        return data

    def read1(self, size: int = -1, /) -> bytes:
        data = super().read1(size)
        self._since = time.monotonic()
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line with its end; without one if the answer ends, or the line is too long."""
        bound = _MAX_SIZE + 1 if size is None or size < 0 else size
        line = b""
        while not line.endswith(b"\n") and len(line) < bound:
            if time.monotonic() - self._since > self._patience:
                raise TimeoutError("the lines of the answer do not end")
            ready = self.peek()[: bound - len(line)]
            if not ready:
                break
            line += super().read(ready.find(b"\n") + 1 or len(ready))
        return line


class BoundedAnswer(HTTPResponse):
    """An answer whose head is whole and of bounded size, and comes in bounded time.

    Args:
        patience: Seconds for the lines of the head, and for those between blocks of the body.

    Attributes:
        fields: The headers, their names in lower case. One that came several times is one.
    """

    def __init__(self, sock: socket, method: str, patience: float) -> None:
        super().__init__(sock, method=method)
        self.fp = _Lines(self.fp.detach(), patience)
        self.fields: Mapping[str, str] = {}

    def begin(self, **_: object) -> None:
        """Read the head.

        Raises:
            HTTPException: it is no head, or ends too early.
            TimeoutError: it does not end.
        """
        while True:
            version, status, reason = self._read_status()  # type: ignore[attr-defined]
            self.fields = self._read_fields()
            if not 100 <= status < 200:
                break
        if not version.startswith("HTTP/1."):
            raise UnknownProtocol(version)
        self.code = self.status = status
        self.reason = reason.strip()
        self.version = 10 if version == "HTTP/1.0" else 11
        self.chunked = self.fields.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = self._length()
        self.will_close = (
            self.version == 10
            or "close" in self.fields.get("connection", "").lower()
            or (not self.chunked and self.length is None)
        )

    def _read_fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        size = 0
        for _ in range(_MAX_LINES):
            line = self.fp.readline()
            size += len(line)
            if size > _MAX_SIZE:
                break
            if not line.endswith(b"\n"):
                raise IncompleteRead(b"")
            name, colon, value = _text(line.rstrip(b"\r\n")).partition(":")
            if not name and not colon:
                return fields
            if not colon or not name or name != name.strip():
                raise HTTPException("a line of the head is no header")
            name, value = name.lower(), value.strip(" \t")
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        raise HTTPException("the head is too large")

    def _length(self) -> int | None:
        """Bytes of the body, where they are known."""
        if self.status in (_NO_CONTENT, _NOT_MODIFIED) or self._method == "HEAD":  # type: ignore[attr-defined]
            return 0
        told = {each.strip() for each in self.fields.get("content-length", "").split(",")}
        if self.chunked:
            return None
        if len(told) > 1:
            raise HTTPException("the answer tells two lengths")
        length = told.pop()
        return int(length) if length.isascii() and length.isdigit() else None


def _text(line: bytes) -> str:
    """A line of a head, where each byte stands for a character unless they are UTF-8."""
    try:
        return line.decode()
    except UnicodeError:
        return line.decode("latin-1")
