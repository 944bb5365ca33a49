"""Several processes at once: the object is always one whole file, and nobody is stuck."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.faults import several_campaign
from tests.faults.several import Order, WarmParent
from tests.faults.several_bugs import BUGS
from tests.faults.several_campaign import LONGEST_RUN
from tests.faults.several_stories import (
    STORIES,
    Stage,
    it_dies_behind_complete_and_another_overwrites,
    others_find_it_at_work_and_it_dies,
)
from tests.support import PART, content, make_file
from tests.transfer.steps import beside, fault, gate, open_uploads

KEY = "example"


@pytest.fixture(scope="module")
def parent() -> Iterator[WarmParent]:
    with WarmParent() as warm:
        yield warm


def orders(server: LocalServer, files: Sequence[Path], *, locked: bool) -> list[Order]:
    return [Order(server.endpoint, KEY, str(file), locked=locked) for file in files]


def test_one_of_eight_on_one_file_works_and_the_others_are_told(
    server: LocalServer, bucket: Bucket, folder: Path, parent: WarmParent
) -> None:
    file = make_file(folder, 5 * PART + 17)
    # Held long enough for all to find the lock taken.
    server.faults.add(fault("UploadPart", {"stall": 0.5}))
    ends = parent.run(orders(server, [file] * 8, locked=True), LONGEST_RUN)
    told = [end.error for end in ends if end.how == "error"]
    assert {end.how for end in ends} == {"success", "error"}
    assert set(told) == {"TransferLockedError"}
    assert content(bucket, KEY) == file.read_bytes()
    assert beside(file) == set()
    assert open_uploads(bucket) == []


def test_object_is_the_file_though_the_lock_holds_nobody_off(
    server: LocalServer, bucket: Bucket, folder: Path, parent: WarmParent
) -> None:
    file = make_file(folder, 5 * PART + 17)
    server.faults.add(fault("CompleteMultipartUpload", {"stall_answer": 0.05}, times=4))
    ends = parent.run(orders(server, [file] * 4, locked=False), LONGEST_RUN)
    assert {end.how for end in ends} <= {"success", "error"}
    assert "success" in {end.how for end in ends}
    assert content(bucket, KEY) == file.read_bytes()


@pytest.mark.parametrize("locked", [True, False])
def test_object_of_several_files_is_one_of_them_whole(
    server: LocalServer, bucket: Bucket, folder: Path, parent: WarmParent, *, locked: bool
) -> None:
    files = [make_file(folder, 4 * PART, seed=n, name=f"file-{n}") for n in range(6)]
    server.faults.add(fault("UploadPart", {"stall_answer": 0.02}, skip=2, times=6))
    ends = parent.run(orders(server, files, locked=locked), LONGEST_RUN)
    assert [end.how for end in ends] == ["success"] * 6
    assert content(bucket, KEY) in [file.read_bytes() for file in files]
    assert {path.name for path in folder.iterdir()} == {file.name for file in files}
    assert open_uploads(bucket) == []


def test_process_that_is_stuck_is_noticed(
    server: LocalServer, folder: Path, parent: WarmParent
) -> None:
    file = make_file(folder, 2 * PART)
    server.faults.add(fault("UploadPart", gate("never opened")))
    (ended,) = parent.run(orders(server, [file], locked=True), 0.5)
    assert ended.how == "stuck"


def test_rounds_of_a_short_campaign_find_nothing(tmp_path: Path) -> None:
    tally = several_campaign.run(tmp_path, rounds=20, seed=0)
    assert tally.told == []
    assert (tally.rounds, tally.processes > 40) == (20, True)
    assert tally.ends["success"] > 20
    assert tally.ends["TransferLockedError"] > 0
    assert tally.ends["killed"] > 0


@pytest.fixture
def stage(server: LocalServer, bucket: Bucket, folder: Path, parent: WarmParent) -> Stage:
    return Stage(server, bucket, folder, parent)


@pytest.mark.parametrize("story", STORIES)
def test_story_ends_well(stage: Stage, story: Callable[[Stage], list[str]]) -> None:
    assert story(stage) == []


# The harness must be able to fail.

# Each with a seed that shows it soon; what is seen first is a matter of time.
IN_ROUNDS = {"takes_no_lock": 1, "writes_in_place": 4, "aborts_what_is_under_way": 0}
IN_STORIES = {
    "takes_no_lock": (others_find_it_at_work_and_it_dies, "the others ended with"),
    "removes_the_checkpoint_of_another": (others_find_it_at_work_and_it_dies, "uploads are left"),
    "takes_any_object_for_its_own": (
        it_dies_behind_complete_and_another_overwrites,
        "the object is another",
    ),
}


@pytest.mark.parametrize("bug", IN_ROUNDS)
def test_bug_is_noticed_in_rounds(tmp_path: Path, bug: str) -> None:
    tally = several_campaign.run(tmp_path, rounds=60, seed=IN_ROUNDS[bug], bug=bug)
    assert tally.told


@pytest.mark.parametrize("bug", IN_STORIES)
def test_bug_is_noticed_in_a_story(stage: Stage, bug: str) -> None:
    story, told = IN_STORIES[bug]
    assert told in " ".join(story(replace(stage, bug=bug)))


def test_every_bug_is_tried() -> None:
    assert BUGS.keys() == IN_ROUNDS.keys() | IN_STORIES.keys()
