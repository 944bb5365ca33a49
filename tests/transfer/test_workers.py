"""The workers by themselves: how many work at once, and threads that cannot be had."""

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest

from resumable import LocalFileError, SlowDownError, TransferCancelledError
from resumable.oss.cancellation import Cancellation
from resumable.transfer.workers import Throttle, Workers


def slow_down() -> SlowDownError:
    return SlowDownError("slow down", status=503)


def work(throttle: Throttle, times: int) -> None:
    for _ in range(times):
        throttle.enter(lambda: False)
        throttle.leave(succeeded=True)


def test_limit_is_halved_and_grows_again_by_one_for_each_ten_successes_a_place() -> None:
    throttle = Throttle(4)
    throttle.notice(slow_down())
    assert throttle.limit == 2
    work(throttle, 19)
    assert throttle.limit == 2
    work(throttle, 1)
    assert throttle.limit == 3
    work(throttle, 30)
    assert throttle.limit == 4
    work(throttle, 100)
    assert throttle.limit == 4


def test_answers_to_requests_that_were_under_way_together_halve_it_once() -> None:
    throttle = Throttle(8)
    for _ in range(8):
        throttle.notice(slow_down())
    assert throttle.limit == 4


def test_one_worker_always_stays() -> None:
    throttle = Throttle(1)
    throttle.notice(slow_down())
    assert throttle.limit == 1


def no_thread_from(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system's limit of threads be met at this one."""
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if int(thread.name.partition("-")[2]) >= number:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


def run(tasks: int) -> list[tuple[str, int]]:
    """Work tasks off with three threads; who did which."""
    done: list[tuple[str, int]] = []
    workers: Workers[int] = Workers(3, Cancellation(), Throttle(3))

    def do(task: int) -> None:
        done.append((threading.current_thread().name, task))

    workers.run(range(tasks), lambda: nullcontext(do), lambda: None)
    return done


def test_fewer_threads_do_the_work_where_no_more_can_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_thread_from(2, monkeypatch)
    assert run(5) == [("resumable-1", task) for task in range(5)]


def test_where_no_thread_can_be_had_the_calling_thread_does_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_thread_from(1, monkeypatch)
    me = threading.current_thread().name
    assert run(5) == [(me, task) for task in range(5)]


def test_the_calling_thread_ticks_between_two_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    no_thread_from(1, monkeypatch)
    done: list[int] = []
    workers: Workers[int] = Workers(3, Cancellation(), Throttle(3))

    def tick() -> None:
        if len(done) == 2:
            raise TransferCancelledError("enough")

    with pytest.raises(TransferCancelledError, match="enough"):
        workers.run(range(5), lambda: nullcontext(done.append), tick)
    assert done == [0, 1]


class Abrupt(BaseException):
    """Not to be caught by an `except Exception`."""


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, Abrupt, ValueError])
def test_whatever_ends_a_worker_is_raised_by_the_caller(
    monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], threads: int
) -> None:
    no_thread_from(threads + 1, monkeypatch)
    workers: Workers[int] = Workers(3, Cancellation(), Throttle(3))

    def do(task: int) -> None:
        if task == 1:
            raise kind("enough")

    with pytest.raises(kind, match="enough"):
        workers.run(range(3), lambda: nullcontext(do), lambda: None)


def test_an_abrupt_end_does_not_wait_for_the_others() -> None:
    workers: Workers[int] = Workers(2, Cancellation(), Throttle(2))
    both, never = threading.Barrier(2), threading.Event()

    def do(task: int) -> None:
        both.wait(10)
        if task == 1:
            raise Abrupt("enough")
        never.wait(60)

    began = time.monotonic()
    with pytest.raises(Abrupt):
        workers.run(range(2), lambda: nullcontext(do), lambda: None)
    assert time.monotonic() - began < 1
    never.set()


def scarce(number: int) -> LocalFileError:
    return LocalFileError.of(OSError(number, os.strerror(number)), "opening", "a socket")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("enough_for", [1, 2, 7])
def test_with_too_few_descriptors_fewer_workers_do_all_tasks(number: int, enough_for: int) -> None:
    workers: Workers[int] = Workers(8, Cancellation(), Throttle(8))
    descriptors, lock = [None] * enough_for, threading.Lock()
    mine = threading.local()
    done: list[int] = []

    def do(task: int) -> None:
        with lock:
            if not hasattr(mine, "descriptor"):
                if not descriptors:
                    raise scarce(number)
                mine.descriptor = descriptors.pop()
        done.append(task)

    workers.run(range(100), lambda: nullcontext(do), lambda: None)
    assert sorted(done) == list(range(100))


def test_throttle_gives_way_one_by_one_and_for_good() -> None:
    throttle = Throttle(4)
    for _ in range(3):
        throttle.enter(lambda: False)
    throttle.give_way()
    assert throttle.limit == 2
    throttle.give_way()  # a third one is still at it
    assert throttle.limit == 2
    throttle.leave(succeeded=True)
    throttle.give_way()
    throttle.give_way()
    assert throttle.limit == 1
    throttle.leave(succeeded=True)
    throttle.leave(succeeded=True)
    for _ in range(100):
        throttle.enter(lambda: False)
        throttle.leave(succeeded=True)
    assert throttle.limit == 1


def test_the_last_worker_waits_for_a_descriptor() -> None:
    workers: Workers[int] = Workers(1, Cancellation(), Throttle(1))
    tries: list[int] = []

    def do(task: int) -> None:
        tries.append(task)
        if len(tries) < 3:
            raise scarce(errno.EMFILE)

    workers.run([7], lambda: nullcontext(do), lambda: None)
    assert tries == [7, 7, 7]


def test_a_local_error_of_another_kind_ends_all() -> None:
    workers: Workers[int] = Workers(4, Cancellation(), Throttle(4))

    def do(_: int) -> None:
        raise scarce(errno.EIO)

    with pytest.raises(LocalFileError):
        workers.run(range(10), lambda: nullcontext(do), lambda: None)


@pytest.mark.parametrize("where", ["task", "opening", "closing"])
def test_no_error_of_a_worker_is_missed_at_its_end(where: str) -> None:
    """The threads change so often that the caller looks at every moment of a worker's end."""

    @contextmanager
    def opened() -> Iterator[Callable[[str], None]]:
        if where == "opening":
            raise ValueError(where)
        yield do
        raise ValueError(where)

    def do(task: str) -> None:
        if where == task:
            raise ValueError(where)

    def run() -> None:
        Workers[str](1, Cancellation(), Throttle(1)).run(["task"], opened, lambda: None)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(300):
            with pytest.raises(ValueError, match=where):
                run()
    finally:
        sys.setswitchinterval(before)
