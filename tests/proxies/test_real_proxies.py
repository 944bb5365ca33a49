"""Uploads through tinyproxy, squid and mitmproxy; `make proxies` fetches those that are missing."""

import contextlib
import logging
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import resumable
from resumable import Bucket, RetryPolicy, upload_file
from resumable.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    ProxyAuthenticationError,
    ProxyError,
    TransferCancelledError,
)
from resumable.server import LocalServer
from tests.oss.conftest import KEYS
from tests.oss.proxyserver import TlsFront
from tests.oss.rawserver import Peer, RawServer
from tests.proxies.programs import PASSWORD, PROGRAMS, RealProxy, find
from tests.support import CREDENTIALS, PART, QUICK, content, make_file, parts_sent

TRUSTED = KEYS / "localhost.pem"
PATIENT = RetryPolicy(attempts=40, base=0.1, longest_wait=0.5)
Start = Callable[..., RealProxy]
schemes = pytest.mark.parametrize("scheme", ["http", "https"])


@pytest.fixture(params=PROGRAMS)
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a proxy of this kind, which ends with the test."""
    if find(request.param) is None:
        pytest.skip(f"{request.param} is not installed; `make proxies` fetches it where it can")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as ended:
        folder = Path(name)
        folder.chmod(0o777)  # started by root, squid becomes another user
        hosts = folder / "hosts"
        hosts.write_text("127.0.0.1 localhost examplebucket.oss.test\n")
        hosts.chmod(0o644)

        def begin(*, login: bool = False) -> RealProxy:
            made = PROGRAMS[request.param](folder, login=login, trusted=TRUSTED, hosts=hosts)
            ended.callback(made.kill)
            made.start()
            return made

        yield begin


@pytest.fixture
def endpoints(server: LocalServer) -> Iterator[dict[str, str]]:
    """The local server, without and with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TRUSTED)
    front = TlsFront(context, server.port)
    yield {"http": server.endpoint, "https": front.endpoint}
    front.close()


def bucket_at(
    endpoint: str, proxy: RealProxy, url: str | None = None, retry: RetryPolicy = QUICK
) -> Bucket:
    return Bucket(
        "examplebucket",
        endpoint=endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retry=retry,
        ca_bundle=str(proxy.authority or TRUSTED),
        proxy=url or proxy.url,
    )


@schemes
def test_upload_that_failed_is_resumed(
    start: Start, endpoints: dict[str, str], server: LocalServer, folder: Path, scheme: str
) -> None:
    file = make_file(folder, 12 * PART + 1)
    options: dict[str, Any] = {"part_size": PART, "thread_num": 3, "enable_checkpoint": True}
    denied = {"status": 403, "code": "AccessDenied"}
    server.faults.add({"operation": "UploadPart", "skip": 6, "effect": denied})
    with bucket_at(endpoints[scheme], start()) as bucket:
        with pytest.raises(AccessDeniedError):
            upload_file(bucket, "a b/ü", str(file), **options)
        result = upload_file(bucket, "a b/ü", str(file), **options)
        assert content(bucket, "a b/ü") == file.read_bytes()
    assert result.resumed
    assert result.parts_reused >= 4
    assert sorted(set(parts_sent(server.log))) == list(range(1, 14))


@schemes
def test_right_login_is_taken_and_not_shown(
    start: Start, endpoints: dict[str, str], scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy = start(login=True)
    with bucket_at(endpoints[scheme], proxy, proxy.url_with_login) as bucket:
        bucket.put_object("k", b"x" * PART)
        assert content(bucket, "k") == b"x" * PART
    assert PASSWORD not in caplog.text


@schemes
@pytest.mark.parametrize("login", ["", "somebody:wrong@"])
def test_wrong_login_is_a_typed_error_at_once(
    start: Start, endpoints: dict[str, str], server: LocalServer, scheme: str, login: str
) -> None:
    proxy = start(login=True)
    url = proxy.url.replace("://", f"://{login}")
    refusal = pytest.raises(ProxyAuthenticationError)
    with bucket_at(endpoints[scheme], proxy, url) as bucket, refusal as refused:
        bucket.put_object("k", b"x" * PART)
    assert refused.value.tries == 1
    assert proxy.url in str(refused.value)
    assert len(server.log) == 0


@schemes
def test_upload_survives_a_restart_in_the_middle(
    start: Start, endpoints: dict[str, str], server: LocalServer, folder: Path, scheme: str
) -> None:
    proxy, restarted = start(), threading.Event()
    file = make_file(folder, 12 * PART)

    def restart(progress: resumable.Progress) -> None:
        if progress.bytes_done >= 4 * PART and not restarted.is_set():
            restarted.set()
            proxy.kill()
            proxy.start()

    with bucket_at(endpoints[scheme], proxy, retry=PATIENT) as bucket:
        upload_file(bucket, "k", str(file), thread_num=3, part_size=PART, progress=restart)
        assert content(bucket, "k") == file.read_bytes()
    assert restarted.is_set()
    assert len(parts_sent(server.log)) <= 12 + 3


@schemes
def test_proxy_that_was_killed_is_named(
    start: Start, endpoints: dict[str, str], folder: Path, scheme: str
) -> None:
    proxy = start()
    file = make_file(folder, 12 * PART)

    def kill(progress: resumable.Progress) -> None:
        if progress.bytes_done >= 4 * PART:
            proxy.kill()

    with bucket_at(endpoints[scheme], proxy) as bucket, pytest.raises(ProxyError) as failed:
        upload_file(bucket, "k", str(file), part_size=PART, progress=kill, enable_checkpoint=True)
    assert proxy.url in str(failed.value)
    assert failed.value.retryable


def test_stop_is_heeded_within_a_second(start: Start, folder: Path) -> None:
    reached, cancel, stopped = threading.Event(), threading.Event(), list[float]()

    def hangs(peer: Peer) -> None:
        peer.head()
        reached.set()
        peer.hang()

    def stop() -> None:
        reached.wait(30)
        stopped.append(time.monotonic())
        cancel.set()

    silent, stopper = RawServer(hangs), threading.Thread(target=stop)
    stopper.start()
    try:
        failure = pytest.raises(TransferCancelledError)
        with bucket_at(silent.endpoint, start()) as bucket, failure:
            upload_file(
                bucket, "k", str(make_file(folder, 3 * PART)), part_size=PART, cancel=cancel
            )
        took = time.monotonic() - stopped[0]
    finally:
        silent.close()
        stopper.join()
    assert took < 1.0


@pytest.mark.parametrize("start", ["squid"], indirect=True)  # which can be given names
def test_environment_names_the_proxy_and_the_hosts_without(
    start: Start, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is known to the proxy only."""
    proxy = start()
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "st,evil.test,oss.test:1")

    def put() -> None:
        endpoint = f"http://oss.test:{server.port}"
        with Bucket(
            "examplebucket", endpoint=endpoint, credentials=CREDENTIALS, retry=QUICK
        ) as bucket:
            bucket.put_object("k", b"x")

    put()
    assert [exchange.status for exchange in server.log] == [200]
    monkeypatch.setenv("no_proxy", "other.test,.oss.test")
    with pytest.raises(ConnectionFailedError) as failed:
        put()
    assert failed.value.proxy == ""
