"""Whether the object under a key is the one that an upload makes, row by row."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.core.recognition import (
    BUCKET_DEFAULTS,
    ExpectedObject,
    ObjectFacts,
    is_our_object,
    is_whole_of,
)

BEGUN = 1_700_000_000
THERE = ObjectFacts(
    10,
    "5D41402ABC4B2A76B9719D911017C592-3",
    7,
    BEGUN + 5.0,
    {
        "ETag": "not compared here",
        "Content-Type": "text/plain",
        "x-oss-meta-a": "1",
        "x-oss-storage-class": "Standard",
        "x-oss-object-type": "Multipart",
    },
)
ASKED = {"content-type": "text/plain", "X-Oss-Meta-A": "1"}
EXPECTED = ExpectedObject(10, 7, None, 3, BEGUN, ASKED)


def there(**changes: Any) -> ObjectFacts:  # noqa: ANN401 - of several types
    return replace(THERE, **changes)


def showing(**headers: str) -> ObjectFacts:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return there(headers={**THERE.headers, **named})


def asking(**headers: str) -> ExpectedObject:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(EXPECTED, headers={**ASKED, **named})


OBJECTS: Mapping[str, tuple[ObjectFacts | None, ExpectedObject, bool]] = {
    "all as asked for": (THERE, EXPECTED, True),
    "there is none": (None, EXPECTED, False),
    # bytes
    "another size": (there(size=11), EXPECTED, False),
    "another CRC-64": (there(crc64=8), EXPECTED, False),
    "CRC-64 of zero": (there(crc64=0), EXPECTED, False),
    "CRC-64 of zero is the file's": (there(crc64=0), replace(EXPECTED, crc64=0), True),
    "no CRC-64, and no MD5s known": (there(crc64=None), EXPECTED, False),
    "no CRC-64, the ETag is that of the MD5s": (
        there(crc64=None), replace(EXPECTED, md5_etag=THERE.etag.lower()), True,
    ),
    "no CRC-64, the ETag is another": (
        there(crc64=None), replace(EXPECTED, md5_etag="0" * 32 + "-3"), False,
    ),
    "CRC-64 differs, whatever the ETag is": (
        there(crc64=8), replace(EXPECTED, md5_etag=THERE.etag), False,
    ),
    # time
    "as old as the upload": (there(last_modified=float(BEGUN)), EXPECTED, True),
    "older than the upload": (there(last_modified=BEGUN - 1.0), EXPECTED, False),
    "of an age that is not shown": (there(last_modified=None), EXPECTED, False),
    # making
    "of other parts": (there(etag="E-2"), EXPECTED, False),
    "ETag without a number of parts": (there(etag="E"), EXPECTED, True),
    "ETag without the number that must tell": (
        there(etag="E"), replace(EXPECTED, needs_part_count=True), False,
    ),
    "number of parts that must tell": (THERE, replace(EXPECTED, needs_part_count=True), True),
    "made by PutObject": (showing(x_oss_object_type="Normal"), EXPECTED, False),
    "appendable": (showing(x_oss_object_type="Appendable"), EXPECTED, False),
    "PutObject was asked for": (
        there(etag="E", headers={**THERE.headers, "x-oss-object-type": "Normal"}),
        replace(EXPECTED, parts=None), True,
    ),
    "PutObject was asked for, and it is of parts": (THERE, replace(EXPECTED, parts=None), False),
    # attributes asked for
    "another content type": (showing(**{"Content-Type": "text/html"}), EXPECTED, False),
    "content type in other case": (showing(**{"Content-Type": "Text/Plain"}), EXPECTED, False),
    "older metadata": (THERE, asking(**{"X-Oss-Meta-A": "2"}), False),
    "metadata missing": (THERE, asking(x_oss_meta_b="1"), False),
    "cache control missing": (THERE, asking(cache_control="no-cache"), False),
    "disposition missing": (THERE, asking(content_disposition="inline"), False),
    "encoding missing": (THERE, asking(content_encoding="gzip"), False),
    "language missing": (THERE, asking(content_language="de"), False),
    "expiry missing": (THERE, asking(expires="0"), False),
    "another storage class": (THERE, asking(x_oss_storage_class="IA"), False),
    "the usual storage class": (THERE, asking(x_oss_storage_class="Standard"), True),
    "not encrypted": (THERE, asking(x_oss_server_side_encryption="AES256"), False),
    "another key": (THERE, asking(x_oss_server_side_encryption_key_id="1"), False),
    "key that the bucket has chosen": (
        showing(x_oss_server_side_encryption="KMS", x_oss_server_side_encryption_key_id="1"),
        asking(x_oss_server_side_encryption="KMS"), True,
    ),
    "headers that HEAD does not show": (
        THERE, asking(x_oss_object_acl="private", x_oss_forbid_overwrite="true"), True,
    ),
    "tags missing": (THERE, asking(x_oss_tagging="a=b"), False),
    "fewer tags": (showing(x_oss_tagging_count="1"), asking(x_oss_tagging="a=b&c="), False),
    "as many tags": (showing(x_oss_tagging_count="2"), asking(x_oss_tagging="a=b&c="), True),
    "count of tags that is none": (showing(x_oss_tagging_count="x"), EXPECTED, False),
    # attributes that nobody asked for
    "metadata unasked": (showing(x_oss_meta_draft="1"), EXPECTED, False),
    "cache control unasked": (showing(cache_control="no-cache"), EXPECTED, False),
    "disposition unasked": (showing(content_disposition="inline"), EXPECTED, False),
    "encoding unasked": (showing(content_encoding="gzip"), EXPECTED, False),
    "language unasked": (showing(content_language="de"), EXPECTED, False),
    "expiry unasked": (showing(expires="0"), EXPECTED, False),
    "tags unasked": (showing(x_oss_tagging_count="2"), EXPECTED, False),
    "no tags": (showing(x_oss_tagging_count="0"), asking(x_oss_tagging=""), True),
    "storage class unasked": (showing(x_oss_storage_class="IA"), EXPECTED, False),
    "encryption unasked": (showing(x_oss_server_side_encryption="AES256"), EXPECTED, False),
    "encryption of the bucket": (
        showing(x_oss_server_side_encryption="AES256"),
        replace(EXPECTED, unasked=BUCKET_DEFAULTS), True,
    ),
    "storage class of the bucket": (
        showing(x_oss_storage_class="IA"), replace(EXPECTED, unasked=BUCKET_DEFAULTS), True,
    ),
    "metadata is none of the bucket's": (
        showing(x_oss_meta_draft="1"), replace(EXPECTED, unasked=BUCKET_DEFAULTS), False,
    ),
    "what it was begun with is not known": (
        showing(x_oss_meta_draft="1"), replace(EXPECTED, headers=None), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("head", "expected", "ours"), OBJECTS.values(), ids=OBJECTS)
def test_object_is_ours(head: ObjectFacts | None, expected: ExpectedObject, ours: bool) -> None:
    assert is_our_object(head, expected) is ours


@given(st.integers(0, 3), st.none() | st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_object_of_other_bytes_is_never_ours(
    size: int, crc64: int | None, local_size: int, local_crc64: int
) -> None:
    head = ObjectFacts(size, "E", crc64, BEGUN, {})
    expected = ExpectedObject(local_size, local_crc64, None, 1, BEGUN, {})
    assert is_our_object(head, expected) is ((size, crc64) == (local_size, local_crc64))


ATTRIBUTES = {
    "cache-control": "a", "content-disposition": "b", "content-encoding": "c", "expires": "d",
    "content-language": "e", "content-type": "f", "x-oss-meta-x": "g", "x-oss-storage-class": "IA",
    "x-oss-server-side-encryption": "AES256",
}  # fmt: skip


def test_only_the_attributes_that_were_asked_for_are_right() -> None:
    """Of every two sets of up to two attributes."""
    sets = [dict(some) for n in range(3) for some in combinations(ATTRIBUTES.items(), n)]
    for shown in sets:
        for asked in sets:
            head = there(headers=shown)
            ours = is_our_object(head, replace(EXPECTED, headers=asked))
            assert ours is (shown == asked), (shown, asked)


@pytest.mark.parametrize(
    ("head", "whole"),
    [
        (there(crc64=None), True),
        (there(crc64=None, size=9), False),
        (there(crc64=None, etag="E-2"), False),
        (there(crc64=None, etag="E"), True),
        (there(crc64=None, headers={"x-oss-object-type": "Normal"}), False),
    ],
)
def test_object_without_a_crc_is_known_by_its_size_and_its_parts(
    head: ObjectFacts, whole: bool
) -> None:
    assert is_whole_of(head, 10, 3) is whole
