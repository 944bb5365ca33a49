"""A pace: keeps a stream of bytes at or below a rate."""

from __future__ import annotations

import time
from collections.abc import Callable

_STEPS_A_SECOND = 10


class Pace:
    """Holds a stream up by as much as it is ahead of its rate.

    Attributes:
        step: how many bytes to pass on at once, so that the stream flows instead of jerking.
    """

    def __init__(self, bytes_per_second: float, wait: Callable[[float], None]) -> None:
        self.step = max(1, int(bytes_per_second / _STEPS_A_SECOND))
        self._rate = bytes_per_second
        self._wait = wait
        self._due = time.monotonic()

    def passed(self, size: int) -> None:
        """Wait until `size` more bytes may have passed."""
        duration = size / self._rate
        now = time.monotonic()
        # What a slow client did not use is gone: it may not run ahead with it later.
        self._due = max(self._due, now - duration) + duration
        if self._due > now:
            self._wait(self._due - now)
