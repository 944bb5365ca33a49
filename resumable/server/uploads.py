"""What every operation that receives bytes checks of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator

from resumable.server.blobs import BlobFolder, StoredBytes
from resumable.server.checksums import md5
from resumable.server.errors import OssError
from resumable.server.messages import Request
from resumable.server.records import ObjectRecord

MAX_PART_SIZE = 5 * 1024**3
TRAFFIC_LIMITS = range(819_200, 838_860_800 + 1)


def forbid_overwrite(request: Request) -> Callable[[ObjectRecord | None], None]:
    """Return the check that x-oss-forbid-overwrite asks for."""
    forbidden = request.header("x-oss-forbid-overwrite").lower() == "true"

    def check(existing: ObjectRecord | None) -> None:
        if forbidden and existing is not None:
            raise OssError("FileAlreadyExists", ObjectName=existing.key)

    return check


def traffic_limit(request: Request) -> int | None:
    """Return how many bits a second the request's bytes may take, or None for as many as can.

    Raises:
        OssError: InvalidArgument when the service allows no such limit.
    """
    name = "x-oss-traffic-limit"
    text = request.header(name) or request.target.get(name)
    if not text:
        return None
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    if limit not in TRAFFIC_LIMITS:
        raise OssError("InvalidArgument", ArgumentName=name, ArgumentValue=text)
    return limit


def receive(request: Request, blobs: BlobFolder) -> StoredBytes:
    """Store a request's body as a blob; nothing is left of one that is refused.

    Raises:
        OssError: EntityTooLarge, InvalidDigest or MissingContentLength.
    """
    if not {"content-length", "transfer-encoding"} & request.headers.keys():
        raise OssError("MissingContentLength")
    wanted_md5 = _content_md5(request)
    stored = blobs.write(_bounded(request))
    if wanted_md5 is not None and wanted_md5 != stored.digest.md5:
        blobs.discard([stored.blob])
        raise OssError(
            "InvalidDigest",
            ExpectedDigest=request.header("content-md5"),
            CalculatedDigest=stored.digest.content_md5,
        )
    return stored


def read_small(request: Request, limit: int) -> bytes:
    """Return a whole body that has to be small.

    Raises:
        OssError: EntityTooLarge when it is not, InvalidDigest when Content-MD5 differs.
    """
    data = bytearray()
    for block in request.body.blocks():
        data += block
        if len(data) > limit:
            raise OssError("EntityTooLarge", MaxSizeAllowed=str(limit))
    wanted_md5 = _content_md5(request)
    if wanted_md5 is not None and wanted_md5 != md5(bytes(data)):
        raise OssError("InvalidDigest", ExpectedDigest=request.header("content-md5"))
    return bytes(data)


def _bounded(request: Request) -> Iterator[memoryview]:
    body = request.body
    too_large = OssError("EntityTooLarge", MaxSizeAllowed=str(MAX_PART_SIZE))
    if (body.length or 0) > MAX_PART_SIZE:
        raise too_large
    for block in body.blocks():
        if body.received > MAX_PART_SIZE:
            raise too_large
        yield block


def _content_md5(request: Request) -> bytes | None:
    text = request.header("content-md5")
    if not text:
        return None
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != 16:
        raise OssError("InvalidDigest", ExpectedDigest=text)
    return value
