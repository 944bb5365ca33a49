"""Stopping an upload: Ctrl-C, the cancel event, a callback that raises; and what is left then."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

import pytest

from resumable import (
    Bucket,
    Progress,
    RetryPolicy,
    TransferCancelledError,
)
from resumable.server import LocalServer
from resumable.transfer.ledger import Ledger
from tests.support import MIB, PART, local_bucket, make_file, parts_sent, requests

from .steps import (
    ALL,
    KEY,
    SIZE,
    beside,
    exists,
    fault,
    gate,
    hold,
    meanwhile,
    open_uploads,
    press_ctrl_c,
    recorded,
    stopped_before_complete,
    under_way,
    upload,
)

# How long a stop may take; what else the machine does must not make a test fail.
AT_ONCE = 1.0


class CallbackError(Exception):
    """What a caller's progress callback raises."""


STALLED_AT = [
    pytest.param("InitiateMultipartUpload", 0, id="initiate"),
    pytest.param("UploadPart", 2, id="third-part"),
    pytest.param("CompleteMultipartUpload", 0, id="complete"),
]


@pytest.mark.parametrize(("operation", "skip"), STALLED_AT)
@pytest.mark.parametrize("threads", [1, 3])
def test_ctrl_c_ends_a_run_within_a_second_though_the_server_is_stalled(
    server: LocalServer, bucket: Bucket, folder: Path, operation: str, skip: int, threads: int
) -> None:
    file = make_file(folder, SIZE)
    hold(server, operation, skip=skip)
    pressed: list[float] = []

    def act() -> None:
        server.faults.wait_reached("held")
        pressed.append(press_ctrl_c())

    with meanwhile(act), pytest.raises(KeyboardInterrupt):
        upload(bucket, file, thread_num=threads)
    assert time.monotonic() - pressed[0] < AT_ONCE
    sent = parts_sent(server.log)
    if operation != "InitiateMultipartUpload":
        assert not [thread for thread in threading.enumerate() if "resumable" in thread.name]
        # With several threads an answer may have been on its way: the list will tell.
        assert recorded(file) == sent or threads > 1
        assert set(recorded(file)) <= set(sent)
    server.faults.clear()
    # What the server held may be stored once it is let go: it has the bytes, if not the client.
    assert upload(bucket, file).parts_reused >= len(sent)
    assert set(parts_sent(server.log)) == set(ALL)
    assert beside(file) == set()


@pytest.fixture
def two_interrupts() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt twice, and then do nothing."""
    heard = iter((KeyboardInterrupt, KeyboardInterrupt))

    def hear(number: int, frame: FrameType | None) -> None:
        if (interrupt := next(heard, None)) is not None:
            raise interrupt

    previous = signal.signal(signal.SIGINT, hear)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("two_interrupts")
def test_second_ctrl_c_does_not_wait_for_a_disk_that_hangs(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    hanging, ending, out = threading.Event(), threading.Event(), threading.Event()
    fsync, leave = os.fsync, Ledger.__exit__

    def hang(descriptor: int) -> None:
        if threading.current_thread().name == "checkpoint":
            hanging.set()
            out.wait(5)
        fsync(descriptor)

    def noted(
        ledger: Ledger,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ending.set()
        leave(ledger, kind, error, traceback)

    monkeypatch.setattr(os, "fsync", hang)
    monkeypatch.setattr(Ledger, "__exit__", noted)
    hold(server, "UploadPart", skip=1)
    pressed: list[float] = []

    def act() -> None:
        server.faults.wait_reached("held")
        assert hanging.wait(10)
        press_ctrl_c()
        assert ending.wait(10)
        pressed.append(press_ctrl_c())
        # One that comes just before the main thread begins to wait does not wake it.
        while not out.wait(0.05):
            press_ctrl_c()

    with meanwhile(act):
        with pytest.raises(KeyboardInterrupt):
            upload(bucket, file)
        took = time.monotonic() - pressed[0]
        out.set()
    assert took < AT_ONCE / 2
    for thread in threading.enumerate():
        if thread.name == "checkpoint":
            thread.join(10)


@pytest.mark.parametrize(("operation", "skip"), STALLED_AT)
def test_cancel_ends_a_run_at_once_though_the_server_is_stalled(
    server: LocalServer, bucket: Bucket, folder: Path, operation: str, skip: int
) -> None:
    file = make_file(folder, SIZE)
    cancel = threading.Event()
    hold(server, operation, skip=skip)
    with under_way(server, lambda: upload(bucket, file, cancel=cancel)) as run:
        server.faults.wait_reached("held")
        set_at = time.monotonic()
        cancel.set()
        with pytest.raises(TransferCancelledError):
            run.result(timeout=10)
        assert time.monotonic() - set_at < AT_ONCE
    upload(bucket, file)


@pytest.mark.parametrize("operation", ["ListParts", "HeadObject", "AbortMultipartUpload"])
def test_cancel_ends_a_resuming_run_at_once_though_the_server_is_stalled(
    server: LocalServer, bucket: Bucket, folder: Path, operation: str
) -> None:
    file = make_file(folder, SIZE)
    upload_id = stopped_before_complete(server, bucket, file)
    headers = {}
    if operation == "HeadObject":
        bucket.abort_multipart_upload(KEY, upload_id)
    if operation == "AbortMultipartUpload":
        headers = {"x-oss-meta-edition": "2"}
    cancel = threading.Event()
    hold(server, operation)
    with under_way(server, lambda: upload(bucket, file, cancel=cancel, headers=headers)) as run:
        server.faults.wait_reached("held")
        cancel.set()
        with pytest.raises(TransferCancelledError):
            run.result(timeout=AT_ONCE)
    assert beside(file) == {"example.bin.cp"}


def test_cancel_ends_a_run_that_waits_for_its_next_try(server: LocalServer, folder: Path) -> None:
    file = make_file(folder, SIZE)
    cancel = threading.Event()
    answer = {"status": 503, "code": "SlowDown", "headers": {"Retry-After": "30"}}
    rule = server.faults.add(fault("UploadPart", answer, times=None))
    patient = RetryPolicy(longest_retry_after=30)
    with (
        local_bucket(server.endpoint, retry=patient) as bucket,
        under_way(server, lambda: upload(bucket, file, cancel=cancel)) as run,
    ):
        server.faults.wait_fired(rule)
        cancel.set()
        with pytest.raises(TransferCancelledError):
            run.result(timeout=AT_ONCE)


def test_cancel_is_heard_while_the_run_waits_for_the_file_s_time_stamp(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    # Whole seconds: as on a file system with stamps of two seconds, which is what is waited for.
    second = int(time.time())
    os.utime(file, (second, second))
    cancel = threading.Event()
    timer = threading.Timer(0.1, cancel.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(TransferCancelledError):
        upload(bucket, file, cancel=cancel)
    assert time.monotonic() - began < 1
    timer.join()
    assert len(server.log) == 0


@pytest.mark.parametrize("enable_checkpoint", [True, False])
@pytest.mark.parametrize("size", [SIZE, PART], ids=["parts", "put"])
def test_run_that_is_cancelled_beforehand_sends_nothing(
    server: LocalServer, bucket: Bucket, folder: Path, size: int, enable_checkpoint: bool
) -> None:
    file = make_file(folder, size)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(TransferCancelledError):
        upload(bucket, file, cancel=cancel, enable_checkpoint=enable_checkpoint)
    assert open_uploads(bucket) == []
    assert not exists(bucket)
    assert requests(server).keys() <= {"ListMultipartUploads", "HeadObject"}


@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_callback_that_always_raises_leaves_no_uploads_behind(
    server: LocalServer, bucket: Bucket, folder: Path, enable_checkpoint: bool
) -> None:
    file = make_file(folder, SIZE)

    def refuse(_: Progress) -> None:
        raise CallbackError

    for _ in range(3):
        with pytest.raises(CallbackError):
            upload(bucket, file, progress=refuse, enable_checkpoint=enable_checkpoint)
    assert len(open_uploads(bucket)) == (1 if enable_checkpoint else 0)
    upload(bucket, file)
    assert open_uploads(bucket) == []


@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_upload_that_the_server_begins_while_the_run_is_cancelled_is_aborted(
    server: LocalServer, bucket: Bucket, folder: Path, enable_checkpoint: bool
) -> None:
    file = make_file(folder, SIZE)
    cancel = threading.Event()
    server.faults.add(fault("InitiateMultipartUpload", gate("begun", "after")))
    with under_way(
        server,
        lambda: upload(bucket, file, cancel=cancel, enable_checkpoint=enable_checkpoint),
    ) as run:
        server.faults.wait_reached("begun")
        cancel.set()
        server.faults.release("begun")
        with pytest.raises(TransferCancelledError):
            run.result(timeout=10)
    assert open_uploads(bucket) == []


def test_upload_that_the_server_begins_after_the_run_was_cancelled_is_aborted(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    cancel = threading.Event()
    server.faults.add(fault("InitiateMultipartUpload", gate("begun", "after")))
    server.faults.add(fault("AbortMultipartUpload", gate("aborted", "after")))
    with under_way(server, lambda: upload(bucket, file, cancel=cancel)) as run:
        server.faults.wait_reached("begun")
        cancel.set()
        with pytest.raises(TransferCancelledError):
            run.result(timeout=AT_ONCE)
        server.faults.release("begun")
        server.faults.wait_reached("aborted")
        assert open_uploads(bucket) == []
        server.faults.release("aborted")
    for thread in threading.enumerate():
        if "resumable" in thread.name:
            thread.join(10)


def test_cancelled_run_is_taken_up_by_the_next(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    cancel = threading.Event()
    hold(server, "UploadPart", skip=2)
    with under_way(server, lambda: upload(bucket, file, cancel=cancel)) as run:
        server.faults.wait_reached("held")
        cancel.set()
        with pytest.raises(TransferCancelledError) as raised:
            run.result(timeout=10)
    assert "2 of 5 parts" in raised.value.kept
    assert recorded(file) == [1, 2]
    server.log.clear()
    assert upload(bucket, file).parts_reused == 2
    assert parts_sent(server.log) == [3, 4, 5]


@pytest.mark.parametrize("threads", [1, 3])
def test_callback_that_raises_stops_the_run_resumably(
    server: LocalServer, bucket: Bucket, folder: Path, threads: int
) -> None:
    file = make_file(folder, SIZE)
    hold(server, "UploadPart", skip=2)

    def give_up(progress: Progress) -> None:
        if progress.bytes_done >= 2 * PART and server.faults.wait_reached("held"):
            raise CallbackError

    with pytest.raises(CallbackError):
        upload(bucket, file, thread_num=threads, progress=give_up)
    server.faults.clear()
    assert threads > 1 or recorded(file) == [1, 2]
    assert upload(bucket, file).parts_reused == 2


def test_cancel_in_the_midst_of_a_large_part_breaks_it_off(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 64 * MIB)
    cancel = threading.Event()
    server.faults.add(fault("UploadPart", gate("part"), times=None))
    with under_way(
        server, lambda: upload(bucket, file, part_size="32MiB", thread_num=2, cancel=cancel)
    ) as run:
        server.faults.wait_reached("part", count=2)
        cancel.set()
        with pytest.raises(TransferCancelledError):
            run.result(timeout=AT_ONCE)
    assert parts_sent(server.log) == []
