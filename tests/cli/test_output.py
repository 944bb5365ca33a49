"""Where the output goes, and what happens when it cannot be written there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.cli.conftest import start
from tests.cli.unfinished import begin
from tests.support import PART, content, make_file

UPLOADS = [sys.executable, "-m", "resumable", "uploads", "oss://examplebucket"]


def test_a_reader_that_goes_away_gets_no_traceback(
    environment: dict[str, str], bucket: Bucket
) -> None:
    begin(bucket, "a", "b")
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        UPLOADS, stdout=writing, stderr=subprocess.PIPE, timeout=30, check=False
    )
    os.close(writing)
    assert (process.returncode, process.stderr) == (1, b"")


def test_a_long_list_is_printed_while_it_is_read(
    environment: dict[str, str], server: LocalServer, bucket: Bucket
) -> None:
    keys = [f"k{number:04}" for number in range(1001)]
    begin(bucket, *keys)
    held = {"gate": "second page"}
    server.faults.add({"operation": "ListMultipartUploads", "skip": 1, "effect": held})
    process = start("uploads", "oss://examplebucket")
    assert process.stdout is not None
    first = [process.stdout.readline().split()[2] for _ in range(1000)]
    server.faults.wait_reached("second page")
    server.faults.release("second page")
    rest, err = process.communicate(timeout=30)
    assert (first, rest.split()[2], err) == (keys[:1000], keys[1000], "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("command", [UPLOADS, [*UPLOADS[:3], "--help"]])
def test_a_full_disk_is_told_in_one_line(
    environment: dict[str, str], bucket: Bucket, command: list[str]
) -> None:
    begin(bucket, "a")
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert process.returncode == 1
    told = process.stderr.decode()
    assert told.startswith("resumable: the output cannot be written: ")
    assert "No space left" in told
    assert told.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_messages_that_cannot_be_written_leave_the_exit_code(environment: dict[str, str]) -> None:
    command = [*UPLOADS[:3], "abort", "/nonexistent/example.bin"]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(command, stderr=full, timeout=30, check=False)
    assert process.returncode == 1


def test_no_output_at_all_is_no_failure(environment: dict[str, str], bucket: Bucket) -> None:
    begin(bucket, "a")
    process = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *UPLOADS],
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, b"")


ALL_CLOSINGS = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"]


def closed(closing: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with some of its standard streams closed."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closing}', "sh", *UPLOADS[:3], *arguments],
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closing", ALL_CLOSINGS)
@pytest.mark.parametrize("options", [(), ("-q",), ("--json",)], ids=str)
def test_a_file_is_uploaded_with_standard_streams_closed(
    environment: dict[str, str],
    bucket: Bucket,
    folder: Path,
    closing: str,
    options: tuple[str, ...],
) -> None:
    file = make_file(folder, 3 * PART)
    to = "oss://examplebucket/k"
    process = closed(closing, "-v", "cp", *options, "--part-size", "100KB", str(file), to)
    assert process.returncode == 0
    assert content(bucket, "k") == file.read_bytes()


@pytest.mark.parametrize("closing", ALL_CLOSINGS)
def test_failures_keep_their_exit_codes_with_standard_streams_closed(
    environment: dict[str, str], folder: Path, closing: str
) -> None:
    assert closed(closing, "cp", str(folder / "absent"), "oss://examplebucket/k").returncode == 2
    assert closed(closing, "abort", str(folder / "absent")).returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_log_lines_that_cannot_be_written_do_not_make_an_upload_fail(
    environment: dict[str, str], bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 3 * PART)
    command = [*UPLOADS[:3], "-v", "cp", "--part-size", "100KB", str(file)]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            [*command, "oss://examplebucket/k"], stderr=full, timeout=60, check=False
        )
    assert process.returncode == 0
    assert content(bucket, "k") == file.read_bytes()


def test_what_the_terminal_cannot_show_is_escaped(
    environment: dict[str, str], bucket: Bucket
) -> None:
    begin(bucket, "日本")
    variables = os.environ | {"PYTHONIOENCODING": "latin-1"}
    process = subprocess.run(
        UPLOADS, capture_output=True, text=True, timeout=30, env=variables, check=False
    )
    assert process.stdout.endswith("  \\u65e5\\u672c\n")
    assert (process.returncode, process.stderr) == (0, "")


def test_a_file_name_that_is_no_text_can_be_told(environment: dict[str, str], folder: Path) -> None:
    name = os.path.join(os.fsencode(folder), b"\xff")
    process = subprocess.run(
        [*UPLOADS[:3], "status", name], capture_output=True, timeout=30, check=False
    )
    assert process.returncode == 1
    assert b"no checkpoint" in process.stdout
    assert process.stderr == b""


HELD_IMPORT = """
import sys, time
class Hold:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            print("importing", flush=True)
            time.sleep(60)
import resumable.__main__
sys.meta_path.insert(0, Hold())
sys.exit(resumable.__main__.main())
"""


def test_ctrl_c_while_it_starts_shows_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HELD_IMPORT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "resumable: stopped\n")
