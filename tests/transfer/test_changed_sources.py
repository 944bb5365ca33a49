"""A source that changes, between two runs or during one: noticed, and never mixed in."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable import Bucket, LocalFileError, SourceChangedError, upload_file
from resumable.server import LocalServer
from resumable.transfer.reading import SourceReader
from tests.support import KIB, MIB, PART, content, make_file, parts_sent, random_bytes, requests

from .steps import (
    KEY,
    SIZE,
    beside,
    change_byte,
    checkpoint_path,
    exists,
    fault,
    gate,
    interrupted,
    is_known,
    load,
    rewrite,
    stopped_before_complete,
    under_way,
    upload,
)

Change = Callable[[Path], None]


def touch(file: Path) -> None:
    os.utime(file, ns=(0, file.stat().st_mtime_ns - 12_345_678_901))


def append(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(random_bytes(PART, seed=1))


def change_part_4(file: Path) -> None:
    change_byte(file, 3 * PART + 17)


def change_part_2(file: Path) -> None:
    change_byte(file, PART + 17)


def change_part_2_and_set_the_time_back(file: Path) -> None:
    was = file.stat()
    change_byte(file, PART + 17)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def insert_in_front(file: Path) -> None:
    file.write_bytes(b"x" + file.read_bytes()[:-1])


def truncate(size: int) -> Change:
    return lambda file: os.truncate(file, size)


def replace_by_a_copy(file: Path) -> None:
    copy = file.with_name("copy")
    shutil.copy2(file, copy)
    copy.replace(file)


def replace_by_another(file: Path) -> None:
    was = file.stat()
    other = make_file(file.parent, SIZE, seed=2, name="other")
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.replace(file)


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        pytest.param(touch, [], id="touched"),
        pytest.param(lambda file: file.chmod(0o600), [], id="mode-changed"),
        pytest.param(replace_by_a_copy, [], id="replaced-by-a-copy"),
        pytest.param(append, [5, 6], id="appended"),
        pytest.param(change_part_2, [2], id="one-byte-in-the-middle"),
        pytest.param(change_part_2_and_set_the_time_back, [2], id="one-byte-and-time-set-back"),
        pytest.param(insert_in_front, [1, 2, 3, 4, 5], id="one-byte-inserted-in-front"),
        pytest.param(replace_by_another, [1, 2, 3, 4, 5], id="replaced-by-another"),
        pytest.param(truncate(2 * PART + 5), [3], id="shrunk-within-a-part"),
        pytest.param(truncate(2 * PART), [], id="shrunk-to-two-parts"),
    ],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_only_what_changed_between_two_runs_is_sent_again(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    change: Change,
    sent: list[int],
    threads: int,
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    change(file)
    result = upload(bucket, file, thread_num=threads)
    assert sorted(parts_sent(server.log)) == sent
    assert (result.resumed, result.parts_reused) == (True, result.parts_total - len(sent))
    assert beside(file) == set()


def test_changed_part_is_not_adopted_by_a_record_that_is_lost(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    rewrite(file, parts=())
    change_part_2(file)
    upload(bucket, file)
    assert parts_sent(server.log) == [2]


def test_file_that_shrank_to_one_part_goes_as_one_put_and_the_old_upload_is_aborted(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    os.truncate(file, 10 * KIB)
    result = upload(bucket, file)
    assert (result.parts_total, result.resumed, result.bytes_sent) == (1, False, 10 * KIB)
    assert not is_known(bucket, upload_id)
    assert beside(file) == set()


def test_part_verified_after_a_change_is_trusted_by_the_run_after_that(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    change_part_2(file)
    interrupted(server, bucket, file, parts=0)
    change_part_4(file)
    upload(bucket, file)
    assert sorted(parts_sent(server.log)) == [2, 4]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(change_part_2, "mtime from ", id="written-to"),
        pytest.param(append, "size from ", id="appended"),
        pytest.param(truncate(3 * PART), "size from ", id="truncated"),
        pytest.param(truncate(0), "size from ", id="emptied"),
        pytest.param(os.unlink, "is gone", id="deleted"),
        pytest.param(replace_by_another, "inode from ", id="replaced"),
        pytest.param(change_part_2_and_set_the_time_back, "part 2", id="time-set-back"),
    ],
)
@pytest.mark.parametrize("part", [3, 5], ids=["midway", "last-part"])
def test_source_changed_while_sending_completes_nothing(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    change: Change,
    told: str,
    part: int,
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("part", "after"), part_number=part))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("part")
        change(file)
        server.faults.release("part")
        with pytest.raises(SourceChangedError, match=told) as raised:
            run.result()
    assert raised.value.fault == "source"
    if change is not change_part_2_and_set_the_time_back:  # which only reading it all can tell
        assert max(parts_sent(server.log)) == part
    assert requests(server)["CompleteMultipartUpload"] == 0
    assert not exists(bucket)
    assert load(checkpoint_path(file)).parts
    assert beside(file) == {"example.bin.cp"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change_part_2, id="written-to"),
        pytest.param(change_part_2_and_set_the_time_back, id="time-set-back"),
    ],
)
def test_source_changed_while_sending_is_noticed_without_md5(
    server: LocalServer, bucket: Bucket, folder: Path, change: Change
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("part"), part_number=3))
    with under_way(server, lambda: upload(bucket, file, content_md5=False)) as run:
        server.faults.wait_reached("part")
        change(file)
        server.faults.release("part")
        with pytest.raises(SourceChangedError):
            run.result()
    assert not exists(bucket)


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        pytest.param(change_part_2, [2, 4, 5], id="written-to"),
        pytest.param(append, [4, 5, 6], id="appended"),
        pytest.param(truncate(2 * PART), [], id="truncated"),
        pytest.param(change_part_2_and_set_the_time_back, [2], id="time-set-back"),
    ],
)
def test_unchanged_parts_are_kept_for_the_run_after_a_change(
    server: LocalServer, bucket: Bucket, folder: Path, change: Change, sent: list[int]
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("part", "after"), part_number=3))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("part")
        change(file)
        server.faults.release("part")
        with pytest.raises(SourceChangedError):
            run.result()
    server.log.clear()
    upload(bucket, file)
    assert sorted(parts_sent(server.log)) == sent


def test_source_touched_while_sending_is_read_again_and_completed(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("part"), part_number=3))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("part")
        file.chmod(0o600)
        server.faults.release("part")
        assert run.result().bytes_sent == SIZE
    assert "touched" in caplog.text


def test_change_in_the_midst_of_a_part_never_lets_its_last_block_out(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # More than the sockets hold, so that the client is still sending when the file changes.
    file = make_file(folder, 32 * MIB)
    server.faults.add(fault("UploadPart", gate("part"), part_number=2))
    with under_way(server, lambda: upload(bucket, file, part_size=16 * MIB)) as run:
        server.faults.wait_reached("part")
        change_byte(file, 32 * MIB - 1)
        server.faults.release("part")
        with pytest.raises(SourceChangedError):
            run.result()
    assert parts_sent(server.log) == [1]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(append, id="appended"),
        pytest.param(truncate(16 * MIB), id="truncated"),
        pytest.param(change_part_2, id="written-to"),
        pytest.param(change_part_2_and_set_the_time_back, id="time-set-back"),
        pytest.param(os.unlink, id="deleted"),
    ],
)
@pytest.mark.parametrize("content_md5", [True, False], ids=["md5", "no-md5"])
def test_source_changed_during_put_object_makes_no_object(
    server: LocalServer, bucket: Bucket, folder: Path, change: Change, content_md5: bool
) -> None:
    file = make_file(folder, 32 * MIB)
    server.faults.add(fault("PutObject", gate("put")))
    with under_way(
        server, lambda: upload(bucket, file, part_size="64MiB", content_md5=content_md5)
    ) as run:
        server.faults.wait_reached("put")
        change(file)
        server.faults.release("put")
        with pytest.raises(SourceChangedError):
            run.result()
    assert not exists(bucket)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_any_more_is_told_and_keeps_nobody_waiting(
    server: LocalServer, bucket: Bucket, folder: Path, make: Callable[[Path], None]
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("InitiateMultipartUpload", gate("begun", at="after")))
    with under_way(server, lambda: upload(bucket, file)) as running:
        server.faults.wait_reached("begun")
        file.unlink()
        make(file)
        server.faults.release("begun")
    with pytest.raises((SourceChangedError, LocalFileError)):
        running.result()


def test_object_of_one_part_is_not_sent_by_the_kernel(
    bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*_: object) -> int:
        raise AssertionError("sent after the last look")

    monkeypatch.setattr(SourceReader, "send", send)
    file = make_file(folder, 3 * MIB)
    upload_file(bucket, KEY, file)
    assert content(bucket, KEY) == file.read_bytes()


def test_empty_file_that_grows_before_it_is_sent_is_a_typed_error(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    file.write_bytes(b"")
    server.faults.add(fault("AbortMultipartUpload", gate("abort")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("abort")
        file.write_bytes(b"x")
        server.faults.release("abort")
        with pytest.raises(SourceChangedError):
            run.result()
    assert not exists(bucket, KEY)
