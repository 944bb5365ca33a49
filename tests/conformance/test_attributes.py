"""What is said of an object when it is begun or put, and that the object has it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from resumable.server import LocalServer
from tests.conformance.witness import Attributes, Sdk, Witness, refused, skip_if

DATA = b"content"
ALL = Attributes(
    content_type="text/x-example; charset=utf-8",
    cache_control="no-cache, max-age=0",
    content_disposition='attachment; filename="example file.txt"',
    content_encoding="gzip",
    expires="Thu, 01 Dec 2039 16:00:00 GMT",
    metadata={"owner": "somebody", "two-words": "a  b", "signs": "~!@#$%^&*()_+=:;,.?/|'\""},
    tags={"owner": "some body", "a+b": "c=d/e:f_g.h-i"},
    storage_class="IA",
    encryption="AES256",
)
SHOWN = {
    "content-type": ALL.content_type,
    "cache-control": ALL.cache_control,
    "content-disposition": ALL.content_disposition,
    "content-encoding": ALL.content_encoding,
    "expires": ALL.expires,
    "x-oss-meta-owner": "somebody",
    "x-oss-meta-two-words": "a  b",
    "x-oss-meta-signs": ALL.metadata["signs"],
    "x-oss-storage-class": "IA",
    "x-oss-server-side-encryption": "AES256",
}

Make = Callable[[Witness, str, Attributes], None]


def _by_parts(witness: Witness, key: str, attributes: Attributes) -> None:
    upload_id = witness.init(key, attributes)
    witness.complete(key, upload_id, [witness.upload_part(key, upload_id, 1, DATA)])


def _by_put(witness: Witness, key: str, attributes: Attributes) -> None:
    witness.put(key, DATA, attributes=attributes)


both_ways = pytest.mark.parametrize("make", [_by_parts, _by_put], ids=["parts", "put"])


@both_ways
def test_object_is_what_was_said_of_it(witness: Witness, reader: Sdk, key: str, make: Make) -> None:
    make(witness, key, ALL)
    found = witness.head(key).headers
    assert {name: found.get(name) for name in SHOWN} == SHOWN
    assert reader.tags(key) == ALL.tags


@both_ways
def test_object_of_which_nothing_was_said_is_a_plain_one(
    witness: Witness, reader: Sdk, key: str, make: Make
) -> None:
    make(witness, key, Attributes())
    found = witness.head(key).headers
    assert not {name for name in found if name.startswith(("x-oss-meta-", "x-oss-server-side-"))}
    assert not {"cache-control", "content-disposition", "content-encoding", "expires"} & set(found)
    assert reader.tags(key) == {}


def test_new_upload_of_a_key_inherits_nothing(witness: Witness, reader: Sdk, key: str) -> None:
    _by_parts(witness, key, ALL)
    _by_parts(witness, key, Attributes(content_type="text/plain"))
    found = witness.head(key).headers
    assert found["content-type"] == "text/plain"
    assert not set(SHOWN) & set(found) - {"content-type", "x-oss-storage-class"}
    assert found.get("x-oss-storage-class", "Standard") != "IA"
    assert reader.tags(key) == {}


METADATA = {
    "Chinese": "中文 元数据",
    "emoji": "🎉 👩‍👩‍👧",
    "Latin-1": "café",
    "composed-and-decomposed": "\u00e9 e\u0301",
    "right-to-left": "\u05d0\u05d1\u05d2",
    "line-separator": "a\u2028b",
    "percent-encoded": "%E4%B8%AD",
}


@both_ways
@pytest.mark.parametrize("value", METADATA.values(), ids=METADATA)
def test_metadata_is_any_text(
    witness: Witness, reader: Sdk, key: str, make: Make, value: str
) -> None:
    skip_if(witness.cannot_send_metadata(value))
    make(witness, key, Attributes(metadata={"text": value}))
    assert witness.head(key).headers["x-oss-meta-text"] == value
    assert reader.head(key).headers["x-oss-meta-text"] == value


def test_metadata_another_client_wrote_is_read(witness: Witness, reader: Sdk, key: str) -> None:
    reader.put(key, DATA, attributes=Attributes(metadata={"text": "中文 🎉"}))
    assert witness.head(key).headers["x-oss-meta-text"] == "中文 🎉"


ENCRYPTIONS = {
    "KMS": Attributes(encryption="KMS"),
    "KMS-with-a-key": Attributes(
        encryption="KMS", encryption_key_id="9468da86-3509-4f8d-a61e-6eab1eac"
    ),
    "KMS-by-SM4": Attributes(encryption="KMS", data_encryption="SM4"),
    "SM4": Attributes(encryption="SM4"),
}


@both_ways
@pytest.mark.parametrize("attributes", ENCRYPTIONS.values(), ids=ENCRYPTIONS)
def test_encryption_is_the_object_s(
    witness: Witness, server: LocalServer, key: str, make: Make, attributes: Attributes
) -> None:
    """Only locally: a real bucket needs a key at KMS for it."""
    make(witness, key, attributes)
    found = witness.head(key).headers
    said = attributes.headers()
    assert {name: found.get(name) for name in said} == said


def test_who_pays_is_said(witness: Witness, server: LocalServer, key: str) -> None:
    upload_id = witness.init(key, Attributes(request_payer="requester"))
    assert server.log[-1].headers["x-oss-request-payer"] == "requester"
    assert witness.list_parts(key, upload_id).parts == ()


@both_ways
def test_overwriting_can_be_forbidden_from_the_beginning(
    witness: Witness, key: str, make: Make
) -> None:
    forbidding = replace(ALL, forbid_overwrite=True)
    make(witness, key, forbidding)
    with refused(witness, 409, "FileAlreadyExists"):
        make(witness, key, forbidding)
    assert witness.head(key).headers["x-oss-meta-owner"] == "somebody"
