"""What the store knows: objects, uploads and parts, one small value each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resumable.server.blobs import Segment


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """An object as HEAD describes it."""

    bucket: str
    key: str
    object_type: str
    etag: str
    crc64: int
    size: int
    modified: float
    content_md5: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and where its bytes are."""

    record: ObjectRecord
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """A multipart upload that was initiated and neither completed nor aborted."""

    upload_id: str
    bucket: str
    key: str
    initiated: float
    headers: Mapping[str, str]
    sequential: bool = False


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part that was received whole."""

    number: int
    blob: str
    size: int
    etag: str
    crc64: int
    modified: float
