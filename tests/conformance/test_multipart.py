"""The life of a multipart upload, as every witness lives it."""

import random
from itertools import permutations

import pytest

from resumable.core.integrity import crc64
from resumable.server import LocalServer
from tests.conformance.places import Place
from tests.conformance.witness import (
    Upload,
    UploadsQuery,
    Witness,
    as_listed,
    pages_of_parts,
    part_of,
    refused,
)
from tests.support import PART, random_bytes

FIRST, SECOND, TAIL = random_bytes(PART, 1), random_bytes(PART + 1, 2), random_bytes(1_000, 3)
NUMBERED = {1: FIRST, 7: SECOND, 10_000: TAIL}


@pytest.mark.parametrize("order", list(permutations(NUMBERED)), ids=str)
def test_parts_sent_in_any_order_become_one_object(
    witness: Witness, key: str, order: tuple[int, ...]
) -> None:
    upload_id = witness.init(key)
    sent = {
        number: witness.upload_part(key, upload_id, number, NUMBERED[number]) for number in order
    }
    expected = [part_of(number, data) for number, data in NUMBERED.items()]
    assert [sent[number] for number in sorted(sent)] == expected
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, expected)
    made = witness.complete(key, upload_id, expected)
    whole = b"".join(NUMBERED.values())
    assert made.crc64 == crc64(whole)
    assert made.etag.endswith("-3")
    found = witness.head(key)
    assert (found.size, found.etag, found.crc64) == (len(whole), made.etag, made.crc64)
    assert found.headers["x-oss-object-type"] == "Multipart"
    assert witness.get(key) == whole


def test_parts_come_from_several_clients(
    witness: Witness, others: list[Witness], place: Place
) -> None:
    """Each client sends a part, in the order a draw says; any of them ends the upload."""
    key = place.key("from several clients")
    upload_id = witness.init(key)
    data = {number: random_bytes(PART, number) for number in range(1, len(others) + 1)}
    for number, other in random.Random(3).sample(list(enumerate(others, start=1)), len(others)):
        other.upload_part(key, upload_id, number, data[number])
    assert {len(other.list_parts(key, upload_id).parts) for other in others} == {len(others)}
    witness.complete(key, upload_id, [part_of(number, part) for number, part in data.items()])
    assert witness.get(key) == b"".join(data.values())


def test_part_sent_again_is_replaced(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    stale = witness.upload_part(key, upload_id, 1, FIRST)
    fresh = witness.upload_part(key, upload_id, 1, SECOND)
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, [fresh])
    with refused(witness, 400, "InvalidPart"):
        witness.complete(key, upload_id, [stale])
    witness.complete(key, upload_id, [fresh])
    assert witness.get(key) == SECOND


NUMBERS = (2, 3, 5, 8, 13)


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 1000])
def test_parts_are_listed_page_by_page(witness: Witness, key: str, limit: int) -> None:
    upload_id = witness.init(key)
    sent = [witness.upload_part(key, upload_id, number, TAIL) for number in NUMBERS]
    pages = list(pages_of_parts(witness, key, upload_id, limit))
    assert tuple(part for page in pages for part in page.parts) == as_listed(witness, sent)
    chunks = [NUMBERS[at : at + limit] for at in range(0, len(NUMBERS), limit)]
    assert [tuple(part.number for part in page.parts) for page in pages] == chunks
    assert [page.next_marker for page in pages] == [chunk[-1] for chunk in chunks]


def test_parts_are_listed_after_any_marker(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    for number in NUMBERS:
        witness.upload_part(key, upload_id, number, TAIL)
    for marker in (0, 1, 2, 3, 4, 12, 13, 14, 9_999, 10_000):
        page = witness.list_parts(key, upload_id, after=marker)
        assert tuple(part.number for part in page.parts) == tuple(
            number for number in NUMBERS if number > marker
        )
        assert not page.is_truncated


def test_upload_without_parts_lists_none(witness: Witness, key: str) -> None:
    page = witness.list_parts(key, witness.init(key))
    assert (page.parts, page.is_truncated) == ((), False)


def test_sequential_upload_is_an_upload_like_others(witness: Witness, key: str) -> None:
    upload_id = witness.init(key, sequential=True)
    parts = [witness.upload_part(key, upload_id, number, FIRST) for number in (1, 2)]
    witness.complete(key, upload_id, parts)
    assert witness.get(key) == FIRST + FIRST


def test_part_of_a_sequential_upload_must_not_come_late(witness: Witness, key: str) -> None:
    upload_id = witness.init(key, sequential=True)
    parts = [witness.upload_part(key, upload_id, number, FIRST) for number in (1, 5)]
    with refused(witness, 400, "PartNotSequential"):
        witness.upload_part(key, upload_id, 3, FIRST)
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, parts)


def test_part_with_a_traffic_limit_is_a_part_like_others(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, FIRST, traffic_limit=838_860_800)
    assert part == part_of(1, FIRST)


def test_traffic_limit_is_said(witness: Witness, server: LocalServer, key: str) -> None:
    upload_id = witness.init(key)
    witness.upload_part(key, upload_id, 1, FIRST, traffic_limit=819_200)
    assert server.log[-1].headers["x-oss-traffic-limit"] == "819200"


def test_upload_that_was_aborted_is_unknown(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, TAIL)
    witness.abort(key, upload_id)
    with refused(witness, 404, "NoSuchUpload"):
        witness.list_parts(key, upload_id)
    with refused(witness, 404, "NoSuchUpload"):
        witness.upload_part(key, upload_id, 2, TAIL)
    with refused(witness, 404, "NoSuchUpload"):
        witness.complete(key, upload_id, [part])
    with refused(witness, 404, "NoSuchUpload"):
        witness.abort(key, upload_id)
    with refused(witness, 404, "NoSuchKey"):
        witness.head(key)
    assert witness.list_uploads(UploadsQuery(prefix=key)).uploads == ()


def test_abort_spares_the_key_s_other_upload_and_its_object(witness: Witness, key: str) -> None:
    witness.put(key, b"object")
    given_up, other = (Upload(key, witness.init(key)) for _ in range(2))
    part = witness.upload_part(key, other.upload_id, 1, TAIL)
    witness.abort(key, given_up.upload_id)
    assert witness.list_uploads(UploadsQuery(prefix=key)).uploads == (other,)
    assert witness.get(key) == b"object"
    witness.complete(key, other.upload_id, [part])
    assert witness.get(key) == TAIL


def test_upload_that_was_completed_is_unknown(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, TAIL)
    witness.complete(key, upload_id, [part])
    with refused(witness, 404, "NoSuchUpload"):
        witness.complete(key, upload_id, [part])
    with refused(witness, 404, "NoSuchUpload"):
        witness.list_parts(key, upload_id)
    assert witness.list_uploads(UploadsQuery(prefix=key)).uploads == ()
    assert witness.get(key) == TAIL


def test_every_request_is_signed_with_the_version_asked_for(
    witness: Witness, server: LocalServer, key: str
) -> None:
    upload_id = witness.init(key)
    witness.list_parts(key, upload_id)
    witness.list_uploads(UploadsQuery(prefix=key))
    witness.complete(key, upload_id, [witness.upload_part(key, upload_id, 1, TAIL)])
    assert [(exchange.signature, exchange.status) for exchange in server.log] == [
        (witness.version, 200)
    ] * 5
