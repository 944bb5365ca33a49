"""When a provider of credentials is asked, by how many threads, and what follows if it fails."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from resumable import Credentials
from resumable.errors import ConnectionFailedError, CredentialsError
from resumable.oss.renewal import AccessKeys

NOW = 1_900_000_000.0
THREADS = 8


class Provider:
    """Gives the credentials `1`, `2`, … that live so long, and counts.

    Attributes:
        asked: How often it was asked.
        now: What time it is.
        life: How long the next credentials live, or None.
        failure: What it raises instead.
    """

    def __init__(self, life: float | None = None) -> None:
        self.asked = 0
        self.now = NOW
        self.life = life
        self.failure: BaseException | None = None

    def __call__(self) -> Credentials:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        expires_at = None if self.life is None else self.now + self.life
        return Credentials(str(self.asked), "secret", "token", expires_at)


class Waiting(Provider):
    """One that takes its time from the second question on."""

    def __init__(self, life: float) -> None:
        super().__init__(life)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> Credentials:
        if self.asked > 0:
            self.begun.set()
            assert self.go_on.wait(20)
        return super().__call__()


def used(keys: AccessKeys, now: float) -> str:
    return keys.current(now).access_key_id


@pytest.mark.parametrize(
    ("life", "asked_after"),
    [(3600.0, 3300.0), (1500.0, 1200.0), (900.0, 720.0), (100.0, 80.0), (1.0, 1.0), (0.0, 1.0)],
)
def test_provider_is_asked_again_shortly_before_the_expiry(life: float, asked_after: float) -> None:
    provider = Provider(life)
    keys = AccessKeys(provider)
    assert [used(keys, NOW + after) for after in (0, asked_after / 2, asked_after - 0.01)] == [
        "1", "1", "1"
    ]  # fmt: skip
    assert used(keys, NOW + asked_after) == "2"
    assert provider.asked == 2


def test_provider_without_an_expiry_is_asked_each_time() -> None:
    keys = AccessKeys(Provider())
    assert [used(keys, NOW) for _ in range(3)] == ["1", "2", "3"]


def test_credentials_without_an_expiry_can_be_kept() -> None:
    keys = AccessKeys(Provider(), kept=True)
    assert [used(keys, NOW + after) for after in (0, 1e6)] == ["1", "1"]


def test_fixed_credentials_are_used_whatever_their_expiry_says() -> None:
    given = Credentials("id", "secret", "token", NOW - 1)
    keys = AccessKeys.fixed(given)
    assert keys.current(NOW) == given
    assert keys.renewed(given, NOW) is None


def test_key_that_is_given_after_its_expiry_is_used_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server decides: it may be this machine's clock that is wrong."""
    with caplog.at_level(logging.WARNING, "resumable"):
        assert used(AccessKeys(Provider(-3600.0)), NOW) == "1"
    assert "the access key 1 was given 3600 s after its expiry" in caplog.text


@pytest.mark.parametrize(
    ("life", "asked_after", "again_after"),
    [(3600.0, 3300.0, 3330.0), (100.0, 80.0, 84.0), (10.0, 8.0, 9.0)],
)
def test_renewal_that_fails_in_good_time_is_tried_again_later(
    caplog: pytest.LogCaptureFixture, life: float, asked_after: float, again_after: float
) -> None:
    provider = Provider(life)
    keys = AccessKeys(provider)
    used(keys, NOW)
    provider.failure = OSError("TopSecretValue")
    with caplog.at_level(logging.WARNING, "resumable"):
        for after in (asked_after, asked_after + 0.5, again_after - 0.01):
            assert used(keys, NOW + after) == "1"
    assert provider.asked == 2
    assert "the old one is still good: the provider of credentials failed with OS" in caplog.text
    assert "TopSecretValue" not in caplog.text
    provider.failure = None
    assert used(keys, NOW + again_after) == "3"


def test_key_that_has_ended_is_not_used_after_a_renewal_that_failed() -> None:
    """Shortly before the end the pause would last beyond it."""
    provider = Provider(3.0)
    keys = AccessKeys(provider)
    used(keys, NOW)
    provider.failure = OSError("x")
    assert used(keys, NOW + 2.5) == "1"
    provider.failure = None
    assert used(keys, NOW + 2.9) == "1"
    assert used(keys, NOW + 3.0) == "3"


def test_renewal_that_fails_after_the_expiry_is_an_error() -> None:
    provider = Provider(100.0)
    keys = AccessKeys(provider)
    used(keys, NOW)
    provider.failure = OSError()
    assert used(keys, NOW + 99.9) == "1"
    for asked in (3, 4):
        with pytest.raises(CredentialsError):
            used(keys, NOW + 101)
        assert provider.asked == asked
    provider.failure = None
    assert used(keys, NOW + 101) == "5"


def test_error_of_a_provider_is_told_by_its_kind_and_chained() -> None:
    provider = Provider()
    provider.failure = LookupError("TopSecretValue")
    with pytest.raises(CredentialsError, match="failed with LookupError") as failed:
        used(AccessKeys(provider), NOW)
    assert failed.value.__cause__ is provider.failure
    assert "TopSecretValue" not in str(failed.value)


@pytest.mark.parametrize("failure", [ConnectionFailedError("no answer"), KeyboardInterrupt()])
def test_error_of_this_library_and_ctrl_c_pass_as_they_are(failure: BaseException) -> None:
    provider = Provider()
    provider.failure = failure
    keys = AccessKeys(provider)
    for _ in range(2):
        with pytest.raises(type(failure)) as failed:
            used(keys, NOW)
        assert failed.value is failure


@pytest.mark.parametrize("given", [None, ("id", "secret"), {"id": "secret"}, object], ids=repr)
def test_what_is_no_credentials_is_refused_by_its_kind(given: object) -> None:
    keys = AccessKeys(lambda: given)  # type: ignore[arg-type, return-value]
    with pytest.raises(CredentialsError, match=f"gave {type(given).__name__}, not") as failed:
        keys.current(NOW)
    assert "secret" not in str(failed.value)


@contextmanager
def at_once(do: Callable[[], str], threads: int = THREADS) -> Iterator[list[str]]:
    """Call in several threads; what they gave is there when the context is left."""
    together, given = threading.Barrier(threads), list[str]()

    def call() -> None:
        together.wait(20)
        given.append(do())

    with ThreadPoolExecutor(threads) as pool:
        calls = [pool.submit(call) for _ in range(threads)]
        yield given
        for done in calls:
            done.result(20)


class Counted:
    """A lock that tells who comes to it."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        self._lock = threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        self.came.release()
        return self._lock.acquire(blocking)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Crowd(Provider):
    """One that answers a question only when all threads are at the lock of the keys."""

    def __init__(self, life: float) -> None:
        super().__init__(life)
        self.lock = Counted()
        self.alone = 0  # questions that come before the crowd does

    def __call__(self) -> Credentials:
        for _ in range(THREADS if self.asked == self.alone else 0):
            assert self.lock.came.acquire(timeout=20)
        return super().__call__()


def test_first_question_is_asked_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Crowd(3600.0)
    keys = AccessKeys(provider)
    monkeypatch.setattr(keys, "_asking", provider.lock)
    with at_once(lambda: used(keys, NOW)) as given:
        pass
    assert (provider.asked, given) == (1, ["1"] * THREADS)


def test_other_threads_wait_for_the_next_key_once_the_old_one_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = Crowd(3600.0)
    provider.alone = 1
    keys = AccessKeys(provider)
    used(keys, NOW)
    monkeypatch.setattr(keys, "_asking", provider.lock)
    provider.now = NOW + 3700
    with at_once(lambda: used(keys, NOW + 3700)) as given:
        pass
    assert (provider.asked, given) == (2, ["2"] * THREADS)


def test_other_threads_go_on_with_a_key_that_is_still_good() -> None:
    provider = Waiting(3600.0)
    keys = AccessKeys(provider)
    used(keys, NOW)
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(used, keys, NOW + 3300)
        assert provider.begun.wait(20)
        with at_once(lambda: used(keys, NOW + 3301)) as given:
            pass
        assert given == ["1"] * THREADS
        provider.go_on.set()
        assert renewing.result(20) == "2"
    assert provider.asked == 2


def test_key_that_is_refused_to_all_threads_is_renewed_once() -> None:
    provider = Provider(3600.0)
    keys = AccessKeys(provider)
    refused = keys.current(NOW)

    def renewed() -> str:
        other = keys.renewed(refused, NOW)
        assert other is not None
        return other.access_key_id

    with at_once(renewed) as given:
        pass
    assert (provider.asked, given) == (2, ["2"] * THREADS)
    assert used(keys, NOW) == "2"


def test_provider_that_has_nothing_new_leaves_the_refusal() -> None:
    same = Credentials("id", "secret", "token")
    keys = AccessKeys(lambda: same)
    assert keys.renewed(keys.current(NOW), NOW) is None


class Circular(Provider):
    """One that makes a call which needs the credentials it is asked for."""

    def __init__(self, life: float | None) -> None:
        super().__init__(life)
        self.keys: AccessKeys
        self.signed_with: list[str] = []

    def __call__(self) -> Credentials:
        refused = Credentials("refused", "secret")
        assert self.keys.renewed(refused, self.now) is None
        if self.asked:
            self.signed_with.append(used(self.keys, self.now))
        elif self.life is None:
            used(self.keys, self.now)
        return super().__call__()


def test_provider_may_sign_with_the_old_key_while_it_is_asked_for_another() -> None:
    provider = Circular(3600.0)
    provider.keys = AccessKeys(provider)
    assert used(provider.keys, NOW) == "1"
    provider.now = NOW + 3400
    assert used(provider.keys, provider.now) == "2"
    assert provider.signed_with == ["1"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("life", [None, 3600.0], ids=["no-expiry", "expired"])
def test_provider_that_needs_the_key_it_is_asked_for_is_an_error(life: float | None) -> None:
    provider = Circular(life)
    provider.keys = AccessKeys(provider)
    if life is not None:
        used(provider.keys, NOW)
        provider.now = NOW + 4000
    with pytest.raises(CredentialsError, match="provider of credentials makes a call"):
        provider.keys.current(provider.now)
    assert provider.asked == (0 if life is None else 1)
