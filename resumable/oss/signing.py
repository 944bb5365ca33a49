"""Signatures V1 and V4: from a request to the headers that prove who sends it.

Pure functions of their arguments: the clock is handed in. The vectors in `fixtures/signatures`
were made with the public SDKs.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Literal

from resumable.core.headers import is_unicode
from resumable.errors import InvalidArgumentError
from resumable.oss.credentials import Credentials
from resumable.oss.endpoint import encode_path, encode_query
from resumable.oss.messages import CONTENT_MD5, CONTENT_TYPE, SECURITY_TOKEN

SignatureVersion = Literal["v1", "v4"]

_ALGORITHM = "OSS4-HMAC-SHA256"
_PAYLOAD = "UNSIGNED-PAYLOAD"

# The query parameters that V1 signs; all others are left out of its string to sign.
_SUB_RESOURCES = frozenset(
    (
        "acl append bucketInfo callback callback-var comp cors delete encryption lifecycle "
        "location logging objectMeta partNumber policy position referer "
        "response-cache-control response-content-disposition response-content-encoding "
        "response-content-language response-content-type response-expires restore security-token "
        "sequential stat status symlink tagging uploadId uploads versionId versioning versions "
        "website x-oss-process x-oss-request-payer x-oss-traffic-limit"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is signed. The `headers` have lower-case names; no `key` means the bucket itself."""

    method: str
    bucket: str
    key: str | None
    query: Mapping[str, str]
    headers: Mapping[str, str]


def sign_v1(subject: Subject, credentials: Credentials, now: float) -> dict[str, str]:
    """The headers of a V1 signature (HMAC-SHA1 over the method, headers and sub-resources)."""
    added = {"date": formatdate(now, usegmt=True)} | _token(credentials)
    headers = {**subject.headers, **added}
    text = "\n".join(
        [
            subject.method,
            headers.get(CONTENT_MD5, ""),
            headers.get(CONTENT_TYPE, ""),
            headers["date"],
            *(f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-oss-")),
            _v1_resource(subject),
        ]
    )
    digest = hmac.digest(credentials.access_key_secret.encode(), text.encode(), "sha1")
    signature = base64.b64encode(digest).decode()
    return added | {"authorization": f"OSS {credentials.access_key_id}:{signature}"}


def sign_v4(subject: Subject, credentials: Credentials, now: float, region: str) -> dict[str, str]:
    """The headers of a V4 signature (HMAC-SHA256, bound to day and region)."""
    timestamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-oss-date": timestamp, "x-oss-content-sha256": _PAYLOAD} | _token(credentials)
    headers = {**subject.headers, **added}
    day = timestamp[:8]
    scope = f"{day}/{region}/oss/aliyun_v4_request"
    canonical = _v4_canonical_request(subject, headers)
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{timestamp}\n{scope}\n{hashed}"
    key = _v4_key(credentials.access_key_secret, day, region)
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    credential = f"Credential={credentials.access_key_id}/{scope}"
    return added | {"authorization": f"{_ALGORITHM} {credential},Signature={signature}"}


def canonical_query(query: Mapping[str, str]) -> str:
    """The query as it is signed by V4 and sent: encoded, sorted, an empty value as the name.

    Raises:
        InvalidArgumentError: a value is not Unicode text.
    """
    for name, value in query.items():
        if not isinstance(value, str) or not is_unicode(value):
            raise InvalidArgumentError(f"{name} {value!r} is not Unicode text")
    encoded = sorted((encode_query(name), encode_query(value)) for name, value in query.items())
    return "&".join(f"{name}={value}" if value else name for name, value in encoded)


def _token(credentials: Credentials) -> dict[str, str]:
    token = credentials.security_token
    return {} if token is None else {SECURITY_TOKEN: token}


def _v1_resource(subject: Subject) -> str:
    signed = sorted(item for item in subject.query.items() if item[0] in _SUB_RESOURCES)
    parameters = "&".join(f"{name}={value}" if value else name for name, value in signed)
    path = f"/{subject.bucket}/{subject.key or ''}"
    return f"{path}?{parameters}" if parameters else path


def _v4_canonical_request(subject: Subject, headers: Mapping[str, str]) -> str:
    signed = sorted(
        name for name in headers if name.startswith("x-oss-") or name in (CONTENT_MD5, CONTENT_TYPE)
    )
    return "\n".join(
        [
            subject.method,
            f"/{subject.bucket}/{encode_path(subject.key or '')}",
            canonical_query(subject.query),
            *(f"{name}:{headers[name]}" for name in signed),
            "",
            "",  # the names of additional headers: none
            _PAYLOAD,
        ]
    )


@lru_cache(maxsize=16)
def _v4_key(secret: str, day: str, region: str) -> bytes:
    key = f"aliyun_v4{secret}".encode()
    for step in (day, region, "oss", "aliyun_v4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key
