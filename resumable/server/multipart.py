"""Operations on multipart uploads and their parts."""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote, unquote_to_bytes

from resumable.server import xml
from resumable.server.blobs import Segment, StoredBytes
from resumable.server.checksums import combine_crc64, multipart_etag
from resumable.server.conditions import NotModifiedError, check_read, copied_range
from resumable.server.errors import OssError
from resumable.server.messages import Answer, Request
from resumable.server.objects import open_object, xml_answer
from resumable.server.records import ObjectRecord, PartRecord, StoredObject, UploadRecord
from resumable.server.store import Store
from resumable.server.uploads import (
    encryption_headers,
    forbid_overwrite,
    kept_headers,
    read_small,
    receive,
)

MAX_PARTS = 10_000
MIN_PART_SIZE = 100 * 1024
MAX_COMPLETE_BODY = 2 * 1024 * 1024

_COPY_SOURCE = re.compile(r"/?([^/]+)/([^?]+)(?:\?versionId=.*)?", re.DOTALL)


def initiate(request: Request, store: Store) -> Answer:
    """Begin an upload; the object's headers belong to it from now on."""
    forbid_overwrite(request)(store.find_object(request.bucket, request.key))
    upload = UploadRecord(
        upload_id=secrets.token_hex(16).upper(),
        bucket=request.bucket,
        key=request.key,
        initiated=time.time(),
        headers=kept_headers(request),
    )
    store.add_upload(upload)
    children = [*_named(request), xml.text("UploadId", upload.upload_id)]
    answer = xml_answer("InitiateMultipartUploadResult", children)
    return Answer(
        headers={**answer.headers, **encryption_headers(upload.headers)}, body=answer.body
    )


def upload_part(request: Request, store: Store) -> Answer:
    """Receive a part; one with the same number is replaced."""
    number = part_number(request.target.get("partNumber"))
    upload = _find_upload(request, store)
    stored = receive(request, store.blobs)
    _record_part(store, upload, number, stored)
    digest = stored.digest
    return Answer(
        headers={
            "ETag": f'"{digest.etag}"',
            "Content-MD5": digest.content_md5,
            "x-oss-hash-crc64ecma": str(digest.crc64),
            **encryption_headers(upload.headers),
        }
    )


def upload_part_copy(request: Request, store: Store) -> Answer:
    """Make a part of a stretch of an object that is already here."""
    number = part_number(request.target.get("partNumber"))
    upload = _find_upload(request, store)
    record, content = open_object(store, *_copy_source(request))
    try:
        _check_copy(request, record)
        if text := request.header("x-oss-copy-source-range"):
            wanted = copied_range(text, record.size)
            content.narrow(wanted.first, wanted.length)
        stored = store.blobs.write(content.blocks())
    finally:
        content.close()
    part = _record_part(store, upload, number, stored)
    answer = xml_answer(
        "CopyPartResult",
        [
            xml.text("LastModified", xml.timestamp(part.modified)),
            xml.text("ETag", f'"{part.etag}"'),
        ],
    )
    crc = {"x-oss-hash-crc64ecma": str(part.crc64)}
    return Answer(headers={**answer.headers, **crc}, body=answer.body)


def complete(request: Request, store: Store) -> Answer:
    """Make the object of the parts that were listed, or of all of them."""
    body = read_small(request, MAX_COMPLETE_BODY)
    complete_all = request.header("x-oss-complete-all").lower() == "yes"
    if complete_all and body:
        raise OssError("InvalidArgument", ArgumentName="x-oss-complete-all")
    wanted = None if complete_all else xml.parse_part_list(body)
    upload = store.get_upload(request.bucket, request.key, request.upload_id)
    stored = store.complete_upload(
        upload, _assembler(request, upload, wanted), forbid_overwrite(request)
    )
    record = stored.record
    etag = f'"{record.etag}"'
    location = f"http://{request.host}/{quote(f'{request.bucket}/{request.key}')}"
    answer = xml_answer(
        "CompleteMultipartUploadResult",
        [xml.text("Location", location), *_named(request), xml.text("ETag", etag)],
    )
    headers = {
        **answer.headers,
        "ETag": etag,
        "x-oss-hash-crc64ecma": str(record.crc64),
        **encryption_headers(record.headers),
    }
    return Answer(headers=headers, body=answer.body)


def abort(request: Request, store: Store) -> Answer:
    """Give an upload up."""
    store.abort_upload(request.bucket, request.key, request.upload_id)
    return Answer(204)


def part_number(text: str) -> int:
    """Return a part number.

    Raises:
        OssError: InvalidArgument unless it is one of 1 to 10,000.
    """
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 1 <= number <= MAX_PARTS:
        raise OssError(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive.",
            ArgumentName="partNumber",
            ArgumentValue=text,
        )
    return number


def _named(request: Request) -> Iterator[str]:
    encoding = request.target.get("encoding-type")
    if encoding:
        yield xml.text("EncodingType", encoding)
    yield xml.text("Bucket", request.bucket)
    yield xml.text("Key", xml.quoted_if(encoding, request.key))


def _find_upload(request: Request, store: Store) -> UploadRecord:
    return store.get_upload(request.bucket, request.key, request.upload_id)


def _record_part(
    store: Store, upload: UploadRecord, number: int, stored: StoredBytes
) -> PartRecord:
    digest = stored.digest
    part = PartRecord(number, stored.blob, digest.size, digest.etag, digest.crc64, time.time())
    try:
        store.put_part(upload, part)
    except OssError:
        store.blobs.discard([stored.blob])
        raise
    return part


def _copy_source(request: Request) -> tuple[str, str]:
    match = _COPY_SOURCE.fullmatch(request.header("x-oss-copy-source"))
    try:
        if match is not None:
            return unquote(match[1]), unquote_to_bytes(match[2]).decode("utf-8")
    except UnicodeError:
        # Neither the name of a bucket nor of a key.
        pass
    raise OssError("InvalidArgument", ArgumentName="x-oss-copy-source")


def _check_copy(request: Request, record: ObjectRecord) -> None:
    try:
        check_read(lambda name: request.header(f"x-oss-copy-source-{name}"), record)
    except NotModifiedError as problem:
        raise OssError("PreconditionFailed", Condition="x-oss-copy-source") from problem


def _assembler(
    request: Request, upload: UploadRecord, wanted: list[tuple[int, str]] | None
) -> Callable[[list[PartRecord]], StoredObject]:
    acl = {name: value for name, value in request.headers.items() if name == "x-oss-object-acl"}

    def assemble(parts: list[PartRecord]) -> StoredObject:
        chosen = parts if wanted is None else _choose(parts, wanted)
        _check_sizes(chosen)
        record = ObjectRecord(
            bucket=upload.bucket,
            key=upload.key,
            object_type="Multipart",
            etag=multipart_etag([part.etag for part in chosen]),
            crc64=combine_crc64((part.crc64, part.size) for part in chosen),
            size=sum(part.size for part in chosen),
            modified=time.time(),
            content_md5="",
            headers={**upload.headers, **acl},
        )
        return StoredObject(record, tuple(Segment(part.blob, part.size) for part in chosen))

    return assemble


def _choose(parts: list[PartRecord], wanted: list[tuple[int, str]]) -> list[PartRecord]:
    numbers = [number for number, _ in wanted]
    if any(not 1 <= number <= MAX_PARTS for number in numbers):
        raise OssError("InvalidArgument", ArgumentName="PartNumber")
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise OssError("InvalidPartOrder")
    known = {part.number: part for part in parts}
    chosen = []
    for number, etag in wanted:
        part = known.get(number)
        if part is None or part.etag != etag.upper():
            raise OssError("InvalidPart", PartNumber=str(number), ETag=etag)
        chosen.append(part)
    return chosen


def _check_sizes(parts: list[PartRecord]) -> None:
    if not parts:
        raise OssError("InvalidPart", "The upload has no parts.")
    for part in parts[:-1]:
        if part.size < MIN_PART_SIZE:
            raise OssError(
                "EntityTooSmall",
                PartNumber=str(part.number),
                ProposedSize=str(part.size),
                MinSizeAllowed=str(MIN_PART_SIZE),
            )
