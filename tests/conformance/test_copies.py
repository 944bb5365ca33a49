"""UploadPartCopy: parts the server makes of an object it has."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from resumable.core.integrity import crc64
from tests.conformance.places import Place
from tests.conformance.witness import (
    Conditions,
    Head,
    Witness,
    as_listed,
    etag_of,
    part_of,
    refused,
    skip_if,
)
from tests.support import PART, random_bytes

SOURCE = random_bytes(3 * PART + 500, 7)
SIZE = len(SOURCE)
OTHER = etag_of(b"other bytes")


@pytest.fixture
def source(witness: Witness, place: Place) -> str:
    """The key of an object to copy from."""
    key = place.key("source/of a copy+中文%2F🎉?.bin")
    witness.put(key, SOURCE)
    return key


def test_whole_object_becomes_a_part(witness: Witness, key: str, source: str) -> None:
    upload_id = witness.init(key)
    assert witness.upload_part_copy(key, upload_id, 3, source) == etag_of(SOURCE)
    expected = [part_of(3, SOURCE)]
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, expected)
    assert witness.complete(key, upload_id, expected).crc64 == crc64(SOURCE)
    assert witness.get(key) == SOURCE
    assert witness.get(source) == SOURCE


def test_object_is_put_together_of_copies_and_parts(
    witness: Witness, key: str, source: str
) -> None:
    ranges = {1: (PART, 2 * PART - 1), 3: (0, PART - 1), 4: (SIZE - 500, SIZE - 1)}
    upload_id = witness.init(key)
    sent = {2: witness.upload_part(key, upload_id, 2, SOURCE[: PART + 7])}
    for number, (first, last) in ranges.items():
        data = SOURCE[first : last + 1]
        etag = witness.upload_part_copy(key, upload_id, number, source, byte_range=(first, last))
        assert etag == etag_of(data)
        sent[number] = part_of(number, data)
    whole = SOURCE[PART : 2 * PART] + SOURCE[: PART + 7] + SOURCE[:PART] + SOURCE[-500:]
    made = witness.complete(key, upload_id, [sent[number] for number in sorted(sent)])
    assert made.crc64 == crc64(whole)
    assert witness.get(key) == whole


def test_copy_replaces_a_part_and_is_replaced(witness: Witness, key: str, source: str) -> None:
    upload_id = witness.init(key)
    witness.upload_part(key, upload_id, 1, b"replaced")
    witness.upload_part_copy(key, upload_id, 1, source)
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, [part_of(1, SOURCE)])
    fresh = witness.upload_part(key, upload_id, 1, b"replaced again")
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, [fresh])


def test_source_of_parts_is_copied_across_them(witness: Witness, place: Place, key: str) -> None:
    made_of_parts = place.key("made of parts")
    upload_id = witness.init(made_of_parts)
    parts = [witness.upload_part(made_of_parts, upload_id, number, SOURCE) for number in (1, 2)]
    witness.complete(made_of_parts, upload_id, parts)
    upload_id = witness.init(key)
    across = (SIZE - 3, SIZE + 2)
    etag = witness.upload_part_copy(key, upload_id, 1, made_of_parts, byte_range=across)
    assert etag == etag_of(SOURCE[-3:] + SOURCE[:3])


Choose = Callable[[Head, datetime], Conditions]
HOUR = timedelta(hours=1)
HOLD: dict[str, Choose] = {
    "match": lambda head, _: Conditions(if_match=head.etag),
    "none-match": lambda *_: Conditions(if_none_match=OTHER),
    "modified-since": lambda _, modified: Conditions(if_modified_since=modified - HOUR),
    "unmodified-since": lambda _, modified: Conditions(if_unmodified_since=modified),
    "both": lambda head, modified: Conditions(
        if_match=head.etag, if_unmodified_since=modified + HOUR
    ),
}
FAIL: dict[str, tuple[Choose, set[int]]] = {
    "match": (lambda *_: Conditions(if_match=OTHER), {412}),
    "none-match": (lambda head, _: Conditions(if_none_match=head.etag), {304, 412}),
    "modified-since": (
        lambda _, modified: Conditions(if_modified_since=modified),
        {304, 412},
    ),
    "unmodified-since": (
        lambda _, modified: Conditions(if_unmodified_since=modified - HOUR),
        {412},
    ),
    "one-of-two": (
        lambda head, modified: Conditions(if_match=head.etag, if_unmodified_since=modified - HOUR),
        {412},
    ),
}


def _chosen(witness: Witness, source: str, choose: Choose) -> Conditions:
    found = witness.head(source)
    return choose(found, parsedate_to_datetime(found.headers["last-modified"]).astimezone(UTC))


@pytest.mark.parametrize("choose", HOLD.values(), ids=HOLD)
def test_copy_under_a_condition_that_holds(
    witness: Witness, key: str, source: str, choose: Choose
) -> None:
    upload_id = witness.init(key)
    conditions = _chosen(witness, source, choose)
    etag = witness.upload_part_copy(key, upload_id, 1, source, conditions=conditions)
    assert etag == etag_of(SOURCE)


@pytest.mark.parametrize(("choose", "statuses"), FAIL.values(), ids=FAIL)
def test_copy_under_a_condition_that_does_not_hold(
    witness: Witness, key: str, source: str, choose: Choose, statuses: set[int]
) -> None:
    upload_id = witness.init(key)
    kept = witness.upload_part(key, upload_id, 1, b"kept")
    with pytest.raises(witness.errors) as caught:
        witness.upload_part_copy(
            key, upload_id, 1, source, conditions=_chosen(witness, source, choose)
        )
    # The documents of OSS have both for what was not modified.
    assert witness.answered(caught.value)[0] in statuses
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, [kept])


def test_range_outside_the_source_is_refused(witness: Witness, key: str, source: str) -> None:
    upload_id = witness.init(key)
    with pytest.raises(witness.errors) as caught:
        witness.upload_part_copy(key, upload_id, 1, source, byte_range=(SIZE, SIZE + 9))
    assert witness.answered(caught.value)[1] == "InvalidRange"
    assert witness.list_parts(key, upload_id).parts == ()


def test_copy_of_nothing_is_refused(witness: Witness, place: Place, key: str) -> None:
    upload_id = witness.init(key)
    with refused(witness, 404, "NoSuchKey"):
        witness.upload_part_copy(key, upload_id, 1, place.key("nobody put this"))


def test_copy_into_an_unknown_upload_is_refused(witness: Witness, key: str, source: str) -> None:
    with refused(witness, 404, "NoSuchUpload"):
        witness.upload_part_copy(key, "0" * 32, 1, source)


SOURCES = [
    ".hidden",
    "a b",
    "a+b",
    "a%2Fb",
    "a&b=c",
    "a?b#c",
    "a//b",
    "目录/文件",
    "🎉",
    "长" * 341,
]


@pytest.mark.parametrize("text", SOURCES, ids=ascii)
def test_source_is_any_key(witness: Witness, place: Place, key: str, text: str) -> None:
    source = place.key(text)
    skip_if(witness.cannot_send(source))
    witness.put(source, b"this one")
    upload_id = witness.init(key)
    assert witness.upload_part_copy(key, upload_id, 1, source) == etag_of(b"this one")
