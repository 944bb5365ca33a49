"""What cannot be carried out is told clearly, before any request, and nothing is lost."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resumable import (
    Bucket,
    CheckpointError,
    CredentialsError,
    InvalidArgumentError,
    LocalFileError,
    PartSizeError,
    ResumableError,
    upload_file,
)
from resumable.server import LocalServer
from tests.support import PART, make_file

GIB = 1024**3
ALLOWED = {"part_size": PART, "enable_checkpoint": True}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        pytest.param({"part_size": 1}, PartSizeError, id="part size of 1"),
        pytest.param({"part_size": 6 * GIB}, PartSizeError, id="part size of 6 GB"),
        pytest.param({"part_size": "x"}, PartSizeError, id="part size of x"),
        pytest.param({"key": ""}, InvalidArgumentError, id="key empty"),
        pytest.param({"key": "k" * 1024}, InvalidArgumentError, id="key too long"),
        pytest.param({"key": "a\nb"}, InvalidArgumentError, id="key with a line break"),
        pytest.param({"key": "a\x00b"}, InvalidArgumentError, id="key with NUL"),
        pytest.param({"key": None}, InvalidArgumentError, id="no key"),
        pytest.param({"headers": {"a": "b\r\nc"}}, InvalidArgumentError, id="header with CR LF"),
        pytest.param({"headers": {"a": "\x00"}}, InvalidArgumentError, id="header with NUL"),
        pytest.param({"headers": {"a": 5}}, InvalidArgumentError, id="header with a number"),
        pytest.param({"headers": ["a"]}, InvalidArgumentError, id="headers in a list"),
        pytest.param({"headers": {"Host": "x"}}, InvalidArgumentError, id="header of ours"),
        pytest.param({"thread_num": 0}, InvalidArgumentError, id="no thread"),
        pytest.param({"filename": "missing"}, LocalFileError, id="file missing"),
        pytest.param({"filename": "."}, LocalFileError, id="file is a folder"),
        pytest.param({"filename": "a\0b"}, InvalidArgumentError, id="file name with NUL"),
        pytest.param({"filename": None}, InvalidArgumentError, id="no file"),
        pytest.param({"checkpoint_path": "none/x.cp"}, CheckpointError, id="folder missing"),
        pytest.param({"checkpoint_path": "example.bin/x"}, CheckpointError, id="folder is a file"),
        pytest.param({"checkpoint_path": "/proc/x.cp"}, CheckpointError, id="folder read-only"),
    ],
)
def test_bad_input_is_a_typed_error_before_any_request(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    error: type[ResumableError],
) -> None:
    monkeypatch.chdir(folder)
    file = make_file(folder, 3 * PART)
    before = file.read_bytes()
    arguments = {"key": "k", "filename": file, **ALLOWED, **wrong}
    with pytest.raises(error) as raised:
        upload_file(bucket, **arguments)
    assert str(raised.value)
    assert len(server.log) == 0
    assert file.read_bytes() == before
    assert os.listdir(folder) == [file.name]


@pytest.mark.parametrize(
    ("make", "error"),
    [
        pytest.param(lambda: Bucket("Bad_Name", endpoint="x.com"), InvalidArgumentError, id="name"),
        pytest.param(lambda: Bucket("bucket", endpoint=":::"), InvalidArgumentError, id="endpoint"),
        pytest.param(lambda: Bucket("bucket", endpoint="x\ny"), InvalidArgumentError, id="line"),
        pytest.param(lambda: Bucket("bucket", endpoint="x.com"), CredentialsError, id="no key"),
    ],
)
def test_bad_bucket_is_a_typed_error(
    make: Callable[[], Bucket], error: type[ResumableError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OSS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("OSS_ACCESS_KEY_SECRET", raising=False)
    with pytest.raises(error):
        make()


_AS_NOBODY = """
import os, sys
from resumable import Bucket, Credentials, LocalFileError, upload_file
os.setgid(65534)
os.setuid(65534)
key = Credentials("localkey", "localsecret")
bucket = Bucket("examplebucket", endpoint=sys.argv[1], credentials=key)
try:
    upload_file(bucket, "k", sys.argv[2])
except LocalFileError as error:
    print(error)
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)
def test_unreadable_file_is_told_before_any_request(server: LocalServer, folder: Path) -> None:
    file = make_file(folder, 3 * PART)
    file.chmod(0)
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    told = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, server.endpoint, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Permission denied" in told.stdout
    assert len(server.log) == 0


@pytest.mark.parametrize("suffix", ["", ".lock", ".resumable-new"])
def test_source_with_the_name_of_a_file_of_ours_is_left_alone(
    server: LocalServer, bucket: Bucket, folder: Path, suffix: str
) -> None:
    file = make_file(folder, 3 * PART, name=f"data{suffix}")
    before = file.read_bytes()
    with pytest.raises(InvalidArgumentError, match="would be written"):
        upload_file(bucket, "k", file, checkpoint_path=folder / "data", **ALLOWED)  # type: ignore[arg-type]
    assert file.read_bytes() == before
    assert len(server.log) == 0
