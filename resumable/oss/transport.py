"""One request, one answer, and what it means if there is none."""

import errno
import logging
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

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
    LOST,
    PATIENCE,
    Connection,
    Exchange,
    HandshakeError,
    Pool,
)
from resumable.oss.incoming import BrokenAnswerError, IncomingAnswer
from resumable.oss.messages import REQUEST_ID, Answer, WireRequest
from resumable.oss.outgoing import BodyFailedError

_log = logging.getLogger("resumable")
_MAX_ANSWER = 16 * 1024 * 1024
_READ_BLOCK = 256 * 1024
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, getattr(errno, "WSAEMFILE", errno.EMFILE))
# What may come up from below.
_BELOW = (HandshakeError, BrokenAnswerError, OSError)
# What may be asked twice, even if the first time was heard.
_SAFE = ("GET", "HEAD")


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
        self._pool = self._new_pool()

    def _new_pool(self) -> tuple[int, Pool]:
        return os.getpid(), Pool(self._timeouts, self._context)

    def _pool_of_this_process(self) -> Pool:
        """Connections for now: with those of its parent a forked child would get its answers."""
        owner, pool = self._pool
        if owner != os.getpid():
            self._pool = owner, pool = self._new_pool()
        return pool

    def close(self) -> None:
        """Close the connections that are idle."""
        self._pool_of_this_process().close()

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
        pool, exchange = self._pool_of_this_process(), Exchange()
        with cancellation.interruptible(exchange.break_off):
            connection, incoming = self._start(request, pool, exchange, cancellation)
            try:
                answer = OpenAnswer(incoming, cancellation, PATIENCE * self._timeouts[1])
                _log.debug(
                    "%s %s%s: %d, request id %s",
                    request.method,
                    request.origin,
                    request.target,
                    answer.status,
                    answer.headers.get(REQUEST_ID, "unknown"),
                )
                yield answer
            finally:
                exchange.detach()
                pool.keep(connection)

    def _start(
        self,
        request: WireRequest,
        pool: Pool,
        exchange: Exchange,
        cancellation: Cancellation,
    ) -> tuple[Connection, IncomingAnswer]:
        """Send a request and read the head of its answer."""
        try:
            return _exchanged(request, pool, exchange)
        except _BELOW as error:
            failure: Exception = _told(error, cancellation)
        except BodyFailedError as failed:
            failure = failed.error
        # Raised out here so that it does not carry the request, and with it the signature, along.
        raise failure


class OpenAnswer:
    """An answer whose body is still on the wire."""

    def __init__(
        self, incoming: IncomingAnswer, cancellation: Cancellation, patience: float
    ) -> None:
        self._patience = patience
        self._incoming = incoming
        self._cancellation = cancellation
        self.status = incoming.status
        self.headers = incoming.fields
        self.size = incoming.size

    def whole(self) -> Answer:
        """The answer with all of its body, which must be of a size that OSS gives.

        Raises:
            NetworkError: the body ends before the announced length.
            ProtocolError: it is larger.
        """
        deadline = time.monotonic() + self._patience
        size = 0
        blocks: list[bytes] = []
        while size + (self._incoming.left or 0) <= _MAX_ANSWER and (block := self._read()):
            blocks.append(block)
            size += len(block)
            if time.monotonic() > deadline:
                raise RequestTimeoutError("the server takes too long over its answer")
        if size + (self._incoming.left or 0) > _MAX_ANSWER:
            raise ProtocolError(f"an answer of more than {_MAX_ANSWER} bytes")
        return Answer(self.status, self.headers, b"".join(blocks))

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes in, not decoded.

        Raises:
            NetworkError: it ends before the announced length.
        """
        while block := self._read():
            yield block

    def _read(self) -> bytes:
        try:
            return self._incoming.read(_READ_BLOCK)
        except _BELOW as error:
            failure = _told(error, self._cancellation)
        raise failure


def _exchanged(
    request: WireRequest, pool: Pool, exchange: Exchange
) -> tuple[Connection, IncomingAnswer]:
    connection = pool.take(request.origin, exchange)
    try:
        return connection, _answered(request, connection, exchange)
    except _BELOW as error:
        if not connection.was_used or exchange.is_broken:
            raise
        # What became of it while it waited may have become of the other ones, too.
        pool.close()
        is_lost = isinstance(error, LOST) and connection.is_unanswered
        if not is_lost or request.method not in _SAFE:
            raise
    connection = pool.connect(request.origin, exchange)
    return connection, _answered(request, connection, exchange)


def _answered(request: WireRequest, connection: Connection, exchange: Exchange) -> IncomingAnswer:
    with exchange.holding(connection.sock):
        connection.send(request)
        return connection.receive(request)


def _context_of(path: str) -> ssl.SSLContext:
    try:
        return _trusting(os.path.abspath(path))
    except OSError as error:  # an SSLError is one, too
        raise InvalidArgumentError(
            f"ca_bundle {path!r} cannot be used: {error.strerror or error}"
        ) from None


@cache
def _usual_context() -> ssl.SSLContext:
    import certifi  # noqa: PLC0415 - not needed without TLS

    try:
        return _trusting(certifi.where())
    except OSError as error:
        raise LocalFileError.of(error, "reading", certifi.where()) from None


def _trusting(path: str) -> ssl.SSLContext:
    # Not the default context, which heeds SSLKEYLOGFILE, and has other rules in each Python.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(path)
    # A name stands among the alternative ones of a certificate, as RFC 9110 has it.
    context.hostname_checks_common_name = False
    return context


def _told(error: Exception, cancellation: Cancellation) -> ResumableError:
    """What a failure below means, without the request it happened in."""
    if cancellation.is_broken:
        return TransferCancelledError("the transfer was stopped")
    if isinstance(error, OSError) and error.errno in _NO_DESCRIPTORS:
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
        return RequestTimeoutError("the server did not move a byte, or end its answer, in time")
    return ConnectionFailedError(f"the connection failed: {_reason(error)}")


def _reason(error: BaseException | None) -> str:
    """What went wrong in words. Nothing of the request or of the answer is repeated."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, BrokenAnswerError):
        return f"the answer is not HTTP: {error}"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
