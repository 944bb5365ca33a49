"""Verifying the signatures V1 and V4 of a request's header form, against the raw request."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from resumable.server.access import Access, AccessKey
from resumable.server.errors import OssError
from resumable.server.messages import Request, parse_http_date

MAX_SKEW_SECONDS = 15 * 60

_V4_SCHEME = "OSS4-HMAC-SHA256"
_V1_SUBRESOURCES = frozenset(
    "accessPoint accessPointPolicy acl append asyncFetch bucketArchiveDirectRead bucketInfo "
    "callback callback-var cloudboxes cname comp continuation-token cors delete encryption "
    "endTime group httpsConfig img inventory inventoryId lifecycle link live location logging "
    "metaQuery objectInfo objectMeta partNumber policy position publicAccessBlock qos qosInfo "
    "qosRequester redundancyTransition referer regionList replication replicationLocation "
    "replicationProgress requestPayment requesterQosInfo resourceGroup resourcePool "
    "resourcePoolBuckets resourcePoolInfo response-cache-control response-content-disposition "
    "response-content-encoding response-content-language response-content-type "
    "response-expires restore security-token sequential startTime stat status style styleName "
    "symlink tagging transferAcceleration uploadId uploads versionId versioning versions vod "
    "website worm wormExtend wormId x-oss-ac-forward-allow x-oss-ac-source-ip "
    "x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-access-point-name x-oss-async-process "
    "x-oss-process x-oss-redundancy-transition-taskid x-oss-request-payer "
    "x-oss-target-redundancy-type x-oss-traffic-limit x-oss-write-get-object-response".split()
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What an Authorization header claims."""

    version: str
    access_key_id: str
    value: str
    scope: str = ""
    additional_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What the signature ought to be, and what it was made of."""

    value: str
    string_to_sign: str
    canonical_request: str = ""


def parse_authorization(header: str) -> Signature | None:
    """Return the signature a request carries, or None if it has none we know the form of."""
    scheme, _, rest = header.partition(" ")
    if scheme == "OSS":
        access_key_id, colon, value = rest.strip().partition(":")
        return Signature("v1", access_key_id, value) if colon else None
    if scheme != _V4_SCHEME:
        return None
    fields = {
        name: value
        for name, _, value in (field.strip().partition("=") for field in rest.split(","))
    }
    access_key_id, slash, scope = fields.get("Credential", "").partition("/")
    if not slash or not fields.get("Signature"):
        return None
    additional = fields.get("AdditionalHeaders", "").lower()
    names = tuple(sorted(name for name in additional.split(";") if name))
    return Signature("v4", access_key_id, fields["Signature"], scope, names)


def is_signed(request: Request, access: Access) -> bool:
    """Tell whether the signature is of this request, be it in time or not."""
    signature = parse_authorization(request.header("authorization"))
    access_key = None if signature is None else access.keys.get(signature.access_key_id)
    if signature is None or access_key is None:
        return False
    return _is_equal(_expected(request, signature, access_key), signature)


def verify(request: Request, access: Access, now: float) -> None:
    """Check who sent the request and that it is what was signed.

    Raises:
        OssError: with the code that says what is wrong.
    """
    signature = parse_authorization(request.header("authorization"))
    if signature is None:
        raise OssError("AccessDenied")
    if signature.version == "v4":
        _check_scope(signature, access.region)
    access_key = access.keys.get(signature.access_key_id)
    if access_key is None:
        raise OssError("InvalidAccessKeyId", OSSAccessKeyId=signature.access_key_id)
    _check_time(request, signature, now)
    expected = _expected(request, signature, access_key)
    if not _is_equal(expected, signature):
        raise _mismatch(signature, expected)
    _check_token(request, access_key, now)


def _check_scope(signature: Signature, region: str) -> None:
    """Hold a scope to what it has to be, with the messages that OSS has for it."""
    _, signed_region, product, *_ = (*signature.scope.split("/"), "", "")
    if signed_region != region:
        told = "Invalid signing region in Authorization header."
        raise OssError("InvalidArgument", told, ec="0002-00000226")
    if product != "oss":
        told = "Invalid signing product in Authorization header."
        raise OssError("InvalidArgument", told, ec="0002-00000227")


def _expected(request: Request, signature: Signature, access_key: AccessKey) -> Expected:
    make = _expected_v1 if signature.version == "v1" else _expected_v4
    return make(request, signature, access_key.secret)


def _is_equal(expected: Expected, signature: Signature) -> bool:
    return hmac.compare_digest(expected.value.encode(), signature.value.encode(errors="replace"))


def _check_time(request: Request, signature: Signature, now: float) -> None:
    text = request.header("x-oss-date") or request.header("date")
    signed_at = _parse_iso(text) if signature.version == "v4" else parse_http_date(text)
    if signed_at is None:
        raise OssError("AccessDenied", "The request carries no valid Date or x-oss-date header.")
    if signature.version == "v4" and not signature.scope.startswith(text[:8] + "/"):
        raise OssError("AccessDenied", "The date of the credential is not that of x-oss-date.")
    if abs(now - signed_at) > MAX_SKEW_SECONDS:
        server_time = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        raise OssError("RequestTimeTooSkewed", RequestTime=text, ServerTime=server_time)


def _parse_iso(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _check_token(request: Request, access_key: AccessKey, now: float) -> None:
    token = access_key.security_token
    given = request.header("x-oss-security-token")
    if token is not None and not hmac.compare_digest(_bytes(token), _bytes(given)):
        raise OssError("InvalidSecurityToken")
    if access_key.expires_at is not None and now >= access_key.expires_at:
        raise OssError("SecurityTokenExpired")


def _expected_v1(request: Request, _: Signature, secret: str) -> Expected:
    target = request.target
    signed = sorted(pair for pair in target.query if pair[0] in _V1_SUBRESOURCES)
    query = "&".join(f"{name}={value}" if value else name for name, value in signed)
    resource = f"/{target.bucket}/{target.key}" if target.bucket else "/"
    oss_headers = "".join(
        f"{name}:{value}\n"
        for name, value in sorted(request.headers.items())
        if name.startswith("x-oss-")
    )
    string_to_sign = "\n".join(
        (
            request.method,
            request.header("content-md5"),
            request.header("content-type"),
            request.header("x-oss-date") or request.header("date"),
            oss_headers + resource + (f"?{query}" if query else ""),
        )
    )
    digest = hmac.digest(_bytes(secret), _bytes(string_to_sign), "sha1")
    return Expected(base64.b64encode(digest).decode("ascii"), string_to_sign)


def _expected_v4(request: Request, signature: Signature, secret: str) -> Expected:
    canonical_request = _canonical_request(request, signature.additional_headers)
    hashed = hashlib.sha256(_bytes(canonical_request)).hexdigest()
    moment = request.header("x-oss-date") or request.header("date")
    string_to_sign = f"{_V4_SCHEME}\n{moment}\n{signature.scope}\n{hashed}"
    key = _bytes("aliyun_v4" + secret)
    for step in signature.scope.split("/"):
        key = hmac.digest(key, _bytes(step), "sha256")
    value = hmac.digest(key, _bytes(string_to_sign), "sha256").hex()
    return Expected(value, string_to_sign, canonical_request)


def _canonical_request(request: Request, additional: tuple[str, ...]) -> str:
    target = request.target
    pairs = sorted((_encode(name), _encode(value)) for name, value in target.query)
    resource = f"/{target.bucket}/{target.key}" if target.bucket else "/"
    always = ("content-type", "content-md5")
    headers = "".join(
        f"{name}:{value}\n"
        for name, value in sorted(request.headers.items())
        if name.startswith("x-oss-") or name in always or name in additional
    )
    return "\n".join(
        (
            request.method,
            quote(resource, safe="-_.~/"),
            "&".join(f"{name}={value}" if value else name for name, value in pairs),
            headers,
            ";".join(additional),
            request.header("x-oss-content-sha256", "UNSIGNED-PAYLOAD"),
        )
    )


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")


def _bytes(text: str) -> bytes:
    # Header values that are not UTF-8 were kept with surrogates: they are signed as they came.
    return text.encode("utf-8", "surrogateescape")


def _mismatch(signature: Signature, expected: Expected) -> OssError:
    details = {
        "OSSAccessKeyId": signature.access_key_id,
        "SignatureProvided": signature.value,
        "StringToSign": expected.string_to_sign,
        "StringToSignBytes": _bytes(expected.string_to_sign).hex(" ").upper(),
    }
    if expected.canonical_request:
        details["CanonicalRequest"] = expected.canonical_request
    return OssError("SignatureDoesNotMatch", **details)
