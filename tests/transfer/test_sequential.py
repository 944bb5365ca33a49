"""`sequential=True`: parts one after another, and an object that has its MD5."""

import base64
import hashlib
from pathlib import Path

import pytest

from resumable import Bucket, InvalidArgumentError, PartNotSequentialError
from resumable.server import LocalServer
from tests.support import PART, make_file, parts_sent, requests

from .steps import (
    ALL,
    KEY,
    SIZE,
    change_byte,
    checkpoint_path,
    fault,
    gate,
    interrupted,
    is_known,
    load,
    open_uploads,
    stopped_before_complete,
    under_way,
    upload,
)


def test_parts_go_out_in_order_and_the_object_has_its_md5(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload(bucket, file, sequential=True)
    assert parts_sent(server.log) == ALL
    md5 = base64.b64encode(hashlib.md5(file.read_bytes()).digest()).decode()
    assert bucket.head_object(KEY).headers["content-md5"] == md5


def test_run_that_was_interrupted_goes_on_in_order(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2, sequential=True)
    result = upload(bucket, file, sequential=True)
    assert (parts_sent(server.log), result.parts_reused) == ([3, 4, 5], 2)


@pytest.mark.parametrize("part", [1, 3, 5])
def test_part_that_changed_begins_the_upload_anew(
    server: LocalServer, bucket: Bucket, folder: Path, part: int
) -> None:
    file = make_file(folder, SIZE)
    old = stopped_before_complete(server, bucket, file, sequential=True)
    change_byte(file, (part - 1) * PART)
    result = upload(bucket, file, sequential=True)
    assert (result.resumed, result.bytes_sent) == (False, SIZE)
    assert not is_known(bucket, old)
    assert open_uploads(bucket) == []


def test_other_order_than_before_begins_the_upload_anew(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    old = interrupted(server, bucket, file, parts=2)
    assert upload(bucket, file, sequential=True).bytes_sent == SIZE
    assert not is_known(bucket, old)


@pytest.mark.parametrize("content_md5", [True, False])
def test_part_whose_answer_was_lost_is_not_sent_for_ever(
    server: LocalServer, bucket: Bucket, folder: Path, content_md5: bool
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", {"drop": "after_success"}, skip=1))
    result = upload(bucket, file, sequential=True, content_md5=content_md5)
    assert (result.bytes_sent, requests(server)["InitiateMultipartUpload"]) == (SIZE, 1)


def test_part_that_another_run_brought_is_not_taken_for_ours(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("second"), skip=1, times=1))
    with under_way(server, lambda: upload(bucket, file, sequential=True)) as run:
        server.faults.wait_reached("second")
        bucket.upload_part(KEY, load(checkpoint_path(file)).upload_id, 2, b"x" * PART)
        server.faults.release("second")
        assert run.result().bytes_sent == SIZE
    assert requests(server)["InitiateMultipartUpload"] == 2


def test_sequential_upload_that_is_named_is_not_given_up(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = bucket.init_multipart_upload(KEY, sequential=True).upload_id
    bucket.upload_part(KEY, upload_id, 3, b"x" * PART)
    with pytest.raises(PartNotSequentialError):
        upload(bucket, file, upload_id=upload_id, sequential=True)
    assert is_known(bucket, upload_id)
    assert requests(server)["InitiateMultipartUpload"] == 1


def test_several_threads_are_refused(server: LocalServer, bucket: Bucket, folder: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="thread_num must be 1"):
        upload(bucket, make_file(folder, SIZE), sequential=True, thread_num=2)
    assert len(server.log) == 0
