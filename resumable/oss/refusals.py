"""From an answer that says no to the error that tells it."""

import base64
import binascii
from collections.abc import Callable

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
from resumable.oss.messages import ERROR_ON_HEAD, Answer, Request
from resumable.oss.xml import Document, UnreadableXmlError

_BY_CODE: dict[str, type[ServerError]] = {
    "FileAlreadyExists": FileAlreadyExistsError,
    "InvalidDigest": InvalidDigestError,
    "InvalidPart": InvalidPartError,
    "NoSuchKey": NoSuchKeyError,
    "NoSuchUpload": NoSuchUploadError,
    "PartAlreadyExist": PartNotSequentialError,
    "PartNotSequential": PartNotSequentialError,
    "PreconditionFailed": PreconditionFailedError,
    "RequestTimeTooSkewed": ClockSkewError,
    "SecurityTokenExpired": TokenExpiredError,
    "SlowDown": SlowDownError,
    "Throttling": SlowDownError,
    "TooManyRequests": SlowDownError,
}
_BY_STATUS: dict[int, type[ServerError]] = {
    203: CallbackFailedError,
    304: NotModifiedError,
    403: AccessDeniedError,
    412: PreconditionFailedError,
    429: SlowDownError,
    503: SlowDownError,
}
_ADVICE: dict[type[ServerError], str] = {
    CallbackFailedError: "The object is there: do not send it again, mend the callback",
    AccessDeniedError: "Check the access key, the bucket's policy and the endpoint's region",
    ClockSkewError: "Set this machine's clock",
    FileAlreadyExistsError: "Choose another key, or allow overwriting",
    SlowDownError: "Use fewer threads, or try again later",
    TokenExpiredError: "Fetch a new key with its token and call again, or give Bucket a callable",
}
_MAX_MESSAGE = 500


def refusal(
    request: Request,
    answer: Answer,
    advise: Callable[[ServerError, str], str] | None = None,
) -> ServerError:
    """The error for an answer that is not a success.

    Args:
        request: What was asked.
        answer: What came.
        advise: Gives better advice than the error's kind does, from the error and the bucket that
            the answer speaks of; an empty string if it knows none.
    """
    told = _error_document(answer)
    code = told.text("Code") if told else ""
    message = told.text("Message")[:_MAX_MESSAGE] if told else ""
    kind = _BY_CODE.get(code) or _BY_STATUS.get(answer.status) or _default(request, answer, code)
    error = kind(
        f"{request.operation} was refused: {message or _reason(answer)}",
        status=answer.status,
        code=code,
        ec=told.text("EC") if told else "",
        host_id=told.text("HostId")[:_MAX_MESSAGE] if told else "",
        request_id=answer.request_id or (told.text("RequestId") if told else ""),
        advice=_ADVICE.get(kind, ""),
    )
    error.endpoint = told.text("Endpoint") if told else ""
    bucket = (told.text("BucketName") or told.text("Bucket")) if told else ""
    if advise is not None:
        error.advice = advise(error, bucket) or error.advice
    error.retry_after = answer.retry_after
    error.server_time = answer.server_time
    if kind is InvalidDigestError or code == "RequestTimeout":
        error.retryable = True
    return error


def _default(request: Request, answer: Answer, code: str) -> type[ServerError]:
    # A HEAD has no body, and not every server fills in x-oss-err.
    head_of_nothing = request.method == "HEAD" and answer.status == 404 and not code
    return NoSuchKeyError if head_of_nothing else ServerError


def _reason(answer: Answer) -> str:
    if answer.status == 304:
        return "the object is as it was"
    if 300 <= answer.status < 400:
        return "the server redirects elsewhere, which is never followed; check the endpoint"
    return "the answer gives no reason"


def _error_document(answer: Answer) -> Document | None:
    body = answer.body
    if not body and (encoded := answer.headers.get(ERROR_ON_HEAD)):
        try:
            body = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return None
    try:
        return Document.parse(body, "Error")
    except UnreadableXmlError:
        return None
