"""Which proxy is chosen, and that its password stays out of sight. Witnesses: curl and requests."""

import os
import pickle
import shutil
import subprocess
import traceback
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.utils import get_environ_proxies, select_proxy, should_bypass_proxies

from resumable.errors import InvalidArgumentError
from resumable.oss.proxies import (
    PROXY_ARGUMENT,
    Proxy,
    ProxyLogin,
    bypasses,
    find_proxy,
    read_proxy,
)
from tests.oss.conftest import Serve
from tests.oss.rawserver import answer, answering

HTTPS = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com"
HTTP = "http://examplebucket.oss-cn-hangzhou.aliyuncs.com"
SECRET = "TopSecretProxyPassword"

A, B, C = "http://a.test:1", "http://b.test:2", "http://c.test:3"

# Origin, environment, the proxy.
CHOICES: dict[str, tuple[str, dict[str, str], str | None]] = {
    "nothing is set": (HTTPS, {}, None),
    "https": (HTTPS, {"HTTPS_PROXY": A}, A),
    "https in lower case": (HTTPS, {"https_proxy": A}, A),
    "lower case wins": (HTTPS, {"HTTPS_PROXY": A, "https_proxy": B}, B),
    "http is not for https": (HTTPS, {"HTTP_PROXY": A, "http_proxy": A}, None),
    "https is not for http": (HTTP, {"HTTPS_PROXY": A, "https_proxy": A}, None),
    "http": (HTTP, {"HTTP_PROXY": A}, A),
    "http in lower case": (HTTP, {"http_proxy": A}, A),
    "all": (HTTPS, {"ALL_PROXY": A}, A),
    "all in lower case wins": (HTTPS, {"ALL_PROXY": A, "all_proxy": B}, B),
    "the scheme's comes before all": (HTTPS, {"all_proxy": A, "HTTPS_PROXY": B}, B),
    "all for http": (HTTP, {"ALL_PROXY": A, "HTTPS_PROXY": B}, A),
    "empty": (HTTPS, {"HTTPS_PROXY": ""}, None),
    "empty lower case switches off": (HTTPS, {"https_proxy": "", "HTTPS_PROXY": A}, None),
    "then all is next": (HTTPS, {"https_proxy": "", "HTTPS_PROXY": A, "ALL_PROXY": B}, B),
    "CGI": (HTTP, {"HTTP_PROXY": A, "REQUEST_METHOD": "GET"}, None),
    "CGI reads lower case": (HTTP, {"http_proxy": A, "REQUEST_METHOD": "GET"}, A),
    "CGI reads https": (HTTPS, {"HTTPS_PROXY": A, "REQUEST_METHOD": "GET"}, A),
    "CGI falls back to all": (HTTP, {"HTTP_PROXY": A, "ALL_PROXY": B, "REQUEST_METHOD": ""}, B),
    "no_proxy": (HTTPS, {"HTTPS_PROXY": A, "NO_PROXY": "aliyuncs.com"}, None),
    "no_proxy in lower case wins": (
        HTTPS,
        {"HTTPS_PROXY": A, "NO_PROXY": "aliyuncs.com", "no_proxy": "other.test"},
        A,
    ),
    "empty no_proxy in lower case wins": (
        HTTPS,
        {"HTTPS_PROXY": A, "NO_PROXY": "aliyuncs.com", "no_proxy": ""},
        A,
    ),
    "localhost": ("https://localhost:9000", {"ALL_PROXY": A}, None),
    "below localhost": ("http://examplebucket.localhost:9000", {"ALL_PROXY": A}, None),
    "127/8": ("http://127.9.8.7", {"ALL_PROXY": A}, None),
    "::1": ("http://[::1]:9000", {"ALL_PROXY": A}, None),
    "mapped loopback": ("http://[::ffff:127.0.0.1]:9000", {"ALL_PROXY": A}, None),
    "looks like localhost": ("http://notlocalhost", {"ALL_PROXY": A}, A),
    "without a scheme": (HTTPS, {"HTTPS_PROXY": "a.test:1"}, A),
    "with spaces around": (HTTPS, {"HTTPS_PROXY": f" {A} "}, A),
    "with a slash": (HTTPS, {"HTTPS_PROXY": f"{A}/"}, A),
}


@pytest.mark.parametrize(("origin", "environ", "url"), CHOICES.values(), ids=CHOICES)
def test_environment_chooses(origin: str, environ: dict[str, str], url: str | None) -> None:
    found = find_proxy(origin, None, environ)
    assert (found.url if found else None) == url


# Where requests, on Linux, chooses otherwise: it knows loopback only by NO_PROXY, and reads that in
# upper case where it is empty in lower case.
OTHER_THAN_REQUESTS = {"localhost", "below localhost", "127/8", "::1", "mapped loopback"} | {
    "empty no_proxy in lower case wins"
}


@pytest.mark.parametrize("name", [name for name in CHOICES if name not in OTHER_THAN_REQUESTS])
def test_requests_chooses_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    origin, environ, url = CHOICES[name]
    for variable in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    found = select_proxy(origin, get_environ_proxies(origin, no_proxy=None))
    same = (found or "").strip().rstrip("/").removeprefix("http://")
    assert same == (url or "").removeprefix("http://")


@pytest.mark.parametrize("origin", [HTTP, HTTPS, "http://127.0.0.1:9000", "http://localhost"])
def test_an_argument_comes_before_the_environment(origin: str) -> None:
    environ = {"ALL_PROXY": A, "https_proxy": A, "NO_PROXY": "*"}
    found = find_proxy(origin, B, environ)
    assert found is not None
    assert (found.url, found.setting) == (B, PROXY_ARGUMENT)
    assert find_proxy(origin, False, environ) is None


# NO_PROXY, host, port, whether it names it, who differs. Old versions of requests match any suffix.
BYPASSES: list[tuple[str, str, int, bool, str]] = [
    ("aliyuncs.com", "aliyuncs.com", 443, True, ""),
    ("aliyuncs.com", "b.oss.aliyuncs.com", 443, True, ""),
    ("aliyuncs.com", "evilaliyuncs.com", 443, False, "old requests"),
    (".aliyuncs.com", "b.oss.aliyuncs.com", 443, True, ""),
    (".aliyuncs.com", "aliyuncs.com", 443, True, ""),
    (".aliyuncs.com", "evilaliyuncs.com", 443, False, "old requests"),
    ("*.aliyuncs.com", "b.aliyuncs.com", 443, True, "curl requests"),
    ("*aliyuncs.com", "evilaliyuncs.com", 443, False, ""),
    ("aliyuncs.com", "aliyuncs.com.evil.test", 443, False, ""),
    ("oss.aliyuncs.com", "aliyuncs.com", 443, False, ""),
    ("ALIYUNCS.com", "b.aliyuncs.com", 443, True, ""),
    ("aliyuncs.com.", "b.aliyuncs.com", 443, True, "requests"),
    ("*", "b.aliyuncs.com", 443, True, ""),
    ("a.test,*", "b.aliyuncs.com", 443, True, "curl requests"),
    (" a.test , aliyuncs.com ", "b.aliyuncs.com", 443, True, ""),
    ("a.test aliyuncs.com", "b.aliyuncs.com", 443, True, "requests"),
    ("a.test,,b.test", "b.aliyuncs.com", 443, False, ""),
    (",", "b.aliyuncs.com", 443, False, ""),
    ("", "b.aliyuncs.com", 443, False, ""),
    ("b.aliyuncs.com:8443", "b.aliyuncs.com", 8443, True, "curl"),
    ("b.aliyuncs.com:8443", "b.aliyuncs.com", 443, False, ""),
    ("aliyuncs.com:443", "b.aliyuncs.com", 443, True, "curl"),
    ("10.0.0.5", "10.0.0.5", 9000, True, ""),
    ("10.0.0.5:9000", "10.0.0.5", 9000, True, "requests"),
    ("10.0.0.5:9001", "10.0.0.5", 9000, False, ""),
    ("0.0.5", "10.0.0.5", 9000, False, "requests"),
    ("10.0.0.0/8", "10.200.0.5", 9000, True, ""),
    ("10.1.2.3/8", "10.200.0.5", 9000, True, ""),
    ("10.0.0.0/8", "11.0.0.5", 9000, False, ""),
    ("10.0.0.0/33", "10.0.0.5", 9000, False, ""),
    ("0.0.0.0/0", "10.0.0.5", 9000, True, "requests"),
    ("0.0.0.0/0", "b.aliyuncs.com", 443, False, ""),
    ("2001:db8::1", "2001:db8::1", 9000, True, ""),
    ("2001:DB8:0::1", "2001:db8::1", 9000, True, "requests"),
    ("[2001:db8::1]", "2001:db8::1", 9000, True, "requests"),
    ("[2001:db8::1]:9000", "2001:db8::1", 9000, True, "requests"),
    ("[2001:db8::1]:9001", "2001:db8::1", 9000, False, ""),
    ("2001:db8::/32", "2001:db8:7::1", 9000, True, "requests"),
    ("[2001:db8::]/32", "2001:db8:7::1", 9000, True, "requests"),
    ("2001:db8::/32", "2001:db9::1", 9000, False, ""),
    ("10.0.0.0/8", "::ffff:10.0.0.5", 9000, True, "requests"),
    ("10.0.0.0/8", "2001:db8::1", 9000, False, ""),
    ("oss", "oss", 9000, True, ""),
    ("oss", "oss.test", 9000, False, ""),
    ("http://aliyuncs.com", "aliyuncs.com", 80, False, ""),
]


@pytest.mark.parametrize(("no_proxy", "host", "port", "expected", "differs"), BYPASSES)
def test_no_proxy_names_hosts(
    no_proxy: str, host: str, port: int, expected: bool, differs: str
) -> None:
    assert bypasses(no_proxy, host, port) is expected


@pytest.mark.parametrize(("no_proxy", "host", "port", "expected", "differs"), BYPASSES)
def test_requests_agrees_on_no_proxy_but_for_what_is_noted(
    no_proxy: str,
    host: str,
    port: int,
    expected: bool,
    differs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", no_proxy)
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    theirs = bool(should_bypass_proxies(f"http://{authority}/", no_proxy=None))
    if differs != "old requests":
        assert theirs is (expected != ("requests" in differs))


BY_NAME = [row for row in BYPASSES if not row[1].replace(".", "").isdigit() and ":" not in row[1]]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("no_proxy", "host", "port", "expected", "differs"), BY_NAME)
def test_curl_agrees_on_no_proxy_but_for_what_is_noted(
    no_proxy: str, host: str, port: int, expected: bool, differs: str, serve: Serve
) -> None:
    proxy = serve(answering(answer()))
    assert _is_direct(host, port, proxy.endpoint, {"NO_PROXY": no_proxy}) is (
        expected != ("curl" in differs)
    )


def _is_direct(host: str, port: int, proxy: str, environ: Mapping[str, str]) -> bool:
    """Whether curl goes to a host itself. Every name is this machine, where nobody listens."""
    command = [
        "curl",
        *("--silent", "--output", os.devnull, "--max-time", "20"),
        *("--resolve", f"*:{port}:127.0.0.1", f"http://{host}:{port}/"),
    ]
    ended = subprocess.run(command, env={"http_proxy": proxy, **environ}, check=False, timeout=30)
    assert ended.returncode in (0, 7)  # answered by the proxy, or refused by this machine
    return ended.returncode == 7


labels = st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)


@given(names, names, st.sampled_from(["", ".", "*."]))
def test_names_match_on_the_borders_of_labels(host: str, suffix: str, before: str) -> None:
    labels_of, wanted = host.split("."), suffix.split(".")
    if not host.replace(".", "").isdigit():
        named = bypasses(before + suffix, host, 443)
        assert named is (labels_of[-len(wanted) :] == wanted)


@given(st.text(max_size=40), names, st.integers(1, 65_535))
def test_no_value_of_no_proxy_is_an_error(no_proxy: str, host: str, port: int) -> None:
    assert bypasses(no_proxy, host, port) in (True, False)


READ: dict[str, tuple[str, Proxy]] = {
    "http": ("http://p.test:3128", Proxy("http", "p.test", 3128)),
    "https": ("https://p.test:3128", Proxy("https", "p.test", 3128)),
    "socks5": ("socks5://p.test:1081", Proxy("socks5", "p.test", 1081)),
    "socks5h": ("socks5h://p.test", Proxy("socks5h", "p.test", 1080)),
    "upper case": ("HTTP://P.TEST:3128/", Proxy("http", "p.test", 3128)),
    "no scheme": ("p.test:3128", Proxy("http", "p.test", 3128)),
    "no port": ("http://p.test", Proxy("http", "p.test", 80)),
    "no port over TLS": ("https://p.test", Proxy("https", "p.test", 443)),
    "IPv4": ("http://10.0.0.1:3128", Proxy("http", "10.0.0.1", 3128)),
    "IPv6": ("http://[2001:DB8::1]:3128", Proxy("http", "2001:db8::1", 3128)),
    "IPv6 with a zone": ("http://[fe80::1%25eth0]:3128", Proxy("http", "fe80::1%eth0", 3128)),
    "login": ("http://me:pw@p.test:1", Proxy("http", "p.test", 1, ProxyLogin("me", "pw"))),
    "login without a scheme": (
        "me:pw@p.test:1",
        Proxy("http", "p.test", 1, ProxyLogin("me", "pw")),
    ),
    "only a user": ("http://me@p.test:1", Proxy("http", "p.test", 1, ProxyLogin("me", ""))),
    "no login": ("http://@p.test:1", Proxy("http", "p.test", 1)),
    "an at sign": ("http://me:p@w@p.test:1", Proxy("http", "p.test", 1, ProxyLogin("me", "p@w"))),
    "a colon": ("http://me:p:w@p.test:1", Proxy("http", "p.test", 1, ProxyLogin("me", "p:w"))),
    "encoded": (
        "http://m%40e:%2F%3A%23%25+%C3%A9@p.test:1",
        Proxy("http", "p.test", 1, ProxyLogin("m@e", "/:#%+é")),
    ),
    "a lone per cent": (
        "http://me:100%@p.test:1",
        Proxy("http", "p.test", 1, ProxyLogin("me", "100%")),
    ),
}


@pytest.mark.parametrize(("text", "proxy"), READ.values(), ids=READ)
def test_url_of_a_proxy_is_read(text: str, proxy: Proxy) -> None:
    assert read_proxy(text) == proxy


def test_login_is_sent_as_utf8() -> None:
    proxy = Proxy("http", "p.test", 1, ProxyLogin("mé", "p:w"))
    assert proxy.authorization == "Basic bcOpOnA6dw=="
    assert Proxy("http", "p.test", 1).authorization is None


WRONG: dict[str, object] = {
    "empty": "",
    "a space": f"http://me:{SECRET}@p.test:1 ",
    "a line break": f"http://me:{SECRET}@p.test:1\n",
    "no host": f"http://me:{SECRET}@:3128",
    "another scheme": f"ftp://me:{SECRET}@p.test:1",
    "socks4": f"socks4://me:{SECRET}@p.test:1",
    "a port that is none": f"http://me:{SECRET}@p.test:port",
    "a port too large": f"http://me:{SECRET}@p.test:65536",
    "port 0": f"http://me:{SECRET}@p.test:0",
    "a path": f"http://me:{SECRET}@p.test:1/path",
    "a query": f"http://me:{SECRET}@p.test:1?{SECRET}",
    "a slash in the password": f"http://me:{SECRET}/x@p.test:1",
    "a hash in the password": f"http://me:{SECRET}#x@p.test:1",
    "half an IPv6 address": f"http://me:{SECRET}@[::1:1",
    "no IPv6 address": f"http://me:{SECRET}@[::g]:1",
    "a host that is none": f"http://me:{SECRET}@-p_.te$t:1",
    "a password that is no UTF-8": f"http://me:{SECRET}%FF@p.test:1",
    "a colon in the user": f"http://m%3Ae:{SECRET}@p.test:1",
    "a control character": f"http://me:{SECRET}%0D%0A@p.test:1",
    "a lone surrogate": f"http://me:{SECRET}\udcff@p.test:1",
    "too long for SOCKS": f"socks5h://me:{SECRET}{'x' * 255}@p.test:1",
    "SOCKS without a user": f"socks5://:{SECRET}@p.test:1",
    "SOCKS by an IPv6 address": f"socks5h://me:{SECRET}@[::1]:1080",
    "True": True,
    "a dict": {"https": f"http://me:{SECRET}@p.test:1"},
    "bytes": f"http://me:{SECRET}@p.test:1".encode(),
}
wrong = pytest.mark.parametrize("given_", WRONG.values(), ids=WRONG)


@wrong
def test_what_is_no_proxy_is_refused_without_being_repeated(given_: object) -> None:
    environ = {"OTHER": SECRET}
    with pytest.raises(InvalidArgumentError) as raised:
        find_proxy(HTTPS, given_, environ)  # type: ignore[arg-type]  # as a caller without types
    assert "proxy=" in str(raised.value)
    _shows_no_secret(raised.value)


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_variable_that_is_no_proxy_is_named_and_never_passed_over(variable: str) -> None:
    environ = {variable: f"socks4://me:{SECRET}@p.test", "SECRET": SECRET}
    with pytest.raises(InvalidArgumentError, match=variable) as raised:
        find_proxy(HTTPS, None, environ)
    _shows_no_secret(raised.value)


def _shows_no_secret(error: BaseException) -> None:
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in told.stack.format() if __file__ not in frame]
    shown = "".join(frames) + str(error) + repr(error) + repr(vars(error))
    assert frames
    assert SECRET not in shown


@given(st.text(max_size=60))
def test_any_text_is_a_proxy_or_refused(text: str) -> None:
    found = read_proxy(text)
    assert isinstance(found, Proxy | InvalidArgumentError)


def test_password_is_in_no_text_of_a_proxy() -> None:
    proxy = read_proxy(f"http://me:{SECRET}@p.test:3128")
    assert isinstance(proxy, Proxy)
    assert SECRET not in f"{proxy!r} {proxy} {proxy.url} {proxy.login!r}"
    assert (str(proxy), proxy.url) == ("http://***@p.test:3128", "http://p.test:3128")


def test_proxy_pickles_but_never_its_password() -> None:
    proxy = Proxy("http", "p.test", 3128)
    assert pickle.loads(pickle.dumps(proxy)) == proxy
    with pytest.raises(TypeError, match="HTTPS_PROXY"):
        pickle.dumps(Proxy("http", "p.test", 3128, ProxyLogin("me", SECRET)))


def test_proxies_with_other_logins_are_others() -> None:
    one, other = (Proxy("http", "p.test", 1, ProxyLogin("me", word)) for word in ("a", "b"))
    assert one != other
    assert one == Proxy("http", "p.test", 1, ProxyLogin("me", "a"), "HTTP_PROXY")
    assert len({one, other}) == 2
