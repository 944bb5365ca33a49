"""What is known of a source before it is uploaded: the digests of each of its parts.

The sink hashes nothing. What it answers, and the clients check, comes from here.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class PartDigests:
    """A part's size, CRC-64 and MD5 (upper-case hex, as the service makes an ETag of it)."""

    size: int
    crc64: int
    md5: str


@dataclass(frozen=True, slots=True)
class SourceDigests:
    """A source in parts of one size. A source of one part may also be put as a whole."""

    size: int
    part_size: int
    crc64: int
    parts: tuple[PartDigests, ...]

    def as_json(self) -> dict[str, object]:
        """For the sink."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """As the sink gets them."""
        parts = tuple(PartDigests(**part) for part in told["parts"])
        return cls(told["size"], told["part_size"], told["crc64"], parts)
