"""A later run, source unchanged: whether the checkpoint serves, and which parts are taken over."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    CheckpointError,
    ListedPart,
    NoSuchUploadError,
    ProtocolError,
    ServerError,
    upload_file,
)
from resumable.core.plan import Part
from resumable.server import LocalServer
from resumable.transfer.reading import SourceReader
from tests.support import CREDENTIALS, PART, make_file, parts_sent, random_bytes, requests

from .steps import (
    ALL,
    KEY,
    SIZE,
    Options,
    beside,
    checkpoint_path,
    fault,
    gate,
    interrupted,
    is_known,
    list_parts_body,
    load,
    open_uploads,
    recorded,
    refused,
    rewrite,
    stopped_before_complete,
    under_way,
    upload,
)


@pytest.fixture
def parts_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the parts that were read, each time one was."""
    read: list[int] = []
    blocks = SourceReader.blocks

    def noted(reader: SourceReader, part: Part) -> Iterator[memoryview]:
        read.append(part.number)
        return blocks(reader, part)

    monkeypatch.setattr(SourceReader, "blocks", noted)
    return read


def named(name: str, endpoint: str) -> Bucket:
    return Bucket(name, endpoint=endpoint, region="cn-hangzhou", credentials=CREDENTIALS)


def listed(bucket: Bucket, upload_id: str) -> list[ListedPart]:
    return list(bucket.iter_parts(KEY, upload_id))


def test_trusted_source_is_neither_read_nor_sent_again(
    server: LocalServer, bucket: Bucket, folder: Path, parts_read: list[int]
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    assert recorded(file) == [1, 2, 3]
    parts_read.clear()
    result = upload(bucket, file)
    assert parts_sent(server.log) == [4, 5]
    assert parts_read == [4, 5]
    assert (result.resumed, result.parts_reused, result.bytes_reused) == (True, 3, 3 * PART)
    assert {exchange.upload_id for exchange in server.log if exchange.upload_id} == {upload_id}
    assert beside(file) == set()


def test_nothing_is_sent_when_all_parts_are_there(
    server: LocalServer, bucket: Bucket, folder: Path, parts_read: list[int]
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    parts_read.clear()
    result = upload(bucket, file)
    assert (result.bytes_sent, result.parts_reused, parts_read) == (0, 5, [])
    assert requests(server) == {"ListParts": 1, "CompleteMultipartUpload": 1, "GetObject": 1}


@pytest.mark.parametrize("threads", [1, 4])
def test_run_after_run_goes_on_where_the_last_one_ended(
    server: LocalServer, bucket: Bucket, folder: Path, threads: int
) -> None:
    file = make_file(folder, SIZE)
    for _ in range(4):
        interrupted(server, bucket, file, parts=1, thread_num=1)
    result = upload(bucket, file, thread_num=threads)
    assert (parts_sent(server.log), result.parts_reused) == ([5], 4)


@pytest.mark.parametrize("difference", ["key", "bucket", "kind"])
def test_checkpoint_of_another_transfer_is_refused_and_left_alone(
    server: LocalServer, bucket: Bucket, folder: Path, difference: str
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    options: Options = {"key": "other" if difference == "key" else KEY}
    elsewhere = named("other-bucket", server.endpoint) if difference == "bucket" else bucket
    if difference == "kind":
        rewrite(file, kind="download")
    before = checkpoint_path(file).read_bytes()
    with pytest.raises(CheckpointError) as raised:
        upload(elsewhere, file, **options)
    told = str(raised.value)
    kind = "download" if difference == "kind" else "upload"
    assert f"{kind} to oss://{bucket.name}/{KEY} at {server.endpoint}" in told
    assert f"upload to oss://{elsewhere.name}/{options['key']} at {elsewhere.endpoint}" in told
    assert "checkpoint_path=" in told
    assert "abort_checkpoint" in told
    assert checkpoint_path(file).read_bytes() == before
    assert len(server.log) == 0
    assert beside(file) == {"example.bin.cp"}


def by_another_endpoint(server: LocalServer, bucket: Bucket) -> Bucket:
    return named(bucket.name, server.endpoint.replace("127.0.0.1", "localhost"))


def test_checkpoint_made_through_another_endpoint_of_the_bucket_is_resumed(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    other = by_another_endpoint(server, bucket)
    interrupted(server, other, file, parts=1)
    assert load(checkpoint_path(file)).destination.endpoint == other.endpoint
    result = upload(bucket, file)
    assert (result.parts_reused, parts_sent(server.log)) == (3, [4, 5])


@pytest.mark.parametrize("options", [{}, {"metadata": {"a": "b"}}], ids=["same", "other-headers"])
def test_checkpoint_of_a_bucket_of_that_name_elsewhere_is_refused_and_left_alone(
    server: LocalServer, bucket: Bucket, folder: Path, tmp_path: Path, options: Options
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    before = checkpoint_path(file).read_bytes()
    with LocalServer(tmp_path / "another-root") as another:
        elsewhere = named(bucket.name, another.endpoint)
        elsewhere.put_object("so that there is a bucket", b"")
        another.log.clear()
        with pytest.raises(CheckpointError) as raised:
            upload(elsewhere, file, **options)
        assert requests(another) == {"ListParts": 1}
    told = str(raised.value)
    assert upload_id in told
    assert bucket.endpoint in told
    assert elsewhere.endpoint in told
    assert "endpoint=" in told
    assert "at the server" not in raised.value.kept
    assert checkpoint_path(file).read_bytes() == before
    assert upload(bucket, file).parts_reused == 2


def test_other_headers_by_another_endpoint_abort_the_old_upload(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    other = by_another_endpoint(server, bucket)
    assert upload(other, file, metadata={"a": "b"}).parts_reused == 0
    assert not is_known(bucket, upload_id)


@pytest.mark.parametrize("wish", [2 * PART, "8MiB", None])
def test_recorded_part_size_is_kept_told_and_logged(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    wish: int | str | None,
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3)
    with caplog.at_level(logging.WARNING, "resumable"):
        result = upload(bucket, file, part_size=wish)
    assert parts_sent(server.log) == [4, 5]
    assert (result.part_size, result.parts_total) == (PART, 5)
    assert f"part_size stays {PART}" in caplog.text


def test_other_headers_abort_the_old_upload_and_begin_anew(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    old = {"Content-Type": "text/plain", "x-oss-meta-colour": "red"}
    upload_id = interrupted(server, bucket, file, parts=3, headers=old)
    new = {"Content-Type": "text/csv", "x-oss-meta-colour": "blue"}
    result = upload(bucket, file, headers=new)
    assert (result.resumed, result.parts_reused) == (False, 0)
    assert parts_sent(server.log) == ALL
    assert not is_known(bucket, upload_id)
    head = bucket.head_object(KEY).headers
    assert (head["content-type"], head["x-oss-meta-colour"]) == ("text/csv", "blue")


def test_headers_that_do_not_belong_to_the_upload_id_do_not_begin_anew(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    given = {"Content-Type": "text/plain", "x-oss-traffic-limit": "819200"}
    interrupted(server, bucket, file, parts=3, headers=given)
    result = upload(bucket, file, headers={"content-type": "text/plain"})
    assert (result.resumed, result.parts_reused) == (True, 3)


@pytest.mark.parametrize("with_crc", [True, False], ids=["crc64", "md5"])
def test_listed_part_without_a_record_is_adopted_if_its_bytes_are_ours(
    server: LocalServer, bucket: Bucket, folder: Path, with_crc: bool
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    rewrite(file, parts=())
    server.faults.add(told_without_crc(bucket, upload_id, keep=with_crc))
    result = upload(bucket, file)
    assert parts_sent(server.log) == [4, 5]
    assert (result.parts_reused, result.bytes_reused) == (3, 3 * PART)


@pytest.mark.parametrize("with_crc", [True, False], ids=["crc64", "md5"])
@pytest.mark.parametrize("size", [PART, PART + 1, 1], ids=["same-size", "larger", "smaller"])
def test_listed_part_without_a_record_is_sent_again_if_its_bytes_are_others(
    server: LocalServer, bucket: Bucket, folder: Path, with_crc: bool, size: int
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    rewrite(file, parts=())
    bucket.upload_part(KEY, upload_id, 2, random_bytes(size, seed=9))
    server.faults.add(told_without_crc(bucket, upload_id, keep=with_crc))
    server.log.clear()
    assert upload(bucket, file).parts_reused == 2
    assert sorted(parts_sent(server.log)) == [2, 4, 5]


def told_without_crc(bucket: Bucket, upload_id: str, *, keep: bool) -> dict[str, object]:
    """A fault: ListParts tells what it tells now, the CRC-64 only if it is to be kept."""
    parts = [
        ListedPart(part.number, part.size, part.etag, part.crc64 if keep else None)
        for part in listed(bucket, upload_id)
    ]
    return fault("ListParts", {"answer": {"body": list_parts_body(parts)}})


def test_recorded_part_that_is_not_listed_is_sent_again(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    records = load(checkpoint_path(file)).parts
    checkpoint_path(file).unlink()
    interrupted(server, bucket, file, parts=1)
    rewrite(file, parts=records)
    assert upload(bucket, file).parts_reused == 1
    assert parts_sent(server.log) == [2, 3, 4, 5]
    assert requests(server)["CompleteMultipartUpload"] == 1


@pytest.mark.parametrize("size", [PART, 2 * PART], ids=["other-etag", "other-size"])
def test_recorded_part_that_somebody_replaced_is_sent_again(
    server: LocalServer, bucket: Bucket, folder: Path, size: int
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    bucket.upload_part(KEY, upload_id, 2, random_bytes(size, seed=9))
    server.log.clear()
    assert upload(bucket, file).parts_reused == 2
    assert sorted(parts_sent(server.log)) == [2, 4, 5]
    assert requests(server)["CompleteMultipartUpload"] == 1


def test_recorded_part_of_another_size_than_planned_is_sent_again(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    other = bucket.upload_part(KEY, upload_id, 2, file.read_bytes()[PART : 3 * PART])
    first, _, third = load(checkpoint_path(file)).parts
    forged = replace(first, number=2, size=other.size, etag=other.etag, crc64=other.crc64)
    rewrite(file, parts=(first, forged, third))
    server.log.clear()
    assert upload(bucket, file).parts_reused == 2
    assert sorted(parts_sent(server.log)) == [2, 4, 5]
    assert requests(server)["CompleteMultipartUpload"] == 1


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lambda p: ListedPart(p.number, p.size - 1, p.etag, p.crc64), id="size"),
        pytest.param(lambda p: ListedPart(p.number, p.size, "0" * 32, p.crc64), id="etag"),
        pytest.param(lambda p: ListedPart(p.number, p.size, p.etag, 7), id="crc64"),
    ],
)
def test_part_listed_with_one_thing_different_is_sent_again(
    server: LocalServer, bucket: Bucket, folder: Path, lie: Callable[[ListedPart], ListedPart]
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    one, two, three = listed(bucket, upload_id)
    body = list_parts_body([one, lie(two), three])
    server.faults.add(fault("ListParts", {"answer": {"body": body}}))
    assert upload(bucket, file).parts_reused == 2
    assert sorted(parts_sent(server.log)) == [2, 4, 5]


def test_upload_aborted_by_others_is_begun_anew(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    bucket.abort_multipart_upload(KEY, upload_id)
    server.log.clear()
    result = upload(bucket, file)
    assert (result.resumed, result.parts_reused) == (False, 0)
    assert parts_sent(server.log) == ALL
    assert beside(file) == set()
    assert "gone" in caplog.text


def test_error_after_an_upload_is_gone_does_not_promise_its_parts(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    bucket.abort_multipart_upload(KEY, upload_id)
    server.faults.add(fault("InitiateMultipartUpload", refused()))
    with pytest.raises(AccessDeniedError) as raised:
        upload(bucket, file)
    assert "parts are at the server" not in str(raised.value)


def test_upload_aborted_by_others_while_sending_is_begun_anew_once(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("third")
        bucket.abort_multipart_upload(KEY, load(checkpoint_path(file)).upload_id)
        server.faults.release("third")
        result = run.result()
    assert (result.bytes_sent, result.parts_reused) == (SIZE, 0)
    assert parts_sent(server.log) == [1, 2, *ALL]
    assert open_uploads(bucket) == []


def test_upload_that_keeps_vanishing_ends_with_an_error(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", refused(404, "NoSuchUpload"), times=None))
    with pytest.raises(NoSuchUploadError):
        upload(bucket, file)
    assert requests(server)["InitiateMultipartUpload"] == 2


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (500, "InternalError")]
)
def test_list_that_fails_for_good_ends_the_run_and_keeps_everything(
    server: LocalServer, bucket: Bucket, folder: Path, status: int, code: str
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3)
    before = checkpoint_path(file).read_bytes()
    server.faults.add(fault("ListParts", refused(status, code), times=None))
    with pytest.raises(ServerError) as raised:
        upload(bucket, file)
    assert set(requests(server)) == {"ListParts"}
    assert checkpoint_path(file).read_bytes() == before
    assert "3 of 5 parts" in raised.value.kept
    server.faults.clear()
    assert upload(bucket, file).parts_reused == 3


def test_relative_name_means_the_same_file_after_a_change_of_folder(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    monkeypatch.chdir(folder)
    server.faults.add(fault("UploadPart", refused(), skip=2, times=None))
    with pytest.raises(AccessDeniedError):
        upload_file(bucket, KEY, "example.bin", part_size=PART, enable_checkpoint=True)
    server.faults.clear()
    monkeypatch.chdir("/")
    assert upload(bucket, file).parts_reused == 2


def test_resuming_2500_parts_takes_three_lists(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = folder / "sparse.bin"
    with file.open("wb") as stream:
        stream.truncate(2500 * PART)
    upload_id = interrupted(server, bucket, file, parts=1)
    for number in range(2, 2501):
        bucket.upload_part(KEY, upload_id, number, bytes(PART), content_md5=False)
    server.log.clear()
    server.faults.add(fault("CompleteMultipartUpload", refused()))
    with pytest.raises(AccessDeniedError):
        upload(bucket, file)
    assert requests(server) == {"ListParts": 3, "CompleteMultipartUpload": 1}
    assert len(recorded(file)) == 2500


def test_listed_etag_that_no_record_can_hold_is_a_typed_error(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=2)
    checkpoint_path(file).unlink()
    listed = [replace(part, etag="a b") for part in bucket.list_parts(KEY, upload_id).parts]
    body = {"answer": {"body": list_parts_body(listed)}}
    server.faults.add(fault("ListParts", body, times=None))
    with pytest.raises(ProtocolError, match="ETag"):
        upload(bucket, file, upload_id=upload_id)
    server.faults.clear()
    assert upload(bucket, file, upload_id=upload_id).parts_reused == 2
