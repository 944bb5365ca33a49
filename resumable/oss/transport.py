"""One request, one answer: the only module that opens sockets, and that knows requests.

It uses the transport adapter of requests and none of its session, which would follow redirects
with the body and the security token, read ~/.netrc and proxy variables, keep cookies, and rewrite
paths such as `a/../b` after they were signed.
"""

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from resumable.errors import (
    ConnectionFailedError,
    InvalidArgumentError,
    LocalFileError,
    ProtocolError,
    RequestTimeoutError,
    ResumableError,
    TransferCancelledError,
)
from resumable.oss.cancellation import Cancellation
from resumable.oss.heads import BoundedAnswer
from resumable.oss.messages import Answer, Payload, WireRequest

# An answer that is read as a whole may take this many timeouts, however it trickles in.
_PATIENCE = 5
_MAX_ANSWER = 16 * 1024 * 1024
_READ_BLOCK = 256 * 1024
_POOL_SIZE = 256  # as many as a transfer may have threads

_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
if hasattr(socket, "TCP_NOTSENT_LOWAT"):
    # What the kernel holds but has not sent is little: otherwise, on a slow line, the wait for an
    # answer would begin while megabytes of the body are still to be sent.
    _SOCKET_OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 256 * 1024))

_under_way = threading.local()


class _Exchange:
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

    def blocks(self, body: Payload) -> Iterator[memoryview]:
        """Hand out the body. An error of reading it must not look like one of the network."""
        self.body_done = False
        try:
            yield from body.blocks()
        except Exception as error:
            self.body_error = error
            raise _BodyFailedError from error
        self.body_done = True


# What may come up from below.
_BELOW = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError)


class _BodyFailedError(Exception):
    """Passes through urllib3 untouched, unlike an OSError."""


class _Watched(urllib3.connection.HTTPConnection):
    """A connection that can be broken from outside, and that is patient while it sends."""

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, *_: object, method: str | None = None
    ) -> HTTPResponse:
        return BoundedAnswer(sock, method, _PATIENCE * _under_way.timeout)

    def _new_conn(self) -> socket.socket:
        exchange: _Exchange = _under_way.exchange
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
        _under_way.exchange.attach(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # kept open from an earlier request
            _under_way.exchange.attach(self.sock)
        super().request(*args, **kwargs)

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        super().endheaders(*args, **kwargs)
        # urllib3 sends the body under the timeout for connecting, which is the shorter one.
        self.sock.settimeout(_under_way.timeout)

    def getresponse(self) -> Any:
        if self.sock is None:  # urllib3 takes a broken pipe for a server that has answered
            raise ConnectionAbortedError(errno.ECONNABORTED, "the connection was lost")
        answer = super().getresponse()
        if not _under_way.exchange.body_done and self.sock is not None:
            # The server answered before it had the whole body: it would take the next request
            # for the rest. The answer keeps its own hold on the socket and can still be read.
            self.sock.close()
            self.sock = None
        return answer


class _WatchedTls(_Watched, urllib3.connection.HTTPSConnection):
    """The same over TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _Adapter(HTTPAdapter):
    """requests' adapter, sending the target exactly as it was signed."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:  # noqa: ARG002
        target: str = request.signed_target  # type: ignore[attr-defined]
        return target


class Transport:
    """Connections to one endpoint, kept open between requests and shared by all threads.

    Args:
        connect_timeout: Seconds to wait for a connection.
        timeout: Seconds without a byte moving, in either direction, before a request fails.
        ca_bundle: Path of a PEM file of the certificate authorities to trust instead of the
            usual ones. Certificates are always verified.
    """

    def __init__(self, connect_timeout: float, timeout: float, ca_bundle: str | None) -> None:
        self._timeouts = (connect_timeout, timeout)
        self._verify: str | bool = True if ca_bundle is None else _checked_bundle(ca_bundle)
        self._connect()

    def _connect(self) -> None:
        self._process = os.getpid()
        self._adapter = _Adapter(pool_connections=4, pool_maxsize=_POOL_SIZE, max_retries=0)

    def close(self) -> None:
        """Close the connections that are idle."""
        self._adapter.close()

    def send(self, request: WireRequest, cancellation: Cancellation) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            NetworkError: there was no whole answer.
            ProtocolError: the answer is larger than any that OSS gives.
            TransferCancelledError: the cancellation was thrown.
        """
        with self.open(request, cancellation) as answer:
            return answer.whole()

    @contextmanager
    def open(self, request: WireRequest, cancellation: Cancellation) -> Iterator["OpenAnswer"]:
        """Send a request and leave the answer's body to be read within the context.

        Raises:
            NetworkError: there was no answer.
            TransferCancelledError: the cancellation was thrown.
        """
        exchange = _Exchange()
        with cancellation.interruptible(exchange.break_off):
            response = self._start(request, exchange, cancellation)
            try:
                yield OpenAnswer(response, cancellation, _PATIENCE * self._timeouts[1])
            finally:
                # A connection whose answer was read to its end is back in the pool by now.
                response.close()

    def _start(
        self, request: WireRequest, exchange: _Exchange, cancellation: Cancellation
    ) -> requests.Response:
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.origin + request.target
        prepared.headers = CaseInsensitiveDict(_as_utf8(request.headers))

        prepared.signed_target = request.target  # type: ignore[attr-defined]
        if request.body is not None and request.body.size:
            prepared.body = exchange.blocks(request.body)  # type: ignore[assignment]
        _under_way.exchange, _under_way.timeout = exchange, self._timeouts[1]
        if self._process != os.getpid():
            # A forked child has its parent's connections: they would get each other's answers.
            self._connect()
        try:
            return self._adapter.send(
                prepared, stream=True, timeout=self._timeouts, verify=self._verify
            )
        except _BELOW as error:
            failure: BaseException = _told(error, cancellation)
        except _BodyFailedError:
            failure = exchange.body_error or AssertionError("a body failed without an error")
        # Raised out here so that it does not carry the request, and with it the signature, along.
        raise failure


class OpenAnswer:
    """An answer whose body is still on the wire."""

    def __init__(
        self, response: requests.Response, cancellation: Cancellation, patience: float
    ) -> None:
        self._patience = patience
        self.status = response.status_code
        self.headers = {name.lower(): _as_text(value) for name, value in response.headers.items()}
        self._raw: urllib3.response.HTTPResponse = response.raw
        self._cancellation = cancellation

    def whole(self) -> Answer:
        """The answer with all of its body, which must be of a size that OSS gives.

        Raises:
            NetworkError: the body ends before the announced length.
            ProtocolError: it is larger.
        """
        deadline = time.monotonic() + self._patience
        size = int(self._raw.length_remaining or 0)
        blocks: list[bytes] = []
        while size <= _MAX_ANSWER and (block := self._read(self._raw.read1)):
            blocks.append(block)
            size = max(size, sum(map(len, blocks)))
            if time.monotonic() > deadline:
                raise RequestTimeoutError("the server takes too long over its answer")
        if size > _MAX_ANSWER:
            raise ProtocolError(f"an answer of more than {_MAX_ANSWER} bytes")
        return Answer(self.status, self.headers, b"".join(blocks))

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes in, not decoded.

        Raises:
            NetworkError: it ends before the announced length.
        """
        while block := self._read(self._raw.read):
            yield block

    def _read(self, read: Callable[..., bytes]) -> bytes:
        try:
            return read(_READ_BLOCK, decode_content=False)
        except (*_BELOW, ValueError) as error:  # a chunk of negative size is a ValueError
            failure = _told(error, self._cancellation)
        raise failure


def _as_utf8(headers: Mapping[str, str]) -> Any:
    """Headers as the bytes that were signed; http.client would make latin-1 of text."""
    return {name: value.encode() for name, value in headers.items()}


def _as_text(value: str) -> str:
    """A header's value as http.client read it, which takes every byte for latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _checked_bundle(path: str) -> str:
    path = os.path.abspath(path)
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # an SSLError is one, too
        raise InvalidArgumentError(
            f"ca_bundle {path!r} cannot be used: {error.strerror or error}"
        ) from None
    return path


def _told(error: Exception, cancellation: Cancellation) -> ResumableError:
    """What a failure below means, without the request it happened in."""
    if cancellation.is_broken:
        return TransferCancelledError("the transfer was stopped")
    for inner in _inside(error):
        if isinstance(inner, OSError) and inner.errno in (errno.EMFILE, errno.ENFILE):
            failure = LocalFileError.of(inner, "opening", "a socket")
            failure.advice = "Let the process have more open files (ulimit -n)"
            return failure
    reason = _reason(error)
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        failed = ConnectionFailedError(
            f"the server's certificate or TLS was not accepted: {reason}",
            advice="Check the endpoint's name; give ca_bundle= for a private authority",
        )
        failed.retryable = False
        return failed
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return RequestTimeoutError(f"the server did not move a byte in time: {reason}")
    if any(isinstance(inner, TimeoutError) for inner in _inside(error)):
        return RequestTimeoutError("the server did not take the request in time")
    return ConnectionFailedError(f"the connection failed: {reason}")


def _reason(error: BaseException) -> str:
    """What went wrong in words. Nothing of the request or of the answer is repeated."""
    for inner in _inside(error):
        if isinstance(inner, IncompleteRead | urllib3.exceptions.IncompleteRead):
            return "the answer ended too early"
        if isinstance(inner, RemoteDisconnected):
            return "the server hung up without an answer"
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        if isinstance(inner, HTTPException) and not isinstance(inner, OSError):
            return "the answer is not HTTP"
    return type(error).__name__


def _inside(error: BaseException) -> Iterator[BaseException]:
    """An error and those it was made of, which stand in its arguments or as its reason."""
    yield error
    for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
        if isinstance(inner, BaseException):
            yield from _inside(inner)
