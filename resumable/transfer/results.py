"""What a transfer returns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UploadResult:
    """An upload that is complete and verified: the object's CRC-64 is that of the local file.

    Attributes:
        bucket: The bucket's name.
        key: The object's key.
        etag: The object's ETag, without quotes.
        crc64: CRC-64 of the content, the same here and at the server.
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
