"""Arguments that hold a byte which is no UTF-8: told in one line, and nothing is sent.

Python hands such a byte in as a lone surrogate, which cannot travel to a server.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from resumable.server import LocalServer
from tests.cli.conftest import Run
from tests.support import make_file, requests

BYTE = "\udcff"
BUCKET = "oss://examplebucket"
KEY = f"{BUCKET}/a{BYTE}b"
ID = "0" * 32


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("uploads", f"{BUCKET}/{BYTE}"), id="prefix of uploads"),
        pytest.param(("uploads", f"oss://{BYTE}/"), id="bucket"),
        pytest.param(("uploads", BUCKET, "--delimiter", BYTE), id="delimiter"),
        pytest.param(("uploads", BUCKET, "--endpoint", BYTE), id="endpoint"),
        pytest.param(("uploads", BUCKET, "--endpoint", "", "--region", BYTE), id="region"),
        pytest.param(("parts", KEY, "--upload-id", ID), id="key of parts"),
        pytest.param(("parts", f"{BUCKET}/k", "--upload-id", BYTE), id="upload id of parts"),
        pytest.param(("abort", KEY), id="key of abort"),
        pytest.param(("abort", KEY, "--upload-id", ID), id="key of abort by id"),
        pytest.param(("abort", f"{BUCKET}/k", "--upload-id", BYTE), id="upload id of abort"),
        pytest.param(("clean", KEY, "--older-than", "1d"), id="prefix of clean"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_it_exits_with_2_and_one_line(
    run: Run, server: LocalServer, command: tuple[str, ...], as_json: bool
) -> None:
    outcome = run(*command, *(["--json"] if as_json else []))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("resumable: ")
    assert outcome.err.count("\n") == 1
    assert len(server.log) == 0


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((KEY,), id="key"),
        pytest.param((f"{BUCKET}/k", "--meta", f"{BYTE}=2"), id="name of metadata"),
        pytest.param((f"{BUCKET}/k", "--meta", f"a={BYTE}"), id="metadata"),
        pytest.param((f"{BUCKET}/k", "--tag", f"{BYTE}=2"), id="name of a tag"),
        pytest.param((f"{BUCKET}/k", "--tag", f"a={BYTE}"), id="tag"),
        pytest.param((f"{BUCKET}/k", "-H", f"{BYTE}:2"), id="name of a header"),
        pytest.param((f"{BUCKET}/k", "-H", f"cache-control:{BYTE}"), id="header"),
        pytest.param((f"{BUCKET}/k", "--content-type", BYTE), id="content type"),
        pytest.param((f"{BUCKET}/k", "--expires", BYTE), id="time"),
        pytest.param((f"{BUCKET}/k", "--upload-id", BYTE), id="upload id"),
        pytest.param((f"{BUCKET}/k", "--part-size", BYTE), id="part size"),
        pytest.param((f"{BUCKET}/k", "--sse-key-id", BYTE), id="key at KMS"),
    ],
)
def test_cp_exits_with_2_and_one_line(
    run: Run, server: LocalServer, folder: Path, words: tuple[str, ...]
) -> None:
    outcome = run("cp", make_file(folder, 10), *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("resumable: ")
    assert outcome.err.count("\n") == 1
    assert len(server.log) == 0


URL = ("--callback-url", "http://127.0.0.1/")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("--callback-url", f"http://{BYTE}/", "--callback-body", "x"), id="url"),
        pytest.param((*URL, "--callback-body", BYTE), id="body"),
        pytest.param((*URL, "--callback-body", "x", "--callback-host", BYTE), id="host"),
        pytest.param((*URL, "--callback-body", "x", "--callback-var", f"a={BYTE}"), id="variable"),
        pytest.param((*URL, "--callback-body", "x", "--callback-var", f"{BYTE}=a"), id="its name"),
    ],
)
def test_a_callback_exits_with_2_and_one_line(
    run: Run, server: LocalServer, folder: Path, words: tuple[str, ...]
) -> None:
    outcome = run("cp", make_file(folder, 10), f"{BUCKET}/k", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("resumable: ")
    assert outcome.err.count("\n") == 1
    assert len(server.log) == 0


def test_a_file_whose_name_is_to_be_the_key(run: Run, server: LocalServer, folder: Path) -> None:
    file = make_file(folder, 10, name=BYTE)
    outcome = run("cp", file, f"{BUCKET}/dir/")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert len(server.log) == 0
    assert run("cp", file, f"{BUCKET}/k").code == 0
    assert requests(server) == {"PutObject": 1}


def test_the_byte_itself(environment: dict[str, str], server: LocalServer) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "resumable", "uploads", b"oss://examplebucket/\xff"],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (process.returncode, process.stdout) == (2, b"")
    assert process.stderr.startswith(b"resumable: ")
    assert process.stderr.count(b"\n") == 1
    assert len(server.log) == 0
