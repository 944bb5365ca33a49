"""Without a checkpoint nothing can be resumed: what is given up is aborted, or named."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    Progress,
    ResumableError,
    ServerError,
    SourceChangedError,
    TransferCancelledError,
)
from resumable.server import LocalServer
from tests.support import PART, make_file, requests

from .steps import (
    SIZE,
    beside,
    change_byte,
    fault,
    gate,
    hold,
    is_known,
    meanwhile,
    open_uploads,
    press_ctrl_c,
    refused,
    under_way,
    upload,
)

COMPLETE = "CompleteMultipartUpload"


class CallbackError(Exception):
    """What a caller's progress callback raises."""


def stop_by_cancel(server: LocalServer, bucket: Bucket, file: Path) -> None:
    cancel = threading.Event()
    hold(server, "UploadPart", skip=2)
    with under_way(
        server, lambda: upload(bucket, file, enable_checkpoint=False, cancel=cancel)
    ) as run:
        server.faults.wait_reached("held")
        cancel.set()
        with pytest.raises(TransferCancelledError, match="the upload was aborted"):
            run.result(timeout=10)


def stop_by_ctrl_c(server: LocalServer, bucket: Bucket, file: Path) -> None:
    hold(server, "UploadPart", skip=2)

    def act() -> None:
        server.faults.wait_reached("held")
        press_ctrl_c()

    with meanwhile(act), pytest.raises(KeyboardInterrupt):
        upload(bucket, file, enable_checkpoint=False)


def stop_by_callback(server: LocalServer, bucket: Bucket, file: Path) -> None:
    def give_up(progress: Progress) -> None:
        if progress.bytes_done >= 2 * PART:
            raise CallbackError

    hold(server, "UploadPart", skip=2)
    with pytest.raises(CallbackError):
        upload(bucket, file, enable_checkpoint=False, progress=give_up)


def stop_by_refusal(server: LocalServer, bucket: Bucket, file: Path) -> None:
    server.faults.add(fault("UploadPart", refused(), part_number=3))
    with pytest.raises(AccessDeniedError, match="Nothing is kept: the upload was aborted"):
        upload(bucket, file, enable_checkpoint=False)


def stop_by_change(server: LocalServer, bucket: Bucket, file: Path) -> None:
    server.faults.add(fault("UploadPart", gate("third"), skip=2))
    with under_way(server, lambda: upload(bucket, file, enable_checkpoint=False)) as run:
        server.faults.wait_reached("third")
        change_byte(file, 0)
        server.faults.release("third")
        with pytest.raises(SourceChangedError):
            run.result()


@pytest.mark.parametrize(
    "stop",
    [stop_by_cancel, stop_by_ctrl_c, stop_by_callback, stop_by_refusal, stop_by_change],
)
def test_without_a_checkpoint_whatever_ends_a_run_aborts_its_upload(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    stop: Callable[[LocalServer, Bucket, Path], None],
) -> None:
    file = make_file(folder, SIZE)
    stop(server, bucket, file)
    server.faults.clear()
    assert open_uploads(bucket) == []
    assert requests(server)["CompleteMultipartUpload"] == 0
    assert beside(file) == set()


@pytest.mark.parametrize("stop", [stop_by_cancel, stop_by_ctrl_c, stop_by_callback])
def test_stopped_run_takes_the_time_to_abort_at_a_distant_server(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    stop: Callable[[LocalServer, Bucket, Path], None],
) -> None:
    # The connections were broken off: a new one, two requests, and each a way round the world.
    for operation in ("AbortMultipartUpload", "ListParts"):
        server.faults.add(fault(operation, {"stall_answer": 0.2}, times=None))
    stop(server, bucket, make_file(folder, SIZE))
    server.faults.clear()
    assert open_uploads(bucket) == []
    assert "is left on the server" not in caplog.text


def test_upload_that_cannot_be_aborted_is_named(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", refused(), part_number=3))
    server.faults.add(fault("AbortMultipartUpload", refused(), times=None))
    with pytest.raises(ResumableError) as raised:
        upload(bucket, file, enable_checkpoint=False)
    (left,) = open_uploads(bucket)
    assert left in raised.value.kept
    assert left in caplog.text
    assert raised.value.part_number == 3


def test_stopped_run_does_not_wait_for_an_abort_that_hangs_but_names_the_upload(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("AbortMultipartUpload", gate("abort"), times=None))
    began = time.monotonic()
    stop_by_ctrl_c(server, bucket, file)
    assert time.monotonic() - began < 5
    server.faults.wait_reached("abort")
    left = next(e.upload_id for e in server.log if e.upload_id)
    assert f"upload {left} of oss://examplebucket/" in caplog.text
    assert "is left on the server" in caplog.text


def test_abort_is_sent_until_the_upload_is_gone(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", refused(), part_number=3))
    server.faults.add(fault("AbortMultipartUpload", {"status": 204, "body": "none"}, times=2))
    with pytest.raises(AccessDeniedError, match="the upload was aborted"):
        upload(bucket, file, enable_checkpoint=False)
    assert open_uploads(bucket) == []
    assert requests(server)["AbortMultipartUpload"] == 3


def test_upload_whose_complete_fails_is_aborted_without_a_checkpoint(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault(COMPLETE, refused(500, "InternalError"), times=None))
    with pytest.raises(ServerError):
        upload(bucket, file, enable_checkpoint=False)
    assert open_uploads(bucket) == []
    assert not is_known(bucket, next(e.upload_id for e in server.log if e.upload_id))
