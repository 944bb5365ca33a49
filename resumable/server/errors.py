"""The refusals of the service: codes, statuses and the error document's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error code stands for."""

    status: int
    message: str
    ec: str = "0000-00000000"


REFUSALS: Mapping[str, Refusal] = {
    "AccessDenied": Refusal(403, "The request carries no valid signature.", "0003-00000001"),
    "BadRequest": Refusal(400, "The request is not valid HTTP."),
    "CallbackFailed": Refusal(203, "The callback failed.", "0007-00000203"),
    "EntityTooLarge": Refusal(400, "The proposed upload exceeds the maximum allowed size."),
    "EntityTooSmall": Refusal(
        400, "A part other than the last is smaller than 100 KB.", "0042-00000208"
    ),
    "FileAlreadyExists": Refusal(
        409, "The object you specified already exists and can not be overwritten.", "0026-00000112"
    ),
    "InternalError": Refusal(500, "The server met an unexpected condition."),
    "InvalidAccessKeyId": Refusal(
        403, "The OSS Access Key Id you provided does not exist in our records.", "0002-00000902"
    ),
    "InvalidArgument": Refusal(400, "An argument of the request is not valid.", "0002-00000201"),
    "InvalidBucketName": Refusal(400, "The specified bucket is not valid.", "0015-00000001"),
    "InvalidDigest": Refusal(
        400, "The Content-MD5 you specified did not match what was received.", "0017-00000503"
    ),
    "InvalidEncryptionAlgorithmError": Refusal(
        400, "The encryption method is none of AES256, KMS and SM4.", "0005-00000003"
    ),
    "InvalidObjectName": Refusal(400, "The specified object name is not valid.", "0016-00000001"),
    "InvalidPart": Refusal(
        400, "A listed part is unknown, or its ETag is not that of the part.", "0042-00000203"
    ),
    "InvalidPartOrder": Refusal(
        400, "The list of parts was not in ascending order.", "0042-00000204"
    ),
    "InvalidRange": Refusal(416, "The requested range cannot be satisfied."),
    "InvalidSecurityToken": Refusal(
        403, "The security token you provided is invalid.", "0002-00000006"
    ),
    "InvalidTag": Refusal(400, "A tag is not valid.", "0010-00000219"),
    "MalformedXML": Refusal(400, "The XML you provided was not well-formed.", "0042-00000205"),
    "MethodNotAllowed": Refusal(405, "The method is not allowed against this resource."),
    "MissingContentLength": Refusal(411, "You must provide the Content-Length HTTP header."),
    "NoSuchBucket": Refusal(404, "The specified bucket does not exist.", "0015-00000101"),
    "NoSuchKey": Refusal(404, "The specified key does not exist.", "0026-00000001"),
    "NoSuchUpload": Refusal(
        404,
        "The specified upload does not exist. The upload ID may be invalid, "
        "or the upload may have been aborted or completed.",
        "0042-00000002",
    ),
    "NoSuchVersion": Refusal(404, "The specified version does not exist.", "0026-00000003"),
    "NotImplemented": Refusal(501, "This local server does not implement the request."),
    "PartAlreadyExist": Refusal(
        409,
        "The part of a sequential upload exists already.",
        "0042-00000108",
    ),
    "PartNotSequential": Refusal(
        400,
        "Parts of a sequential upload have to come in ascending order.",
        "0042-00000107",
    ),
    "PreconditionFailed": Refusal(412, "At least one of the preconditions did not hold."),
    "RequestTimeTooSkewed": Refusal(
        403,
        "The difference between the request time and the current time is too large.",
        "0002-00000504",
    ),
    "RequestTimeout": Refusal(
        400, "Your connection was not read from or written to within the timeout period."
    ),
    "SecurityTokenExpired": Refusal(
        403, "The security token you provided has expired.", "0002-00000007"
    ),
    "SignatureDoesNotMatch": Refusal(
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        "0002-00000040",
    ),
}


class OssError(Exception):
    """A request the service refuses; becomes the error document of the answer."""

    def __init__(self, code: str, message: str = "", *, ec: str = "", **details: str) -> None:
        self.code = code
        self.refusal = REFUSALS[code]
        self.ec = ec or self.refusal.ec
        self.message = message or self.refusal.message
        self.details = details
        super().__init__(f"{code}: {self.message}")

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return self.refusal.status


class ClientGoneError(Exception):
    """The client closed, reset or abandoned the connection in the middle of a request."""


class HttpError(Exception):
    """What came over the wire is not a request; the connection cannot go on."""


def reason(status: int) -> str:
    """Return the reason phrase of `status`, also for one no standard knows."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
