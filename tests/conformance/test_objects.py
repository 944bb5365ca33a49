"""Whole objects: put, get, ranges, conditions, head, delete, as every witness sees them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from resumable.core.integrity import crc64
from tests.conformance.witness import Conditions, Head, Witness, etag_of, refused
from tests.support import PART, random_bytes

DATA = random_bytes(PART, 4)
SIZE = len(DATA)


@pytest.mark.parametrize("data", [DATA, b"x", b""], ids=["100KB", "one-byte", "empty"])
def test_object_that_was_put_comes_back(witness: Witness, key: str, data: bytes) -> None:
    made = witness.put(key, data)
    assert (made.etag, made.crc64) == (etag_of(data), crc64(data))
    found = witness.head(key)
    assert (found.size, found.etag, found.crc64) == (len(data), made.etag, made.crc64)
    assert found.headers["x-oss-object-type"] == "Normal"
    assert witness.get(key) == data


def test_object_put_again_is_replaced(witness: Witness, key: str) -> None:
    witness.put(key, b"old")
    witness.put(key, DATA)
    assert witness.get(key) == DATA


RANGES = {
    "0-0": DATA[:1],
    "0-99": DATA[:100],
    f"{SIZE - 1}-{SIZE - 1}": DATA[-1:],
    f"{SIZE - 5}-": DATA[-5:],
    "-5": DATA[-5:],
    f"0-{SIZE - 1}": DATA,
}


@pytest.mark.parametrize("standard", [False, True], ids=["default", "standard"])
def test_range_is_what_was_asked_for(witness: Witness, key: str, standard: bool) -> None:
    witness.put(key, DATA)
    for wanted, expected in RANGES.items():
        assert witness.get_range(key, wanted, standard=standard) == expected


def test_range_over_parts_is_joined(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    parts = [witness.upload_part(key, upload_id, number, DATA) for number in (1, 2, 3)]
    witness.complete(key, upload_id, parts)
    assert witness.get_range(key, f"{SIZE - 3}-{2 * SIZE + 2}") == DATA[-3:] + DATA + DATA[:3]


def test_range_behind_the_end_is_the_whole_object_unless_standard(
    witness: Witness, key: str
) -> None:
    witness.put(key, DATA)
    behind = f"{SIZE}-{SIZE + 9}"
    assert witness.get_range(key, behind) == DATA
    with refused(witness, 416, "InvalidRange"):
        witness.get_range(key, behind, standard=True)


def test_range_that_reaches_over_the_end_ends_there(witness: Witness, key: str) -> None:
    witness.put(key, DATA)
    assert witness.get_range(key, f"{SIZE - 3}-{SIZE + 9}", standard=True) == DATA[-3:]


Choose = Callable[[Head, datetime], Conditions]
HOUR = timedelta(hours=1)
OTHER = etag_of(b"other bytes")
HOLD: dict[str, Choose] = {
    "match": lambda head, _: Conditions(if_match=head.etag),
    "none-match": lambda *_: Conditions(if_none_match=OTHER),
    "modified-since": lambda _, modified: Conditions(if_modified_since=modified - HOUR),
    "unmodified-since": lambda _, modified: Conditions(if_unmodified_since=modified),
    "two": lambda head, modified: Conditions(head.etag, "", modified - HOUR, modified),
}
FAIL: dict[str, tuple[int, str | None, Choose]] = {
    "match": (412, "PreconditionFailed", lambda *_: Conditions(if_match=OTHER)),
    "none-match": (304, None, lambda head, _: Conditions(if_none_match=head.etag)),
    "modified-since": (304, None, lambda _, modified: Conditions(if_modified_since=modified)),
    "unmodified-since": (
        412,
        "PreconditionFailed",
        lambda _, modified: Conditions(if_unmodified_since=modified - HOUR),
    ),
    "one-of-two": (
        412,
        "PreconditionFailed",
        lambda head, modified: Conditions(head.etag, if_unmodified_since=modified - HOUR),
    ),
}


def _chosen(witness: Witness, key: str, choose: Choose) -> Conditions:
    found = witness.head(key)
    return choose(found, parsedate_to_datetime(found.headers["last-modified"]).astimezone(UTC))


@pytest.mark.parametrize("choose", HOLD.values(), ids=HOLD)
def test_read_under_a_condition_that_holds(witness: Witness, key: str, choose: Choose) -> None:
    witness.put(key, DATA)
    assert witness.get(key, _chosen(witness, key, choose)) == DATA


@pytest.mark.parametrize(("status", "code", "choose"), FAIL.values(), ids=FAIL)
def test_read_under_a_condition_that_does_not_hold(
    witness: Witness, key: str, status: int, code: str | None, choose: Choose
) -> None:
    witness.put(key, DATA)
    with refused(witness, status, code):
        witness.get(key, _chosen(witness, key, choose))


def test_deleted_object_is_gone_and_may_be_deleted_again(witness: Witness, key: str) -> None:
    witness.put(key, DATA)
    witness.delete(key)
    with refused(witness, 404, "NoSuchKey"):
        witness.get(key)
    with refused(witness, 404, "NoSuchKey"):
        witness.head(key)
    witness.delete(key)
