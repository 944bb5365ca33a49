"""One request, one answer, and what it means if there is none."""

import errno
import logging
import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from typing import Protocol
from urllib.parse import urlsplit

import certifi
import requests
import urllib3

from resumable.errors import (
    ConnectionFailedError,
    InvalidArgumentError,
    LocalFileError,
    NetworkError,
    ProtocolError,
    RequestTimeoutError,
    ResumableError,
    TransferCancelledError,
)
from resumable.oss.adapter import Adapter
from resumable.oss.cancellation import Cancellation
from resumable.oss.connections import PATIENCE, BodyFailedError, Exchange
from resumable.oss.endpoint import DEFAULT_PORTS
from resumable.oss.intermediaries import foreign_answer, proxy_failure
from resumable.oss.messages import REQUEST_ID, Answer, WireRequest
from resumable.oss.proxies import Proxy

_log = logging.getLogger("resumable")
_MAX_ANSWER = 16 * 1024 * 1024
_READ_BLOCK = 256 * 1024
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, getattr(errno, "WSAEMFILE", errno.EMFILE))
TRANSPORT_EXCEPTIONS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,  # a chunk of negative size, a host that is no host
)
# What may be asked twice, even if the first time was heard.
_SAFE = ("GET", "HEAD")
# What no header carries: in a log it would look like lines, or steer a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]+")
# Why TLS cannot be agreed on, however often it is tried; what else goes wrong may be damage.
_PLAIN = re.compile("HTTP_REQUEST|RECORD_LAYER_FAILURE|WRONG_VERSION_NUMBER")
_DISAGREEMENTS = re.compile(
    f"{_PLAIN.pattern}|UNSUPPORTED_PROTOCOL|UNRECOGNIZED_NAME"
    "|ALERT_(BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|UNKNOWN_CA"
    "|UNSUPPORTED_CERTIFICATE|MISSING_EXTENSION|ACCESS_DENIED|INAPPROPRIATE_FALLBACK"
    "|INSUFFICIENT_SECURITY|PROTOCOL_VERSION)"
)


class OpenAnswer(Protocol):
    """An answer whose body is still on the wire.

    Attributes:
        status: The HTTP status.
        headers: The headers; their names are in lower case.
        size: Bytes of the body, if the head says.
    """

    status: int
    headers: dict[str, str]
    size: int | None

    def whole(self) -> Answer:
        """The answer with all of its body, which must be of a size that OSS gives.

        Raises:
            NetworkError: the body ends before the announced length.
            ProtocolError: it is larger.
        """
        ...

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes in, not decoded.

        Raises:
            NetworkError: it ends before the announced length.
        """
        ...


class Transport(Protocol):
    """What carries requests to an endpoint. Shared by threads."""

    def send(self, request: WireRequest, cancellation: Cancellation) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            NetworkError: there was no whole answer.
            ProtocolError: the answer is larger than any that OSS gives.
            TransferCancelledError: the request was cancelled.
        """
        ...

    def open(
        self, request: WireRequest, cancellation: Cancellation
    ) -> AbstractContextManager[OpenAnswer]:
        """Send a request and leave the answer's body to be read within the context.

        Raises:
            NetworkError: there was no answer.
            TransferCancelledError: the request was cancelled.
        """
        ...

    def close(self) -> None:
        """Close the connections that are idle."""
        ...


class RequestsTransport:
    """The transport on requests. Connections are kept open between requests.

    Args:
        connect_timeout: Seconds to wait for a connection.
        timeout: Seconds without a byte moving, in either direction, before a request fails.
        tls: Whether there are to be TLS connections. Without it no authority is trusted.
        trust: Path of a PEM file or a folder of the certificate authorities to trust, None for
            the usual ones; and which setting says so. Certificates are always verified.
        proxy: What all requests go through.
    """

    def __init__(
        self,
        connect_timeout: float,
        timeout: float,
        *,
        tls: bool,
        trust: tuple[str | None, str] = (None, ""),
        proxy: Proxy | None = None,
    ) -> None:
        self._timeouts = (connect_timeout, timeout)
        path, setting = trust
        if not tls and (path is None or setting != "ca_bundle"):
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        else:
            self._context = _usual_context() if path is None else _context_of(path, setting)
        self._proxy = proxy
        if proxy is not None:
            _log.info("requests go through the proxy %s, given by %s", proxy, proxy.setting)
        self._made = os.getpid(), Adapter(self._context, proxy)

    def _adapter(self) -> Adapter:
        """The connections of this process: with its parent's a child would get their answers."""
        owner, adapter = self._made
        if owner != os.getpid():
            self._made = _, adapter = os.getpid(), Adapter(self._context, self._proxy)
        return adapter

    def close(self) -> None:
        """Close the connections that are idle."""
        self._adapter().close()

    def send(self, request: WireRequest, cancellation: Cancellation) -> Answer:
        """Send a request and read the whole answer; raises as `Transport.send` does."""
        with self.open(request, cancellation) as answer:
            return answer.whole()

    @contextmanager
    def open(self, request: WireRequest, cancellation: Cancellation) -> Iterator[OpenAnswer]:
        """Send a request; raises as `Transport.open` does."""
        exchange = Exchange(request, self._timeouts[1])
        with cancellation.interruptible(exchange.abort):
            raw = self._start(exchange, cancellation)
            try:
                answer = _Incoming(raw, exchange, cancellation)
                if foreign := foreign_answer(request, answer, self._proxy):
                    raise foreign
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
                # A connection whose answer was read to its end is back in the pool by now.
                raw.close()

    def _start(self, exchange: Exchange, cancellation: Cancellation) -> urllib3.HTTPResponse:
        """Send a request and read the head of its answer."""
        adapter = self._adapter()
        try:
            return adapter.start(exchange, self._timeouts[0])
        except BodyFailedError as failed:
            failure: BaseException = failed.error
        except TRANSPORT_EXCEPTIONS as error:
            failure = translate_error(error, exchange, cancellation, self._proxy)
            if exchange.is_reused and not cancellation.is_broken:
                # What became of it while it was idle may have become of the others, too.
                adapter.close()
                lost = isinstance(failure, ConnectionFailedError) and not exchange.is_answered
                if lost and exchange.request.method in _SAFE:
                    exchange.is_reused = exchange.is_connected = False
                    return self._start(exchange, cancellation)
        except (KeyboardInterrupt, SystemExit) as stopped:
            failure = stopped.with_traceback(None)
        # Raised out here so that it does not carry the request, and with it the signature, along.
        raise failure from None


class _Incoming:
    """An answer that urllib3 reads."""

    def __init__(
        self, raw: urllib3.HTTPResponse, exchange: Exchange, cancellation: Cancellation
    ) -> None:
        self._raw = raw
        self._exchange = exchange
        self._cancellation = cancellation
        self.status = raw.status
        # Taken by name, a header that came several times is one.
        self.headers = {name.lower(): _as_text(raw.headers[name]) for name in raw.headers}
        self.size = raw.length_remaining

    def whole(self) -> Answer:
        deadline = time.monotonic() + PATIENCE * self._exchange.timeout
        size = int(self.size or 0)
        blocks: list[bytes] = []
        while size <= _MAX_ANSWER and (block := self._read()):
            blocks.append(block)
            size = max(size, sum(map(len, blocks)))
            if time.monotonic() > deadline:
                raise RequestTimeoutError("the server takes too long over its answer")
        if size > _MAX_ANSWER:
            raise ProtocolError(f"an answer of more than {_MAX_ANSWER} bytes")
        return Answer(self.status, self.headers, b"".join(blocks))

    def blocks(self) -> Iterator[bytes]:
        while block := self._read():
            yield block

    def _read(self) -> bytes:
        try:
            with self._exchange.deadline():
                data = self._raw.read1(_READ_BLOCK, decode_content=False)
            self._exchange.check()
            return data
        except TRANSPORT_EXCEPTIONS as error:
            failure = translate_error(error, self._exchange, self._cancellation)
        raise failure from None


def translate_error(
    error: Exception,
    exchange: Exchange,
    cancellation: Cancellation,
    proxy: Proxy | None = None,
) -> ResumableError:
    """Map an exception of the transport to the package's, without the request it happened in."""
    if cancellation.is_broken:
        return TransferCancelledError("the transfer was stopped")
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _NO_DESCRIPTORS:
            failure = LocalFileError.of(cause, "opening", "a socket")
            failure.advice = "Let the process have more open files (ulimit -n)"
            return failure
    url = urlsplit(exchange.request.origin)
    host, port = url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    failure_of_proxy = None
    if proxy is not None:
        failure_of_proxy = proxy_failure(causes, proxy, place, _reason(causes))
        if failure_of_proxy is not None and any(map(_is_final, causes)):
            failure_of_proxy.retryable = False
        place += f" through the proxy {proxy.url}"
    translated = failure_of_proxy or _translated(causes, exchange, place)
    translated.host, translated.port = host, port
    translated.proxy = "" if proxy is None else proxy.url
    return translated


def _translated(causes: list[BaseException], exchange: Exchange, place: str) -> NetworkError:
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and _is_final(cause):
            failed = ConnectionFailedError(
                f"the certificate or TLS of {place} was not accepted: {_reason(causes)}",
                advice="Check the endpoint's name; give ca_bundle= for a private authority",
            )
            failed.retryable = False
            if _PLAIN.search(_openssl_reason(cause)):
                failed.is_plain, failed.advice = True, ""
            return failed
        if type(cause).__name__ == "HTTPException":  # the only one that has no type of its own
            failed = ConnectionFailedError(f"{place} answered with too many headers to be read")
            failed.retryable = False
            return failed
    timed_out = exchange.is_overdue or any(
        isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError)
        and not isinstance(cause, urllib3.exceptions.NewConnectionError)
        for cause in causes
    )
    if not exchange.is_connected:
        reason = "timed out" if timed_out else _reason(causes)
        if timed_out:
            return RequestTimeoutError(f"cannot connect to {place}: {reason}")
        unconnected = ConnectionFailedError(f"cannot connect to {place}: {reason}")
        unconnected.is_unresolved = any(type(cause).__name__ == "gaierror" for cause in causes)
        return unconnected
    if timed_out:
        return RequestTimeoutError(f"{place} did not move a byte, or end its answer, in time")
    return ConnectionFailedError(f"the connection to {place} failed: {_reason(causes)}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those it was made of, which are in its arguments or its reason."""
    yield error
    for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
        if isinstance(inner, BaseException):
            yield from _causes(inner)


def _is_final(error: BaseException) -> bool:
    if not isinstance(error, ssl.SSLError):
        return False
    disagrees = _DISAGREEMENTS.search(_openssl_reason(error))
    return isinstance(error, ssl.SSLCertVerificationError) or bool(disagrees)


def _openssl_reason(error: ssl.SSLError) -> str:
    # What OpenSSL says may be too new to have a name in this Python; its words are in the text.
    return getattr(error, "reason", None) or str(error).upper().replace(" ", "_")


def _reason(causes: list[BaseException]) -> str:
    """What went wrong in words. Nothing of the request or of the answer is repeated."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, urllib3.exceptions.IncompleteRead):
            return "the answer ended too early"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if type(cause).__name__ == "RemoteDisconnected":
            return "the server closed the connection without an answer"
        if type(cause).__module__ == "http.client":
            return "the answer is not HTTP"
    return "timed out" if isinstance(causes[-1], TimeoutError) else type(causes[-1]).__name__


def _as_text(value: str) -> str:
    """A header's value as http.client read it, which takes every byte for latin-1."""
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode()
    return _CONTROL.sub(" ", value)


def _context_of(path: str, setting: str) -> ssl.SSLContext:
    try:
        return _trusting(path)
    except OSError as error:  # an SSLError is one, too
        raise InvalidArgumentError(
            f"the certificate authorities in {path!r} ({setting}) cannot be used: "
            f"{error.strerror or error}"
        ) from None


@cache
def _usual_context() -> ssl.SSLContext:
    path = certifi.where()
    try:
        return _trusting(path)
    except OSError as error:
        raise LocalFileError.of(error, "reading", path) from None


def _trusting(path: str) -> ssl.SSLContext:
    # Not the default context, which heeds SSLKEYLOGFILE, and has other rules in each Python.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})
    # A name stands among the alternative ones of a certificate, as RFC 9110 has it.
    context.hostname_checks_common_name = False
    return context
