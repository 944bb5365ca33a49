"""The retry policy: what is tried again, how often, and how long it waits in between."""

import errno
import os
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable import errors
from resumable.errors import (
    ConnectionFailedError,
    LocalFileError,
    ResumableError,
    ServerError,
    SlowDownError,
    TransferCancelledError,
)
from resumable.oss.cancellation import Cancellation
from resumable.oss.retry import Retry, RetryPolicy, worth_retrying


class Calls:
    """A call that fails with the given errors in turn, and then succeeds; and what was noticed."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.made = 0
        self.waits: list[float] = []
        self.noticed: list[ResumableError] = []

    def __call__(self) -> str:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    def run(self, policy: RetryPolicy) -> str:
        return policy.run(self, self.waits.append, lambda retry: self.noticed.append(retry.error))


def failing(times: int, **attributes: object) -> Calls:
    return Calls(*(slow_down(**attributes) for _ in range(times)))


def slow_down(**attributes: object) -> SlowDownError:
    error = SlowDownError("slow down", status=503)
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def server_error(status: int) -> ServerError:
    return ServerError("no", status=status)


WORTH: dict[str, tuple[BaseException, bool]] = {
    "connection failed": (errors.ConnectionFailedError("x"), True),
    "timed out": (errors.RequestTimeoutError("x"), True),
    "torn answer": (errors.ProtocolError("x"), True),
    "damaged on the way": (errors.IntegrityError("x"), True),
    "408": (server_error(408), True),
    "429": (SlowDownError("x", status=429), True),
    "500": (server_error(500), True),
    "502": (server_error(502), True),
    "503": (SlowDownError("x", status=503), True),
    "504": (server_error(504), True),
    "301": (server_error(301), False),
    "400": (server_error(400), False),
    "403": (errors.AccessDeniedError("x", status=403), False),
    "clock not put right": (errors.ClockSkewError("x", status=403), False),
    "404 upload": (errors.NoSuchUploadError("x", status=404), False),
    "404 key": (errors.NoSuchKeyError("x", status=404), False),
    "409": (errors.FileAlreadyExistsError("x", status=409), False),
    "412": (errors.PreconditionFailedError("x", status=412), False),
    "invalid part": (errors.InvalidPartError("x", status=400), False),
    "arguments": (errors.InvalidArgumentError("x"), False),
    "credentials": (errors.CredentialsError("x"), False),
    "local file": (errors.LocalFileError("x"), False),
    "source changed": (errors.SourceChangedError("x"), False),
    "checkpoint": (errors.CheckpointError("x"), False),
    "cancelled": (TransferCancelledError("x"), False),
    "system call": (OSError(28, "No space left on device"), False),
    "the network's OSError, untold": (ConnectionResetError(), False),
    "a callback's": (ValueError("x"), False),
    "out of memory": (MemoryError(), False),
    "Ctrl-C": (KeyboardInterrupt(), False),
}


@pytest.mark.parametrize(("error", "worth"), WORTH.values(), ids=WORTH)
def test_what_is_worth_another_try(error: BaseException, worth: bool) -> None:
    assert worth_retrying(error) is worth


@pytest.mark.parametrize(("error", "worth"), WORTH.values(), ids=WORTH)
def test_only_that_is_tried_again(error: BaseException, worth: bool) -> None:
    calls = Calls(error)
    if worth:
        assert calls.run(RetryPolicy()) == "done"
        assert (calls.made, calls.noticed) == (2, [error])
        return
    with pytest.raises(type(error)) as raised:
        calls.run(RetryPolicy())
    assert raised.value is error
    assert (calls.made, calls.waits) == (1, [])


def test_damaged_digest_is_worth_another_try_once_it_says_so() -> None:
    damaged = errors.InvalidDigestError("x", status=400)
    damaged.retryable = True  # as refusals makes it
    assert worth_retrying(damaged)


def test_success_waits_for_nothing() -> None:
    calls = Calls()
    assert calls.run(RetryPolicy()) == "done"
    assert (calls.made, calls.waits, calls.noticed) == (1, [], [])


@pytest.mark.parametrize("attempts", [1, 2, 8])
def test_attempts_are_counted_with_the_first(attempts: int) -> None:
    calls = failing(100)
    last = calls.failures[attempts - 1]
    with pytest.raises(SlowDownError) as raised:
        calls.run(RetryPolicy(attempts=attempts))
    assert raised.value is last
    assert (calls.made, len(calls.waits)) == (attempts, attempts - 1)


def test_success_at_the_last_attempt_is_success() -> None:
    calls = failing(7)
    assert calls.run(RetryPolicy(attempts=8)) == "done"
    assert len(calls.noticed) == 7


def test_waits_are_full_jitter_under_a_doubling_ceiling() -> None:
    policy = RetryPolicy(attempts=8, base=0.5, longest_wait=10.0)
    ceilings = [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    runs = []
    for _ in range(300):
        calls = failing(7)
        calls.run(policy)
        runs.append(calls.waits)
    for ceiling, waits in zip(ceilings, zip(*runs, strict=True), strict=True):
        assert all(0 <= wait <= ceiling for wait in waits)
        # Spread over the whole range; by chance this fails once in 10**13 runs.
        assert min(waits) < 0.1 * ceiling
        assert max(waits) > 0.9 * ceiling


@given(
    st.integers(1, 12),
    st.floats(0, 100),
    st.floats(0, 100),
    st.none() | st.floats(0, 1e6),
    st.floats(0, 100),
)
def test_no_wait_is_negative_or_longer_than_the_policy_allows(
    failures: int, base: float, longest: float, retry_after: float | None, longest_after: float
) -> None:
    calls = failing(failures, retry_after=retry_after)
    policy = RetryPolicy(20, base, longest, longest_after, give_up_after=1e9)
    calls.run(policy)
    ceiling = longest if retry_after is None else max(longest, longest_after)
    assert all(0 <= wait <= ceiling for wait in calls.waits)


@pytest.mark.parametrize(
    ("asked", "waited"), [(0.0, 0.0), (3.0, 3.0), (60.0, 60.0), (61.0, 60.0), (999_999.0, 60.0)]
)
def test_retry_after_is_honoured_and_capped(asked: float, waited: float) -> None:
    calls = failing(1, retry_after=asked)
    calls.run(RetryPolicy(base=0.0))
    assert calls.waits == [waited]


def test_retry_after_is_a_lower_bound_of_the_wait() -> None:
    waits = []
    for _ in range(50):
        calls = failing(1, retry_after=1.0)
        calls.run(RetryPolicy(base=20.0))
        waits += calls.waits
    assert min(waits) >= 1.0
    assert max(waits) > 1.0


def test_retry_after_of_one_failure_does_not_outlive_it() -> None:
    calls = Calls(slow_down(retry_after=30.0), ConnectionFailedError("x"))
    calls.run(RetryPolicy(base=0.001))
    assert calls.waits[0] == 30.0
    assert calls.waits[1] <= 0.002


@pytest.mark.parametrize(
    ("retry_after", "waits"), [(2.0, [2.0, 2.0]), (2.4, [2.4, 2.4]), (2.6, [2.6]), (50.0, [])]
)
def test_waiting_in_all_is_bounded(retry_after: float, waits: list[float]) -> None:
    calls = failing(100, retry_after=retry_after)
    with pytest.raises(SlowDownError):
        calls.run(RetryPolicy(base=0.0, give_up_after=5.0))
    assert calls.waits == waits


def test_patience_may_last_for_thousands_of_tries() -> None:
    calls = failing(1100)
    policy = RetryPolicy(attempts=2000, base=0.001, longest_wait=0.001, give_up_after=1e9)
    assert calls.run(policy) == "done"


def test_tries_are_bounded_by_time_and_not_by_their_number() -> None:
    calls = failing(10_000)
    with pytest.raises(SlowDownError):
        calls.run(RetryPolicy())
    assert calls.made > 20
    assert 270 < sum(calls.waits) <= 300


def test_time_of_the_tries_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr("resumable.oss.retry.time.monotonic", lambda: float(next(clock)))
    calls = failing(100)
    with pytest.raises(SlowDownError):
        calls.run(RetryPolicy(base=0.0, give_up_after=100.0))
    assert calls.made == 6  # one, and five of 25 s: the last begins within 100 s


def test_long_tries_of_a_large_part_count_as_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000_000, 3600))
    monkeypatch.setattr("resumable.oss.retry.time.monotonic", lambda: float(next(clock)))
    calls = failing(4)
    assert calls.run(RetryPolicy(base=0.0)) == "done"


def test_retry_says_how_much_time_is_left() -> None:
    left: list[float] = []
    calls = failing(3, retry_after=10.0)
    RetryPolicy(base=0.0).run(calls, lambda _: None, lambda retry: left.append(round(retry.left)))
    assert left == [300, 290, 280]


def test_callback_that_raises_ends_the_retrying() -> None:
    calls = failing(3)

    def raises(_: Retry) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        RetryPolicy().run(calls, calls.waits.append, raises)
    assert calls.made == 1


def test_sleep_that_is_cancelled_ends_the_retrying() -> None:
    calls, cancellation = failing(3), Cancellation()
    cancellation.cancel()
    with pytest.raises(TransferCancelledError):
        RetryPolicy(base=60.0).run(calls, cancellation.sleep, lambda _: None)
    assert calls.made == 1


def test_final_error_has_no_wrapper_of_the_retry_library() -> None:
    calls = failing(3)
    with pytest.raises(SlowDownError) as raised:
        calls.run(RetryPolicy(attempts=3))
    assert raised.value.__cause__ is None
    assert "tenacity" not in str(raised.value)


def test_first_error_is_the_last_one_where_nothing_more_can_be_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tenacity", None)  # as if no file could be opened
    calls = failing(1)
    first = calls.failures[0]
    with pytest.raises(SlowDownError) as raised:
        calls.run(RetryPolicy())
    assert raised.value is first
    assert calls.made == 1


def test_want_of_an_open_file_for_the_retries_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoFileLeft:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "tenacity":
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.delitem(sys.modules, "tenacity", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoFileLeft(), *sys.meta_path])
    calls = failing(1)
    first = calls.failures[0]
    with pytest.raises(LocalFileError) as raised:
        calls.run(RetryPolicy())
    assert raised.value.errno == errno.EMFILE
    assert raised.value.__cause__ is first


@pytest.mark.parametrize("change", [{"attempts": 1}, {"base": 9.0}, {"give_up_after": 1.0}])
def test_policy_is_a_value(change: dict[str, float]) -> None:
    make: Callable[..., RetryPolicy] = RetryPolicy
    assert make(**change) == make(**change) != RetryPolicy()
    assert len({make(**change), make(**change)}) == 1
