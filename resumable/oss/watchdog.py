"""One thread that enforces deadlines on requests and closes idle connections that are dead."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

# Seconds between two checks of the idle connections.
_TIDY_EVERY = 5.0


class Watchdog:
    """Calls back when a deadline passes. Its thread runs only while there is something to watch.

    Attributes:
        tidy: Called every few seconds; returns whether there is more to tidy later.
    """

    def __init__(self) -> None:
        self.tidy: Callable[[], bool] = lambda: False
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Start without a thread, as a forked child does."""
        self._changed = threading.Condition()
        self._deadlines: dict[int, tuple[float, Callable[[], None]]] = {}
        self._numbers = count()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    @contextmanager
    def deadline(self, seconds: float, expired: Callable[[], None]) -> Iterator[None]:
        """Call `expired`, from another thread, unless the context ends within so many seconds."""
        at = time.monotonic() + seconds
        with self._changed:
            number = next(self._numbers)
            self._deadlines[number] = at, expired
            self._start()
            if at < self._wakes_at:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._deadlines.pop(number, None)

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be had: the timeout of each read still holds
            return
        self._thread = thread

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                soonest = min((at for at, _ in self._deadlines.values()), default=math.inf)
                self._wakes_at = min(soonest, now + _TIDY_EVERY)
                self._changed.wait(max(0.0, self._wakes_at - now))
                now = time.monotonic()
                late = [number for number, (at, _) in self._deadlines.items() if at <= now]
                expired = [self._deadlines.pop(number)[1] for number in late]
            for call in expired:
                call()
            more = self.tidy()
            with self._changed:
                if not self._deadlines and not more:
                    self._thread = None
                    return


# One for the process: a program may have many buckets.
watchdog = Watchdog()
