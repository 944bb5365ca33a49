"""What every test can ask for: a running local server, a bucket on it, files of known bytes."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests import canary
from tests.support import local_bucket


@pytest.fixture(scope="session", autouse=True)
def no_files_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the configuration files of whoever runs the tests out of them."""
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as environment:
        for name in ("HOME", "USERPROFILE"):
            environment.setenv(name, home)
        for program in ("OSSUTIL", "ALIBABA_CLOUD"):
            environment.delenv(f"{program}_CONFIG_FILE", raising=False)
            environment.delenv(f"{program}_PROFILE", raising=False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
            environment.delenv(name, raising=False)
            environment.delenv(name.lower(), raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Handle signals as usual where the run was started with them ignored.

    A background job of a script ignores SIGINT, and what nohup starts ignores SIGHUP; what this
    process ignores, the processes that it starts ignore as well.
    """
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):
        usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.getsignal(number) for number in usual}
    for number, handler in usual.items():
        if before[number] is signal.SIG_IGN:
            signal.signal(number, handler)
    yield
    for number, was in before.items():
        signal.signal(number, was)


@pytest.fixture(scope="session")
def told_secrets() -> list[str]:
    """Secrets that the package told since this was last cleared."""
    told: list[str] = []
    canary.watch(told.append)
    return told


@pytest.fixture(autouse=True)
def no_secret_is_told(told_secrets: list[str]) -> Iterator[None]:
    """Hold every test to it."""
    yield
    told = list(told_secrets)
    told_secrets.clear()
    assert told == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A local server of this test's own, on a free port."""
    with LocalServer(tmp_path / "server-root") as running:
        yield running


@pytest.fixture
def bucket(server: LocalServer) -> Iterator[Bucket]:
    """A bucket on that server, whose retries do not keep a test waiting."""
    with local_bucket(server.endpoint) as bucket:
        yield bucket


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for the files of a transfer, so that what is left beside them shows."""
    made = tmp_path / "files"
    made.mkdir()
    return made
