"""The figures as text, and as JSON."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from tests.bench.acceptance import Verdict, judge
from tests.bench.measuring import Run
from tests.bench.ratios import Spread, figures, median_ratio
from tests.bench.sections import GIB, SECTIONS
from tests.bench.subjects import OURS, OURS_CRC

_MEGABYTE = 1_000_000
# Seconds of CPU per GiB say nothing of files of 64 KiB, or of a resume that sends one part.
_LARGE = ("large", "https", "many-parts")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: what it holds, computed from the values of one run.

    With `sections` it stands only in the tables of these.
    """

    title: str
    needs: frozenset[str]
    digits: int
    compute: Callable[[dict[str, float]], float]
    sections: tuple[str, ...] = ()


_COLUMNS = (
    Column("wall s", frozenset({"wall"}), 2, lambda v: v["wall"]),
    Column("upload s", frozenset({"upload_wall"}), 3, lambda v: v["upload_wall"]),
    Column("CPU-s", frozenset({"cpu"}), 2, lambda v: v["cpu"]),
    Column(
        "CPU-s/GiB",
        frozenset({"cpu", "bytes"}),
        2,
        lambda v: v["cpu"] / v["bytes"] * GIB,
        _LARGE,
    ),
    Column(
        "upload CPU-s/GiB",
        frozenset({"upload_cpu", "bytes"}),
        2,
        lambda v: v["upload_cpu"] / v["bytes"] * GIB,
        _LARGE,
    ),
    Column(
        "upload CPU ms/file",
        frozenset({"upload_cpu", "files"}),
        2,
        lambda v: v["upload_cpu"] / v["files"] * 1000,
        ("small-files",),
    ),
    Column("peak RSS MB", frozenset({"peak_rss"}), 0, lambda v: v["peak_rss"] / _MEGABYTE),
    Column("requests", frozenset({"requests"}), 0, lambda v: v["requests"]),
)
_RATIOS = ("cpu", "wall")


def report(runs: Sequence[Run], skipped: dict[str, str]) -> str:
    """All tables, and whether the bounds hold."""
    pieces = [_machine()]
    for section in SECTIONS:
        here = [run for run in runs if run.section == section]
        if here:
            about = (SECTIONS[section].__doc__ or "").strip().splitlines()[0]
            pieces.append(f"{section}: {about}\n\n{_table(here)}{_compared(here)}")
    if skipped:
        pieces.append("\n".join(f"skipped: {name}: {why}" for name, why in skipped.items()))
    verdicts = judge(runs)
    pieces.append("Bounds\n\n" + verdict_table(verdicts))
    if unknown := [verdict.claim for verdict in verdicts if verdict.measured is None]:
        pieces.append("Could not be measured, so that these may be missed:\n" + "\n".join(unknown))
    return "\n\n".join(pieces) + "\n"


def verdict_table(verdicts: Iterable[Verdict]) -> str:
    """A line for each bound."""
    rows = [
        [
            verdict.claim,
            "-" if verdict.measured is None else f"{verdict.measured:.3f}",
            f"<= {verdict.most:.3f}",
            verdict.word,
        ]
        for verdict in verdicts
    ]
    return aligned([["bound", "measured", "at most", ""], *rows])


def as_json(runs: Sequence[Run], versions: dict[str, dict[str, str]]) -> dict[str, object]:
    """The raw figures, and of what."""
    return {
        "machine": _machine(),
        "versions": {"resumable": version("resumable"), "others": versions},
        "runs": [asdict(run) for run in runs],
        "bounds": [{**asdict(verdict), "verdict": verdict.word} for verdict in judge(runs)],
    }


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a table: names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _table(runs: Sequence[Run]) -> str:
    section = runs[0].section
    columns = [
        column
        for column in _COLUMNS
        if any(column.needs <= run.values.keys() for run in runs)
        and (not column.sections or section in column.sections)
    ]
    rows = [["median [least-most]", "runs", *(column.title for column in columns)]]
    for case, subject in _groups(runs):
        here = _group(runs, case, subject)
        cells = [_cell(here, column) for column in columns]
        rows.append([_name(runs, case, subject), str(len(here)), *cells])
    return aligned(rows)


def _cell(runs: Iterable[Run], column: Column) -> str:
    spread = Spread.of(
        column.compute(dict(run.values)) for run in runs if column.needs <= run.values.keys()
    )
    return spread.shown(column.digits) if spread else "-"


def _compared(runs: Sequence[Run]) -> str:
    """How many times as much as this client, round by round."""
    ours = [subject.name for subject in (OURS_CRC, OURS)]
    kinds = [kind for kind in _groups(runs) if kind[1] not in ours]
    if not kinds or not any(run.subject in ours for run in runs):
        return ""
    rows = [["median of ratios", *(f"{m.upper()} / {name}" for name in ours for m in _RATIOS)]]
    for case, subject in kinds:
        here, cells = _group(runs, case, subject), []
        for name in ours:
            for measure in _RATIOS:
                ratio = median_ratio(here, _group(runs, case, name), measure)
                cells.append("-" if ratio is None else f"{ratio:.2f}")
        rows.append([_name(runs, case, subject), *cells])
    return "\n\n" + aligned(rows)


def _groups(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Cases, and within each the subjects, quickest first."""
    kinds = list(dict.fromkeys((run.case, run.subject) for run in runs))
    cases = list(dict.fromkeys(sorted((run.case for run in runs), key=_natural)))

    def place(kind: tuple[str, str]) -> tuple[int, float]:
        spread = Spread.of(figures(_group(runs, *kind), "cpu"))
        return cases.index(kind[0]), spread.median if spread else 0.0

    return sorted(kinds, key=place)


def _natural(case: str) -> tuple[str, int]:
    number, _, rest = case.replace(",", "").partition(" ")
    return (rest, int(number)) if number.isdigit() else (case, 0)


def _group(runs: Iterable[Run], case: str, subject: str) -> list[Run]:
    return [run for run in runs if (run.case, run.subject) == (case, subject)]


def _name(runs: Sequence[Run], case: str, subject: str) -> str:
    cases = {run.case for run in runs}
    if len(cases) == 1:
        return subject
    return case if len({run.subject for run in runs}) == 1 else f"{case}: {subject}"


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release().split('-')[0]} "
        f"{platform.machine()}, Python {platform.python_version()}; "
        "the server reads on the same machine and does not hash"
    )
