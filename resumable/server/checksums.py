"""CRC-64/XZ and MD5 as the service prints them.

The CRC library carries no types; this is the only module that touches it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import anycrc

Buffer = bytes | bytearray | memoryview

_MODEL = anycrc.Model("CRC64-XZ")


def crc64(data: Buffer, previous: int = 0) -> int:
    """Return the CRC-64 of `data`, carried on from `previous`."""
    return int(_MODEL.calc(data, previous))


def combine_crc64(pieces: Iterable[tuple[int, int]]) -> int:
    """Return the CRC-64 of the concatenation of `(crc, size)` pieces."""
    total = 0
    for crc, size in pieces:
        total = int(_MODEL.combine(total, crc, size))
    return total


@dataclass(frozen=True, slots=True)
class Digest:
    """What is known about a run of bytes once all of them have been read."""

    size: int
    md5: bytes
    crc64: int

    @property
    def etag(self) -> str:
        """The ETag of a part or of an object that was put: MD5, upper-case hex, unquoted."""
        return self.md5.hex().upper()

    @property
    def content_md5(self) -> str:
        """The value of a Content-MD5 header."""
        return base64.b64encode(self.md5).decode("ascii")


class Digester:
    """Feeds bytes to both checksums at once."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc64 = 0
        self._size = 0

    def update(self, block: Buffer) -> None:
        """Take the next block; large ones let other threads run meanwhile."""
        view = memoryview(block)
        self._md5.update(view)
        self._crc64 = crc64(view, self._crc64)
        self._size += view.nbytes

    def digest(self) -> Digest:
        """Return the checksums of everything taken so far."""
        return Digest(self._size, self._md5.digest(), self._crc64)


def multipart_etag(part_etags: list[str]) -> str:
    """Return the ETag of an object completed from parts: opaque hex and their number."""
    joined = "".join(part_etags).encode("ascii")
    opaque = hashlib.md5(joined, usedforsecurity=False).hexdigest().upper()
    return f"{opaque}-{len(part_etags)}"


def md5(data: bytes) -> bytes:
    """Return the MD5 of something small."""
    return hashlib.md5(data, usedforsecurity=False).digest()
