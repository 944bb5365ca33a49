"""What it means that there was no answer: errors of the transport become those of the package."""

import errno
import re
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
import urllib3

from resumable.errors import (
    ConnectionFailedError,
    LocalFileError,
    NetworkError,
    RequestTimeoutError,
    ResumableError,
    TransferCancelledError,
)
from resumable.oss.cancellation import Cancellation
from resumable.oss.connections import Exchange
from resumable.oss.endpoint import DEFAULT_PORTS
from resumable.oss.intermediaries import proxy_failure
from resumable.oss.proxies import Proxy

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, getattr(errno, "WSAEMFILE", errno.EMFILE))
TRANSPORT_EXCEPTIONS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,  # a chunk of negative size, a host that is no host
)
# Why TLS cannot be agreed on, however often it is tried; what else goes wrong may be damage.
_PLAIN = re.compile("HTTP_REQUEST|RECORD_LAYER_FAILURE|WRONG_VERSION_NUMBER")
_DISAGREEMENTS = re.compile(
    f"{_PLAIN.pattern}|UNSUPPORTED_PROTOCOL|UNRECOGNIZED_NAME"
    "|ALERT_(BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|UNKNOWN_CA"
    "|UNSUPPORTED_CERTIFICATE|MISSING_EXTENSION|ACCESS_DENIED|INAPPROPRIATE_FALLBACK"
    "|INSUFFICIENT_SECURITY|PROTOCOL_VERSION)"
)


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
