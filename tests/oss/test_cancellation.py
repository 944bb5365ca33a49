"""Stopping calls from outside."""

import threading
import time
from collections.abc import Callable

import pytest

from resumable.errors import TransferCancelledError
from resumable.oss.cancellation import Cancellation


def test_nothing_is_cancelled_at_first() -> None:
    cancellation = Cancellation()
    cancellation.check()
    cancellation.sleep(0)
    assert not cancellation.is_set


@pytest.mark.parametrize(
    "throw", [Cancellation.cancel, Cancellation.interrupt], ids=["cancel", "interrupt"]
)
def test_thrown_switch_ends_all_that_would_begin(throw: Callable[[Cancellation], None]) -> None:
    cancellation = Cancellation()
    throw(cancellation)
    assert cancellation.is_set
    for begin in (cancellation.check, lambda: cancellation.sleep(0)):
        with pytest.raises(TransferCancelledError):
            begin()


def test_cancelling_lets_a_call_under_way_go_on() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    assert not cancellation.is_broken
    cancellation.check_under_way()
    with cancellation.interruptible(lambda: None):
        pass


def test_interrupting_ends_a_call_under_way() -> None:
    cancellation = Cancellation()
    cancellation.interrupt()
    assert cancellation.is_broken
    with pytest.raises(TransferCancelledError):
        cancellation.check_under_way()
    with pytest.raises(TransferCancelledError), cancellation.interruptible(lambda: None):
        raise AssertionError("it went on after all")


def test_sleep_lasts_as_long_as_asked() -> None:
    began = time.monotonic()
    Cancellation().sleep(0.05)
    assert time.monotonic() - began >= 0.05


def test_sleep_ends_when_the_switch_is_thrown() -> None:
    cancellation = Cancellation()
    sleeping = threading.Timer(0.05, cancellation.cancel)
    sleeping.start()
    began = time.monotonic()
    with pytest.raises(TransferCancelledError):
        cancellation.sleep(60)
    assert time.monotonic() - began < 5
    sleeping.join()


def test_interrupting_reaches_each_call_under_way() -> None:
    cancellation, broken = Cancellation(), []
    with (
        cancellation.interruptible(lambda: broken.append("one")),
        cancellation.interruptible(lambda: broken.append("other")),
    ):
        cancellation.interrupt()
    assert sorted(broken) == ["one", "other"]


def test_cancelling_reaches_no_call_under_way() -> None:
    cancellation, broken = Cancellation(), []
    with cancellation.interruptible(lambda: broken.append("call")):
        cancellation.cancel()
    assert broken == []


def test_call_that_has_ended_is_not_interrupted_any_more() -> None:
    cancellation, broken = Cancellation(), []
    with cancellation.interruptible(lambda: broken.append("call")):
        pass
    with pytest.raises(ZeroDivisionError), cancellation.interruptible(lambda: broken.append("b")):
        raise ZeroDivisionError
    cancellation.interrupt()
    assert broken == []


def test_call_that_begins_while_the_switch_is_thrown_is_interrupted_or_refused() -> None:
    """Whatever the order of the two threads, no call goes on as if nothing had happened."""
    for _ in range(200):
        cancellation, broken = Cancellation(), threading.Event()
        thrower = threading.Thread(target=cancellation.interrupt)
        thrower.start()
        try:
            with cancellation.interruptible(broken.set):
                assert broken.wait(5)
        except TransferCancelledError:
            pass
        thrower.join()
