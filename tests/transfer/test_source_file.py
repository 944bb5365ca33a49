"""A source file by itself: taking note of its state while somebody writes to it."""

import os
from pathlib import Path

import pytest

from resumable import (
    Bucket,
    InvalidArgumentError,
    LocalFileError,
    SourceChangedError,
    upload_file,
)
from resumable.core.plan import MAX_OBJECT_SIZE
from resumable.transfer import reading
from resumable.transfer.source import SourceFile
from tests.support import make_file

from .steps import SIZE, exists, upload


def test_file_that_is_written_to_all_the_time_is_taken_as_it_was_last_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for it to settle has an end; that it changed since is noticed later."""
    file = make_file(folder, 1000)
    stat, seen = os.stat, list[int]()

    def written_to(path: str) -> os.stat_result:
        os.utime(file)
        seen.append(stat(path).st_mtime_ns)
        return stat(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", written_to)
        source = SourceFile(str(file))
    with source:
        assert source.identity.mtime_ns == seen[-1]
        assert 2 < len(seen) < 20
        assert not source.must_be_read_again()
        file.chmod(0o600)
        assert source.must_be_read_again()
        os.utime(file, ns=(0, seen[-1] + 1))
        with pytest.raises(SourceChangedError, match="mtime"):
            source.must_be_read_again()


def test_thread_that_outlives_the_transfer_reads_no_other_file(folder: Path) -> None:
    file = make_file(folder, 100)
    other = make_file(folder, 100, seed=2, name="other")
    with SourceFile(str(file)) as source:
        one = source.reader()
        reader = one.__enter__()
    with other.open("rb"):  # gets the lowest descriptor that is free
        assert bytes(reader.read(0, 100)) == file.read_bytes()
    one.__exit__(None, None, None)
    with pytest.raises(LocalFileError), source.reader():
        pass


@pytest.mark.parametrize("threads", [1, 3])
def test_where_the_system_reads_only_from_where_it_stands(
    bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(reading, "_READS_ANYWHERE", False)
    upload(bucket, make_file(folder, SIZE), thread_num=threads)


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="there is no /proc")
@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_file_that_tells_no_size_is_not_taken_for_an_empty_one(
    bucket: Bucket, folder: Path, enable_checkpoint: bool
) -> None:
    checkpoint = folder / "version.cp" if enable_checkpoint else None
    with pytest.raises(LocalFileError, match=r"^'/proc/version' holds bytes") as refused:
        upload_file(
            bucket,
            "k",
            "/proc/version",
            enable_checkpoint=enable_checkpoint,
            checkpoint_path=checkpoint,
        )
    assert "upload the copy" in refused.value.advice
    assert not exists(bucket, "k")


def test_file_of_a_time_far_away_is_uploaded(bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, SIZE)
    os.utime(file, ns=(0, 10**20))
    if file.stat().st_mtime_ns != 10**20:
        pytest.skip("this file system has no such times")
    upload(bucket, file)


def test_file_larger_than_any_object_is_refused_at_once(bucket: Bucket, folder: Path) -> None:
    file = folder / "sparse"
    file.touch()
    try:
        os.truncate(file, MAX_OBJECT_SIZE + 1)
    except OSError:
        pytest.skip("this file system has no such files")
    with pytest.raises(InvalidArgumentError, match="at most"):
        upload(bucket, file)
