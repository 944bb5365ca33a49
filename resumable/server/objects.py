"""Operations on buckets and whole objects."""

from __future__ import annotations

import time
from collections.abc import Mapping

from resumable.server import xml
from resumable.server.blobs import PinnedContent, Segment, StoredBytes
from resumable.server.conditions import NotModifiedError, check_read, requested_range
from resumable.server.errors import OssError
from resumable.server.messages import Answer, Request, http_date
from resumable.server.metadata import (
    ACL,
    STANDARD,
    STORAGE_CLASS,
    TAGGING,
    encryption_headers,
    kept_headers,
    parse_tags,
)
from resumable.server.records import ObjectRecord, StoredObject
from resumable.server.rows import Precondition
from resumable.server.store import Store
from resumable.server.uploads import forbid_overwrite, receive

# Kept with the object, but told by operations of their own.
_NOT_SHOWN = frozenset({ACL, TAGGING})
_OVERRIDES = (
    "content-type",
    "content-language",
    "expires",
    "cache-control",
    "content-disposition",
    "content-encoding",
)


def put_object(request: Request, store: Store) -> Answer:
    """Receive an object whole."""
    kept = kept_headers(request)
    may_replace = forbid_overwrite(request)
    may_replace(store.find_object(request.bucket, request.key))
    stored = receive(request, store.blobs)
    record = put_whole(request, store, stored, kept, may_replace)
    headers = {"Content-MD5": record.content_md5, **stored_headers(record)}
    return Answer(headers=headers, stored=record)


def put_whole(
    request: Request,
    store: Store,
    stored: StoredBytes,
    headers: Mapping[str, str],
    may_replace: Precondition,
) -> ObjectRecord:
    """Make the object that a request names of one blob, or discard the blob.

    Raises:
        OssError: what `may_replace` says against it.
    """
    digest = stored.digest
    record = ObjectRecord(
        bucket=request.bucket,
        key=request.key,
        object_type="Normal",
        etag=digest.etag,
        crc64=digest.crc64,
        size=digest.size,
        modified=time.time(),
        content_md5=digest.content_md5,
        headers=headers,
    )
    try:
        segments = (Segment(stored.blob, digest.size),)
        store.put_object(StoredObject(record, segments), may_replace)
    except OssError:
        store.blobs.discard([stored.blob])
        raise
    return record


def stored_headers(record: ObjectRecord) -> dict[str, str]:
    """Return what the answer says of an object that was just stored."""
    return {
        "ETag": f'"{record.etag}"',
        "x-oss-hash-crc64ecma": str(record.crc64),
        **encryption_headers(record.headers),
    }


def head_object(request: Request, store: Store) -> Answer:
    """Describe an object."""
    check_version(request.target.get("versionId"))
    record = find_object(store, request.bucket, request.key)
    try:
        check_read(request.header, record)
    except NotModifiedError:
        return _not_modified(record)
    return Answer(headers=_describe(record) | {"Content-Length": str(record.size)})


def get_object(request: Request, store: Store) -> Answer:
    """Send an object or a stretch of it."""
    check_version(request.target.get("versionId"))
    record, content = open_object(store, request.bucket, request.key)
    try:
        check_read(request.header, record)
        wanted = requested_range(request.headers, record.size)
    except NotModifiedError:
        content.close()
        return _not_modified(record)
    except OssError:
        content.close()
        raise
    headers = _describe(record) | _overridden(request)
    if wanted is None:
        return Answer(headers=headers, content=content)
    content.narrow(wanted.first, wanted.length)
    return Answer(206, headers | {"Content-Range": wanted.content_range}, content=content)


def delete_object(request: Request, store: Store) -> Answer:
    """Remove an object; one that is not there is no error."""
    store.check_bucket(request.bucket)
    store.delete_object(request.bucket, request.key)
    return Answer(204)


def get_object_acl(request: Request, store: Store) -> Answer:
    """Tell the access control an object was given."""
    record = find_object(store, request.bucket, request.key)
    grant = xml.text("Grant", record.headers.get(ACL, "default"))
    owner = xml.element("Owner", xml.text("ID", "0"), xml.text("DisplayName", "0"))
    children = [owner, xml.element("AccessControlList", grant)]
    return xml_answer("AccessControlPolicy", children)


def get_object_tagging(request: Request, store: Store) -> Answer:
    """Tell the tags an object was given."""
    record = find_object(store, request.bucket, request.key)
    tags = [
        xml.element("Tag", xml.text("Key", name), xml.text("Value", value))
        for name, value in _tags(record)
    ]
    return xml_answer("Tagging", [xml.element("TagSet", *tags)])


def put_bucket(request: Request, store: Store) -> Answer:
    """Make a bucket; buckets also come into being with their first upload."""
    store.create_bucket(request.bucket)
    return Answer(headers={"Location": f"/{request.bucket}"})


def get_bucket_location(request: Request, store: Store) -> Answer:
    """Tell where a bucket is."""
    store.check_bucket(request.bucket)
    body = xml.document("LocationConstraint", [f"oss-{request.region}"])
    return Answer(headers={"Content-Type": "application/xml"}, body=body)


def find_object(store: Store, bucket: str, key: str) -> ObjectRecord:
    """Return an object's record.

    Raises:
        OssError: NoSuchBucket or NoSuchKey.
    """
    record = store.find_object(bucket, key)
    if record is None:
        store.check_bucket(bucket)
        raise OssError("NoSuchKey", Key=key)
    return record


def open_object(store: Store, bucket: str, key: str) -> tuple[ObjectRecord, PinnedContent]:
    """Return an object's record and its bytes, which the caller closes.

    Raises:
        OssError: NoSuchBucket or NoSuchKey.
    """
    found = store.read_object(bucket, key)
    if found is None:
        find_object(store, bucket, key)
        raise OssError("NoSuchKey", Key=key)
    return found


def check_version(version_id: str) -> None:
    """Check that a version is wanted that can be there: objects have only one, called null.

    Raises:
        OssError: NoSuchVersion.
    """
    if version_id not in ("", "null"):
        raise OssError("NoSuchVersion", VersionId=version_id)


def xml_answer(root: str, children: list[str]) -> Answer:
    """Return an answer that is a document."""
    body = xml.document(root, children)
    return Answer(headers={"Content-Type": "application/xml"}, body=body)


def _tags(record: ObjectRecord) -> list[tuple[str, str]]:
    return parse_tags(record.headers.get(TAGGING, ""))


def _describe(record: ObjectRecord) -> dict[str, str]:
    headers = {
        "ETag": f'"{record.etag}"',
        "Last-Modified": http_date(record.modified),
        "Accept-Ranges": "bytes",
        "x-oss-object-type": record.object_type,
        "x-oss-hash-crc64ecma": str(record.crc64),
        STORAGE_CLASS: STANDARD,
    }
    if record.content_md5:
        headers["Content-MD5"] = record.content_md5
    if tags := _tags(record):
        headers["x-oss-tagging-count"] = str(len(tags))
    shown = {name: value for name, value in record.headers.items() if name not in _NOT_SHOWN}
    return headers | {_spelled(name): value for name, value in shown.items()}


def _spelled(name: str) -> str:
    return name if name.startswith("x-oss-") else name.title()


def _overridden(request: Request) -> dict[str, str]:
    return {
        _spelled(name): request.target.get(f"response-{name}")
        for name in _OVERRIDES
        if request.target.has(f"response-{name}")
    }


def _not_modified(record: ObjectRecord) -> Answer:
    etag = {"ETag": f'"{record.etag}"', "Last-Modified": http_date(record.modified)}
    return Answer(304, etag, code="NotModified")
