"""A first run: what is decided, written and sent before and while the parts go out."""

import inspect
import logging
import os
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    InvalidArgumentError,
    LocalFileError,
    PartSizeError,
    ResumableError,
    upload_file,
)
from resumable.server import LocalServer
from tests.support import KIB, MIB, PART, make_file, parts_sent, requests

from .steps import (
    ALL,
    KEY,
    SIZE,
    Options,
    beside,
    checkpoint_path,
    fault,
    gate,
    interrupted,
    load,
    open_uploads,
    refused,
    under_way,
    upload,
)


def test_upload_is_recorded_before_the_first_part_is_sent(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first part")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("first part")
        found = load(checkpoint_path(file))
        assert open_uploads(bucket) == [found.upload_id]
        assert (found.part_size, found.parts) == (PART, ())
        server.faults.release("first part")
        run.result()


def test_record_is_on_the_disk_before_the_first_part_is_sent(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        is_folder = os.fstat(descriptor).st_ino == folder.stat().st_ino
        steps.append("sync folder" if is_folder else "sync file")
        fsync(descriptor)

    def noted_replace(source: str, target: str) -> None:
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    server.faults.add(fault("UploadPart", refused()))
    with pytest.raises(AccessDeniedError):
        upload(bucket, file)
    assert steps == ["sync file", "rename", "sync folder"]


def test_upload_that_cannot_be_recorded_is_aborted(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)

    def broken(descriptor: int) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(LocalFileError) as raised:
        upload(bucket, file)
    assert raised.value.errno == 5
    assert requests(server)["UploadPart"] == 0
    assert open_uploads(bucket) == []
    assert beside(file) == set()


def test_first_run_sends_every_part_once(server: LocalServer, bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, SIZE)
    result = upload(bucket, file)
    assert parts_sent(server.log) == ALL
    assert (result.parts_total, result.parts_reused, result.bytes_sent) == (5, 0, SIZE)
    assert not result.resumed
    assert result.request_id in {exchange.request_id for exchange in server.log}
    with bucket.get_object(KEY) as answer:
        assert answer.headers["etag"].strip('"') == result.etag
    assert requests(server) == {
        "InitiateMultipartUpload": 1,
        "UploadPart": 5,
        "CompleteMultipartUpload": 1,
        "GetObject": 2,
    }


def test_defaults_are_those_of_the_c_sdk() -> None:
    parameters = inspect.signature(upload_file).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert list(defaults)[:7] == [
        "bucket",
        "key",
        "filename",
        "thread_num",
        "part_size",
        "enable_checkpoint",
        "checkpoint_path",
    ]
    assert (defaults["thread_num"], defaults["enable_checkpoint"]) == (1, False)
    assert defaults["checkpoint_path"] is None


@pytest.mark.parametrize(
    ("options", "names"),
    [
        pytest.param({"enable_checkpoint": False}, set(), id="off"),
        pytest.param({}, {"example.bin.cp", "example.bin.cp.lock"}, id="on"),
        pytest.param({"checkpoint_path": "other"}, {"other", "other.lock"}, id="elsewhere"),
    ],
)
def test_files_beside_the_source_while_sending(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: Options,
    names: set[str],
) -> None:
    monkeypatch.chdir(folder)
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first part")))
    with under_way(server, lambda: upload(bucket, file, **options)) as run:
        server.faults.wait_reached("first part")
        assert beside(file) == names
        server.faults.release("first part")
        run.result()
    assert beside(file) == set()


def test_as_many_parts_at_once_as_threads_asked_for(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("parts"), times=None))
    with under_way(server, lambda: upload(bucket, file, thread_num=3)) as run:
        assert server.faults.wait_reached("parts", count=3) == 3
        server.faults.release("parts")
        run.result()
    assert sorted(parts_sent(server.log)) == ALL


@pytest.mark.parametrize("size", [0, 1, PART, 700 * KIB, MIB])
@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_file_that_fits_one_part_goes_as_one_put_object(
    server: LocalServer, bucket: Bucket, folder: Path, size: int, enable_checkpoint: bool
) -> None:
    file = make_file(folder, size)
    result = upload(bucket, file, part_size=MIB, enable_checkpoint=enable_checkpoint)
    assert requests(server) == {"PutObject": 1, "GetObject": 1}
    assert (result.parts_total, result.bytes_sent) == (1, size)
    assert beside(file) == set()


def test_one_byte_more_than_a_part_goes_as_two(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    assert upload(bucket, make_file(folder, PART + 1)).parts_total == 2
    assert parts_sent(server.log) == [1, 2]


def test_part_size_that_gives_too_many_parts_is_grown_told_and_logged(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / "sparse.bin"
    with file.open("wb") as stream:
        stream.truncate(10_000 * PART + 1)
    with caplog.at_level(logging.WARNING, "resumable"):
        interrupted(server, bucket, file, parts=1)
    assert load(checkpoint_path(file)).part_size == PART + 1
    assert f"from {PART} to {PART + 1}" in caplog.text


@pytest.mark.parametrize(
    ("options", "error"),
    [
        pytest.param({"thread_num": 0}, InvalidArgumentError, id="no-thread"),
        pytest.param({"thread_num": 257}, InvalidArgumentError, id="257-threads"),
        pytest.param({"thread_num": True}, InvalidArgumentError, id="bool-for-threads"),
        pytest.param({"part_size": PART - 1}, PartSizeError, id="part-size-too-small"),
        pytest.param({"part_size": "5.1GB"}, PartSizeError, id="part-size-too-large"),
        pytest.param({"part_size": "many"}, PartSizeError, id="part-size-no-number"),
        pytest.param({"key": ""}, InvalidArgumentError, id="empty-key"),
        pytest.param({"key": "/a"}, InvalidArgumentError, id="key-with-slash-in-front"),
        pytest.param({"headers": {"a": "b\r\nc: d"}}, InvalidArgumentError, id="header-injection"),
        pytest.param({"headers": {"a b": "c"}}, InvalidArgumentError, id="header-name"),
    ],
)
def test_impossible_wish_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, folder: Path, options: Options, error: type[ResumableError]
) -> None:
    file = make_file(folder, SIZE)
    with pytest.raises(error):
        upload(bucket, file, **options)
    assert len(server.log) == 0
    assert beside(file) == set()


def test_checkpoint_path_must_not_be_the_file_itself(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    with pytest.raises(InvalidArgumentError, match="which would be written"):
        upload(bucket, file, checkpoint_path=file)
    assert file.stat().st_size == SIZE
    assert len(server.log) == 0


def test_missing_file_and_folder_are_refused_before_any_request(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    with pytest.raises(LocalFileError, match=r"missing\.bin"):
        upload(bucket, folder / "missing.bin")
    with pytest.raises(LocalFileError, match="not a regular file"):
        upload(bucket, folder)
    assert len(server.log) == 0
