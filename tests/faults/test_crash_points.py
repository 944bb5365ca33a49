"""Uploads that die at every single point: the short form of the campaign.

`python -m tests.faults.crash_points` does the same for every configuration.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.scenario import Setup
from tests.crash.tally import Tally
from tests.crash.uploader import KillPoint
from tests.faults.crash_points import (
    FRESH,
    Campaign,
    Configuration,
    ForkedStage,
    PointStory,
    configurations,
    memory_folder,
)
from tests.faults.effects import ANY

# Effects of a run that takes the lock, makes an object and lets the lock go; and of one that only
# sends a file of one part, for which nothing is kept beside it.
SMALLEST, OF_ONE_PART = 10, 3


@pytest.fixture(scope="module")
def stage() -> Iterator[ForkedStage]:
    with (
        tempfile.TemporaryDirectory(prefix="crash-points-", dir=memory_folder()) as folder,
        ForkedStage(Path(folder) / "stage") as stage,
    ):
        yield stage


def assert_right(tally: Tally) -> None:
    told = "\n".join(f"{problem.kind}: {problem.story}" for problem in tally.problems)
    assert not tally.problems, told
    assert tally.finished > 0


def chosen(parts: int, threads: int, begun: str) -> Configuration:
    setups = [made for made in configurations([parts], [threads]) if made.begun.name == begun]
    return setups[0]


@pytest.mark.parametrize(
    "configuration",
    [
        chosen(1, 4, "fresh"),
        chosen(1, 1, "resumed, made"),
        chosen(5, 4, "fresh"),
        chosen(3, 1, "resumed, half, touched"),
        chosen(5, 4, "resumed, all parts"),
        chosen(3, 1, "resumed, made"),
    ],
    ids=str,
)
def test_death_at_every_point_is_resumed(stage: ForkedStage, configuration: Configuration) -> None:
    campaign = Campaign(stage)
    campaign.exhaust(configuration)
    assert_right(campaign.tally)
    least = SMALLEST if configuration.setup.parts > 1 else OF_ONE_PART
    assert campaign.points[configuration] >= least
    # The last run is the one that no point was left for.
    assert campaign.tally.finished > campaign.points[configuration]


def test_deaths_in_a_row_are_resumed(stage: ForkedStage) -> None:
    campaign = Campaign(stage)
    for number in range(8):
        campaign.chain(seed=1, number=number)
    assert_right(campaign.tally)
    assert campaign.tally.kills_resuming > 0


def test_effects_of_an_upload_are_numbered_in_their_order(stage: ForkedStage) -> None:
    configuration = Configuration(Setup(60 * 1024, 100 * 1024, 1, content_md5=True), FRESH)
    hits = []
    for number in range(1, 7):
        story = PointStory(stage, configuration, f"order-{number}")
        story.tell([KillPoint("before", ANY, number)])
        hits += story.hits
    assert hits == ["PutObject"]  # nothing is kept beside a file of one part


def test_file_that_is_left_beside_would_be_noticed(stage: ForkedStage) -> None:
    story = PointStory(stage, chosen(5, 1, "fresh"), "left")
    story.checkpoint.with_suffix(".bad").write_bytes(b"")
    told = story.tell([KillPoint("before", ANY, 4)])
    assert {problem.kind for problem in told.problems} == {"left behind"}
