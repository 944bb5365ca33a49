"""The caller's headers: which call each goes to, and what it does there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from resumable import (
    Bucket,
    Callback,
    CallbackFailedError,
    FileAlreadyExistsError,
    InvalidArgumentError,
)
from resumable.server import LocalServer
from tests.callbacks import CallbackAnswer, CallbackReceiver
from tests.support import PART, content, make_file, requests

from .steps import (
    KEY,
    SIZE,
    Options,
    acl_of,
    beside,
    fault,
    gate,
    interrupted,
    open_uploads,
    stopped_before_complete,
    tags_of,
    under_way,
    upload,
)

COMPLETE = "CompleteMultipartUpload"
FORBID = {"x-oss-forbid-overwrite": "true"}


def test_object_that_appears_meanwhile_is_not_overwritten_where_that_is_forbidden(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, gate("complete")))
    with under_way(server, lambda: upload(bucket, file, headers=FORBID)) as run:
        server.faults.wait_reached("complete")
        bucket.put_object(KEY, b"precious")
        server.faults.release("complete")
        with pytest.raises(FileAlreadyExistsError):
            run.result()
    assert content(bucket, KEY) == b"precious"


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_forbidden_overwrite_is_refused_even_for_the_same_bytes(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    bucket.put_object(KEY, file.read_bytes())
    with pytest.raises(FileAlreadyExistsError):
        upload(bucket, file, headers=FORBID)
    assert open_uploads(bucket) == []


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_lost_answer_does_not_make_our_own_object_a_forbidden_one(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    operation = COMPLETE if size == SIZE else "PutObject"
    server.faults.add(fault(operation, {"drop": "after_success"}))
    assert upload(bucket, file, headers=FORBID).bytes_sent == size


def test_headers_go_to_the_calls_that_need_them(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    with CallbackReceiver() as receiver:
        callback = Callback(receiver.url, "${object}")
        at_complete = {"x-oss-callback": callback.encoded, "x-oss-object-acl": "private"}
        payer, limit = {"x-oss-request-payer": "requester"}, {"x-oss-traffic-limit": "838860800"}
        upload(bucket, file, headers={**at_complete, **FORBID, **payer, **limit})
    wanted = {
        "InitiateMultipartUpload": FORBID | payer,
        "UploadPart": limit | payer,
        COMPLETE: at_complete | FORBID | payer,
    }
    given = at_complete | FORBID | payer | limit
    for exchange in server.log:
        if exchange.operation in wanted:
            there = {name: exchange.headers[name] for name in given if name in exchange.headers}
            assert there == wanted[exchange.operation]


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_every_option_takes_effect_whatever_the_size(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    options: Options = {
        "content_type": "text/plain; charset=utf-8",
        "cache_control": "no-cache",
        "content_disposition": "attachment; filename=报告.pdf",
        "content_encoding": "utf-8",
        "expires": datetime(2049, 1, 10, 23, tzinfo=UTC),
        "metadata": {"Author": "王小明 🚀", "year": "2020"},
        "tags": {"Tag 1": "a+b", "Tag2": "2"},
        "storage_class": "IA",
        "server_side_encryption": "KMS",
        "server_side_encryption_key_id": "9468da86-3509-4f8d-a61e-6eab1eac0000",
        "server_side_data_encryption": "SM4",
        "forbid_overwrite": True,
        "request_payer": "requester",
        "traffic_limit": 838_860_800,
        "acl": "public-read",
    }
    with CallbackReceiver(CallbackAnswer(body=b'{"seen": 1}')) as receiver:
        body = "key=${object}&size=${size}&mine=${x:mine}"
        options["callback"] = Callback(receiver.url, body, variables={"mine": "a b"})
        result = upload(bucket, file, **options)
        told = receiver.wait(1)[0].form
    assert told == {"key": KEY, "size": str(size), "mine": "a b"}
    assert result.callback_body == b'{"seen": 1}'
    head = bucket.head_object(KEY)
    assert head.metadata == {"author": "王小明 🚀", "year": "2020"}
    expected = {
        "content-type": "text/plain; charset=utf-8",
        "cache-control": "no-cache",
        "content-disposition": "attachment; filename=报告.pdf",
        "content-encoding": "utf-8",
        "expires": "Sun, 10 Jan 2049 23:00:00 GMT",
        "x-oss-storage-class": "IA",
        "x-oss-server-side-encryption": "KMS",
        "x-oss-server-side-encryption-key-id": "9468da86-3509-4f8d-a61e-6eab1eac0000",
        "x-oss-server-side-data-encryption": "SM4",
        "x-oss-tagging-count": "2",
    }
    assert {name: head.headers.get(name) for name in expected} == expected
    assert acl_of(bucket) == "public-read"
    assert tags_of(bucket) == {"Tag 1": "a+b", "Tag2": "2"}


def test_content_type_is_that_of_the_key_else_of_the_file(bucket: Bucket, folder: Path) -> None:
    for key, name, kind in (
        ("photos/1.jpg", "a.bin", "image/jpeg"),
        ("photos/2", "b.png", "image/png"),
        ("photos/3", "c", "application/octet-stream"),
        ("backup.tar.gz", "d", "application/gzip"),
    ):
        for size in (SIZE, PART):
            upload(bucket, make_file(folder, size, name=name), key=key)
            assert bucket.head_object(key).headers["content-type"] == kind


def test_guessed_content_type_does_not_forbid_going_on_by_another_name(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE, name="a.png")
    interrupted(server, bucket, file, parts=2, key="photo")
    moved = file.rename(folder / "a.jpg")
    result = upload(bucket, moved, key="photo", checkpoint_path=f"{file}.cp")
    assert result.parts_reused == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"forbid_overwrite": True}, {}),
        ({}, {"forbid_overwrite": True}),
        ({}, {"request_payer": "requester"}),
        ({}, {"acl": "private", "traffic_limit": 838_860_800}),
    ],
)
def test_allowing_to_overwrite_after_all_keeps_the_parts(
    server: LocalServer, bucket: Bucket, folder: Path, before: Options, after: Options
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file, **before)
    result = upload(bucket, file, **after)
    assert (result.bytes_sent, result.parts_reused) == (0, 5)


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_condition_that_no_upload_heeds_is_refused(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    with pytest.raises(TypeError, match="if_none_match"):
        upload(bucket, file, if_none_match="*")  # type: ignore[call-arg]
    with pytest.raises(InvalidArgumentError, match="if-none-match"):
        upload(bucket, file, headers={"If-None-Match": "*"})
    assert len(server.log) == 0


def test_answer_of_a_callback_server_is_success(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    with CallbackReceiver() as receiver:
        result = upload(bucket, file, callback=Callback(receiver.url, "a=b"))
    assert requests(server)[COMPLETE] == 1
    assert bucket.head_object(KEY).etag == result.etag


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_callback_that_failed_is_told_though_the_object_is_stored(
    server: LocalServer, bucket: Bucket, folder: Path, size: int, enable_checkpoint: bool
) -> None:
    file = make_file(folder, size)
    operation = COMPLETE if size == SIZE else "PutObject"
    with CallbackReceiver(CallbackAnswer(status=500)) as receiver:
        callback = Callback(receiver.url, "a=b")
        with pytest.raises(CallbackFailedError) as raised:
            upload(bucket, file, callback=callback, enable_checkpoint=enable_checkpoint)
    assert len(receiver.received) == 1
    assert raised.value.kept == "The object is stored and verified"
    assert requests(server)[operation] == 1
    assert content(bucket, KEY) == file.read_bytes()
    assert beside(file) == set()
