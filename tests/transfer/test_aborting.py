"""Giving an upload up by its id, or by the checkpoint of a file."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from resumable import (
    AbortIncompleteError,
    AccessDeniedError,
    Bucket,
    CheckpointError,
    NoSuchUploadError,
    TransferLockedError,
    abort_checkpoint,
    abort_upload,
)
from resumable.server import LocalServer
from resumable.transfer.checkpoints import CheckpointFile
from tests.support import CREDENTIALS, PART, local_bucket, make_file, requests

from .steps import (
    KEY,
    SIZE,
    beside,
    checkpoint_path,
    fault,
    gate,
    interrupted,
    is_known,
    open_uploads,
    refused,
    under_way,
    upload,
)


def begun(bucket: Bucket) -> str:
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    bucket.upload_part(KEY, upload_id, 1, b"x")
    return upload_id


def test_upload_is_aborted_and_seen_to_be_gone(server: LocalServer, bucket: Bucket) -> None:
    upload_id = begun(bucket)
    abort_upload(bucket, KEY, upload_id)
    assert open_uploads(bucket) == []
    assert requests(server)["ListParts"] == 1


def test_part_in_flight_that_survives_is_aborted_as_well(
    server: LocalServer, bucket: Bucket
) -> None:
    upload_id = begun(bucket)
    server.faults.add(fault("AbortMultipartUpload", {"status": 204, "body": ""}))
    abort_upload(bucket, KEY, upload_id)
    assert requests(server)["AbortMultipartUpload"] == 2
    assert not is_known(bucket, upload_id)


def test_upload_that_stays_is_an_error_that_says_so(server: LocalServer, bucket: Bucket) -> None:
    upload_id = begun(bucket)
    server.faults.add(fault("AbortMultipartUpload", {"status": 204, "body": ""}, times=None))
    with pytest.raises(AbortIncompleteError, match="still there after 5 aborts") as raised:
        abort_upload(bucket, KEY, upload_id)
    assert upload_id in str(raised.value)


def test_who_may_abort_but_not_list_is_content_with_one(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upload_id = begun(bucket)
    server.faults.add(fault("ListParts", refused(), times=None))
    abort_upload(bucket, KEY, upload_id)
    assert open_uploads(bucket) == []
    assert "whether parts survived is not known" in caplog.text
    server.faults.add(fault("UploadPart", refused(), times=None))
    with pytest.raises(AccessDeniedError) as raised:
        upload(bucket, make_file(folder, SIZE), enable_checkpoint=False)
    assert raised.value.kept == "Nothing is kept: the upload was aborted"


def test_upload_that_never_was_is_told(bucket: Bucket) -> None:
    with pytest.raises(NoSuchUploadError):
        abort_upload(bucket, KEY, "0" * 32)


def test_request_payer_goes_with_each_request(server: LocalServer, bucket: Bucket) -> None:
    upload_id = begun(bucket)
    server.log.clear()
    abort_upload(bucket, KEY, upload_id, request_payer="requester")
    assert [e.headers.get("x-oss-request-payer") for e in server.log] == ["requester"] * 2


def test_checkpoint_and_its_upload_are_given_up(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    given_up = abort_checkpoint(bucket, file)
    assert given_up is not None
    assert given_up.upload_was_there
    assert given_up.checkpoint.upload_id == upload_id
    assert given_up.checkpoint.parts_done == (1, 2)
    assert open_uploads(bucket) == []
    assert beside(file) == set()


def test_checkpoint_can_be_given_up_when_the_file_is_gone(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    file.unlink()
    assert abort_checkpoint(bucket, file) is not None
    assert open_uploads(bucket) == []
    assert list(folder.iterdir()) == []


def test_without_a_checkpoint_there_is_nothing_to_give_up(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    assert abort_checkpoint(bucket, file) is None
    assert abort_checkpoint(bucket, file, checkpoint_path=folder / "other.cp") is None
    assert len(server.log) == 0
    assert beside(file) == set()


def test_checkpoint_whose_upload_is_gone_is_removed(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    abort_upload(bucket, KEY, interrupted(server, bucket, file, parts=2))
    given_up = abort_checkpoint(bucket, file)
    assert given_up is not None
    assert not given_up.upload_was_there
    assert beside(file) == set()


def test_checkpoint_is_kept_when_its_upload_cannot_be_aborted(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    server.faults.add(fault("AbortMultipartUpload", refused(), times=None))
    with pytest.raises(AccessDeniedError):
        abort_checkpoint(bucket, file)
    assert beside(file) == {checkpoint_path(file).name}


def test_checkpoint_of_another_endpoint_of_the_bucket_is_aborted(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    with local_bucket(f"http://localhost:{server.port}") as other:
        aborted = abort_checkpoint(other, file)
    assert aborted is not None
    assert aborted.upload_was_there
    assert not is_known(bucket, upload_id)
    assert beside(file) == set()


def test_checkpoint_whose_upload_another_endpoint_does_not_know_is_kept(
    server: LocalServer, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    with LocalServer(tmp_path / "another-root") as another:
        elsewhere = local_bucket(another.endpoint)
        elsewhere.put_object("so that there is a bucket", b"")
        with elsewhere, pytest.raises(CheckpointError, match="does not know") as raised:
            abort_checkpoint(elsewhere, file)
    assert bucket.endpoint in raised.value.advice
    assert upload_id in str(raised.value)
    assert beside(file) == {checkpoint_path(file).name}


def test_checkpoint_of_another_bucket_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    wrong = Bucket("otherbucket", endpoint=bucket.endpoint, credentials=CREDENTIALS)
    with wrong, pytest.raises(CheckpointError, match="examplebucket"):
        abort_checkpoint(wrong, file)
    assert len(server.log) == 0
    assert beside(file) == {checkpoint_path(file).name}


def test_checkpoint_that_a_run_works_on_is_not_given_up(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    with (
        CheckpointFile(str(checkpoint_path(file))).locked(),
        pytest.raises(TransferLockedError),
    ):
        abort_checkpoint(bucket, file)
    assert is_known(bucket, upload_id)


def test_checkpoint_of_a_run_that_ends_meanwhile_is_not_given_up(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    locked = CheckpointFile.locked

    def locked_after_the_run(checkpoint: CheckpointFile) -> AbstractContextManager[None]:
        checkpoint_path(file).unlink()
        return locked(checkpoint)

    monkeypatch.setattr(CheckpointFile, "locked", locked_after_the_run)
    assert abort_checkpoint(bucket, file) is None
    assert requests(server)["AbortMultipartUpload"] == 0
    assert is_known(bucket, upload_id)
    assert beside(file) == set()


def test_part_that_is_stored_during_an_abort_does_not_stay(
    server: LocalServer, bucket: Bucket
) -> None:
    upload_id = begun(bucket)
    server.faults.add(fault("AbortMultipartUpload", gate("abort"), times=1))
    with under_way(server, lambda: abort_upload(bucket, KEY, upload_id)) as run:
        server.faults.wait_reached("abort")
        bucket.upload_part(KEY, upload_id, 2, b"y" * PART)
        server.faults.release("abort")
        run.result()
    assert open_uploads(bucket) == []
