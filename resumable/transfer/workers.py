"""Bounded workers: tasks handed out one by one, one first error, an end within a second."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, TypeVar

from resumable.errors import LocalFileError, ResumableError, SlowDownError, TransferCancelledError
from resumable.oss.adapter import close_idle_connections
from resumable.oss.cancellation import Cancellation
from resumable.transfer.scarcity import is_scarce

_log = logging.getLogger("resumable")
_T = TypeVar("_T")

# How often the caller's thread looks around, and how long it waits for threads it broke off.
_TICK = 0.1
_GRACE = 0.6
_PAUSE_BETWEEN_CUTS = 1.0
_TASKS_PER_RAISE = 10
# The last worker waits for descriptors that come free, this long and with these pauses.
_SCARCITY_PATIENCE = 5.0
_SCARCITY_PAUSE = 0.1


class Throttle:
    """How many workers may work at once: fewer after the server says slow down, more later."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._active = 0
        self._successes = 0
        self._last_cut = float("-inf")
        self._gave_way = False
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

    def give_way(self) -> None:
        """One worker fewer from now on, for want of descriptors; said once."""
        with self._changed:
            if self._active > self._limit:  # those that are to end have not ended yet
                return
            fewer = max(1, min(self._limit, self._active) - 1)
            if fewer < self._limit and not self._gave_way:
                _log.warning("there are no more descriptors: fewer than %d workers", self._limit)
                self._gave_way = True
            self._most = self._limit = min(self._limit, fewer)

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
    """Threads that process tasks until all are done or one fails for good.

    Where the system gives fewer threads or descriptors than would be needed, fewer workers do the
    work, down to the calling thread itself.

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
        self._error: BaseException | None = None
        self._running = 0
        self._staying = 0  # workers that will look for another task
        self._done = threading.Condition()

    def run(
        self,
        tasks: Iterable[_T],
        opened: Callable[[], AbstractContextManager[Callable[[_T], None]]],
        tick: Callable[[], None],
    ) -> None:
        """Process all tasks.

        When one fails, no other is begun, those under way end, and the first error is raised by
        this call, whatever its type: also a SystemExit that a callback raised in a worker.
        When `tick` raises, or Ctrl-C comes, those under way are aborted.

        Args:
            tasks: What to do.
            opened: Called by each thread for what it needs; gives the function that does a task.
            tick: Called ten times a second by the calling thread; between two tasks, if that is
                the only one there is.
        """
        self._tasks.extend(tasks)
        count = min(self._threads, len(self._tasks))
        threads = [
            threading.Thread(
                target=self._work, args=(opened,), name=f"resumable-{number}", daemon=True
            )
            for number in range(1, count + 1)
        ]
        self._running = self._staying = count
        finished = False
        try:
            if self._start(threads):
                self._wait(tick)
            else:
                self._running = self._staying = 1
                self._work(opened, tick)
                tick()
            finished = True
        finally:
            if not finished:
                self._abort(threads)
        if self._error is not None:
            raise self._error

    def _start(self, threads: list[threading.Thread]) -> bool:
        """Start the threads, or as many as can be had; whether there is one."""
        for begun, thread in enumerate(threads):
            try:
                thread.start()
            except RuntimeError as error:  # too many, or the interpreter is about to exit
                level = logging.WARNING if len(threads) > 1 else logging.INFO
                _log.log(level, "%d threads instead of %d: %s", begun, len(threads), error)
                with self._done:
                    self._running -= len(threads) - begun
                    self._staying -= len(threads) - begun
                return begun > 0
        return True

    def _wait(self, tick: Callable[[], None]) -> None:
        while True:
            with self._done:
                # The timeout is also what lets Ctrl-C in.
                ended = self._done.wait_for(lambda: self._running == 0, timeout=_TICK)
            tick()
            if self._error is not None and not isinstance(self._error, Exception):
                raise self._error
            if ended:
                return

    def _abort(self, threads: list[threading.Thread]) -> None:
        self._tasks.clear()
        self._cancellation.interrupt()
        self._throttle.wake()
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(
        self,
        opened: Callable[[], AbstractContextManager[Callable[[_T], None]]],
        between: Callable[[], None] = lambda: None,
    ) -> None:
        try:
            with _Ending(self._fail), opened() as do:
                while self._one(do):
                    between()
        finally:
            # Only now: the caller takes a run in which nobody works any more for a success.
            with self._done:
                self._running -= 1
                self._done.notify_all()

    def _one(self, do: Callable[[_T], None]) -> bool:
        """Do the next task; whether this worker is to do another one."""
        self._throttle.enter(lambda: self._cancellation.is_set)
        succeeded = False
        try:
            self._cancellation.check()
            with self._done:
                if not self._tasks:
                    self._staying -= 1
                    return False
                task = self._tasks.popleft()
            if not self._do_with_what_is_there(do, task):
                return False
            succeeded = True
        finally:
            self._throttle.leave(succeeded=succeeded)
        return True

    def _do_with_what_is_there(self, do: Callable[[_T], None], task: _T) -> bool:
        """Do a task, or leave it to the others for want of a descriptor; whether it is done."""
        deadline = time.monotonic() + _SCARCITY_PATIENCE
        while True:
            try:
                do(task)
            except LocalFileError as error:
                if not is_scarce(error):
                    raise
                if close_idle_connections():
                    continue
                if self._leave_to_others(task):
                    self._throttle.give_way()
                    _log.info("one worker fewer: %s", error)
                    return False
                if time.monotonic() >= deadline:
                    raise
                self._cancellation.sleep(_SCARCITY_PAUSE)
            else:
                return True

    def _leave_to_others(self, task: _T) -> bool:
        """Put a task back, if there is another worker that will find it."""
        with self._done:
            if self._staying <= 1:
                return False
            self._staying -= 1
            self._tasks.appendleft(task)
        return True

    def _fail(self, error: BaseException) -> None:
        with self._done:
            # That others were stopped is a consequence of the first error, not news.
            if self._error is None or isinstance(self._error, TransferCancelledError):
                self._error = error
        self._tasks.clear()
        self._cancellation.cancel()
        if not isinstance(error, Exception):
            self._cancellation.interrupt()
        self._throttle.wake()


class _Ending:
    """Notes what ended a worker, whatever it is, so that the calling thread raises it.

    Args:
        note: Called with it.
    """

    def __init__(self, note: Callable[[BaseException], None]) -> None:
        self._note = note

    def __enter__(self) -> None:
        """Nothing has ended yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is not None:
            self._note(error)
        return True
