"""Reading requests fast: heads line by line, payloads thrown away and counted."""

import socket
import ssl
import sys
from typing import Protocol

_READ_AHEAD = 64 * 1024
_AT_ONCE = 4 * 1024 * 1024
# Lets the kernel drop what TCP has received, without copying it. Elsewhere the flag means nothing
# of the kind.
_DROP = socket.MSG_TRUNC if sys.platform == "linux" else 0


class HungUpError(EOFError):
    """The client closed the connection."""


class Stream(Protocol):
    """Bytes that come in one after another."""

    def line(self) -> bytes:
        """The next line, without its end."""
        ...

    def skip(self, size: int) -> None:
        """Drop the next bytes."""
        ...


class Wire:
    """What a client sends over a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ahead = bytearray()
        self._bin = bytearray(_AT_ONCE)
        self._drop = 0 if isinstance(sock, ssl.SSLSocket) else _DROP

    def line(self) -> bytes:
        """The next line, without its end."""
        while (end := self._ahead.find(b"\n")) < 0:
            self._read_ahead()
        line = bytes(self._ahead[:end])
        del self._ahead[: end + 1]
        return line.rstrip(b"\r")

    def read(self, size: int) -> bytes:
        """The next bytes."""
        while len(self._ahead) < size:
            self._read_ahead()
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def skip(self, size: int) -> None:
        """Drop the next bytes."""
        ahead = min(size, len(self._ahead))
        del self._ahead[:ahead]
        left = size - ahead
        while left:
            dropped = self._sock.recv_into(self._bin, min(left, _AT_ONCE), self._drop)
            if not dropped:
                raise HungUpError
            left -= dropped

    def _read_ahead(self) -> None:
        block = self._sock.recv(_READ_AHEAD)
        if not block:
            raise HungUpError
        self._ahead += block


class Chunked:
    """The bytes within the chunks of `Transfer-Encoding: chunked`."""

    def __init__(self, wire: Stream) -> None:
        self._wire = wire
        self._left = 0
        self._begun = False

    def line(self) -> bytes:
        """The next line, without its end. A line never goes over the end of a chunk."""
        self._to_a_chunk()
        line = self._wire.line()
        self._left -= len(line) + 2
        if self._left < 0:
            raise ValueError("a line that is cut by the end of a chunk")
        return line

    def skip(self, size: int) -> None:
        """Drop the next bytes."""
        while size:
            self._to_a_chunk()
            within = min(size, self._left)
            self._wire.skip(within)
            self._left -= within
            size -= within

    def finish(self) -> int:
        """Drop all that is left; how much it was."""
        dropped = 0
        while self._left or self._next_chunk():
            dropped += self._left
            self.skip(self._left)
        while self._wire.line():
            continue
        return dropped

    def _to_a_chunk(self) -> None:
        if not self._left and not self._next_chunk():
            raise ValueError("the chunks ended too early")

    def _next_chunk(self) -> bool:
        if self._begun:
            self._wire.line()
        self._begun = True
        self._left = chunk_size(self._wire.line())
        return self._left > 0


def skip_signed_chunks(stream: Stream) -> int:
    """Drop a body in `aws-chunked` with its trailers; the bytes of payload that were in it."""
    payload = 0
    while size := chunk_size(stream.line()):
        stream.skip(size)
        stream.line()
        payload += size
    while stream.line():
        continue
    return payload


def chunk_size(line: bytes) -> int:
    """The size in the head of a chunk, before its extensions."""
    return int(line.partition(b";")[0], 16)
