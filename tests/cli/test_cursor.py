"""The progress bar hides the cursor of the terminal; every exit that is ours shows it again."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.support import PART, content, make_file

_HIDE, _SHOW = b"\x1b[?25l", b"\x1b[?25h"


class OnTerminal:
    """`resumable cp` of a file, with standard error on a terminal."""

    def __init__(self, file: Path) -> None:
        self._terminal, theirs = pty.openpty()
        self.written = b""
        command = [sys.executable, "-m", "resumable", "cp", f"--part-size={PART}", str(file)]
        self.process = subprocess.Popen(
            [*command, "oss://examplebucket/k"],
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm"},
        )
        os.close(theirs)

    def wait_for_the_bar(self) -> None:
        while _HIDE not in self.written:
            self.written += os.read(self._terminal, 65536)

    def ended(self) -> int:
        """Read all that it still writes; how it ended."""
        with suppress(OSError):  # the other end is closed
            while block := os.read(self._terminal, 65536):
                self.written += block
        return self.process.wait(30)

    @property
    def cursor_is_shown(self) -> bool:
        return self.written.rfind(_SHOW) > self.written.rfind(_HIDE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        os.close(self._terminal)


@pytest.fixture
def copying(environment: dict[str, str], folder: Path) -> Iterator[Callable[[], OnTerminal]]:
    runs: list[OnTerminal] = []

    def begin() -> OnTerminal:
        runs.append(OnTerminal(make_file(folder, 8 * PART)))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


def _held(server: LocalServer) -> None:
    rule = {"operation": "UploadPart", "part_number": 6, "times": None, "effect": {"gate": "hold"}}
    server.faults.add(rule)


def test_terminal_that_goes_away_does_not_end_the_upload(
    server: LocalServer, bucket: Bucket, folder: Path, environment: dict[str, str]
) -> None:
    """As of a command that ignores SIGHUP, when the connection to its machine is lost."""
    server.faults.add(
        {"operation": "UploadPart", "part_number": 6, "times": 1, "effect": {"gate": "hold"}}
    )
    file = make_file(folder, 8 * PART)
    command = [sys.executable, "-m", "resumable", "cp", f"--part-size={PART}", str(file)]
    terminal, theirs = pty.openpty()
    ignoring = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"]
    with subprocess.Popen(
        [*ignoring, *command, "oss://examplebucket/k"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"},
    ) as process:
        os.close(theirs)
        server.faults.wait_reached("hold")
        written = b""
        while _HIDE not in written:
            written += os.read(terminal, 65536)
        os.close(terminal)
        server.faults.release("hold")
        told, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"verified" in told
    assert content(bucket, "k") == file.read_bytes()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
def test_a_signal_leaves_the_cursor_shown(
    server: LocalServer, copying: Callable[[], OnTerminal], number: signal.Signals, code: int
) -> None:
    _held(server)
    run = copying()
    run.wait_for_the_bar()
    server.faults.wait_reached("hold")
    run.process.send_signal(number)
    assert run.ended() == code
    assert run.cursor_is_shown


@pytest.mark.parametrize("number", [2, 3, 20])
def test_signals_in_a_row_do_so_too(
    server: LocalServer, copying: Callable[[], OnTerminal], number: int
) -> None:
    """The later ones hit what the first has to tidy up, the bar included."""
    _held(server)
    run = copying()
    run.wait_for_the_bar()
    server.faults.wait_reached("hold")
    for _ in range(number):
        run.process.send_signal(signal.SIGINT)
    assert run.ended() in (130, -signal.SIGINT)
    assert run.cursor_is_shown


@pytest.mark.parametrize("effect", [{"status": 403, "code": "AccessDenied"}, None])
def test_success_and_failure_leave_it_shown(
    server: LocalServer, copying: Callable[[], OnTerminal], effect: dict[str, object] | None
) -> None:
    if effect is not None:
        server.faults.add({"operation": "UploadPart", "times": None, "effect": effect})
    run = copying()
    assert run.ended() == (0 if effect is None else 1)
    assert _HIDE in run.written
    assert run.cursor_is_shown
