"""Bars as SVG: CPU per GiB and wall time of each client."""

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from tests.bench.measuring import Run
from tests.bench.ratios import Spread
from tests.bench.sections import GIB

_ROW, _LABEL, _BAR, _GAP, _TOP = 26, 230, 260, 60, 64
_OURS, _FLOOR, _OTHERS = "#1b7f5a", "#b8b8b8", "#5b7db1"
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)


def bars(runs: Sequence[Run], title: str) -> str:
    """Two panels of bars, a row for each subject, the cheapest on top."""
    cpu = _medians(runs, lambda run: run.values["cpu"] / run.values["bytes"] * GIB)
    wall = _medians(runs, lambda run: run.values["wall"])
    names = sorted(cpu, key=lambda name: cpu[name])
    width = _LABEL + 2 * (_BAR + _GAP)
    height = _TOP + _ROW * len(names) + 12
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="8" y="22">{escape(title)}</text>',
    ]
    for row, name in enumerate(names):
        pieces.append(f'<text x="8" y="{_TOP + _ROW * row + 16}">{escape(name)}</text>')
    panels = (("CPU seconds per GiB", cpu), ("wall seconds", wall))
    for number, (heading, values) in enumerate(panels):
        left = _LABEL + number * (_BAR + _GAP)
        pieces.append(f'<text class="title" x="{left}" y="{_TOP - 12}">{heading}</text>')
        pieces += _panel(left, [(name, values[name]) for name in names])
    return "\n".join([*pieces, "</svg>", ""])


def _panel(left: int, values: Sequence[tuple[str, float]]) -> list[str]:
    most = max((value for _, value in values), default=0) or 1
    drawn = []
    for row, (name, value) in enumerate(values):
        top, length = _TOP + _ROW * row, max(1.0, _BAR * value / most)
        drawn.append(
            f'<rect x="{left}" y="{top}" width="{length:.1f}" height="{_ROW - 6}" rx="2" '
            f'fill="{_colour(name)}"/>'
            f'<text x="{left + length + 6:.1f}" y="{top + 16}">{value:.2f}</text>'
        )
    return drawn


def _colour(name: str) -> str:
    if name.startswith("resumable"):
        return _OURS
    return _FLOOR if name.startswith("floor") else _OTHERS


def _medians(runs: Sequence[Run], of: Callable[[Run], float]) -> dict[str, float]:
    by_name: dict[str, list[float]] = {}
    for run in runs:
        by_name.setdefault(run.subject, []).append(of(run))
    return {name: spread.median for name, known in by_name.items() if (spread := Spread.of(known))}
