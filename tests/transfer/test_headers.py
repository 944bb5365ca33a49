"""The caller's headers: which call each goes to, and what it does there."""

from pathlib import Path

import pytest

from resumable import Bucket, CallbackFailedError, FileAlreadyExistsError
from resumable.server import LocalServer
from tests.support import PART, content, make_file, requests

from .steps import KEY, SIZE, beside, fault, gate, open_uploads, under_way, upload

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
    at_complete = {"x-oss-callback": "e30=", "x-oss-object-acl": "private"}
    payer, limit = {"x-oss-request-payer": "requester"}, {"x-oss-traffic-limit": "819200"}
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


CALLBACK = {"x-oss-callback": "e30="}


def test_answer_of_a_callback_server_is_success(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, {"answer": {"body": '{"Status":"OK"}'}}))
    result = upload(bucket, file, headers=CALLBACK)
    assert requests(server)[COMPLETE] == 1
    assert bucket.head_object(KEY).etag == result.etag


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_callback_that_failed_is_told_though_the_object_is_stored(
    server: LocalServer, bucket: Bucket, folder: Path, size: int, enable_checkpoint: bool
) -> None:
    file = make_file(folder, size)
    operation = COMPLETE if size == SIZE else "PutObject"
    body = "<Error><Code>CallbackFailed</Code></Error>"
    server.faults.add(fault(operation, {"answer": {"status": 203, "body": body}}))
    with pytest.raises(CallbackFailedError) as raised:
        upload(bucket, file, headers=CALLBACK, enable_checkpoint=enable_checkpoint)
    assert raised.value.kept == "The object is stored and verified"
    assert requests(server)[operation] == 1
    assert content(bucket, KEY) == file.read_bytes()
    assert beside(file) == set()
