"""Operations that take their bytes from an object that is already here."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_to_bytes

from resumable.server import xml
from resumable.server.blobs import PinnedContent
from resumable.server.conditions import NotModifiedError, check_read, copied_range
from resumable.server.errors import OssError
from resumable.server.messages import Answer, Request
from resumable.server.metadata import (
    TAGGING,
    described_headers,
    encryption_headers,
    inherited_headers,
    placed_headers,
    tagging_header,
)
from resumable.server.multipart import part_number, record_part
from resumable.server.objects import (
    check_version,
    open_object,
    put_whole,
    xml_answer,
)
from resumable.server.records import ObjectRecord
from resumable.server.store import Store
from resumable.server.uploads import forbid_overwrite

_SOURCE = "x-oss-copy-source"
_SOURCE_FORM = re.compile(r"/([^/?]+)/([^?]+)(?:\?versionId=([^&]*))?")
_NOT_MODIFIED = Answer(304, code="NotModified")


def upload_part_copy(request: Request, store: Store) -> Answer:
    """Make a part of a stretch of an object."""
    number = part_number(request.target.get("partNumber"))
    upload = store.get_upload(request.bucket, request.key, request.upload_id)
    record, content = _open_source(request, store)
    try:
        _check_conditions(request, record)
        if text := request.header("x-oss-copy-source-range"):
            wanted = copied_range(text, record.size)
            content.narrow(wanted.first, wanted.length)
        stored = store.blobs.write(content.blocks())
    except NotModifiedError:
        return _NOT_MODIFIED
    finally:
        content.close()
    part = record_part(store, upload, number, stored)
    return _copied("CopyPartResult", part.etag, part.crc64, part.modified)


def copy_object(request: Request, store: Store) -> Answer:
    """Make an object of another one, or of itself with other metadata."""
    placed = placed_headers(request)
    may_replace = forbid_overwrite(request)
    may_replace(store.find_object(request.bucket, request.key))
    source, content = _open_source(request, store)
    try:
        _check_conditions(request, source)
        headers = _copied_headers(request, source) | placed
        stored = store.blobs.write(content.blocks())
    except NotModifiedError:
        return _NOT_MODIFIED
    finally:
        content.close()
    record = put_whole(request, store, stored, headers, may_replace)
    answer = _copied("CopyObjectResult", record.etag, record.crc64, record.modified)
    encrypted = encryption_headers(headers)
    return Answer(headers={**answer.headers, **encrypted}, body=answer.body)


def _open_source(request: Request, store: Store) -> tuple[ObjectRecord, PinnedContent]:
    match = _SOURCE_FORM.fullmatch(request.header(_SOURCE))
    try:
        if match is not None:
            bucket, key = unquote(match[1]), unquote_to_bytes(match[2]).decode("utf-8")
            check_version(unquote(match[3] or ""))
            store.check_bucket(bucket)
            return open_object(store, bucket, key)
    except UnicodeError:
        # The name of no key: refused below, as what has not the form at all.
        pass
    raise OssError("InvalidArgument", ArgumentName=_SOURCE, ArgumentValue=request.header(_SOURCE))


def _check_conditions(request: Request, record: ObjectRecord) -> None:
    check_read(lambda name: request.header(f"{_SOURCE}-{name}"), record)


def _copied_headers(request: Request, source: ObjectRecord) -> dict[str, str]:
    onto_itself = (source.bucket, source.key) == (request.bucket, request.key)
    replace = _is_replaced(request, "x-oss-metadata-directive") or onto_itself
    headers = described_headers(request) if replace else inherited_headers(source.headers)
    if _is_replaced(request, "x-oss-tagging-directive"):
        return headers | tagging_header(request)
    tags = source.headers.get(TAGGING)
    return headers if tags is None else headers | {TAGGING: tags}


def _is_replaced(request: Request, directive: str) -> bool:
    value = request.header(directive)
    if value.upper() not in ("", "COPY", "REPLACE"):
        raise OssError("InvalidArgument", ArgumentName=directive, ArgumentValue=value)
    return value.upper() == "REPLACE"


def _copied(root: str, etag: str, crc64: int, modified: float) -> Answer:
    children = [
        xml.text("LastModified", xml.timestamp(modified)),
        xml.text("ETag", f'"{etag}"'),
    ]
    answer = xml_answer(root, children)
    told = {"ETag": f'"{etag}"', "x-oss-hash-crc64ecma": str(crc64)}
    return Answer(headers={**answer.headers, **told}, body=answer.body)
