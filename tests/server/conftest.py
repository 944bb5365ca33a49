"""Servers in this process and in others, and raw clients of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resumable.server import LocalServer

from .raw import RawClient

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    with LocalServer(tmp_path / "root") as running:
        yield running


@pytest.fixture
def connect(server: LocalServer) -> Iterator[Callable[[], RawClient]]:
    clients: list[RawClient] = []

    def new() -> RawClient:
        clients.append(RawClient(server.port))
        return clients[-1]

    yield new
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[[], RawClient]) -> RawClient:
    return connect()


@pytest.fixture
def blobs(tmp_path: Path) -> Callable[[], int]:
    """Counts the blob files of `server`."""
    return lambda: len(os.listdir(tmp_path / "root" / "blobs"))


class ServerProcess:
    """`resumable serve` in a process of its own."""

    def __init__(self, root: Path, *options: str) -> None:
        command = [sys.executable, "-m", "resumable", "serve", "--root", str(root), *options]
        self.process = subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().rstrip("\n")

    @property
    def port(self) -> int:
        return int(self.first_line.rpartition(":")[2])

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; return the exit code and what was written to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture
def launch() -> Iterator[Callable[..., ServerProcess]]:
    started: list[ServerProcess] = []

    def start(root: Path, *options: str) -> ServerProcess:
        started.append(ServerProcess(root, *options))
        return started[-1]

    yield start
    for process in started:
        process.end(signal.SIGKILL)
