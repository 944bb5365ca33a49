"""What the server refuses, and that every witness reads the reason."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import md5

import pytest

from resumable import Credentials
from tests.conformance.witness import Part, Witness, etag_of, refused
from tests.support import CREDENTIALS, PART, random_bytes

KEY = "exampledir/exampleobject.bin"
DATA = random_bytes(PART, 5)
WRONG_MD5 = b64encode(md5(b"other bytes").digest()).decode()


def test_upload_nobody_began_is_unknown(witness: Witness) -> None:
    witness.put(KEY, b"so that the bucket is there")
    unknown = "0" * 32
    with refused(witness, 404, "NoSuchUpload"):
        witness.list_parts(KEY, unknown)
    with refused(witness, 404, "NoSuchUpload"):
        witness.upload_part(KEY, unknown, 1, DATA)


def test_upload_of_another_key_is_unknown(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    with refused(witness, 404, "NoSuchUpload"):
        witness.list_parts("another", upload_id)


def test_object_nobody_put_is_unknown(witness: Witness) -> None:
    witness.put(KEY, b"so that the bucket is there")
    with refused(witness, 404, "NoSuchKey"):
        witness.get("another")
    with refused(witness, 404, "NoSuchKey"):
        witness.head("another")


def _missing(sent: list[Part]) -> list[Part]:
    return [*sent, replace(sent[-1], number=3)]


def _altered(sent: list[Part]) -> list[Part]:
    return [sent[0], replace(sent[1], etag=etag_of(b"other bytes"))]


@pytest.mark.parametrize("claim", [_missing, _altered], ids=["never-sent", "another-etag"])
def test_part_that_is_not_there_cannot_be_completed(
    witness: Witness, claim: Callable[[list[Part]], list[Part]]
) -> None:
    upload_id = witness.init(KEY)
    sent = [witness.upload_part(KEY, upload_id, number, DATA) for number in (1, 2)]
    with refused(witness, 400, "InvalidPart"):
        witness.complete(KEY, upload_id, claim(sent))
    witness.complete(KEY, upload_id, sent)
    assert witness.get(KEY) == DATA + DATA


def test_small_part_must_be_the_last(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    small = witness.upload_part(KEY, upload_id, 1, DATA[:-1])
    large = witness.upload_part(KEY, upload_id, 2, DATA)
    with refused(witness, 400, "EntityTooSmall"):
        witness.complete(KEY, upload_id, [small, large])
    witness.complete(KEY, upload_id, [small])
    assert witness.get(KEY) == DATA[:-1]


def test_damaged_part_is_not_stored(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    with refused(witness, 400, "InvalidDigest"):
        witness.upload_part(KEY, upload_id, 1, DATA, content_md5=WRONG_MD5)
    assert witness.list_parts(KEY, upload_id).parts == ()


def test_damaged_object_is_not_stored(witness: Witness) -> None:
    witness.put(KEY, b"old")
    with refused(witness, 400, "InvalidDigest"):
        witness.put(KEY, DATA, content_md5=WRONG_MD5)
    assert witness.get(KEY) == b"old"


def test_right_digest_is_accepted(witness: Witness) -> None:
    right = b64encode(md5(DATA).digest()).decode()
    upload_id = witness.init(KEY)
    part = witness.upload_part(KEY, upload_id, 1, DATA, content_md5=right)
    assert part.etag == etag_of(DATA)
    assert witness.put(KEY, DATA, content_md5=right).etag == etag_of(DATA)


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (replace(CREDENTIALS, access_key_secret="wrong"), "SignatureDoesNotMatch"),
        (replace(CREDENTIALS, access_key_id="nobody"), "InvalidAccessKeyId"),
    ],
    ids=["wrong-secret", "unknown-key-id"],
)
def test_stranger_is_kept_out(
    connect: Callable[[Credentials], Witness], credentials: Credentials, code: str
) -> None:
    owner, stranger = connect(CREDENTIALS), connect(credentials)
    owner.put(KEY, DATA)
    upload_id = owner.init(KEY)
    with refused(stranger, 403, code):
        stranger.put(KEY, b"stolen")
    with refused(stranger, 403, code):
        stranger.init(KEY)
    with refused(stranger, 403, code):
        stranger.upload_part(KEY, upload_id, 1, b"stolen")
    with refused(stranger, 403, code):
        stranger.get(KEY)
    with refused(stranger, 403, code):
        stranger.head(KEY)
    assert owner.get(KEY) == DATA
    assert owner.list_parts(KEY, upload_id).parts == ()
