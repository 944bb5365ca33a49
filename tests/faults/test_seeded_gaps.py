"""What bugs that were put in on purpose have shown to be tested nowhere else."""

import errno
import io
import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    CheckpointError,
    LocalFileError,
    NoSuchUploadError,
    SourceChangedError,
    abort_upload,
)
from resumable.core.checkpoint import FIRST_BYTES, CheckpointUnreadableError
from resumable.core.checkpoint_reading import decode
from resumable.core.plan import Part
from resumable.oss.bodies import FileSlice
from resumable.oss.messages import BLOCK_SIZE
from resumable.server import LocalServer
from resumable.transfer import files, reading, source
from tests.faults.disk import NAME, Call, observing
from tests.support import PART, make_file, parts_sent, random_bytes
from tests.transfer.steps import (
    ALL,
    KEY,
    SIZE,
    checkpoint_path,
    exists,
    fault,
    gate,
    is_known,
    load,
    open_uploads,
    recorded,
    refused,
    under_way,
    upload,
)


def test_file_that_is_another_while_it_is_opened_is_not_sent(
    bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = folder / "current"
    for number, name in enumerate(("today", "tomorrow")):
        make_file(folder, SIZE, seed=number, name=name)
    current.symlink_to("today")
    real = reading.OpenFile

    def open_the_other(path: str, at: str) -> reading.OpenFile:
        # Neither file changes, so that nothing but the opened one itself can tell.
        point_at(current, "tomorrow")
        try:
            return real(path, at)
        finally:
            point_at(current, "today")

    monkeypatch.setattr(source, "OpenFile", open_the_other)
    with pytest.raises(SourceChangedError, match="is another file by now: inode from "):
        upload(bucket, current, checkpoint_path=folder / "checkpoint")
    assert not exists(bucket)


def point_at(link: Path, target: str) -> None:
    """Let a link lead elsewhere, in one step."""
    new = link.with_name("new-link")
    new.symlink_to(target)
    new.replace(link)


def test_file_that_ends_before_its_part_does_is_not_sent_so_far(folder: Path) -> None:
    path = str(make_file(folder, SIZE))
    with source.SourceFile(path) as opened, opened.reader() as reader:
        os.truncate(path, SIZE - 1)
        with pytest.raises(SourceChangedError, match="became shorter"):
            list(reader.blocks(Part(1, 0, SIZE)))


def test_wrong_word_that_a_named_upload_is_gone_does_not_abort_it(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file, upload_id = make_file(folder, SIZE), bucket.init_multipart_upload(KEY).upload_id
    server.faults.add(fault("UploadPart", refused(404, "NoSuchUpload"), skip=2))
    with pytest.raises(NoSuchUploadError):
        upload(bucket, file, upload_id=upload_id)
    assert is_known(bucket, upload_id)
    # The next run does not name it, and begins another one instead.
    server.faults.add(fault("UploadPart", refused(404, "NoSuchUpload")))
    upload(bucket, file)
    assert open_uploads(bucket) == [upload_id]


def test_abort_that_is_told_wrongly_that_there_is_nothing_is_sent_again(
    server: LocalServer, bucket: Bucket
) -> None:
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    bucket.upload_part(KEY, upload_id, 1, random_bytes(PART))
    server.faults.add(fault("AbortMultipartUpload", refused(404, "NoSuchUpload"), times=1))
    abort_upload(bucket, KEY, upload_id)
    assert not is_known(bucket, upload_id)
    assert open_uploads(bucket) == []


def test_garbled_word_that_the_upload_is_complete_is_success(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("CompleteMultipartUpload", {"drop": "after_success"}))
    garbled = {"status": 404, "body": "<html>Not here</html>"}
    server.faults.add(fault("CompleteMultipartUpload", garbled, skip=1))
    assert upload(bucket, file).bytes_sent == SIZE
    assert parts_sent(server.log) == ALL


def test_part_that_the_server_lost_is_struck_off_the_record(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("CompleteMultipartUpload", gate("complete")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("complete")
        upload_id = load(checkpoint_path(file)).upload_id
        bucket.upload_part(KEY, upload_id, 2, random_bytes(PART, seed=9))
        server.faults.add(fault("UploadPart", refused()))
        server.faults.release("complete")
        with pytest.raises(AccessDeniedError, match="4 of 5 parts are at the server"):
            run.result()
    assert recorded(file) == [1, 3, 4, 5]


@pytest.mark.timeout(5)
def test_pipe_at_the_checkpoint_is_not_waited_for(bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, SIZE)
    os.mkfifo(checkpoint_path(file))
    with pytest.raises(CheckpointError, match="not a regular file"):
        upload(bucket, file)


def test_file_with_a_second_name_is_not_made_a_lock(bucket: Bucket, folder: Path) -> None:
    file, other = make_file(folder, SIZE), folder / "other"
    other.touch()
    (folder / f"{file.name}.cp.lock").hardlink_to(other)
    with pytest.raises(CheckpointError, match="holds something else"):
        upload(bucket, file)
    assert other.read_bytes() == b""


def test_short_writes_make_a_whole_checkpoint(folder: Path) -> None:
    def half(call: Call) -> object:
        return (call.go_short or call.go)() if call.kind == "os.write" else call.go()

    data, path = random_bytes(1000), checkpoint_path(folder / NAME)
    with observing(folder, half):
        files.write_durably(str(path), data)
    assert path.read_bytes() == data


@pytest.mark.parametrize("failing", ["os.write", "os.fsync"])
def test_next_state_that_cannot_be_written_is_removed(folder: Path, failing: str) -> None:
    def fail(call: Call) -> object:
        if call.kind == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return call.go()

    with observing(folder, fail), pytest.raises(LocalFileError):
        files.write_durably(str(checkpoint_path(folder / NAME)), b"next state")
    assert not list(folder.iterdir())


def test_record_of_too_many_values_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(CheckpointUnreadableError, match="more values than 10000 parts have"):
        decode(FIRST_BYTES + b"[" + b"1," * 100_000)


def test_want_of_open_files_is_no_fault_of_the_network(bucket: Bucket) -> None:
    held: list[int] = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, limits[0]), limits[1]))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(LocalFileError, match="Too many open files"):
            bucket.head_object(KEY)
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_file_object_is_read_in_blocks() -> None:
    class Watched(io.BytesIO):
        asked: list[int] = []  # noqa: RUF012 - of this test alone

        def read(self, size: int | None = -1, /) -> bytes:
            self.asked.append(-1 if size is None else size)
            return super().read(size)

    data = random_bytes(3 * BLOCK_SIZE + 1)
    body = FileSlice(Watched(data))
    body.prepare(with_md5=True)
    assert b"".join(map(bytes, body.blocks())) == data
    assert min(Watched.asked) >= 0
    assert max(Watched.asked) <= BLOCK_SIZE
