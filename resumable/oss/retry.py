"""The one retry policy: what is worth another try, when, and how often."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from resumable.errors import (
    InvalidArgumentError,
    ResumableError,
    ServerError,
    SourceChangedError,
    TransferCancelledError,
)

if TYPE_CHECKING:
    import tenacity

_log = logging.getLogger("resumable")
_T = TypeVar("_T")
_MOST_DOUBLINGS = 60  # a float holds no more than a thousand


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is tried again.

    The wait before try n is random between 0 and `base * 2**(n - 1)` seconds, capped by
    `longest_wait` (full jitter). A Retry-After of the server is honoured up to
    `longest_retry_after`.

    Attributes:
        attempts: Tries in all, at least 1.
        base: Seconds.
        longest_wait: Seconds.
        longest_retry_after: Seconds.
        give_up_after: Seconds of waiting in all that are not gone beyond. The tries
            themselves do not count: one of a 5 GB part may take long.
    """

    attempts: int = 8
    base: float = 0.25
    longest_wait: float = 20.0
    longest_retry_after: float = 60.0
    give_up_after: float = 300.0

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise InvalidArgumentError(f"{self.attempts!r} attempts; a call takes at least 1")
        waits = (self.base, self.longest_wait, self.longest_retry_after, self.give_up_after)
        if not all(isinstance(wait, int | float) and wait >= 0 for wait in waits):
            raise InvalidArgumentError(f"{self!r} has a wait that is no number of seconds")

    def run(
        self,
        call: Callable[[], _T],
        sleep: Callable[[float], None],
        noticed: Callable[[ResumableError], None],
    ) -> _T:
        """Call until it succeeds, fails for good, or a limit of the policy is reached.

        Args:
            call: What to try.
            sleep: Waits for so many seconds; it may raise to end it all.
            noticed: Told of each failure that is worth a retry.
        """
        try:
            return call()
        except ResumableError as error:
            if not worth_retrying(error):
                raise
            failure = error
        return self._go_on(failure, call, sleep, noticed)

    def _go_on(
        self,
        failure: ResumableError,
        call: Callable[[], _T],
        sleep: Callable[[float], None],
        noticed: Callable[[ResumableError], None],
    ) -> _T:
        """What comes after a first try that failed."""
        try:
            # It takes asyncio along, which a run without a failure has no use for.
            from tenacity import Retrying, retry_if_exception  # noqa: PLC0415
        except (ImportError, OSError):  # there is not even an open file left
            raise failure from None

        tries = Retrying(
            sleep=sleep,
            stop=self._should_stop,
            wait=self._wait,
            retry=retry_if_exception(worth_retrying),
            before_sleep=_log_retry,
            after=lambda state: _notice(state, noticed),
            reraise=True,
        )
        failed = [failure]

        def after_the_first() -> _T:
            if failed:
                raise failed.pop()
            return call()

        return tries(after_the_first)

    def _should_stop(self, state: tenacity.RetryCallState) -> bool:
        too_late = state.idle_for + state.upcoming_sleep > self.give_up_after
        return state.attempt_number >= self.attempts or too_late

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = _failure(state)
        if isinstance(error, ServerError) and error.retry_after is not None:
            return min(error.retry_after, self.longest_retry_after)
        ceiling = min(
            self.base * 2.0 ** min(state.attempt_number - 1, _MOST_DOUBLINGS), self.longest_wait
        )
        return random.uniform(0.0, ceiling)  # noqa: S311 - jitter, not a secret


def worth_retrying(error: BaseException) -> bool:
    """Whether another try of the same request may succeed.

    A source that has changed and a caller who wants to stop are not cured by asking again.
    """
    if isinstance(error, SourceChangedError | TransferCancelledError):
        return False
    return isinstance(error, ResumableError) and error.retryable


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _notice(state: tenacity.RetryCallState, noticed: Callable[[ResumableError], None]) -> None:
    error = _failure(state)
    if isinstance(error, ResumableError):
        noticed(error)


def _log_retry(state: tenacity.RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0.0
    _log.warning("try %d failed: %s; next in %.1f s", state.attempt_number, _failure(state), wait)
