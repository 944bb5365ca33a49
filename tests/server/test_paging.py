"""A page is what sorting everything and cutting it would give, for any keys and markers."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumable.server.paging import Page, Position, Wanted, gather, successor

keys = st.text(alphabet="a/b\0é\ud7ff\ue000\uffff\U0010ffff", max_size=4)


@dataclass(frozen=True, order=True)
class Row:
    key: str
    upload_id: str


class Rows:
    """Rows in order, and how many of them were looked at."""

    def __init__(self, rows: set[Row]) -> None:
        self.sorted = sorted(rows, key=lambda row: (row.key.encode(), row.upload_id))
        self.seen = 0

    def scan(self, start: Position, end: str | None) -> Iterator[Row]:
        for row in self.sorted:
            if (row.key.encode(), row.upload_id) < (start.key.encode(), start.upload_id):
                continue
            if end is not None and row.key.encode() >= end.encode():
                return
            self.seen += 1
            yield row


rows = st.sets(st.builds(Row, keys, st.sampled_from("XYZ")), max_size=30)


def pages(rows: Rows, limit: int, prefix: str, delimiter: str) -> Iterator[Page[Row]]:
    page: Page[Row] = Page(truncated=True)
    while page.truncated:
        upload_id = page.last_row.upload_id if page.last_row else ""
        wanted = Wanted(limit, prefix, delimiter, page.last_key, upload_id)
        page = gather(wanted, rows.scan)
        yield page


@settings(deadline=None)
@given(rows, st.integers(1, 5), keys, st.sampled_from(["", "/", "a", "/a", "\U0010ffff"]))
def test_pages_have_every_row_and_prefix_once_and_in_order(
    found: set[Row], limit: int, prefix: str, delimiter: str
) -> None:
    # A page that ends with the empty key could not be told from the beginning; no key is empty.
    table = Rows({row for row in found if row.key})
    listed: list[Row] = []
    prefixes: list[str] = []
    for page in pages(table, limit, prefix, delimiter):
        assert len(page.rows) + len(page.prefixes) <= limit
        assert not page.truncated or len(page.rows) + len(page.prefixes) == limit
        listed += page.rows
        prefixes += page.prefixes
    expected_rows, expected_prefixes = [], []
    for row in table.sorted:
        if not row.key.startswith(prefix):
            continue
        at = row.key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            expected_rows.append(row)
        elif row.key[: at + len(delimiter)] not in expected_prefixes:
            expected_prefixes.append(row.key[: at + len(delimiter)])
    assert (listed, prefixes) == (expected_rows, expected_prefixes)


@settings(deadline=None)
@given(keys, keys)
def test_successor_is_the_first_string_behind_a_prefix(prefix: str, key: str) -> None:
    behind = successor(prefix)
    if behind is None:
        assert key.startswith(prefix) or key.encode() < prefix.encode()
    else:
        is_behind = key.encode() >= behind.encode()
        assert is_behind == (key.encode() > prefix.encode() and not key.startswith(prefix))


@pytest.mark.parametrize("delimiter", ["", "/"])
def test_page_looks_at_no_more_rows_than_it_shows(delimiter: str) -> None:
    table = Rows({Row(f"{at // 100:02}/{at % 100:02}", "X") for at in range(2000)})
    page = gather(Wanted(3, "0", delimiter, "04/50"), table.scan)
    assert len(page.rows) + len(page.prefixes) == 3
    assert table.seen == 4


def test_marker_inside_a_common_prefix_shows_the_rest_of_it() -> None:
    table = Rows({Row("a/1", "X"), Row("a/2", "X"), Row("b", "X")})
    assert gather(Wanted(9, "", "/", "a/1"), table.scan).prefixes == ["a/"]
    assert gather(Wanted(9, "", "/", "a/"), table.scan).prefixes == []
