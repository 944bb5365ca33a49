"""What the calls of `Bucket` return: one frozen value per answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from resumable.core.reconcile import ListedPart


@dataclass(frozen=True, slots=True)
class InitiatedUpload:
    """A multipart upload has begun; its parts and its end are addressed by `upload_id`."""

    upload_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part the server has acknowledged, with the CRC-64 of the bytes that were sent."""

    number: int
    size: int
    etag: str
    crc64: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that now stands under its key, from PutObject or Complete.

    `crc64` is the server's, or None where the answer had none.
    """

    etag: str
    crc64: int | None
    version_id: str | None
    request_id: str


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What HEAD tells of an object. Header names are in lower case."""

    size: int
    etag: str
    crc64: int | None
    version_id: str | None
    request_id: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PartsPage:
    """One page of ListParts. Where `is_truncated`, go on after `next_marker`."""

    parts: tuple[ListedPart, ...]
    is_truncated: bool
    next_marker: int
    request_id: str
