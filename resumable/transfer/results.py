"""What a transfer returns."""

from dataclasses import dataclass
from typing import Literal

from resumable.oss.results import StoredObject

Verified = Literal["crc64", "parts"]


@dataclass(frozen=True, slots=True)
class VerifiedObject:
    """An object that was made and is the file: its CRC-64 here, and what vouches for it there."""

    stored: StoredObject
    crc64: int
    verified: Verified


@dataclass(frozen=True, slots=True)
class UploadResult:
    """An upload that is complete and verified.

    Attributes:
        bucket: The bucket's name.
        key: The object's key.
        etag: The object's ETag, without quotes.
        crc64: CRC-64 of the content as it was read here.
        size: Bytes.
        part_size: Bytes of each part but the last; it may differ from the one asked for, where
            an earlier run had begun with another or the file needs larger ones.
        parts_total: How many parts the object was made of.
        parts_reused: How many of them an earlier run had brought to the server.
        bytes_sent: Bytes that this run brought to the server.
        bytes_reused: Bytes of the parts reused; with bytes_sent it adds up to size.
        resumed: Whether this run took an earlier one up.
        request_id: Of the request that made the object, or of the HEAD that found it made.
        version_id: The object's version, in a bucket that keeps versions.
        elapsed: Seconds this run took.
        callback_body: What your server answered to the callback; None if there was none, or if
            OSS's answer was lost and only the object was found.
        verified: What the object as a whole was verified by. `crc64`: the server's CRC-64 of it is
            the one above. `parts`: the server tells none, but it took each part under its MD5, and
            the object has the size and the number of parts of the file.
    """

    bucket: str
    key: str
    etag: str
    crc64: int
    size: int
    part_size: int
    parts_total: int
    parts_reused: int
    bytes_sent: int
    bytes_reused: int
    resumed: bool
    request_id: str
    version_id: str | None
    elapsed: float
    callback_body: bytes | None = None
    verified: Verified = "crc64"
