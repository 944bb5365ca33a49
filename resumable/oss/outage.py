"""One report of an outage, however many calls of a bucket meet it."""

import logging
import threading
import time

from resumable.oss.retry import Retry

_log = logging.getLogger("resumable")
# Seconds between two warnings of one outage.
_REPEAT_AFTER = 30.0
# What fails so soon after a recovery met the outage that is over: with a connection from before it.
_AFTERMATH = 5.0


class Outage:
    """The calls of a client that are failing now. The first is logged, the others at DEBUG."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: set[object] = set()
        self._since = 0.0
        self._warned_at = self._recovered_at = float("-inf")

    def failed(self, call: object, what: str, retry: Retry) -> None:
        """Log that a try of a call failed.

        Args:
            call: Stands for the call; `ended` is to be called with it.
            what: The operation, and the part if there is one.
            retry: The failure.
        """
        now = time.monotonic()
        with self._lock:
            is_new = not self._failing and now - self._recovered_at > _AFTERMATH
            if not self._failing:
                self._since = now
            self._failing.add(call)
            warn = is_new or now - self._warned_at >= _REPEAT_AFTER
            if warn:
                self._warned_at = now
        _log.log(
            logging.WARNING if warn else logging.DEBUG,
            "%s: %s; try %d, next in %.1f s, giving up in %s",
            what,
            retry.error,
            retry.tries,
            retry.wait,
            span(retry.left),
        )

    def ended(self, call: object, *, succeeded: bool) -> None:
        """Note the end of a call; log the end of the outage if it was the last that failed."""
        if not self._failing:
            return
        now = time.monotonic()
        with self._lock:
            if call not in self._failing:
                return
            self._failing.remove(call)
            is_over = succeeded and not self._failing
            if is_over:
                self._recovered_at = now
        if is_over:
            _log.info("requests succeed again after %s of failures", span(now - self._since))


def span(seconds: float) -> str:
    """A time for people: seconds, or minutes if there are at least two."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
