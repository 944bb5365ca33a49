"""`upload_id=`: going on with an upload of which only the key and the id are known."""

from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    CheckpointError,
    InvalidArgumentError,
    NoSuchUploadError,
    PartNotSequentialError,
)
from resumable.server import LocalServer
from tests.support import KIB, PART, content, make_file, parts_sent, random_bytes, requests

from .steps import (
    ALL,
    KEY,
    PARTS,
    SIZE,
    beside,
    checkpoint_path,
    fault,
    interrupted,
    is_known,
    load,
    open_uploads,
    refused,
    upload,
)


def begun_elsewhere(bucket: Bucket, file: Path, *numbers: int, size: int = PART) -> str:
    """An upload that another program began, with these parts of the file."""
    upload_id = bucket.init_multipart_upload(KEY, metadata={"by": "another"}).upload_id
    data = file.read_bytes()
    for number in numbers:
        part = data[(number - 1) * size : number * size]
        bucket.upload_part(KEY, upload_id, number, part)
    return upload_id


@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_parts_of_the_file_are_kept_and_the_others_sent(
    server: LocalServer, bucket: Bucket, folder: Path, enable_checkpoint: bool
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file, 1, 3)
    bucket.upload_part(KEY, upload_id, 4, random_bytes(PART, seed=9))
    server.log.clear()
    result = upload(bucket, file, upload_id=upload_id, enable_checkpoint=enable_checkpoint)
    assert sorted(parts_sent(server.log)) == [2, 4, 5]
    assert (result.resumed, result.parts_reused, result.parts_total) == (True, 2, PARTS)
    assert requests(server)["InitiateMultipartUpload"] == 0
    assert bucket.head_object(KEY).metadata == {"by": "another"}
    assert open_uploads(bucket) == []
    assert beside(file) == set()


def test_part_size_is_that_of_the_parts_that_are_there(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    size = 150 * KIB
    upload_id = begun_elsewhere(bucket, file, 1, 3, size=size)
    result = upload(bucket, file, upload_id=upload_id, part_size=None)
    assert (result.part_size, result.parts_total, result.parts_reused) == (size, 3, 2)
    assert result.bytes_sent == size


def test_part_size_that_is_asked_for_replaces_parts_of_another(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file, 1, 2, 3, size=150 * KIB)
    result = upload(bucket, file, upload_id=upload_id, part_size=PART)
    assert (result.part_size, result.parts_reused, result.bytes_sent) == (PART, 0, SIZE)


@pytest.mark.parametrize("size", [0, 1, PART])
def test_file_of_one_part_goes_into_the_upload_as_well(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    upload_id = begun_elsewhere(bucket, file)
    upload(bucket, file, upload_id=upload_id)
    assert requests(server)["PutObject"] == 0
    assert bucket.head_object(KEY).metadata == {"by": "another"}


@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_upload_that_was_named_is_not_aborted_by_a_failure(
    server: LocalServer, bucket: Bucket, folder: Path, enable_checkpoint: bool
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file)
    server.faults.add(fault("UploadPart", refused(), skip=2, times=None))
    with pytest.raises(AccessDeniedError) as raised:
        upload(bucket, file, upload_id=upload_id, enable_checkpoint=enable_checkpoint)
    assert "2 of 5 parts" in raised.value.kept
    assert (upload_id in raised.value.kept) == (not enable_checkpoint)
    server.faults.clear()
    server.log.clear()
    upload(bucket, file, upload_id=upload_id, enable_checkpoint=enable_checkpoint)
    assert sorted(parts_sent(server.log)) == [3, 4, 5]


def test_checkpoint_of_a_named_upload_serves_a_run_that_does_not_name_it(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file, 5)
    assert interrupted(server, bucket, file, parts=2, upload_id=upload_id) == upload_id
    assert upload(bucket, file).parts_reused == 3


def test_checkpoint_of_the_upload_that_is_named_is_used(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2, metadata={"a": "b"})
    result = upload(bucket, file, upload_id=upload_id)
    assert (result.parts_reused, parts_sent(server.log)) == (2, [3, 4, 5])
    assert bucket.head_object(KEY).metadata == {"a": "b"}


def test_checkpoint_of_another_upload_is_refused_and_left_alone(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    recorded = interrupted(server, bucket, file, parts=2)
    named = begun_elsewhere(bucket, file, 1)
    before = checkpoint_path(file).read_bytes()
    with pytest.raises(CheckpointError) as raised:
        upload(bucket, file, upload_id=named)
    assert recorded in str(raised.value)
    assert named in str(raised.value)
    assert checkpoint_path(file).read_bytes() == before
    assert sorted(open_uploads(bucket)) == sorted([recorded, named])


@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_upload_that_is_not_there_is_an_error_and_nothing_is_begun(
    server: LocalServer, bucket: Bucket, folder: Path, enable_checkpoint: bool
) -> None:
    file = make_file(folder, SIZE)
    with pytest.raises(NoSuchUploadError):
        upload(bucket, file, upload_id="0" * 32, enable_checkpoint=enable_checkpoint)
    assert requests(server)["InitiateMultipartUpload"] == 0
    assert beside(file) == set()


def test_upload_that_was_completed_since_it_was_seen_is_success(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file, *ALL)
    seen(server, bucket, file, upload_id)
    bucket.complete_multipart_upload(KEY, upload_id, complete_all=True)
    result = upload(bucket, file, upload_id=upload_id)
    assert (result.bytes_sent, result.parts_reused) == (0, result.parts_total)


def test_lost_answer_of_a_named_upload_is_success_whatever_it_was_begun_with(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file, *ALL)
    server.faults.add(fault("CompleteMultipartUpload", {"drop": "after_success"}, times=None))
    assert upload(bucket, file, upload_id=upload_id).parts_reused == len(ALL)
    assert bucket.head_object(KEY).metadata == {"by": "another"}


def seen(server: LocalServer, bucket: Bucket, file: Path, upload_id: str) -> None:
    """Let a run end that has listed the parts of an upload."""
    server.faults.add(fault("CompleteMultipartUpload", refused()))
    with pytest.raises(AccessDeniedError):
        upload(bucket, file, upload_id=upload_id, part_size=None)


def test_object_is_not_taken_for_that_of_an_upload_that_was_never_seen(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file, *ALL)
    bucket.complete_multipart_upload(KEY, upload_id, complete_all=True)
    with pytest.raises(NoSuchUploadError) as raised:
        upload(bucket, file, upload_id=upload_id)
    assert "at the server" not in str(raised.value)
    assert requests(server)["InitiateMultipartUpload"] == 1


def test_upload_that_is_aborted_meanwhile_is_an_error(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file)
    lost = {"status": 404, "code": "NoSuchUpload"}
    server.faults.add(fault("UploadPart", lost, skip=2, times=None))
    with pytest.raises(NoSuchUploadError):
        upload(bucket, file, upload_id=upload_id)
    assert requests(server)["InitiateMultipartUpload"] == 1


@pytest.mark.parametrize("options", [{"metadata": {"a": "b"}}, {"storage_class": "IA"}])
def test_what_initiate_would_be_told_is_refused(
    server: LocalServer, bucket: Bucket, folder: Path, options: dict[str, object]
) -> None:
    file = make_file(folder, SIZE)
    with pytest.raises(InvalidArgumentError, match="when it was begun"):
        upload(bucket, file, upload_id="U", **options)  # type: ignore[arg-type]
    assert len(server.log) == 0


@pytest.mark.parametrize("upload_id", ["", "a b", "a\nb", "中", 5])
def test_what_is_no_upload_id_is_refused(
    server: LocalServer, bucket: Bucket, folder: Path, upload_id: str
) -> None:
    with pytest.raises(InvalidArgumentError):
        upload(bucket, make_file(folder, SIZE), upload_id=upload_id)
    assert len(server.log) == 0


def test_what_complete_is_told_is_not(server: LocalServer, bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file)
    upload(bucket, file, upload_id=upload_id, forbid_overwrite=True, request_payer="requester")
    assert content(bucket, KEY) == file.read_bytes()


def test_file_that_has_outgrown_the_upload_does_not_abort_it(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    with file.open("r+b") as grown:
        grown.truncate(10_001 * PART)
    with pytest.raises(CheckpointError, match="outgrown"):
        upload(bucket, file, upload_id=upload_id)
    assert is_known(bucket, upload_id)
    assert load(checkpoint_path(file)).upload_id == upload_id


def test_named_upload_is_not_aborted_by_the_next_run_either(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file)
    interrupted(server, bucket, file, parts=2, upload_id=upload_id)
    with pytest.raises(CheckpointError, match="not begun here"):
        upload(bucket, file, metadata={"by": "another"})
    assert is_known(bucket, upload_id)
    upload(bucket, file)
    assert bucket.head_object(KEY).metadata == {"by": "another"}


def test_named_upload_of_a_small_file_is_taken_up_by_the_next_run(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, PART)
    upload_id = begun_elsewhere(bucket, file)
    interrupted(server, bucket, file, parts=0, upload_id=upload_id)
    upload(bucket, file)
    assert bucket.head_object(KEY).metadata == {"by": "another"}


def test_naming_the_upload_of_a_checkpoint_does_not_make_it_another_s(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=1, metadata={"a": "b"})
    assert interrupted(server, bucket, file, parts=1, upload_id=upload_id) == upload_id
    assert upload(bucket, file, metadata={"a": "b"}).parts_reused == 2


def test_upload_that_was_completed_is_told_as_it_was_cut(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = begun_elsewhere(bucket, file, 1, 2, 3, size=150 * KIB)
    seen(server, bucket, file, upload_id)
    bucket.complete_multipart_upload(KEY, upload_id, complete_all=True)
    result = upload(bucket, file, upload_id=upload_id, part_size=200 * KIB)
    assert (result.part_size, result.parts_total) == (150 * KIB, 3)


def test_advice_to_upload_without_the_upload_id_is_followed_with_success(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = bucket.init_multipart_upload(KEY, sequential=True).upload_id
    bucket.upload_part(KEY, upload_id, 3, random_bytes(PART, 7))
    with pytest.raises(PartNotSequentialError, match="upload without upload_id="):
        upload(bucket, file, upload_id=upload_id)
    upload(bucket, file)
