"""A page of a listing: prefix, delimiter and markers over rows that are sorted by key.

Keys are sorted by their UTF-8 bytes, which is the order of their code points. A page is found by
seeking: its cost is that of the rows it shows, however many rows there are before, between and
after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

_LAST = "\U0010ffff"


class Keyed(Protocol):
    """A row of a listing."""

    @property
    def key(self) -> str:
        """What the rows are sorted by."""


RowT = TypeVar("RowT", bound=Keyed)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order of keys and, below one key, of upload ids; it includes itself."""

    key: str
    upload_id: str = ""

    def is_before(self, other: Position) -> bool:
        """Tell whether this place comes first."""
        return (self.key, self.upload_id) < (other.key, other.upload_id)


# Yields the rows from a position on, up to but without a key; None is up to the last.
Scan = Callable[[Position, str | None], Iterator[RowT]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What part of a listing is wanted.

    Attributes:
        limit: how many rows and common prefixes at most.
        prefix: what the keys begin with.
        delimiter: keys that have it after the prefix are rolled up into common prefixes.
        key_marker: only what comes after this key, or after the common prefix it is.
        upload_id_marker: with a key marker, also what comes after this id below that key.
    """

    limit: int
    prefix: str = ""
    delimiter: str = ""
    key_marker: str = ""
    upload_id_marker: str = ""

    @property
    def start(self) -> Position:
        """Where the page begins."""
        first = Position(self.prefix)
        after = self._after_markers()
        return after if first.is_before(after) else first

    @property
    def end(self) -> str | None:
        """The first key that is too late for the prefix, if there is one."""
        return successor(self.prefix) if self.prefix else None

    def common_prefix(self, key: str) -> str:
        """Return the common prefix that a key is rolled up into, or nothing."""
        if not self.delimiter:
            return ""
        at = key.find(self.delimiter, len(self.prefix))
        return "" if at < 0 else key[: at + len(self.delimiter)]

    def _after_markers(self) -> Position:
        if not self.key_marker:
            return Position("")
        if self.upload_id_marker:
            return Position(self.key_marker, self.upload_id_marker + "\0")
        return Position(self.key_marker + "\0")


@dataclass(slots=True)
class Page(Generic[RowT]):
    """A page, and where the next one begins.

    Attributes:
        rows: the rows that are not rolled up.
        prefixes: the common prefixes.
        truncated: whether there is more.
        last_key: the key or common prefix that comes last, or nothing.
        last_row: the row that comes last, or None when that is a common prefix.
    """

    rows: list[RowT] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    last_key: str = ""
    last_row: RowT | None = None


def gather(wanted: Wanted, scan: Scan[RowT]) -> Page[RowT]:
    """Return the page that is wanted of the rows that `scan` yields."""
    page: Page[RowT] = Page()
    start: Position | None = wanted.start
    while start is not None:
        start = _extend(page, wanted, scan(start, wanted.end))
    return page


def successor(prefix: str) -> str | None:
    """Return the first string after all those that begin with `prefix`, if there is one."""
    stem = prefix.rstrip(_LAST)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    # Surrogates are no characters, and no key has one.
    return stem[:-1] + chr(0xE000 if 0xD800 <= following < 0xE000 else following)


def _extend(page: Page[RowT], wanted: Wanted, rows: Iterator[RowT]) -> Position | None:
    """Add rows to the page up to the first common prefix; return where to go on behind it."""
    for row in rows:
        common = wanted.common_prefix(row.key)
        if common != wanted.key_marker or not common:
            if len(page.rows) + len(page.prefixes) >= wanted.limit:
                page.truncated = True
                return None
            if not common:
                page.rows.append(row)
                page.last_key, page.last_row = row.key, row
                continue
            page.prefixes.append(common)
            page.last_key, page.last_row = common, None
        behind = successor(common)
        return None if behind is None else Position(behind)
    return None
