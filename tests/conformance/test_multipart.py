"""The life of a multipart upload, as every witness lives it."""

import pytest

from resumable.core.integrity import crc64
from resumable.server import LocalServer
from tests.conformance.witness import Sdk, Upload, Witness, as_listed, part_of, refused
from tests.support import PART, random_bytes

KEY = "exampledir/exampleobject.bin"
FIRST, SECOND, TAIL = random_bytes(PART, 1), random_bytes(PART + 1, 2), random_bytes(1_000, 3)


def test_parts_sent_out_of_order_become_one_object(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    sent = {
        number: witness.upload_part(KEY, upload_id, number, data)
        for number, data in ((10_000, TAIL), (1, FIRST), (7, SECOND))
    }
    expected = [part_of(1, FIRST), part_of(7, SECOND), part_of(10_000, TAIL)]
    assert [sent[number] for number in sorted(sent)] == expected
    assert witness.list_parts(KEY, upload_id).parts == as_listed(witness, expected)
    made = witness.complete(KEY, upload_id, expected)
    whole = FIRST + SECOND + TAIL
    assert made.crc64 == crc64(whole)
    assert made.etag.endswith("-3")
    found = witness.head(KEY)
    assert (found.size, found.etag, found.crc64) == (len(whole), made.etag, made.crc64)
    assert found.headers["x-oss-object-type"] == "Multipart"
    assert witness.get(KEY) == whole


def test_part_sent_again_is_replaced(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    stale = witness.upload_part(KEY, upload_id, 1, FIRST)
    fresh = witness.upload_part(KEY, upload_id, 1, SECOND)
    assert witness.list_parts(KEY, upload_id).parts == as_listed(witness, [fresh])
    with refused(witness, 400, "InvalidPart"):
        witness.complete(KEY, upload_id, [stale])
    witness.complete(KEY, upload_id, [fresh])
    assert witness.get(KEY) == SECOND


def test_parts_are_listed_page_by_page(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    sent = [witness.upload_part(KEY, upload_id, number, TAIL) for number in (2, 3, 5, 8, 13)]
    pages = [witness.list_parts(KEY, upload_id, limit=2)]
    while pages[-1].is_truncated:
        pages.append(witness.list_parts(KEY, upload_id, after=pages[-1].next_marker, limit=2))
    assert [page.next_marker for page in pages] == [3, 8, 13]
    assert tuple(part for page in pages for part in page.parts) == as_listed(witness, sent)


def test_upload_without_parts_lists_none(witness: Witness) -> None:
    page = witness.list_parts(KEY, witness.init(KEY))
    assert (page.parts, page.is_truncated) == ((), False)


def test_headers_given_at_the_beginning_are_the_objects(witness: Witness) -> None:
    headers = {
        "Content-Type": "text/x-example",
        "Cache-Control": "no-cache",
        "Content-Disposition": 'attachment; filename="example.txt"',
        "x-oss-meta-owner": "somebody",
    }
    upload_id = witness.init(KEY, headers)
    witness.complete(KEY, upload_id, [witness.upload_part(KEY, upload_id, 1, TAIL)])
    found = witness.head(KEY).headers
    assert {name: found[name.lower()] for name in headers} == headers


def test_upload_that_was_aborted_is_unknown(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    part = witness.upload_part(KEY, upload_id, 1, TAIL)
    witness.abort(KEY, upload_id)
    with refused(witness, 404, "NoSuchUpload"):
        witness.list_parts(KEY, upload_id)
    with refused(witness, 404, "NoSuchUpload"):
        witness.upload_part(KEY, upload_id, 2, TAIL)
    with refused(witness, 404, "NoSuchUpload"):
        witness.complete(KEY, upload_id, [part])
    with refused(witness, 404, "NoSuchUpload"):
        witness.abort(KEY, upload_id)
    with refused(witness, 404, "NoSuchKey"):
        witness.head(KEY)


def test_upload_that_was_completed_is_unknown(witness: Witness) -> None:
    upload_id = witness.init(KEY)
    part = witness.upload_part(KEY, upload_id, 1, TAIL)
    witness.complete(KEY, upload_id, [part])
    with refused(witness, 404, "NoSuchUpload"):
        witness.complete(KEY, upload_id, [part])
    assert witness.get(KEY) == TAIL


def test_every_request_is_signed_with_the_version_asked_for(
    witness: Witness, server: LocalServer
) -> None:
    upload_id = witness.init(KEY)
    witness.list_parts(KEY, upload_id)
    witness.complete(KEY, upload_id, [witness.upload_part(KEY, upload_id, 1, TAIL)])
    assert [(exchange.signature, exchange.status) for exchange in server.log] == [
        (witness.version, 200)
    ] * 4


@pytest.mark.parametrize("prefix", ["", "a/", "a/b"])
def test_uploads_are_listed_page_by_page(sdk: Sdk, prefix: str) -> None:
    begun = [Upload(key, sdk.init(key)) for key in ("a/b", "a/b", "a/c", "b", "a/b+c d")]
    page, more = sdk.list_uploads(prefix=prefix, limit=2)
    listed = list(page)
    while more:
        page, more = sdk.list_uploads(prefix=prefix, after=page[-1], limit=2)
        listed += page
    wanted = [upload for upload in begun if upload.key.startswith(prefix)]
    assert listed == sorted(wanted, key=lambda upload: (upload.key, upload.upload_id))


def test_upload_that_ended_is_not_listed(sdk: Sdk) -> None:
    aborted, completed, open_one = (Upload(key, sdk.init(key)) for key in ("a", "b", "c"))
    sdk.abort(aborted.key, aborted.upload_id)
    part = sdk.upload_part(completed.key, completed.upload_id, 1, TAIL)
    sdk.complete(completed.key, completed.upload_id, [part])
    assert sdk.list_uploads() == ([open_one], False)
