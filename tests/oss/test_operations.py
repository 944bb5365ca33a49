"""Each call as a pair: the request it prepares, and what its answers mean."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.core.integrity import PartDigest, crc64
from resumable.core.reconcile import ListedPart
from resumable.errors import IntegrityError, ProtocolError
from resumable.oss import operations
from resumable.oss.messages import Answer, BytesPayload, Payload, Request
from resumable.oss.results import StoredObject, UploadedPart

DATA = b"123456789"
MD5 = hashlib.md5(DATA).digest()
CRC = crc64(DATA)
SENT = PartDigest(len(DATA), CRC, MD5)
SENT_WITHOUT_MD5 = PartDigest(len(DATA), CRC, None)
ETAG = MD5.hex().upper()
H: Mapping[str, str] = {"x-oss-request-payer": "requester"}


def answer(body: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, {"x-oss-request-id": "REQ", **named}, body.encode())


def crc_header(value: object) -> dict[str, str]:
    return {"x_oss_hash_crc64ecma": str(value)}


REQUESTS: list[tuple[Request, str, str, dict[str, str]]] = [
    (operations.initiate("k", H), "InitiateMultipartUpload", "POST",
     {"uploads": "", "encoding-type": "url"}),
    (operations.upload_part("k", "U", 7, BytesPayload(DATA), H), "UploadPart", "PUT",
     {"partNumber": "7", "uploadId": "U"}),
    (operations.list_parts("k", "U", max_parts=5, marker=3, headers=H), "ListParts", "GET",
     {"uploadId": "U", "max-parts": "5", "part-number-marker": "3", "encoding-type": "url"}),
    (operations.complete("k", "U", [(1, "E")], H), "CompleteMultipartUpload", "POST",
     {"uploadId": "U", "encoding-type": "url"}),
    (operations.abort("k", "U", H), "AbortMultipartUpload", "DELETE", {"uploadId": "U"}),
    (operations.put("k", BytesPayload(DATA), H), "PutObject", "PUT", {}),
    (operations.head("k", None, H), "HeadObject", "HEAD", {}),
    (operations.head("k", "V", H), "HeadObject", "HEAD", {"versionId": "V"}),
    (operations.get("k", None, H), "GetObject", "GET", {}),
    (operations.get("k", "V", H), "GetObject", "GET", {"versionId": "V"}),
    (operations.delete("k", None, H), "DeleteObject", "DELETE", {}),
    (operations.delete("k", "V", H), "DeleteObject", "DELETE", {"versionId": "V"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "name", "method", "query"), REQUESTS, ids=lambda v: str(v)[:40]
)
def test_request_is_the_documented_one(
    request_: Request, name: str, method: str, query: dict[str, str]
) -> None:
    assert (request_.operation, request_.method, request_.key) == (name, method, "k")
    assert request_.query == query
    assert request_.headers == H


def body_of(payload: Payload | None) -> bytes:
    assert payload is not None
    blocks = [block for block in payload.blocks() if isinstance(block, memoryview)]
    return b"".join(blocks)


def test_initiate_says_that_its_body_is_empty() -> None:
    body = operations.initiate("k", {}).body
    assert body is not None
    assert body.size == 0


def test_complete_names_its_parts_in_ascending_order() -> None:
    body = body_of(operations.complete("k", "U", [(10, "C"), (9, "B"), (1, "A")], {}).body)
    assert body == (
        b"<CompleteMultipartUpload>"
        b'<Part><PartNumber>1</PartNumber><ETag>"A"</ETag></Part>'
        b'<Part><PartNumber>9</PartNumber><ETag>"B"</ETag></Part>'
        b'<Part><PartNumber>10</PartNumber><ETag>"C"</ETag></Part>'
        b"</CompleteMultipartUpload>"
    )


def test_content_md5_is_base64() -> None:
    assert operations.content_md5(MD5) == {"content-md5": base64.b64encode(MD5).decode()}


def initiated(upload_id: str) -> Answer:
    return answer(
        "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
        f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
    )


def test_upload_id_is_read() -> None:
    upload = operations.read_initiated(initiated("0004B9/+="))
    assert (upload.upload_id, upload.request_id) == ("0004B9/+=", "REQ")


@pytest.mark.parametrize(
    "upload_id", ["", " ", "a b", "a\n", "编号", "x" * 1025, "a&#13;&#10;Host: evil", "a\t"]
)
def test_unusable_upload_id_is_a_protocol_error(upload_id: str) -> None:
    with pytest.raises(ProtocolError, match="upload id") as refused:
        operations.read_initiated(initiated(upload_id))
    assert refused.value.request_id == "REQ"


READERS: Mapping[str, Callable[[Answer], Any]] = {
    "InitiateMultipartUploadResult": operations.read_initiated,
    "ListPartsResult": lambda got: operations.read_parts_page(got, 0),
    "CompleteMultipartUploadResult": lambda got: operations.read_completed(got, {}),
}
FOREIGN = [
    "", "OK", "{}", "<html><body>Welcome to the hotel's Wi-Fi</body></html>",
    "<Error><Code>InternalError</Code></Error>", "<ListPartsResul", "<!DOCTYPE x><x/>",
]  # fmt: skip


@pytest.mark.parametrize("body", FOREIGN)
@pytest.mark.parametrize("root", READERS)
def test_success_with_a_foreign_body_is_a_protocol_error(root: str, body: str) -> None:
    with pytest.raises(ProtocolError, match=root) as refused:
        READERS[root](answer(body))
    assert refused.value.request_id == "REQ"
    assert refused.value.retryable


@pytest.mark.parametrize("root", READERS)
def test_answer_to_another_call_is_a_protocol_error(root: str) -> None:
    others = [other for other in READERS if other != root]
    for other in others:
        with pytest.raises(ProtocolError):
            READERS[root](answer(f"<{other}><UploadId>U</UploadId></{other}>"))


def read_part(got: Answer, sent: PartDigest = SENT) -> UploadedPart:
    return operations.read_uploaded_part(got, 7, sent)


def test_part_is_acknowledged() -> None:
    got = answer(etag=f'"{ETAG}"', **crc_header(CRC))
    assert read_part(got) == UploadedPart(7, 9, ETAG, CRC, "REQ")


SSE = {"x_oss_server_side_encryption": "KMS"}
FINE: Mapping[str, tuple[dict[str, str], PartDigest]] = {
    "both tell": ({"etag": f'"{ETAG}"', **crc_header(CRC)}, SENT),
    "ETag without quotes": ({"etag": ETAG, **crc_header(CRC)}, SENT),
    "ETag in lower case": ({"etag": f'"{ETAG.lower()}"', **crc_header(CRC)}, SENT),
    "only the CRC-64 tells": ({"etag": '"opaque"', **crc_header(CRC)}, SENT),
    "only the MD5 tells": ({"etag": f'"{ETAG}"'}, SENT),
    "MD5 was not computed": ({"etag": f'"{"0" * 32}"', **crc_header(CRC)}, SENT_WITHOUT_MD5),
    "ETag under encryption is no MD5": (
        {"etag": f'"{"0" * 32}"', **crc_header(CRC), **SSE}, SENT,
    ),
    "CRC-64 with spaces around": ({"etag": ETAG, **crc_header(f" {CRC} ")}, SENT),
    # The server took the bytes under the MD5 that went with them.
    "only the MD5 that was sent": ({"etag": "opaque"}, SENT),
    "only the MD5 that was sent, under encryption": ({"etag": ETAG, **SSE}, SENT),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "sent"), FINE.values(), ids=FINE)
def test_answer_that_fits_the_bytes_is_taken(headers: dict[str, str], sent: PartDigest) -> None:
    assert read_part(answer(**headers), sent).crc64 == CRC
    assert operations.read_put(answer(**headers), sent, {}).etag.strip('"')


DAMAGED: Mapping[str, tuple[dict[str, str], PartDigest, str]] = {
    "other CRC-64": ({"etag": ETAG, **crc_header(CRC ^ 1)}, SENT, "CRC-64 is not"),
    "CRC-64 of zero": ({"etag": ETAG, **crc_header(0)}, SENT, "CRC-64 is not"),
    "other MD5": ({"etag": "0" * 32, **crc_header(CRC)}, SENT, "ETag is not"),
    "other MD5, no CRC-64": ({"etag": "0" * 32}, SENT, "ETag is not"),
    "both other": ({"etag": "0" * 32, **crc_header(1)}, SENT, "CRC-64 is not"),
    "other CRC-64 under encryption": ({"etag": ETAG, **crc_header(1), **SSE}, SENT, "CRC-64"),
}


@pytest.mark.parametrize(("headers", "sent", "why"), DAMAGED.values(), ids=DAMAGED)
def test_answer_that_does_not_fit_the_bytes_is_an_integrity_error(
    headers: dict[str, str], sent: PartDigest, why: str
) -> None:
    for read in (lambda got: read_part(got, sent), lambda got: operations.read_put(got, sent, {})):
        with pytest.raises(IntegrityError, match=why) as refused:
            read(answer(**headers))
        assert refused.value.retryable
        assert refused.value.request_id == "REQ"


@pytest.mark.parametrize("etag", [ETAG, "opaque"])
def test_bytes_that_nothing_vouches_for_are_an_error_that_stays(etag: str) -> None:
    sent = SENT_WITHOUT_MD5
    for read in (lambda got: read_part(got, sent), lambda got: operations.read_put(got, sent, {})):
        with pytest.raises(IntegrityError) as refused:
            read(answer(etag=etag))
        assert not refused.value.retryable
        assert "content_md5" in refused.value.advice
        assert refused.value.request_id == "REQ"


MALFORMED: Mapping[str, dict[str, str]] = {
    "no ETag": crc_header(CRC),
    "empty ETag": {"etag": "", **crc_header(CRC)},
    "ETag of quotes": {"etag": '""', **crc_header(CRC)},
    "ETag with a space": {"etag": '"a b"', **crc_header(CRC)},
    "ETag not ASCII": {"etag": '"é"', **crc_header(CRC)},
    "ETag too long": {"etag": "A" * 257, **crc_header(CRC)},
    "CRC-64 negative": {"etag": ETAG, **crc_header(-1)},
    "CRC-64 of 65 bits": {"etag": ETAG, **crc_header(1 << 64)},
    "CRC-64 no number": {"etag": ETAG, **crc_header("abc")},
    "CRC-64 twice": {"etag": ETAG, **crc_header(f"{CRC}, {CRC}")},
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
def test_malformed_acknowledgement_is_a_protocol_error(headers: dict[str, str]) -> None:
    for read in (read_part, lambda got: operations.read_put(got, SENT, {})):
        with pytest.raises(ProtocolError) as refused:
            read(answer(**headers))
        assert refused.value.request_id == "REQ"


def test_put_tells_what_was_stored() -> None:
    got = answer(etag=f'"{ETAG}"', x_oss_version_id="V1", **crc_header(CRC))
    assert operations.read_put(got, SENT, {}) == StoredObject(ETAG, CRC, "V1", "REQ")


COMPLETED = (
    "<CompleteMultipartUploadResult><Location>http://h/k</Location><Bucket>b</Bucket>"
    '<Key>k</Key><ETag>"AB-2"</ETag></CompleteMultipartUploadResult>'
)


def test_complete_tells_what_was_stored() -> None:
    got = answer(COMPLETED, x_oss_version_id="V1", **crc_header(CRC))
    assert operations.read_completed(got, H) == StoredObject("AB-2", CRC, "V1", "REQ")


def test_complete_without_a_crc64_says_so() -> None:
    assert operations.read_completed(answer(COMPLETED), H).crc64 is None


def test_complete_with_a_crc64_that_is_no_number_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        operations.read_completed(answer(COMPLETED, **crc_header("x")), H)


@pytest.mark.parametrize("name", ["x-oss-callback", "X-Oss-Callback"])
@pytest.mark.parametrize("body", ["", '{"Status":"OK"}', "<html/>", COMPLETED])
def test_complete_with_a_callback_hands_the_callback_s_answer_on(name: str, body: str) -> None:
    got = answer(body, etag='"AB-2"', x_oss_version_id="V1", **crc_header(CRC))
    stored = operations.read_completed(got, {name: "eyJhIjoxfQ=="})
    assert stored == StoredObject("AB-2", CRC, "V1", "REQ", callback_body=body.encode())


def test_head_is_read() -> None:
    head = operations.read_head(
        answer(content_length="9", etag='"E"', x_oss_version_id="V", **crc_header(7))
    )
    assert (head.size, head.etag, head.crc64, head.version_id) == (9, "E", 7, "V")
    assert head.headers["content-length"] == "9"


def test_head_may_tell_little() -> None:
    head = operations.read_head(answer(content_length="0"))
    assert (head.size, head.etag, head.crc64, head.version_id) == (0, "", None, None)


@pytest.mark.parametrize("length", [None, "", "-1", "nine", "1.0", "9, 9", "9" * 30])
def test_head_without_a_usable_length_is_a_protocol_error(length: str | None) -> None:
    headers = {} if length is None else {"content_length": length}
    with pytest.raises(ProtocolError, match="content-length"):
        operations.read_head(answer(**headers))


def row(number: object, **changes: object) -> str:
    fields: dict[str, object] = {
        "PartNumber": number,
        "LastModified": "2024-01-01T00:00:00.000Z",
        "ETag": '"E"',
        "Size": 5,
        **changes,
    }
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value != "")
    return f"<Part>{inner}</Part>"


def page(*rows: str, marker: object = "", truncated: object = "false") -> Answer:
    tail = f"<NextPartNumberMarker>{marker}</NextPartNumberMarker>" if marker != "" else ""
    return answer(
        f"<ListPartsResult><IsTruncated>{truncated}</IsTruncated>{tail}{''.join(rows)}"
        "</ListPartsResult>"
    )


def test_row_is_read() -> None:
    got = operations.read_parts_page(page(row(3, HashCrc64ecma=7), marker=3), 0)
    modified = datetime(2024, 1, 1, tzinfo=UTC)
    assert got.parts == (ListedPart(3, 5, "E", 7, modified),)
    assert (got.is_truncated, got.next_marker, got.request_id) == (False, 3, "REQ")


def test_marker_beyond_the_last_part_number_there_is_ends_the_paging() -> None:
    with pytest.raises(ProtocolError, match="do not ascend"):
        operations.read_parts_page(page(row(3), marker=20_000, truncated="true"), 0)


@pytest.mark.parametrize("time", ["", "yesterday", "2024-13-01T00:00:00Z"])
def test_row_needs_neither_a_crc64_nor_a_time(time: str) -> None:
    got = operations.read_parts_page(page(row(1, LastModified=time)), 0)
    assert got.parts == (ListedPart(1, 5, "E", None, None),)


PAGES: Mapping[str, tuple[Answer, int, list[int], int]] = {
    # the page, the marker it was asked for after: the numbers, and where to go on
    "empty": (page(), 0, [], 0),
    "empty at the end": (page(), 1000, [], 1000),
    "gaps": (page(row(1), row(5), row(9_999), marker=9_999), 0, [1, 5, 9_999], 9_999),
    "marker missing": (page(row(1), row(2)), 0, [1, 2], 2),
    "more to come": (page(row(1), row(2), marker=2, truncated="true"), 0, [1, 2], 2),
    "more to come, marker missing": (page(row(8), truncated="true"), 5, [8], 8),
    "last part of all": (page(row(10_000), marker=10_000), 9_999, [10_000], 10_000),
    "marker of zero at the end": (page(marker=0), 0, [], 0),
}


@pytest.mark.parametrize(("got", "asked", "numbers", "marker"), PAGES.values(), ids=PAGES)
def test_page_is_read(got: Answer, asked: int, numbers: list[int], marker: int) -> None:
    read = operations.read_parts_page(got, asked)
    assert [part.number for part in read.parts] == numbers
    assert read.next_marker == marker


BAD_PAGES: Mapping[str, tuple[Answer, int]] = {
    "a part twice": (page(row(1), row(1)), 0),
    "descending": (page(row(2), row(1)), 0),
    "not after the marker": (page(row(5), row(6)), 5),
    "before the marker": (page(row(4), row(6)), 5),
    "marker does not move": (page(row(6), marker=5, truncated="true"), 5),
    "marker goes back": (page(row(6), marker=3, truncated="true"), 5),
    "marker before the last part": (page(row(6), row(9), marker=7, truncated="true"), 5),
    "more to come, but nothing came": (page(truncated="true"), 5),
    "number zero": (page(row(0)), 0),
    "number negative": (page(row(-1)), 0),
    "number too large": (page(row(10_001)), 0),
    "number missing": (page(row("")), 0),
    "number no number": (page(row("one")), 0),
    "size missing": (page(row(1, Size="")), 0),
    "size negative": (page(row(1, Size=-5)), 0),
    "size of 65 bits": (page(row(1, Size=1 << 64)), 0),
    "ETag missing": (page(row(1, ETag="")), 0),
    "CRC-64 no number": (page(row(1, HashCrc64ecma="x")), 0),
    "CRC-64 of 65 bits": (page(row(1, HashCrc64ecma=1 << 64)), 0),
    "marker no number": (page(row(1), marker="x"), 0),
}


@pytest.mark.parametrize(("got", "asked"), BAD_PAGES.values(), ids=BAD_PAGES)
def test_page_that_oss_would_not_give_is_a_protocol_error(got: Answer, asked: int) -> None:
    with pytest.raises(ProtocolError, match="ListParts") as refused:
        operations.read_parts_page(got, asked)
    assert refused.value.request_id == "REQ"


@given(
    st.lists(st.integers(0, 10_002), max_size=6),
    st.integers(0, 10_000),
    st.none() | st.integers(0, 10_002),
    st.booleans(),
)
def test_paging_always_comes_to_an_end(
    numbers: list[int], asked: int, marker: int | None, truncated: bool
) -> None:
    got = page(
        *(row(number) for number in numbers),
        marker="" if marker is None else marker,
        truncated=str(truncated).lower(),
    )
    try:
        read = operations.read_parts_page(got, asked)
    except ProtocolError:
        return
    assert read.next_marker > asked or not read.is_truncated
    assert all(asked < part.number <= 10_000 for part in read.parts)


@given(st.text(max_size=60), st.dictionaries(st.sampled_from(["etag", *crc_header(0)]), st.text()))
def test_any_answer_is_read_or_a_typed_error(body: str, headers: dict[str, str]) -> None:
    got = Answer(200, headers, body.encode("utf-8", "replace"))
    for read in (*READERS.values(), read_part, operations.read_head):
        try:
            read(got)
        except (ProtocolError, IntegrityError):
            continue
