"""The checkpoint on the disk: who may read it, what it holds, and what becomes of a bad one."""

import errno
import logging
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resumable import (
    Bucket,
    CheckpointError,
    ResumableError,
    abort_checkpoint,
    read_checkpoint,
)
from resumable.server import LocalServer
from resumable.transfer.files import write_durably
from tests.support import CREDENTIALS, PART, content, make_file, parts_sent, requests

from .child import started
from .steps import (
    ALL,
    KEY,
    SIZE,
    beside,
    checkpoint_path,
    exists,
    fault,
    gate,
    interrupted,
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
    one, two = b'{"destination":1}', b'{"destination":2}'
    fsync, writing, go_on = os.fsync, threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        if not writing.is_set():
            writing.set()
            assert go_on.wait(10)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(write_durably, path, one)
        assert writing.wait(10)
        try:
            write_durably(path, two)
        finally:
            go_on.set()
        first.result()
    assert Path(path).read_bytes() in (one, two)
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


def test_planted_link_is_not_followed(
    server: LocalServer, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    file, victim = make_file(folder, SIZE), tmp_path / "victim"
    victim.write_bytes(b"precious")
    checkpoint_path(file).symlink_to(victim)
    with pytest.raises(CheckpointError, match="cannot be read"):
        upload(bucket, file)
    assert victim.read_bytes() == b"precious"
    assert checkpoint_path(file).is_symlink()
    assert len(server.log) == 0


def precious_file(path: Path) -> None:
    path.write_bytes(b"precious")


def precious_link(path: Path) -> None:
    precious_file(path.parents[1] / "victim")
    path.symlink_to(path.parents[1] / "victim")


@pytest.mark.parametrize("make", [precious_file, precious_link])
def test_what_is_in_the_way_of_the_next_state_is_told_before_anything_is_sent(
    server: LocalServer, bucket: Bucket, folder: Path, make: Callable[[Path], None]
) -> None:
    file = make_file(folder, SIZE)
    make(folder / NEW)
    with pytest.raises(ResumableError, match=NEW):
        upload(bucket, file)
    assert (folder / NEW).read_bytes() == b"precious"
    assert open_uploads(bucket) == []
    assert not exists(bucket)
    assert requests(server)["UploadPart"] == 0


def test_link_planted_while_sending_is_not_followed(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("first")
        precious_link(folder / NEW)
        server.faults.release("first")
        run.result()
    assert (folder / NEW).read_bytes() == b"precious"


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


def test_full_disk_costs_a_warning_and_not_the_upload(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 30 * PART)
    # Room for the beginning of a checkpoint and not for thirty parts.
    with started(server.endpoint, file, "1500") as child:
        outcome = child.outcome()
    assert outcome["error"] is None
    assert content(bucket, KEY) == file.read_bytes()
    assert open_uploads(bucket) == []
    assert beside(file) == set()


def test_disk_that_is_full_at_the_beginning_ends_the_upload_before_a_part_is_sent(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 30 * PART)
    with started(server.endpoint, file, "400") as child:
        outcome = child.outcome()
    assert (outcome["error"], outcome["errno"]) == ("LocalFileError", errno.EFBIG)
    assert f"{file}.cp" in outcome["told"]
    assert requests(server)["UploadPart"] == 0
    assert open_uploads(bucket) == []
    assert beside(file) == set()


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


def test_checkpoint_that_cannot_be_removed_does_not_fail_a_finished_upload(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    unlink = os.unlink

    def refuse(path: str) -> None:
        if os.path.basename(path) == checkpoint_path(file).name:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        unlink(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        assert upload(bucket, file).bytes_sent == SIZE
    assert upload(bucket, file).bytes_sent == 0
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


def test_upload_continues_where_its_checkpoint_cannot_be_written_any_more(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = make_file(folder, SIZE)
    fsync, tries = os.fsync, []

    def broken(descriptor: int) -> None:
        if threading.current_thread().name == "checkpoint":
            tries.append(descriptor)
            written.set()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    written = threading.Event()
    monkeypatch.setattr(os, "fsync", broken)
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=1))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("held")
        [upload_id] = open_uploads(bucket)
        assert written.wait(10)
        server.faults.release("held")
        assert run.result(timeout=20).bytes_sent == SIZE
    assert len(tries) == 1
    warnings = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert [upload_id in message for message in warnings] == [True]
    assert beside(file) == set()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.ENOSYS])
@pytest.mark.parametrize("kind", [stat.S_ISREG, stat.S_ISDIR], ids=["file", "folder"])
def test_file_system_that_cannot_sync_costs_one_warning(
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    kind: Callable[[int], bool],
) -> None:
    file = make_file(folder, SIZE)
    fsync = os.fsync

    def unable(descriptor: int) -> None:
        if kind(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", unable)
    assert upload(bucket, file).bytes_sent == SIZE
    assert len([r for r in caplog.records if "power cut" in r.message]) == 1
    assert beside(file) == set()


def test_folder_of_the_checkpoint_that_vanishes_costs_a_warning(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file, elsewhere = make_file(folder, SIZE), tmp_path / "elsewhere"
    elsewhere.mkdir()
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=1))

    def run_it() -> object:
        return upload(bucket, file, checkpoint_path=elsewhere / "x.cp")

    with under_way(server, run_it) as run:
        server.faults.wait_reached("held")
        [upload_id] = open_uploads(bucket)
        elsewhere.rename(tmp_path / "gone")  # at one instant, whatever is being written there
        server.faults.release("held")
        run.result(timeout=20)
    assert upload_id in caplog.text
    assert open_uploads(bucket) == []


def test_folder_of_the_checkpoint_that_is_renamed_does_not_matter(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file, elsewhere = make_file(folder, SIZE), tmp_path / "elsewhere"
    elsewhere.mkdir()
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=1))

    def run_it() -> object:
        return upload(bucket, file, checkpoint_path=elsewhere / "x.cp")

    with under_way(server, run_it) as run:
        server.faults.wait_reached("held")
        renamed = elsewhere.rename(tmp_path / "renamed")
        assert {path.name for path in renamed.iterdir()} >= {"x.cp", "x.cp.lock"}
        server.faults.release("held")
        run.result(timeout=20)
    assert list(renamed.iterdir()) == []
    assert not elsewhere.exists()
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("name", ["example.bin.cp", "example.bin.cp.lock", NEW])
def test_files_beside_a_file_that_needs_no_checkpoint_are_not_touched(
    bucket: Bucket, folder: Path, name: str
) -> None:
    file = make_file(folder, PART)
    (folder / name).write_bytes(b"precious")
    before = (folder / name).stat()
    assert upload(bucket, file).bytes_sent == PART
    after = (folder / name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (folder / name).read_bytes() == b"precious"
    assert beside(file) == {name}


USERS_OWN = [b"my copy\n", b'"a string"', b"null", b"[" * 1000, b"\xff\xfe", b"{}", b'{"a": 1}']
USERS_OWN += [bytes(512) + b"\x01\x02" * 300, b" " * 5_000_000]


@pytest.mark.parametrize("precious", USERS_OWN, ids=lambda content: repr(content[:12]))
def test_file_of_the_users_at_the_checkpoints_name_is_left_alone(
    server: LocalServer, bucket: Bucket, folder: Path, precious: bytes
) -> None:
    file = make_file(folder, SIZE)
    checkpoint_path(file).write_bytes(precious)
    with pytest.raises(CheckpointError, match="checkpoint_path="):
        upload(bucket, file)
    assert len(server.log) == 0
    assert checkpoint_path(file).read_bytes() == precious
    assert beside(file) == {"example.bin.cp"}


LONG_NAMES = ["n" * 238, "n" * 239, "n" * 255, "汉" * 79, "汉" * 80, "汉" * 85, "a" + "汉" * 84]


@pytest.mark.parametrize("name", LONG_NAMES, ids=lambda name: f"{name[0]}{len(name.encode())}")
def test_file_with_a_long_name_is_uploaded_and_resumed(
    server: LocalServer, bucket: Bucket, folder: Path, name: str
) -> None:
    file = make_file(folder, SIZE, name=name)
    other = make_file(folder, SIZE, name=name[:-1] + "x")
    interrupted(server, bucket, file, parts=2)
    [kept] = [path for path in folder.iterdir() if path not in (file, other)]
    assert kept.name.endswith(".cp")
    found = read_checkpoint(file)
    assert found is not None
    assert found.path == str(kept)
    assert read_checkpoint(other) is None
    assert upload(bucket, file).parts_reused == 2
    interrupted(server, bucket, file, parts=2)
    assert abort_checkpoint(bucket, file) is not None
    assert set(folder.iterdir()) == {file, other}


def test_checkpoint_path_with_a_long_name_is_used_as_it_was_given(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file, path = make_file(folder, SIZE), folder / ("c" * 255)
    interrupted(server, bucket, file, parts=2, checkpoint_path=path)
    assert path.exists()
    assert upload(bucket, file, checkpoint_path=path).parts_reused == 2
    assert set(folder.iterdir()) == {file}


@pytest.mark.parametrize("path", ["sub/x.cp", "./x.cp", "link/../x.cp", "x.cp"])
def test_relative_checkpoint_path_survives_another_working_folder(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    file = make_file(folder, SIZE)
    (folder / "sub").mkdir()
    (tmp_path / "far" / "below").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "far" / "below")
    there = tmp_path / "far" if "link" in path else (folder / path).parent
    monkeypatch.chdir(folder)
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=1))
    with under_way(server, lambda: upload(bucket, file, checkpoint_path=path)) as run:
        server.faults.wait_reached("held")
        os.chdir("/")
        assert (there / "x.cp").exists()
        assert (there / "x.cp.lock").exists()
        server.faults.release("held")
        run.result(timeout=20)
    assert list(there.glob("x.cp*")) == []
