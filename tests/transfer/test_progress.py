"""Progress: what the caller is told, from which thread, and how often."""

import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from resumable import Bucket, Progress
from resumable.server import LocalServer
from tests.support import MIB, PART, make_file, random_bytes

from .steps import KEY, SIZE, fault, gate, interrupted, refused, stopped_before_complete, upload


class Told:
    """A progress callback that keeps what it was told."""

    def __init__(self) -> None:
        self.news: list[Progress] = []
        self.threads: set[threading.Thread] = set()

    def __call__(self, progress: Progress) -> None:
        self.news.append(progress)
        self.threads.add(threading.current_thread())

    @property
    def done(self) -> list[int]:
        return [news.bytes_done for news in self.news]

    def never_steps_back(self) -> bool:
        return all(before <= after for before, after in pairwise(self.done))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("size", [SIZE, PART, 0], ids=["parts", "put", "empty"])
def test_progress_rises_to_the_total_in_the_callers_thread(
    server: LocalServer, bucket: Bucket, folder: Path, threads: int, size: int
) -> None:
    told = Told()
    server.faults.add(fault("UploadPart", {"stall": 0.12}, part_number=3))
    upload(bucket, make_file(folder, size), thread_num=threads, progress=told)
    assert told.never_steps_back()
    assert told.news[-1] == Progress(size, size, 0)
    assert {news.bytes_total for news in told.news} == {size}
    assert told.threads == {threading.current_thread()}


def test_progress_tells_of_bytes_within_a_part(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 4 * MIB)
    told = Told()
    server.faults.add(fault("UploadPart", {"stall_answer": 0.3}, part_number=1))
    upload(bucket, file, part_size="2MiB", progress=told)
    assert any(0 < done <= 2 * MIB for done in told.done)


def test_progress_of_a_resumed_run_begins_with_what_is_there(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3)
    told = Told()
    upload(bucket, file, progress=told)
    # A bar that jumped from nothing to three parts would also tell a speed that never was.
    assert told.news[0].bytes_done >= 3 * PART
    assert {news.bytes_reused for news in told.news} == {3 * PART}
    assert told.news[-1] == Progress(SIZE, SIZE, 3 * PART)
    assert told.never_steps_back()


def test_progress_tells_the_end_though_nothing_is_sent(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    told = Told()
    upload(bucket, file, progress=told)
    assert told.news[-1] == Progress(SIZE, SIZE, SIZE)


def test_progress_does_not_step_back_when_a_part_is_sent_again(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    told = Told()
    server.faults.add(fault("UploadPart", {"stall_answer": 0.25}, part_number=1))
    server.faults.add(fault("UploadPart", {"drop": "after_success"}, part_number=1))
    # The second time the sockets are full long before the part is out.
    server.faults.add(fault("UploadPart", {"stall": 0.25}, part_number=1, skip=1))
    upload(bucket, make_file(folder, 17 * MIB), part_size="16MiB", progress=told)
    assert 16 * MIB in told.done
    assert told.never_steps_back()


def test_progress_counts_a_part_that_somebody_replaced_once(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = interrupted(server, bucket, file, parts=3)
    bucket.upload_part(KEY, upload_id, 2, random_bytes(PART, seed=9))
    told = Told()
    upload(bucket, file, progress=told)
    assert told.news[-1] == Progress(SIZE, SIZE, 2 * PART)


def test_progress_after_a_fresh_start_does_not_step_back(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=3)
    server.faults.add(fault("UploadPart", refused(404, "NoSuchUpload")))
    told = Told()
    result = upload(bucket, file, progress=told)
    assert (result.bytes_sent, result.bytes_reused) == (SIZE, 0)
    assert told.never_steps_back()
    assert told.news[-1] == Progress(SIZE, SIZE, 0)


def test_callback_is_called_some_ten_times_a_second(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 60 * PART)
    told = Told()
    server.faults.add(fault("UploadPart", {"stall": 0.01}, times=None))
    began = time.monotonic()
    upload(bucket, file, progress=told)
    assert 3 < len(told.news) < 5 + 10 * (time.monotonic() - began)


def test_slow_callback_does_not_hold_the_parts_up(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", {"stall": 0.12}, part_number=1))
    server.faults.add(fault("UploadPart", gate("last", "after"), part_number=5))
    reached: list[int] = []

    def wait(progress: Progress) -> None:
        if progress.bytes_done and not reached:
            reached.append(server.faults.wait_reached("last"))
            server.faults.release("last")

    upload(bucket, file, progress=wait)
    assert reached == [1]
