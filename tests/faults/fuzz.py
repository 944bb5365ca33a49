"""Feed the parsers inputs made of others: only declared errors come out, soon and in little memory.

    python -m tests.faults.fuzz --inputs 500000 --seed 0
    python -m tests.faults.fuzz --parser xml --inputs 1000000 --seed 7

Inputs that end in a way not seen before (an entry, its error, and the line that raised it) are
changed further. An input that breaks a rule is written to a file, whose name is told. The exit
code is 1 if there was one.
"""

import argparse
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.faults.fuzz_mutations import Mutator, reseal
from tests.faults.fuzz_targets import PARSERS, Entry, Parser

LONGEST_TIME = 0.050
MOST_MEMORY = 64 * 1024 * 1024
# Slowness is looked at again before it counts: the machine may be busy.
_LOOKS = 3
_WATCHDOG = 5.0
_MOST_VIOLATIONS = 10
_OF_THE_INPUT = re.compile(r"\d+|['\"<].*", re.DOTALL)
_MOST_TOLD = 40


class StuckError(BaseException):
    """An input took the processor for so long that it was given up."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An input that broke a rule, and how."""

    parser: str
    entry: str
    told: str
    data: bytes


@dataclass(slots=True)
class Report:
    """What came of the inputs of one parser.

    Attributes:
        outcomes: How often each entry ended in each way.
        slowest: The longest time of the processor that an entry took for one input.
    """

    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    kept: int = 0
    outcomes: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Inputs per second."""
        return self.inputs / max(self.seconds, 1e-9)


def fuzz(
    name: str, parser: Parser, *, inputs: int, seed: int, enough: int = _MOST_VIOLATIONS
) -> Report:
    """Give a parser so many inputs, or as many as it takes to break it often enough."""
    rng = random.Random(f"{seed}/{name}")
    mutator = Mutator(rng, parser.seeds(), parser.tokens, parser.longest)
    report, began = Report(), time.monotonic()
    with _watchdog():
        for data in _inputs(parser, mutator, rng, inputs):
            report.inputs += 1
            if _feed(name, parser, data, report):
                mutator.keep(data)
            if len(report.violations) >= enough:
                break
    report.seconds, report.kept = time.monotonic() - began, mutator.kept
    return report


def _inputs(parser: Parser, mutator: Mutator, rng: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        data = mutator.make()
        yield reseal(rng, data) if parser.sealed and rng.random() < 0.5 else data


def feed(name: str, parser: Parser, data: bytes) -> Report:
    """Give one input to every entry of a parser."""
    report = Report(inputs=1)
    with _watchdog():
        _feed(name, parser, data, report)
    return report


def _feed(name: str, parser: Parser, data: bytes, report: Report) -> bool:
    """Give one input to every entry of a parser; whether one ended in a new way."""
    is_new = False
    # What measures coverage takes a note of each line.
    longest = LONGEST_TIME if sys.gettrace() is None else 4 * LONGEST_TIME
    for entry_name, entry in parser.entries.items():
        taken, way, told = _look(entry, data)
        for _ in range(_LOOKS - 1):
            if taken <= longest or told:
                break
            taken = min(taken, _look(entry, data)[0])
        if taken > longest and not told:
            told = f"took {1000 * taken:.0f} ms"
        if told:
            report.violations.append(Violation(name, entry_name, told, data))
        report.slowest = max(report.slowest, taken)
        outcome = (entry_name, *way)
        is_new = is_new or outcome not in report.outcomes
        report.outcomes[outcome] += 1
    return is_new


def _look(entry: Entry, data: bytes) -> tuple[float, tuple[str, int], str]:
    """The time that an entry took, how it ended, and what is wrong with that, if anything."""
    way, told = ("success", 0), ""
    signal.setitimer(signal.ITIMER_VIRTUAL, _WATCHDOG)
    began = time.thread_time()
    try:
        entry.call(data[: entry.longest])
    except entry.declared as error:
        way = _end_of(error)
    except StuckError:
        told = f"still at it after {_WATCHDOG:.0f} s"
    except (Exception, RecursionError) as error:  # noqa: BLE001 - which one it is, is the finding
        way = _end_of(error)
        told = f"{type(error).__name__} escaped: {str(error)[:100]!r}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return time.thread_time() - began, way, told


def _end_of(error: Exception) -> tuple[str, int]:
    trace, line = error.__traceback__, 0
    while trace is not None:
        if "resumable" in trace.tb_frame.f_code.co_filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    # What is told without the numbers, and without what is quoted of the input.
    told = _OF_THE_INPUT.sub("", str(error))[:_MOST_TOLD]
    return f"{type(error).__name__}: {told}", line


@contextmanager
def _watchdog() -> Iterator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        raise StuckError

    before = signal.signal(signal.SIGVTALRM, give_up)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def bounded_memory(more: int) -> Iterator[None]:
    """Let this process take only so much more memory: what needs more fails with MemoryError."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _tell(name: str, report: Report, folder: Path) -> None:
    ways = len(report.outcomes)
    sys.stdout.write(
        f"{name:<12}{report.inputs:>10} inputs {report.rate:>8.0f}/s {ways:>4} ways to end "
        f"{report.kept:>5} kept  slowest {1000 * report.slowest:>5.1f} ms  "
        f"{len(report.violations)} violations\n"
    )
    for number, found in enumerate(report.violations):
        path = folder / f"{name}-{number}"
        path.write_bytes(found.data)
        sys.stderr.write(f"{name}: {found.entry}: {found.told}\n  the input: {path}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the command line; return the exit code."""
    command = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    command.add_argument("--inputs", type=int, default=500_000, help="for each parser")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--parser", choices=PARSERS, action="append", help="only this one")
    given = command.parse_args()
    violations = 0
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for name in given.parser or PARSERS:
        with bounded_memory(MOST_MEMORY):
            report = fuzz(name, PARSERS[name], inputs=given.inputs, seed=given.seed)
        _tell(name, report, folder)
        violations += len(report.violations)
    sys.stdout.write(f"seed {given.seed}; {violations} violations\n")
    if not violations:
        folder.rmdir()
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
