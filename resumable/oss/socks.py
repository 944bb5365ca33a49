"""Connections through a SOCKS proxy. Needs PySocks, which the extra `socks` installs."""

from typing import Any

# urllib3 would warn where it is missing, and then fail.
import socks as _  # noqa: F401
import urllib3
from urllib3.contrib.socks import SOCKSConnection, SOCKSHTTPSConnection, SOCKSProxyManager

from resumable.oss.connections import Connection, TlsConnection
from resumable.oss.proxies import Proxy


class SocksConnection(Connection, SOCKSConnection):
    """A plain connection through the proxy."""

    looks_up_names = False


class SocksTlsConnection(TlsConnection, SOCKSHTTPSConnection):
    """The same with TLS to the server, inside of what the proxy carries."""

    looks_up_names = False


def socks_manager(proxy: Proxy, **options: Any) -> urllib3.PoolManager:  # noqa: ANN401
    """The pool manager for a SOCKS proxy; the options are those of urllib3."""
    login = proxy.login
    # With empty texts nothing is taken from the URL, and no login is offered.
    return SOCKSProxyManager(
        proxy.url,
        username=login.user if login else "",
        password=login.password if login else "",
        **options,
    )
