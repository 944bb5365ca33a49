"""Bodies that cannot be read, or are damaged on their way: whose fault it is, and what then."""

import errno
from collections.abc import Callable, Iterator

import pytest

from resumable import Bucket
from resumable.core.integrity import PartDigest
from resumable.errors import (
    IntegrityError,
    InvalidArgumentError,
    InvalidDigestError,
    LocalFileError,
    SourceChangedError,
    TransferCancelledError,
)
from resumable.oss.messages import BytesPayload, Payload
from resumable.server import LocalServer
from tests.oss.conftest import Connect, Serve
from tests.oss.rawserver import acknowledgement, answer, answering
from tests.support import MIB, QUICK, parts_sent, random_bytes, requests

DATA = random_bytes(2 * MIB)


class Watched(BytesPayload):
    """A body that counts how often it is read, and may fail in the middle."""

    def __init__(self, data: bytes = DATA, *, fails: BaseException | None = None) -> None:
        super().__init__(data)
        self.data = data
        self.fails = fails
        self.prepared = 0
        self.begun = 0

    def prepare(self, *, with_md5: bool) -> bytes | None:
        self.prepared += 1
        return super().prepare(with_md5=with_md5)

    def blocks(self) -> Iterator[memoryview]:
        self.begun += 1
        half = len(self.data) // 2
        yield memoryview(self.data)[:half]
        if self.fails is not None:
            raise self.fails
        yield memoryview(self.data)[half:]


LOCAL_FAILURES: dict[str, BaseException] = {
    "disk error": LocalFileError("reading failed"),
    "source changed": SourceChangedError("it changed"),
    "cancelled": TransferCancelledError("stopped"),
    "EIO": OSError(errno.EIO, "Input/output error"),
    "ENOSPC": OSError(errno.ENOSPC, "No space left on device"),
    "a pipe of the caller": BrokenPipeError(errno.EPIPE, "Broken pipe"),
    "a connection of the caller": ConnectionResetError(errno.ECONNRESET, "reset by peer"),
    "a timeout of the caller": TimeoutError("timed out"),
    "a callback's": ValueError("my own"),
}


@pytest.mark.parametrize("failure", LOCAL_FAILURES.values(), ids=LOCAL_FAILURES)
def test_local_failure_in_a_body_is_itself_and_not_tried_again(
    server: LocalServer, bucket: Bucket, failure: BaseException
) -> None:
    upload_id = bucket.init_multipart_upload("k").upload_id
    body = Watched(fails=failure)
    with pytest.raises(type(failure)) as raised:
        bucket.upload_part("k", upload_id, 1, body)
    assert raised.value is failure
    assert (body.prepared, body.begun) == (1, 1)
    assert bucket.list_parts("k", upload_id).parts == ()


def test_interrupt_of_the_program_in_a_body_passes(server: LocalServer, bucket: Bucket) -> None:
    with pytest.raises(KeyboardInterrupt):
        bucket.put_object("k", Watched(fails=KeyboardInterrupt()))
    assert bucket.put_object("k", b"x").crc64


def test_local_failure_while_digesting_sends_nothing(serve: Serve, connect: Connect) -> None:
    class Unreadable(Watched):
        def prepare(self, *, with_md5: bool) -> bytes | None:  # noqa: ARG002
            raise LocalFileError("reading failed")

    server = serve(answering(acknowledgement(b"x")))
    with pytest.raises(LocalFileError):
        connect(server, QUICK).put_object("k", Unreadable())
    assert server.connections == 0


def test_connection_of_a_body_that_failed_is_not_used_again(serve: Serve, connect: Connect) -> None:
    server = serve(answering(acknowledgement(b"x")))
    bucket = connect(server)
    with pytest.raises(LocalFileError):
        bucket.put_object("k", Watched(fails=LocalFileError("reading failed")))
    bucket.put_object("k", b"x")
    assert server.requests[-1].body == b"x"
    assert server.connections == 2


@pytest.mark.parametrize("status", [500, 503])
def test_body_is_read_again_for_each_try(server: LocalServer, bucket: Bucket, status: int) -> None:
    server.faults.add({"operation": "PutObject", "times": 2, "effect": {"status": status}})
    body = Watched()
    bucket.put_object("k", body)
    assert (body.prepared, body.begun) == (3, 3)


@pytest.mark.parametrize(
    ("content_md5", "kind"), [(True, InvalidDigestError), (False, IntegrityError)]
)
def test_body_damaged_on_its_way_is_sent_again(
    server: LocalServer, bucket: Bucket, content_md5: bool, kind: type[Exception]
) -> None:
    upload_id = bucket.init_multipart_upload("k").upload_id
    server.faults.add({"operation": "UploadPart", "effect": {"corrupt_body": True}})
    sent = bucket.upload_part("k", upload_id, 1, DATA, content_md5=content_md5)
    assert requests(server)["UploadPart"] == 2
    assert bucket.list_parts("k", upload_id).parts[0].etag == sent.etag
    # With an MD5 the server refuses; without, the damage shows only in what it answers.
    assert parts_sent(server.log) == ([1] if kind is InvalidDigestError else [1, 1])


@pytest.mark.parametrize(
    ("content_md5", "kind"), [(True, InvalidDigestError), (False, IntegrityError)]
)
def test_body_damaged_every_time_is_an_error_of_the_network(
    server: LocalServer, bucket: Bucket, content_md5: bool, kind: type[Exception]
) -> None:
    server.faults.add({"operation": "PutObject", "times": None, "effect": {"corrupt_body": True}})
    with pytest.raises((IntegrityError, InvalidDigestError)) as failed:
        bucket.put_object("k", DATA, content_md5=content_md5)
    assert type(failed.value) is kind
    assert (failed.value.fault, failed.value.tries) == ("network", QUICK.attempts)


def test_acknowledgement_of_other_bytes_is_not_believed(serve: Serve, connect: Connect) -> None:
    server = serve(answering(acknowledgement(b"other"), acknowledgement(b"x")))
    connect(server, QUICK).upload_part("k", "U", 1, b"x")
    assert len(server.requests) == 2


def test_acknowledgement_without_an_etag_is_not_believed(serve: Serve, connect: Connect) -> None:
    server = serve(answering(answer(200), acknowledgement(b"x")))
    connect(server, QUICK).upload_part("k", "U", 1, b"x")
    assert len(server.requests) == 2


class Huge:
    """A body of more than one request takes; its bytes are never asked for."""

    size = 5 * 1024 * MIB + 1

    def prepare(self, *, with_md5: bool) -> bytes | None:  # noqa: ARG002
        raise AssertionError("it was read")

    def blocks(self) -> Iterator[memoryview]:
        raise AssertionError("it was read")

    def digest(self) -> PartDigest:
        raise AssertionError("it was read")


SENDS: dict[str, Callable[[Bucket, Payload], object]] = {
    "part": lambda bucket, body: bucket.upload_part("k", "U", 1, body),
    "object": lambda bucket, body: bucket.put_object("k", body),
}


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_body_over_five_gigabytes_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, send: Callable[[Bucket, Payload], object]
) -> None:
    with pytest.raises(InvalidArgumentError, match="5 GB"):
        send(bucket, Huge())
    assert len(server.log) == 0


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_part_number_outside_the_limits_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, number: int
) -> None:
    with pytest.raises(InvalidArgumentError, match=f"part number {number}"):
        bucket.upload_part("k", "U", number, b"x")
    assert len(server.log) == 0


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_all_kinds_can_be_sent(bucket: Bucket, kind: type[bytes]) -> None:
    stored = bucket.put_object("k", kind(DATA))
    assert stored.crc64 == bucket.head_object("k").crc64
