"""Uploads of files that move at random moments, some of them on a disk that fails as well.

python -m tests.faults.moves_campaign --stories 2000 --seed 0
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests import canary
from tests.faults.disk import DiskFault, Setup
from tests.faults.disk_campaign import ERRORS, Stage
from tests.faults.moves import MOVES, Move, MoveTally, Story, moments_of, tell

SETUPS = tuple(
    Setup(parts, threads, content_md5, found, source_check)
    for source_check in ("strict", "content")
    for parts in (1, 3)
    for threads in (1, 3)
    for content_md5 in (True, False)
    for found in ("nothing", "checkpoint")
    if parts > 1 or found == "nothing"
)
_MOST_MOVES = 4
_SHARE_OF_FAULTS = 0.3


def draw(seed: int, number: int, moments: dict[Setup, list[str]]) -> Story:
    """The story of that number: the same for the same seed."""
    rng = random.Random(f"{seed}/{number}")
    setup = rng.choice(SETUPS)
    # Half of them with one move, at a moment of the run as it is if nothing moves.
    count = rng.choice((1, rng.randint(2, _MOST_MOVES)))
    at = sorted(rng.sample(range(1, len(moments[setup]) + 10), count))
    moves: dict[int, Move] = {moment: rng.choice(MOVES) for moment in at}
    fault = _draw_fault(rng) if rng.random() < _SHARE_OF_FAULTS else None
    return Story(setup, moves, rng.getrandbits(32), fault)


def _draw_fault(rng: random.Random) -> DiskFault:
    kind = rng.choice([*ERRORS])
    nth = rng.randint(1, 60 if kind == "*" else 6)
    return DiskFault(kind, nth, rng.choice(ERRORS[kind]), rng.choice((True, False)))


def run(folder: Path, *, seed: int, first: int, stories: int) -> MoveTally:
    """Tell stories of these numbers."""
    tally = MoveTally()
    with Stage(folder) as stage:
        moments = {setup: moments_of(stage, setup) for setup in SETUPS}
        for number in range(first, first + stories):
            before = len(tally.problems)
            tell(stage, draw(seed, number, moments), tally)
            for problem in tally.problems[before:]:
                sys.stderr.write(
                    f"{problem}\n  again: --seed {seed} --first {number} --stories 1\n"
                )
    return tally


def main() -> int:
    """Run the command line; return the exit code."""
    canary.watch()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.moves_campaign")
    parser.add_argument("--stories", type=int, default=2000, help="how many (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of what moves when")
    parser.add_argument("--first", type=int, default=0, help="the number of the first story")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="moves-campaign-") as folder:
        tally = run(Path(folder), seed=given.seed, first=given.first, stories=given.stories)
    taken = f"{time.monotonic() - began:.0f} s"
    for name, figure in [*tally.rows(), ("seed", given.seed), ("wall time", taken)]:
        sys.stdout.write(f"{name:<30}{figure!s:>20}\n")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
