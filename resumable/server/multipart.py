"""Operations on multipart uploads and their parts."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from resumable.server import xml
from resumable.server.blobs import PinnedContent, Segment, StoredBytes
from resumable.server.checksums import Digester, combine_crc64, multipart_etag
from resumable.server.errors import OssError
from resumable.server.messages import Answer, Request
from resumable.server.metadata import acl_header, encryption_headers, kept_headers
from resumable.server.objects import stored_headers, xml_answer
from resumable.server.records import ObjectRecord, PartRecord, StoredObject, UploadRecord
from resumable.server.store import Store
from resumable.server.uploads import forbid_overwrite, read_small, receive

MAX_PARTS = 10_000
MIN_PART_SIZE = 100 * 1024
MAX_COMPLETE_BODY = 2 * 1024 * 1024


def initiate(request: Request, store: Store) -> Answer:
    """Begin an upload; the object's headers belong to it from now on."""
    forbid_overwrite(request)(store.find_object(request.bucket, request.key))
    upload = UploadRecord(
        upload_id=secrets.token_hex(16).upper(),
        bucket=request.bucket,
        key=request.key,
        initiated=time.time(),
        headers=kept_headers(request),
        sequential=request.target.has("sequential"),
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
    upload = store.get_upload(request.bucket, request.key, request.upload_id)
    stored = receive(request, store.blobs)
    record_part(store, upload, number, stored)
    digest = stored.digest
    return Answer(
        headers={
            "ETag": f'"{digest.etag}"',
            "Content-MD5": digest.content_md5,
            "x-oss-hash-crc64ecma": str(digest.crc64),
            **encryption_headers(upload.headers),
        }
    )


def complete(request: Request, store: Store) -> Answer:
    """Make the object of the parts that were listed, or of all of them."""
    body = read_small(request, MAX_COMPLETE_BODY)
    complete_all = request.header("x-oss-complete-all").lower() == "yes"
    if complete_all and body:
        raise OssError("InvalidArgument", ArgumentName="x-oss-complete-all")
    wanted = None if complete_all else xml.parse_part_list(body)
    acl = acl_header(request)
    upload = store.get_upload(request.bucket, request.key, request.upload_id)
    stored = store.complete_upload(
        upload, _assembler(store, upload, acl, wanted), forbid_overwrite(request)
    )
    record = stored.record
    location = f"http://{request.host}/{quote(f'{request.bucket}/{request.key}')}"
    answer = xml_answer(
        "CompleteMultipartUploadResult",
        [xml.text("Location", location), *_named(request), xml.text("ETag", f'"{record.etag}"')],
    )
    headers = {**answer.headers, **stored_headers(record)}
    return Answer(headers=headers, body=answer.body, stored=record)


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


def record_part(store: Store, upload: UploadRecord, number: int, stored: StoredBytes) -> PartRecord:
    """Make a part of a blob, or discard the blob.

    Raises:
        OssError: NoSuchUpload or PartNotSequential.
    """
    digest = stored.digest
    part = PartRecord(number, stored.blob, digest.size, digest.etag, digest.crc64, time.time())
    try:
        store.put_part(upload, part)
    except OssError:
        store.blobs.discard([stored.blob])
        raise
    return part


def _named(request: Request) -> Iterator[str]:
    encoding = request.target.get("encoding-type")
    if encoding:
        yield xml.text("EncodingType", encoding)
    yield xml.text("Bucket", request.bucket)
    yield xml.name("Key", request.key, encoding)


def _assembler(
    store: Store,
    upload: UploadRecord,
    acl: Mapping[str, str],
    wanted: list[tuple[int, str]] | None,
) -> Callable[[list[PartRecord]], StoredObject]:
    def assemble(parts: list[PartRecord]) -> StoredObject:
        chosen = parts if wanted is None else _choose(parts, wanted)
        _check_sizes(chosen)
        segments = tuple(Segment(part.blob, part.size) for part in chosen)
        record = ObjectRecord(
            bucket=upload.bucket,
            key=upload.key,
            object_type="Multipart",
            etag=multipart_etag([part.etag for part in chosen]),
            crc64=combine_crc64((part.crc64, part.size) for part in chosen),
            size=sum(part.size for part in chosen),
            modified=time.time(),
            content_md5=_whole_md5(store, segments) if upload.sequential else "",
            headers={**upload.headers, **acl},
        )
        return StoredObject(record, segments)

    return assemble


def _whole_md5(store: Store, segments: tuple[Segment, ...]) -> str:
    content, digester = PinnedContent(store.blobs, segments), Digester()
    try:
        for block in content.blocks():
            digester.update(block)
    finally:
        content.close()
    return digester.digest().content_md5


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
