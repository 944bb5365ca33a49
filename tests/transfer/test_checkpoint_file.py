"""The checkpoint on the disk: who may read it, what it holds, and what becomes of a bad one."""

import errno
import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    CheckpointError,
    LocalFileError,
    upload_file,
)
from resumable.core.checkpoint import encode
from resumable.server import LocalServer
from resumable.transfer.files import write_durably
from tests.support import CREDENTIALS, PART, make_file, parts_sent, requests

from .child import started
from .steps import (
    ALL,
    KEY,
    SIZE,
    beside,
    checkpoint_path,
    fault,
    gate,
    interrupted,
    load,
    open_uploads,
    recorded,
    refused,
    stopped_before_complete,
    under_way,
    upload,
)

NEW = "example.bin.cp.resumable-new"


def test_checkpoint_is_readable_by_its_owner_only_from_its_birth(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    modes: set[int] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            modes.add(found.st_mode & 0o777)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    before = os.umask(0)
    try:
        stopped_before_complete(server, bucket, file)
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert checkpoint_path(file).stat().st_mode & 0o777 == 0o600


def test_checkpoint_holds_no_secret(server: LocalServer, bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, SIZE)
    headers = {"x-oss-meta-password": "hunter2", "x-oss-traffic-limit": "819200"}
    stopped_before_complete(server, bucket, file, headers=headers)
    text = checkpoint_path(file).read_text()
    for secret in (CREDENTIALS.access_key_id, CREDENTIALS.access_key_secret, "hunter2", "819200"):
        assert secret not in text


def test_whole_checkpoint_is_at_its_path_at_any_moment(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    write, seen = os.write, []

    def torn(descriptor: int, data: memoryview) -> int:
        if checkpoint_path(file).exists():
            seen.append(recorded(file))
        return write(descriptor, data[:100])

    monkeypatch.setattr(os, "write", torn)
    stopped_before_complete(server, bucket, file)
    assert len(seen) > 10
    assert recorded(file) == ALL


def test_newest_state_is_never_replaced_by_an_older_one(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    fsync, writing, go_on = os.fsync, threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        if threading.current_thread().name == "checkpoint":
            writing.set()
            go_on.wait(0.3)  # a disk that takes its time while the last part arrives
        elif writing.is_set():
            go_on.set()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    stopped_before_complete(server, bucket, file, thread_num=2)
    assert recorded(file) == ALL
    assert beside(file) == {"example.bin.cp"}


def test_two_runs_that_write_at_once_under_a_lock_that_lies_both_succeed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(folder / "example.bin.cp")
    fsync, writing, go_on = os.fsync, threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        if not writing.is_set():
            writing.set()
            assert go_on.wait(10)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(write_durably, path, b"first")
        assert writing.wait(10)
        try:
            write_durably(path, b"second")
        finally:
            go_on.set()
        first.result()
    assert Path(path).read_bytes() in (b"first", b"second")
    assert os.listdir(folder) == ["example.bin.cp"]


def test_writing_does_not_grow_with_the_number_of_parts(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, writes = os.replace, []

    def noted(source: str, target: str) -> None:
        writes.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", noted)
    result = upload(bucket, make_file(folder, 200 * PART), thread_num=2)
    assert result.parts_total == 200
    # One that wrote for each part would write 200 times.
    assert 2 < len(writes) <= 4 + result.elapsed / 0.05


def test_state_is_written_while_the_run_goes_on(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    server.faults.add(fault("UploadPart", refused(), skip=2))
    with started(server.endpoint, file) as child:
        server.faults.wait_reached("third")
        # Killed without warning: what is on the disk is what the writer wrote by itself.
        child.kill()
    assert recorded(file) in ([], [1], [1, 2])
    assert upload(bucket, file).parts_reused == 2


@pytest.mark.parametrize("name", ["example.bin.cp", NEW])
def test_planted_link_is_not_followed(
    server: LocalServer, bucket: Bucket, folder: Path, tmp_path: Path, name: str
) -> None:
    file, victim = make_file(folder, SIZE), tmp_path / "victim"
    victim.write_bytes(b"precious")
    (folder / name).symlink_to(victim)
    if name == NEW:
        upload(bucket, file)
        assert beside(file) == set()
    else:
        with pytest.raises(CheckpointError, match="cannot be read"):
            upload(bucket, file)
        assert len(server.log) == 0
        assert (folder / name).is_symlink()
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_something_else_at_the_path_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, folder: Path, kind: str
) -> None:
    file = make_file(folder, SIZE)
    make = os.mkdir if kind == "folder" else os.mkfifo
    make(checkpoint_path(file))
    with pytest.raises(CheckpointError):
        upload(bucket, file)
    assert len(server.log) == 0
    assert beside(file) == {"example.bin.cp"}


def test_folder_that_cannot_be_written_to_is_told_before_any_request(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    # Below a file not even root can write.
    with pytest.raises(CheckpointError, match="checkpoint_path="):
        upload(bucket, file, checkpoint_path=file / "below")
    assert len(server.log) == 0
    assert beside(file) == set()


def test_full_disk_ends_the_run_at_once_and_resumably(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 30 * PART)
    server.faults.add(fault("UploadPart", gate("held"), skip=20, times=None))
    server.faults.add(fault("UploadPart", refused(), skip=20, times=None))
    # Room for the beginning of a checkpoint and not for twenty parts. The last part is held for
    # ever: the run can only end because the checkpoint could not be written.
    with started(server.endpoint, file, "1500") as child:
        server.faults.wait_reached("held")
        outcome = child.outcome()
    assert (outcome["error"], outcome["errno"]) == ("LocalFileError", errno.EFBIG)
    assert f"{file}.cp" in outcome["told"]
    assert requests(server)["UploadPart"] == 20
    assert beside(file) == {"example.bin.cp"}
    server.faults.clear()
    assert upload(bucket, file).parts_reused == 20


def test_checkpoint_from_the_future_is_refused_and_left_alone(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    content = json.loads(checkpoint_path(file).read_bytes())
    future = json.dumps({**content, "version": 2, "news": True}).encode()
    checkpoint_path(file).write_bytes(future)
    with pytest.raises(CheckpointError, match="newer release"):
        upload(bucket, file)
    assert checkpoint_path(file).read_bytes() == future
    assert beside(file) == {"example.bin.cp"}
    assert len(server.log) == 0


def torn(checkpoint: bytes) -> bytes:
    return checkpoint[: len(checkpoint) // 2]


def forged(checkpoint: bytes) -> bytes:
    return checkpoint.replace(b'"size":102400', b'"size":102399', 1)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(torn, id="torn"),
        pytest.param(forged, id="one-digit-changed"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda checkpoint: bytes(len(checkpoint)), id="zeros"),
        pytest.param(lambda _: b'"a string"', id="json-string"),
        pytest.param(lambda _: b"null", id="json-null"),
        pytest.param(lambda _: b"[" * 100_000, id="deep"),
        pytest.param(lambda _: b'{"version": ' + b"9" * 5000 + b"}", id="endless-number"),
        pytest.param(lambda _: b" " * 5_000_000, id="huge"),
        pytest.param(lambda _: b"\xff\xfe", id="no-text"),
    ],
)
def test_unreadable_checkpoint_is_set_aside_and_the_upload_begins_anew(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    spoilt: object,
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    assert callable(spoilt)
    bad = spoilt(checkpoint_path(file).read_bytes())
    checkpoint_path(file).write_bytes(bad)
    assert upload(bucket, file).bytes_sent == SIZE
    assert (folder / "example.bin.cp.bad").read_bytes() == bad
    assert beside(file) == {"example.bin.cp.bad"}
    assert "example.bin.cp.bad" in caplog.text


def test_earlier_bad_checkpoint_is_not_overwritten(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    for content in (b"first", b"second"):
        checkpoint_path(file).write_bytes(content)
        upload(bucket, file)
    assert {path.read_bytes() for path in folder.glob("*.bad*")} == {b"first", b"second"}


def test_checkpoint_that_another_program_removes_does_not_fail_the_upload(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("CompleteMultipartUpload", gate("complete")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("complete")
        checkpoint_path(file).unlink()
        server.faults.release("complete")
        run.result()
    assert beside(file) == set()


def test_checkpoint_moved_with_its_file_is_used_after_looking(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    for path in (checkpoint_path(file), file):
        path.rename(elsewhere / path.name)
    assert upload(bucket, elsewhere / file.name).bytes_sent == 0
    assert os.listdir(elsewhere) == [file.name]


def test_checkpoint_of_another_file_serves_nothing_it_does_not_hold(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    one, two = make_file(folder, SIZE), make_file(folder, SIZE, seed=1, name="two.bin")
    stopped_before_complete(server, bucket, one)
    result = upload(bucket, two, checkpoint_path=checkpoint_path(one))
    assert (result.bytes_sent, sorted(parts_sent(server.log))) == (SIZE, ALL)
    assert open_uploads(bucket) == []


def test_hostile_checkpoint_cannot_make_a_wrong_object(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    true = load(checkpoint_path(file))
    lies = [part.model_copy(update={"crc64": 1}) for part in true.parts]
    hostile = encode(true.model_copy(update={"parts": tuple(lies), "part_size": 2 * PART}))
    checkpoint_path(file).write_bytes(hostile)
    upload(bucket, file)
    assert beside(file) == set()


def test_relative_name_means_the_same_file_after_a_change_of_folder(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    monkeypatch.chdir(folder)
    server.faults.add(fault("UploadPart", refused(), skip=2, times=None))
    with pytest.raises(AccessDeniedError):
        upload_file(bucket, KEY, "example.bin", part_size=PART, enable_checkpoint=True)
    server.faults.clear()
    monkeypatch.chdir("/")
    assert upload(bucket, file).parts_reused == 2


def test_checkpoint_that_cannot_be_written_any_more_ends_the_run(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    fsync, tries = os.fsync, []

    def broken(descriptor: int) -> None:
        if threading.current_thread().name == "checkpoint":
            tries.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=None))
    server.faults.add(fault("UploadPart", refused(), skip=1, times=None))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("held")
        with pytest.raises(LocalFileError) as raised:
            run.result(timeout=10)
    assert raised.value.errno == errno.EIO
    assert len(tries) == 1
    assert beside(file) == {"example.bin.cp"}
    monkeypatch.undo()
    assert upload(bucket, file).parts_reused == 1
