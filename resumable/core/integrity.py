"""CRC-64 as OSS computes it, its combination, and the digests of a part.

OSS uses CRC-64/XZ (ECMA-182 reflected, init and xorout all ones). The CRC-64 of two pieces one
after the other follows from the CRC-64 of each and the length of the second: appending n bytes
multiplies the first by x^(8n) modulo the polynomial. That factor is made once per length and
turned into tables, so that combining 10,000 parts costs about a microsecond each.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from fastcrc import crc64 as _crc64

_POLYNOMIAL = 0xC96C5795D7870F42
_ONE = 1 << 63  # x^0, since the bits are reflected
_X8 = _ONE >> 8

_MD5 = re.compile(r"[0-9A-Fa-f]{32}")

Bytes = bytes | bytearray | memoryview
_Tables = tuple[tuple[int, ...], ...]


def crc64(data: Bytes, previous: int = 0) -> int:
    """The CRC-64 of `data`, or of what `previous` stands for followed by `data`."""
    return _crc64.xz(data, previous)


def combine(first: int, second: int, second_size: int) -> int:
    """The CRC-64 of two pieces one after the other, from the CRC-64 of each.

    Args:
        first: CRC-64 of the first piece.
        second: CRC-64 of the second piece.
        second_size: Length of the second piece in bytes.
    """
    return _shift(first, _shift_tables(second_size)) ^ second


def combine_all(pieces: Iterable[tuple[int, int]]) -> int:
    """The CRC-64 of many pieces in order, each given as (CRC-64, size in bytes)."""
    whole = 0
    for crc, size in pieces:
        whole = _shift(whole, _shift_tables(size)) ^ crc
    return whole


def etag_of_parts(md5s: Iterable[bytes | None]) -> str | None:
    """The ETag of an object of parts at servers that make it of their MD5s, as many do.

    None if the MD5 of a part is not known.
    """
    known = list(md5s)
    whole = hashlib.md5(usedforsecurity=False)
    for md5 in known:
        if md5 is None:
            return None
        whole.update(md5)
    return f"{whole.hexdigest()}-{len(known)}"


def md5_of_etag(etag: str) -> bytes | None:
    """The MD5 that the ETag of a part is; None if it has not the form of one."""
    return bytes.fromhex(etag) if _MD5.fullmatch(etag) else None


@dataclass(frozen=True, slots=True)
class PartDigest:
    """What is known of a part's bytes after reading them. `md5` is None when it was not asked."""

    size: int
    crc64: int
    md5: bytes | None


class PartHasher:
    """Digests a part's bytes as they are read; feed blocks of 256 KiB or more."""

    __slots__ = ("_crc", "_md5", "_size")

    def __init__(self, *, with_md5: bool) -> None:
        self._size = 0
        self._crc = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    def update(self, block: memoryview) -> None:
        """Take in the next block."""
        self._size += len(block)
        self._crc = _crc64.xz(block, self._crc)
        if self._md5 is not None:
            self._md5.update(block)

    def digest(self) -> PartDigest:
        """The digests of all that was taken in so far."""
        return PartDigest(self._size, self._crc, self._md5.digest() if self._md5 else None)


def _multiply(a: int, b: int) -> int:
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFF_FFFF_FFFF_FFFF
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


@lru_cache(maxsize=256)
def _shift_tables(size: int) -> _Tables:
    factor, square = _ONE, _X8
    while size:
        if size & 1:
            factor = _multiply(factor, square)
        square = _multiply(square, square)
        size >>= 1
    bits = [_multiply(factor, 1 << bit) for bit in range(64)]
    return tuple(_byte_table(bits[low : low + 8]) for low in range(0, 64, 8))


def _byte_table(bits: list[int]) -> tuple[int, ...]:
    table = [0]
    for bit in bits:
        table += [entry ^ bit for entry in table]
    return tuple(table)


def _shift(crc: int, tables: _Tables) -> int:
    shifted = 0
    for table in tables:
        shifted ^= table[crc & 0xFF]
        crc >>= 8
    return shifted
