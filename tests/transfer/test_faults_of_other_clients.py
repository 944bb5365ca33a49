"""What other clients of OSS get wrong, each test named after the fault that it prevents.

The numbers are those of the comparison of clients; missing ones concern downloads and streams.
"""

import errno
import os
import re
import threading
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    Callback,
    CheckpointError,
    FileAlreadyExistsError,
    IntegrityError,
    ResumableError,
    ServerError,
    SourceChangedError,
    TransferLockedError,
)
from resumable.server import LocalServer
from resumable.transfer import files
from tests.callbacks import CallbackReceiver
from tests.support import PART, content, make_file, parts_sent, random_bytes, requests

from .steps import (
    ALL,
    KEY,
    SIZE,
    beside,
    change_byte,
    checkpoint_path,
    exists,
    fault,
    gate,
    interrupted,
    is_known,
    load,
    open_uploads,
    recorded,
    refused,
    rewrite,
    stopped_before_complete,
    under_way,
    upload,
)

COMPLETE = "CompleteMultipartUpload"


def test_prevents_object_mixed_of_two_versions(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 1: the source changes during the upload; not noticed by any of the four.
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("third")
        file.write_bytes(random_bytes(SIZE, seed=1))
        server.faults.release("third")
        with pytest.raises(SourceChangedError):
            run.result()
    assert not exists(bucket)


def test_prevents_sending_again_after_a_crash_behind_complete(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 2: the crash comes after Complete, before the checkpoint is gone.
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    left = checkpoint_path(file).read_bytes()
    upload(bucket, file)
    checkpoint_path(file).write_bytes(left)
    assert upload(bucket, file).bytes_sent == 0
    assert requests(server)["UploadPart"] == 0


def test_prevents_failure_for_a_lost_complete_answer(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 3: the client's own second try is told NoSuchUpload, and it takes that for a failure.
    server.faults.add(fault(COMPLETE, {"drop": "after_success"}))
    upload(bucket, make_file(folder, SIZE))
    codes = [exchange.code for exchange in server.log if exchange.operation == COMPLETE]
    assert codes == [None, "NoSuchUpload"]
    assert requests(server)["AbortMultipartUpload"] == 0


@pytest.mark.parametrize("why", ["failed", "other-headers", "fits-one-part"])
def test_prevents_orphan_parts_of_what_was_given_up(
    server: LocalServer, bucket: Bucket, folder: Path, why: str
) -> None:
    # 4: uploads given up are never aborted.
    file = make_file(folder, SIZE)
    if why == "failed":
        server.faults.add(fault("UploadPart", refused(), part_number=4))
        with pytest.raises(AccessDeniedError):
            upload(bucket, file, enable_checkpoint=False)
    else:
        upload_id = interrupted(server, bucket, file, parts=3)
        os.truncate(file, PART if why == "fits-one-part" else SIZE)
        upload(bucket, file, headers={"x-oss-meta-edition": "2"})
        assert not is_known(bucket, upload_id)
    assert open_uploads(bucket) == []


def test_prevents_one_list_request_for_each_part(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 5: 99 parts: 100 requests.
    file = make_file(folder, 99 * PART)
    stopped_before_complete(server, bucket, file, thread_num=4)
    assert upload(bucket, file).parts_reused == 99
    assert requests(server)["ListParts"] == 1


def test_prevents_unverified_object_after_a_resume(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 6
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3)
    lie = {"answer": {"headers": {"x-oss-hash-crc64ecma": "1"}}}
    server.faults.add(fault(COMPLETE, lie))
    with pytest.raises(IntegrityError):
        upload(bucket, file)


def test_prevents_failure_for_one_500(server: LocalServer, bucket: Bucket, folder: Path) -> None:
    # 7
    server.faults.add(fault("UploadPart", refused(500, "InternalError"), part_number=3))
    assert upload(bucket, make_file(folder, SIZE)).bytes_sent == SIZE


def test_prevents_sending_the_rest_after_a_failure(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 7: all remaining parts are sent first.
    file = make_file(folder, 40 * PART)
    server.faults.add(fault("UploadPart", refused(), part_number=3))
    server.faults.add(fault("UploadPart", {"stall": 0.02}, times=None))
    with pytest.raises(AccessDeniedError):
        upload(bucket, file, thread_num=2)
    # The other thread may begin some while the refusal is on its way.
    assert max(parts_sent(server.log)) < 20


def test_prevents_threads_that_upload_after_a_stop(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 7: after Ctrl-C, or any other exception in the caller's thread.
    file = make_file(folder, 40 * PART)
    server.faults.add(fault("UploadPart", gate("held"), skip=6, times=None))

    def give_up(_: object) -> None:
        if requests(server)["UploadPart"] >= 6:
            server.faults.wait_reached("held", count=3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload(bucket, file, thread_num=3, progress=give_up)
    assert not [thread for thread in threading.enumerate() if "resumable" in thread.name]
    server.faults.clear()
    assert len(load(checkpoint_path(file)).parts) <= 9


def test_prevents_failure_for_a_record_removed_by_others(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 10: FileNotFoundError after a successful upload.
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, gate("complete")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("complete")
        for name in beside(file):
            (folder / name).unlink()
        server.faults.release("complete")
        run.result()


@pytest.mark.parametrize("record", ["", "\0" * 500])
def test_prevents_error_on_every_run_for_a_record_that_is_none(
    server: LocalServer, bucket: Bucket, folder: Path, record: str
) -> None:
    # 20: a corrupt index is a segmentation fault.
    file = make_file(folder, SIZE)
    checkpoint_path(file).write_text(record)
    assert upload(bucket, file).bytes_sent == SIZE


@pytest.mark.parametrize("record", ['"a JSON string"', "[]", "1", "{}"])
def test_prevents_error_without_a_type_for_a_file_in_the_place_of_the_record(
    server: LocalServer, bucket: Bucket, folder: Path, record: str
) -> None:
    # 10: TypeError.
    file = make_file(folder, SIZE)
    checkpoint_path(file).write_text(record)
    with pytest.raises(CheckpointError, match=re.escape(str(checkpoint_path(file)))):
        upload(bucket, file)
    assert checkpoint_path(file).read_text() == record
    assert list(server.log) == []


def test_prevents_loss_of_all_parts_for_a_failed_list(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 16
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    server.faults.add(fault("ListParts", refused(500, "InternalError"), times=None))
    with pytest.raises(ServerError):
        upload(bucket, file)
    server.faults.clear()
    assert upload(bucket, file).parts_reused == 3
    assert {exchange.upload_id for exchange in server.log if exchange.upload_id} == {upload_id}


@pytest.mark.parametrize("missing", [1, 3])
def test_prevents_loss_of_parts_behind_a_gap(
    server: LocalServer, bucket: Bucket, folder: Path, missing: int
) -> None:
    # 16: only the contiguous prefix is reused; part 1 missing, and all is sent again.
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("gap"), part_number=missing))
    server.faults.add(fault("UploadPart", gate("rest"), part_number=5))
    for part in (missing, 5):
        server.faults.add(fault("UploadPart", refused(), part_number=part))
    with under_way(server, lambda: upload(bucket, file, thread_num=2)) as run:
        server.faults.wait_reached("rest")
        server.faults.release("gap")
        server.faults.release("rest")
        with pytest.raises(AccessDeniedError):
            run.result()
    server.log.clear()
    assert upload(bucket, file).parts_reused == 3
    assert sorted(parts_sent(server.log)) == sorted({missing, 5})


def test_prevents_failure_for_a_wrong_clock(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 17
    server.faults.add(fault("*", {"skew": 3600}, times=None))
    upload(bucket, make_file(folder, SIZE))
    refusals = [exchange.code for exchange in server.log if exchange.code]
    assert refusals == ["RequestTimeTooSkewed"]


def test_prevents_parts_without_the_traffic_limit(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 17
    upload(bucket, make_file(folder, SIZE), headers={"x-oss-traffic-limit": "819200"})
    limits = [
        exchange.headers.get("x-oss-traffic-limit")
        for exchange in server.log
        if exchange.operation == "UploadPart"
    ]
    assert limits == ["819200"] * 5


def test_prevents_orphan_parts_when_complete_fails_once(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 18: the checkpoint is removed although Complete has failed.
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, refused()))
    with pytest.raises(AccessDeniedError):
        upload(bucket, file)
    assert recorded(file) == ALL
    assert upload(bucket, file).bytes_sent == 0


def test_prevents_being_stuck_with_the_same_file_to_another_key(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 19: the checkpoint ignores bucket and key.
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3)
    with pytest.raises(CheckpointError, match="checkpoint_path="):
        upload(bucket, file, key="other")
    upload(bucket, file, key="other", checkpoint_path=folder / "other.cp")
    assert upload(bucket, file).parts_reused == 3


def test_prevents_completing_the_key_of_an_old_checkpoint(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 21: the old key is completed, and success returned.
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    with pytest.raises(CheckpointError):
        upload(bucket, file, key="other")
    assert not exists(bucket)
    assert not exists(bucket, "other")


@pytest.mark.parametrize("with_records", [True, False])
def test_prevents_mixing_two_files_by_one_checkpoint(
    server: LocalServer, bucket: Bucket, folder: Path, with_records: bool
) -> None:
    # 21: one file's parts under the other's name.
    one, two = make_file(folder, SIZE), make_file(folder, SIZE, seed=1, name="two.bin")
    change_byte(one, SIZE - 1)
    stopped_before_complete(server, bucket, one)
    if not with_records:
        rewrite(one, parts=())
    upload(bucket, two, checkpoint_path=checkpoint_path(one))
    assert sorted(parts_sent(server.log)) == ALL


def test_prevents_torn_checkpoint(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 22: written in place.
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    before = checkpoint_path(file).read_bytes()

    write_all = files._write_all

    def write_half(descriptor: int, data: bytes) -> None:
        if b'"upload_id"' not in data:
            return write_all(descriptor, data)
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    server.faults.add(fault("UploadPart", refused(), skip=1))
    with monkeypatch.context() as patched:
        patched.setattr(files, "_write_all", write_half)
        with pytest.raises(ResumableError):
            upload(bucket, file)
    assert checkpoint_path(file).read_bytes() == before
    assert upload(bucket, file).parts_reused == 3


def test_prevents_checkpoint_readable_by_the_world(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 22
    file = make_file(folder, SIZE)
    before = os.umask(0)
    try:
        interrupted(server, bucket, file, parts=2)
    finally:
        os.umask(before)
    assert checkpoint_path(file).stat().st_mode & 0o077 == 0


def test_prevents_two_runs_on_one_upload_id(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 22: without a lock one of the two fails, or spoils what the other sends.
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("third")
        with pytest.raises(TransferLockedError):
            upload(bucket, file)
        server.faults.release("third")
        run.result()
    assert parts_sent(server.log) == ALL


@pytest.mark.parametrize("size", [PART, SIZE], ids=["small", "large"])
def test_prevents_overwriting_of_large_objects_where_that_is_forbidden(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    # 24: the header goes to Initiate and not to Complete.
    file = make_file(folder, size)
    last = "PutObject" if size == PART else COMPLETE
    server.faults.add(fault(last, gate("last")))
    with under_way(
        server, lambda: upload(bucket, file, headers={"x-oss-forbid-overwrite": "true"})
    ) as run:
        server.faults.wait_reached("last")
        if size == PART:
            small = bucket.init_multipart_upload(KEY)
            part = bucket.upload_part(KEY, small.upload_id, 1, b"precious")
            bucket.complete_multipart_upload(KEY, small.upload_id, [part])
        else:
            bucket.put_object(KEY, b"precious")
        server.faults.release("last")
        with pytest.raises(FileAlreadyExistsError):
            run.result()
    assert content(bucket, KEY) == b"precious"


@pytest.mark.parametrize("size", [PART, SIZE], ids=["small", "large"])
def test_prevents_callback_that_is_never_called(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    # 24
    with CallbackReceiver() as receiver:
        callback = Callback(receiver.url, "key=${object}")
        upload(bucket, make_file(folder, size), callback=callback)
        assert [told.form for told in receiver.received] == [{"key": KEY}]
    last = "PutObject" if size == PART else COMPLETE
    with_callback = [e.operation for e in server.log if "x-oss-callback" in e.headers]
    assert with_callback == [last]


def test_prevents_mismatch_that_repeats_on_every_run(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    # 25: the checkpoint is kept, and with it the failure.
    file = make_file(folder, SIZE)
    lie = {"answer": {"headers": {"x-oss-hash-crc64ecma": "1"}}}
    server.faults.add(fault(COMPLETE, lie))
    server.faults.add(fault("HeadObject", lie, times=None))
    with pytest.raises(IntegrityError):
        upload(bucket, file)
    assert upload(bucket, file).bytes_sent == SIZE
