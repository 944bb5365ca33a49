"""From an answer that says no to the error that tells it."""

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.errors import (
    AccessDeniedError,
    CallbackFailedError,
    ClockSkewError,
    FileAlreadyExistsError,
    InvalidDigestError,
    InvalidPartError,
    NoSuchKeyError,
    NoSuchUploadError,
    NotModifiedError,
    PartNotSequentialError,
    PreconditionFailedError,
    ServerError,
    SlowDownError,
    TokenExpiredError,
)
from resumable.oss.messages import Answer, Request
from resumable.oss.refusals import refusal

PUT = Request("UploadPart", "PUT", "key")
HEAD = Request("HeadObject", "HEAD", "key")


def document(code: str = "", message: str = "Because.", ec: str = "0016-00000001") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Error>'
        f"<Code>{code}</Code><Message>{message}</Message><RequestId>BODYID</RequestId>"
        f"<HostId>h</HostId><EC>{ec}</EC></Error>"
    ).encode()


def refused(
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    request: Request = PUT,
) -> ServerError:
    return refusal(request, Answer(status, headers or {}, body))


CODES: list[tuple[int, str, type[ServerError], bool]] = [
    (203, "CallbackFailed", CallbackFailedError, False),
    (400, "InvalidPart", InvalidPartError, False),
    (400, "InvalidDigest", InvalidDigestError, True),
    (400, "InvalidArgument", ServerError, False),
    (400, "EntityTooSmall", ServerError, False),
    (400, "RequestTimeout", ServerError, True),
    (401, "Unauthorized", ServerError, False),
    (403, "AccessDenied", AccessDeniedError, False),
    (403, "InvalidAccessKeyId", AccessDeniedError, False),
    (403, "SignatureDoesNotMatch", AccessDeniedError, False),
    (403, "SecurityTokenExpired", TokenExpiredError, False),
    (403, "RequestTimeTooSkewed", ClockSkewError, False),  # the client corrects its clock first
    (400, "PartNotSequential", PartNotSequentialError, False),
    (409, "PartAlreadyExist", PartNotSequentialError, False),
    (404, "NoSuchUpload", NoSuchUploadError, False),
    (404, "NoSuchKey", NoSuchKeyError, False),
    (404, "NoSuchBucket", ServerError, False),
    (405, "MethodNotAllowed", ServerError, False),
    (409, "FileAlreadyExists", FileAlreadyExistsError, False),
    (409, "ObjectNotAppendable", ServerError, False),
    (411, "MissingContentLength", ServerError, False),
    (412, "PreconditionFailed", PreconditionFailedError, False),
    (416, "InvalidRange", ServerError, False),
    (429, "TooManyRequests", SlowDownError, True),
    (500, "InternalError", ServerError, True),
    (501, "NotImplemented", ServerError, True),
    (503, "SlowDown", SlowDownError, True),
    (503, "ServiceUnavailable", SlowDownError, True),
    (503, "Throttling", SlowDownError, True),
]


@pytest.mark.parametrize(("status", "code", "kind", "retryable"), CODES)
def test_code_tells_the_error(
    status: int, code: str, kind: type[ServerError], retryable: bool
) -> None:
    error = refused(status, document(code), {"x-oss-request-id": "HEADERID"})
    assert type(error) is kind
    assert (error.status, error.code, error.ec) == (status, code, "0016-00000001")
    assert error.request_id == "HEADERID"
    assert error.retryable is retryable
    assert "UploadPart was refused: Because." in error.message


@pytest.mark.parametrize(("status", "code", "kind", "retryable"), CODES)
def test_error_on_head_is_read_from_its_header(
    status: int, code: str, kind: type[ServerError], retryable: bool
) -> None:
    headers = {"x-oss-err": base64.b64encode(document(code)).decode()}
    error = refused(status, b"", headers, HEAD)
    assert (type(error), error.code, error.retryable) == (kind, code, retryable)
    assert error.request_id == "BODYID"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (203, CallbackFailedError),
        (301, ServerError),
        (304, NotModifiedError),
        (307, ServerError),
        (400, ServerError),
        (403, AccessDeniedError),
        (404, ServerError),
        (408, ServerError),
        (412, PreconditionFailedError),
        (429, SlowDownError),
        (500, ServerError),
        (502, ServerError),
        (503, SlowDownError),
        (504, ServerError),
    ],
)
@pytest.mark.parametrize(
    "body",
    [b"", b"<html><body>Bad Gateway</body></html>", b"\x00\xff", b"<Error/>", b"<Error><Code>"],
    ids=["none", "a proxy's page", "garbage", "empty document", "torn"],
)
def test_status_tells_the_error_where_no_code_does(
    status: int, kind: type[ServerError], body: bytes
) -> None:
    error = refused(status, body)
    assert (type(error), error.code, error.status) == (kind, "", status)
    assert str(error).count(f"HTTP {status}") == 1


def test_head_of_nothing_without_a_code_is_no_such_key() -> None:
    assert type(refused(404, request=HEAD)) is NoSuchKeyError
    assert type(refused(404)) is ServerError


@pytest.mark.parametrize(
    "encoded", ["%%%", "YQ", "PEVycm9y", "", "é", base64.b64encode(b"x").decode()]
)
def test_bad_header_of_an_error_on_head_is_passed_over(encoded: str) -> None:
    assert type(refused(404, b"", {"x-oss-err": encoded}, HEAD)) is NoSuchKeyError


def test_body_goes_before_the_header() -> None:
    headers = {"x-oss-err": base64.b64encode(document("AccessDenied")).decode()}
    assert refused(404, document("NoSuchUpload"), headers).code == "NoSuchUpload"


@pytest.mark.parametrize("status", [400, 404, 500])
def test_refusal_without_a_reason_says_so(status: int) -> None:
    assert "UploadPart was refused: the answer gives no reason" in str(refused(status))


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
def test_redirect_is_told_as_one(status: int) -> None:
    error = refused(status, b"", {"location": "http://evil.example.com/?token=1"})
    assert "redirects elsewhere, which is never followed" in str(error)
    assert "evil" not in str(error)
    assert not error.retryable


def test_message_is_bounded() -> None:
    assert len(str(refused(400, document("X", "m" * 100_000)))) < 700


def test_hostile_document_is_passed_over() -> None:
    body = b'<!DOCTYPE Error [<!ENTITY e "x">]><Error><Code>&e;</Code></Error>'
    assert refused(500, body).code == ""


@pytest.mark.parametrize(
    ("kind_of", "advice"),
    [
        ((203, "CallbackFailed"), "do not send it again"),
        ((403, "AccessDenied"), "access key"),
        ((403, "RequestTimeTooSkewed"), "clock"),
        ((409, "FileAlreadyExists"), "another key"),
        ((503, "SlowDown"), "fewer threads"),
    ],
)
def test_error_says_what_to_do(kind_of: tuple[int, str], advice: str) -> None:
    assert advice in refused(kind_of[0], document(kind_of[1])).advice


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("120", 120.0),
        ("999999", 999999.0),
        ("1000000", None),
        ("9" * 400, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("inf", None),
        ("²", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds(text: str, seconds: float | None) -> None:
    assert refused(503, b"", {"retry-after": text}).retry_after == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Wed, 15 Nov 2023 12:00:00 GMT", 1_700_049_600.0),
        ("Wed, 15 Nov 2023 20:00:00 +0800", 1_700_049_600.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("", None),
        ("yesterday", None),
        ("Wed, 99 Nov 2023 12:00:00 GMT", None),
        ("Wed, 15 Nov 99999 12:00:00 GMT", None),
        ("Wed, 15 Nov 2023 12:00:00 +999999", None),
    ],
)
def test_clock_of_the_server_is_read(text: str, seconds: float | None) -> None:
    assert refused(403, b"", {"date": text}).server_time == seconds


@given(st.text(max_size=40))
def test_any_date_is_a_time_or_none(text: str) -> None:
    assert isinstance(refused(403, b"", {"date": text}).server_time, float | None)


@given(st.integers(300, 599), st.binary(max_size=100), st.text(max_size=40))
def test_any_refusal_is_a_server_error(status: int, body: bytes, encoded: str) -> None:
    headers = {"x-oss-err": encoded, "retry-after": encoded, "date": encoded}
    for request in (PUT, HEAD):
        error = refused(status, body, headers, request)
        assert isinstance(error, ServerError)
        assert error.status == status


@pytest.mark.parametrize(
    ("then", "now", "seconds"),
    [
        ("Sun, 08 Mar 2026 12:00:07 GMT", "Sun, 08 Mar 2026 12:00:00 GMT", 7.0),
        ("Sun, 08 Mar 2026 12:00:07 GMT", "Sun, 08 Mar 2026 12:00:08 GMT", 0.0),
        ("Sun, 08 Mar 2026 12:00:07 GMT", "", None),
        ("next Sunday", "Sun, 08 Mar 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_may_be_a_date_by_the_server_s_clock(
    then: str, now: str, seconds: float | None
) -> None:
    error = refused(503, b"", {"retry-after": then, "date": now})
    assert error.retry_after == seconds


def test_host_id_is_told() -> None:
    assert refused(404, document("NoSuchKey")).host_id == "h"
    assert refused(500).host_id == ""
