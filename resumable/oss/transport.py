"""One request, one answer, and what it means if there is none."""

import errno
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

import requests
import urllib3

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
from resumable.oss.connections import PATIENCE, Adapter, BodyFailedError, Exchange
from resumable.oss.messages import Answer, WireRequest

_MAX_ANSWER = 16 * 1024 * 1024
_READ_BLOCK = 256 * 1024
# What may come up from below.
_BELOW = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError)


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
        self._adapter = Adapter()

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
        exchange = Exchange()
        with cancellation.interruptible(exchange.break_off):
            response = self._start(request, exchange, cancellation)
            try:
                yield OpenAnswer(response.raw, cancellation, PATIENCE * self._timeouts[1])
            finally:
                # A connection whose answer was read to its end is back in the pool by now.
                response.close()

    def _start(
        self, request: WireRequest, exchange: Exchange, cancellation: Cancellation
    ) -> requests.Response:
        if self._process != os.getpid():
            # A forked child has its parent's connections: they would get each other's answers.
            self._connect()
        try:
            return self._adapter.start(request, exchange, self._timeouts, self._verify)
        except _BELOW as error:
            failure: BaseException = _told(error, cancellation)
        except BodyFailedError:
            failure = exchange.body_error or AssertionError("a body failed without an error")
        # Raised out here so that it does not carry the request, and with it the signature, along.
        raise failure


class OpenAnswer:
    """An answer whose body is still on the wire."""

    def __init__(
        self, raw: urllib3.response.HTTPResponse, cancellation: Cancellation, patience: float
    ) -> None:
        self._patience = patience
        self._raw = raw
        self._cancellation = cancellation
        self.status = raw.status
        # Taken by name, a header that came several times is one.
        self.headers = {name.lower(): _as_text(raw.headers[name]) for name in raw.headers}

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
