"""The one retry policy: what is worth another try, when, and for how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from resumable.core.arguments import suggesting_fields
from resumable.errors import (
    InvalidArgumentError,
    LocalFileError,
    ResumableError,
    ServerError,
    SourceChangedError,
    TransferCancelledError,
)

if TYPE_CHECKING:
    import tenacity

_T = TypeVar("_T")
_MOST_DOUBLINGS = 60  # a float holds no more than a thousand
# Seconds of one try that count, at most: a part of 5 GB may be under way for longer than any outage
# that is to be survived, and its connection may break more than once.
_MOST_OF_A_TRY = 60.0


@dataclass(frozen=True, slots=True)
class Retry:
    """A try that failed, and what comes next.

    Attributes:
        error: Why it failed.
        tries: How many tries there were.
        wait: Seconds until the next one.
        left: Seconds of failures after which the call fails for good.
    """

    error: ResumableError
    tries: int
    wait: float
    left: float


@suggesting_fields
@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """For how long a call is tried again, and how long it waits in between.

    The wait before try n is random between 0 and `base * 2**(n - 1)` seconds, capped by
    `longest_wait` (full jitter). A Retry-After of the server is a lower bound of the wait, up to
    `longest_retry_after`.

    Attributes:
        attempts: Tries in all, at least 1. Default: as many as there is time for.
        base: Seconds.
        longest_wait: Seconds.
        longest_retry_after: Seconds.
        give_up_after: Seconds from the first failure of a call after which no other try begins.
            Of each try a minute counts at most, so that a large part whose connection breaks
            after a long time is sent again all the same.
    """

    attempts: int | None = None
    base: float = 0.25
    longest_wait: float = 20.0
    longest_retry_after: float = 60.0
    give_up_after: float = 300.0

    def __post_init__(self) -> None:
        attempts = self.attempts
        if attempts is not None and (type(attempts) is not int or attempts < 1):
            raise InvalidArgumentError(f"{self.attempts!r} attempts; a call takes at least 1")
        waits = (self.base, self.longest_wait, self.longest_retry_after, self.give_up_after)
        if not all(isinstance(wait, int | float) and wait >= 0 for wait in waits):
            raise InvalidArgumentError(f"{self!r} has a wait that is no number of seconds")

    def run(
        self,
        call: Callable[[], _T],
        sleep: Callable[[float], None],
        on_retry: Callable[[Retry], None],
    ) -> _T:
        """Call until it succeeds, fails for good, or a limit of the policy is reached.

        Args:
            call: What to try.
            sleep: Waits for so many seconds; it may raise to end it all.
            on_retry: Called before each wait.
        """
        try:
            return call()
        except ResumableError as error:
            if not worth_retrying(error):
                raise
            failure = error
        return self._retry(failure, call, sleep, on_retry)

    def _retry(
        self,
        failure: ResumableError,
        call: Callable[[], _T],
        sleep: Callable[[float], None],
        on_retry: Callable[[Retry], None],
    ) -> _T:
        """Continue after a first try that failed."""
        try:
            # It takes asyncio along, which a run without a failure has no use for.
            from tenacity import Retrying, retry_if_exception  # noqa: PLC0415
        except ImportError:
            raise failure from None
        except OSError as error:  # there is not even an open file left: later there may be
            raise LocalFileError.of(error, "loading", "tenacity") from failure

        failed, spent = [failure], _Spent()

        def again() -> _T:
            if failed:
                raise failed.pop()
            with spent:
                return call()

        def report(state: tenacity.RetryCallState) -> None:
            error = _failure(state)
            if isinstance(error, ResumableError):
                wait = state.upcoming_sleep  # which tenacity counts as idle by now
                left = self.give_up_after - spent.seconds - state.idle_for + wait
                on_retry(Retry(error, state.attempt_number, wait, max(0.0, left)))

        tries = Retrying(
            sleep=sleep,
            stop=lambda state: self._should_stop(state, spent),
            wait=self._wait,
            retry=retry_if_exception(worth_retrying),
            before_sleep=report,
            reraise=True,
        )
        return tries(again)

    def _should_stop(self, state: tenacity.RetryCallState, spent: _Spent) -> bool:
        enough = self.attempts is not None and state.attempt_number >= self.attempts
        used = spent.seconds + state.idle_for + state.upcoming_sleep
        return enough or used > self.give_up_after

    def _wait(self, state: tenacity.RetryCallState) -> float:
        doubled = self.base * 2.0 ** min(state.attempt_number - 1, _MOST_DOUBLINGS)
        ceiling = min(doubled, self.longest_wait)
        wait = random.uniform(0.0, ceiling)  # noqa: S311 - jitter, not a secret
        error = _failure(state)
        if isinstance(error, ServerError) and error.retry_after is not None:
            wait = max(wait, min(error.retry_after, self.longest_retry_after))
        return wait


class _Spent:
    """The time that tries have taken, as far as it counts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds += min(time.monotonic() - self._began, _MOST_OF_A_TRY)


def worth_retrying(error: BaseException) -> bool:
    """Whether another try of the same request may succeed.

    A source that has changed and a caller who wants to stop are not cured by asking again.
    """
    if isinstance(error, SourceChangedError | TransferCancelledError):
        return False
    return isinstance(error, ResumableError) and error.retryable


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
