"""A server that shows no CRC-64, as gateways and other stores that speak OSS's protocol."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from resumable import Bucket, IntegrityError
from resumable.server import LocalServer
from tests.support import PART, make_file, parts_sent, requests

from .steps import (
    ALL,
    KEY,
    SIZE,
    beside,
    checkpoint_path,
    fault,
    interrupted,
    stopped_before_complete,
    upload,
)

COMPLETE = "CompleteMultipartUpload"
CRC = "x-oss-hash-crc64ecma"


def showing(**headers: str | None) -> dict[str, object]:
    """The effect of an answer without a CRC-64, and with other headers changed."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"answer": {"headers": {CRC: None, **changed}}}


def show_no_crc(server: LocalServer) -> None:
    for operation in ("UploadPart", COMPLETE, "PutObject", "HeadObject"):
        server.faults.add(fault(operation, showing(), times=None))


def warned(caplog: pytest.LogCaptureFixture) -> int:
    """How many warnings are about a CRC-64."""
    return sum("CRC-64" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("size", [SIZE, PART, 0], ids=["parts", "put", "empty"])
def test_object_is_verified_by_its_parts_with_one_warning(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    size: int,
) -> None:
    show_no_crc(server)
    file = make_file(folder, size)
    assert upload(bucket, file).verified == "parts"
    assert warned(caplog) == 1
    assert beside(file) == set()


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_crc_that_is_shown_verifies_without_a_warning(
    bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    assert upload(bucket, make_file(folder, size)).verified == "crc64"
    assert warned(caplog) == 0


def test_interrupted_upload_is_resumed_and_verified_by_its_parts(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    show_no_crc(server)
    for _ in range(2):
        interrupted(server, bucket, file, parts=1)
        show_no_crc(server)
    result = upload(bucket, file)
    assert (result.verified, result.parts_reused) == ("parts", 2)


WRONG = {
    "size": showing(content_length=str(SIZE - 1)),
    "etag": showing(etag='"0123456789ABCDEF0123456789ABCDEF-5"'),
    "type": showing(x_oss_object_type="Normal"),
}


@pytest.mark.parametrize("effect", WRONG.values(), ids=WRONG)
def test_object_of_another_size_or_making_is_no_success(
    server: LocalServer, bucket: Bucket, folder: Path, effect: Mapping[str, object]
) -> None:
    server.faults.add(fault(COMPLETE, showing()))
    server.faults.add(fault("HeadObject", effect))
    with pytest.raises(IntegrityError):
        upload(bucket, make_file(folder, SIZE))


def test_crc_that_only_head_shows_decides(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, showing(), times=2))
    assert upload(bucket, file).verified == "crc64"
    server.faults.add(fault("HeadObject", {"answer": {"headers": {CRC: "7"}}}))
    with pytest.raises(IntegrityError, match="CRC-64 7"):
        upload(bucket, file)


def test_put_object_that_may_not_be_looked_at_is_verified_by_its_etag(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    server.faults.add(fault("HeadObject", {"status": 403, "code": "AccessDenied"}))
    show_no_crc(server)
    assert upload(bucket, make_file(folder, PART)).verified == "parts"


def md5_etag(file: Path) -> str:
    """The ETag that many stores give an object of parts: the MD5 of its parts' MD5s."""
    data = file.read_bytes()
    md5s = [hashlib.md5(data[at : at + PART]).digest() for at in range(0, len(data), PART)]
    return f'"{hashlib.md5(b"".join(md5s)).hexdigest()}-{len(md5s)}"'


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_lost_answer_is_success_if_the_etag_is_that_of_the_md5s(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    operation = COMPLETE if size == SIZE else "PutObject"
    server.faults.add(fault(operation, {"drop": "after_success"}, times=None))
    if size == SIZE:
        server.faults.add(fault("HeadObject", showing(etag=md5_etag(file)), times=None))
    show_no_crc(server)
    result = upload(bucket, file)
    assert (result.verified, result.bytes_sent) == ("parts", size)
    assert requests(server)["InitiateMultipartUpload"] == (1 if size == SIZE else 0)


def test_lost_answer_is_no_success_where_nothing_tells_the_bytes(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    """The ETag is not made of MD5s, as OSS's own: the file is sent once more."""
    server.faults.add(fault(COMPLETE, {"drop": "after_success"}))
    show_no_crc(server)
    upload(bucket, make_file(folder, SIZE))
    assert requests(server)["InitiateMultipartUpload"] == 2


@pytest.mark.parametrize("same", [True, False], ids=["ours", "another"])
def test_after_a_crash_the_etag_tells_whether_the_object_is_ours(
    server: LocalServer, bucket: Bucket, folder: Path, same: bool
) -> None:
    file = make_file(folder, SIZE)
    upload_id = stopped_before_complete(server, bucket, file)
    checkpoint = checkpoint_path(file).read_bytes()
    other = make_file(folder, SIZE, seed=3, name="other.txt")
    if same:
        upload(bucket, file)
    else:
        upload(bucket, other, enable_checkpoint=False)
        bucket.abort_multipart_upload(KEY, upload_id)
    checkpoint_path(file).write_bytes(checkpoint)
    server.faults.add(fault("HeadObject", showing(etag=md5_etag(file if same else other))))
    show_no_crc(server)
    server.log.clear()
    assert upload(bucket, file).verified == "parts"
    assert parts_sent(server.log) == ([] if same else ALL)


def test_part_whose_etag_is_no_md5_is_verified_by_the_md5_that_was_announced(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    """As at a store that encrypts: it refuses a body that has not the MD5 announced."""
    server.faults.add(fault("UploadPart", {"corrupt_body": True}, part_number=2))
    encrypted = showing(x_oss_server_side_encryption="AES256")
    server.faults.add(fault("UploadPart", encrypted, times=None))
    show_no_crc(server)
    assert upload(bucket, make_file(folder, SIZE)).verified == "parts"
    assert requests(server)["UploadPart"] == len(ALL) + 1


def test_without_any_digest_a_part_is_refused_at_once(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    show_no_crc(server)
    encrypted = showing(x_oss_server_side_encryption="AES256")
    server.faults.add(fault("UploadPart", encrypted, times=None))
    with pytest.raises(IntegrityError) as raised:
        upload(bucket, make_file(folder, SIZE), content_md5=False)
    assert "content_md5" in raised.value.advice
    assert (raised.value.retryable, requests(server)["UploadPart"]) == (False, 1)
