"""Parts that fail: what is tried again, what ends the run, and how it ends."""

import threading
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    IntegrityError,
    InvalidDigestError,
    NetworkError,
    ResumableError,
    RetryPolicy,
    ServerError,
    SlowDownError,
)
from resumable.oss.cancellation import Cancellation
from resumable.server import Exchange, LocalServer
from tests.support import MIB, PART, QUICK, local_bucket, make_file, parts_sent, requests

from .steps import (
    ALL,
    SIZE,
    beside,
    fault,
    gate,
    open_uploads,
    recorded,
    refused,
    under_way,
    upload,
)

WRONG_CRC = {"answer": {"headers": {"x-oss-hash-crc64ecma": "12345"}}}
WRONG_ETAG = {"answer": {"headers": {"ETag": f'"{"0" * 32}"'}}}
CURABLE = [
    pytest.param(refused(500, "InternalError"), id="500"),
    pytest.param(refused(502, ""), id="502"),
    pytest.param(refused(503, "SlowDown"), id="503"),
    pytest.param(refused(429, "TooManyRequests"), id="429"),
    pytest.param({"drop": "before"}, id="closed-at-once"),
    pytest.param({"drop": "during_body", "reset": True}, id="reset"),
    pytest.param({"drop": "during_answer"}, id="answer-cut-off"),
    pytest.param({"drop": "after_success"}, id="answer-lost"),
    pytest.param({"stall": None}, id="stalled"),
    pytest.param({"stall_answer": None}, id="answer-stalled"),
    pytest.param({"corrupt_body": True}, id="bit-flipped"),
    pytest.param(WRONG_CRC, id="wrong-crc"),
    pytest.param(WRONG_ETAG, id="wrong-etag"),
    pytest.param({"answer": {"headers": {"ETag": None}}}, id="no-etag"),
]


def tries_of(server: LocalServer, part: int) -> list[Exchange]:
    return [exchange for exchange in server.log if exchange.part_number == part]


def retries(caplog: pytest.LogCaptureFixture) -> int:
    """How often the log says that a try failed. A stalled one is not in the server's log."""
    return sum("; try " in record.getMessage() for record in caplog.records)


@pytest.fixture
def one_has_failed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once the first failure for good is known to all workers."""
    failed = threading.Event()
    cancel = Cancellation.cancel

    def noted(cancellation: Cancellation) -> None:
        cancel(cancellation)
        failed.set()

    monkeypatch.setattr(Cancellation, "cancel", noted)
    return failed


@pytest.mark.parametrize("effect", CURABLE)
def test_part_that_fails_once_is_sent_again(
    server: LocalServer,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    effect: Mapping[str, object],
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", effect, part_number=3))
    with local_bucket(server.endpoint, timeout=0.3) as bucket:
        assert upload(bucket, file).bytes_sent == SIZE
    assert retries(caplog) == 1
    assert [len(tries_of(server, part)) for part in (1, 2, 4, 5)] == [1, 1, 1, 1]


@pytest.mark.parametrize("effect", CURABLE)
def test_put_that_fails_once_is_sent_again(
    server: LocalServer,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    effect: Mapping[str, object],
) -> None:
    file = make_file(folder, PART)
    server.faults.add(fault("PutObject", effect))
    with local_bucket(server.endpoint, timeout=0.3) as bucket:
        assert upload(bucket, file).bytes_sent == PART
    assert retries(caplog) == 1


NOTICED_BY_THE_SERVER = [(400, "InvalidDigest"), (200, None)]
NOTICED_BY_THE_CRC = [(200, None), (200, None)]


@pytest.mark.parametrize(
    ("operation", "content_md5", "answers"),
    [
        pytest.param("UploadPart", True, NOTICED_BY_THE_SERVER, id="part"),
        pytest.param("UploadPart", False, NOTICED_BY_THE_CRC, id="part-no-md5"),
        # What is damaged would stand under the key until it is put right: never without MD5.
        pytest.param("PutObject", False, NOTICED_BY_THE_SERVER, id="put"),
    ],
)
def test_flipped_bit_is_noticed_and_the_bytes_are_read_again(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    operation: str,
    content_md5: bool,
    answers: list[tuple[int, str | None]],
) -> None:
    # Larger than a block, so that what is sent is read for each try.
    size = 4 * MIB if operation == "UploadPart" else 2 * MIB
    server.faults.add(fault(operation, {"corrupt_body": True}))
    upload(bucket, make_file(folder, size), part_size="2MiB", content_md5=content_md5)
    sent = [exchange for exchange in server.log if exchange.operation == operation]
    assert [(exchange.status, exchange.code) for exchange in sent[:2]] == answers
    with_md5 = answers is NOTICED_BY_THE_SERVER
    assert all(("content-md5" in exchange.headers) == with_md5 for exchange in sent)


def test_etag_serves_where_the_server_tells_no_crc(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    silent = {"answer": {"headers": {"x-oss-hash-crc64ecma": None}}}
    server.faults.add(fault("UploadPart", silent, times=None))
    assert upload(bucket, make_file(folder, SIZE)).bytes_sent == SIZE
    server.log.clear()
    with pytest.raises(IntegrityError, match="neither a CRC-64 nor an MD5"):
        upload(bucket, make_file(folder, SIZE, seed=1), content_md5=False)


@pytest.mark.parametrize(
    ("effect", "content_md5", "error"),
    [
        pytest.param(WRONG_CRC, True, IntegrityError, id="wrong-crc"),
        pytest.param(WRONG_CRC, False, IntegrityError, id="wrong-crc-no-md5"),
        pytest.param(WRONG_ETAG, True, IntegrityError, id="wrong-etag"),
        pytest.param({"corrupt_body": True}, True, InvalidDigestError, id="bit-flipped"),
        pytest.param({"corrupt_body": True}, False, IntegrityError, id="bit-flipped-no-md5"),
    ],
)
def test_bytes_that_never_arrive_as_they_were_end_the_run(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    effect: Mapping[str, object],
    content_md5: bool,
    error: type[ResumableError],
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", effect, part_number=3, times=None))
    with pytest.raises(error) as raised:
        upload(bucket, file, content_md5=content_md5)
    assert raised.value.part_number == 3
    assert (raised.value.tries, len(tries_of(server, 3))) == (QUICK.attempts, QUICK.attempts)
    assert recorded(file) == [1, 2]


@pytest.mark.parametrize(
    ("effect", "error", "tries"),
    [
        pytest.param(refused(), AccessDeniedError, 1, id="403"),
        pytest.param(refused(400, "InvalidArgument"), ServerError, 1, id="400"),
        pytest.param(refused(500, "InternalError"), ServerError, QUICK.attempts, id="500"),
        pytest.param(refused(503, "SlowDown"), SlowDownError, QUICK.attempts, id="503"),
        pytest.param({"drop": "before"}, NetworkError, QUICK.attempts, id="closed"),
    ],
)
def test_part_that_fails_for_good_ends_the_run_with_one_error(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    effect: Mapping[str, object],
    error: type[ResumableError],
    tries: int,
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", effect, part_number=3, times=None))
    with pytest.raises(error) as raised:
        upload(bucket, file)
    assert parts_sent(server.log) == [1, 2]
    assert len(tries_of(server, 3)) == tries
    assert requests(server)["AbortMultipartUpload"] == 0
    told, last = str(raised.value), tries_of(server, 3)[-1]
    assert told.startswith("part 3: ")
    assert "2 of 5 parts are at the server" in told
    assert f"{file}.cp" in told
    assert last.status is None or last.request_id in told
    assert recorded(file) == [1, 2]
    assert beside(file) == {"example.bin.cp"}


def test_no_part_is_handed_out_after_one_failed(
    server: LocalServer, bucket: Bucket, folder: Path, one_has_failed: threading.Event
) -> None:
    file = make_file(folder, 20 * PART)
    server.faults.add(fault("UploadPart", gate("all"), times=3))
    server.faults.add(fault("UploadPart", refused()))
    server.faults.add(fault("UploadPart", gate("others", "after"), skip=1, times=None))
    with under_way(server, lambda: upload(bucket, file, thread_num=3)) as run:
        server.faults.wait_reached("all", count=3)
        server.faults.release("all")
        assert one_has_failed.wait(10)
        server.faults.release("others")
        with pytest.raises(AccessDeniedError):
            run.result()
    assert requests(server)["UploadPart"] == 3


def test_parts_in_flight_are_finished_and_recorded_when_another_fails(
    server: LocalServer, bucket: Bucket, folder: Path, one_has_failed: threading.Event
) -> None:
    # Parts larger than what the sockets hold: the second is still being sent when the first fails.
    file = make_file(folder, 64 * MIB)
    server.faults.add(fault("UploadPart", gate("first"), part_number=1))
    server.faults.add(fault("UploadPart", refused(), part_number=1))
    server.faults.add(fault("UploadPart", gate("second"), part_number=2))
    with under_way(server, lambda: upload(bucket, file, part_size="16MiB", thread_num=2)) as run:
        server.faults.wait_reached("second")
        server.faults.release("first")
        assert one_has_failed.wait(10)
        server.faults.release("second")
        with pytest.raises(AccessDeniedError):
            run.result()
    assert recorded(file) == [2]


def test_slow_down_halves_the_parts_at_once(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 16 * PART)
    server.faults.add(fault("UploadPart", {"stall": 0.03}, skip=1, times=None))
    server.faults.add(fault("UploadPart", refused(503, "SlowDown")))
    upload(bucket, file, thread_num=4)
    assert most_at_once(server, from_part=6) == 2


def test_without_slow_down_all_threads_send(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 16 * PART)
    server.faults.add(fault("UploadPart", {"stall": 0.03}, times=None))
    upload(bucket, file, thread_num=4)
    assert most_at_once(server, from_part=6) == 4


def most_at_once(server: LocalServer, *, from_part: int) -> int:
    """The largest number of UploadPart requests that the server had at the same time."""
    events = []
    for exchange in server.log:
        if exchange.part_number is not None and exchange.part_number >= from_part:
            events.append((exchange.started, 1))
            events.append((exchange.started + exchange.seconds, -1))
    most = now = 0
    for _, change in sorted(events):
        now += change
        most = max(most, now)
    return most


def test_retry_after_is_waited_for_with_nothing_sent_meanwhile(
    server: LocalServer, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    patience = RetryPolicy(attempts=3, base=0.01, longest_wait=0.01, longest_retry_after=5)
    answer = {"status": 503, "code": "SlowDown", "headers": {"Retry-After": "1"}}
    server.faults.add(fault("UploadPart", answer, part_number=2))
    with local_bucket(server.endpoint, retry=patience) as bucket:
        upload(bucket, file)
    sent = [exchange for exchange in server.log if exchange.operation == "UploadPart"]
    waits = [after.started - before.started for before, after in pairwise(sent)]
    assert [wait >= 1.0 for wait in waits] == [False, True, False, False, False]


def test_every_call_of_an_upload_is_tried_again(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("*", refused(500, "InternalError"), times=2))
    server.faults.add(fault("CompleteMultipartUpload", refused(500, "InternalError"), times=2))
    assert upload(bucket, file).bytes_sent == SIZE
    assert requests(server)["InitiateMultipartUpload"] == 3
    assert requests(server)["CompleteMultipartUpload"] == 3
    assert parts_sent(server.log) == ALL


def test_wrong_word_that_an_upload_is_gone_leaves_nothing_though_the_object_is_there(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload(bucket, file)
    server.faults.add(fault("UploadPart", refused(404, "NoSuchUpload"), skip=3))
    upload(bucket, file)
    assert open_uploads(bucket) == []
