"""The thread that keeps deadlines, by itself."""

import threading
from typing import NoReturn

import pytest

from resumable.oss.watchdog import Watchdog


def test_deadline_that_passes_is_told() -> None:
    expired = threading.Event()
    with Watchdog().deadline(0.01, expired.set):
        assert expired.wait(20)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("failing", ["call", "tidying"])
def test_failure_in_it_does_not_end_all_deadlines_to_come(failing: str) -> None:
    watchdog, ended = Watchdog(), threading.Event()

    def tell_the_end_of(thread: threading.Thread) -> None:
        thread.join()
        ended.set()

    def fail() -> NoReturn:
        here = threading.current_thread()
        threading.Thread(target=tell_the_end_of, args=(here,), daemon=True).start()
        raise OSError(failing)

    def succeed() -> None:
        return

    if failing == "tidying":
        watchdog.tidy = fail
    with watchdog.deadline(0.01, fail if failing == "call" else succeed):
        assert ended.wait(20)
    watchdog.tidy = lambda: False
    expired = threading.Event()
    with watchdog.deadline(0.01, expired.set):
        assert expired.wait(20)
