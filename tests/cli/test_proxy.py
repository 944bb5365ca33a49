"""A proxy, as the command line is told of it."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.server import LocalServer
from tests.cli.conftest import Run, start
from tests.oss.proxyserver import HttpProxy
from tests.oss.rawserver import Peer, RawServer
from tests.support import PART, make_file

PASSWORD = "TopSecretProxyPassword"


@pytest.fixture
def proxy() -> Iterator[HttpProxy]:
    running = HttpProxy(login=f"me:{PASSWORD}")
    yield running
    running.close()


def test_option_names_the_proxy_and_the_log_masks_its_login(
    environment: dict[str, str], folder: Path, proxy: HttpProxy, server: LocalServer
) -> None:
    url = proxy.url(f"me:{PASSWORD}")
    process = start("-v", "cp", make_file(folder, 10), "oss://examplebucket/k", "--proxy", url)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 0
    assert proxy.url().replace("://", "://***@") in shown
    assert PASSWORD not in shown
    assert [asked.method for asked in proxy.asked] == ["PUT"]
    assert len(server.log) == 1


@pytest.mark.parametrize("given", ["none", "None"])
def test_none_goes_directly(
    run: Run, folder: Path, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy.url())
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", "--proxy", given)
    assert (outcome.code, outcome.err) == (0, "")
    assert proxy.asked == []


def test_wrong_login_exits_with_1_and_names_the_proxy(
    run: Run, folder: Path, proxy: HttpProxy
) -> None:
    url = proxy.url(f"you:{PASSWORD}")
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", "--proxy", url)
    assert outcome.code == 1
    assert proxy.url() in outcome.err
    assert PASSWORD not in outcome.err


def test_proxy_that_is_down_exits_with_3_and_is_named(
    run: Run, folder: Path, proxy: HttpProxy
) -> None:
    proxy.close()
    options = ("--proxy", proxy.url(), "--tries", 1)
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", *options)
    assert outcome.code == 3
    assert proxy.url() in outcome.err


@pytest.mark.parametrize("by", ["option", "variable"])
def test_what_is_no_proxy_exits_with_2(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    url, options = f"socks4://me:{PASSWORD}@p.test", list[str]()
    if by == "option":
        options = ["--proxy", url]
    else:
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("OSS_ENDPOINT", "https://oss.test")
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", *options)
    assert outcome.code == 2
    assert ("--proxy" if by == "option" else "HTTPS_PROXY") in outcome.err
    assert PASSWORD not in outcome.err


def test_interrupt_is_heeded_within_a_second_through_a_proxy(
    environment: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = threading.Event()

    def hangs(peer: Peer) -> None:
        peer.head()
        reached.set()
        peer.hang()

    silent, proxy = RawServer(hangs), HttpProxy()
    monkeypatch.setenv("OSS_ENDPOINT", silent.endpoint)
    file = make_file(folder, 3 * PART)
    options = ("--part-size", PART, "--proxy", proxy.url())
    process = start("cp", file, "oss://examplebucket/k", *options)
    try:
        assert reached.wait(30)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert time.monotonic() - began < 1.5  # a second, and the end of the process
        assert process.returncode == 130
    finally:
        process.kill()
        process.communicate()
        proxy.close()
        silent.close()
