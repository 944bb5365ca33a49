"""One upload in two hands: what `upload_file` leaves a witness sees, and the other way round."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

import resumable
from resumable import Bucket, UploadResult
from resumable.core.checkpoint import (
    Checkpoint,
    Destination,
    encode,
    headers_digest,
)
from resumable.core.checkpoint_reading import decode
from resumable.core.integrity import crc64
from resumable.server import LocalServer
from resumable.transfer.source import identify
from tests.conformance.witness import (
    Part,
    Sdk,
    UploadsQuery,
    as_listed,
    etag_of,
    part_of,
    refused,
)
from tests.support import PART, make_file, parts_sent, random_bytes, requests

KEY = "exampledir/example object+中文.bin"
SIZE = 7 * PART + 12_345
NUMBERS = list(range(1, 9))
REFUSAL = {"status": 403, "code": "AccessDenied"}


@pytest.fixture
def file(folder: Path) -> Path:
    return make_file(folder, SIZE)


@pytest.fixture
def aside(server: LocalServer) -> Iterator[ThreadPoolExecutor]:
    """A thread for an upload that a test looks at from outside."""
    with ThreadPoolExecutor(1) as pool:
        yield pool
        server.faults.clear()  # when a test has failed, nothing must go on waiting at a gate


def _upload(bucket: Bucket, file: Path, cancel: Event | None = None) -> UploadResult:
    return resumable.upload_file(
        bucket, KEY, file, thread_num=3, part_size=PART, enable_checkpoint=True, cancel=cancel
    )


def _checkpoint(file: Path) -> Checkpoint:
    return decode(Path(f"{file}.cp").read_bytes())


def _break_off(server: LocalServer, bucket: Bucket, file: Path) -> str:
    """Let an upload fail at part 5; return its id."""
    server.faults.add({"operation": "UploadPart", "part_number": 5, "effect": REFUSAL})
    with pytest.raises(resumable.AccessDeniedError):
        _upload(bucket, file)
    return _checkpoint(file).upload_id


def _hold_parts_after_three(server: LocalServer) -> None:
    """Let parts 1 to 3 through, and keep each of the three threads waiting with its next."""
    for number in (4, 5, 6):
        gate = {"operation": "UploadPart", "part_number": number, "effect": {"gate": "on"}}
        server.faults.add(gate)


def _bytes_of(file: Path, number: int) -> bytes:
    return file.read_bytes()[(number - 1) * PART : number * PART]


def _plan_of(file: Path, numbers: Sequence[int] = NUMBERS) -> list[Part]:
    return [part_of(number, _bytes_of(file, number)) for number in numbers]


def _record(bucket: Bucket, file: Path, upload_id: str) -> None:
    """Write the checkpoint of an upload of which no part is known."""
    checkpoint = Checkpoint(
        kind="upload",
        destination=Destination(endpoint=bucket.endpoint, bucket=bucket.name, key=KEY),
        upload_id=upload_id,
        file=identify(str(file)),
        part_size=PART,
        headers_digest=headers_digest({}),
    )
    Path(f"{file}.cp").write_bytes(encode(checkpoint))


def _assert_finished(sdk: Sdk, folder: Path, file: Path) -> None:
    assert sdk.get(KEY) == file.read_bytes()
    assert sdk.head(KEY).crc64 == crc64(file.read_bytes())
    assert sdk.list_uploads(UploadsQuery()).uploads == ()
    assert [path.name for path in folder.iterdir()] == [file.name]


def test_parts_of_a_broken_off_upload_are_those_of_its_checkpoint(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, file: Path
) -> None:
    upload_id = _break_off(server, bucket, file)
    recorded = [
        Part(part.number, part.size, part.etag, part.crc64) for part in _checkpoint(file).parts
    ]
    assert sdk.list_parts(KEY, upload_id).parts == as_listed(sdk, recorded)
    assert recorded == _plan_of(file, [part.number for part in recorded])
    resumed = _upload(bucket, file)
    assert resumed.parts_reused == len(recorded) >= 2
    assert sorted(parts_sent(server.log)) == NUMBERS
    _assert_finished(sdk, folder, file)


def test_parts_of_a_running_upload_are_those_of_its_checkpoint(
    sdk: Sdk,
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    file: Path,
    aside: ThreadPoolExecutor,
) -> None:
    _hold_parts_after_three(server)
    cancel = Event()
    running = aside.submit(_upload, bucket, file, cancel)
    server.faults.wait_reached("on", count=3)
    upload_id = _checkpoint(file).upload_id
    listed = sdk.list_parts(KEY, upload_id).parts
    assert listed == as_listed(sdk, _plan_of(file, [1, 2, 3]))
    cancel.set()
    with pytest.raises(resumable.TransferCancelledError):
        running.result(timeout=10)
    assert [part.number for part in _checkpoint(file).parts] == [1, 2, 3]
    server.faults.release("on")
    resumed = _upload(bucket, file)
    assert (resumed.resumed, resumed.parts_total) == (True, 8)
    _assert_finished(sdk, folder, file)


def test_parts_of_a_witness_are_adopted_and_only_the_rest_is_sent(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, file: Path
) -> None:
    upload_id = sdk.init(KEY)
    for number in (8, 3, 2, 6):
        sdk.upload_part(KEY, upload_id, number, _bytes_of(file, number))
    _record(bucket, file, upload_id)
    server.log.clear()
    result = _upload(bucket, file)
    assert sorted(parts_sent(server.log)) == [1, 4, 5, 7]
    assert (result.parts_reused, result.bytes_sent) == (4, 4 * PART)
    assert {exchange.upload_id for exchange in server.log} <= {upload_id, ""}
    _assert_finished(sdk, folder, file)


def test_parts_of_a_witness_with_other_bytes_are_sent_again(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, file: Path
) -> None:
    upload_id = sdk.init(KEY)
    sdk.upload_part(KEY, upload_id, 2, _bytes_of(file, 2))
    sdk.upload_part(KEY, upload_id, 4, random_bytes(PART, seed=99))
    sdk.upload_part(KEY, upload_id, 5, _bytes_of(file, 5)[:-1])
    sdk.upload_part(KEY, upload_id, 9, b"of a longer file")
    _record(bucket, file, upload_id)
    server.log.clear()
    assert _upload(bucket, file).parts_reused == 1
    assert sorted(parts_sent(server.log)) == [1, 3, 4, 5, 6, 7, 8]
    _assert_finished(sdk, folder, file)


def test_parts_of_a_witness_are_adopted_by_their_md5_where_no_crc_is_listed(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, file: Path
) -> None:
    upload_id = sdk.init(KEY)
    sdk.upload_part(KEY, upload_id, 1, _bytes_of(file, 1))
    sdk.upload_part(KEY, upload_id, 2, random_bytes(PART, seed=99))
    _record(bucket, file, upload_id)
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag>"
        f"<Size>{PART}</Size></Part>"
        for number, etag in (
            (1, etag_of(_bytes_of(file, 1))),
            (2, etag_of(random_bytes(PART, seed=99))),
        )
    )
    listed = f"<ListPartsResult><IsTruncated>false</IsTruncated>{rows}</ListPartsResult>"
    server.faults.add({"operation": "ListParts", "effect": {"answer": {"body": listed}}})
    server.log.clear()
    assert _upload(bucket, file).parts_reused == 1
    assert sorted(parts_sent(server.log)) == [2, 3, 4, 5, 6, 7, 8]
    _assert_finished(sdk, folder, file)


def test_upload_aborted_between_two_runs_begins_anew(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, file: Path
) -> None:
    sdk.abort(KEY, _break_off(server, bucket, file))
    server.log.clear()
    result = _upload(bucket, file)
    assert (result.resumed, result.parts_reused, result.bytes_sent) == (False, 0, SIZE)
    assert sorted(parts_sent(server.log)) == NUMBERS
    _assert_finished(sdk, folder, file)


def test_upload_aborted_while_it_runs_begins_anew(
    sdk: Sdk,
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    file: Path,
    aside: ThreadPoolExecutor,
) -> None:
    _hold_parts_after_three(server)
    running = aside.submit(_upload, bucket, file)
    server.faults.wait_reached("on", count=3)
    sdk.abort(KEY, _checkpoint(file).upload_id)
    server.faults.release("on")
    result = running.result(timeout=20)
    assert (result.resumed, result.parts_reused, result.bytes_sent) == (False, 0, SIZE)
    assert requests(server)["InitiateMultipartUpload"] == 2
    _assert_finished(sdk, folder, file)


def test_upload_completed_between_two_runs_is_done(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, file: Path
) -> None:
    server.faults.add({"operation": "CompleteMultipartUpload", "effect": REFUSAL})
    with pytest.raises(resumable.AccessDeniedError):
        _upload(bucket, file)
    upload_id = _checkpoint(file).upload_id
    made = sdk.complete(KEY, upload_id, sdk.list_parts(KEY, upload_id).parts)
    server.log.clear()
    result = _upload(bucket, file)
    assert (result.etag, result.crc64) == (made.etag, crc64(file.read_bytes()))
    assert (result.resumed, result.bytes_sent, result.bytes_reused) == (True, 0, SIZE)
    assert set(requests(server)) == {"ListParts", "AbortMultipartUpload", "HeadObject"}
    _assert_finished(sdk, folder, file)


def test_upload_completed_by_a_witness_first_is_done(
    sdk: Sdk,
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    file: Path,
    aside: ThreadPoolExecutor,
) -> None:
    server.faults.add({"operation": "CompleteMultipartUpload", "effect": {"gate": "complete"}})
    running = aside.submit(_upload, bucket, file)
    server.faults.wait_reached("complete")
    upload_id = _checkpoint(file).upload_id
    made = sdk.complete(KEY, upload_id, sdk.list_parts(KEY, upload_id).parts)
    server.faults.release("complete")
    result = running.result(timeout=10)
    assert (result.etag, result.bytes_sent) == (made.etag, SIZE)
    assert sorted(parts_sent(server.log)) == NUMBERS
    _assert_finished(sdk, folder, file)


def test_witness_completes_fewer_parts_and_the_next_run_sends_the_file_anew(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, file: Path
) -> None:
    upload_id = _break_off(server, bucket, file)
    sdk.complete(KEY, upload_id, sdk.list_parts(KEY, upload_id).parts[:2])
    assert sdk.head(KEY).size == 2 * PART
    result = _upload(bucket, file)
    assert (result.resumed, result.bytes_sent) == (False, SIZE)
    with refused(sdk, 404, "NoSuchUpload"):
        sdk.list_parts(KEY, upload_id)
    _assert_finished(sdk, folder, file)
