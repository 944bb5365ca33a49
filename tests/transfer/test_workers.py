"""The workers by themselves: how many work at once, and threads that cannot be had."""

import threading
from contextlib import nullcontext

import pytest

from resumable import LocalFileError, SlowDownError
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


def test_where_no_thread_can_be_had_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    no_thread_from(1, monkeypatch)
    with pytest.raises(LocalFileError, match="starting 'a thread' failed: can't start new thread"):
        run(5)
