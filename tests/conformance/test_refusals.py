"""What the server refuses, and that every witness reads the reason."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import md5

import pytest

from resumable import Credentials
from tests.conformance.places import Place
from tests.conformance.witness import (
    Connect,
    Part,
    UploadsQuery,
    Witness,
    as_listed,
    etag_of,
    refused,
)
from tests.support import PART, random_bytes

DATA = random_bytes(PART, 5)
WRONG_MD5 = b64encode(md5(b"other bytes").digest()).decode()
UNKNOWN = "0" * 32


def test_upload_nobody_began_is_unknown(witness: Witness, key: str) -> None:
    witness.put(key, b"so that the bucket is there")
    with refused(witness, 404, "NoSuchUpload"):
        witness.list_parts(key, UNKNOWN)
    with refused(witness, 404, "NoSuchUpload"):
        witness.upload_part(key, UNKNOWN, 1, DATA)
    with refused(witness, 404, "NoSuchUpload"):
        witness.abort(key, UNKNOWN)
    with refused(witness, 404, "NoSuchUpload"):
        witness.complete(key, UNKNOWN, [Part(1, PART, etag_of(DATA), None)])
    with refused(witness, 404, "NoSuchUpload"):
        witness.complete(key, UNKNOWN, None)


def test_upload_of_another_key_is_unknown(witness: Witness, place: Place, key: str) -> None:
    upload_id = witness.init(key)
    with refused(witness, 404, "NoSuchUpload"):
        witness.list_parts(place.key("another"), upload_id)
    with refused(witness, 404, "NoSuchUpload"):
        witness.abort(place.key("another"), upload_id)
    assert witness.list_parts(key, upload_id).parts == ()


def test_object_nobody_put_is_unknown(witness: Witness, place: Place, key: str) -> None:
    witness.put(key, b"so that the bucket is there")
    with refused(witness, 404, "NoSuchKey"):
        witness.get(place.key("another"))
    with refused(witness, 404, "NoSuchKey"):
        witness.head(place.key("another"))


def _missing(sent: list[Part]) -> list[Part]:
    return [*sent, replace(sent[-1], number=3)]


def _altered(sent: list[Part]) -> list[Part]:
    return [sent[0], replace(sent[1], etag=etag_of(b"other bytes"))]


@pytest.mark.parametrize("claim", [_missing, _altered], ids=["never-sent", "another-etag"])
def test_part_that_is_not_there_cannot_be_completed(
    witness: Witness, key: str, claim: Callable[[list[Part]], list[Part]]
) -> None:
    upload_id = witness.init(key)
    sent = [witness.upload_part(key, upload_id, number, DATA) for number in (1, 2)]
    with refused(witness, 400, "InvalidPart"):
        witness.complete(key, upload_id, claim(sent))
    assert witness.list_parts(key, upload_id).parts == as_listed(witness, sent)
    witness.complete(key, upload_id, sent)
    assert witness.get(key) == DATA + DATA


@pytest.mark.parametrize("named", [True, False], ids=["named", "all"])
def test_small_part_must_be_the_last(witness: Witness, key: str, named: bool) -> None:
    upload_id = witness.init(key)
    small = witness.upload_part(key, upload_id, 1, DATA[:-1])
    large = witness.upload_part(key, upload_id, 2, DATA)
    with refused(witness, 400, "EntityTooSmall"):
        witness.complete(key, upload_id, [small, large] if named else None)
    witness.complete(key, upload_id, [small])
    assert witness.get(key) == DATA[:-1]


def test_damaged_part_is_not_stored(witness: Witness, key: str) -> None:
    upload_id = witness.init(key)
    with refused(witness, 400, "InvalidDigest"):
        witness.upload_part(key, upload_id, 1, DATA, content_md5=WRONG_MD5)
    assert witness.list_parts(key, upload_id).parts == ()


def test_damaged_object_is_not_stored(witness: Witness, key: str) -> None:
    witness.put(key, b"old")
    with refused(witness, 400, "InvalidDigest"):
        witness.put(key, DATA, content_md5=WRONG_MD5)
    assert witness.get(key) == b"old"


def test_right_digest_is_accepted(witness: Witness, key: str) -> None:
    right = b64encode(md5(DATA).digest()).decode()
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, DATA, content_md5=right)
    assert part.etag == etag_of(DATA)
    assert witness.put(key, DATA, content_md5=right).etag == etag_of(DATA)


def _wrong_secret(credentials: Credentials) -> Credentials:
    return replace(credentials, access_key_secret="wrong")


def _unknown_key_id(_: Credentials) -> Credentials:
    return Credentials("nobody", "knows")


@pytest.mark.parametrize(
    ("altered", "code"),
    [(_wrong_secret, "SignatureDoesNotMatch"), (_unknown_key_id, "InvalidAccessKeyId")],
    ids=["wrong-secret", "unknown-key-id"],
)
def test_stranger_is_kept_out(
    connect: Connect,
    place: Place,
    key: str,
    altered: Callable[[Credentials], Credentials],
    code: str,
) -> None:
    owner, stranger = connect(place.credentials), connect(altered(place.credentials))
    owner.put(key, DATA)
    upload_id = owner.init(key)
    part = owner.upload_part(key, upload_id, 1, DATA)
    calls: list[Callable[[], object]] = [
        lambda: stranger.put(key, b"stolen"),
        lambda: stranger.init(key),
        lambda: stranger.upload_part(key, upload_id, 1, b"stolen"),
        lambda: stranger.upload_part_copy(key, upload_id, 1, key),
        lambda: stranger.list_parts(key, upload_id),
        lambda: stranger.list_uploads(UploadsQuery(place.prefix)),
        lambda: stranger.complete(key, upload_id, [part]),
        lambda: stranger.abort(key, upload_id),
        lambda: stranger.get(key),
        lambda: stranger.head(key),
        lambda: stranger.delete(key),
    ]
    for call in calls:
        with refused(stranger, 403, code):
            call()
    assert owner.get(key) == DATA
    assert owner.list_parts(key, upload_id).parts == as_listed(owner, [part])
