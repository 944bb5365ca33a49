"""`python -m tests.bench [SECTION ...]`: what uploads cost, here and with other clients.

Every client runs in a fresh process against a server of the benchmark's own, in rounds, each in
another order. The exit code is 1 if a bound is missed, and otherwise 2 if one of a section that was
run could not be measured. With --quick neither counts, since figures of small files say little.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.bench.acceptance import exit_code, judge
from tests.bench.environment import OtherClients
from tests.bench.measuring import ROOT, Run
from tests.bench.plot import bars
from tests.bench.reporting import as_json, report
from tests.bench.sections import MIB, SECTIONS, Amounts, Bench
from tests.bench.stage import Stage

_PLOT = ROOT / "docs" / "explanation" / "performance.svg"
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_QUICK = Amounts(
    size=256 * MIB, runs=2, scale_runs=1, parts=(100, 200, 300), small_files=50, imports=3
)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 2GiB")
    return int(found[1]) * _UNITS[found[2].upper()]


def _count(text: str) -> int:
    # Without a single run there would be no figures, and so no bound to miss.
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs")
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = Amounts()
    add = parser.add_argument
    add("sections", nargs="*", metavar="SECTION", help=f"default: all of {', '.join(SECTIONS)}")
    add("--quick", action="store_true", help="256 MiB and two runs, to see that all works")
    add("--size", type=_size, help="of the large file (default: 2GiB)")
    add("--runs", type=_count, help=f"of each client (default: {usual.runs})")
    slow = f"of the slow clients with many parts (default: {usual.scale_runs})"
    add("--scale-runs", type=_count, help=slow)
    add("--seed", type=int, default=0, help="of the order within each round")
    add("--folder", type=Path, help="where to make the files (default: the usual temporary one)")
    add(
        "--cache",
        type=Path,
        default=ROOT / ".bench",
        help="where the other clients are installed (default: .bench)",
    )
    add("--json", type=Path, metavar="FILE", help="write the raw figures there")
    plot = str(_PLOT.relative_to(ROOT))
    add("--plot", type=Path, nargs="?", const=_PLOT, metavar="FILE", help=f"draw bars ({plot})")
    given = parser.parse_args()
    if unknown := [name for name in given.sections if name not in SECTIONS]:
        parser.error(f"no such section: {', '.join(unknown)}")
    return given


def _amounts(given: argparse.Namespace) -> Amounts:
    told = {
        name: value
        for name in ("size", "runs", "scale_runs", "seed")
        if (value := getattr(given, name)) is not None
    }
    return replace(_QUICK if given.quick else Amounts(), **told)


def main() -> int:
    """Run the command line; return the exit code."""
    given = _arguments()
    others = OtherClients(given.cache)
    began = time.monotonic()
    runs: list[Run] = []
    with (
        tempfile.TemporaryDirectory(prefix="resumable-bench-", dir=given.folder) as folder,
        Stage(Path(folder), others) as stage,
    ):
        bench = Bench(stage, _amounts(given), lambda text: print(text, file=sys.stderr))
        for name in given.sections or SECTIONS:
            for run in SECTIONS[name](bench):
                runs.append(run)
                bench.tell(f"{time.monotonic() - began:6.0f} s  {_line(run)}")
    print(report(runs, bench.skipped))
    if given.json:
        told = json.dumps(as_json(runs, others.versions()), indent=1)
        given.json.write_text(told + "\n", encoding="utf-8")
    if given.plot:
        large = [run for run in runs if run.section == "large"]
        title = f"Uploading {large[0].case}, four at a time" if large else "Nothing was measured"
        given.plot.write_text(bars(large, title), encoding="utf-8")
    return 0 if given.quick else exit_code(judge(runs))


def _line(run: Run) -> str:
    return (
        f"{run.section}, {run.case}, round {run.round}: {run.subject}: "
        f"{run.values['wall']:.2f} s, CPU {run.values['cpu']:.2f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
