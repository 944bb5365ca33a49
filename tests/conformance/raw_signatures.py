"""Signatures read off the wire: what a request line and its headers would have to be signed as.

Nothing is decoded and encoded again: the path and the query are signed as the bytes they came as.
So a target that only means the same as what was signed does not pass.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

_V4 = re.compile(
    rb"OSS4-HMAC-SHA256 Credential=[^/]+/(?P<scope>[^,]+),Signature=(?P<signature>[0-9a-f]{64})"
)
_SIGNED = (b"content-md5", b"content-type")
_WISHES = frozenset(
    (
        *(b"prefix", b"delimiter", b"key-marker", b"upload-id-marker", b"max-uploads"),
        b"encoding-type",
    )
)


def is_signed(
    request_line: bytes,
    headers: Mapping[bytes, bytes],
    secret: str,
    bucket: str,
    *,
    path_style: bool,
) -> bool:
    """Whether the request is what its Authorization header was made for.

    Args:
        request_line: As it came, without its end.
        headers: By name in lower case, as they came.
        secret: Of the access key.
        bucket: The bucket that is meant, which the path does not name unless in path style.
        path_style: Whether the path begins with the bucket.
    """
    method, target, _ = request_line.split(b" ")
    path, _, query = target.partition(b"?")
    resource = path if path_style else b"/" + bucket.encode() + path
    if headers[b"authorization"].startswith(b"OSS "):
        return _is_signed_v1(method, resource, query, headers, secret)
    return _is_signed_v4(method, resource, query, headers, secret)


def _is_signed_v4(
    method: bytes, resource: bytes, query: bytes, headers: Mapping[bytes, bytes], secret: str
) -> bool:
    match = _V4.fullmatch(headers[b"authorization"])
    if match is None or query.split(b"&") != sorted(query.split(b"&")):
        return False
    signed = [
        name + b":" + value
        for name, value in sorted(headers.items())
        if name.startswith(b"x-oss-") or name in _SIGNED
    ]
    canonical = b"\n".join((method, resource, query, *signed, b"", b"", b"UNSIGNED-PAYLOAD"))
    scope, hashed = match["scope"], hashlib.sha256(canonical).hexdigest().encode()
    text = b"\n".join((b"OSS4-HMAC-SHA256", headers[b"x-oss-date"], scope, hashed))
    key = b"aliyun_v4" + secret.encode()
    for step in scope.split(b"/"):
        key = hmac.digest(key, step, "sha256")
    return hmac.digest(key, text, "sha256").hex().encode() == match["signature"]


def _is_signed_v1(
    method: bytes, resource: bytes, query: bytes, headers: Mapping[bytes, bytes], secret: str
) -> bool:
    # V1 signs the key itself, and of the query what is not a wish about the list.
    resource = unquote_to_bytes(resource)
    fields = [field for field in query.split(b"&") if field.partition(b"=")[0] not in _WISHES]
    if query and fields:
        resource += b"?" + b"&".join(fields)
    signed = [
        name + b":" + value for name, value in sorted(headers.items()) if name.startswith(b"x-oss-")
    ]
    before = [headers.get(name, b"") for name in (*_SIGNED, b"date")]
    text = b"\n".join((method, *before, *signed, resource))
    expected = base64.b64encode(hmac.digest(secret.encode(), text, "sha1"))
    return headers[b"authorization"].endswith(b":" + expected)
