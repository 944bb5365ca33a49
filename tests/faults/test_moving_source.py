"""A source that moves while it is uploaded: the object is one whole state of it, or none.

`python -m tests.faults.moves_campaign` does the same at random and at length.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resumable import NoSuchKeyError, SourceChangedError
from resumable.core import reconcile
from resumable.core.checkpoint import SourceIdentity
from resumable.transfer.finishing import Finisher
from resumable.transfer.source import SourceFile
from tests.faults.disk import NAME, Call, Setup, observing, run_upload
from tests.faults.disk_campaign import PART_SIZE, Stage
from tests.faults.moves import MOVES, Move, MoveTally, MovingFile, Story, moments_of, tell
from tests.faults.moves_campaign import run
from tests.support import content
from tests.transfer.steps import fault, gate, under_way

ONE_PART = Setup(1, 1, content_md5=True)
FRESH = Setup(3, 1, content_md5=True)
FRESH_NO_MD5 = Setup(3, 1, content_md5=False)
FRESH_THREADS = Setup(3, 3, content_md5=True)
RESUMED = Setup(3, 1, content_md5=True, found="checkpoint")
CONTENT_ONE_PART = Setup(1, 1, content_md5=True, source_check="content")
CONTENT = Setup(3, 1, content_md5=False, source_check="content")
CONTENT_RESUMED = Setup(3, 3, content_md5=True, found="checkpoint", source_check="content")
RESUMED_THREADS = Setup(3, 3, content_md5=False, found="checkpoint")

# What leaves the content, the time of the last write and the inode as they were.
HARMLESS: set[Move] = {"restore_unseen"}
# Only reading tells: if every part that changed is sent after it did, the object is the new file.
EITHER: set[Move] = {"rewrite_unseen", "change_byte_unseen", "delete_and_make_anew"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.mark.parametrize(
    ("setup", "step"),
    [
        (ONE_PART, 1),
        (FRESH, 2),
        (FRESH_NO_MD5, 3),
        (RESUMED_THREADS, 3),
        (CONTENT_ONE_PART, 1),
        (CONTENT, 2),
        (CONTENT_RESUMED, 3),
    ],
)
def test_source_moves_at_each_moment_in_turn(stage: Stage, setup: Setup, step: int) -> None:
    tally = MoveTally()
    moments = range(step, len(moments_of(stage, setup)) + 1, step)
    for moment in moments:
        # The number of moves is a prime: neighbours get moves of all kinds.
        tell(stage, Story(setup, {moment: MOVES[moment * 4 % len(MOVES)]}), tally)
    assert tally.problems == []
    assert tally.moves.total() > 0.8 * len(moments)


def test_source_moves_at_random_and_the_disk_fails(tmp_path: Path) -> None:
    tally = run(tmp_path, seed=1, first=0, stories=60)
    assert tally.problems == []
    assert tally.faults > 2
    assert {"success", "SourceChangedError", "LocalFileError"} <= tally.ends.keys()


@pytest.mark.parametrize(
    ("setup", "operation", "at", "skip"),
    [
        (FRESH, "InitiateMultipartUpload", "before", 0),
        (FRESH_NO_MD5, "InitiateMultipartUpload", "after", 0),
        (FRESH_NO_MD5, "UploadPart", "before", 0),
        (FRESH_THREADS, "UploadPart", "after", 1),
        (FRESH, "UploadPart", "after", 2),
        (RESUMED, "ListParts", "before", 0),
        (RESUMED_THREADS, "ListParts", "after", 0),
        (RESUMED, "UploadPart", "after", 1),
    ],
)
def test_source_that_moves_before_the_last_look_is_noticed(
    stage: Stage, setup: Setup, operation: str, at: str, skip: int
) -> None:
    for move in MOVES:
        result, file = move_at_gate(stage, setup, (operation, at, skip), move)
        if move in HARMLESS and not is_seen_half_done(move, result):
            assert result is None, (move, result)
        elif move not in EITHER or result is not None:
            assert isinstance(result, SourceChangedError), (move, result)
        check_object(stage, setup, file, made=result is None)
        check_next(stage, setup, file)


@pytest.mark.parametrize(
    ("setup", "operation", "at"),
    [
        (FRESH, "CompleteMultipartUpload", "before"),
        (FRESH_NO_MD5, "CompleteMultipartUpload", "after"),
        (RESUMED_THREADS, "CompleteMultipartUpload", "before"),
        (ONE_PART, "PutObject", "after"),
    ],
)
def test_source_that_moves_after_the_last_look_leaves_the_old_object(
    stage: Stage, setup: Setup, operation: str, at: str
) -> None:
    for move in MOVES:
        result, file = move_at_gate(stage, setup, (operation, at, 0), move)
        assert result is None, (move, result)
        assert content(stage.bucket, f"gate/{setup}") == file.first
        check_next(stage, setup, file)


def is_seen_half_done(move: Move, result: BaseException | None) -> bool:
    """Bytes and times that are put back are other ones for the moment in between."""
    return move == "restore_unseen" and isinstance(result, SourceChangedError)


def move_at_gate(
    stage: Stage, setup: Setup, where: tuple[str, str, int], move: Move
) -> tuple[BaseException | None, MovingFile]:
    """Move while the server holds a request; how the run ended, and the file."""
    operation, at, skip = where
    path, key = stage.prepare(setup, key=f"gate/{setup}")
    file = MovingFile(path, seed=skip)
    stage.server.faults.add(fault(operation, gate("held", at), skip=skip))
    call = lambda: run_upload(stage.bucket, key, path, setup, PART_SIZE)  # noqa: E731
    with under_way(stage.server, call) as ended:
        stage.server.faults.wait_reached("held")
        file.make(move)
        stage.server.faults.release("held")
        found = ended.result()
    assert not found.is_stuck
    return found.error, file


def check_object(stage: Stage, setup: Setup, file: MovingFile, *, made: bool) -> None:
    """The object is one whole state of the file if the run ended well, else there is none."""
    key = f"gate/{setup}"
    if made:
        assert content(stage.bucket, key) in file.states
    else:
        with pytest.raises(NoSuchKeyError):
            stage.bucket.head_object(key)


def check_next(stage: Stage, setup: Setup, file: MovingFile) -> None:
    """The run after it ends with the file as it is then."""
    if not file.path.exists():
        file.path.write_bytes(file.first)
    key = f"gate/{setup}"
    ended = run_upload(stage.bucket, key, file.path, setup, PART_SIZE)
    assert ended.error is None, ended
    assert content(stage.bucket, key) == file.now()
    assert [path.name for path in file.path.parent.iterdir()] == [NAME]
    stage.bucket.delete_object(key)


def test_file_that_flips_between_two_states_is_not_mixed(stage: Stage) -> None:
    path, key = stage.prepare(FRESH_NO_MD5)
    file = MovingFile(path, seed=1)
    first = file.first
    file.rewrite_unseen()
    second = file.now()
    file.restore_unseen()
    reads = 0
    # Parts have two blocks. The second and the third are sent of the second state; when they are
    # all read again, the first one is found in the first state, the others in the second.
    states = {3: second, 7: first, 9: second}

    def flip(call: Call) -> object:
        nonlocal reads
        reads += call.kind == "os.preadv"
        if call.kind == "os.preadv" and (state := states.pop(reads, None)) is not None:
            with file._time_set_back():
                file._write_over(state)
        return call.go()

    with observing(path.parent, flip):
        ended = run_upload(stage.bucket, key, path, FRESH_NO_MD5, PART_SIZE)
    assert isinstance(ended.error, SourceChangedError) or content(stage.bucket, key) in (
        first,
        second,
    )


# The harness must be able to fail.


def does_not_look_at_the_source_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finisher, "make_sure_of_source", lambda *_: None)


def compares_no_part_that_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finisher, "_compare", lambda *_: None)


def trusts_records_whatever_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "is_as_recorded", lambda *_: True)
    monkeypatch.setattr(Finisher, "make_sure_of_source", lambda *_: None)


def does_not_know_a_time_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SourceFile, "must_be_read_again", lambda *_: False)


def trusts_every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SourceIdentity, "same_state", lambda *_: True)


def does_not_type_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(source: SourceFile) -> None:
        source.path.encode("ascii")
        with open(source.path, "rb"):
            return

    monkeypatch.setattr(SourceFile, "check", check)


@pytest.mark.parametrize(
    ("bug", "setup", "move"),
    [
        (does_not_look_at_the_source_again, FRESH_NO_MD5, "rewrite_unseen"),
        (compares_no_part_that_is_read_again, CONTENT, "rewrite"),
        (trusts_records_whatever_was_asked_for, CONTENT_RESUMED, "rewrite"),
        (does_not_know_a_time_set_back, FRESH, "rewrite_unseen"),
        (trusts_every_checkpoint, RESUMED, "rewrite"),
        (does_not_type_what_is_gone, FRESH, "delete"),
    ],
)
def test_bug_is_noticed(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    bug: Callable[[pytest.MonkeyPatch], None],
    setup: Setup,
    move: Move,
) -> None:
    tally, moments = MoveTally(), len(moments_of(stage, setup))
    bug(monkeypatch)
    for moment in range(1, moments, 2):
        tell(stage, Story(setup, {moment: move}), tally)
        if tally.problems:
            break
    assert tally.problems
