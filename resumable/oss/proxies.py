"""Which proxy a request goes through: an argument, or the variables that curl and requests read.

Pure: the environment is an argument. A password is kept out of every `repr`, pickle and traceback;
therefore nothing here raises while a URL is in a local variable.
"""

import base64
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NoReturn
from urllib.parse import unquote, urlsplit

from resumable.errors import InvalidArgumentError
from resumable.oss.endpoint import DEFAULT_PORTS

PROXY_ARGUMENT = "proxy= or --proxy"
_DEFAULT_PORTS = {**DEFAULT_PORTS, "socks5": 1080, "socks5h": 1080}
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_MAX_SOCKS_FIELD = 255
_ADVICE = (
    "Write it as http://host:port or http://user:password@host:port (also https, socks5, socks5h); "
    "percent-encode special characters in the user and the password"
)
_FORM = "is not http(s)://, socks5:// or socks5h:// with a host and a port"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ProxyLogin:
    """User and password for a proxy. Neither is shown by `repr`, and it cannot be pickled."""

    __slots__ = ("password", "user")

    def __init__(self, user: str, password: str) -> None:
        self.user = user
        self.password = password

    def __repr__(self) -> str:
        return "ProxyLogin(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProxyLogin):
            return NotImplemented
        return self.user == other.user and self.password == other.password

    def __hash__(self) -> int:
        return hash((self.user, self.password))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a proxy's password is not pickled; set HTTPS_PROXY where it is unpickled")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. Its `repr` and `str` show neither user nor password.

    Attributes:
        scheme: `http` or `https` (CONNECT, or absolute form for plain HTTP), `socks5` (names are
            resolved here) or `socks5h` (names are resolved by the proxy).
        host: Its name or address, without brackets.
        port: Its port.
        login: User and password, if it wants them.
        setting: Where it was given: as an argument, or the name of a variable.
    """

    scheme: str
    host: str
    port: int
    login: ProxyLogin | None = field(default=None, repr=False)
    setting: str = field(default=PROXY_ARGUMENT, compare=False)

    @property
    def url(self) -> str:
        """The URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS and not HTTP."""
        return self.scheme.startswith("socks")

    @property
    def authorization(self) -> str | None:
        """The value of `Proxy-Authorization`, in UTF-8 as curl sends it; None without a login."""
        if self.login is None:
            return None
        login = f"{self.login.user}:{self.login.password}".encode()
        return f"Basic {base64.b64encode(login).decode()}"

    def __str__(self) -> str:
        if self.login is None:
            return self.url
        return self.url.replace("://", "://***@", 1)


ProxyChoice = Proxy | Literal[False] | None


def read_proxy(given: object, setting: str = PROXY_ARGUMENT) -> ProxyChoice | InvalidArgumentError:
    """Read the `proxy=` of a caller or the value of a variable.

    An error is returned, not raised, so that its traceback has no frame that holds the password.

    Args:
        given: A URL; without a scheme it is `http://`. None and False are returned as they are.
        setting: How to call it in an error.
    """
    if given is None or given is False or isinstance(given, Proxy):
        return given
    if not isinstance(given, str):
        return InvalidArgumentError(
            f"{setting} is a URL, False or None, not {type(given).__name__}", advice=_ADVICE
        )
    found = _parsed(given, setting)
    if isinstance(found, str):
        # What was given is not repeated: it may hold a password.
        return InvalidArgumentError(f"the proxy in {setting} {found}", advice=_ADVICE)
    return found


def find_proxy(
    origin: str,
    explicit: str | ProxyChoice | InvalidArgumentError,
    environ: Mapping[str, str],
) -> Proxy | None:
    """The proxy for requests to an origin; None if they go there directly.

    An explicit proxy is used for every host, whatever `NO_PROXY` says. Otherwise the environment
    decides: `HTTPS_PROXY` for https, `HTTP_PROXY` for http, `ALL_PROXY` if that is not set, none of
    them for what `NO_PROXY` names, and none for this machine itself. A name in lower case comes
    before the one in upper case, even if it is empty. `HTTP_PROXY` in upper case is not read in a
    CGI program (`REQUEST_METHOD` is set), where a header of the client would set it.

    Args:
        origin: Scheme, host and port of the requests.
        explicit: A URL or what `read_proxy` made of one; False for none; None for the environment.
        environ: The environment.

    Raises:
        InvalidArgumentError: what was given is not a proxy; it says where, and not what.
    """
    found = _found(origin, explicit, environ)
    if isinstance(found, InvalidArgumentError):
        # Neither the URL nor the environment is to be in a frame of the traceback.
        del explicit, environ
        raise found
    return found


def _found(
    origin: str, explicit: object, environ: Mapping[str, str]
) -> Proxy | InvalidArgumentError | None:
    if isinstance(explicit, InvalidArgumentError):
        return explicit
    if explicit is not None:
        return read_proxy(explicit) or None
    url = urlsplit(origin)
    host, port = url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]
    if _is_this_machine(host):
        return None
    named = _variable(environ, f"{url.scheme}_proxy") or _variable(environ, "all_proxy")
    if named is None or _bypasses(environ, host, port):
        return None
    return read_proxy(environ[named].strip(), named) or None


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    """The name under which a variable is set, if it is and is not empty."""
    for spelled in (name, name.upper()):
        if spelled == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
            continue
        if spelled in environ:
            return spelled if environ[spelled].strip() else None
    return None


def _parsed(text: str, setting: str) -> Proxy | str:
    """A proxy, or what is wrong with the text as the end of a sentence."""
    if not text.isprintable() or " " in text:
        return "holds a space or a control character"
    try:
        url = urlsplit(text if _SCHEME.match(text) else f"http://{text}")
        port = url.port
    except ValueError:
        return _FORM
    host = _host(url.hostname or "")
    is_more = url.path not in ("", "/") or url.query or url.fragment
    if url.scheme not in _DEFAULT_PORTS or not host or is_more or port == 0:
        return _FORM
    try:
        user = unquote(url.username or "", errors="strict")
        password = unquote(url.password or "", errors="strict")
    except UnicodeDecodeError:
        return "has a user or password that is not percent-encoded UTF-8"
    if ":" in host and url.scheme.startswith("socks"):
        wrong = "is a SOCKS proxy by its IPv6 address; name it by a host name or an IPv4 address"
    else:
        wrong = _unusable_login(user, password, url.scheme)
    if wrong:
        return wrong
    login = ProxyLogin(user, password) if user or password else None
    return Proxy(url.scheme, host, port or _DEFAULT_PORTS[url.scheme], login, setting)


def _host(text: str) -> str:
    """A host as it is connected to, or nothing if it is none."""
    if ":" not in text:
        return text if _NAME.fullmatch(text) else ""
    address = _address(text.replace("%25", "%", 1))  # a zone, such as in fe80::1%eth0
    return str(address) if address is not None else ""


def _unusable_login(user: str, password: str, scheme: str) -> str:
    """Why a login cannot be sent, or nothing."""
    if ":" in user:
        return "has a user with a colon, which no proxy can be given"
    if not (user + password).isprintable():
        return "has a user or password with a control character"
    longest = max(len(user.encode()), len(password.encode()))
    if scheme.startswith("socks") and longest > _MAX_SOCKS_FIELD:
        return f"has a user or password of more than {_MAX_SOCKS_FIELD} bytes"
    if scheme.startswith("socks") and bool(password) and not user:
        return "has a password without a user"
    return ""


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_this_machine(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _bypasses(environ: Mapping[str, str], host: str, port: int) -> bool:
    named = _variable(environ, "no_proxy")
    return named is not None and bypasses(environ[named], host, port)


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Whether a value of `NO_PROXY` names a host.

    Its entries are parted by commas or white space. Each is `*`; a name, which stands for itself
    and all below it, with or without a dot (or `*.`) in front; an address; or a network such as
    `10.0.0.0/8` or `fd00::/8`. All but networks may have a port, IPv6 then in brackets. Case and
    a dot at the end make no difference. Names are not resolved; an entry that is none of these
    names nothing.

    Args:
        no_proxy: The value.
        host: A name or an address without brackets.
        port: The port there.
    """
    name = host.lower().rstrip(".")
    address = _address(host)
    for entry in _entries(no_proxy):
        if entry == "*":
            return True
        if address is not None and _is_in_network(address, entry):
            return True
        wanted, its_port = _split_port(entry)
        if its_port not in (None, port):
            continue
        if address is not None:
            if _address(wanted) == address:
                return True
        elif _is_below(name, wanted):
            return True
    return False


def _entries(no_proxy: str) -> Iterator[str]:
    return (entry.lower() for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _is_in_network(address: _Address, entry: str) -> bool:
    if "/" not in entry:
        return False
    try:
        network = ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False
    return address in network


def _split_port(entry: str) -> tuple[str, int | None]:
    """An entry without its port and brackets, and the port."""
    if match := re.fullmatch(r"\[([^\]]*)\](?::([0-9]{1,5}))?", entry):
        return match[1], int(match[2]) if match[2] else None
    if match := re.fullmatch(r"([^:]*):([0-9]{1,5})", entry):
        return match[1], int(match[2])
    return entry, None


def _is_below(name: str, wanted: str) -> bool:
    """Whether a name is the wanted one or below it, label by label."""
    suffix = wanted.removeprefix("*.").strip(".")
    return bool(suffix) and (name == suffix or name.endswith(f".{suffix}"))
