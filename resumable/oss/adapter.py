"""The adapter of requests, with connections of our own and without its session.

A session follows redirects with the body and the security token, reads ~/.netrc, keeps cookies and
rewrites paths such as `a/../b` after they were signed.
"""

import socket
import ssl
import threading
import weakref
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.connection import is_connection_dropped

from resumable.errors import InvalidArgumentError
from resumable.oss.connections import LONGEST_WAIT, Connection, Exchange, TlsConnection, current
from resumable.oss.messages import WireRequest
from resumable.oss.proxies import Proxy
from resumable.oss.watchdog import watchdog

_POOL_SIZE = 256  # as many as a transfer may have threads

_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
if hasattr(socket, "TCP_NOTSENT_LOWAT"):
    # What the kernel holds but has not sent is little: otherwise, on a slow line, the wait for an
    # answer would begin while megabytes of the body are still to be sent.
    _SOCKET_OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 256 * 1024))


_adapters: "weakref.WeakSet[Adapter]" = weakref.WeakSet()
_adapters_lock = threading.Lock()


def _close_idle(is_useless: Callable[[Any], bool]) -> tuple[int, int]:
    """Close connections that carry no request; how many were closed, and how many stay open."""
    with _adapters_lock:
        pools = [pool for adapter in _adapters for pool in list(adapter.pools.values())]
    closed = still_open = 0
    for queue in [pool.pool for pool in pools if pool.pool is not None]:
        with queue.mutex:
            for connection in filter(lambda each: each is not None and each.sock, queue.queue):
                if is_useless(connection):
                    connection.close()
                    closed += 1
                still_open += connection.sock is not None
    return closed, still_open


def _close_dropped() -> bool:
    """Close those that the server closed; return whether others stay open."""
    return _close_idle(is_connection_dropped)[1] > 0


def close_idle_connections() -> int:
    """Close the connections of this process that carry no request, and return how many.

    They connect again when they are needed.
    """
    return _close_idle(lambda _: True)[0]


watchdog.tidy = _close_dropped


def _pools_of(plain: Any, over_tls: Any) -> dict[str, Any]:
    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = plain

    class TlsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = over_tls

    return {"http": Pool, "https": TlsPool}


_POOLS = _pools_of(Connection, TlsConnection)


class Adapter(HTTPAdapter):
    """The adapter of requests for one TLS context and at most one proxy.

    Attributes:
        pools: The connections to each origin.

    Args:
        context: For TLS connections; it knows which authorities to trust.
        proxy: What all requests go through.

    Raises:
        InvalidArgumentError: it is a SOCKS proxy, and PySocks is not installed.
    """

    def __init__(self, context: ssl.SSLContext, proxy: Proxy | None) -> None:
        self._context = context
        self._proxy = proxy
        self._socks = _socks() if proxy is not None and proxy.is_socks else None
        self.pools: dict[str, Any] = {}
        super().__init__(pool_connections=4, pool_maxsize=_POOL_SIZE, max_retries=0)
        with _adapters_lock:
            _adapters.add(self)

    def start(self, exchange: Exchange, connect_timeout: float) -> urllib3.HTTPResponse:
        """Send a request and read the head of its answer.

        Args:
            exchange: The request, and through which it can be aborted.
            connect_timeout: Seconds to wait for a connection.
        """
        prepared = requests.PreparedRequest()
        prepared.method = exchange.request.method
        prepared.url = exchange.request.origin + exchange.request.target
        prepared.headers = exchange.head()
        if exchange.request.body is not None:
            blocks: Any = exchange.blocks(exchange.request.body)
            prepared.body = blocks
        current.exchange = exchange
        try:
            timeouts = min(connect_timeout, LONGEST_WAIT), exchange.timeout
            raw: urllib3.HTTPResponse = self.send(prepared, stream=True, timeout=timeouts).raw
            return raw
        finally:
            del current.exchange

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(
            *args, ssl_context=self._context, socket_options=_SOCKET_OPTIONS, **options
        )
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if proxy not in self.proxy_manager:
            options |= {"ssl_context": self._context, "socket_options": _SOCKET_OPTIONS}
            if self._socks is not None:
                manager_for, pools = self._socks
                made = manager_for(self._proxy, maxsize=_POOL_SIZE, **options)
                self.proxy_manager[proxy] = made
            else:
                options["proxy_ssl_context"] = self._context
                made, pools = super().proxy_manager_for(proxy, **options), _POOLS
            made.pool_classes_by_scheme = pools
        return self.proxy_manager[proxy]

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        login = None if self._proxy is None else self._proxy.authorization
        return {} if login is None else {"Proxy-Authorization": login}

    def get_connection_with_tls_context(self, *_: object, **__: object) -> Any:
        origin = current.exchange.request.origin
        if (pool := self.pools.get(origin)) is None:
            manager = self.poolmanager
            if self._proxy is not None:
                manager = self.proxy_manager_for(self._proxy.url)
            pool = self.pools.setdefault(origin, manager.connection_from_url(origin))
        return pool

    def cert_verify(self, *_: object, **__: object) -> None:
        """Leave verification to the context: here authorities of certifi would be added to it."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        wire: WireRequest = current.exchange.request
        is_direct = self._proxy is None or self._proxy.is_socks
        is_forwarded = not is_direct and wire.origin.startswith("http:")
        return wire.origin + wire.target if is_forwarded else wire.target

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = requests.Response()  # without cookies and history
        response.raw = resp
        return response

    def close(self) -> None:
        self.pools.clear()
        super().close()


def _socks() -> tuple[Callable[..., urllib3.PoolManager], dict[str, Any]]:
    """What makes a pool manager for a SOCKS proxy, and its pools."""
    try:
        from resumable.oss.socks import (  # noqa: PLC0415 - only who uses SOCKS has it installed
            SocksConnection,
            SocksTlsConnection,
            socks_manager,
        )
    except ImportError:
        pass
    else:
        return socks_manager, _pools_of(SocksConnection, SocksTlsConnection)
    raise InvalidArgumentError(
        "a SOCKS proxy needs PySocks, which is not installed",
        advice="Install the extra oss-resumable[socks]; in a checkout of the project: "
        "python -m pip install '.[socks]'",
    )
