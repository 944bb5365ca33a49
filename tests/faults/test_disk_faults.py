"""A disk that fails: each failing call has its declared end, and the next run finishes.

`python -m tests.faults.disk_campaign` does the same with every errno and in every setup. Beside the
simulated failures there are real ones, where the machine allows it.
"""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    CheckpointError,
    LocalFileError,
    SourceChangedError,
    abort_checkpoint,
    read_checkpoint,
    upload_file,
)
from resumable.server import LocalServer
from resumable.transfer import checkpoints, files, reading
from tests.faults.disk import (
    NAME,
    Call,
    DiskFault,
    Setup,
    observing,
    run_upload,
    upload_in_child,
)
from tests.faults.disk_campaign import ERRORS, PART_SIZE, Stage, Tally, open_uploads, play, play_all
from tests.support import CREDENTIALS, PART, content, make_file
from tests.transfer.steps import fault, gate

EIO, ENOSPC = errno.EIO, errno.ENOSPC
KINDS = [kind for kind in ERRORS if kind != "*"]
# What a run calls oftener, or only, when there is a checkpoint.
MORE_WHEN_RESUMED = [
    "os.open",
    "os.read",
    "os.fstat",
    "os.replace",
    "os.unlink",
    "os.path.samefile",
]
CAN_BE_SHORT = [kind for kind, errors in ERRORS.items() if None in errors]

FRESH = Setup(3, 1, content_md5=True)
RESUMED = Setup(3, 3, content_md5=False, found="checkpoint")
LEFTOVER = Setup(3, 1, content_md5=True, found="leftover")
TORN = Setup(1, 1, content_md5=True, found="torn")

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="the files of descriptors are told by /proc"
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.mark.parametrize(
    ("setup", "kinds", "least"),
    [
        pytest.param(FRESH, KINDS, 40, id="fresh"),
        pytest.param(RESUMED, [*MORE_WHEN_RESUMED, "os.preadv"], 15, id="resumed"),
        pytest.param(LEFTOVER, ["os.read", "os.lstat", "os.unlink"], 5, id="leftover"),
        pytest.param(TORN, KINDS, 15, id="torn"),
    ],
)
def test_each_failing_call_has_its_declared_end(
    stage: Stage, setup: Setup, kinds: Sequence[str], least: int
) -> None:
    tally = Tally()
    play_all(stage, setup, kinds, tally, everything=False)
    assert tally.problems == []
    assert tally.cells.total() > least


def test_disk_that_fails_as_a_whole_ends_the_run_at_once(stage: Stage) -> None:
    tally, nth = Tally(), 1
    while play(stage, RESUMED, DiskFault("*", nth, EIO, for_ever=True), tally):
        nth += 3
    assert tally.problems == []


@pytest.mark.parametrize("kind", CAN_BE_SHORT)
def test_short_reads_and_writes_are_survived(stage: Stage, kind: str) -> None:
    tally = Tally()
    for setup in (FRESH, RESUMED):
        play(stage, setup, DiskFault(kind, 1, None, for_ever=False), tally)
        play(stage, setup, DiskFault(kind, 1, None, for_ever=True), tally)
    assert tally.problems == []
    assert tally.ends.keys() == {"success"}


def test_source_deleted_before_the_side_files_are_looked_at(stage: Stage) -> None:
    setup = Setup(3, 1, content_md5=True, found="checkpoint")
    file, key = stage.prepare(setup)

    def delete(call: Call) -> object:
        if call.kind == "os.path.samefile":
            file.unlink(missing_ok=True)
        return call.go()

    with observing(file.parent, delete):
        ended = run_upload(stage.bucket, key, file, setup, PART_SIZE)
    assert isinstance(ended.error, SourceChangedError | LocalFileError)


# The harness must be able to fail.


def reads_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = reading.SourceReader._read

    def read(self: reading.SourceReader, view: memoryview, offset: int) -> int:
        for _ in range(100):
            with suppress(LocalFileError):
                return real(self, view, offset)
        return real(self, view, offset)

    monkeypatch.setattr(reading.SourceReader, "_read", read)


def writes_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: str, data: bytes) -> None:
        system = vars(files)["os"]
        descriptor = system.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            for begin in range(0, len(data), 100):
                system.write(descriptor, data[begin : begin + 100])
        except OSError as error:
            raise LocalFileError.of(error, "writing", path) from None
        finally:
            os.close(descriptor)

    monkeypatch.setattr(checkpoints, "write_durably", write)


def ignores_what_fsync_says(monkeypatch: pytest.MonkeyPatch) -> None:
    real = files._replace

    def replace(path: str, data: bytes) -> None:
        with suppress(OSError):
            real(path, data)

    monkeypatch.setattr(files, "_replace", replace)


def does_not_type_its_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def blank(error: OSError, doing: str, path: str) -> OSError:
        return OSError(error.errno, doing)

    monkeypatch.setattr(LocalFileError, "of", blank)


left_open: list[int] = []


def leaves_files_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(path: str) -> None:
        descriptor = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            vars(files)["os"].fsync(descriptor)
        except OSError:
            left_open.append(descriptor)
            raise
        os.close(descriptor)

    monkeypatch.setattr(files, "_sync_folder", sync)


@pytest.mark.parametrize(
    ("bug", "kind"),
    [
        (reads_again_and_again, "os.preadv"),
        (writes_in_place, "os.write"),
        (ignores_what_fsync_says, "os.fsync"),
        (does_not_type_its_errors, "os.replace"),
        (leaves_files_open, "os.fsync"),
    ],
)
def test_bug_is_noticed(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    bug: Callable[[pytest.MonkeyPatch], None],
    kind: str,
) -> None:
    tally, setup = Tally(), Setup(1 if kind == "os.preadv" else 3, 1, content_md5=True)
    stage.requests_of(setup)
    bug(monkeypatch)
    # An error that is not typed is not told by the thread that writes checkpoints, either.
    for nth in range(1, 2 if bug is does_not_type_its_errors else 7):
        if not play(stage, setup, DiskFault(kind, nth, EIO, for_ever=False), tally):
            break
    while left_open:
        os.close(left_open.pop())
    assert tally.problems


# Real disks.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte and a half."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root mounts file systems")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2560k", "small-disk", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let a tmpfs be mounted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, pages_left: int) -> Path:
    """Fill a disk but for so many pages."""
    filler = folder / "filler"
    disk = os.statvfs(folder)
    filler.write_bytes(bytes(disk.f_bavail * disk.f_frsize - pages_left * disk.f_frsize))
    return filler


def test_full_disk_ends_the_run_and_one_with_room_is_taken_up(
    bucket: Bucket, small_disk: Path
) -> None:
    file = make_file(small_disk, 3 * PART_SIZE, name=NAME)
    ends = []
    for pages in range(10):
        filler = fill(small_disk, pages)
        ended = run_upload(bucket, "full", file, FRESH, PART_SIZE)
        filler.unlink()
        ends.append(type(ended.error))
        if ended.error is None:
            break
        assert isinstance(ended.error, LocalFileError | CheckpointError)
        assert "No space left on device" in str(ended.error)
        assert not [*small_disk.glob("*.resumable-new")]
    # No room for the lock; then none for the checkpoint.
    assert ends[:2] == [CheckpointError, LocalFileError]
    assert ended.result is not None, ended
    assert content(bucket, "full") == file.read_bytes()
    assert [path.name for path in small_disk.iterdir()] == [NAME]


def test_disk_that_fills_up_in_the_midst_of_a_run(
    server: LocalServer, bucket: Bucket, small_disk: Path
) -> None:
    file = make_file(small_disk, 3 * PART_SIZE, name=NAME)
    for operation in ("InitiateMultipartUpload", "UploadPart"):
        fillers: list[Path] = []

        def strike(call: Call, name: str = operation, found: list[Path] = fillers) -> object:
            if not found and any(exchange.operation == name for exchange in server.log):
                found.append(fill(small_disk, 0))
            return call.go()

        with observing(small_disk, strike):
            ended = run_upload(bucket, "midst", file, FRESH, PART_SIZE)
        fillers[0].unlink()
        server.log.clear()
        if operation == "UploadPart" and ended.error is None:
            continue  # all that was to be recorded was on the disk when it was full
        assert isinstance(ended.error, LocalFileError), (operation, ended)
        assert ended.error.errno == ENOSPC
    assert run_upload(bucket, "midst", file, FRESH, PART_SIZE).result is not None
    assert content(bucket, "midst") == file.read_bytes()
    assert [path.name for path in small_disk.iterdir()] == [NAME]


def test_upload_that_is_killed_after_its_disk_filled_up_can_be_resumed_or_aborted(
    server: LocalServer, bucket: Bucket, folder: Path, small_disk: Path
) -> None:
    file, checkpoint = make_file(folder, 8 * PART), small_disk / "x.cp"
    command = ("-m", "resumable", "cp", "-j", "1", "--part-size", "100KB")
    where = ("--checkpoint-path", str(checkpoint), str(file), "oss://examplebucket/k")
    environment = {
        "OSS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "OSS_ACCESS_KEY_SECRET": CREDENTIALS.access_key_secret,
        "OSS_ENDPOINT": server.endpoint,
        "OSS_REGION": "cn-hangzhou",
    }
    for name, number in (("third", 3), ("sixth", 6)):
        server.faults.add(fault("UploadPart", gate(name), part_number=number, times=1))
    with subprocess.Popen(
        [sys.executable, *command, *where],
        env=os.environ | environment,
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        server.faults.wait_reached("third")
        filler = fill(small_disk, 0)
        server.faults.release("third")
        server.faults.wait_reached("sixth")
        assert child.stderr is not None
        warning = child.stderr.readline()  # of the thread that writes, which may be late
        child.kill()
        _, told = child.communicate()
        told = warning + told
    server.faults.release("sixth")
    [upload_id] = open_uploads(bucket, "k")
    assert told.count("WARNING") == told.count(f"upload {upload_id} continues without") == 1
    # With the disk still full, it is known which upload that was, and it can be resumed.
    found = read_checkpoint(file, checkpoint_path=checkpoint)
    assert found is not None
    assert found.upload_id == upload_id
    server.faults.add(fault("UploadPart", {"status": 403, "code": "AccessDenied"}, times=None))
    with pytest.raises((AccessDeniedError, CheckpointError)):
        upload_file(
            bucket, "k", file, part_size=PART, enable_checkpoint=True, checkpoint_path=checkpoint
        )
    server.faults.clear()
    assert open_uploads(bucket, "k") == [upload_id]
    filler.unlink()
    aborted = abort_checkpoint(bucket, file, checkpoint_path=checkpoint)
    assert aborted is not None
    assert aborted.upload_was_there
    assert list(small_disk.iterdir()) == []
    assert open_uploads(bucket, "k") == []


def test_disk_that_turns_read_only_between_two_runs(
    server: LocalServer, bucket: Bucket, small_disk: Path
) -> None:
    file = make_file(small_disk, 3 * PART_SIZE, name=NAME)
    server.faults.add({"operation": "UploadPart", "effect": {"status": 403}, "skip": 1})
    run_upload(bucket, "read-only", file, FRESH, PART_SIZE)
    remount(small_disk, "ro")
    server.log.clear()
    ended = run_upload(bucket, "read-only", file, FRESH, PART_SIZE)
    remount(small_disk, "rw")
    assert isinstance(ended.error, CheckpointError)
    assert "Read-only file system" in str(ended.error)
    assert len(server.log) == 0
    ended = run_upload(bucket, "read-only", file, FRESH, PART_SIZE)
    assert ended.result is not None
    assert ended.result.parts_reused == 1
    assert content(bucket, "read-only") == file.read_bytes()


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def test_no_file_may_grow(bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, 3 * PART, name=NAME)
    for size, error in ((0, "CheckpointError"), (150, "LocalFileError")):

        def limit(pid: int, size: int = size) -> None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))

        told = upload_in_child(bucket, file, limit=limit)
        assert told.get("error") == error, told
        assert "File too large" in told["message"]
    assert "error" not in upload_in_child(bucket, file)
    assert content(bucket, "child") == file.read_bytes()
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_process_that_may_open_few_files(bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, 3 * PART, name=NAME)
    ends = []
    for more in range(12):

        def limit(pid: int, more: int = more) -> None:
            highest = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + more,) * 2)

        told = upload_in_child(bucket, file, limit=limit)
        ends.append(told.get("error", "success"))
        if ends[-1] == "success":
            break
        assert "Too many open files" in told["message"], told
    assert set(ends[:-1]) <= {"LocalFileError", "CheckpointError"}
    assert ends[-1] == "success"
    assert content(bucket, "child") == file.read_bytes()
    assert [path.name for path in folder.iterdir()] == [NAME]


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("there is no strace")
    probe = [found, "-qq", "-o", os.devnull, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO"]
    if subprocess.run([*probe, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let strace inject errors")
    return found


@pytest.mark.parametrize(
    ("failing", "path", "end"),
    [
        ("fsync:error=EIO", "", "LocalFileError"),
        ("/^rename:error=ENOSPC", "", "LocalFileError"),
        ("write:error=ENOSPC", f"{NAME}.cp.resumable-new", "LocalFileError"),
        ("/^open:error=EMFILE", f"{NAME}.cp.resumable-new", "LocalFileError"),
        ("/^p?read:error=EIO", NAME, "LocalFileError"),
        ("/^ftruncate:error=EIO", f"{NAME}.cp.lock", "CheckpointError"),
        ("/^unlink:error=EROFS", f"{NAME}.cp", "success"),
    ],
)
def test_system_call_that_really_fails(
    strace: str, bucket: Bucket, folder: Path, failing: str, path: str, end: str
) -> None:
    file = make_file(folder, 3 * PART, name=NAME)
    traced, calls = folder.parent / "traced", failing.partition(":")[0]
    options = ["-f", "-qq", "-o", str(traced), "-e", f"trace={calls}", "-e", f"inject={failing}"]
    if path:
        # The folder is opened first, and its files by the descriptor.
        for place in (folder, *(f"/proc/self/fd/{number}" for number in range(3, 64))):
            options += ["-P", f"{place}/{path}"]
    ended = upload_in_child(bucket, file, before=[strace, *options])
    assert "INJECTED" in traced.read_text()
    assert ended.get("error", "success") == end, ended
    assert "error" not in upload_in_child(bucket, file)
    assert content(bucket, "child") == file.read_bytes()
    assert [beside.name for beside in folder.iterdir()] == [NAME]
