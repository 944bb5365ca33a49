"""`resumable demo` where it does not go as it should: it says so, and its exit code too.

The other process is run by a program of the test's own in the place of the interpreter.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run

Interpreter = Callable[[str], None]


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    """Puts a shell script in the place of the interpreter, which is `$PYTHON` there."""

    def put(script: str) -> None:
        path = tmp_path / "interpreter"
        path.write_text(f"#!/bin/sh\nPYTHON='{sys.executable}'\ncd '{tmp_path}'\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


def test_file_must_be_large_enough_to_kill_its_upload(run: Run, folder: Path) -> None:
    outcome = run("demo", "--size", 15, "--folder", folder)
    assert outcome.code == 2
    assert "16 MiB at least" in outcome.err
    assert list(folder.iterdir()) == []


# The first upload is killed, so it must be the process that the demo knows.
SECOND = 'if mkdir first 2>/dev/null; then exec "$PYTHON" "$@"; fi\n'


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param(
            "exit 1", "the upload ended before it could be killed", id="upload that fails"
        ),
        pytest.param(
            'exec "$PYTHON" "$@" --no-checkpoint',
            "the killed process left no checkpoint",
            id="no checkpoint",
        ),
        pytest.param(
            SECOND + 'rm files/*/example.bin.cp\nexec "$PYTHON" "$@"',
            "nothing was reused",
            id="checkpoint that is lost",
        ),
        pytest.param(
            SECOND + '"$PYTHON" "$@" && exec "$PYTHON" -m resumable cp -q interpreter '
            "oss://demo-bucket/backups/example.bin",
            "the object is not the file",
            id="object that is overwritten",
        ),
    ],
)
def test_what_goes_wrong_is_told(
    run: Run, interpreter: Interpreter, folder: Path, tmp_path: Path, script: str, told: str
) -> None:
    assert folder == tmp_path / "files"
    interpreter(script)
    outcome = run("demo", "--size", 48, "--folder", folder)
    assert outcome.code == 1
    assert told in outcome.err
    assert "Verified" not in outcome.out
    assert list(folder.iterdir()) == []
