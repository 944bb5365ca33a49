"""Requests as they go out: byte for byte as they were signed, at the pace at which they are taken.

http.client writes heads in an encoding and with headers of its own, and bodies in blocks of its
own.
"""

import re
import selectors
import socket
import ssl
from collections.abc import Iterator
from io import UnsupportedOperation

from resumable.errors import InvalidArgumentError, ResumableError, SourceChangedError
from resumable.oss.messages import Block, Payload, StoredBlock, WireRequest

# TLS takes all of what it is given, or none: with little, a slow line moves within the timeout.
_AT_ONCE = 64 * 1024
# Select, where there is no poll, does not know descriptors above 1,023.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
_ZONE = re.compile(r"%[^\]]*")


class BodyFailedError(Exception):
    """A body could not be read, which is no failure of the connection, even if it looks like one.

    Attributes:
        error: Why.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def send_request(sock: socket.socket, request: WireRequest, timeout: float) -> None:
    """Send a whole request; each step must go on within the timeout, in seconds.

    Raises:
        BodyFailedError: the body could not be read, or has another size than was told.
        OSError: the connection failed.
    """
    _send_head(sock, request)
    if request.body is not None:
        _send_body(sock, request.body, timeout)


def is_ready(sock: socket.socket, event: int, seconds: float) -> bool:
    """Whether a socket can be read, or written to, within a time."""
    with _Selector() as selector:
        selector.register(sock, event)
        return bool(selector.select(seconds))


def without_zone(host: str) -> str:
    """A host without the zone of an IPv6 address, which is this machine's own affair."""
    return _ZONE.sub("", host)


def _send_head(sock: socket.socket, request: WireRequest) -> None:
    try:
        _send_bytes(sock, _head(request))
    except BaseException as error:  # noqa: BLE001 - it goes on
        # Frames further down hold the head, and with it the signature.
        raise error.with_traceback(None) from None


def _head(request: WireRequest) -> bytes:
    """The head of a request, its values in UTF-8, as they were signed."""
    lines = [
        f"{request.method} {request.target} HTTP/1.1",
        f"host: {without_zone(request.origin.partition('://')[2])}",
        *(f"{name}: {value}" for name, value in request.headers.items()),
    ]
    if request.body is None and request.method in ("POST", "PUT"):
        lines.append("content-length: 0")
    head = "\r\n".join([*lines, "", ""])
    if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
        raise InvalidArgumentError("there is a line break in the head of the request")
    return head.encode()


def _send_body(sock: socket.socket, body: Payload, timeout: float) -> None:
    left = body.size
    for block in _blocks(body):
        left -= len(block)
        if left < 0:
            break
        if not isinstance(block, StoredBlock):
            _send_bytes(sock, block)
        elif isinstance(sock, ssl.SSLSocket):
            _send_bytes(sock, _read(block))
        else:
            _send_stored(sock, block, timeout)
    if left:
        raise BodyFailedError(SourceChangedError(f"a body is not of its {body.size} bytes"))


def _send_bytes(sock: socket.socket, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[sock.send(left[:_AT_ONCE]) :]


def _send_stored(sock: socket.socket, block: StoredBlock, timeout: float) -> None:
    """Have a block sent by the kernel, as far as it does; it must go on within the timeout."""
    done, size, descriptor = 0, len(block), sock.fileno()
    was_ready = False
    while done < size:
        try:
            done += block.send(descriptor, done)
            was_ready = False
        except BlockingIOError:
            if was_ready:  # it is not the socket that the kernel waits for
                break
            was_ready = is_ready(sock, selectors.EVENT_WRITE, timeout)
            if not was_ready:
                raise TimeoutError from None
        except UnsupportedOperation:
            break
        except ResumableError as error:
            raise BodyFailedError(error) from error
    if done < size:
        _send_bytes(sock, _read(block)[done:])


def _blocks(body: Payload) -> Iterator[Block]:
    """The blocks of a body, whose errors must not look like those of the network."""
    try:
        yield from body.blocks()
    except Exception as error:
        raise BodyFailedError(error) from error


def _read(block: StoredBlock) -> memoryview:
    try:
        return block.read()
    except ResumableError as error:
        raise BodyFailedError(error) from error
