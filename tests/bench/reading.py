"""Reading a source for its digests, which is done once, before anything is measured."""

from collections.abc import Iterator, Sequence
from hashlib import md5
from pathlib import Path

from resumable.server.checksums import combine_crc64, crc64
from tests.bench.digests import PartDigests, SourceDigests

_BLOCK = 1024 * 1024


def digests_of(path: Path, part_size: int) -> SourceDigests:
    """Read a file for its digests in parts of this size."""
    return _in_all(part_size, tuple(_parts(path, part_size)))


def first_parts(digests: SourceDigests, count: int) -> SourceDigests:
    """The digests of a source that ends after so many parts."""
    return _in_all(digests.part_size, digests.parts[:count])


def _in_all(part_size: int, parts: Sequence[PartDigests]) -> SourceDigests:
    whole = combine_crc64((part.crc64, part.size) for part in parts)
    return SourceDigests(sum(part.size for part in parts), part_size, whole, tuple(parts))


def _parts(path: Path, part_size: int) -> Iterator[PartDigests]:
    buffer = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while True:
            size, crc, digest = 0, 0, md5(usedforsecurity=False)
            while got := file.readinto(buffer[: min(_BLOCK, part_size - size)]):
                block = buffer[:got]
                size, crc = size + got, crc64(block, crc)
                digest.update(block)
            if not size:
                return
            yield PartDigests(size, crc, digest.hexdigest().upper())
