"""The wire: sockets, HTTP/1.1 framing by h11, and the bytes of answers.

h11 reads heads and chunked bodies. A body with only a Content-Length is read straight into
one buffer a connection: at hundreds of MB/s the copies of a general parser would show.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import h11

from resumable.server.errors import ClientGoneError, HttpError, reason
from resumable.server.messages import Answer
from resumable.server.pace import Pace

BLOCK = 512 * 1024
MAX_HEAD = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# How long a refused client may take to notice before its unread bytes turn into a reset.
_LINGER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the headers of a request, before anything is decoded."""

    method: str
    target: str
    headers: Mapping[str, str]
    keep_alive: bool


class FixedBody:
    """A body of a declared length, read into the connection's buffer."""

    def __init__(self, connection: Connection, length: int, *, expects_continue: bool) -> None:
        self._connection = connection
        self._expects_continue = expects_continue
        self._left = length
        self.length: int | None = length
        self.received = 0

    def blocks(self) -> Iterator[memoryview]:
        """Yield what is left of the body in blocks as large as the buffer."""
        if self._left and self._expects_continue:
            self._expects_continue = False
            self._connection.send(_CONTINUE)
        while self._left:
            block = self._connection.read_block(self._left, self._count)
            yield block

    @property
    def refusable(self) -> bool:
        """Whether the client waits to be told before it sends the body."""
        return self._expects_continue and self._left > 0

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is still to come."""
        return self._left == 0

    def _count(self, size: int) -> None:
        self._left -= size
        self.received += size


class ChunkedBody:
    """A body sent in chunks; a Content-Length beside it means nothing."""

    length: int | None = None

    def __init__(
        self, connection: Connection, parser: h11.Connection, *, expects_continue: bool
    ) -> None:
        self._connection = connection
        self._parser = parser
        self._expects_continue = expects_continue
        self._ended = False
        self.received = 0

    @property
    def refusable(self) -> bool:
        """Whether the client waits to be told before it sends the body."""
        return self._expects_continue

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is still to come."""
        return self._ended

    def blocks(self) -> Iterator[memoryview]:
        """Yield what is left of the body as it arrives."""
        if self._expects_continue:
            self._expects_continue = False
            self._connection.send(_CONTINUE)
        while not self._ended:
            event = self._connection.next_event(self._parser)
            if not isinstance(event, h11.Data):
                self._ended = True
                self._connection.keep(self._parser)
                return
            self.received += len(event.data)
            self._connection.passed(len(event.data))
            yield memoryview(bytearray(event.data))


class Connection:
    """One client's connection: heads and bodies in, answers out."""

    def __init__(self, client: socket.socket, read_timeout: float) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(read_timeout)
        self._socket = client
        self._read_timeout = read_timeout
        self._buffer = memoryview(bytearray(BLOCK))
        self._ahead = b""
        self._pace: Pace | None = None
        self._interrupted = threading.Event()

    @property
    def client_ip(self) -> str:
        """The address of the client, or nothing if it is gone already."""
        try:
            return str(self._socket.getpeername()[0])
        except OSError:
            return ""

    def limit_rate(self, bits_per_second: int | None) -> None:
        """Let the bodies of this request and its answer pass no faster; None ends that."""
        self._pace = None if bits_per_second is None else Pace(bits_per_second / 8, self._rest)

    def passed(self, size: int) -> None:
        """Wait until so many more bytes of a body may have passed."""
        if self._pace is not None:
            self._pace.passed(size)

    def receive_head(self) -> tuple[Head, FixedBody | ChunkedBody] | None:
        """Read the next head; None when the client has no more requests.

        Raises:
            HttpError: when what came is not a request.
            TimeoutError: when a head was begun and not finished in time.
        """
        self.limit_rate(None)
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        event = self._first_event(parser)
        if event is None:
            return None
        headers = _fold_headers(event)
        keep_alive = event.http_version == b"1.1" and "close" not in _tokens(
            headers.get("connection", "")
        )
        head = Head(event.method.decode("ascii"), event.target.decode("ascii"), headers, keep_alive)
        expects = parser.they_are_waiting_for_100_continue
        if "transfer-encoding" in headers:
            return head, ChunkedBody(self, parser, expects_continue=expects)
        self.keep(parser)
        length = int(headers.get("content-length", "0"))
        return head, FixedBody(self, length, expects_continue=expects)

    def next_event(self, parser: h11.Connection) -> object:
        """Read until h11 has an event.

        Raises:
            ClientGoneError: when the connection ends first.
        """
        while (event := _parsed(parser)) is h11.NEED_DATA:
            parser.receive_data(self._receive(self._step(256 * 1024)))
        return event

    def keep(self, parser: h11.Connection) -> None:
        """Take back what h11 was given beyond the end of its request."""
        self._ahead = parser.trailing_data[0]

    def read_block(self, limit: int, count: Callable[[int], None]) -> memoryview:
        """Fill the buffer with up to `limit` bytes of body; `count` is told as they arrive."""
        wanted = min(limit, self._step(BLOCK))
        filled = min(len(self._ahead), wanted)
        if filled:
            self._buffer[:filled] = self._ahead[:filled]
            self._ahead = self._ahead[filled:]
            count(filled)
        while filled < wanted:
            try:
                size = self._socket.recv_into(self._buffer[filled:wanted])
            except ConnectionError as problem:
                raise ClientGoneError from problem
            if size == 0:
                raise ClientGoneError
            filled += size
            count(size)
        self.passed(wanted)
        return self._buffer[:wanted]

    def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            ClientGoneError: when the client does not take them.
        """
        try:
            self._socket.sendall(data)
        except (ConnectionError, TimeoutError) as problem:
            raise ClientGoneError from problem

    def send_answer(self, answer: Answer, head: bytes, *, body: bool, limit: int | None) -> None:
        """Send an answer, or only its first `limit` bytes."""
        plain = head + answer.body if body else head
        self.send(plain if limit is None else plain[:limit])
        if answer.content is None or not body:
            return
        left = answer.content.length if limit is None else max(0, limit - len(plain))
        for file, offset, count in answer.content.runs():
            if left <= 0:
                break
            self._send_file(file, offset, min(count, left))
            left -= count

    def _send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        end = offset + count
        while offset < end:
            size = min(end - offset, self._step(end - offset))
            try:
                self._socket.sendfile(file, offset, size)
            except (ConnectionError, TimeoutError) as problem:
                raise ClientGoneError from problem
            self.passed(size)
            offset += size

    def linger(self) -> None:
        """Let the client read the last answer before its unread bytes cause a reset."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + _LINGER_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv_into(self._buffer):
                    return

    def interrupt(self) -> None:
        """End whatever another thread is waiting for on this connection."""
        self._interrupted.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close so that the client sees a connection reset."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close."""
        self._socket.close()

    def _first_event(self, parser: h11.Connection) -> h11.Request | None:
        deadline: float | None = None
        data, self._ahead = self._ahead, b""
        while True:
            if data:
                deadline = deadline or time.monotonic() + self._read_timeout
                parser.receive_data(data)
                event = _parsed(parser)
                if isinstance(event, h11.Request):
                    self._socket.settimeout(self._read_timeout)
                    return event
            left = self._read_timeout if deadline is None else deadline - time.monotonic()
            self._socket.settimeout(max(left, 0.001))
            try:
                data = self._receive()
            except ClientGoneError:
                return None
            except TimeoutError:
                if deadline is None:
                    return None
                raise

    def _step(self, size: int) -> int:
        return size if self._pace is None else min(size, self._pace.step)

    def _rest(self, seconds: float) -> None:
        if self._interrupted.wait(seconds):
            raise ClientGoneError

    def _receive(self, limit: int = 256 * 1024) -> bytes:
        try:
            data = self._socket.recv(limit)
        except ConnectionError as problem:
            raise ClientGoneError from problem
        if not data:
            raise ClientGoneError
        return data


def turn_away(client: socket.socket) -> None:
    """Answer a client that there is no room for, whatever it wants, and close; never blocks."""
    body = b"<Error><Code>ServiceUnavailable</Code><Message>Too many connections.</Message></Error>"
    headers = {
        "Connection": "close",
        "Content-Length": str(len(body)),
        "Content-Type": "application/xml",
        "Retry-After": "1",
        "x-oss-request-id": secrets.token_hex(12).upper(),
    }
    with contextlib.suppress(OSError):
        client.setblocking(False)
        client.send(answer_head(503, headers) + body)
        client.shutdown(socket.SHUT_WR)
        # What is unread at the close resets the connection, and the answer may be lost.
        client.recv(256 * 1024)
    client.close()


def answer_head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the head of an answer as it is sent.

    Written by hand, so that an answer made up for a test may be as wrong as it likes.
    """
    lines = [f"HTTP/1.1 {status} {reason(status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _parsed(parser: h11.Connection) -> object:
    try:
        return parser.next_event()
    except h11.RemoteProtocolError as problem:
        raise HttpError(str(problem)) from problem


def _fold_headers(event: h11.Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers:
        name = raw_name.decode("ascii")
        value = raw_value.decode("utf-8", "surrogateescape")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _tokens(value: str) -> set[str]:
    return {token.strip().lower() for token in value.split(",")}
