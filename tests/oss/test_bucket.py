"""Each call of `Bucket` against the local server, also when it goes wrong."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from resumable import Bucket, ListedPart, UploadedPart
from resumable.core.integrity import crc64
from resumable.errors import (
    FileAlreadyExistsError,
    InvalidPartError,
    NoSuchKeyError,
    NoSuchUploadError,
    PreconditionFailedError,
    ProtocolError,
    ResumableError,
    ServerError,
    SlowDownError,
)
from resumable.oss.client import Controls
from resumable.server import LocalServer
from tests.oss.conftest import Connect, Serve
from tests.oss.rawserver import Peer, answer, answering
from tests.support import PART, QUICK, content, random_bytes, requests

KEY = "dir/a b+中.bin"
FIRST, SECOND = random_bytes(PART, 1), random_bytes(77, 2)


def begin(bucket: Bucket, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return bucket.init_multipart_upload(KEY, headers=named).upload_id


def send(bucket: Bucket, upload_id: str) -> list[UploadedPart]:
    pieces = enumerate((FIRST, SECOND), start=1)
    return [bucket.upload_part(KEY, upload_id, number, data) for number, data in pieces]


def test_object_is_made_of_its_parts(bucket: Bucket) -> None:
    upload_id = begin(bucket, content_type="text/plain", x_oss_meta_a="1")
    parts = send(bucket, upload_id)
    stored = bucket.complete_multipart_upload(KEY, upload_id, parts)
    head = bucket.head_object(KEY)
    assert content(bucket, KEY) == FIRST + SECOND
    assert stored.crc64 == head.crc64 == crc64(FIRST + SECOND)
    assert (stored.etag, head.size) == (head.etag, len(FIRST) + len(SECOND))
    assert head.headers["content-type"] == "text/plain"
    assert head.headers["x-oss-meta-a"] == "1"


def test_every_answer_has_its_request_id(server: LocalServer, bucket: Bucket) -> None:
    upload = bucket.init_multipart_upload(KEY)
    part = bucket.upload_part(KEY, upload.upload_id, 1, FIRST)
    page = bucket.list_parts(KEY, upload.upload_id)
    stored = bucket.complete_multipart_upload(KEY, upload.upload_id, [part])
    head = bucket.head_object(KEY)
    told = [one.request_id for one in (upload, part, page, stored, head)]
    assert told == [exchange.request_id for exchange in server.log]


def test_part_is_told_as_it_was_sent(bucket: Bucket) -> None:
    part = bucket.upload_part(KEY, begin(bucket), 10_000, SECOND)
    assert (part.number, part.size, part.crc64) == (10_000, 77, crc64(SECOND))


@pytest.mark.parametrize("content_md5", [True, False])
def test_md5_is_announced_unless_it_is_not_wanted(
    server: LocalServer, bucket: Bucket, content_md5: bool
) -> None:
    bucket.upload_part(KEY, begin(bucket), 1, FIRST, content_md5=content_md5)
    assert ("content-md5" in server.log[-1].headers) is content_md5


def test_same_part_again_replaces_it(bucket: Bucket) -> None:
    upload_id = begin(bucket)
    bucket.upload_part(KEY, upload_id, 1, FIRST)
    newer = bucket.upload_part(KEY, upload_id, 1, SECOND)
    assert [part.etag for part in bucket.list_parts(KEY, upload_id).parts] == [newer.etag]


def test_complete_takes_parts_in_any_order(bucket: Bucket) -> None:
    upload_id = begin(bucket)
    bucket.complete_multipart_upload(KEY, upload_id, send(bucket, upload_id)[::-1])
    assert content(bucket, KEY) == FIRST + SECOND


def test_complete_takes_the_parts_of_a_listing(bucket: Bucket) -> None:
    upload_id = begin(bucket)
    send(bucket, upload_id)
    bucket.complete_multipart_upload(KEY, upload_id, list(bucket.iter_parts(KEY, upload_id)))
    assert content(bucket, KEY) == FIRST + SECOND


def test_complete_with_a_part_that_is_not_there_is_an_invalid_part(bucket: Bucket) -> None:
    upload_id = begin(bucket)
    parts = send(bucket, upload_id)
    with pytest.raises(InvalidPartError):
        bucket.complete_multipart_upload(KEY, upload_id, [*parts, UploadedPart(3, 1, "0" * 32, 0)])
    assert bucket.complete_multipart_upload(KEY, upload_id, parts).crc64


def test_complete_that_must_not_overwrite_is_refused(bucket: Bucket) -> None:
    bucket.put_object(KEY, b"older")
    upload_id = begin(bucket)
    parts = send(bucket, upload_id)
    with pytest.raises(FileAlreadyExistsError):
        bucket.complete_multipart_upload(
            KEY, upload_id, parts, headers={"x-oss-forbid-overwrite": "true"}
        )
    assert content(bucket, KEY) == b"older"


def test_listing_tells_the_parts(bucket: Bucket) -> None:
    upload_id = begin(bucket)
    sent = send(bucket, upload_id)
    page = bucket.list_parts(KEY, upload_id)
    assert (page.is_truncated, page.next_marker) == (False, 2)
    assert [(part.number, part.size, part.etag) for part in page.parts] == [
        (part.number, part.size, part.etag) for part in sent
    ]
    assert all(part.last_modified is not None for part in page.parts)


def test_listing_goes_on_after_a_marker(bucket: Bucket) -> None:
    upload_id = begin(bucket)
    for number in (1, 5, 9):
        bucket.upload_part(KEY, upload_id, number, SECOND)
    first = bucket.list_parts(KEY, upload_id, max_parts=2)
    rest = bucket.list_parts(KEY, upload_id, part_number_marker=first.next_marker)
    assert ([part.number for part in first.parts], first.is_truncated) == ([1, 5], True)
    assert ([part.number for part in rest.parts], rest.is_truncated) == ([9], False)


def test_iterating_pages_by_itself(server: LocalServer, bucket: Bucket) -> None:
    upload_id = begin(bucket)
    numbers = [*range(1, 1001), 9_999]
    for number in numbers:
        bucket.upload_part(KEY, upload_id, number, b"", content_md5=False)
    assert [part.number for part in bucket.iter_parts(KEY, upload_id)] == numbers
    assert requests(server)["ListParts"] == 2


def test_iterating_over_no_parts_ends(bucket: Bucket) -> None:
    assert list(bucket.iter_parts(KEY, begin(bucket))) == []


def listing(numbers: range, *, truncated: bool) -> bytes:
    rows = "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>E</ETag><Size>5</Size></Part>" for n in numbers
    )
    marker = numbers[-1] if numbers else 0
    return answer(
        200,
        f"<ListPartsResult><IsTruncated>{str(truncated).lower()}</IsTruncated>"
        f"<NextPartNumberMarker>{marker}</NextPartNumberMarker>{rows}</ListPartsResult>".encode(),
    )


def test_iterating_over_ten_thousand_parts_takes_ten_requests(
    serve: Serve, connect: Connect
) -> None:
    pages = [
        listing(range(first, first + 1000), truncated=first < 9001)
        for first in range(1, 10_001, 1000)
    ]
    server = serve(answering(*pages))
    parts = list(connect(server).iter_parts("k", "U"))
    assert [part.number for part in parts] == list(range(1, 10_001))
    markers = [request.target.partition("part-number-marker=")[2] for request in server.requests]
    assert [int(marker.partition("&")[0]) for marker in markers] == list(range(0, 10_000, 1000))


@pytest.mark.parametrize(
    "pages",
    [
        [listing(range(1, 3), truncated=True)],
        [listing(range(1, 3), truncated=True), listing(range(2, 5), truncated=False)],
        [listing(range(1, 3), truncated=True), listing(range(0), truncated=True)],
    ],
    ids=["the same page for ever", "a page that overlaps", "no parts and more to come"],
)
def test_listing_that_runs_in_circles_is_a_protocol_error(
    serve: Serve, connect: Connect, pages: list[bytes]
) -> None:
    server = serve(answering(*pages))
    with pytest.raises(ProtocolError):
        list(connect(server).iter_parts("k", "U"))
    assert len(server.requests) == 2


def test_iterating_takes_pages_only_as_they_are_needed(serve: Serve, connect: Connect) -> None:
    server = serve(answering(listing(range(1, 1001), truncated=True)))
    assert next(connect(server).iter_parts("k", "U")) == ListedPart(1, 5, "E", None)
    assert len(server.requests) == 1


def test_aborted_upload_is_gone(bucket: Bucket) -> None:
    upload_id = begin(bucket)
    bucket.abort_multipart_upload(KEY, upload_id)
    for call in (bucket.list_parts, bucket.abort_multipart_upload):
        with pytest.raises(NoSuchUploadError):
            call(KEY, upload_id)
    with pytest.raises(NoSuchUploadError):
        bucket.upload_part(KEY, upload_id, 1, FIRST)


def test_object_is_put_and_deleted(bucket: Bucket) -> None:
    stored = bucket.put_object(KEY, FIRST, headers={"x-oss-meta-a": "1"})
    head = bucket.head_object(KEY)
    assert (stored.crc64, stored.etag) == (crc64(FIRST), head.etag)
    assert head.headers["x-oss-meta-a"] == "1"
    bucket.delete_object(KEY)
    bucket.delete_object(KEY)
    with pytest.raises(NoSuchKeyError):
        bucket.head_object(KEY)


def test_empty_object_is_put(bucket: Bucket) -> None:
    assert bucket.put_object(KEY, b"").crc64 == 0
    assert content(bucket, KEY) == b""


def test_range_of_an_object_is_read(bucket: Bucket) -> None:
    bucket.put_object(KEY, FIRST)
    with bucket.get_object(KEY, headers={"Range": "bytes=10-19"}) as body:
        assert body.status == 206
        assert b"".join(body.blocks()) == FIRST[10:20]


def test_condition_that_does_not_hold_is_told(bucket: Bucket) -> None:
    bucket.put_object(KEY, FIRST)
    changed = {"If-Match": '"another"'}
    with pytest.raises(PreconditionFailedError), bucket.get_object(KEY, headers=changed):
        raise AssertionError("it was read")


def test_missing_object_is_told(bucket: Bucket) -> None:
    bucket.put_object("another", b"x")
    with pytest.raises(NoSuchKeyError), bucket.get_object(KEY):
        raise AssertionError("it was read")


def test_download_is_not_tried_again(server: LocalServer, bucket: Bucket) -> None:
    server.faults.add({"operation": "GetObject", "effect": {"status": 503}})
    with pytest.raises(SlowDownError), bucket.get_object(KEY):
        raise AssertionError("it was read")
    assert requests(server)["GetObject"] == 1


VERSIONED: dict[str, Callable[[Bucket], Any]] = {
    "HEAD": lambda bucket: bucket.head_object("k", version_id="CAEQ/+="),
    "GET": lambda bucket: bucket.get_object("k", version_id="CAEQ/+=").__enter__(),
    "DELETE": lambda bucket: bucket.delete_object("k", version_id="CAEQ/+="),
}


@pytest.mark.parametrize("method", VERSIONED)
def test_version_is_asked_for(serve: Serve, connect: Connect, method: str) -> None:
    server = serve(answering(answer(404)))
    with pytest.raises(ServerError):
        VERSIONED[method](connect(server))
    assert server.requests[0].target == "/examplebucket/k?versionId=CAEQ%2F%2B%3D"
    assert server.requests[0].method == method


EFFECTS: Mapping[str, dict[str, Any]] = {
    "500": {"status": 500, "code": "InternalError"},
    "502 of a proxy": {"status": 502, "body": "<html/>"},
    "503": {"status": 503, "code": "SlowDown"},
    "429": {"status": 429, "code": "TooManyRequests"},
    "dropped before": {"drop": "before"},
    "dropped in the body": {"drop": "during_body"},
    "dropped after the body": {"drop": "after_body"},
    "answer lost": {"drop": "after_success"},
    "answer torn": {"drop": "during_answer"},
    "reset before": {"drop": "before", "reset": True},
    "reset in the body": {"drop": "during_body", "reset": True},
    "answer lost by a reset": {"drop": "after_success", "reset": True},
    "body damaged": {"corrupt_body": True},
    "ETag missing": {"answer": {"headers": {"ETag": None}}},
    "CRC-64 wrong": {"answer": {"headers": {"x-oss-hash-crc64ecma": "1"}}},
}


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
@pytest.mark.parametrize("times", [1, 3])
def test_part_gets_there_in_spite_of(
    server: LocalServer, bucket: Bucket, effect: dict[str, Any], times: int
) -> None:
    upload_id = begin(bucket)
    server.faults.add({"operation": "UploadPart", "times": times, "effect": effect})
    part = bucket.upload_part(KEY, upload_id, 1, FIRST)
    assert requests(server)["UploadPart"] == times + 1
    bucket.complete_multipart_upload(KEY, upload_id, [part])
    assert content(bucket, KEY) == FIRST


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
def test_error_says_how_often_it_was_tried(
    server: LocalServer, bucket: Bucket, effect: dict[str, Any]
) -> None:
    server.faults.add({"operation": "PutObject", "times": None, "effect": effect})
    with pytest.raises(ResumableError, match="4 tries in") as failed:
        bucket.put_object(KEY, FIRST)
    assert failed.value.tries == QUICK.attempts == requests(server)["PutObject"]


@pytest.mark.parametrize(
    ("status", "code"), [(400, "InvalidArgument"), (403, "AccessDenied"), (404, "NoSuchBucket")]
)
def test_refusal_for_good_is_not_tried_again(
    server: LocalServer, bucket: Bucket, status: int, code: str
) -> None:
    server.faults.add({"times": None, "effect": {"status": status, "code": code}})
    with pytest.raises(ServerError) as refused:
        bucket.put_object(KEY, FIRST)
    assert (refused.value.tries, len(server.log)) == (1, 1)
    assert refused.value.request_id == server.log[0].request_id


def test_lost_answer_of_complete_shows_as_no_such_upload(
    server: LocalServer, bucket: Bucket
) -> None:
    upload_id = begin(bucket)
    parts = send(bucket, upload_id)
    server.faults.add({"operation": "CompleteMultipartUpload", "effect": {"drop": "after_success"}})
    with pytest.raises(NoSuchUploadError) as failed:
        bucket.complete_multipart_upload(KEY, upload_id, parts)
    assert failed.value.tries == 2
    assert bucket.head_object(KEY).crc64 == crc64(FIRST + SECOND)


def test_transfer_is_told_of_each_failure_that_is_tried_again(
    server: LocalServer, bucket: Bucket
) -> None:
    noticed: list[ResumableError] = []
    server.faults.add({"times": 2, "effect": {"status": 503, "code": "SlowDown"}})
    bucket.under(Controls(noticed=noticed.append)).put_object(KEY, FIRST)
    assert [type(error) for error in noticed] == [SlowDownError, SlowDownError]


def test_bucket_is_shared_between_threads(server: LocalServer, bucket: Bucket) -> None:
    upload_id = begin(bucket)
    pieces = {number: random_bytes(PART, number) for number in range(1, 65)}
    parts: list[UploadedPart] = []

    def work(numbers: range) -> None:
        parts.extend(bucket.upload_part(KEY, upload_id, n, pieces[n]) for n in numbers)

    threads = [threading.Thread(target=work, args=(range(n, 65, 16),)) for n in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = bucket.complete_multipart_upload(KEY, upload_id, parts)
    assert stored.crc64 == crc64(b"".join(pieces.values()))
    assert requests(server)["UploadPart"] == 64


def test_more_calls_at_once_than_the_pool_keeps_go_without_complaint(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    together = threading.Barrier(80)

    def waits_for_the_others(peer: Peer) -> None:
        peer.request()
        together.wait(20)
        peer.send(answer(204))
        peer.request()

    server = serve(waits_for_the_others)
    bucket = connect(server)
    threads = [threading.Thread(target=bucket.delete_object, args=("k",)) for _ in range(80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert server.connections == 80
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []


def test_closed_bucket_can_still_be_used(bucket: Bucket) -> None:
    with bucket:
        bucket.put_object(KEY, FIRST)
    assert content(bucket, KEY) == FIRST
