"""Play all cells of the table of wire faults, and count what came of it.

    python -m tests.faults.wire_campaign --seed 0

The seed decides the order of the cells. The exit code is 1 if any cell ended otherwise than it is
declared, or left behind what it must not.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests import canary
from tests.faults.wire import play
from tests.faults.wire_stage import Stage
from tests.faults.wire_table import Cell, load_cells

_ROUND = 25  # cells of one server, so that what a stuck one left does not stay for long


def chosen(cells: Iterable[Cell], words: Sequence[str]) -> list[Cell]:
    """The cells whose names hold all these words."""
    return [cell for cell in cells if all(word in str(cell).split() for word in words)]


def play_round(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """Play some cells on a stage of their own; for each how it ended, and its problems."""
    with (
        tempfile.TemporaryDirectory(prefix="wire-campaign-") as folder,
        Stage(Path(folder)) as stage,
    ):
        told = []
        for number, cell in enumerate(cells):
            story = play(stage, cell, f"cell-{number}")
            told.append((cell.outcome.ends, str(story) if story.problems else ""))
        return told


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.wire_campaign")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the cells")
    parser.add_argument("--cells", type=int, help="how many, of the shuffled ones (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (default: 2)")
    parser.add_argument("--only", nargs="+", default=(), metavar="WORD", help="cells named so")
    given = parser.parse_args()
    began = time.monotonic()
    cells = chosen(load_cells(), given.only)
    random.Random(given.seed).shuffle(cells)
    cells = cells[: given.cells]
    rounds = [cells[at : at + _ROUND] for at in range(0, len(cells), _ROUND)]
    ends: Counter[str] = Counter()
    wrong = 0
    with ProcessPoolExecutor(given.jobs, get_context("spawn"), canary.watch) as pool:
        for told in pool.map(play_round, rounds):
            for end, problems in told:
                ends[end] += 1
                wrong += bool(problems)
                if problems:
                    sys.stderr.write(f"{problems}\n")
    taken = f"{time.monotonic() - began:.0f} s"
    rows: list[tuple[str, int | str]] = [("cells", len(cells))]
    rows += [(f"  declared {end}", count) for end, count in ends.most_common()]
    rows += [("wrong", wrong), ("seed", given.seed), ("wall time", taken)]
    for name, figure in rows:
        sys.stdout.write(f"{name:<40}{figure:>10}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
