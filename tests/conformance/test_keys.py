"""The key zoo: a key is the same to every client, on the wire and in the server."""

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.conformance.witness import Sdk, Upload, Witness, refused
from tests.support import content

ZOO = {
    "plain": "exampledir/exampleobject.bin",
    "space": "a b  c .bin",
    "space-at-both-ends": " a ",
    "plus": "a+b +c",
    "ampersand": "a&b&amp;c",
    "percent": "100%",
    "percent-2F": "a%2Fb",
    "percent-percent": "a%252Fb%zz",
    "hash": "a#b",
    "question-mark": "a?b=c&uploads",
    "semicolon-equals": "a;b=c,d:e@f$g!h*i(j)",
    "quotes-and-angles": '<a href="x">\'`|^{}[]~',
    "backslash": "a\\b",
    "Chinese": "目录/文件 名.bin",
    "emoji": "🎉/👩‍👩‍👧.bin",
    "composed-and-decomposed": "\u00e9/e\u0301",
    "leading-dot": ".hidden",
    "dot-segments": "a/../b",
    "one-dot-segment": "a/./b",
    "only-dots": "..",
    "double-slash": "a//b",
    "slash-at-the-end": "dir/",
    "1023-bytes": "a" * 1023,
    "1023-bytes-of-Chinese": "长" * 341,
}
zoo = pytest.mark.parametrize("key", ZOO.values(), ids=ZOO)


def _skip_if_impossible(witness: Witness, key: str) -> None:
    if reason := witness.cannot_send(key):
        pytest.skip(reason)


@zoo
def test_key_of_a_multipart_upload_is_the_same_to_all(
    witness: Witness, server: LocalServer, bucket: Bucket, key: str
) -> None:
    _skip_if_impossible(witness, key)
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, b"part")
    assert bucket.list_parts(key, upload_id).parts[0].etag == part.etag
    assert len(witness.list_parts(key, upload_id).parts) == 1
    witness.complete(key, upload_id, [part])
    assert content(bucket, key) == b"part"
    assert {exchange.key for exchange in server.log} == {key}


@zoo
def test_key_of_an_object_is_the_same_to_all(
    witness: Witness, server: LocalServer, bucket: Bucket, key: str
) -> None:
    _skip_if_impossible(witness, key)
    witness.put(key, b"theirs")
    assert content(bucket, key) == b"theirs"
    bucket.put_object(key, b"ours")
    assert witness.get(key) == b"ours"
    assert witness.get_range(key, "1-2") == b"ur"
    witness.delete(key)
    with refused(witness, 404, "NoSuchKey"):
        witness.head(key)
    assert {exchange.key for exchange in server.log} == {key}


@zoo
def test_key_is_listed_as_it_was_begun(sdk: Sdk, bucket: Bucket, key: str) -> None:
    begun = Upload(key, bucket.init_multipart_upload(key).upload_id)
    other = Upload("~", bucket.init_multipart_upload("~").upload_id)
    assert sdk.list_uploads(prefix=key) == ([begun], False)
    assert begun in sdk.list_uploads()[0]
    assert begun not in sdk.list_uploads(after=begun)[0]
    assert other in sdk.list_uploads()[0]


@pytest.mark.parametrize("key", ["a" * 1024, "长" * 342], ids=["ascii", "Chinese"])
def test_key_that_is_too_long_is_refused_by_the_server(sdk: Sdk, key: str) -> None:
    with refused(sdk, 400, "InvalidObjectName"):
        sdk.put(key, b"data")
