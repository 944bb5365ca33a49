"""The bounds that this client sets itself, and whether they hold."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tests.bench.measuring import Run
from tests.bench.ratios import figures, median_ratio
from tests.bench.sections import HELP, IMPORT_OURS, IMPORT_REQUESTS
from tests.bench.subjects import (
    BOTO3_CRT,
    FLOOR_TWICE,
    FLOOR_WHOLE,
    OSS2,
    OSS_V2,
    OURS,
    OURS_CRC,
    Subject,
)

_MEGABYTE = 1_000_000
_MOST_MEMORY = 80
_MOST_GROWTH = 2.1
_MOST_REQUESTS = 15
# Of the upload alone: the start, which costs the same for any number of parts, would hide growth.
_GROWING = {"upload_wall": "wall", "upload_cpu": "CPU", "requests": "requests"}
_FRESH = re.compile(r"([\d,]+) parts, fresh")
_FLOOR_WITH_MD5 = (FLOOR_TWICE, FLOOR_WHOLE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bound, and what was measured; None where it was not."""

    claim: str
    measured: float | None
    most: float

    @property
    def word(self) -> str:
        """Whether it holds."""
        if self.measured is None:
            return "not measured"
        return "holds" if self.measured <= self.most else "MISSED"


@dataclass(frozen=True, slots=True)
class Bound:
    """At most so many times what others need. Of several others the cheapest counts."""

    section: str
    measure: str
    ours: Subject
    others: tuple[Subject, ...]
    most: float


_MEASURES = {
    "cpu": "CPU",
    "upload_cpu": "CPU of the upload alone",
    "wall": "wall",
    "upload_wall": "wall of the upload alone",
}
_BOUNDS = (
    Bound("large", "cpu", OURS_CRC, (OSS2,), 0.15),
    Bound("large", "cpu", OURS_CRC, (OSS_V2,), 0.15),
    Bound("large", "cpu", OURS_CRC, (BOTO3_CRT,), 0.5),
    Bound("large", "wall", OURS_CRC, (OSS2,), 0.15),
    Bound("large", "cpu", OURS, _FLOOR_WITH_MD5, 1.3),
    Bound("large", "upload_cpu", OURS, _FLOOR_WITH_MD5, 1.3),
    Bound("large", "cpu", OURS, (OSS2,), 0.45),
    Bound("many-parts", "wall", OURS, (OSS2,), 0.15),
    Bound("many-parts", "wall", OURS, (OSS_V2,), 0.15),
)


def judge(runs: Sequence[Run]) -> list[Verdict]:
    """Hold the runs against all bounds of the sections that were run."""
    sections = {run.section for run in runs}
    verdicts = [_ratio(runs, bound) for bound in _BOUNDS if bound.section in sections]
    verdicts += _memory(runs)
    if "growth" in sections:
        verdicts += _growth([run for run in runs if run.section == "growth"])
    if "imports" in sections:
        verdicts += _imports([run for run in runs if run.section == "imports"])
    return verdicts


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """1 if a bound is missed; otherwise 2 if one could not be measured, since it may be."""
    words = {verdict.word for verdict in verdicts}
    if "MISSED" in words:
        return 1
    return 2 if "not measured" in words else 0


def cheapest(runs: Sequence[Run], section: str, subjects: Iterable[Subject], measure: str) -> str:
    """Who of them needs least, by the median; an empty string if none was measured."""
    medians = {
        subject.name: median(known)
        for subject in subjects
        if (known := figures(_of(runs, section, subject.name), measure))
    }
    return min(medians, key=lambda name: medians[name], default="")


def _ratio(runs: Sequence[Run], bound: Bound) -> Verdict:
    other = cheapest(runs, bound.section, bound.others, bound.measure)
    ours = _of(runs, bound.section, bound.ours.name)
    measured = median_ratio(ours, _of(runs, bound.section, other), bound.measure)
    shown = other or bound.others[0].name
    claim = f"{bound.section}: {_MEASURES[bound.measure]} of {bound.ours.name} / {shown}"
    return Verdict(claim, measured, bound.most)


def _memory(runs: Sequence[Run]) -> Iterator[Verdict]:
    ours = [run for run in runs if run.subject in (OURS.name, OURS_CRC.name)]
    for section in dict.fromkeys(run.section for run in ours):
        peaks = figures((run for run in ours if run.section == section), "peak_rss")
        most = max((peak / _MEGABYTE for peak in peaks), default=None)
        yield Verdict(f"{section}: most peak RSS in MB", most, _MOST_MEMORY)


def _growth(runs: Sequence[Run]) -> Iterator[Verdict]:
    counts = {
        run.case: int(found[1].replace(",", ""))
        for run in runs
        if (found := _FRESH.fullmatch(run.case))
    }
    for fewer, more in pairwise(sorted(counts, key=lambda case: counts[case])):
        most = _MOST_GROWTH ** math.log2(counts[more] / counts[fewer])
        for measure, shown in _GROWING.items():
            measured = median_ratio(_case(runs, more), _case(runs, fewer), measure)
            yield Verdict(f"growth: {shown}, {more} / {fewer}", measured, most)
    for case in sorted({run.case for run in runs if run.case.endswith("one missing")}):
        requests = max(figures(_case(runs, case), "requests"), default=None)
        yield Verdict(f"growth: requests, {case}", requests, _MOST_REQUESTS)


def _imports(runs: Sequence[Run]) -> Iterator[Verdict]:
    ours, other = (_of(runs, "imports", name) for name in (IMPORT_OURS, IMPORT_REQUESTS))
    claim = f"imports: CPU of {IMPORT_OURS} / {IMPORT_REQUESTS}"
    yield Verdict(claim, median_ratio(ours, other, "cpu"), 1)
    needless = figures(_of(runs, "imports", HELP), "imports_transport")
    claim = f"{HELP}: imports of ssl, requests"
    yield Verdict(claim, max(needless, default=None), 0)


def _of(runs: Iterable[Run], section: str, subject: str) -> list[Run]:
    return [run for run in runs if (run.section, run.subject) == (section, subject)]


def _case(runs: Iterable[Run], case: str) -> list[Run]:
    return [run for run in runs if run.case == case]
