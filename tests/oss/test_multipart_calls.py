"""The multipart calls: what they send, what they refuse before any request, how they page."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from resumable import (
    Bucket,
    CopiedPart,
    InvalidArgumentError,
    ListedUpload,
    PreconditionFailedError,
    ProtocolError,
    ServerError,
    abort_upload,
)
from resumable.oss import operations
from resumable.oss.messages import Answer
from resumable.server import LocalServer
from tests.support import CREDENTIALS, PART, content, random_bytes

KEY = "dir/k +&%中😀"
Call = Callable[[Bucket], object]

REFUSED: list[tuple[str, Call]] = [
    ("part number 0", lambda b: b.upload_part(KEY, "U", 0, b"")),
    ("part number 10001", lambda b: b.upload_part(KEY, "U", 10_001, b"")),
    ("part number True", lambda b: b.upload_part(KEY, "U", True, b"")),
    ("part number '1'", lambda b: b.upload_part_copy(KEY, "U", "1", "s")),  # type: ignore[arg-type]
    ("max_parts 0", lambda b: b.list_parts(KEY, "U", max_parts=0)),
    ("max_parts 1001", lambda b: b.list_parts(KEY, "U", max_parts=1001)),
    ("max_uploads 1001", lambda b: b.list_multipart_uploads(max_uploads=1001)),
    ("max_uploads 0", lambda b: list(b.iter_multipart_uploads(page_size=0))),
    ("begins with '/'", lambda b: b.upload_part_copy(KEY, "U", 1, "/s")),
    ("is not a bucket name", lambda b: b.upload_part_copy(KEY, "U", 1, "s", source_bucket="A")),
    ("first and a last", lambda b: b.upload_part_copy(KEY, "U", 1, "s", byte_range=(2, 1))),
    ("first and a last", lambda b: b.upload_part_copy(KEY, "U", 1, "s", byte_range=(-1, 1))),
    ("time zone", lambda b: b.upload_part_copy(
        KEY, "U", 1, "s", if_modified_since=datetime(2020, 1, 1))),  # noqa: DTZ001
    ("either parts", lambda b: b.complete_multipart_upload(KEY, "U")),
    ("either parts", lambda b: b.complete_multipart_upload(KEY, "U", [])),
    ("either parts", lambda b: b.complete_multipart_upload(
        KEY, "U", [(1, "E")], complete_all=True)),
    ("part number 0", lambda b: b.complete_multipart_upload(KEY, "U", [(0, "E")])),
    ("neither a part", lambda b: b.complete_multipart_upload(
        KEY, "U", [[1, "E"]])),  # type: ignore[list-item]
    ("neither a part", lambda b: b.complete_multipart_upload(
        KEY, "U", [None])),  # type: ignore[list-item]
    ("is not an ETag", lambda b: b.complete_multipart_upload(
        KEY, "U", [(1, None)])),  # type: ignore[list-item]
    ("part_number_marker", lambda b: b.list_parts(
        KEY, "U", part_number_marker="1")),  # type: ignore[arg-type]
    ("first and a last", lambda b: b.upload_part_copy(
        KEY, "U", 1, "s", byte_range=(1,))),  # type: ignore[arg-type]
    ("first and a last", lambda b: b.upload_part_copy(
        KEY, "U", 1, "s", byte_range=("0", "5"))),  # type: ignore[arg-type]
    ("and in headers=", lambda b: b.upload_part_copy(
        KEY, "U", 1, "s", byte_range=(0, 5),
        headers={"X-Oss-Copy-Source-Range": "bytes=0-1"})),
    ("makes a copy", lambda b: b.upload_part(
        KEY, "U", 1, b"", headers={"X-Oss-Copy-Source": "/b/k"})),
    ("makes a copy", lambda b: b.put_object(KEY, b"", headers={"x-oss-copy-source": "/b/k"})),
    ("prefix '\\\\udcff' is not Unicode", lambda b: b.list_multipart_uploads(prefix="\udcff")),
    ("key-marker", lambda b: b.list_multipart_uploads(key_marker="\udcff")),
    ("delimiter", lambda b: b.list_multipart_uploads(delimiter="\udcff")),
    ("version id", lambda b: b.head_object(KEY, version_id="\udcff")),
    ("version id", lambda b: b.upload_part_copy(KEY, "U", 1, "s", source_version_id="\udcff")),
    ("not Unicode", lambda b: b.init_multipart_upload(KEY, metadata={"\udcff": "1"})),
    ("traffic_limit", lambda b: b.upload_part(KEY, "U", 1, b"", traffic_limit=1)),
    ("request_payer", lambda b: b.list_parts(KEY, "U", request_payer="x")),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("reason", "call"), REFUSED, ids=[row[0] for row in REFUSED])
def test_call_that_cannot_work_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, reason: str, call: Call
) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        call(bucket)
    assert len(server.log) == 0


NAMED_CALLS: list[Callable[[Bucket, str], object]] = [
    lambda b, upload_id: b.upload_part(KEY, upload_id, 1, b""),
    lambda b, upload_id: b.upload_part_copy(KEY, upload_id, 1, "s"),
    lambda b, upload_id: b.list_parts(KEY, upload_id),
    lambda b, upload_id: b.complete_multipart_upload(KEY, upload_id, complete_all=True),
    lambda b, upload_id: b.abort_multipart_upload(KEY, upload_id),
    lambda b, upload_id: abort_upload(b, KEY, upload_id),
]


@pytest.mark.parametrize("upload_id", ["", " ", "a b", "a\nb", "中", None])
@pytest.mark.parametrize("call", NAMED_CALLS)
def test_upload_id_that_is_none_is_refused_lest_another_operation_be_meant(
    server: LocalServer, bucket: Bucket, call: Callable[[Bucket, str], object], upload_id: str
) -> None:
    bucket.put_object(KEY, b"precious")
    server.log.clear()
    with pytest.raises(InvalidArgumentError, match="is not an upload id"):
        call(bucket, upload_id)
    assert len(server.log) == 0


def test_option_that_a_call_does_not_know_is_a_type_error(bucket: Bucket) -> None:
    with pytest.raises(TypeError, match="metdata"):
        bucket.init_multipart_upload(KEY, metdata={"a": "b"})  # type: ignore[call-arg]


def test_headers_may_be_none(bucket: Bucket) -> None:
    upload_id = bucket.init_multipart_upload(KEY, headers=None).upload_id
    bucket.upload_part(KEY, upload_id, 1, b"x", headers=None)
    bucket.complete_multipart_upload(KEY, upload_id, complete_all=True, headers=None)
    assert content(bucket, KEY) == b"x"


def test_parts_in_any_order_from_several_clients_one_of_them_replaced(
    server: LocalServer, bucket: Bucket
) -> None:
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    last = bucket.upload_part(KEY, upload_id, 9, b"end")
    with Bucket(bucket.name, endpoint=bucket.endpoint, region="cn-hangzhou",
                credentials=CREDENTIALS) as other:  # fmt: skip
        first = other.upload_part(KEY, upload_id, 2, random_bytes(PART, seed=1))
    wanted = random_bytes(PART, seed=2)
    again = bucket.upload_part(KEY, upload_id, 2, wanted)
    assert again.etag != first.etag
    bucket.complete_multipart_upload(KEY, upload_id, [last, (2, f'"{again.etag}"')])
    assert content(bucket, KEY) == wanted + b"end"


def test_parts_are_copied_from_objects_and_ranges_of_them(bucket: Bucket) -> None:
    source = random_bytes(3 * PART)
    bucket.put_object("quelle +&%中", source)
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    whole = bucket.upload_part_copy(KEY, upload_id, 1, "quelle +&%中")
    some = bucket.upload_part_copy(KEY, upload_id, 2, "quelle +&%中", byte_range=(5, PART + 4))
    assert isinstance(some, CopiedPart)
    assert some.last_modified is not None
    listed = list(bucket.iter_parts(KEY, upload_id))
    assert [(p.number, p.size, p.etag) for p in listed] == [
        (1, len(source), whole.etag),
        (2, PART, some.etag),
    ]
    bucket.complete_multipart_upload(KEY, upload_id, [whole, some])
    assert content(bucket, KEY) == source + source[5 : PART + 5]


def test_copy_under_a_condition_that_does_not_hold_is_refused(bucket: Bucket) -> None:
    etag = bucket.put_object("source", b"x").etag
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    bucket.upload_part_copy(KEY, upload_id, 1, "source", if_match=etag)
    with pytest.raises(PreconditionFailedError):
        bucket.upload_part_copy(KEY, upload_id, 1, "source", if_match="0" * 32)
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    with pytest.raises(PreconditionFailedError):
        bucket.upload_part_copy(KEY, upload_id, 1, "source", if_unmodified_since=long_ago)


@pytest.mark.parametrize("raw", [True, False])
def test_complete_all_takes_what_is_there(bucket: Bucket, raw: bool) -> None:
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    bucket.upload_part(KEY, upload_id, 2, b"b")
    bucket.upload_part(KEY, upload_id, 1, b"a" * PART)
    if raw:
        headers = {"X-Oss-Complete-All": "yes"}
        bucket.complete_multipart_upload(KEY, upload_id, headers=headers)
    else:
        bucket.complete_multipart_upload(KEY, upload_id, complete_all=True)
    assert content(bucket, KEY) == b"a" * PART + b"b"


def test_uploads_are_listed_by_prefix_delimiter_and_markers(bucket: Bucket) -> None:
    keys = ["a", "b/1", "b/2", "c d+%中", "c d+%中", "d"]
    ids = [bucket.init_multipart_upload(key, storage_class="IA").upload_id for key in keys]
    known = sorted(zip(keys, ids, strict=True))
    everything = list(bucket.iter_multipart_uploads(page_size=2))
    assert [(found.key, found.upload_id) for found in everything] == known
    assert {found.storage_class for found in everything} == {"IA"}
    assert all(isinstance(found, ListedUpload) and found.initiated for found in everything)
    grouped = bucket.list_multipart_uploads(delimiter="/")
    assert grouped.common_prefixes == ("b/",)
    assert [found.key for found in grouped.uploads] == ["a", "c d+%中", "c d+%中", "d"]
    assert [u.key for u in bucket.iter_multipart_uploads(prefix="b/")] == ["b/1", "b/2"]
    twins = sorted(id_ for key, id_ in known if key == "c d+%中")
    after = bucket.list_multipart_uploads(key_marker="c d+%中", upload_id_marker=twins[0])
    assert [u.upload_id for u in after.uploads] == [twins[1], ids[5]]
    after_key = bucket.list_multipart_uploads(key_marker="c d+%中")
    assert [u.key for u in after_key.uploads] == ["d"]
    ignored = bucket.list_multipart_uploads(upload_id_marker="z" * 32, max_uploads=1)
    assert (ignored.uploads[0].key, ignored.is_truncated) == ("a", True)
    assert ignored.next_key_marker == "a"


def test_pages_go_on_over_common_prefixes(bucket: Bucket) -> None:
    for key in ("a/1", "a/2", "b", "c/1", "d"):
        bucket.init_multipart_upload(key)
    rows: list[str] = []
    key_marker = id_marker = ""
    while True:
        page = bucket.list_multipart_uploads(
            delimiter="/", max_uploads=1, key_marker=key_marker, upload_id_marker=id_marker
        )
        rows += [*page.common_prefixes, *(found.key for found in page.uploads)]
        key_marker, id_marker = page.next_key_marker, page.next_upload_id_marker
        if not page.is_truncated:
            break
    assert rows == ["a/", "b", "c/", "d"]


def page_of(*, next_key: str, next_id: str = "", encoding: str = "url", key: str = "a") -> Answer:
    body = (
        "<ListMultipartUploadsResult>"
        f"<EncodingType>{encoding}</EncodingType><IsTruncated>true</IsTruncated>"
        f"<NextKeyMarker>{next_key}</NextKeyMarker><NextUploadIdMarker>{next_id}</NextUploadIdMarker>"
        f"<Upload><Key>{key}</Key><UploadId>U</UploadId></Upload>"
        "</ListMultipartUploadsResult>"
    )
    return Answer(200, {}, body.encode())


@pytest.mark.parametrize(
    ("marker", "answer"),
    [
        (("", ""), page_of(next_key="")),
        (("b", ""), page_of(next_key="a", next_id="U")),
        (("b", ""), page_of(next_key="b")),
        (("b", ""), page_of(next_key="b", next_id="U")),
        (("b", "U"), page_of(next_key="b", next_id="U")),
        (("b", "V"), page_of(next_key="b", next_id="U")),
    ],
)
def test_pages_that_run_in_circles_are_noticed(marker: tuple[str, str], answer: Answer) -> None:
    with pytest.raises(ProtocolError, match="does not go on"):
        operations.read_uploads_page(answer, marker)


@pytest.mark.parametrize(
    ("marker", "answer"),
    [
        (("", ""), page_of(next_key="a", next_id="U")),
        (("b", "U"), page_of(next_key="b", next_id="V")),
        (("b", "V"), page_of(next_key="c", next_id="A")),
        (("￿", ""), page_of(next_key="%F0%9F%98%80")),
    ],
)
def test_pages_that_go_on_are_read(marker: tuple[str, str], answer: Answer) -> None:
    assert operations.read_uploads_page(answer, marker).is_truncated


def test_key_is_decoded_where_it_is_encoded() -> None:
    answer = page_of(next_key="b", key="%E4%B8%AD%2B+")
    assert operations.read_uploads_page(answer, ("", "")).uploads[0].key == "中++"
    answer = page_of(next_key="b", key="%E4", encoding="")
    assert operations.read_uploads_page(answer, ("", "")).uploads[0].key == "%E4"


@pytest.mark.parametrize("body", ["", "<a/>", "{}"])
def test_page_that_is_none_is_a_protocol_error(body: str) -> None:
    with pytest.raises(ProtocolError):
        operations.read_uploads_page(Answer(200, {}, body.encode()), ("", ""))


@pytest.mark.parametrize("key", ["%FF", "%E4%B8"])
def test_key_that_is_not_utf_8_is_a_protocol_error(key: str) -> None:
    with pytest.raises(ProtocolError):
        operations.read_uploads_page(page_of(next_key="b", key=key), ("", ""))


def test_upload_without_an_id_is_a_protocol_error() -> None:
    body = "<ListMultipartUploadsResult><Upload><Key>a</Key></Upload></ListMultipartUploadsResult>"
    with pytest.raises(ProtocolError, match="UploadId"):
        operations.read_uploads_page(Answer(200, {}, body.encode()), ("", ""))


@pytest.mark.parametrize(
    "value", ["中文 +&%", "é", "\u3000x\u3000", "a\xa0", "…", "𠮷👩‍👩‍👧", "x\u2028"]
)
@pytest.mark.parametrize("version", ["v1", "v4"])
def test_metadata_comes_back_as_it_was_given(
    server: LocalServer, bucket: Bucket, value: str, version: str
) -> None:
    with Bucket(bucket.name, endpoint=bucket.endpoint, region="cn-hangzhou",
                signature_version=version,  # type: ignore[arg-type]
                credentials=CREDENTIALS) as signed:  # fmt: skip
        signed.put_object(KEY, b"", metadata={"Name": value})
        assert signed.head_object(KEY).metadata == {"name": value}
        with signed.get_object(KEY) as answer:
            assert answer.headers["x-oss-meta-name"] == value


def test_range_of_an_object(bucket: Bucket) -> None:
    bucket.put_object(KEY, b"0123456789")
    with bucket.get_object(KEY, byte_range=(2, 4)) as answer:
        assert (answer.status, b"".join(answer.blocks())) == (206, b"234")
    with (
        pytest.raises(ServerError, match="InvalidRange"),
        bucket.get_object(KEY, byte_range=(10, 11)),
    ):
        raise AssertionError("there is no such range")
