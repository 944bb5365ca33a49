"""The two paged lists: parts of an upload, and uploads of a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from resumable.server import xml
from resumable.server.errors import OssError
from resumable.server.messages import Answer, Request
from resumable.server.objects import xml_answer
from resumable.server.records import PartRecord, UploadRecord
from resumable.server.store import Store

MAX_ROWS = 1000


def list_parts(request: Request, store: Store) -> Answer:
    """List the parts of an upload, a page at a time."""
    upload = store.get_upload(request.bucket, request.key, request.upload_id)
    limit = _row_limit(request, "max-parts")
    marker = _number(request, "part-number-marker", 0)
    found = store.list_parts(upload, marker, limit + 1)
    page = found[:limit]
    encoding = _encoding(request)
    children = [
        *([xml.text("EncodingType", encoding)] if encoding else []),
        xml.text("Bucket", request.bucket),
        xml.text("Key", xml.quoted_if(encoding, request.key)),
        xml.text("UploadId", upload.upload_id),
        xml.text("StorageClass", upload.headers.get("x-oss-storage-class", "Standard")),
        xml.text("PartNumberMarker", marker),
        xml.text("NextPartNumberMarker", page[-1].number if page else marker),
        xml.text("MaxParts", limit),
        xml.text("IsTruncated", _boolean(len(found) > limit)),
        *(_part(part) for part in page),
    ]
    return xml_answer("ListPartsResult", children)


def list_multipart_uploads(request: Request, store: Store) -> Answer:
    """List the uploads of a bucket that are neither completed nor aborted."""
    if not store.has_bucket(request.bucket):
        raise OssError("NoSuchBucket", BucketName=request.bucket)
    query = request.target
    limit = _row_limit(request, "max-uploads")
    encoding = _encoding(request)
    page = _upload_page(request, store.list_uploads(request.bucket, query.get("prefix")), limit)

    def name(tag: str, value: str) -> str:
        return xml.text(tag, xml.quoted_if(encoding, value))

    children = [
        *([xml.text("EncodingType", encoding)] if encoding else []),
        xml.text("Bucket", request.bucket),
        name("KeyMarker", query.get("key-marker")),
        xml.text("UploadIdMarker", query.get("upload-id-marker")),
        name("NextKeyMarker", page.last_key),
        xml.text("NextUploadIdMarker", page.last_upload_id),
        name("Delimiter", query.get("delimiter")),
        name("Prefix", query.get("prefix")),
        xml.text("MaxUploads", limit),
        xml.text("IsTruncated", _boolean(page.truncated)),
        *(_upload(upload, encoding) for upload in page.uploads),
        *(xml.element("CommonPrefixes", name("Prefix", prefix)) for prefix in page.prefixes),
    ]
    return xml_answer("ListMultipartUploadsResult", children)


@dataclass(slots=True)
class _Page:
    """A page of uploads while it is being gathered."""

    uploads: list[UploadRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last_key: str = ""
    last_upload_id: str = ""
    truncated: bool = False

    @property
    def rows(self) -> int:
        return len(self.uploads) + len(self.prefixes)


def _upload_page(request: Request, uploads: list[UploadRecord], limit: int) -> _Page:
    prefix, delimiter = request.target.get("prefix"), request.target.get("delimiter")
    page = _Page()
    for upload in _after_markers(request, uploads):
        common = _common_prefix(upload.key, prefix, delimiter)
        if common and (common in page.prefixes[-1:] or common == request.target.get("key-marker")):
            continue
        if page.rows >= limit:
            page.truncated = True
            break
        if common:
            page.prefixes.append(common)
            page.last_key, page.last_upload_id = common, ""
        else:
            page.uploads.append(upload)
            page.last_key, page.last_upload_id = upload.key, upload.upload_id
    return page


def _after_markers(request: Request, uploads: list[UploadRecord]) -> Iterator[UploadRecord]:
    key_marker = request.target.get("key-marker").encode()
    id_marker = request.target.get("upload-id-marker")
    for upload in uploads:
        key = upload.key.encode()
        if key > key_marker or (id_marker and key == key_marker and upload.upload_id > id_marker):
            yield upload


def _common_prefix(key: str, prefix: str, delimiter: str) -> str:
    if not delimiter:
        return ""
    at = key.find(delimiter, len(prefix))
    return "" if at < 0 else key[: at + len(delimiter)]


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
        xml.text("Key", xml.quoted_if(encoding, upload.key)),
        xml.text("UploadId", upload.upload_id),
        xml.text("StorageClass", upload.headers.get("x-oss-storage-class", "Standard")),
        xml.text("Initiated", xml.timestamp(upload.initiated)),
    )


def _row_limit(request: Request, name: str) -> int:
    limit = _number(request, name, MAX_ROWS)
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
