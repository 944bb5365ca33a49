"""What the calls of `Bucket` return: one frozen value per answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from resumable.core.headers import META_PREFIX
from resumable.core.reconcile import ListedPart
from resumable.oss.messages import seconds_since_epoch


@dataclass(frozen=True, slots=True)
class InitiatedUpload:
    """A multipart upload has begun; its parts and its end are addressed by `upload_id`.

    `server_time` is the server's clock at the answer (seconds since the epoch); None if it does
    not tell.
    """

    upload_id: str
    request_id: str
    server_time: float | None = None


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part the server has acknowledged, with the CRC-64 of the bytes that were sent."""

    number: int
    size: int
    etag: str
    crc64: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A part the server made of an object it has (UploadPartCopy).

    `crc64` is the server's, or None where the answer had none.
    """

    number: int
    etag: str
    crc64: int | None
    last_modified: datetime | None
    request_id: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that now stands under its key, from PutObject or Complete.

    `crc64` is the server's, or None where the answer had none. `callback_body` is what your
    server answered to the callback; None if there was none, or if the answer was lost and only
    the object was found.
    """

    etag: str
    crc64: int | None
    version_id: str | None
    request_id: str
    callback_body: bytes | None = None


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What HEAD tells of an object. Header names are in lower case."""

    size: int
    etag: str
    crc64: int | None
    version_id: str | None
    request_id: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def age(self) -> float | None:
        """Seconds since it was last modified, by the server's clock, give or take one."""
        now = seconds_since_epoch(self.headers.get("date", ""))
        then = seconds_since_epoch(self.headers.get("last-modified", ""))
        return None if now is None or then is None else now - then

    @property
    def last_modified(self) -> float | None:
        """Seconds since the epoch by the server's clock, whole; None if it does not tell."""
        return seconds_since_epoch(self.headers.get("last-modified", ""))

    @property
    def server_time(self) -> float | None:
        """The server's clock at the answer (seconds since the epoch), if it tells."""
        return seconds_since_epoch(self.headers.get("date", ""))

    @property
    def metadata(self) -> dict[str, str]:
        """The user's metadata: the `x-oss-meta-` headers, by name without that prefix."""
        return {
            name.removeprefix(META_PREFIX): value
            for name, value in self.headers.items()
            if name.startswith(META_PREFIX)
        }


@dataclass(frozen=True, slots=True)
class PartsPage:
    """One page of ListParts. Where `is_truncated`, the next begins after `next_marker`.

    `server_time` is the server's clock at the answer (seconds since the epoch); None if it does
    not tell.
    """

    parts: tuple[ListedPart, ...]
    is_truncated: bool
    next_marker: int
    storage_class: str
    request_id: str
    server_time: float | None = None


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    initiated: datetime | None
    storage_class: str


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """One page of ListMultipartUploads.

    Where `is_truncated`, go on with `next_key_marker` and `next_upload_id_marker`. With a
    delimiter, the keys that hold it behind the prefix are told by their `common_prefixes` alone.
    `server_time` is the server's clock at the answer (seconds since the epoch), to judge the age
    of uploads by; None if it does not tell.
    """

    uploads: tuple[ListedUpload, ...]
    common_prefixes: tuple[str, ...]
    is_truncated: bool
    next_key_marker: str
    next_upload_id_marker: str
    request_id: str
    server_time: float | None = None
