"""Requests through proxies: what each end sees, and what goes wrong on the way."""

import base64
import logging
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import resumable
from resumable import Bucket, RetryPolicy, upload_file
from resumable.errors import (
    ConnectionFailedError,
    InvalidArgumentError,
    ProtocolError,
    ProxyAuthenticationError,
    ProxyError,
    RequestTimeoutError,
    TransferCancelledError,
)
from resumable.server import LocalServer
from tests.oss.conftest import ONCE, Serve
from tests.oss.proxyserver import Asked, HttpProxy, Proxy, SocksProxy, TlsFront, basic
from tests.oss.rawserver import Peer, acknowledgement, answer, answering
from tests.oss.test_tls import TRUSTED, tls
from tests.support import (
    CREDENTIALS,
    MIB,
    PART,
    QUICK,
    content,
    make_file,
    parts_sent,
    random_bytes,
)

__all__ = ["tls"]

LOGIN = "m%40e:TopSecretProxyPassword"
PLAIN_LOGIN = "m@e:TopSecretProxyPassword"
SECRETS = ("TopSecretProxyPassword", base64.b64encode(PLAIN_LOGIN.encode()).decode())
Start = Callable[..., Any]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts proxies, which end with the test."""
    started: list[Proxy] = []

    def begin(kind: Callable[..., Proxy], *args: Any, **options: Any) -> Proxy:  # noqa: ANN401
        started.append(kind(*args, **options))
        return started[-1]

    yield begin
    for each in started:
        each.close()


def bucket_at(endpoint: str, proxy: str | None, **settings: Any) -> Bucket:  # noqa: ANN401
    usual: dict[str, Any] = {
        "region": "cn-hangzhou",
        "credentials": CREDENTIALS,
        "retry": QUICK,
        "ca_bundle": TRUSTED,
        "style": "path",
        "timeout": 20.0,
    }
    return Bucket("examplebucket", endpoint=endpoint, proxy=proxy, **usual | settings)


@pytest.fixture
def over_tls(server: LocalServer, tls: ssl.SSLContext, start: Start) -> str:
    """The endpoint of the local server behind TLS."""
    front: TlsFront = start(TlsFront, tls, server.port)
    return front.endpoint


KINDS: dict[str, tuple[type[Proxy], bool]] = {
    "http": (HttpProxy, False),
    "https": (HttpProxy, True),
    "socks5h": (SocksProxy, False),
}


@pytest.fixture(params=KINDS)
def proxy(request: pytest.FixtureRequest, start: Start, tls: ssl.SSLContext) -> Proxy:
    """A proxy of each kind that wants a login."""
    kind, is_tls = KINDS[request.param]
    options: dict[str, Any] = {"tls": tls} if is_tls else {}
    made: Proxy = start(kind, login=PLAIN_LOGIN, **options)
    return made


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_upload_goes_through_every_kind_of_proxy(
    server: LocalServer, over_tls: str, proxy: Proxy, folder: Path, scheme: str
) -> None:
    file = make_file(folder, 5 * PART + 1)
    endpoint = server.endpoint if scheme == "http" else over_tls
    with bucket_at(endpoint, proxy.url(LOGIN)) as bucket:
        upload_file(bucket, "a b/../ü", str(file), thread_num=3, part_size=PART)
        assert content(bucket, "a b/../ü") == file.read_bytes()
    assert proxy.asked
    assert {exchange.status for exchange in server.log} == {200}


def test_tunnel_shows_the_proxy_no_more_than_the_host(over_tls: str, start: Start) -> None:
    proxy: HttpProxy = start(HttpProxy)
    with bucket_at(over_tls, proxy.url()) as bucket:
        bucket.put_object("k", b"x")
    (asked,) = proxy.asked
    assert (asked.method, asked.target) == ("CONNECT", over_tls.removeprefix("https://"))
    assert set(asked.headers) <= {"host"}


def test_plain_request_is_sent_in_absolute_form_with_its_signature(
    server: LocalServer, start: Start
) -> None:
    proxy: HttpProxy = start(HttpProxy)
    with bucket_at(server.endpoint, proxy.url()) as bucket:
        bucket.put_object("a b/../c", b"x")
    (asked,) = proxy.asked
    assert asked.target == f"{server.endpoint}/examplebucket/a%20b/../c"
    assert asked.headers["host"] == server.endpoint.removeprefix("http://")
    assert server.log[-1].status == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_login_goes_to_the_proxy_and_nowhere_else(
    serve: Serve,
    tls: ssl.SSLContext,
    proxy: Proxy,
    scheme: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(
        answering(answer(headers={"ETag": '"opaque"', "x-oss-hash-crc64ecma": "0"})),
        tls if scheme == "https" else None,
    )
    with bucket_at(server.endpoint, proxy.url(LOGIN)) as bucket:
        bucket.put_object("k", b"")
    assert set(proxy.authorizations) == (
        {PLAIN_LOGIN} if isinstance(proxy, SocksProxy) else {basic(PLAIN_LOGIN)}
    )
    seen = repr(server.requests) + caplog.text
    assert not [secret for secret in SECRETS if secret in seen]
    assert "proxy-authorization" not in repr(server.requests).lower()
    assert f"{proxy.scheme}" in caplog.text
    assert f"***@{proxy.url().partition('://')[2]}" in caplog.text


WRONG_LOGINS = {"none": "", "another": "me:TopSecretProxyPassword"}


@pytest.mark.parametrize("login", WRONG_LOGINS.values(), ids=WRONG_LOGINS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_wrong_login_is_a_typed_error_and_not_tried_again(
    server: LocalServer, over_tls: str, proxy: Proxy, login: str, scheme: str
) -> None:
    endpoint = server.endpoint if scheme == "http" else over_tls
    with bucket_at(endpoint, proxy.url(login)) as bucket, pytest.raises(ProxyError) as refused:
        bucket.put_object("k", b"x" * MIB)
    error = refused.value
    assert isinstance(error, ProxyAuthenticationError)
    assert (error.retryable, error.tries) == (False, 1)
    assert proxy.url() in str(error)
    assert error.proxy == proxy.url()
    assert len(server.log) == 0
    _shows_no_secret(error)


def _shows_no_secret(error: BaseException) -> None:
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in told.stack.format() if __file__ not in frame]
    shown = "".join(frames) + str(error) + repr(error) + repr(vars(error))
    assert frames
    assert not [secret for secret in SECRETS if secret in shown]


def answers(data: bytes) -> Callable[[Asked], bytes]:
    return lambda _: data


def page(status: int, body: bytes = b"<html>login here</html>") -> bytes:
    """What a proxy answers by itself."""
    lines = f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {len(body)}"
    return f'{lines}\r\nETag: "0"\r\n\r\n'.encode() + body


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("status", "retryable"), [(403, False), (404, False), (500, True), (502, True), (504, True)]
)
def test_proxy_that_refuses_to_connect_is_named(
    server: LocalServer,
    over_tls: str,
    start: Start,
    scheme: str,
    status: int,
    retryable: bool,
) -> None:
    proxy: HttpProxy = start(HttpProxy, answer=answers(page(status)))
    endpoint = server.endpoint if scheme == "http" else over_tls
    with bucket_at(endpoint, proxy.url()) as bucket, pytest.raises(ProxyError) as refused:
        bucket.put_object("k", b"x")
    error = refused.value
    assert (error.status, error.retryable) == (status, retryable)
    assert error.tries == (QUICK.attempts if retryable else 1)
    assert error.proxy == proxy.url()
    assert proxy.url() in str(error)
    assert endpoint.partition("://")[2] in str(error)
    assert f"{error.host}:{error.port}" == endpoint.partition("://")[2]


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize("target", ["http", "https"])
def test_proxy_that_is_down_is_named_and_never_passed_over(
    server: LocalServer, over_tls: str, scheme: str, target: str
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        url = f"{scheme}://127.0.0.1:{bound.getsockname()[1]}"
        endpoint = server.endpoint if target == "http" else over_tls
        with bucket_at(endpoint, url) as bucket, pytest.raises(ProxyError) as failed:
            bucket.put_object("k", b"x")
    assert failed.value.retryable
    assert failed.value.tries == QUICK.attempts
    assert failed.value.proxy == url
    assert url in str(failed.value)
    assert len(server.log) == 0


def test_proxy_whose_name_is_unknown_is_named(server: LocalServer) -> None:
    url = "http://proxy.invalid:3128"
    failure = pytest.raises(ProxyError, match=r"proxy\.invalid")
    with bucket_at(server.endpoint, url, retry=ONCE) as bucket, failure:
        bucket.put_object("k", b"x")


def test_proxy_that_does_not_answer_is_a_timeout_that_names_it(serve: Serve, over_tls: str) -> None:
    def hangs(peer: Peer) -> None:
        peer.hang()

    silent = serve(hangs)
    hurried = bucket_at(over_tls, silent.endpoint, retry=ONCE, connect_timeout=0.2)
    with hurried as bucket, pytest.raises((RequestTimeoutError, ProxyError)) as failed:
        bucket.put_object("k", b"x")
    assert silent.endpoint in str(failed.value)
    assert failed.value.proxy == silent.endpoint


ENDS: dict[str, bytes] = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 Conn",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a tunnel that ends": b"HTTP/1.1 200 OK\r\n\r\n",
    "no TLS behind it": b"HTTP/1.1 200 OK\r\n\r\n" + page(200),
}


@pytest.mark.parametrize("data", ENDS.values(), ids=ENDS)
def test_proxy_that_breaks_off_is_a_network_error(over_tls: str, start: Start, data: bytes) -> None:
    proxy: HttpProxy = start(HttpProxy, answer=answers(data))
    failure = pytest.raises((ConnectionFailedError, ProtocolError))
    with bucket_at(over_tls, proxy.url(), retry=ONCE) as bucket, failure as failed:
        bucket.put_object("k", b"x")
    assert proxy.url() in str(failed.value)


CALLS: dict[str, Callable[[Bucket], object]] = {
    "InitiateMultipartUpload": lambda b: b.init_multipart_upload("k"),
    "UploadPart": lambda b: b.upload_part("k", "U", 1, b"x"),
    "UploadPartCopy": lambda b: b.upload_part_copy("k", "U", 1, "source"),
    "ListParts": lambda b: b.list_parts("k", "U"),
    "ListMultipartUploads": lambda b: b.list_multipart_uploads(),
    "CompleteMultipartUpload": lambda b: b.complete_multipart_upload("k", "U", [(1, "E")]),
    "AbortMultipartUpload": lambda b: b.abort_multipart_upload("k", "U"),
    "PutObject": lambda b: b.put_object("k", b"x"),
    "HeadObject": lambda b: b.head_object("k"),
    "GetObject": lambda b: content(b, "k"),
    "DeleteObject": lambda b: b.delete_object("k"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("status", [200, 204])
def test_page_of_a_captive_portal_is_no_answer_of_oss(
    start: Start, call: Callable[[Bucket], object], status: int
) -> None:
    portal: HttpProxy = start(HttpProxy, answer=answers(page(status, b"")))
    for proxy in (None, portal.url()):
        refusal = pytest.raises(ProtocolError)
        with bucket_at(portal.url(), proxy, retry=ONCE) as bucket, refusal as refused:
            call(bucket)
        assert refused.value.retryable
        assert portal.url().partition("://")[2] in str(refused.value)


def test_nobody_but_oss_says_that_an_object_is_not_there(start: Start) -> None:
    portal: HttpProxy = start(HttpProxy, answer=answers(page(404, b"")))
    with bucket_at(portal.url(), None, retry=ONCE) as bucket, pytest.raises(ProtocolError):
        bucket.head_object("k")
    with bucket_at(portal.url(), portal.url(), retry=ONCE) as bucket, pytest.raises(ProxyError):
        bucket.head_object("k")


def test_certificate_is_verified_inside_of_the_tunnel(over_tls: str, start: Start) -> None:
    proxy: HttpProxy = start(HttpProxy)
    refusal = pytest.raises(ConnectionFailedError, match="certificate")
    with bucket_at(over_tls, proxy.url(), ca_bundle=None) as bucket, refusal as refused:
        bucket.put_object("k", b"x")
    assert not refused.value.retryable
    name = f"https://oss.test:{over_tls.rpartition(':')[2]}"
    refusal = pytest.raises(ConnectionFailedError, match="certificate")
    with bucket_at(name, proxy.url()) as bucket, refusal:
        bucket.put_object("k", b"x")


def test_certificate_of_a_proxy_is_verified(
    server: LocalServer, start: Start, tls: ssl.SSLContext
) -> None:
    proxy: HttpProxy = start(HttpProxy, tls=tls)
    refusal = pytest.raises(ConnectionFailedError)
    with bucket_at(server.endpoint, proxy.url(), ca_bundle=None) as bucket, refusal as refused:
        bucket.put_object("k", b"x")
    assert proxy.url() in str(refused.value)
    assert (refused.value.retryable, refused.value.tries) == (False, 1)
    assert proxy.asked == []


def test_proxy_that_speaks_no_tls_is_named_at_once(server: LocalServer, serve: Serve) -> None:
    def speaks_plainly(peer: Peer) -> None:
        peer.read(1)
        peer.send(page(400))
        peer.wait_until_gone()

    url = serve(speaks_plainly).endpoint.replace("http://", "https://")
    with bucket_at(server.endpoint, url) as bucket, pytest.raises(ProxyError) as refused:
        bucket.put_object("k", b"x")
    assert url in str(refused.value)
    assert refused.value.tries == 1


def test_environment_names_the_proxy_and_the_hosts_without(
    server: LocalServer, serve: Serve, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name exists for the proxy only: without it there is no way."""
    proxy: HttpProxy = start(HttpProxy)
    monkeypatch.setenv("http_proxy", proxy.url())
    monkeypatch.delenv("no_proxy", raising=False)
    raw = serve(answering(acknowledgement(b"x")))
    endpoint = f"http://oss.test.invalid:{raw.port}"
    with bucket_at(endpoint, None, retry=ONCE) as bucket:
        bucket.put_object("k", b"x")
    assert [asked.target for asked in proxy.asked] == [f"{endpoint}/examplebucket/k"]

    monkeypatch.setenv("no_proxy", "test.invalid")
    failure = pytest.raises(ConnectionFailedError)
    with bucket_at(endpoint, None, retry=ONCE) as bucket, failure as failed:
        bucket.put_object("k", b"x")
    assert failed.value.proxy == ""
    with bucket_at(server.endpoint, None) as bucket:  # this machine
        bucket.put_object("k", b"x")
    assert len(proxy.asked) == 1


def test_false_goes_directly(
    server: LocalServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy: HttpProxy = start(HttpProxy)
    monkeypatch.setenv("ALL_PROXY", proxy.url())
    with Bucket(
        "examplebucket", endpoint=server.endpoint, credentials=CREDENTIALS, proxy=False
    ) as bucket:
        bucket.put_object("k", b"x")
    assert proxy.asked == []


def test_names_are_looked_up_by_the_proxy_with_socks5h_only(serve: Serve, start: Start) -> None:
    proxy: SocksProxy = start(SocksProxy)
    server = serve(answering(acknowledgement(b"x")))
    with bucket_at(f"http://oss.test.invalid:{server.port}", proxy.url()) as bucket:
        bucket.put_object("k", b"x")
    with bucket_at(f"http://localhost:{server.port}", proxy.url().replace("5h", "5")) as bucket:
        bucket.put_object("k", b"x")
    assert proxy.asked[0].target == f"oss.test.invalid:{server.port}"
    assert proxy.asked[-1].target == f"127.0.0.1:{server.port}"


def test_missing_pysocks_is_said_with_what_to_install(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "resumable.oss.socks", raising=False)
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(InvalidArgumentError, match=r"oss-resumable\[socks\]") as refused:
        bucket_at(server.endpoint, f"socks5h://{LOGIN}@127.0.0.1:1")
    _shows_no_secret(refused.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_upload_survives_a_proxy_that_is_restarted(
    server: LocalServer, over_tls: str, start: Start, folder: Path, scheme: str
) -> None:
    """Killed with parts in flight; only those are sent again."""
    first: HttpProxy = start(HttpProxy)
    parts = 12
    file = make_file(folder, parts * PART)
    restarted = threading.Event()

    def restart(progress: resumable.Progress) -> None:
        if progress.bytes_done >= 4 * PART and not restarted.is_set():
            restarted.set()
            first.close()
            start(HttpProxy, port=first.port)

    patient = RetryPolicy(attempts=10, base=0.05, longest_wait=0.2)
    endpoint = server.endpoint if scheme == "http" else over_tls
    with bucket_at(endpoint, first.url(), retry=patient) as bucket:
        result = upload_file(bucket, "k", str(file), thread_num=3, part_size=PART, progress=restart)
        assert content(bucket, "k") == file.read_bytes()
    assert restarted.is_set()
    assert result.parts_total == parts
    assert len(parts_sent(server.log)) <= parts + 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_upload_whose_proxy_dies_is_resumed_by_the_next_run(
    server: LocalServer, over_tls: str, start: Start, folder: Path, scheme: str
) -> None:
    proxy: HttpProxy = start(HttpProxy)
    file = make_file(folder, 12 * PART)

    def kill(progress: resumable.Progress) -> None:
        if progress.bytes_done >= 4 * PART:
            proxy.close()

    endpoint = server.endpoint if scheme == "http" else over_tls
    options: dict[str, Any] = {"part_size": PART, "enable_checkpoint": True}
    with bucket_at(endpoint, proxy.url()) as bucket, pytest.raises(ProxyError) as failed:
        upload_file(bucket, "k", str(file), progress=kill, **options)
    assert proxy.url() in str(failed.value)
    with bucket_at(server.endpoint, None) as bucket:
        result = upload_file(bucket, "k", str(file), **options)
        assert result.resumed or scheme == "https"
        assert content(bucket, "k") == file.read_bytes()


@pytest.mark.parametrize("where", ["CONNECT", "body"])
def test_stop_is_heeded_within_a_second(
    serve: Serve, over_tls: str, start: Start, folder: Path, where: str
) -> None:
    reached, cancel = threading.Event(), threading.Event()

    def hangs(peer: Peer) -> None:
        peer.head()
        reached.set()
        peer.hang()

    silent = serve(hangs)
    if where == "CONNECT":
        endpoint, url = over_tls, silent.endpoint
    else:
        proxy: HttpProxy = start(HttpProxy)
        endpoint, url = silent.endpoint, proxy.url()
    file = make_file(folder, 3 * PART)
    ended: list[float] = []

    def stop() -> None:
        assert reached.wait(20)
        cancel.set()
        ended.append(time.monotonic())

    stopper = threading.Thread(target=stop)
    stopper.start()
    with bucket_at(endpoint, url) as bucket, pytest.raises(TransferCancelledError):
        upload_file(bucket, "k", str(file), part_size=PART, cancel=cancel)
    now = time.monotonic()
    stopper.join()
    assert now - ended[0] < 1.0


def test_early_refusal_is_understood_through_a_proxy(server: LocalServer, start: Start) -> None:
    proxy: HttpProxy = start(HttpProxy)
    server.faults.add(
        {
            "operation": "PutObject",
            "effect": {"status": 403, "code": "AccessDenied", "early": True},
        }
    )
    with bucket_at(server.endpoint, proxy.url()) as bucket:
        began = time.monotonic()
        with pytest.raises(resumable.AccessDeniedError):
            bucket.put_object("k", random_bytes(8 * MIB))
    assert time.monotonic() - began < 10
