"""Whole objects: put, get, ranges, head, delete, as every witness sees them."""

import pytest

from resumable.core.integrity import crc64
from tests.conformance.witness import Witness, etag_of, refused
from tests.support import PART, random_bytes

KEY = "exampledir/exampleobject.bin"
DATA = random_bytes(PART, 4)
SIZE = len(DATA)


@pytest.mark.parametrize("data", [DATA, b"x", b""], ids=["100KB", "one-byte", "empty"])
def test_object_that_was_put_comes_back(witness: Witness, data: bytes) -> None:
    made = witness.put(KEY, data)
    assert (made.etag, made.crc64) == (etag_of(data), crc64(data))
    found = witness.head(KEY)
    assert (found.size, found.etag, found.crc64) == (len(data), made.etag, made.crc64)
    assert found.headers["x-oss-object-type"] == "Normal"
    assert witness.get(KEY) == data


def test_object_put_again_is_replaced(witness: Witness) -> None:
    witness.put(KEY, b"old")
    witness.put(KEY, DATA)
    assert witness.get(KEY) == DATA


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("0-0", DATA[:1]),
        ("0-99", DATA[:100]),
        (f"{SIZE - 1}-{SIZE - 1}", DATA[-1:]),
        (f"{SIZE - 5}-", DATA[-5:]),
        ("-5", DATA[-5:]),
        (f"0-{SIZE - 1}", DATA),
    ],
)
def test_range_is_what_was_asked_for(witness: Witness, wanted: str, expected: bytes) -> None:
    witness.put(KEY, DATA)
    assert witness.get_range(KEY, wanted) == expected
    assert witness.get_range(KEY, wanted, standard=True) == expected


def test_range_over_parts_is_joined(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    parts = [witness.upload_part(KEY, upload_id, number, DATA) for number in (1, 2, 3)]
    witness.complete(KEY, upload_id, parts)
    assert witness.get_range(KEY, f"{SIZE - 3}-{2 * SIZE + 2}") == DATA[-3:] + DATA + DATA[:3]


def test_range_behind_the_end_is_the_whole_object_unless_standard(witness: Witness) -> None:
    witness.put(KEY, DATA)
    behind = f"{SIZE}-{SIZE + 9}"
    assert witness.get_range(KEY, behind) == DATA
    with refused(witness, 416, "InvalidRange"):
        witness.get_range(KEY, behind, standard=True)


def test_deleted_object_is_gone_and_may_be_deleted_again(witness: Witness) -> None:
    witness.put(KEY, DATA)
    witness.delete(KEY)
    with refused(witness, 404, "NoSuchKey"):
        witness.get(KEY)
    with refused(witness, 404, "NoSuchKey"):
        witness.head(KEY)
    witness.delete(KEY)
