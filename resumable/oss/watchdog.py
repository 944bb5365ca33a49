"""One thread that enforces deadlines on requests and closes idle connections that are dead."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_SECONDS_BETWEEN_CHECKS = 0.25


class Watchdog:
    """Calls back soon after a deadline. Its thread runs only while there is something to watch.

    Attributes:
        tidy: Called at each check; returns whether there is more to tidy later.
    """

    def __init__(self) -> None:
        self.tidy: Callable[[], bool] = lambda: False
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Start without a thread, as a forked child does."""
        self._lock = threading.Lock()
        self._deadlines: dict[object, tuple[float, Callable[[], None]]] = {}
        self._is_running = False

    @contextmanager
    def deadline(self, seconds: float, expired: Callable[[], None]) -> Iterator[None]:
        """Call `expired`, from another thread, unless the context ends within so many seconds."""
        key = object()
        with self._lock:
            self._deadlines[key] = time.monotonic() + seconds, expired
            if not self._is_running:
                # Where no thread can be had, the timeout of each read still holds.
                with suppress(RuntimeError):
                    threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
                    self._is_running = True
        try:
            yield
        finally:
            with self._lock:
                self._deadlines.pop(key, None)

    def _watch(self) -> None:
        try:
            self._watch_on()
        except BaseException:  # then the next deadline starts another thread
            with self._lock:
                self._is_running = False
            raise

    def _watch_on(self) -> None:
        while True:
            time.sleep(_SECONDS_BETWEEN_CHECKS)
            now = time.monotonic()
            with self._lock:
                late = [key for key, (at, _) in self._deadlines.items() if at <= now]
                expired = [self._deadlines.pop(key)[1] for key in late]
            for call in expired:
                call()
            more = self.tidy()
            with self._lock:
                if not self._deadlines and not more:
                    self._is_running = False
                    return


# One for the process: a program may have many buckets.
watchdog = Watchdog()
