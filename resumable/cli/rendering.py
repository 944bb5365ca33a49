"""How sizes, times, keys and maps of parts look on a terminal."""

from contextlib import suppress
from datetime import UTC, datetime

import click

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_MAP_WIDTH = 64
_MAP_CELLS = 10 * _MAP_WIDTH


def size_text(size: float) -> str:
    """A number of bytes for people: `12.3 MiB`."""
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            break
        size /= _STEP
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def part_map(done: tuple[int, ...], total: int) -> list[str]:
    """The parts as lines of cells: `█` all there, `▒` some, `·` none.

    Above 640 parts one cell stands for several.
    """
    per_cell = -(-total // _MAP_CELLS)
    cells = [0] * -(-total // per_cell)
    for number in done:
        if number <= total:
            cells[(number - 1) // per_cell] += 1
    sizes = [min(per_cell, total - index * per_cell) for index in range(len(cells))]
    drawn = "".join(
        "█" if there == size else "▒" if there else "·"
        for there, size in zip(cells, sizes, strict=True)
    )
    return [drawn[start : start + _MAP_WIDTH] for start in range(0, len(drawn), _MAP_WIDTH)]


def time_text(moment: datetime | None) -> str:
    """A moment to the second, in UTC; `-` where there is none."""
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def printable(text: str) -> str:
    """The text with all escaped that would steer a terminal or break a line."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def complain(text: str) -> None:
    """Say on standard error what went wrong, if anybody listens there."""
    with suppress(OSError):
        click.echo(f"resumable: {printable(text)}", err=True)
