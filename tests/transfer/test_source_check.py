"""What tells that a source has changed, as the caller says: its stamps, its content, its size."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Unpack

import pytest

from resumable import (
    Bucket,
    InvalidArgumentError,
    Part,
    SourceChangedError,
    UploadResult,
    upload_file,
)
from resumable.core.source_check import SourceCheck
from resumable.server import LocalServer
from resumable.transfer import reading
from tests.faults.odd_mount import ODDITIES, odd_mount
from tests.support import MIB, PART, content, make_file, parts_sent, requests

from .steps import (
    ALL,
    KEY,
    SIZE,
    Options,
    beside,
    change_byte,
    exists,
    fault,
    gate,
    interrupted,
    open_uploads,
    under_way,
    upload,
)

Change = Callable[[Path], None]


def touch(file: Path) -> None:
    os.utime(file, ns=(0, file.stat().st_mtime_ns - 12_345_678_901))


def replace_by_a_copy(file: Path) -> None:
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    copy.replace(file)


def change_part_2(file: Path) -> None:
    was = file.stat()
    change_byte(file, PART + 17)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def append(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"x")


def changed_while_part_3_is_sent(
    server: LocalServer, bucket: Bucket, file: Path, change: Change, **options: Unpack[Options]
) -> UploadResult:
    """The result of an upload whose file changes after parts 1 and 2 were sent."""
    server.faults.add(fault("UploadPart", gate("part"), part_number=3))
    with under_way(server, lambda: upload(bucket, file, **options)) as run:
        server.faults.wait_reached("part")
        change(file)
        server.faults.release("part")
        return run.result()


@pytest.mark.parametrize("check", ["content", "size"])
@pytest.mark.parametrize("change", [touch, replace_by_a_copy])
def test_stamps_do_not_count_where_the_caller_says_so(
    server: LocalServer, bucket: Bucket, folder: Path, change: Change, check: SourceCheck
) -> None:
    file = make_file(folder, SIZE)
    changed_while_part_3_is_sent(server, bucket, file, change, source_check=check)
    assert content(bucket, KEY) == file.read_bytes()
    assert beside(file) == set()


@pytest.mark.parametrize("content_md5", [True, False])
def test_content_that_changed_is_never_completed(
    server: LocalServer, bucket: Bucket, folder: Path, content_md5: bool
) -> None:
    file = make_file(folder, SIZE)
    options: Options = {"source_check": "content", "content_md5": content_md5}
    with pytest.raises(SourceChangedError, match="part 2") as raised:
        changed_while_part_3_is_sent(server, bucket, file, change_part_2, **options)
    assert "resume" in raised.value.kept
    assert requests(server)["CompleteMultipartUpload"] == 0
    assert not exists(bucket)
    server.log.clear()
    upload(bucket, file, source_check="content")
    assert parts_sent(server.log) == [2]


def test_content_that_changed_without_a_checkpoint_leaves_nothing(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    with pytest.raises(SourceChangedError, match="part 2"):
        changed_while_part_3_is_sent(
            server, bucket, file, change_part_2, source_check="content", enable_checkpoint=False
        )
    assert open_uploads(bucket) == []


@pytest.mark.parametrize("check", ["content", "size"])
def test_size_counts_in_every_case(
    server: LocalServer, bucket: Bucket, folder: Path, check: SourceCheck
) -> None:
    file = make_file(folder, SIZE)
    with pytest.raises(SourceChangedError, match=f"size from {SIZE} to {SIZE + 1}") as raised:
        changed_while_part_3_is_sent(server, bucket, file, append, source_check=check)
    assert "source_check" not in raised.value.advice


@pytest.mark.parametrize("change", [touch, replace_by_a_copy])
def test_error_says_what_changed_and_the_way_round(
    server: LocalServer, bucket: Bucket, folder: Path, change: Change
) -> None:
    file = make_file(folder, SIZE)
    name, was = ("mtime", None) if change is touch else ("inode", file.stat().st_ino)
    with pytest.raises(SourceChangedError, match=f"{name} from {was or ''}") as raised:
        changed_while_part_3_is_sent(server, bucket, file, change)
    assert "source_check='content'" in raised.value.advice


def test_recorded_parts_are_read_back_although_the_stamps_are_the_same(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3, source_check="content")
    read: list[int] = []
    real = reading.SourceReader.blocks

    def noted(reader: reading.SourceReader, part: Part) -> Iterator[memoryview]:
        read.append(part.number)
        return real(reader, part)

    monkeypatch.setattr(reading.SourceReader, "blocks", noted)
    upload(bucket, file, source_check="content")
    # Recorded parts before anything is sent, all of them before Complete.
    assert read[:3] == [1, 2, 3]
    assert read[-5:] == ALL


def test_file_whose_stamps_were_set_back_between_two_runs_is_resumed_by_its_content(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3, source_check="content")
    change_part_2(file)
    upload(bucket, file, source_check="content")
    assert parts_sent(server.log) == [2, 4, 5]


def test_by_size_alone_records_are_trusted_whatever_the_stamps_say(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3, source_check="size")
    touch(file)
    upload(bucket, file, source_check="size")
    assert parts_sent(server.log) == [4, 5]


@pytest.mark.parametrize("change", [touch, replace_by_a_copy])
def test_file_of_one_part_is_sent_although_its_stamps_move(
    server: LocalServer, bucket: Bucket, folder: Path, change: Change
) -> None:
    file = make_file(folder, 3 * MIB)
    server.faults.add(fault("PutObject", gate("put")))
    with under_way(
        server, lambda: upload(bucket, file, part_size="8MiB", source_check="content")
    ) as run:
        server.faults.wait_reached("put")
        change(file)
        server.faults.release("put")
        run.result()


def test_file_of_one_part_that_changes_while_it_is_read_is_not_sent(
    bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first half is read in one state and its second half in another."""
    file = make_file(folder, MIB)
    real, reads = reading.OpenFile.read, 0

    def read(self: reading.OpenFile, view: memoryview, offset: int) -> int:
        nonlocal reads
        reads += 1
        if reads == 2:
            change_byte(file, 17)
            change_byte(file, MIB - 1)
        return real(self, view, offset)

    monkeypatch.setattr(reading.OpenFile, "read", read)
    with pytest.raises(SourceChangedError, match="part 1"):
        upload_file(bucket, KEY, file, source_check="content")
    assert reads == 4
    assert not exists(bucket)


@pytest.mark.parametrize("check", ["content", "size"])
def test_empty_file(bucket: Bucket, folder: Path, check: SourceCheck) -> None:
    file = make_file(folder, 0)
    upload_file(bucket, KEY, file, source_check=check)
    assert content(bucket, KEY) == b""


@pytest.mark.parametrize("check", ["Strict", "", None, "mtime"])
def test_other_words_are_refused_before_any_request(
    server: LocalServer, bucket: Bucket, folder: Path, check: object
) -> None:
    options: dict[str, Any] = {"source_check": check}
    with pytest.raises(InvalidArgumentError, match="strict, content, size"):
        upload_file(bucket, KEY, make_file(folder, 10), **options)
    assert len(server.log) == 0


# A real file system whose stat never stands still.


@pytest.mark.parametrize("oddity", ODDITIES)
def test_odd_file_system_is_uploaded_from_by_content(
    server: LocalServer, bucket: Bucket, folder: Path, oddity: str
) -> None:
    data = make_file(folder, SIZE)
    with odd_mount(folder / "mount", data, oddity) as file:
        path = folder / "checkpoint"
        for enable_checkpoint in (True, False):
            options: dict[str, Any] = {
                "checkpoint_path": path if enable_checkpoint else None,
                "enable_checkpoint": enable_checkpoint,
                "part_size": PART,
            }
            with pytest.raises(SourceChangedError, match=f"{oddity} from ") as raised:
                upload_file(bucket, KEY, file, **options)
            assert "source_check='content'" in raised.value.advice
            for check in ("content", "size"):
                upload_file(bucket, KEY, file, source_check=check, **options)
                assert content(bucket, KEY) == data.read_bytes()
        interrupted(server, bucket, file, parts=3, checkpoint_path=path, source_check="content")
        upload(bucket, file, checkpoint_path=path, source_check="content")
        assert parts_sent(server.log) == [4, 5]
        one_part = upload_file(bucket, KEY, file, source_check="content")
        assert one_part.parts_total == 1
    assert open_uploads(bucket) == []
