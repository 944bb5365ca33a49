"""From a raw request target and a Host header to a bucket, a key and an operation."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote_to_bytes

from resumable.server.errors import OssError
from resumable.server.messages import Query, Target

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,61}[a-z0-9]|[a-z0-9]")

# The first row whose method and parameters are those of the request names its operation.
_KEY_OPERATIONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("POST", ("uploads",), "InitiateMultipartUpload"),
    ("PUT", ("partNumber", "uploadId"), "UploadPart"),
    ("GET", ("uploadId",), "ListParts"),
    ("POST", ("uploadId",), "CompleteMultipartUpload"),
    ("DELETE", ("uploadId",), "AbortMultipartUpload"),
    ("GET", ("acl",), "GetObjectAcl"),
    ("GET", ("tagging",), "GetObjectTagging"),
    ("PUT", (), "PutObject"),
    ("HEAD", (), "HeadObject"),
    ("GET", (), "GetObject"),
    ("DELETE", (), "DeleteObject"),
)
_BUCKET_OPERATIONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("GET", ("uploads",), "ListMultipartUploads"),
    ("GET", ("location",), "GetBucketLocation"),
    ("GET", ("list-type",), "ListObjectsV2"),
    ("GET", (), "ListObjects"),
    ("PUT", (), "PutBucket"),
)
# A parameter of another operation must not be taken for the plain one: a `PUT ?acl` that
# replaced the object would be a disaster to debug.
_FOREIGN = frozenset(
    "acl append bucketInfo cname cors delete encryption httpsConfig inventory lifecycle link live "
    "location logging metaQuery partNumber policy position publicAccessBlock qos qosInfo referer "
    "regionList replication replicationLocation replicationProgress requestPayment resourceGroup "
    "restore stat style symlink tagging transferAcceleration uploadId uploads versioning versions "
    "website worm x-oss-async-process x-oss-process".split()
)
_COPIES: Mapping[str, str] = {"UploadPart": "UploadPartCopy", "PutObject": "CopyObject"}
UNKNOWN = "Unknown"
OPERATION_NAMES = frozenset(
    {UNKNOWN, *_COPIES.values(), *(row[2] for row in (*_KEY_OPERATIONS, *_BUCKET_OPERATIONS))}
)


def parse_target(raw: str, host: str) -> Target:
    """Return what a request is about, as far as its target and its host tell.

    Raises:
        OssError: when the target is no path, or names no possible bucket or key.
    """
    return read_target(raw, host)[0]


def read_target(raw: str, host: str, domains: Collection[str] = ()) -> list[Target]:
    """Return what a request may be about, the likeliest first.

    `name.example/path` is the key `path` of a bucket `name`, or a bucket `path` of a server of
    that name. The path is decoded exactly once and never normalised.

    Args:
        raw: The target of the request.
        host: Its Host header.
        domains: Names that are the server's own.

    Raises:
        OssError: when the target is no path, or no reading names a possible bucket and key.
    """
    if not raw.startswith("/"):
        raise OssError("InvalidArgument", "The request target must be a path.")
    path, _, query = raw[1:].partition("?")
    found, refusals = [], []
    for bucket in _buckets_of_host(host, domains):
        try:
            found.append(_target(bucket, path, query))
        except OssError as refusal:
            refusals.append(refusal)
    if not found:
        raise refusals[0]
    return found


def _target(bucket: str | None, path: str, query: str) -> Target:
    if bucket is None:
        bucket, _, path = path.partition("/")
        bucket = _decode(bucket)
    key = _decode(path)
    if (bucket or key) and not is_bucket_name(bucket):
        raise OssError("InvalidBucketName", BucketName=bucket)
    if key:
        _check_key(key)
    return Target(bucket, key, _parse_query(query))


def find_operation(method: str, target: Target, headers: Mapping[str, str]) -> str:
    """Return the name of the operation a request asks for, or `Unknown`."""
    rows = _KEY_OPERATIONS if target.key else _BUCKET_OPERATIONS if target.bucket else ()
    for row_method, parameters, operation in rows:
        if method != row_method or not all(target.has(name) for name in parameters):
            continue
        if not parameters and any(name in _FOREIGN for name, _ in target.query):
            continue
        if "x-oss-copy-source" in headers:
            return _COPIES.get(operation, operation)
        return operation
    return UNKNOWN


def is_bucket_name(text: str) -> bool:
    """Tell whether a bucket can have that name."""
    return _BUCKET_NAME.fullmatch(text) is not None


def _buckets_of_host(host: str, domains: Collection[str]) -> tuple[str | None, ...]:
    """The bucket that the host may name, or None where the path may name it."""
    name = (host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]).lower().rstrip(".")
    if not name or name == "localhost" or name in domains or _is_address(name):
        return (None,)
    for domain in domains:
        if name.endswith(f".{domain}"):
            return (name.removesuffix(f".{domain}"),)
    first, dot, _ = name.partition(".")
    # A bucket stands before the name of a server: a name without a dot is likely a server's.
    return (first, None) if dot else (None, first)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_key(key: str) -> None:
    if len(key.encode("utf-8")) > 1023 or key[0] in "/\\":
        raise OssError("InvalidObjectName", ObjectName=key)


def _decode(raw: str) -> str:
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise OssError("InvalidObjectName", ObjectName=raw) from problem


def _parse_query(raw: str) -> Query:
    pairs = []
    for field in raw.split("&") if raw else ():
        name, _, value = field.partition("=")
        # Clients write a space in a query as `+` or as `%20`; a plus is always `%2B`.
        pairs.append((_decode(name.replace("+", " ")), _decode(value.replace("+", " "))))
    return tuple(pairs)
