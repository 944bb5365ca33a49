"""Bounded workers: tasks handed out one by one, one first error, an end within a second."""

import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from resumable.errors import LocalFileError, ResumableError, SlowDownError, TransferCancelledError
from resumable.oss.cancellation import Cancellation

_log = logging.getLogger("resumable")
_T = TypeVar("_T")

# How often the caller's thread looks around, and how long it waits for threads it broke off.
_TICK = 0.1
_GRACE = 0.6
_PAUSE_BETWEEN_CUTS = 1.0
_TASKS_PER_RAISE = 10


class Throttle:
    """How many workers may work at once: fewer after the server says slow down, more later."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._active = 0
        self._successes = 0
        self._last_cut = float("-inf")
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may work at once now."""
        return self._limit

    def notice(self, error: ResumableError) -> None:
        """Halve the limit if the server asked for fewer requests, once a second at most."""
        with self._changed:
            now = time.monotonic()
            if isinstance(error, SlowDownError) and now - self._last_cut >= _PAUSE_BETWEEN_CUTS:
                self._limit = max(1, self._limit // 2)
                self._last_cut, self._successes = now, 0

    def enter(self, stopped: Callable[[], bool]) -> None:
        """Wait for a place."""
        with self._changed:
            self._changed.wait_for(lambda: stopped() or self._active < self._limit)
            self._active += 1

    def leave(self, *, succeeded: bool) -> None:
        """Give the place back. After ten successes a place each, there is one more."""
        with self._changed:
            self._active -= 1
            self._successes += succeeded
            if self._successes >= _TASKS_PER_RAISE * self._limit and self._limit < self._most:
                self._limit, self._successes = self._limit + 1, 0
            self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()


class Workers(Generic[_T]):
    """Threads that work tasks off until all are done or one fails for good.

    Args:
        threads: How many at most.
        cancellation: What their calls listen to.
        throttle: How many may work at once.
    """

    def __init__(self, threads: int, cancellation: Cancellation, throttle: Throttle) -> None:
        self._threads = threads
        self._cancellation = cancellation
        self._throttle = throttle
        self._tasks: deque[_T] = deque()
        self._error: Exception | None = None
        self._running = 0
        self._done = threading.Condition()

    def run(
        self,
        tasks: Iterable[_T],
        opened: Callable[[], AbstractContextManager[Callable[[_T], None]]],
        tick: Callable[[], None],
    ) -> None:
        """Work all tasks off.

        When one fails, no other is begun, those under way end, and the first error is raised.
        When `tick` raises, or Ctrl-C comes, those under way are broken off. Where the system does
        not give as many threads, fewer do the work.

        Args:
            tasks: What to do.
            opened: Called by each thread for what it needs; gives the function that does a task.
            tick: Called ten times a second by the calling thread.
        """
        self._tasks.extend(tasks)
        count = min(self._threads, len(self._tasks))
        threads = [
            threading.Thread(
                target=self._work, args=(opened,), name=f"resumable-{number}", daemon=True
            )
            for number in range(1, count + 1)
        ]
        self._running = count
        finished = False
        try:
            self._start(threads)
            self._wait(tick)
            finished = True
        finally:
            if not finished:
                self._break_off(threads)
        if self._error is not None:
            raise self._error

    def _start(self, threads: list[threading.Thread]) -> None:
        for begun, thread in enumerate(threads):
            try:
                thread.start()
            except RuntimeError as error:
                if begun == 0:
                    none = OSError(errno.EAGAIN, str(error))
                    raise LocalFileError.of(none, "starting", "a thread") from None
                _log.warning("%d threads instead of %d: %s", begun, len(threads), error)
                with self._done:
                    self._running -= len(threads) - begun
                return

    def _wait(self, tick: Callable[[], None]) -> None:
        while True:
            with self._done:
                # The timeout is also what lets Ctrl-C in.
                ended = self._done.wait_for(lambda: self._running == 0, timeout=_TICK)
            tick()
            if ended:
                return

    def _break_off(self, threads: list[threading.Thread]) -> None:
        self._tasks.clear()
        self._cancellation.interrupt()
        self._throttle.wake()
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, opened: Callable[[], AbstractContextManager[Callable[[_T], None]]]) -> None:
        try:
            with opened() as do:
                while self._one(do):
                    continue
        except Exception as error:  # noqa: BLE001 - raised again by the calling thread
            self._fail(error)
        finally:
            with self._done:
                self._running -= 1
                self._done.notify_all()

    def _one(self, do: Callable[[_T], None]) -> bool:
        self._throttle.enter(lambda: self._cancellation.is_set)
        succeeded = False
        try:
            self._cancellation.check()
            try:
                task = self._tasks.popleft()
            except IndexError:
                return False
            do(task)
            succeeded = True
        finally:
            self._throttle.leave(succeeded=succeeded)
        return True

    def _fail(self, error: Exception) -> None:
        with self._done:
            # That others were stopped is a consequence of the first error, not news.
            if self._error is None or isinstance(self._error, TransferCancelledError):
                self._error = error
        self._tasks.clear()
        self._cancellation.cancel()
        self._throttle.wake()
