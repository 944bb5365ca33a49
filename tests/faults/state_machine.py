"""A machine of random steps: calls, deaths, faults and meddling, each held to the promises.

    python -m tests.faults.state_machine --steps 200000 --seed 0

The seed decides the steps; what threads and processes do at once is a matter of time, and so of
chance. The exit code is 1 if a promise was broken.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests import canary
from tests.faults.state_machine_rules import STEPS_A_STORY, run
from tests.faults.state_machine_stage import IDLE, Stage, Tally, folder_in_memory

_STORIES_A_ROUND = 20
_SEEDS_A_JOB = 100_000
_TELL_EVERY = 60.0


def campaign(
    stage: Stage,
    steps: int,
    first_seed: int,
    told: Callable[[str], object],
    *,
    seconds: float = float("inf"),
    stories: int = _STORIES_A_ROUND,
) -> int:
    """Play until so many steps are done, or so much time has passed; the number of violations.

    Args:
        stage: Where to play.
        steps: How many steps that are not idle.
        first_seed: The seed of the first round; it counts up.
        told: Is given each violation as text, and now and then how far things are.
        seconds: No other round is begun after them.
        stories: How many there are in a round at most.
    """
    violations, number, began = 0, first_seed, time.monotonic()
    next_told = began + _TELL_EVERY
    while stage.tally.done < steps and time.monotonic() - began < seconds:
        try:
            left = steps - stage.tally.done
            run(stage, number, min(stories, 1 + left // STEPS_A_STORY))
        except Exception:  # noqa: BLE001 - whatever it is, it is told and counted
            violations += 1
            stage.server.faults.clear()
            told(f"seed {number}:\n{traceback.format_exc()}\n")
            told("\n".join(stage.tally.broken) + "\n")
            stage.tally.broken.clear()
        number += 1
        if time.monotonic() >= next_told:
            told(f"seed {number}: {stage.tally.done} steps, {violations} violations\n")
            next_told += _TELL_EVERY
    return violations


def _work(folder: str, steps: int, first_seed: int, seconds: float) -> tuple[Tally, int]:
    """What one process of the campaign does."""
    place = Path(folder, str(first_seed))
    place.mkdir()
    with Stage(place) as stage:
        violations = campaign(stage, steps, first_seed, sys.stderr.write, seconds=seconds)
    return stage.tally, violations


def campaign_in_processes(
    folder: str, steps: int, seed: int, jobs: int, seconds: float
) -> tuple[Tally, int]:
    """Share the steps among processes, each with a server and seeds of its own."""
    tally, violations = Tally(), 0
    with ProcessPoolExecutor(jobs, get_context("spawn"), canary.watch) as pool:
        works = [
            pool.submit(
                _work, folder, -(-steps // jobs), (seed * 100 + job) * _SEEDS_A_JOB, seconds
            )
            for job in range(jobs)
        ]
        for work in works:
            done, broken = work.result()
            tally.add(done)
            violations += broken
    return tally, violations


def rows(tally: Tally) -> Iterator[tuple[str, str]]:
    """The table of what has been done: how often, its share, and the time of one."""
    total = max(1, tally.steps.total())
    for step, count in sorted(tally.steps.items()):
        each = 1000 * tally.seconds.get(step, 0.0) / count
        yield step, f"{count:>8} {100 * count / total:>6.1f} % {each:>8.1f} ms"
    for end, count in sorted(tally.calls.items()):
        yield f"call ended: {end}", f"{count:>8}"
    yield "steps that were not idle", f"{tally.done:>8}"
    yield "idle", f"{tally.steps[IDLE]:>8} {100 * tally.steps[IDLE] / total:>6.1f} %"
    yield "stories", f"{tally.stories:>8}"


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.state_machine")
    parser.add_argument("--steps", type=int, default=200_000, help="how many (default: 200000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round; it counts up")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="and no longer")
    # Half of the time of a step is waiting: for clocks to tick, locks and the dead.
    jobs = 2 * (os.cpu_count() or 1)
    parser.add_argument("--jobs", type=int, default=jobs, help=f"processes (default: {jobs})")
    given = parser.parse_args()
    began = time.monotonic()
    with folder_in_memory() as folder:
        tally, violations = campaign_in_processes(
            folder, given.steps, given.seed, given.jobs, given.seconds
        )
    taken = time.monotonic() - began
    for name, figures in rows(tally):
        print(f"{name:<36}{figures}")
    print(f"{'seed':<36}{given.seed:>8}\n{'jobs':<36}{given.jobs:>8}")
    print(f"{'violations':<36}{violations:>8}")
    print(f"{'wall time':<36}{taken:>8.0f} s, {tally.done / taken:.0f} steps a second")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
