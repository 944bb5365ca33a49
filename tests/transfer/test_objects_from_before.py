"""An upload id is gone: an object that somebody else made is not reported as this upload's."""

from pathlib import Path

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.support import PART, make_file, parts_sent

from .steps import (
    ALL,
    KEY,
    SIZE,
    Options,
    acl_of,
    checkpoint_path,
    fault,
    interrupted,
    load,
    rewrite,
    stopped_before_complete,
    upload,
)

UNASKED: list[Options] = [
    {"content_encoding": "gzip"},
    {"content_type": "text/csv"},
    {"cache_control": "no-cache"},
    {"content_disposition": "attachment"},
    {"expires": "Thu, 01 Jan 2026 00:00:00 GMT"},
    {"metadata": {"draft": "do-not-publish"}},
    {"storage_class": "Archive"},
    {"server_side_encryption": "AES256"},
    {"tags": {"a": "1"}},
]


def made_before(bucket: Bucket, file: Path, **attributes: object) -> None:
    """An object of the same bytes, made in the same way."""
    upload(bucket, file, enable_checkpoint=False, **attributes)  # type: ignore[arg-type]


@pytest.mark.parametrize("attributes", UNASKED, ids=lambda given: next(iter(given)))
def test_object_with_attributes_that_nobody_asked_for_is_replaced(
    server: LocalServer, bucket: Bucket, folder: Path, attributes: Options
) -> None:
    file = make_file(folder, SIZE, name="page.html")
    upload_id = interrupted(server, bucket, file, parts=3)
    # Since the upload was begun, so that its age does not tell it.
    made_before(bucket, file, **attributes)
    bucket.abort_multipart_upload(KEY, upload_id)
    server.log.clear()
    assert upload(bucket, file).resumed is False
    assert parts_sent(server.log) == ALL
    shown = bucket.head_object(KEY)
    assert shown.metadata == {}
    assert not {"content-encoding", "cache-control", "expires"} & shown.headers.keys()
    assert shown.headers["x-oss-storage-class"] == "Standard"


def test_object_that_is_older_than_the_upload_is_replaced_though_head_shows_no_difference(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    made_before(bucket, file, acl="public-read")
    server.faults.add(fault("InitiateMultipartUpload", {"skew": 30}))  # half a minute later
    upload_id = interrupted(server, bucket, file, parts=3)
    bucket.abort_multipart_upload(KEY, upload_id)
    server.log.clear()
    upload(bucket, file)
    assert parts_sent(server.log) == ALL
    assert acl_of(bucket) == "default"


def test_object_without_a_date_is_replaced(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    completed_but_not_forgotten(server, bucket, file)
    no_date = {"answer": {"headers": {"last-modified": None}}}
    server.faults.add(fault("HeadObject", no_date))
    upload(bucket, file)
    assert parts_sent(server.log) == ALL


def completed_but_not_forgotten(server: LocalServer, bucket: Bucket, file: Path) -> None:
    """As a crash leaves it between Complete and the removal of the checkpoint."""
    stopped_before_complete(server, bucket, file)
    checkpoint = checkpoint_path(file).read_bytes()
    upload(bucket, file)
    checkpoint_path(file).write_bytes(checkpoint)
    server.log.clear()


def test_object_is_not_adopted_where_nobody_knows_when_the_upload_was_begun(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    """The checkpoint of an earlier release does not say it."""
    file = make_file(folder, SIZE)
    completed_but_not_forgotten(server, bucket, file)
    rewrite(file, initiated=None)
    upload(bucket, file)
    assert parts_sent(server.log) == ALL


def test_upload_that_was_seen_open_is_known_not_to_be_older(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    """A run that resumes the checkpoint of an earlier release records when it did."""
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    rewrite(file, initiated=None)
    stopped_before_complete(server, bucket, file)
    checkpoint = checkpoint_path(file).read_bytes()
    assert load(checkpoint_path(file)).initiated is not None
    upload(bucket, file)
    checkpoint_path(file).write_bytes(checkpoint)
    server.log.clear()
    assert upload(bucket, file).bytes_sent == 0


def test_server_without_a_clock_is_no_reason_to_fail(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    no_date = {"answer": {"headers": {"date": None}}}
    server.faults.add(fault("InitiateMultipartUpload", no_date))
    upload_id = interrupted(server, bucket, file, parts=3)
    assert load(checkpoint_path(file)).initiated is None
    bucket.abort_multipart_upload(KEY, upload_id)
    upload(bucket, file)


def test_object_made_by_putobject_is_not_taken_for_one_of_parts(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    bucket.put_object(KEY, file.read_bytes(), content_type="text/plain")
    bucket.abort_multipart_upload(KEY, upload_id)
    upload(bucket, file, content_type="text/plain", enable_checkpoint=True)
    assert parts_sent(server.log) == ALL
    assert bucket.head_object(KEY).headers["x-oss-object-type"] == "Multipart"


def test_content_type_that_is_really_sent_is_compared(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    """Nobody gives one here: it is that of the name."""
    file = make_file(folder, SIZE, name="page.html")
    completed_but_not_forgotten(server, bucket, file)
    assert upload(bucket, file).bytes_sent == 0
    completed_but_not_forgotten(server, bucket, file)
    shown = {"answer": {"headers": {"content-type": "application/xhtml+xml"}}}
    server.faults.add(fault("HeadObject", shown))
    upload(bucket, file)
    assert parts_sent(server.log) == ALL


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_lost_answer_is_success_in_a_bucket_that_encrypts_by_itself(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    operation = "CompleteMultipartUpload" if size == SIZE else "PutObject"
    server.faults.add(fault(operation, {"drop": "after_success"}))
    defaults = {"x-oss-server-side-encryption": "AES256", "x-oss-storage-class": "IA"}
    server.faults.add(fault("HeadObject", {"answer": {"headers": defaults}}))
    upload(bucket, file)
