"""Which file is sent, and where its checkpoint is: what the system opens, and nothing else later.

Once the file is open, neither the working folder nor what happens to the folders above matters.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable import Bucket, CheckpointError, LocalFileError, SourceChangedError, upload_file
from resumable.core.source_check import SOURCE_CHECKS, SourceCheck
from resumable.server import LocalServer
from resumable.transfer import files
from tests.support import PART, content, make_file, parts_sent

from .steps import ALL, KEY, SIZE, fault, gate, interrupted, load, open_uploads, under_way, upload

Move = Callable[[Path], None]

RELATIVE = ["example.bin", "./example.bin", "sub/../example.bin", "../home/example.bin"]


@pytest.fixture
def home(folder: Path) -> Path:
    """A folder with a file, in a folder that can be meddled with."""
    made = folder / "home"
    (made / "sub").mkdir(parents=True)
    make_file(made, SIZE)
    return made


@pytest.fixture
def without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system on which a folder that is open has no path of its own."""
    monkeypatch.setattr(files, "_leads_to", lambda *_: False)


def meddled_with(
    server: LocalServer,
    bucket: Bucket,
    path: str | Path,
    meddle: Callable[[], object],
    *,
    source_check: SourceCheck = "strict",
    thread_num: int = 1,
) -> None:
    """Upload, and do something to folders while the second part is under way."""
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=1))

    def call() -> None:
        upload_file(
            bucket,
            KEY,
            path,
            part_size=PART,
            enable_checkpoint=True,
            source_check=source_check,
            thread_num=thread_num,
        )

    with under_way(server, call) as run:
        server.faults.wait_reached("held")
        meddle()
        server.faults.release("held")
        run.result(timeout=20)


@pytest.mark.parametrize("path", RELATIVE)
@pytest.mark.parametrize("check", SOURCE_CHECKS)
def test_working_folder_may_change(
    server: LocalServer,
    bucket: Bucket,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    check: SourceCheck,
) -> None:
    data = (home / "example.bin").read_bytes()
    other = home.parent / "other"
    (other / "sub").mkdir(parents=True)
    make_file(other, SIZE, seed=5)
    before = {name: (other / name).stat() for name in os.listdir(other)}
    monkeypatch.chdir(home)
    meddled_with(server, bucket, path, lambda: os.chdir(other), source_check=check)
    assert content(bucket, KEY) == data
    assert {name: (other / name).stat() for name in os.listdir(other)} == before
    assert sorted(os.listdir(home)) == ["example.bin", "sub"]


def test_file_of_one_part_is_sent_after_the_working_folder_changed(
    server: LocalServer, bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    server.faults.add(fault("PutObject", {"status": 503, "code": "ServiceUnavailable"}, times=1))
    server.faults.add(fault("PutObject", gate("held", "after"), times=1))
    with under_way(server, lambda: upload_file(bucket, KEY, "example.bin")) as run:
        server.faults.wait_reached("held")
        os.chdir("/")
        server.faults.release("held")
        run.result(timeout=20)
    assert content(bucket, KEY) == (home / "example.bin").read_bytes()


def test_working_folder_may_be_removed(
    server: LocalServer, bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home / "sub")
    meddled_with(server, bucket, home / "example.bin", (home / "sub").rmdir)
    assert content(bucket, KEY) == (home / "example.bin").read_bytes()
    os.chdir("/")


def rename(home: Path) -> None:
    """The folder gets another name."""
    home.rename(home.with_name("moved"))


def rename_and_make_anew(home: Path) -> None:
    """Another folder takes its name, with other files of the same names."""
    rename(home)
    home.mkdir()
    make_file(home, SIZE, seed=9)
    (home / "example.bin.cp").write_text("not a checkpoint")


def rename_and_leave_a_link(home: Path) -> None:
    """A link to another folder takes its name."""
    rename(home)
    other = home.with_name("other")
    other.mkdir()
    make_file(other, SIZE, seed=9)
    home.symlink_to(other)


@pytest.mark.parametrize("move", [rename, rename_and_make_anew, rename_and_leave_a_link])
@pytest.mark.parametrize("check", SOURCE_CHECKS)
@pytest.mark.parametrize("threads", [1, 3])
def test_folder_above_may_be_renamed(
    server: LocalServer, bucket: Bucket, home: Path, move: Move, check: SourceCheck, threads: int
) -> None:
    data = (home / "example.bin").read_bytes()
    path = home / "example.bin"
    meddled_with(server, bucket, path, lambda: move(home), source_check=check, thread_num=threads)
    assert content(bucket, KEY) == data
    moved = home.with_name("moved")
    assert sorted(os.listdir(moved)) == ["example.bin", "sub"]
    if move is rename_and_make_anew:
        assert sorted(os.listdir(home)) == ["example.bin", "example.bin.cp"]
        assert (home / "example.bin.cp").read_text() == "not a checkpoint"
    if move is rename_and_leave_a_link:
        assert os.listdir(home) == ["example.bin"]


def test_checkpoint_goes_with_its_folder_and_is_resumed_there(
    server: LocalServer, bucket: Bucket, home: Path
) -> None:
    server.faults.add(fault("UploadPart", {"status": 403, "code": "AccessDenied"}, part_number=4))
    with pytest.raises(Exception, match="AccessDenied"):
        meddled_with(server, bucket, home / "example.bin", lambda: rename_and_make_anew(home))
    moved = home.with_name("moved")
    recorded = load(moved / "example.bin.cp")
    assert [part.number for part in recorded.parts] == [1, 2, 3]
    assert (home / "example.bin.cp").read_text() == "not a checkpoint"
    server.log.clear()
    upload_file(bucket, KEY, moved / "example.bin", part_size=PART, enable_checkpoint=True)
    assert parts_sent(server.log) == [4, 5]
    assert content(bucket, KEY) == (moved / "example.bin").read_bytes()


@pytest.mark.usefixtures("without_proc")
@pytest.mark.parametrize("move", [rename_and_make_anew, rename_and_leave_a_link])
def test_nothing_is_written_to_another_folder_where_the_first_cannot_be_kept_open(
    server: LocalServer,
    bucket: Bucket,
    home: Path,
    caplog: pytest.LogCaptureFixture,
    move: Move,
) -> None:
    """The file is elsewhere, the checkpoint in the folder that moves."""
    file = make_file(home.parent, SIZE)
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=1))

    def call() -> None:
        upload(bucket, file, checkpoint_path=home / "example.bin.cp")

    with under_way(server, call) as run:
        server.faults.wait_reached("held")
        while load(home / "example.bin.cp").parts == ():  # until part 1 is recorded
            continue
        move(home)
        before = {path: path.read_bytes() for path in home.iterdir() if path.is_file()}
        server.faults.release("held")
        run.result(timeout=20)
    assert {path: path.read_bytes() for path in home.iterdir() if path.is_file()} == before
    assert caplog.text.count("continues without its checkpoint") == 1


def test_file_itself_must_keep_its_name(server: LocalServer, bucket: Bucket, home: Path) -> None:
    file = home / "example.bin"
    with pytest.raises(SourceChangedError, match="is gone"):
        meddled_with(server, bucket, file, lambda: file.rename(home / "other.bin"))


def test_link_that_leads_elsewhere_is_another_file(
    server: LocalServer, bucket: Bucket, home: Path
) -> None:
    make_file(home, SIZE, seed=4, name="tomorrow")
    link = home / "link"
    link.symlink_to("example.bin")

    def point_elsewhere() -> None:
        link.unlink()
        link.symlink_to("tomorrow")

    with pytest.raises(SourceChangedError, match="inode from "):
        meddled_with(server, bucket, link, point_elsewhere)


@pytest.mark.parametrize(
    "path", ["example.bin/", "example.bin/.", "sub/", "sub", "missing/../example.bin", ""]
)
@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_path_that_the_system_cannot_open_is_no_other_file(
    server: LocalServer,
    bucket: Bucket,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    enable_checkpoint: bool,
) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(LocalFileError):
        upload_file(bucket, KEY, path, part_size=PART, enable_checkpoint=enable_checkpoint)
    assert len(server.log) == 0
    assert sorted(os.listdir()) == ["example.bin", "sub"]


@pytest.mark.parametrize(
    "path", ["sub/", "sub", "new/", "example.bin/", "sub/new.cp/", "missing/x.cp", ".", ".."]
)
def test_checkpoint_path_that_is_no_file_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(CheckpointError) as refused:
        upload_file(
            bucket, KEY, "example.bin", part_size=PART, enable_checkpoint=True, checkpoint_path=path
        )
    assert "emove" not in refused.value.advice
    assert len(server.log) == 0
    assert sorted(os.listdir()) == ["example.bin", "sub"]
    assert os.listdir("sub") == []


def test_two_paths_that_text_takes_for_one_are_two_files(
    server: LocalServer, bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`link/../example.bin` is not `example.bin`, not even where the size alone is looked at."""
    far = home.parent / "far"
    (far / "below").mkdir(parents=True)
    (home / "link").symlink_to(far / "below")
    other = make_file(far, SIZE, seed=8)
    shutil.copystat(home / "example.bin", other)
    monkeypatch.chdir(home)
    checkpoint = home / "one.cp"
    file = Path("example.bin")
    interrupted(server, bucket, file, parts=3, checkpoint_path=checkpoint, source_check="size")
    upload_file(
        bucket,
        KEY,
        "link/../example.bin",
        part_size=PART,
        enable_checkpoint=True,
        checkpoint_path=checkpoint,
        source_check="size",
    )
    assert parts_sent(server.log) == ALL
    assert content(bucket, KEY) == other.read_bytes()
    assert open_uploads(bucket) == []
