"""How sizes, times, keys and maps of parts look on a terminal."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO, cast

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


def unbreakable(stream: TextIO) -> TextIO:
    """A stream to which writing never fails: what shows an upload must not end it."""
    return cast(TextIO, _Unbreakable(stream))


class _Unbreakable:
    """A stream of which nobody minds if what is written to it gets lost: the terminal may go.

    Args:
        stream: What is written to while it can be.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)


def complain(text: str) -> None:
    """Say on standard error what went wrong, if anybody listens there."""
    with suppress(OSError):
        click.echo(f"resumable: {printable(text)}", err=True)
