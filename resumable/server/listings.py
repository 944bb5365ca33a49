"""The paged lists: parts of an upload, uploads of a bucket, objects of a bucket."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from resumable.server import xml
from resumable.server.errors import OssError
from resumable.server.messages import Answer, Request
from resumable.server.metadata import storage_class
from resumable.server.objects import xml_answer
from resumable.server.paging import Page, Wanted
from resumable.server.records import ObjectRecord, PartRecord, UploadRecord
from resumable.server.store import Store

MAX_ROWS = 1000
DEFAULT_KEYS = 100


def list_parts(request: Request, store: Store) -> Answer:
    """List the parts of an upload, a page at a time."""
    upload = store.get_upload(request.bucket, request.key, request.upload_id)
    limit = _row_limit(request, "max-parts")
    marker = _number(request, "part-number-marker", 0)
    found = store.list_parts(upload, marker, limit + 1)
    page = found[:limit]
    encoding = _encoding(request)
    children = [
        *_encoding_type(encoding),
        xml.text("Bucket", request.bucket),
        xml.name("Key", request.key, encoding),
        xml.text("UploadId", upload.upload_id),
        xml.text("StorageClass", storage_class(upload.headers)),
        xml.text("PartNumberMarker", marker),
        xml.text("NextPartNumberMarker", page[-1].number if page else marker),
        xml.text("MaxParts", limit),
        xml.text("IsTruncated", _boolean(len(found) > limit)),
        *(_part(part) for part in page),
    ]
    return xml_answer("ListPartsResult", children)


def list_multipart_uploads(request: Request, store: Store) -> Answer:
    """List the uploads of a bucket that are neither completed nor aborted."""
    store.check_bucket(request.bucket)
    query = request.target
    encoding = _encoding(request)
    wanted = Wanted(
        limit=_row_limit(request, "max-uploads"),
        prefix=query.get("prefix"),
        delimiter=query.get("delimiter"),
        key_marker=query.get("key-marker"),
        upload_id_marker=query.get("upload-id-marker"),
    )
    page = store.list_uploads(request.bucket, wanted)
    children = [
        *_encoding_type(encoding),
        xml.text("Bucket", request.bucket),
        xml.name("KeyMarker", wanted.key_marker, encoding),
        xml.text("UploadIdMarker", wanted.upload_id_marker),
        xml.name("NextKeyMarker", page.last_key, encoding),
        xml.text("NextUploadIdMarker", page.last_row.upload_id if page.last_row else ""),
        xml.name("Delimiter", wanted.delimiter, encoding),
        xml.name("Prefix", wanted.prefix, encoding),
        xml.text("MaxUploads", wanted.limit),
        xml.text("IsTruncated", _boolean(page.truncated)),
        *(_upload(upload, encoding) for upload in page.rows),
        *_common_prefixes(page.prefixes, encoding),
    ]
    return xml_answer("ListMultipartUploadsResult", children)


def list_objects(request: Request, store: Store) -> Answer:
    """List the objects of a bucket."""
    store.check_bucket(request.bucket)
    encoding = _encoding(request)
    wanted = _wanted_objects(request, request.target.get("marker"))
    page = store.list_objects(request.bucket, wanted)
    children = [
        *_encoding_type(encoding),
        *_about_objects(request, wanted, page),
        xml.name("Marker", wanted.key_marker, encoding),
        *([xml.name("NextMarker", page.last_key, encoding)] if page.truncated else []),
        *(_object(record, encoding, with_owner=True) for record in page.rows),
        *_common_prefixes(page.prefixes, encoding),
    ]
    return xml_answer("ListBucketResult", children)


def list_objects_v2(request: Request, store: Store) -> Answer:
    """List the objects of a bucket, with a token that leads from page to page."""
    store.check_bucket(request.bucket)
    query, encoding = request.target, _encoding(request)
    if query.get("list-type") != "2":
        raise OssError("InvalidArgument", ArgumentName="list-type")
    token = query.get("continuation-token")
    wanted = _wanted_objects(request, _marker_of(token) if token else query.get("start-after"))
    page = store.list_objects(request.bucket, wanted)
    with_owner = query.get("fetch-owner").lower() == "true"
    following = [xml.text("NextContinuationToken", _token(page.last_key))]
    children = [
        *_encoding_type(encoding),
        *_about_objects(request, wanted, page),
        xml.name("StartAfter", query.get("start-after"), encoding),
        xml.text("ContinuationToken", token),
        *(following if page.truncated else []),
        xml.text("KeyCount", len(page.rows) + len(page.prefixes)),
        *(_object(record, encoding, with_owner=with_owner) for record in page.rows),
        *_common_prefixes(page.prefixes, encoding),
    ]
    return xml_answer("ListBucketResult", children)


def _wanted_objects(request: Request, marker: str) -> Wanted:
    query = request.target
    return Wanted(
        limit=_row_limit(request, "max-keys", DEFAULT_KEYS),
        prefix=query.get("prefix"),
        delimiter=query.get("delimiter"),
        key_marker=marker,
    )


def _about_objects(request: Request, wanted: Wanted, page: Page[ObjectRecord]) -> Iterator[str]:
    encoding = _encoding(request)
    yield xml.text("Name", request.bucket)
    yield xml.name("Prefix", wanted.prefix, encoding)
    yield xml.name("Delimiter", wanted.delimiter, encoding)
    yield xml.text("MaxKeys", wanted.limit)
    yield xml.text("IsTruncated", _boolean(page.truncated))


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode("utf-8")).decode("ascii")


def _marker_of(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode("utf-8")
    except ValueError as problem:
        raise OssError("InvalidArgument", ArgumentName="continuation-token") from problem


def _encoding_type(encoding: str) -> list[str]:
    return [xml.text("EncodingType", encoding)] if encoding else []


def _common_prefixes(prefixes: list[str], encoding: str) -> Iterator[str]:
    for prefix in prefixes:
        yield xml.element("CommonPrefixes", xml.name("Prefix", prefix, encoding))


def _object(record: ObjectRecord, encoding: str, *, with_owner: bool) -> str:
    owner = xml.element("Owner", xml.text("ID", "0"), xml.text("DisplayName", "0"))
    return xml.element(
        "Contents",
        xml.name("Key", record.key, encoding),
        xml.text("LastModified", xml.timestamp(record.modified)),
        xml.text("ETag", f'"{record.etag}"'),
        xml.text("Type", record.object_type),
        xml.text("Size", record.size),
        xml.text("StorageClass", storage_class(record.headers)),
        *([owner] if with_owner else []),
    )


def _part(part: PartRecord) -> str:
    return xml.element(
        "Part",
        xml.text("PartNumber", part.number),
        xml.text("LastModified", xml.timestamp(part.modified)),
        xml.text("ETag", f'"{part.etag}"'),
        xml.text("HashCrc64ecma", part.crc64),
        xml.text("Size", part.size),
    )


def _upload(upload: UploadRecord, encoding: str) -> str:
    return xml.element(
        "Upload",
        xml.name("Key", upload.key, encoding),
        xml.text("UploadId", upload.upload_id),
        xml.text("StorageClass", storage_class(upload.headers)),
        xml.text("Initiated", xml.timestamp(upload.initiated)),
    )


def _row_limit(request: Request, name: str, default: int = MAX_ROWS) -> int:
    limit = _number(request, name, default)
    if not 1 <= limit <= MAX_ROWS:
        raise OssError("InvalidArgument", ArgumentName=name, ArgumentValue=str(limit))
    return limit


def _number(request: Request, name: str, default: int) -> int:
    text = request.target.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise OssError("InvalidArgument", ArgumentName=name, ArgumentValue=text)
    return int(text)


def _encoding(request: Request) -> str:
    encoding = request.target.get("encoding-type")
    if encoding not in ("", "url"):
        raise OssError("InvalidArgument", ArgumentName="encoding-type", ArgumentValue=encoding)
    return encoding


def _boolean(value: object) -> str:
    return "true" if value else "false"
