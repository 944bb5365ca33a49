"""Each REST call as a pair: prepare the request, read the answer. No I/O.

A reader raises `ProtocolError` for an answer that OSS would not give, and `IntegrityError` for one
that does not fit the bytes that were sent.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from urllib.parse import unquote

from resumable.core.checkpoint import ETAG
from resumable.core.headers import CALLBACK, COMPLETE_ALL
from resumable.core.integrity import PartDigest
from resumable.core.plan import MAX_PARTS
from resumable.core.reconcile import ListedPart
from resumable.errors import IntegrityError, InvalidArgumentError, ProtocolError
from resumable.oss.endpoint import encode_path
from resumable.oss.messages import (
    CONTENT_LENGTH,
    CONTENT_MD5,
    CRC64,
    SERVER_ENCRYPTION,
    VERSION_ID,
    Answer,
    BytesPayload,
    Payload,
    Request,
)
from resumable.oss.results import (
    CopiedPart,
    InitiatedUpload,
    ListedUpload,
    ObjectHead,
    PartsPage,
    StoredObject,
    UploadedPart,
    UploadsPage,
)
from resumable.oss.xml import Document, UnreadableXmlError, complete_body, parse_number

_MD5_ETAG = re.compile(r"[0-9A-Fa-f]{32}")
_UPLOAD_ID = re.compile(r"[\x21-\x7e]{1,1024}")
COPY_SOURCE = "x-oss-copy-source"
COPY_SOURCE_RANGE = "x-oss-copy-source-range"
PAGE = 1000


def check_upload_id(upload_id: str) -> str:
    """Check that something can be an upload id: 1 to 1,024 printable characters without spaces.

    Raises:
        InvalidArgumentError: it cannot.
    """
    return _checked_id(upload_id, "an upload id")


def check_version_id(version_id: str) -> str:
    """Check that something can be a version id, which is written like an upload id.

    Raises:
        InvalidArgumentError: it cannot.
    """
    return _checked_id(version_id, "a version id")


def initiate(key: str, headers: Mapping[str, str], *, sequential: bool = False) -> Request:
    """Prepare InitiateMultipartUpload."""
    query = {"uploads": "", "encoding-type": "url"} | ({"sequential": ""} if sequential else {})
    return Request("InitiateMultipartUpload", "POST", key, query, headers, BytesPayload(b""))


def read_initiated(answer: Answer) -> InitiatedUpload:
    """Read the upload id."""
    upload_id = _document(answer, "InitiateMultipartUploadResult").text("UploadId")
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise ProtocolError("the answer has no usable upload id", request_id=answer.request_id)
    return InitiatedUpload(upload_id, answer.request_id, answer.server_time)


def upload_part(
    key: str, upload_id: str, number: int, data: Payload, headers: Mapping[str, str]
) -> Request:
    """Prepare UploadPart."""
    query = {"partNumber": str(number), "uploadId": check_upload_id(upload_id)}
    return Request("UploadPart", "PUT", key, query, headers, data)


def read_uploaded_part(answer: Answer, number: int, sent: PartDigest) -> UploadedPart:
    """Read a part's ETag, and hold CRC-64 and ETag against what was sent."""
    etag = _etag(answer)
    _check_digests(answer, etag, sent)
    return UploadedPart(number, sent.size, etag, sent.crc64, answer.request_id)


def upload_part_copy(
    key: str, upload_id: str, number: int, source: str, headers: Mapping[str, str]
) -> Request:
    """Prepare UploadPartCopy. The source is a value of `copy_source`."""
    query = {"partNumber": str(number), "uploadId": check_upload_id(upload_id)}
    return Request("UploadPartCopy", "PUT", key, query, {**headers, COPY_SOURCE: source})


def copy_source(bucket: str, key: str, version_id: str | None) -> str:
    """The value of `x-oss-copy-source`."""
    version = (
        f"?versionId={encode_path(check_version_id(version_id))}" if version_id is not None else ""
    )
    return f"/{bucket}/{encode_path(key)}{version}"


def read_copied_part(answer: Answer, number: int) -> CopiedPart:
    """Read the ETag of a part the server made of an object."""
    document = _document(answer, "CopyPartResult")
    etag = _checked_etag(answer, document.text("ETag"))
    modified = _timestamp(document.text("LastModified"))
    return CopiedPart(number, etag, _crc64(answer), modified, answer.request_id)


def list_parts(
    key: str, upload_id: str, *, max_parts: int, marker: int, headers: Mapping[str, str]
) -> Request:
    """Prepare one page of ListParts."""
    query = {
        "uploadId": check_upload_id(upload_id),
        "max-parts": str(max_parts),
        "part-number-marker": str(marker),
        "encoding-type": "url",
    }
    return Request("ListParts", "GET", key, query, headers)


def read_parts_page(answer: Answer, marker: int) -> PartsPage:
    """Read a page. Its parts must ascend from the marker on, or paging could run in circles."""
    document = _document(answer, "ListPartsResult")
    try:
        parts = tuple(_listed_part(part, answer) for part in document.children("Part"))
        last = parts[-1].number if parts else marker
        next_marker = document.number("NextPartNumberMarker", default=last)
    except UnreadableXmlError as error:
        raise ProtocolError(f"ListParts: {error}", request_id=answer.request_id) from None
    numbers = [marker, *(part.number for part in parts)]
    ascending = all(a < b for a, b in pairwise(numbers))
    truncated = document.flag("IsTruncated")
    goes_on = not truncated or max(last, marker + 1) <= next_marker <= MAX_PARTS
    if not ascending or last > MAX_PARTS or not goes_on:
        raise ProtocolError("ListParts: the parts do not ascend", request_id=answer.request_id)
    storage_class = document.text("StorageClass")
    return PartsPage(
        parts, truncated, next_marker, storage_class, answer.request_id, answer.server_time
    )


def list_multipart_uploads(
    *,
    prefix: str,
    delimiter: str,
    key_marker: str,
    upload_id_marker: str,
    max_uploads: int,
    headers: Mapping[str, str],
) -> Request:
    """Prepare one page of ListMultipartUploads."""
    wishes = {
        "prefix": prefix,
        "delimiter": delimiter,
        "key-marker": key_marker,
        "upload-id-marker": upload_id_marker,
    }
    query = {"uploads": "", "max-uploads": str(max_uploads), "encoding-type": "url"}
    query |= {name: value for name, value in wishes.items() if value}
    return Request("ListMultipartUploads", "GET", None, query, headers)


def read_uploads_page(answer: Answer, marker: tuple[str, str]) -> UploadsPage:
    """Read a page. The next one must begin after this one's marker (key and upload id)."""
    document = _document(answer, "ListMultipartUploadsResult")
    encoded = document.text("EncodingType").strip().lower() == "url"

    def name(of: Document, tag: str) -> str:
        text = of.text(tag)
        return unquote(text, errors="strict") if encoded else text

    try:
        uploads = tuple(
            ListedUpload(
                name(row, "Key"),
                row.required("UploadId"),
                _timestamp(row.text("Initiated")),
                row.text("StorageClass"),
            )
            for row in document.children("Upload")
        )
        prefixes = tuple(name(row, "Prefix") for row in document.children("CommonPrefixes"))
        next_marker = name(document, "NextKeyMarker"), document.text("NextUploadIdMarker")
    except (UnreadableXmlError, UnicodeDecodeError) as error:
        raise ProtocolError(
            f"ListMultipartUploads: {error}", request_id=answer.request_id
        ) from None
    truncated = document.flag("IsTruncated")
    if truncated and not _goes_on(marker, next_marker):
        raise ProtocolError(
            "ListMultipartUploads: the next page does not go on", request_id=answer.request_id
        )
    return UploadsPage(
        uploads, prefixes, truncated, *next_marker, answer.request_id, answer.server_time
    )


def _goes_on(marker: tuple[str, str], following: tuple[str, str]) -> bool:
    # A key alone as a marker stands for all of its uploads.
    before, after = marker[0].encode(), following[0].encode()
    return after > before or (after == before and following[1] > marker[1] != "")


def complete(
    key: str,
    upload_id: str,
    parts: Iterable[tuple[int, str]] | None,
    headers: Mapping[str, str],
) -> Request:
    """Prepare CompleteMultipartUpload from part numbers and ETags; None means all there are."""
    body = BytesPayload(b"" if parts is None else complete_body(sorted(parts)))
    query = {"uploadId": check_upload_id(upload_id), "encoding-type": "url"}
    if parts is None:
        headers = {**headers, COMPLETE_ALL: "yes"}
    return Request("CompleteMultipartUpload", "POST", key, query, headers, body)


def read_completed(answer: Answer, headers: Mapping[str, str]) -> StoredObject:
    """Read the new object's ETag and CRC-64.

    With a callback among the request's headers the body is what the caller's server answered.
    """
    if CALLBACK in {name.lower() for name in headers}:
        return _stored(answer, _etag(answer), callback_body=answer.body)
    document = _document(answer, "CompleteMultipartUploadResult")
    return _stored(answer, document.text("ETag").strip('"'))


def abort(key: str, upload_id: str, headers: Mapping[str, str]) -> Request:
    """Prepare AbortMultipartUpload."""
    return Request(
        "AbortMultipartUpload", "DELETE", key, {"uploadId": check_upload_id(upload_id)}, headers
    )


def put(key: str, data: Payload, headers: Mapping[str, str]) -> Request:
    """Prepare PutObject."""
    return Request("PutObject", "PUT", key, {}, headers, data)


def read_put(answer: Answer, sent: PartDigest, headers: Mapping[str, str]) -> StoredObject:
    """Read the new object's ETag and CRC-64, and hold them against what was sent."""
    etag = _etag(answer)
    _check_digests(answer, etag, sent)
    called = CALLBACK in {name.lower() for name in headers}
    return _stored(answer, etag, callback_body=answer.body if called else None)


def head(key: str, version_id: str | None, headers: Mapping[str, str]) -> Request:
    """Prepare HeadObject."""
    return Request("HeadObject", "HEAD", key, _version(version_id), headers)


def get(key: str, version_id: str | None, headers: Mapping[str, str]) -> Request:
    """Prepare GetObject."""
    return Request("GetObject", "GET", key, _version(version_id), headers)


def read_head(answer: Answer) -> ObjectHead:
    """Read what HEAD or GET tells of an object in its headers."""
    try:
        size = parse_number(answer.headers.get(CONTENT_LENGTH, ""), CONTENT_LENGTH)
    except UnreadableXmlError as error:
        raise ProtocolError(str(error), request_id=answer.request_id) from None
    return ObjectHead(
        size,
        answer.headers.get("etag", "").strip('"'),
        _crc64(answer),
        answer.headers.get(VERSION_ID),
        answer.request_id,
        answer.headers,
    )


def delete(key: str, version_id: str | None, headers: Mapping[str, str]) -> Request:
    """Prepare DeleteObject."""
    return Request("DeleteObject", "DELETE", key, _version(version_id), headers)


def content_md5(md5: bytes) -> dict[str, str]:
    """The header that lets the server refuse a body damaged on its way."""
    return {CONTENT_MD5: b64encode(md5).decode()}


def _checked_id(text: str, what: str) -> str:
    if not isinstance(text, str) or not _UPLOAD_ID.fullmatch(text):
        raise InvalidArgumentError(f"{text!r} is not {what}")
    return text


def _version(version_id: str | None) -> dict[str, str]:
    return {} if version_id is None else {"versionId": check_version_id(version_id)}


def _document(answer: Answer, root: str) -> Document:
    try:
        return Document.parse(answer.body, root)
    except UnreadableXmlError as error:
        raise ProtocolError(
            f"the answer is not a {root}: {error}", request_id=answer.request_id
        ) from None


def _listed_part(part: Document, answer: Answer) -> ListedPart:
    crc = part.text("HashCrc64ecma").strip()
    return ListedPart(
        number=part.number("PartNumber"),
        size=part.number("Size"),
        etag=_checked_etag(answer, part.required("ETag")),
        crc64=parse_number(crc, "HashCrc64ecma") if crc else None,
        last_modified=_timestamp(part.text("LastModified")),
    )


def _timestamp(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _etag(answer: Answer) -> str:
    return _checked_etag(answer, answer.headers.get("etag", ""))


def _checked_etag(answer: Answer, text: str) -> str:
    etag = text.strip().removeprefix("W/").strip('"')
    if not re.fullmatch(ETAG, etag):
        raise ProtocolError("the answer has no usable ETag", request_id=answer.request_id)
    return etag


def _crc64(answer: Answer) -> int | None:
    text = answer.headers.get(CRC64, "").strip()
    try:
        return parse_number(text, CRC64) if text else None
    except UnreadableXmlError as error:
        raise ProtocolError(str(error), request_id=answer.request_id) from None


def _stored(answer: Answer, etag: str, *, callback_body: bytes | None = None) -> StoredObject:
    version_id = answer.headers.get(VERSION_ID)
    return StoredObject(etag, _crc64(answer), version_id, answer.request_id, callback_body)


def _check_digests(answer: Answer, etag: str, sent: PartDigest) -> None:
    crc = _crc64(answer)
    # Under server-side encryption an ETag need not be the MD5 of what was sent.
    tells_md5 = _MD5_ETAG.fullmatch(etag) and SERVER_ENCRYPTION not in answer.headers
    md5 = sent.md5.hex() if sent.md5 is not None and tells_md5 else None
    wrong_crc = crc is not None and crc != sent.crc64
    wrong_etag = md5 is not None and md5 != etag.lower()
    if wrong_crc or wrong_etag:
        raise IntegrityError(
            f"the server's {'CRC-64' if wrong_crc else 'ETag'} is not that of the bytes sent",
            request_id=answer.request_id,
        )
    # An ETag that is no MD5 says nothing, but the server has taken the bytes under their MD5.
    if crc is None and sent.md5 is None:
        error = IntegrityError(
            "the answer has neither a CRC-64 nor an MD5 to check the bytes by",
            request_id=answer.request_id,
            advice="Give content_md5=True: at this server only the MD5 can vouch for the bytes",
        )
        error.fault, error.retryable = "server", False
        raise error
