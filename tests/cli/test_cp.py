"""`resumable cp`: what it does, says, and tells a script by its exit code."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

import resumable
from resumable import Bucket
from resumable.__main__ import main
from resumable.server import LocalServer
from tests.cli.conftest import Run, start
from tests.support import PART, content, ignoring, make_file, parts_sent, requests

SMALL_PARTS = ("--part-size", PART)


def test_cp_uploads_and_sums_up_in_one_line(run: Run, bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, 5 * PART)
    outcome = run("cp", *SMALL_PARTS, file, "oss://examplebucket/dir/copy.bin")
    assert outcome.code == 0
    assert outcome.out.startswith("oss://examplebucket/dir/copy.bin: sent 500.0 KiB in ")
    assert outcome.out.count("\n") == 1
    assert outcome.err == ""
    assert content(bucket, "dir/copy.bin") == file.read_bytes()
    assert os.listdir(folder) == [file.name]


@pytest.mark.parametrize("key", ["", "dir/"])
def test_a_key_that_names_a_folder_gets_the_file_name(
    run: Run, bucket: Bucket, folder: Path, key: str
) -> None:
    file = make_file(folder, 10)
    assert run("cp", file, f"oss://examplebucket/{key}").code == 0
    assert content(bucket, key + file.name) == file.read_bytes()


def test_json_tells_the_whole_result(run: Run, folder: Path) -> None:
    file = make_file(folder, 3 * PART)
    result = json.loads(run("cp", "--json", *SMALL_PARTS, file, "oss://examplebucket/k").out)
    assert set(result) == set(resumable.UploadResult.__dataclass_fields__)
    assert (result["size"], result["bytes_sent"], result["parts_total"]) == (3 * PART, 3 * PART, 3)
    assert isinstance(result["crc64"], str)


@pytest.mark.parametrize("threads", [1, 256])
def test_the_fewest_and_the_most_threads(run: Run, folder: Path, threads: int) -> None:
    command = ("cp", "-j", threads, *SMALL_PARTS, make_file(folder, 3 * PART))
    assert run(*command, "oss://examplebucket/k").code == 0


def test_headers_reach_the_object(run: Run, bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, 2 * PART)
    headers = ("-H", "Content-Type: text/x-example", "-H", "x-oss-meta-origin:here")
    assert run("cp", *SMALL_PARTS, *headers, file, "oss://examplebucket/k").code == 0
    head = bucket.head_object("k").headers
    assert (head["content-type"], head["x-oss-meta-origin"]) == ("text/x-example", "here")


def test_quiet_says_nothing(run: Run, folder: Path) -> None:
    outcome = run("cp", "-q", make_file(folder, 10), "oss://examplebucket/k")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_a_broken_upload_is_taken_up_by_the_same_command(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 6 * PART)
    refused = {"status": 403, "code": "AccessDenied"}
    server.faults.add({"operation": "UploadPart", "part_number": 4, "effect": refused})
    command = ("cp", "-j", 1, *SMALL_PARTS, file, "oss://examplebucket/k")
    failed = run(*command)
    assert failed.code == 1
    assert "part 4" in failed.err
    assert "run the same command again" in failed.err
    outcome = run(*command)
    assert outcome.code == 0
    assert "reused 300.0 KiB (3 of 6 parts)" in outcome.out
    assert sorted(parts_sent(server.log)) == [1, 2, 3, 4, 5, 6]
    assert content(bucket, "k") == file.read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("not-an-address",), id="no address"),
        pytest.param(("oss://Bad_Bucket/k",), id="bucket name"),
        pytest.param(("oss://examplebucket/k", "--part-size=1"), id="part size"),
        pytest.param(("oss://examplebucket/k", "--threads=0"), id="threads"),
        pytest.param(("oss://examplebucket/k", "-H", "no-colon"), id="header"),
        pytest.param(("oss://examplebucket/k", "--endpoint=ftp://x"), id="endpoint"),
        pytest.param(("oss://examplebucket/k", "--no-such-option"), id="option"),
    ],
)
def test_a_wrong_call_exits_with_2_before_any_request(
    run: Run, server: LocalServer, folder: Path, arguments: tuple[str, ...]
) -> None:
    outcome = run("cp", make_file(folder, 10), *arguments)
    assert outcome.code == 2
    assert outcome.err
    assert "Traceback" not in outcome.err
    assert len(server.log) == 0


def test_missing_credentials_exit_with_2(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OSS_ACCESS_KEY_SECRET")
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k")
    assert outcome.code == 2
    assert "OSS_ACCESS_KEY_SECRET" in outcome.err


def test_a_refusal_exits_with_1_and_tells_the_request_id(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "anothersecret")
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k")
    assert outcome.code == 1
    assert "SignatureDoesNotMatch" in outcome.err
    assert "request id" in outcome.err
    assert "anothersecret" not in outcome.err


def test_a_busy_server_exits_with_3_which_means_run_again(
    run: Run, server: LocalServer, folder: Path
) -> None:
    busy = {"status": 503, "code": "ServiceUnavailable"}
    server.faults.add({"operation": "PutObject", "times": None, "effect": busy})
    outcome = run("cp", "--tries", 1, make_file(folder, 10), "oss://examplebucket/k")
    assert outcome.code == 3
    assert requests(server)["PutObject"] == 1


def test_a_transfer_in_other_hands_exits_with_4(run: Run, folder: Path) -> None:
    file = make_file(folder, 2 * PART)
    with FileLock(f"{file}.cp.lock", fallback_to_soft=False):
        outcome = run("cp", *SMALL_PARTS, file, "oss://examplebucket/k")
    assert outcome.code == 4


def damage(file: Path) -> None:
    Path(f"{file}.cp").write_text("damaged")


@pytest.mark.parametrize(
    ("parts", "meanwhile", "told"),
    [
        pytest.param(1, Path.exists, "a HEAD tells", id="one request"),
        pytest.param(2, damage, "0 of 2 parts are at the server", id="something else"),
    ],
)
def test_a_signal_tells_what_is_there_instead_of_parts(
    server: LocalServer,
    environment: dict[str, str],
    folder: Path,
    parts: int,
    meanwhile: Callable[[Path], object],
    told: str,
) -> None:
    file = make_file(folder, parts * PART)
    for operation in ("PutObject", "UploadPart"):
        server.faults.add({"operation": operation, "times": None, "effect": {"gate": "hold"}})
    process = start("cp", "-j", 1, *SMALL_PARTS, file, "oss://examplebucket/k")
    server.faults.wait_reached("hold")
    meanwhile(file)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    server.faults.clear()
    assert process.returncode == 130
    assert told in err
    assert "Traceback" not in err


def test_an_interrupt_that_it_was_started_to_ignore_does_not_stop_it(
    server: LocalServer, bucket: Bucket, environment: dict[str, str], folder: Path
) -> None:
    file = make_file(folder, 3 * PART)
    server.faults.add({"operation": "UploadPart", "effect": {"gate": "hold"}})
    with ignoring(signal.SIGINT):
        process = start("cp", "-j", 1, *SMALL_PARTS, file, "oss://examplebucket/k")
    server.faults.wait_reached("hold")
    process.send_signal(signal.SIGINT)
    server.faults.release("hold")
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert content(bucket, "k") == file.read_bytes()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_signal_stops_it_within_a_second_and_keeps_the_parts(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path, number: int, code: int
) -> None:
    file = make_file(folder, 8 * PART)
    hold = {"gate": "hold", "at": "before"}
    server.faults.add({"operation": "UploadPart", "part_number": 6, "times": None, "effect": hold})
    command = ("cp", "-j", 2, *SMALL_PARTS, file, "oss://examplebucket/k")
    process = start(*command)
    server.faults.wait_reached("hold")
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    took = time.monotonic() - began
    server.faults.clear()
    assert process.returncode == code
    assert took < 1.5, "a second to stop, and the time to leave the interpreter"
    assert "of 8 parts are at the server" in err
    assert "run the same command again" in err
    assert "Traceback" not in err
    assert run(*command).code == 0
    assert content(bucket, "k") == file.read_bytes()


WITH_ITS_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from resumable.__main__ import main
sys.exit(main())
"""


def test_a_terminal_that_goes_away_stops_it_and_keeps_the_parts(
    run: Run, server: LocalServer, environment: dict[str, str], folder: Path
) -> None:
    file = make_file(folder, 8 * PART)
    hold = {"gate": "hold"}
    server.faults.add({"operation": "UploadPart", "part_number": 6, "times": None, "effect": hold})
    command = ("cp", "-j", "1", *SMALL_PARTS, str(file), "oss://examplebucket/k")
    terminal, their_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_ITS_TERMINAL, *map(str, command)],
        stdin=their_end,
        stdout=their_end,
        stderr=their_end,
        env=os.environ | {"TERM": "xterm"},
        start_new_session=True,
    )
    os.close(their_end)
    server.faults.wait_reached("hold")
    os.close(terminal)
    assert process.wait(timeout=10) == 129
    server.faults.clear()
    assert run("status", file).code == 0
    assert run(*command).code == 0


def test_with_nohup_the_command_outlives_its_terminal(
    server: LocalServer, environment: dict[str, str], folder: Path
) -> None:
    file = make_file(folder, 4 * PART)
    hold = {"gate": "hold"}
    server.faults.add({"operation": "UploadPart", "part_number": 3, "effect": hold})
    with ignoring(signal.SIGHUP):
        process = start("cp", "-j", 1, *SMALL_PARTS, file, "oss://examplebucket/k")
    server.faults.wait_reached("hold")
    process.send_signal(signal.SIGHUP)
    server.faults.release("hold")
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_another_transfer_of_the_file_exits_with_1_and_says_what_is_running(
    run: Run, server: LocalServer, folder: Path
) -> None:
    file = make_file(folder, 2 * PART)
    server.faults.add({"operation": "UploadPart", "times": None, "effect": {"gate": "hold"}})
    process = start("cp", "-j", 1, *SMALL_PARTS, file, "oss://examplebucket/k")
    server.faults.wait_reached("hold")
    same = run("cp", *SMALL_PARTS, file, "oss://examplebucket/k")
    other = run("cp", *SMALL_PARTS, file, "oss://examplebucket/other")
    server.faults.clear()
    process.communicate(timeout=30)
    assert (same.code, other.code, process.returncode) == (4, 1, 0)
    assert "oss://examplebucket/k" in other.err
    assert "--checkpoint-path" in other.err


@pytest.mark.parametrize("part_size", ["100KiB", "8MiB"])
def test_the_progress_bar_is_only_for_a_terminal(
    environment: dict[str, str], folder: Path, part_size: str
) -> None:
    file = make_file(folder, 20 * PART)
    terminal, their_end = pty.openpty()
    command = [sys.executable, "-m", "resumable", "cp", f"--part-size={part_size}", str(file)]
    command += ["oss://examplebucket/k"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=their_end, env=os.environ | {"TERM": "xterm"}
    )
    os.close(their_end)
    out, _ = process.communicate(timeout=30)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert "2.0/2.0 MiB" in shown
    assert out.startswith(b"oss://examplebucket/k: sent 2.0 MiB")


def test_without_the_extra_it_says_what_to_install() -> None:
    hidden = "import sys; sys.modules['click'] = None; import resumable.__main__ as m; "
    code = hidden + "sys.exit(m.main())"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert process.returncode == 2
    assert "click" in process.stderr
    assert "'.[cli]'" in process.stderr
    assert "oss-resumable" in process.stderr


def test_module_of_its_own_that_is_missing_is_not_taken_for_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "resumable.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"resumable\.cli\.app"):
        main()
