"""What is measured: each section runs its subjects in turns and yields their runs."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from tests.bench.clients.child import Job
from tests.bench.measuring import BenchError, Run, child_environment, own_python, run_program
from tests.bench.stage import Source, Stage
from tests.bench.subjects import (
    CLIENTS,
    FLOOR_CRC,
    FLOOR_TWICE,
    FLOORS,
    OSS2,
    OSS_V2,
    OURS,
    OURS_CRC,
    Subject,
)

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
PART = 8 * MIB
SMALL_PART = 100 * KIB

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much is measured.

    Attributes:
        size: Bytes of the large file.
        runs: Of each subject.
        scale_runs: Of the other clients with many parts, which takes them minutes.
        parts: Of the file of many parts, ascending; the last count is that of `many-parts`.
        small_files: How many.
        imports: Runs of each import.
        seed: Of the order within a round.
    """

    size: int = 2 * GIB
    runs: int = 5
    scale_runs: int = 3
    parts: tuple[int, ...] = (1_000, 2_000, 4_000, 10_000)
    small_files: int = 500
    imports: int = 15
    seed: int = 0


@dataclass
class Bench:
    """The stage, the amounts, and the sources, each made when it is first needed."""

    stage: Stage
    amounts: Amounts
    tell: Callable[[str], None] = print
    skipped: dict[str, str] = field(default_factory=dict)

    @cached_property
    def large_source(self) -> Source:
        """The large file in parts of 8 MiB."""
        self.tell(f"Making a file of {self.amounts.size / GIB:.2f} GiB ...")
        return self.stage.source(self.stage.file("large", self.amounts.size), PART)

    @cached_property
    def many_source(self) -> Source:
        """The file of many parts.

        Its last part is a byte short: with exactly 10,000 parts one of the clients doubles the
        part size.
        """
        size = self.amounts.parts[-1] * SMALL_PART - 1
        self.tell(f"Making a file of {self.amounts.parts[-1]:,} parts ...")
        return self.stage.source(self.stage.file("many", size), SMALL_PART)

    def available(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Those that can be measured here; of the others it is told why not."""
        found = []
        for subject in subjects:
            if why := self.stage.missing(subject):
                self.skip(subject.name, why)
            else:
                found.append(subject)
        return found

    def skip(self, name: str, why: str) -> None:
        """Take note of who is not measured, and tell it once."""
        if name not in self.skipped:
            self.skipped[name] = why
            self.tell(f"skipped: {name}: {why}")

    def upload(
        self,
        at: tuple[str, str, int],
        subject: Subject,
        source: Source,
        *,
        tls: bool = False,
        action: str = "large",
    ) -> Iterator[Run]:
        """Measure an upload in a section, case and round.

        Another client that fails is told of, and left out from then on.
        """
        section, case, round_ = at
        if subject.name in self.skipped:
            return
        try:
            values = self.stage.upload(subject, source, tls=tls, action=action)
        except BenchError as error:
            if not subject.package:
                raise
            self.skip(subject.name, f"it failed in {section}: {str(error).splitlines()[-1]}")
        else:
            yield Run(section, case, subject.name, round_, values)

    def turns(self, subjects: Sequence[_T], runs: int, name: str) -> Iterator[tuple[int, _T]]:
        """Rounds of all subjects, in another order each time."""
        rng = random.Random(f"{self.amounts.seed}/{name}")
        for round_ in range(1, runs + 1):
            order = list(subjects)
            rng.shuffle(order)
            for subject in order:
                yield round_, subject


def large(bench: Bench) -> Iterator[Run]:
    """One large file in parts of 8 MiB over HTTP."""
    subjects = bench.available((*CLIENTS, *FLOORS))
    yield from _uploads(bench, "large", subjects, bench.large_source, tls=False)


def https(bench: Bench) -> Iterator[Run]:
    """The same file over HTTPS."""
    subjects = bench.available((*CLIENTS, FLOOR_CRC, FLOOR_TWICE))
    yield from _uploads(bench, "https", subjects, bench.large_source, tls=True)


def many_parts(bench: Bench) -> Iterator[Run]:
    """A file of many parts of 100 KiB, the smallest there are."""
    parts = bench.amounts.parts[-1]
    source = bench.many_source
    slow = bench.available((OSS2, OSS_V2))
    runs = max(bench.amounts.runs, bench.amounts.scale_runs)
    subjects = (OURS, OURS_CRC, *slow, FLOOR_CRC, FLOOR_TWICE)
    for round_, subject in bench.turns(subjects, runs, "many-parts"):
        if round_ > (bench.amounts.scale_runs if subject in slow else bench.amounts.runs):
            continue
        at = ("many-parts", f"{parts:,} parts of 100 KiB", round_)
        yield from bench.upload(at, subject, source)


def small_files(bench: Bench) -> Iterator[Run]:
    """Files of 64 KiB one after another. This client sends an MD5 with each, as it always does."""
    source = bench.stage.small_files(bench.amounts.small_files, 64 * KIB)
    case = f"{bench.amounts.small_files} files of 64 KiB"
    subjects = bench.available([subject for subject in CLIENTS if subject is not OURS_CRC])
    for round_, subject in bench.turns(subjects, bench.amounts.runs, "small-files"):
        yield from bench.upload(("small-files", case, round_), subject, source, action="small")


def memory(bench: Bench) -> Iterator[Run]:
    """The most memory that is resident, with parts of all sizes."""
    whole = GIB if bench.amounts.size > GIB else bench.amounts.size // 2
    sources = {
        "parts of 100 KiB": bench.many_source,
        "parts of 8 MiB": bench.large_source,
        f"parts of {whole // MIB:,} MiB": bench.stage.source(bench.large_source.path, whole),
    }
    kinds = [(case, subject) for case in sources for subject in (OURS, OURS_CRC)]
    for round_, (case, subject) in bench.turns(kinds, min(2, bench.amounts.runs), "memory"):
        yield from bench.upload(("memory", case, round_), subject, sources[case])


def growth(bench: Bench) -> Iterator[Run]:
    """Twice the parts: fresh uploads, a resume, and planning."""
    most = bench.amounts.parts[-1]
    sources = {
        parts: bench.stage.beginning_of(bench.many_source, parts)
        for parts in bench.amounts.parts[:-1]
    }
    sources[most] = bench.many_source
    for round_, parts in bench.turns(list(sources), bench.amounts.runs, "growth"):
        yield from bench.upload(("growth", fresh(parts), round_), OURS, sources[parts])
    for round_ in range(1, min(2, bench.amounts.runs) + 1):
        values = bench.stage.resume(OURS, bench.many_source)
        yield Run("growth", resumed(most), OURS.name, round_, values)
    for round_ in range(1, bench.amounts.runs + 1):
        job = Job("plan", "", "", "", "", 0, 0, "", "")
        values = _run_module(bench, "planning", json.dumps(job._asdict()))
        yield Run("growth", PLANNING, OURS.name, round_, values)


PLANNING = "planning 48.8 TB"


def fresh(parts: int) -> str:
    """The case of a fresh upload."""
    return f"{parts:,} parts, fresh"


def resumed(parts: int) -> str:
    """The case of a resume with one part missing."""
    return f"{parts:,} parts, one missing"


IMPORT_OURS = "import resumable"
IMPORT_REQUESTS = "import requests"
IMPORTS = {"python": "pass", IMPORT_REQUESTS: IMPORT_REQUESTS, IMPORT_OURS: IMPORT_OURS}
HELP = "resumable --help"


def imports(bench: Bench) -> Iterator[Run]:
    """What it costs to start."""
    for round_, name in bench.turns([*IMPORTS, HELP], bench.amounts.imports, "imports"):
        if name == HELP:
            values = _run_module(bench, "asking_for_help")
        else:
            command = [own_python(), "-c", IMPORTS[name]]
            values = run_program(command, child_environment(bench.stage.folder))
        yield Run("imports", "start to end", name, round_, values)


def _uploads(
    bench: Bench, section: str, subjects: Sequence[Subject], source: Source, *, tls: bool
) -> Iterator[Run]:
    case = f"{source.size / GIB:g} GiB in parts of {source.part_size // MIB} MiB"
    for round_, subject in bench.turns(subjects, bench.amounts.runs, section):
        yield from bench.upload((section, case, round_), subject, source, tls=tls)


def _run_module(bench: Bench, program: str, *arguments: str) -> dict[str, float]:
    command = [own_python(), "-m", f"tests.bench.clients.{program}", *arguments]
    return run_program(command, child_environment(bench.stage.folder))


SECTIONS: dict[str, Callable[[Bench], Iterator[Run]]] = {
    "large": large,
    "many-parts": many_parts,
    "small-files": small_files,
    "https": https,
    "memory": memory,
    "growth": growth,
    "imports": imports,
}
