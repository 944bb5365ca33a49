"""One request, one answer, and what it means if there is none."""

import errno
import logging
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

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
from resumable.oss.connections import (
    PATIENCE,
    BodyFailedError,
    Connection,
    Exchange,
    HandshakeError,
    Pool,
)
from resumable.oss.heads import BoundedAnswer
from resumable.oss.messages import REQUEST_ID, Answer, WireRequest

_log = logging.getLogger("resumable")
_MAX_ANSWER = 16 * 1024 * 1024
_READ_BLOCK = 256 * 1024
# What may come up from below.
_BELOW = (HandshakeError, HTTPException, OSError)


class Transport:
    """Connections to one endpoint, kept open between requests and shared by all threads.

    Args:
        connect_timeout: Seconds to wait for a connection.
        timeout: Seconds without a byte moving, in either direction, before a request fails.
        tls: Whether there are to be TLS connections. Without it nobody is trusted.
        ca_bundle: Path of a PEM file of the certificate authorities to trust instead of the
            usual ones. Certificates are always verified.
    """

    def __init__(
        self, connect_timeout: float, timeout: float, *, tls: bool, ca_bundle: str | None
    ) -> None:
        self._timeouts = (connect_timeout, timeout)
        if ca_bundle is not None:
            self._context = _context_of(ca_bundle)
        else:
            self._context = _usual_context() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._process = os.getpid()
        self._pool = Pool(self._timeouts, self._context)

    def close(self) -> None:
        """Close the connections that are idle."""
        self._pool.close()

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
            connection, raw = self._start(request, exchange, cancellation)
            answer = OpenAnswer(raw, cancellation, PATIENCE * self._timeouts[1])
            _log.debug(
                "%s %s%s: %d, request id %s",
                request.method,
                request.origin,
                request.target,
                answer.status,
                answer.headers.get(REQUEST_ID, "unknown"),
            )
            try:
                yield answer
            finally:
                raw.close()
                if answer.is_over and connection.can_go_on(raw):
                    self._pool.keep(connection)
                else:
                    connection.close()

    def _start(
        self, request: WireRequest, exchange: Exchange, cancellation: Cancellation
    ) -> tuple[Connection, BoundedAnswer]:
        if self._process != os.getpid():
            # A forked child has its parent's connections: they would get each other's answers.
            self._start_afresh()
        try:
            return self._exchanged(request, exchange)
        except _BELOW as error:
            failure: Exception = _told(error, cancellation)
        except BodyFailedError as failed:
            failure = failed.error
        # Raised out here so that it does not carry the request, and with it the signature, along.
        raise failure

    def _exchanged(
        self, request: WireRequest, exchange: Exchange
    ) -> tuple[Connection, BoundedAnswer]:
        connection = self._pool.take(request.origin, exchange)
        try:
            connection.send(request)
            return connection, connection.receive(request.method)
        except BaseException:
            connection.close()
            raise


class OpenAnswer:
    """An answer whose body is still on the wire.

    Attributes:
        is_over: Whether the body was read to its end.
    """

    def __init__(self, raw: BoundedAnswer, cancellation: Cancellation, patience: float) -> None:
        self._patience = patience
        self._raw = raw
        self._cancellation = cancellation
        self.is_over = False
        self.status = raw.status
        self.headers = raw.fields

    def whole(self) -> Answer:
        """The answer with all of its body, which must be of a size that OSS gives.

        Raises:
            NetworkError: the body ends before the announced length.
            ProtocolError: it is larger.
        """
        deadline = time.monotonic() + self._patience
        size = self._raw.length or 0
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

    def _read(self, read: Callable[[int], bytes]) -> bytes:
        try:
            block = read(_READ_BLOCK)
            if not block and self._raw.length:
                raise IncompleteRead(b"", self._raw.length)
        except (*_BELOW, ValueError) as error:  # a chunk of negative size is a ValueError
            failure = _told(error, self._cancellation)
        else:
            self.is_over = not block
            return block
        raise failure


def _context_of(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=os.path.abspath(path))
    except OSError as error:  # an SSLError is one, too
        raise InvalidArgumentError(
            f"ca_bundle {path!r} cannot be used: {error.strerror or error}"
        ) from None


@cache
def _usual_context() -> ssl.SSLContext:
    import certifi  # noqa: PLC0415 - not needed without TLS

    return ssl.create_default_context(cafile=certifi.where())


def _told(error: Exception, cancellation: Cancellation) -> ResumableError:
    """What a failure below means, without the request it happened in."""
    if cancellation.is_broken:
        return TransferCancelledError("the transfer was stopped")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        failure = LocalFileError.of(error, "opening", "a socket")
        failure.advice = "Let the process have more open files (ulimit -n)"
        return failure
    if isinstance(error, HandshakeError):
        failed = ConnectionFailedError(
            f"the server's certificate or TLS was not accepted: {_reason(error.__cause__)}",
            advice="Check the endpoint's name; give ca_bundle= for a private authority",
        )
        failed.retryable = False
        return failed
    if isinstance(error, TimeoutError):
        return RequestTimeoutError("the server did not move a byte in time")
    return ConnectionFailedError(f"the connection failed: {_reason(error)}")


def _reason(error: BaseException | None) -> str:
    """What went wrong in words. Nothing of the request or of the answer is repeated."""
    if isinstance(error, RemoteDisconnected):
        return "the server hung up without an answer"
    if isinstance(error, IncompleteRead):
        return "the answer ended too early"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, HTTPException | ValueError):
        return "the answer is not HTTP"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
