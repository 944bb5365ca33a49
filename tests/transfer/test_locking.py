"""Two runs on one transfer: one works, the other is told; and a lock that lies harms nobody."""

import errno
import fcntl
import os
import socket
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    CheckpointError,
    LocalFileError,
    TransferLockedError,
)
from resumable.server import LocalServer
from tests.support import make_file, parts_sent, requests

from .child import started
from .steps import (
    ALL,
    KEY,
    SIZE,
    beside,
    checkpoint_path,
    fault,
    gate,
    load,
    open_uploads,
    recorded,
    refused,
    stopped_before_complete,
    under_way,
    upload,
)


def lock_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.cp.lock")


def test_holder_that_ends_in_the_last_moment_is_in_nobody_s_way(
    bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    with lock_path(file).open("wb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        look = os.path.lexists

        def let_go(path: str) -> bool:
            if os.path.basename(path) == lock_path(file).name and not holder.closed:
                lock_path(file).unlink()
                holder.close()
            return look(path)

        monkeypatch.setattr(os.path, "lexists", let_go)
        assert upload(bucket, file).bytes_sent == SIZE
        assert holder.closed
    assert beside(file) == set()


def test_second_process_is_told_at_once_who_works(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with started(server.endpoint, file) as child:
        server.faults.wait_reached("third")
        seen = len(server.log)
        with pytest.raises(TransferLockedError) as raised:
            upload(bucket, file)
        assert f"process {child.pid} on {socket.gethostname()}" in str(raised.value)
        assert f"{file}.cp" in str(raised.value)
        assert len(server.log) == seen
        server.faults.release("third")
        assert child.outcome() == {"error": None, "bytes_sent": SIZE, "bytes_reused": 0}
    assert parts_sent(server.log) == ALL
    assert beside(file) == set()


def test_second_thread_of_this_process_is_told_too(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("third")
        with pytest.raises(TransferLockedError, match=f"process {os.getpid()} "):
            upload(bucket, file)
        server.faults.release("third")
        run.result()
    assert parts_sent(server.log) == ALL


def test_other_transfer_of_the_same_file_is_told_what_is_running(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("first")
        with pytest.raises(CheckpointError) as raised:
            upload(bucket, file, key="another/" + "\u4e2d" * 300)
        told = str(raised.value)
        assert f"process {os.getpid()} " in told
        assert f"oss://{bucket.name}/{KEY}" in told
        assert f"oss://{bucket.name}/another/" in told
        assert "checkpoint_path=" in told
        with pytest.raises(TransferLockedError):
            upload(bucket, file)
        server.faults.release("first")
        run.result()
    assert beside(file) == set()


@pytest.mark.parametrize("to", [b"7", b"null", b'""', b'{"a": 1}'])
def test_lock_that_does_not_say_where_it_goes_is_a_lock_all_the_same(
    server: LocalServer, bucket: Bucket, folder: Path, to: bytes
) -> None:
    """As that of an earlier release."""
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("first")
        with lock_path(file).open("r+b") as stream:
            stream.truncate()
            stream.write(b'{"pid": 1, "host": "h", "since": "s", "to": ' + to + b"}")
        with pytest.raises(TransferLockedError, match="process 1 on h"):
            upload(bucket, file, key="another")
        server.faults.release("first")
        run.result()


def test_two_files_do_not_lock_each_other(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("third")
        upload(bucket, make_file(folder, SIZE, seed=1, name="other.bin"), key="other")
        server.faults.release("third")
        run.result()


def test_lock_of_a_killed_process_does_not_block(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    server.faults.add(fault("UploadPart", refused(), skip=2))
    with started(server.endpoint, file) as child:
        server.faults.wait_reached("third")
        child.kill()
    server.faults.clear()
    assert lock_path(file) in folder.iterdir()
    result = upload(bucket, file)
    assert (result.resumed, result.parts_reused) == (True, 2)
    assert beside(file) == set()


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"pid": 1, "host": "gone", "since": "2020"}', id="whole"),
        pytest.param(b'{"pid": 4711, "ho', id="torn-by-a-full-disk"),
        pytest.param(bytes(64), id="zeros-after-a-power-cut"),
    ],
)
def test_lock_file_that_nobody_holds_does_not_block(
    server: LocalServer, bucket: Bucket, folder: Path, left: bytes
) -> None:
    file = make_file(folder, SIZE)
    lock_path(file).write_bytes(left)
    upload(bucket, file)
    assert beside(file) == set()


def test_two_runs_at_once_under_a_lock_that_lies_both_end_with_the_right_object(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first run")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("first run")
        lock_path(file).unlink()
        assert upload(bucket, file).resumed
        server.faults.release("first run")
        run.result()
    assert open_uploads(bucket) == []
    assert beside(file) == set()


def test_run_whose_lock_was_taken_away_leaves_the_lock_of_the_next_alone(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first run")))
    server.faults.add(fault("UploadPart", refused()))
    with under_way(server, lambda: upload(bucket, file)) as first:
        server.faults.wait_reached("first run")
        lock_path(file).unlink()
        server.faults.add(fault("UploadPart", gate("second run")))
        with under_way(server, lambda: upload(bucket, file)) as second:
            server.faults.wait_reached("second run")
            server.faults.release("first run")
            with pytest.raises(AccessDeniedError):
                first.result()
            with pytest.raises(TransferLockedError):
                upload(bucket, file)
            server.faults.release("second run")
            second.result()
    assert beside(file) == set()


def test_lock_is_let_go_after_a_failure(server: LocalServer, bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    assert beside(file) == {"example.bin.cp"}
    assert upload(bucket, file).bytes_sent == 0


def test_lock_file_is_readable_by_its_owner_only(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first")))
    before = os.umask(0)
    try:
        with under_way(server, lambda: upload(bucket, file)) as run:
            server.faults.wait_reached("first")
            assert lock_path(file).stat().st_mode & 0o777 == 0o600
            server.faults.release("first")
            run.result()
    finally:
        os.umask(before)


def test_link_planted_at_the_lock_is_not_followed(
    server: LocalServer, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    file, victim = make_file(folder, SIZE), tmp_path / "victim"
    victim.write_bytes(b"precious")
    lock_path(file).symlink_to(victim)
    with pytest.raises(CheckpointError):
        upload(bucket, file)
    assert victim.read_bytes() == b"precious"
    assert len(server.log) == 0


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"precious notes", id="text"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe\x00", id="binary"),
        pytest.param(b'{"pid": "1", "host": 2}', id="other-json"),
    ],
)
def test_file_of_somebody_else_at_the_lock_is_left_as_it_is(
    server: LocalServer, bucket: Bucket, folder: Path, content: bytes
) -> None:
    file = make_file(folder, SIZE)
    lock_path(file).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"example\.bin\.cp\.lock"):
        upload(bucket, file)
    assert lock_path(file).read_bytes() == content
    assert len(server.log) == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b'{"pid": -1}'])
def test_lock_whose_holder_does_not_say_who_it_is_is_a_lock_all_the_same(
    server: LocalServer, bucket: Bucket, folder: Path, content: bytes
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("first")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("first")
        with lock_path(file).open("r+b") as stream:
            stream.truncate()
            stream.write(content)
        with pytest.raises(TransferLockedError, match="another process works on the checkpoint"):
            upload(bucket, file)
        server.faults.release("first")
        run.result()
    assert beside(file) == set()


def test_lock_that_cannot_be_looked_at_is_told_before_any_request(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    lock_path(file).symlink_to(lock_path(file).name)
    with pytest.raises(LocalFileError, match="looking at") as raised:
        upload(bucket, file)
    assert raised.value.errno == errno.ELOOP
    assert len(server.log) == 0


def test_lock_that_cannot_be_read_is_a_lock_all_the_same(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    os.mkfifo(lock_path(file))
    pipe = os.open(lock_path(file), os.O_RDWR)
    try:
        fcntl.flock(pipe, fcntl.LOCK_EX)
        with pytest.raises(TransferLockedError, match="another process works on the checkpoint"):
            upload(bucket, file)
    finally:
        os.close(pipe)
    assert len(server.log) == 0
    assert lock_path(file).is_fifo()


def test_nothing_is_locked_without_a_checkpoint(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with under_way(server, lambda: upload(bucket, file, enable_checkpoint=False)) as run:
        server.faults.wait_reached("third")
        upload(bucket, file, enable_checkpoint=False)
        server.faults.release("third")
        run.result()
    assert requests(server)["InitiateMultipartUpload"] == 2


def test_run_that_finds_the_lock_taken_touches_nothing(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("third")
        before = load(checkpoint_path(file)).upload_id
        with pytest.raises(TransferLockedError):
            upload(bucket, file, headers={"x-oss-meta-other": "1"})
        assert load(checkpoint_path(file)).upload_id == before
        assert set(recorded(file)) <= {1, 2}
        server.faults.release("third")
        run.result()
