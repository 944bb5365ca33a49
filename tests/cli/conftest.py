"""The command line as a user has it: its environment set, run in this process or in another."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from resumable.cli import app
from resumable.server import DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET, LocalServer


@dataclass(frozen=True)
class Outcome:
    """What a command left on the terminal, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def environment(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that point the command line at the local server."""
    variables = {
        "OSS_ACCESS_KEY_ID": DEFAULT_ACCESS_KEY_ID,
        "OSS_ACCESS_KEY_SECRET": DEFAULT_ACCESS_KEY_SECRET,
        "OSS_ENDPOINT": server.endpoint,
        "OSS_REGION": "cn-hangzhou",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def run(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Run a command in this process."""
    handlers = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}

    def run_here(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["resumable", *map(str, arguments)])
        code = app.run()
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield run_here
    for name, handler in handlers.items():
        signal.signal(name, handler)


def start(*arguments: object) -> "subprocess.Popen[str]":
    """Start a command in a process of its own, with this process's environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "resumable", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
