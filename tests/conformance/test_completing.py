"""Complete: of which parts, over which object, and for whom."""

import pytest

from resumable.core.integrity import crc64
from tests.conformance.witness import Sdk, Witness, as_listed, refused
from tests.support import PART, random_bytes

DATA = {number: random_bytes(PART, number) for number in (1, 2, 5)}


def test_some_of_the_parts_make_an_object(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    sent = {
        number: witness.upload_part(key, upload_id, number, data) for number, data in DATA.items()
    }
    made = witness.complete(key, upload_id, [sent[1], sent[5]])
    assert made.crc64 == crc64(DATA[1] + DATA[5])
    assert witness.get(key) == DATA[1] + DATA[5]


def test_all_parts_are_completed_unnamed(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    for number in reversed(DATA):
        witness.upload_part(key, upload_id, number, DATA[number])
    whole = b"".join(DATA.values())
    made = witness.complete(key, upload_id, None)
    assert (made.crc64, made.etag[-2:]) == (crc64(whole), "-3")
    assert witness.get(key) == whole


def test_upload_without_parts_cannot_be_completed(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    with pytest.raises(witness.errors) as caught:
        witness.complete(key, upload_id, None)
    assert witness.answered(caught.value)[0] == 400
    witness.upload_part(key, upload_id, 1, DATA[1])
    witness.complete(key, upload_id, None)
    assert witness.get(key) == DATA[1]


def test_parts_must_be_named_in_order(witness: Witness, key: str) -> None:
    """Most clients put them in order by themselves; the server insists on it."""
    upload_id = witness.init(key)
    parts = [witness.upload_part(key, upload_id, number, data) for number, data in DATA.items()]
    if not witness.sorts_parts:
        with refused(witness, 400, "InvalidPartOrder"):
            witness.complete(key, upload_id, parts[::-1])
        assert witness.list_parts(key, upload_id).parts == as_listed(witness, parts)
        parts.reverse()
    witness.complete(key, upload_id, parts[::-1])
    assert witness.get(key) == b"".join(DATA.values())


def test_complete_replaces_the_object(witness: Witness, key: str) -> None:
    witness.put(key, b"old")
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, DATA[1])
    assert witness.get(key) == b"old"
    witness.complete(key, upload_id, [part])
    assert witness.get(key) == DATA[1]


@pytest.mark.parametrize("named", [True, False], ids=["named", "all"])
def test_forbidden_overwrite_keeps_the_object_and_the_parts(
    witness: Witness, key: str, named: bool
) -> None:
    upload_id = witness.init(key)
    parts = [witness.upload_part(key, upload_id, number, data) for number, data in DATA.items()]
    witness.put(key, b"put meanwhile")
    with refused(witness, 409, "FileAlreadyExists"):
        witness.complete(key, upload_id, parts if named else None, forbid_overwrite=True)
    assert witness.get(key) == b"put meanwhile"
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, parts)
    witness.delete(key)
    witness.complete(key, upload_id, parts if named else None, forbid_overwrite=True)
    assert witness.get(key) == b"".join(DATA.values())


def test_acl_given_at_the_end_is_the_object_s(witness: Witness, reader: Sdk, key: str) -> None:
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, DATA[1])
    witness.complete(key, upload_id, [part], acl="private")
    assert reader.acl(key) == "private"
    upload_id = witness.init(key)
    witness.complete(key, upload_id, [witness.upload_part(key, upload_id, 1, DATA[1])])
    assert reader.acl(key) == "default"
