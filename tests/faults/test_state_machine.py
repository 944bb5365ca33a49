"""The state machine for some seconds, and proof that it notices what it is there to notice."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.state_machine import campaign
from tests.faults.state_machine_bugs import BUGS, Bug
from tests.faults.state_machine_meddling import Meddler
from tests.faults.state_machine_oracle import Oracle
from tests.faults.state_machine_stage import Stage, folder_in_memory
from tests.faults.state_machine_world import World
from tests.support import PART

# Whichever comes first.
_STEPS, _SECONDS = 500, 10.0
_FEWEST = 20
_MOST_UNNOTICED = 2_000
_STORIES = 4


@pytest.fixture
def stage() -> Iterator[Stage]:
    with folder_in_memory() as folder, Stage(Path(folder)) as open_stage:
        yield open_stage


def test_no_promise_is_broken_whatever_happens(stage: Stage) -> None:
    told: list[str] = []
    first = random.randrange(1_000_000_000)
    violations = campaign(stage, _STEPS, first, told.append, seconds=_SECONDS, stories=_STORIES)
    assert violations == 0, "\n".join(told)
    assert stage.tally.done >= _FEWEST


@pytest.mark.parametrize(
    ("bug", "promise"), [pytest.param(*row, id=row[0].__name__) for row in BUGS.items()]
)
def test_broken_package_is_noticed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, bug: Bug, promise: str
) -> None:
    bug(monkeypatch)
    told: list[str] = []
    number = 1_000
    while promise not in "".join(told):
        assert stage.tally.done < _MOST_UNNOTICED, "nothing was noticed"
        campaign(stage, stage.tally.done + 1, number, told.append)
        number += 1


def test_meddling_does_not_wait_for_a_checkpoint_where_a_newer_release_has_one(
    stage: Stage,
) -> None:
    world = World(stage)
    meddler = Meddler(world, Oracle(world))
    meddler.write(3 * PART)
    world.checkpoint.write_bytes(b'{"version":9}')
    assert meddler.keep_copy()
    assert world.recorded() is not None
