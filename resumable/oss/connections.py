"""Sockets: the only module that opens them, as connections kept open between requests.

They come out of the transport adapter of requests, of whose session nothing is used: it would
follow redirects with the body and the security token, read ~/.netrc and proxy variables, keep
cookies, and rewrite paths such as `a/../b` after they were signed.
"""

import errno
import socket
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from io import UnsupportedOperation
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util.wait import wait_for_write

from resumable.errors import ResumableError
from resumable.oss.heads import BoundedAnswer
from resumable.oss.messages import Block, Payload, StoredBlock, WireRequest

# An answer that is read as a whole may take this many timeouts, however it trickles in.
PATIENCE = 5
_POOL_SIZE = 256  # as many as a transfer may have threads

_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
if hasattr(socket, "TCP_NOTSENT_LOWAT"):
    # What the kernel holds but has not sent is little: otherwise, on a slow line, the wait for an
    # answer would begin while megabytes of the body are still to be sent.
    _SOCKET_OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 256 * 1024))

under_way = threading.local()


class Exchange:
    """A request under way: where its body failed, and how to break it from another thread."""

    def __init__(self) -> None:
        self.body_error: BaseException | None = None
        self.body_done = True
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._broken = False

    def attach(self, sock: socket.socket) -> None:
        """Take note of the socket, also while it is being connected."""
        with self._lock:
            self._socket = sock
            broken = self._broken
        if broken:
            raise ConnectionAbortedError(errno.ECONNABORTED, "broken off")

    def break_off(self) -> None:
        """Let whatever the request waits for fail."""
        with self._lock:
            self._broken = True
            sock = self._socket
        if sock is None:
            return
        try:
            # Not the method of the TLS socket, which would tear its state down under the thread
            # that is using it.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:  # it is gone already, which is what was wanted
            return

    def blocks(self, body: Payload) -> Iterator[Block]:
        """Hand out the body. An error of reading it must not look like one of the network."""
        self.body_done = False
        try:
            yield from body.blocks()
        except Exception as error:
            raise self.body_failed(error) from error
        self.body_done = True

    def body_failed(self, error: Exception) -> "BodyFailedError":
        """Keep an error of reading the body; what to raise in its place."""
        self.body_error = error
        return BodyFailedError()


class BodyFailedError(Exception):
    """Passes through urllib3 untouched, unlike an OSError."""


class Connection(urllib3.connection.HTTPConnection):
    """A connection that can be broken from outside, and that is patient while it sends."""

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, *_: object, method: str | None = None
    ) -> HTTPResponse:
        return BoundedAnswer(sock, method, PATIENCE * under_way.timeout)

    def _new_conn(self) -> socket.socket:
        exchange: Exchange = under_way.exchange
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            told = str(error) if isinstance(error, OSError) else "it cannot be a host"
            raise urllib3.exceptions.NewConnectionError(self, told) from error
        failed: OSError | None = None
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                for option in _SOCKET_OPTIONS:
                    sock.setsockopt(*option)
                sock.settimeout(self.timeout)
                exchange.attach(sock)
                sock.connect(address)
            except OSError as error:
                sock.close()
                failed = error
            else:
                return sock
        raise failed or OSError(f"{self.host} has no address")

    def connect(self) -> None:
        super().connect()
        under_way.exchange.attach(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # kept open from an earlier request
            under_way.exchange.attach(self.sock)
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        if isinstance(data, StoredBlock):
            self._send_stored(data)
        else:
            super().send(data)

    def _send_stored(self, block: StoredBlock) -> None:
        """Have a block sent by the kernel; it must go on within the timeout."""
        done, size, descriptor = 0, len(block), self.sock.fileno()
        while done < size:
            try:
                done += block.send(descriptor, done)
            except UnsupportedOperation:
                super().send(self._read(block)[done:])
                return
            except BlockingIOError:
                if not wait_for_write(self.sock, under_way.timeout):
                    raise TimeoutError from None
            except ResumableError as error:
                raise under_way.exchange.body_failed(error) from error

    @staticmethod
    def _read(block: StoredBlock) -> memoryview:
        try:
            return block.read()
        except ResumableError as error:
            raise under_way.exchange.body_failed(error) from error

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        super().endheaders(*args, **kwargs)
        # urllib3 sends the body under the timeout for connecting, which is the shorter one.
        self.sock.settimeout(under_way.timeout)

    def getresponse(self) -> Any:
        if self.sock is None:  # urllib3 takes a broken pipe for a server that has answered
            raise ConnectionAbortedError(errno.ECONNABORTED, "the connection was lost")
        answer = super().getresponse()
        if not under_way.exchange.body_done and self.sock is not None:
            # The server answered before it had the whole body: it would take the next request
            # for the rest. The answer keeps its own hold on the socket and can still be read.
            self.sock.close()
            self.sock = None
        return answer


class TlsConnection(Connection, urllib3.connection.HTTPSConnection):
    """The same over TLS."""

    def _send_stored(self, block: StoredBlock) -> None:
        self.send(self._read(block))


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = TlsConnection


class Adapter(HTTPAdapter):
    """requests' adapter, sending the target exactly as it was signed.

    It does not do anew for each part what is the same for all of them, nor what only a session
    has a use for: together that is a fifth of what a part costs beside its bytes.
    """

    def __init__(self) -> None:
        self._pools: dict[str, urllib3.HTTPConnectionPool] = {}
        super().__init__(pool_connections=4, pool_maxsize=_POOL_SIZE, max_retries=0)

    def start(
        self,
        request: WireRequest,
        exchange: Exchange,
        timeouts: tuple[float, float],
        verify: bool | str,
    ) -> requests.Response:
        """Send a request and read the head of the answer.

        Args:
            request: What to send.
            exchange: Through which it can be broken off.
            timeouts: Seconds to wait for a connection, and for a byte to move.
            verify: Path of a file of authorities, or True for the usual ones.
        """
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.origin + request.target
        prepared.headers = CaseInsensitiveDict(_as_utf8(request.headers))
        prepared.signed_origin = request.origin  # type: ignore[attr-defined]
        prepared.signed_target = request.target  # type: ignore[attr-defined]
        if request.body is not None and request.body.size:
            prepared.body = exchange.blocks(request.body)  # type: ignore[assignment]
        under_way.exchange, under_way.timeout = exchange, timeouts[1]
        return self.send(prepared, stream=True, timeout=timeouts, verify=verify)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> urllib3.HTTPConnectionPool:
        origin: str = request.signed_origin  # type: ignore[attr-defined]
        known = self._pools.get(origin)
        if known is not None:
            return known
        made: Any = super().get_connection_with_tls_context(request, *args, **kwargs)
        return self._pools.setdefault(origin, made)

    def close(self) -> None:
        self._pools.clear()
        super().close()

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:  # noqa: ARG002
        target: str = request.signed_target  # type: ignore[attr-defined]
        return target

    def build_response(self, _: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = requests.Response()
        response.raw = resp
        return response


def _as_utf8(headers: Mapping[str, str]) -> Any:
    """Headers as the bytes that were signed; http.client would make latin-1 of text."""
    return {name: value.encode() for name, value in headers.items()}
