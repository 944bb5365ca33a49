"""The key zoo: a key is the same to every client, on the wire and in the server."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from resumable import Bucket
from tests.conformance.places import Place
from tests.conformance.witness import Sdk, Upload, UploadsQuery, Witness, refused, skip_if
from tests.support import content

FIXTURE = Path(__file__).parents[2] / "fixtures" / "keys" / "keys.json"
ZOO: Mapping[str, str] = {
    name.replace(" ", "-"): row["key"]
    for name, row in json.loads(FIXTURE.read_text(encoding="utf-8")).items()
} | {
    "leading-dot": ".hidden",
    "percent-and-no-digits": "a%252Fb%zz",
    "trailing-dots": "a/..",
    "line-separator": "a\u2028b",
    "noncharacter": "a\ufffe",
}
zoo = pytest.mark.parametrize("text", ZOO.values(), ids=ZOO)


@zoo
def test_key_of_a_multipart_upload_is_the_same_to_all(
    witness: Witness, place: Place, bucket: Bucket, text: str
) -> None:
    key = place.key(text)
    skip_if(witness.cannot_send(key))
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, b"part")
    assert bucket.list_parts(key, upload_id).parts[0].etag == part.etag
    assert len(witness.list_parts(key, upload_id).parts) == 1
    witness.complete(key, upload_id, [part])
    assert content(bucket, key) == b"part"
    witness.abort(key, bucket.init_multipart_upload(key).upload_id)
    place.assert_saw_only({key})


@zoo
def test_key_of_an_object_is_the_same_to_all(
    witness: Witness, place: Place, bucket: Bucket, text: str
) -> None:
    key = place.key(text)
    skip_if(witness.cannot_send(key))
    witness.put(key, b"theirs")
    assert content(bucket, key) == b"theirs"
    bucket.put_object(key, b"ours")
    assert witness.get(key) == b"ours"
    assert witness.get_range(key, "1-2") == b"ur"
    witness.delete(key)
    with refused(witness, 404, "NoSuchKey"):
        witness.head(key)
    place.assert_saw_only({key})


@zoo
def test_key_is_listed_as_it_was_begun(
    witness: Witness, place: Place, bucket: Bucket, text: str
) -> None:
    key, last = place.key(text), place.key("\U0010ffff")
    begun = Upload(key, bucket.init_multipart_upload(key).upload_id)
    other = Upload(last, bucket.init_multipart_upload(last).upload_id)
    all_of_them = UploadsQuery(place.prefix)
    assert witness.list_uploads(UploadsQuery(prefix=key)).uploads == (begun,)
    assert witness.list_uploads(all_of_them).uploads == (begun, other)
    after = UploadsQuery(place.prefix, key_marker=key, upload_id_marker=begun.upload_id)
    assert witness.list_uploads(after).uploads == (other,)
    page = witness.list_uploads(UploadsQuery(place.prefix, limit=1))
    assert (page.next_key_marker, page.next_upload_id_marker) == (key, begun.upload_id)


@pytest.mark.parametrize("text", ["a" * 1024, "长" * 342], ids=["ascii", "Chinese"])
def test_key_that_is_too_long_is_refused_by_the_server(sdk: Sdk, place: Place, text: str) -> None:
    with refused(sdk, 400, "InvalidObjectName"):
        sdk.put((place.prefix + text)[:1024], b"data")
