"""Which differences of a file's stat count, by what the caller said."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.core.checkpoint import SourceIdentity
from resumable.core.source_check import (
    SOURCE_CHECKS,
    SourceCheck,
    changes,
    differences,
    is_as_recorded,
    must_be_read_again,
)

WAS = SourceIdentity(
    path="/data/f",
    size=100,
    mtime_ns=1_700_000_000_100_000_000,
    ctime_ns=1_700_000_000_000_000_001,
    inode=12,
)
SAME = WAS
LONGER = replace(WAS, size=101)
WRITTEN = replace(WAS, mtime_ns=1_700_000_003_500_000_000)
REPLACED = replace(WAS, inode=13)
TOUCHED = replace(WAS, ctime_ns=WAS.ctime_ns + 1)
ELSEWHERE = replace(WAS, path="/data/g")

# What is found, whether the parts are read again before Complete, whether records are trusted.
ROWS: list[tuple[SourceCheck, SourceIdentity, list[str], bool, bool]] = [
    ("strict", SAME, [], False, True),
    ("strict", LONGER, ["size"], True, False),
    ("strict", WRITTEN, ["mtime"], True, False),
    ("strict", REPLACED, ["inode"], True, False),
    ("strict", TOUCHED, [], True, False),
    ("strict", ELSEWHERE, [], False, False),
    ("content", SAME, [], True, False),
    ("content", LONGER, ["size"], True, False),
    ("content", WRITTEN, [], True, False),
    ("content", REPLACED, [], True, False),
    ("content", TOUCHED, [], True, False),
    ("size", SAME, [], False, True),
    ("size", LONGER, ["size"], False, False),
    ("size", WRITTEN, [], False, True),
    ("size", REPLACED, [], False, True),
    ("size", TOUCHED, [], False, True),
    ("size", ELSEWHERE, [], False, False),
]


@pytest.mark.parametrize(("check", "now", "found", "reread", "trusted"), ROWS)
def test_what_counts(
    check: SourceCheck, now: SourceIdentity, found: list[str], reread: bool, trusted: bool
) -> None:
    assert [change.name for change in changes(WAS, now, check)] == found
    assert must_be_read_again(WAS, now, check) is reread
    assert is_as_recorded(WAS, now, check) is trusted


def test_difference_tells_both_values() -> None:
    now = replace(WAS, size=7, mtime_ns=1_700_000_003_500_000_000, inode=13, ctime_ns=-500_000_000)
    assert [str(change) for change in differences(WAS, now)] == [
        "size from 100 to 7",
        "mtime from 1700000000.1 to 1700000003.5",
        "inode from 12 to 13",
        "ctime from 1700000000.000000001 to -0.5",
    ]


IDENTITIES = st.builds(
    SourceIdentity,
    path=st.sampled_from(["/a", "/b"]),
    size=st.integers(0, 3),
    mtime_ns=st.integers(-2, 2),
    ctime_ns=st.integers(-2, 2),
    inode=st.integers(1, 3),
)


@given(IDENTITIES, IDENTITIES, st.sampled_from(SOURCE_CHECKS))
def test_nothing_is_trusted_that_counts_as_changed(
    was: SourceIdentity, now: SourceIdentity, check: SourceCheck
) -> None:
    if changes(was, now, check):
        assert not is_as_recorded(was, now, check)
    if is_as_recorded(was, now, check):
        assert not must_be_read_again(was, now, check)


@given(IDENTITIES, IDENTITIES)
def test_strict_sees_every_difference(was: SourceIdentity, now: SourceIdentity) -> None:
    assert bool(differences(was, now)) == must_be_read_again(was, now, "strict")
