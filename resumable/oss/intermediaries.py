"""Errors of what stands between here and OSS: proxies, and captive portals. No I/O.

Nothing that these say is repeated but a status: a page may hold what was sent to it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from resumable.errors import ProtocolError, ProxyAuthenticationError, ProxyError
from resumable.oss.messages import REQUEST_ID, WireRequest
from resumable.oss.proxies import PROXY_ARGUMENT, Proxy

# Some proxies, such as tinyproxy, answer a wrong login as a server would.
_WANTS_LOGIN = (401, 407)

# How http.client says that CONNECT was refused; it has no type for it.
_REFUSED = re.compile(r"Tunnel connection failed: ([0-9]{3})")


class Head(Protocol):
    """Status and headers of an answer."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; their names are in lower case."""
        ...


def proxy_failure(
    causes: Sequence[BaseException], proxy: Proxy, place: str, reason: str
) -> ProxyError | None:
    """The error for an exception that the proxy is at fault for; None if it is not.

    Args:
        causes: The exception and those it was made of.
        proxy: The proxy.
        place: Host and port that the request was to reach through it.
        reason: What the exception says went wrong.
    """
    for cause in causes:
        refused = _REFUSED.search(str(cause)) if isinstance(cause, OSError) else None
        if refused is not None:
            return _refused(int(refused[1]), proxy, place)
    socks = {type(error).__name__: error for error in _socks_errors(causes)}
    if "SOCKS5AuthError" in socks:
        return _wants_login(proxy, "a refused login")
    if "SOCKS5Error" in socks:
        message = f"the proxy {proxy.url} does not connect to {place}: {socks['SOCKS5Error']}"
        return _with_proxy(ProxyError(message), proxy)
    if socks or _is_wrapped(causes):
        reason = next((_system_reason(error) for error in socks.values()), reason)
        message = f"cannot connect to the proxy {proxy.url} on the way to {place}: {reason}"
        return _with_proxy(
            ProxyError(message, advice=f"Check the proxy: {_where_set(proxy)}"), proxy
        )
    return None


def foreign_answer(
    request: WireRequest, answer: Head, proxy: Proxy | None
) -> ProxyError | ProtocolError | None:
    """The error for an answer that OSS did not give; None if it did, or may have.

    OSS gives each answer a request id. Without one, no success is believed, nor that an object is
    not there. Other refusals are the proxy's if the request was sent to it in absolute form: in a
    tunnel it is the server that answers.
    """
    is_known = bool(answer.headers.get(REQUEST_ID))
    place = request.origin.partition("://")[2]
    is_forwarded = proxy is not None and not proxy.is_socks and request.origin.startswith("http:")
    if proxy is not None and is_forwarded and answer.status >= 400:
        if is_known and answer.status != 407:
            return None
        error = _refused(answer.status, proxy, place)
        url = urlsplit(request.origin)
        error.host, error.port = url.hostname or "", url.port or 80
        return error
    is_absence = request.method == "HEAD" and answer.status == 404
    if is_known or not (answer.status < 300 or is_absence):
        return None
    through = "" if proxy is None else f" through the proxy {proxy.url}"
    return ProtocolError(
        f"{place}{through} answered, but not as OSS does: HTTP {answer.status} without "
        f"{REQUEST_ID}",
        advice="A captive portal, a proxy or another server may have answered: check the endpoint",
    )


def _refused(status: int, proxy: Proxy, place: str) -> ProxyError:
    if status in _WANTS_LOGIN:
        return _wants_login(proxy, f"HTTP {status}", status)
    error = ProxyError(
        f"the proxy {proxy.url} does not connect to {place}: HTTP {status}",
        advice="" if status >= 500 else f"Ask who runs the proxy: {_where_set(proxy)}",
    )
    error.status = status
    error.retryable = status >= 500 or status in (408, 429)
    return _with_proxy(error, proxy)


def _wants_login(proxy: Proxy, how: str, status: int = 0) -> ProxyError:
    has = "another user or password" if proxy.login is not None else "a user and a password"
    error = ProxyAuthenticationError(
        f"the proxy {proxy.url} wants {has} ({how})",
        advice=f"Write them into its URL, http://user:password@host:port: {_where_set(proxy)}",
    )
    error.status = status
    return _with_proxy(error, proxy)


def _with_proxy(error: ProxyError, proxy: Proxy) -> ProxyError:
    error.proxy = proxy.url
    return error


def _socks_errors(causes: Iterable[BaseException]) -> Iterator[BaseException]:
    """The errors of PySocks, which urllib3 does not name as causes; the outermost first."""
    for cause in causes:
        error: BaseException | None = cause.__context__
        while error is not None and type(error).__module__ == "socks":
            yield error
            error = getattr(error, "socket_err", None)


def _system_reason(error: BaseException) -> str:
    inner = getattr(error, "socket_err", None)
    return getattr(inner, "strerror", None) or "it does not speak SOCKS5"


def _is_wrapped(causes: Iterable[BaseException]) -> bool:
    """Whether urllib3 or requests says that the proxy was not reached."""
    return any(type(cause).__name__ == "ProxyError" for cause in causes)


def _where_set(proxy: Proxy) -> str:
    if proxy.setting == PROXY_ARGUMENT:
        return f"it was given as {proxy.setting}"
    return f"it was given by {proxy.setting}; NO_PROXY names hosts to reach without it"
