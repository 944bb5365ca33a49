"""Uploads that are killed, and killed again while they resume: the short form of the campaign.

`python -m tests.crash.campaign` does the same at random and at length.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.crash.campaign import run
from tests.crash.scenario import SLOW, AtRandom, KillServer, Setup, Stage, Story
from tests.crash.tally import Tally
from tests.crash.uploader import KillPoint, Moment
from tests.support import KIB, MIB, PART

MANY_PARTS = Setup(6 * MIB, PART, 3, content_md5=True)
FEW_PARTS = Setup(16 * MIB + 1, 4 * MIB, 2, content_md5=False)
VERY_MANY_PARTS = Setup(24 * MIB, PART, 2, content_md5=True)
ONE_THREAD = Setup(2 * MIB, PART, 1, content_md5=True)
ONE_REQUEST = Setup(60 * KIB, PART, 1, content_md5=True)

INITIATE = "InitiateMultipartUpload"
COMPLETE = "CompleteMultipartUpload"

# Each line is one upload: its first run is killed at the first point, its second at the next.
EXACT_POINTS: dict[str, tuple[KillPoint, ...]] = {
    "taking the lock": (
        KillPoint("before", "os.ftruncate"),
        KillPoint("after", "os.ftruncate"),
        KillPoint("after", "os.write", 1),
    ),
    "initiate": (
        KillPoint("before", INITIATE),
        KillPoint("sent", INITIATE),
        KillPoint("answered", INITIATE),
        KillPoint("after", INITIATE),
    ),
    "first record": (
        KillPoint("before", "os.write", 2),
        KillPoint("before", "os.fsync", 1),
        KillPoint("before", "os.replace", 1),
        KillPoint("after", "os.replace", 1),
    ),
    "parts": (
        KillPoint("before", "UploadPart", 5),
        KillPoint("sent", "UploadPart", 9),
        KillPoint("answered", "UploadPart", 4),
        KillPoint("after", "UploadPart", 11),
    ),
    "listing": (
        KillPoint("after", "UploadPart", 20),
        KillPoint("before", "ListParts"),
        KillPoint("answered", "ListParts"),
        KillPoint("after", "ListParts"),
    ),
    "rename": (
        KillPoint("before", "os.replace", 2),
        KillPoint("before", "os.replace", 1),
        KillPoint("after", "os.replace", 1),
        KillPoint("before", "os.fsync", 2),
    ),
    "complete not sent": (KillPoint("before", COMPLETE), KillPoint("before", COMPLETE)),
    "complete sent": (KillPoint("sent", COMPLETE),),
    "complete not heard": (
        KillPoint("answered", COMPLETE),
        KillPoint("before", "HeadObject"),
        KillPoint("after", "HeadObject"),
    ),
    "complete heard": (KillPoint("after", COMPLETE),),
    "delete": (
        KillPoint("before", "os.unlink", path=".cp"),
        KillPoint("before", "os.unlink", path=".cp"),
        KillPoint("after", "os.unlink", path=".cp"),
    ),
    "letting the lock go": (
        KillPoint("before", "os.unlink", path=".cp.lock"),
        KillPoint("after", "os.unlink", path=".cp.lock"),
    ),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("quick")) as stage:
        yield stage


@pytest.fixture(scope="module")
def slow_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("slow"), SLOW) as stage:
        yield stage


_UNLUCKY = 8


def assert_resumed(tally: Tally) -> None:
    told = "\n".join(f"{problem.kind}: {problem.story}" for problem in tally.problems)
    assert not tally.problems, told
    assert tally.finished == 1


@pytest.mark.parametrize("points", EXACT_POINTS.values(), ids=EXACT_POINTS)
def test_kill_at_an_exact_point_is_resumed(stage: Stage, points: Sequence[KillPoint]) -> None:
    tally = Story(stage, MANY_PARTS, "exact").play(points)
    assert_resumed(tally)
    assert tally.kills_in_all == len(points)


@pytest.mark.parametrize(
    ("setup", "shares"),
    [
        pytest.param(MANY_PARTS, (0.3, 0.5, 0.4, 0.6), id="many parts"),
        pytest.param(FEW_PARTS, (0.5, 0.3, 0.5), id="few parts"),
        pytest.param(ONE_THREAD, (0.6, 0.2), id="one thread"),
    ],
)
def test_kill_at_any_moment_is_resumed(stage: Stage, setup: Setup, shares: Sequence[float]) -> None:
    # A run may end before the moment drawn for it; not one story after the other, though.
    for attempt in range(_UNLUCKY):
        tally = Story(stage, setup, f"random {attempt}").play([AtRandom(share) for share in shares])
        assert_resumed(tally)
        if tally.kills_in_all:
            return
    pytest.fail("no run lived long enough to be killed")


@pytest.mark.parametrize("moment", ["before", "sent", "answered", "after"])
def test_kill_around_the_only_request_of_a_small_file(stage: Stage, moment: Moment) -> None:
    tally = Story(stage, ONE_REQUEST, "small").play([KillPoint(moment, "PutObject")])
    assert_resumed(tally)
    assert tally.kills["around put"] == 1


def test_parts_of_a_killed_run_arrive_while_the_next_one_lists_them(slow_stage: Stage) -> None:
    points = [KillPoint("sent", "UploadPart", 5), KillPoint("sent", "UploadPart", 5)]
    tally = Story(slow_stage, MANY_PARTS, "late-parts").play(points)
    assert_resumed(tally)
    assert tally.kills["around part"] == 2


def test_complete_of_a_killed_run_overtakes_that_of_the_next_one(slow_stage: Stage) -> None:
    points = [KillPoint("sent", COMPLETE), KillPoint("sent", COMPLETE)]
    assert_resumed(Story(slow_stage, ONE_THREAD, "late-complete").play(points))


def test_server_is_killed_and_back_within_the_patience_of_a_run(stage: Stage) -> None:
    tally = Story(stage, VERY_MANY_PARTS, "server").play([KillServer(0.2, "at once")])
    assert_resumed(tally)
    assert (tally.kills["of the server"], tally.runs) == (1, 1)


def test_server_is_killed_and_back_for_the_next_run(stage: Stage) -> None:
    tally = Story(stage, VERY_MANY_PARTS, "server").play([KillServer(0.2, "after the run")])
    assert_resumed(tally)
    assert (tally.kills["of the server"], tally.runs) == (1, 2)


def test_torn_checkpoint_would_be_noticed(stage: Stage) -> None:
    story = Story(stage, ONE_THREAD, "torn")
    story.checkpoint.write_bytes(b'{"destination":{"buck')
    tally = story.play([KillPoint("before", "os.ftruncate")])
    found = {problem.kind for problem in tally.problems}
    assert found >= {"unreadable checkpoint", "left behind"}


def test_campaign_kills_until_there_were_enough(tmp_path: Path) -> None:
    tally = run(tmp_path, None, kills=1, seed=0)
    assert not tally.problems
    assert tally.kills_in_all >= 1
    assert dict(tally.rows())["uploads finished"] == tally.finished > 0
