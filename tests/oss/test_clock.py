"""A clock that is off: noticed, put right by the server's, and remembered."""

import logging
import re
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from resumable import Bucket, RetryPolicy
from resumable.errors import ClockSkewError
from resumable.oss.signing import SignatureVersion
from resumable.server import LocalServer
from tests.oss.conftest import Connect, Serve
from tests.oss.rawserver import acknowledgement, answering, error_answer
from tests.support import CREDENTIALS, QUICK, content, requests

SKEWED = error_answer(
    403, "RequestTimeTooSkewed", {"Date": format_datetime(datetime(2030, 1, 1, tzinfo=UTC), True)}
)
SKEWED_WITHOUT_DATE = error_answer(403, "RequestTimeTooSkewed")


def skew(server: LocalServer, seconds: float) -> None:
    server.faults.add({"times": None, "effect": {"skew": seconds}})


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize(
    "seconds", [3600, -3600, 1000, -1000, 400 * 86_400, -400 * 86_400], ids=lambda n: f"{n} s"
)
def test_clock_is_corrected_once_and_remembered(
    server: LocalServer, version: SignatureVersion, seconds: float
) -> None:
    skew(server, seconds)
    bucket = Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        signature_version=version,
        retry=QUICK,
    )
    with bucket:
        for _ in range(3):
            bucket.put_object("k", b"x")
    assert [exchange.code for exchange in server.log] == ["RequestTimeTooSkewed", None, None, None]


def test_correction_is_told_in_the_log(
    server: LocalServer, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    skew(server, 3600)
    with caplog.at_level(logging.WARNING, "resumable"):
        bucket.put_object("k", b"x")
    assert re.search(r"clock is off by -(3600|3599) s", caplog.text)


def test_small_difference_is_left_alone(server: LocalServer, bucket: Bucket) -> None:
    skew(server, 600)
    bucket.put_object("k", b"x")
    assert requests(server)["PutObject"] == 1


def test_head_corrects_the_clock_though_its_refusal_has_no_body(
    server: LocalServer, bucket: Bucket
) -> None:
    bucket.put_object("k", b"x")
    skew(server, 3600)
    assert bucket.head_object("k").size == 1


def test_download_corrects_the_clock_for_the_next_call(server: LocalServer, bucket: Bucket) -> None:
    bucket.put_object("k", b"x")
    skew(server, 3600)
    with pytest.raises(ClockSkewError):
        content(bucket, "k")
    assert content(bucket, "k") == b"x"


def test_clock_that_goes_wrong_again_is_corrected_again(
    server: LocalServer, bucket: Bucket
) -> None:
    for seconds in (3600, -3600):
        skew(server, seconds)
        bucket.put_object("k", b"x")
        server.faults.clear()


def test_clock_is_corrected_after_another_failure_too(server: LocalServer, bucket: Bucket) -> None:
    """A laptop wakes up: its old connection is dead, and its clock not yet right."""
    server.faults.add({"operation": "PutObject", "effect": {"drop": "before"}})
    skew(server, 3600)
    bucket.put_object("k", b"x")
    assert [exchange.code for exchange in server.log if exchange.status] == [
        "RequestTimeTooSkewed",
        None,
    ]


def test_server_that_is_never_content_is_asked_twice(serve: Serve, connect: Connect) -> None:
    server = serve(answering(SKEWED))
    with pytest.raises(ClockSkewError) as failed:
        connect(server, RetryPolicy(base=0.001)).put_object("k", b"x")
    assert failed.value.tries == len(server.requests) == 2
    assert failed.value.fault == "local"
    assert "Set this machine's clock" in str(failed.value)


def test_clock_that_one_answer_told_wrong_is_put_right_by_the_next(
    serve: Serve, connect: Connect
) -> None:
    now = {"Date": format_datetime(datetime.now(UTC), True)}
    right = error_answer(403, "RequestTimeTooSkewed", now)
    server = serve(answering(SKEWED, right, acknowledgement(b"x")))
    connect(server, QUICK).put_object("k", b"x")
    assert len(server.requests) == 3


def test_second_try_is_signed_with_the_server_s_time(serve: Serve, connect: Connect) -> None:
    server = serve(answering(SKEWED, acknowledgement(b"x")))
    connect(server, QUICK).put_object("k", b"x")
    first, second = (request.headers["x-oss-date"] for request in server.requests)
    assert second.startswith("20300101T0000")
    assert first < second


def test_refusal_without_a_date_cannot_correct_the_clock(serve: Serve, connect: Connect) -> None:
    server = serve(answering(SKEWED_WITHOUT_DATE))
    with pytest.raises(ClockSkewError) as failed:
        connect(server, QUICK).put_object("k", b"x")
    assert failed.value.tries == 1
