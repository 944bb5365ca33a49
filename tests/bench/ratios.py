"""Medians, and ratios of what ran in the same round."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.measuring import Run


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and how far they are apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> "Spread | None":
        """The spread of some figures; None if there are none."""
        known = sorted(figures)
        return cls(median(known), known[0], known[-1]) if known else None

    def shown(self, digits: int) -> str:
        """Median and extremes."""
        return f"{self.median:.{digits}f} [{self.least:.{digits}f}-{self.most:.{digits}f}]"


def figures(runs: Iterable[Run], measure: str) -> list[float]:
    """One measure of some runs, where they have it."""
    return [run.values[measure] for run in runs if measure in run.values]


def ratios(of: Sequence[Run], to: Sequence[Run], measure: str) -> list[float]:
    """How many times as much, round by round.

    A machine that is slow for a while is slow for all of a round, so that its noise is not in a
    ratio of two runs of it as it would be in a ratio of two medians.
    """
    others = {run.round: run.values.get(measure, 0.0) for run in to}
    return [
        run.values[measure] / others[run.round]
        for run in of
        if measure in run.values and others.get(run.round, 0.0) > 0
    ]


def median_ratio(of: Sequence[Run], to: Sequence[Run], measure: str) -> float | None:
    """The median of these ratios; None if no round has both."""
    found = ratios(of, to, measure)
    return median(found) if found else None
