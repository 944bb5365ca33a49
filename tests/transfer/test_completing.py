"""Complete: lost answers, refusals, verification, and what is left afterwards."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from resumable import (
    Bucket,
    Callback,
    CallbackFailedError,
    IntegrityError,
    InvalidPartError,
    NetworkError,
    ServerError,
)
from resumable.core.checkpoint import PartRecord
from resumable.server import LocalServer
from resumable.transfer.ledger import Ledger
from tests.support import (
    PART,
    local_bucket,
    make_file,
    parts_sent,
    random_bytes,
    requests,
)

from .steps import (
    ALL,
    KEY,
    SIZE,
    Options,
    beside,
    checkpoint_path,
    exists,
    fault,
    gate,
    interrupted,
    load,
    open_uploads,
    recorded,
    refused,
    stopped_before_complete,
    under_way,
    upload,
)

COMPLETE = "CompleteMultipartUpload"
NO_CRC = {"answer": {"headers": {"x-oss-hash-crc64ecma": None}}}
WRONG_CRC = {"answer": {"headers": {"x-oss-hash-crc64ecma": "12345"}}}

OTHER_ENDINGS = [
    pytest.param({"drop": "after_success"}, id="closed"),
    pytest.param({"drop": "after_success", "reset": True}, id="reset"),
    pytest.param({"drop": "during_answer"}, id="cut-off"),
    pytest.param({"stall_answer": None}, id="never-comes"),
    pytest.param({"answer": {"status": 502, "body": "<html>Bad Gateway"}}, id="bad-gateway"),
    pytest.param({"answer": {"body": "<html>a proxy"}}, id="a-proxy-s-page"),
]


def completed_but_not_forgotten(server: LocalServer, bucket: Bucket, file: Path) -> None:
    """Let a run end after Complete, with the checkpoint left as by a crash."""
    stopped_before_complete(server, bucket, file)
    checkpoint = checkpoint_path(file).read_bytes()
    upload(bucket, file)
    checkpoint_path(file).write_bytes(checkpoint)
    server.log.clear()


@pytest.mark.parametrize("effect", OTHER_ENDINGS)
@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_lost_complete_answer_is_success(
    server: LocalServer,
    folder: Path,
    effect: Mapping[str, object],
    enable_checkpoint: bool,
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, effect))
    with local_bucket(server.endpoint, timeout=0.3) as bucket:
        result = upload(bucket, file, enable_checkpoint=enable_checkpoint)
        assert open_uploads(bucket) == []
    assert parts_sent(server.log) == ALL
    assert (result.bytes_sent, result.resumed) == (SIZE, False)
    assert beside(file) == set()


def test_answer_that_never_arrives_is_success_if_the_object_is_there(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, {"drop": "after_success"}, times=None))
    assert upload(bucket, file).bytes_sent == SIZE
    assert parts_sent(server.log) == ALL
    assert beside(file) == set()


def test_complete_that_never_arrives_is_done_by_the_next_run(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, {"drop": "before"}, times=None))
    with pytest.raises(NetworkError) as raised:
        upload(bucket, file)
    assert "5 of 5 parts" in raised.value.kept
    assert not exists(bucket)
    server.faults.clear()
    server.log.clear()
    assert upload(bucket, file).bytes_sent == 0
    assert requests(server)["UploadPart"] == 0


def test_unknown_outcome_of_complete_is_found_out_by_the_next_run(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, {"drop": "after_success"}, times=None))
    server.faults.add(fault("HeadObject", {"drop": "before"}, times=None))
    with pytest.raises(NetworkError):
        upload(bucket, file)
    server.faults.clear()
    server.log.clear()
    result = upload(bucket, file)
    assert (result.bytes_sent, result.bytes_reused, result.parts_reused) == (0, SIZE, 5)
    assert result.resumed
    assert set(requests(server)) == {"ListParts", "AbortMultipartUpload", "HeadObject", "GetObject"}
    assert beside(file) == set()


def test_crash_between_complete_and_forgetting_the_checkpoint_sends_nothing_again(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    completed_but_not_forgotten(server, bucket, file)
    result = upload(bucket, file)
    assert (result.bytes_sent, result.parts_reused, result.resumed) == (0, 5, True)
    assert set(requests(server)) == {"ListParts", "AbortMultipartUpload", "HeadObject", "GetObject"}
    assert beside(file) == set()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(random_bytes(SIZE, seed=7), id="same-size"),
        pytest.param(random_bytes(PART, seed=7), id="other-size"),
    ],
)
def test_upload_id_is_gone_and_the_object_is_another(
    server: LocalServer, bucket: Bucket, folder: Path, other: bytes
) -> None:
    file = make_file(folder, SIZE)
    completed_but_not_forgotten(server, bucket, file)
    bucket.put_object(KEY, other)
    result = upload(bucket, file)
    assert (result.bytes_sent, result.resumed) == (SIZE, False)
    assert parts_sent(server.log) == ALL


def test_nothing_is_sent_again_while_it_is_unknown_whether_the_object_is_there(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    completed_but_not_forgotten(server, bucket, file)
    server.faults.add(fault("HeadObject", refused(500, "InternalError"), times=None))
    with pytest.raises(ServerError):
        upload(bucket, file)
    server.faults.clear()
    assert upload(bucket, file).bytes_sent == 0
    assert requests(server)["UploadPart"] == 0


def test_object_that_may_not_be_looked_at_does_not_block_for_ever(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    completed_but_not_forgotten(server, bucket, file)
    server.faults.add(fault("HeadObject", refused(403, "AccessDenied"), times=None))
    assert upload(bucket, file).bytes_sent == SIZE


def test_same_bytes_under_older_metadata_are_not_taken_for_our_object(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    headers = {"x-oss-meta-edition": "2"}
    upload_id = interrupted(server, bucket, file, parts=3, headers=headers)
    bucket.abort_multipart_upload(KEY, upload_id)
    bucket.put_object(KEY, file.read_bytes(), headers={"x-oss-meta-edition": "1"})
    upload(bucket, file, headers=headers)
    assert parts_sent(server.log) == ALL
    assert bucket.head_object(KEY).headers["x-oss-meta-edition"] == "2"


OTHERWISE: list[Options] = [
    {"storage_class": "IA"},
    {"server_side_encryption": "AES256"},
    {"tags": {"a": "1"}},
    {"metadata": {"a": "1"}},
    {"acl": "private"},
    {"callback": Callback("http://127.0.0.1:9/", "a=b")},
]


@pytest.mark.parametrize("wanted", OTHERWISE, ids=lambda wanted: next(iter(wanted)))
def test_object_of_other_attributes_is_not_taken_for_ours(
    server: LocalServer, bucket: Bucket, folder: Path, wanted: Options
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3, **wanted)
    bucket.abort_multipart_upload(KEY, upload_id)
    bucket.put_object(KEY, file.read_bytes())
    with suppress(CallbackFailedError):
        upload(bucket, file, **wanted)
    assert parts_sent(server.log) == ALL


@pytest.mark.parametrize("wanted", OTHERWISE[:-1], ids=lambda wanted: next(iter(wanted)))
def test_object_of_these_attributes_is_taken_for_ours(
    server: LocalServer, bucket: Bucket, folder: Path, wanted: Options
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file, **wanted)
    checkpoint = checkpoint_path(file).read_bytes()
    upload(bucket, file, **wanted)
    checkpoint_path(file).write_bytes(checkpoint)
    server.log.clear()
    upload(bucket, file, **wanted)
    assert parts_sent(server.log) == []


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_object_that_was_there_before_is_not_taken_for_ours(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    bucket.put_object(KEY, file.read_bytes())
    # Nothing arrives; and by the server's clock the object is an hour old.
    operation = COMPLETE if size == SIZE else "PutObject"
    server.faults.add(fault(operation, {"drop": "before"}, times=None))
    server.faults.add(fault("HeadObject", {"skew": 3600}, times=None))
    server.faults.add(fault("ListParts", refused(404, "NoSuchUpload"), times=None))
    with pytest.raises(NetworkError):
        upload(bucket, file, enable_checkpoint=False, acl="private")


def test_wrong_word_that_an_upload_is_gone_leaves_nothing_behind(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", refused(404, "NoSuchUpload"), skip=2, times=1))
    upload(bucket, file)
    assert open_uploads(bucket) == []


def test_wrong_word_at_complete_leaves_nothing_though_the_object_was_just_made(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload(bucket, file)
    server.faults.add(fault(COMPLETE, refused(404, "NoSuchUpload")))
    upload(bucket, file)
    assert open_uploads(bucket) == []


def test_upload_that_is_believed_to_be_complete_is_named(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two wrong words in a row are believed; whoever reads the log can look for what is left."""
    file = make_file(folder, SIZE)
    upload(bucket, file)
    server.faults.add(fault(COMPLETE, refused(404, "NoSuchUpload")))
    server.faults.add(fault("ListParts", refused(404, "NoSuchUpload")))
    upload(bucket, file)
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    (left,) = open_uploads(bucket)
    assert any(f"upload {left} is gone" in told for told in warned)


def test_upload_completed_by_others_while_sending_is_success(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    found = load(checkpoint_path(file))
    server.faults.add(fault(COMPLETE, gate("complete")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("complete")
        bucket.complete_multipart_upload(
            KEY, found.upload_id, list(bucket.iter_parts(KEY, found.upload_id))
        )
        server.faults.release("complete")
        assert run.result().bytes_sent == 0
    assert beside(file) == set()


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (403, "AccessDenied")])
def test_complete_that_fails_for_good_keeps_the_parts(
    server: LocalServer, bucket: Bucket, folder: Path, status: int, code: str
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, refused(status, code), times=None))
    with pytest.raises(ServerError) as raised:
        upload(bucket, file)
    last = [exchange for exchange in server.log if exchange.operation == COMPLETE][-1]
    assert (raised.value.status, raised.value.request_id) == (status, last.request_id)
    assert recorded(file) == ALL
    assert requests(server)["AbortMultipartUpload"] == 0
    server.faults.clear()
    server.log.clear()
    assert upload(bucket, file).bytes_sent == 0
    assert requests(server)["UploadPart"] == 0


def test_part_of_another_size_is_not_completed(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Ledger.record

    def shortened(self: Ledger, part: PartRecord) -> None:
        record(self, replace(part, size=0) if part.number == 2 else part)

    monkeypatch.setattr(Ledger, "record", shortened)
    with pytest.raises(IntegrityError, match="acknowledged"):
        upload(bucket, make_file(folder, SIZE))
    assert requests(server)[COMPLETE] == 0


def test_same_bytes_from_before_do_not_make_a_failed_complete_a_success(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    bucket.put_object(KEY, file.read_bytes(), headers={"x-oss-object-acl": "public-read"})
    server.faults.add(fault(COMPLETE, refused(500, "InternalError"), times=None))
    # No HEAD tells the access rights: the object asked for is not the one that is there.
    with pytest.raises(ServerError):
        upload(bucket, file, headers={"x-oss-object-acl": "private"})
    assert recorded(file) == ALL


def test_part_lost_before_complete_is_listed_and_sent_again(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, gate("complete")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("complete")
        upload_id = load(checkpoint_path(file)).upload_id
        bucket.upload_part(KEY, upload_id, 2, random_bytes(PART, seed=9))
        server.log.clear()
        server.faults.release("complete")
        assert run.result().bytes_sent == SIZE
    assert parts_sent(server.log) == [2]
    assert requests(server)["ListParts"] == 1


def test_invalid_part_for_ever_ends_with_an_error(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, refused(400, "InvalidPart"), times=None))
    with pytest.raises(InvalidPartError):
        upload(bucket, file)
    assert requests(server)[COMPLETE] == 3
    assert parts_sent(server.log) == ALL
    assert recorded(file) == ALL


@pytest.mark.parametrize("parts_before", [0, 3], ids=["first-run", "resumed"])
def test_object_is_verified_by_combined_crc(
    server: LocalServer, bucket: Bucket, folder: Path, parts_before: int
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=parts_before)
    server.faults.add(fault(COMPLETE, WRONG_CRC))
    with pytest.raises(IntegrityError, match="CRC-64 12345") as raised:
        upload(bucket, file)
    complete = [exchange for exchange in server.log if exchange.operation == COMPLETE]
    assert raised.value.request_id == complete[-1].request_id
    assert "upload the file again" in raised.value.advice


def test_wrong_object_is_not_told_to_be_resumable(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, WRONG_CRC))
    with pytest.raises(IntegrityError) as raised:
        upload(bucket, file)
    assert open_uploads(bucket) == []
    assert "parts are at the server" not in str(raised.value)


@pytest.mark.parametrize("operation", [COMPLETE, "PutObject"])
def test_crc_that_the_answer_does_not_tell_is_asked_for(
    server: LocalServer, bucket: Bucket, folder: Path, operation: str
) -> None:
    size = SIZE if operation == COMPLETE else PART
    server.faults.add(fault(operation, NO_CRC))
    assert upload(bucket, make_file(folder, size)).bytes_sent == size
    assert requests(server)["HeadObject"] == 1


@pytest.mark.parametrize("effect", [refused(), WRONG_CRC], ids=["no-head", "wrong-crc"])
def test_object_that_cannot_be_verified_is_no_success(
    server: LocalServer, bucket: Bucket, folder: Path, effect: Mapping[str, object]
) -> None:
    server.faults.add(fault(COMPLETE, NO_CRC))
    server.faults.add(fault("HeadObject", effect, times=None))
    with pytest.raises(IntegrityError):
        upload(bucket, make_file(folder, SIZE))


def test_mismatch_does_not_repeat_itself_on_the_next_run(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, WRONG_CRC))
    server.faults.add(fault("HeadObject", WRONG_CRC, times=None))
    with pytest.raises(IntegrityError):
        upload(bucket, file)
    result = upload(bucket, file)
    assert (result.bytes_sent, result.resumed) == (SIZE, False)
    assert beside(file) == set()


@pytest.mark.parametrize("parts_before", [0, 5], ids=["first-run", "resumed"])
def test_checkpoint_stays_until_the_object_is_verified(
    server: LocalServer, bucket: Bucket, folder: Path, parts_before: int
) -> None:
    file = make_file(folder, SIZE)
    if parts_before:
        stopped_before_complete(server, bucket, file)
    server.faults.add(fault(COMPLETE, gate("made", "after")))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("made")
        assert recorded(file) == ALL
        server.faults.release("made")
        run.result()
    assert beside(file) == set()


@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_success_clears_away_what_killed_runs_left(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, size)
    if size == SIZE:
        stopped_before_complete(server, bucket, file)
    for name in ("example.bin.cp.lock", "example.bin.cp.resumable-new"):
        (folder / name).touch()
    upload(bucket, file)
    assert beside(file) == set()
