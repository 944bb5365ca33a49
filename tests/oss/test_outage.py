"""Warnings of an outage: once, not once for each thread, with host, part and time left."""

import logging
import threading

import pytest

from resumable import Bucket, RetryPolicy
from resumable.errors import ConnectionFailedError
from resumable.oss.outage import Outage, span
from resumable.oss.retry import Retry
from resumable.server import LocalServer
from tests.support import CREDENTIALS

FAILURE = Retry(ConnectionFailedError("cannot connect"), 3, 1.5, 240.0)


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_threads_that_meet_one_outage_warn_once(caplog: pytest.LogCaptureFixture) -> None:
    outage, calls = Outage(), [object() for _ in range(8)]
    with caplog.at_level(logging.DEBUG, "resumable"):
        for call in calls * 3:
            outage.failed(call, "UploadPart of part 7", FAILURE)
        for call in calls:
            outage.ended(call, succeeded=True)
    (warning,) = messages(caplog, logging.WARNING)
    for word in ("part 7", "cannot connect", "try 3", "4 min"):
        assert word in warning
    assert len(messages(caplog, logging.DEBUG)) == 23
    assert len(messages(caplog, logging.INFO)) == 1


def test_outage_that_lasts_is_reported_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 100, 10))
    monkeypatch.setattr("resumable.oss.outage.time.monotonic", lambda: float(next(seconds)))
    outage, call = Outage(), object()
    for _ in range(7):
        outage.failed(call, "UploadPart of part 7", FAILURE)
    assert len(messages(caplog, logging.WARNING)) == 3


def test_what_fails_in_the_wake_of_an_outage_is_no_other_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage()
    for call in (object(), object()):
        outage.failed(call, "UploadPart of part 7", FAILURE)
        outage.ended(call, succeeded=True)
    assert len(messages(caplog, logging.WARNING)) == 1


def test_call_that_fails_for_good_is_no_recovery(caplog: pytest.LogCaptureFixture) -> None:
    outage, call = Outage(), object()
    with caplog.at_level(logging.INFO, "resumable"):
        outage.failed(call, "UploadPart of part 7", FAILURE)
        outage.ended(call, succeeded=False)
    assert messages(caplog, logging.INFO) == []


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (119.0, "119 s"), (300.0, "5 min")])
def test_span_of_time_is_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_many_threads_without_a_server_warn_once_and_name_the_host(
    caplog: pytest.LogCaptureFixture,
) -> None:
    retry = RetryPolicy(base=0.01, longest_wait=0.05, give_up_after=0.5)
    bucket = Bucket(
        "examplebucket",
        endpoint="http://127.0.0.1:1",
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retry=retry,
    )
    failed: list[ConnectionFailedError] = []

    def send() -> None:
        with pytest.raises(ConnectionFailedError) as raised:
            bucket.upload_part("k", "U", 1, b"x")
        failed.append(raised.value)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (warning,) = messages(caplog, logging.WARNING)
    assert "127.0.0.1:1" in warning
    assert "part 1" in warning
    assert {(error.host, error.port) for error in failed} == {("127.0.0.1", 1)}
    assert all(error.tries > 2 and error.tried_for > 0 for error in failed)


def test_server_that_returns_is_found_again(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.add({"operation": "PutObject", "times": 12, "effect": {"drop": "before"}})
    bucket = Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retry=RetryPolicy(base=0.001, longest_wait=0.01),
    )
    with bucket, caplog.at_level(logging.INFO, "resumable"):
        bucket.put_object("k", b"x")
    assert len(messages(caplog, logging.WARNING)) == 1
    assert any("again" in message for message in messages(caplog, logging.INFO))
