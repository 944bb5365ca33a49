"""From a file's size and the caller's wish to the ranges of the parts.

The limits are those of the OSS multipart API: parts of 100 KB to 5 GB (the last may be smaller),
at most 10,000 of them, and so objects of at most 48.8 TB.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from resumable.core.arguments import suggesting
from resumable.errors import InvalidArgumentError, PartSizeError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

MIN_PART_SIZE = 100 * KIB
MAX_PART_SIZE = 5 * GIB
MAX_PARTS = 10_000
MAX_OBJECT_SIZE = MAX_PARTS * MAX_PART_SIZE

_AUTOMATIC_PART_SIZE = 8 * MIB
# Half of the allowed number: a file that grows between two runs keeps its part size.
_AUTOMATIC_PARTS = MAX_PARTS // 2

_UNITS = {"": 1, "B": 1, "K": KIB, "M": MIB, "G": GIB, "T": 1024 * GIB}
_SIZE = re.compile(
    r"\s*(\d{1,15})(?:\.(\d{1,6}))?\s*([KMGT]?)(?:i?B)?\s*", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its number (1 to 10,000) and the bytes of the file it holds."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file of `size` bytes is cut: `count` parts of `part_size`, the last one shorter.

    An empty file is one part of no bytes.
    """

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """The number of parts."""
        return max(1, -(-self.size // self.part_size))

    def part(self, number: int) -> Part:
        """The part with this number."""
        if not 1 <= number <= self.count:
            raise IndexError(f"part {number} of {self.count}")
        offset = (number - 1) * self.part_size
        return Part(number, offset, min(self.part_size, self.size - offset))

    def __iter__(self) -> Iterator[Part]:
        return (self.part(number) for number in range(1, self.count + 1))


def parse_part_size(wish: int | str) -> int:
    """Read a part size: bytes as an int, or text such as `"8MiB"`, `"100KB"`, `"1.5G"`.

    K, M, G and T are powers of 1,024 with or without the i, as everywhere in OSS.

    Raises:
        PartSizeError: it is no size, or outside 100 KB (102,400) to 5 GB.
    """
    size = wish if isinstance(wish, int) and not isinstance(wish, bool) else _parse_size(wish)
    if not MIN_PART_SIZE <= size <= MAX_PART_SIZE:
        raise PartSizeError(
            f"part_size {wish!r} is outside 100 KB ({MIN_PART_SIZE}) to 5 GB ({MAX_PART_SIZE})",
            advice="Leave part_size out to get one that suits the file",
        )
    return size


def make_plan(size: int, part_size: int | str | None = None) -> Plan:
    """Cut a file of `size` bytes into parts.

    Without a wish: 8 MiB, more only where that would give over 5,000 parts. A wish that would
    need more than 10,000 parts is grown to the smallest size that fits; the plan tells it.

    Raises:
        PartSizeError: the wish is outside 100 KB to 5 GB.
        InvalidArgumentError: the file is larger than 48.8 TB.
    """
    wish = None if part_size is None else parse_part_size(part_size)
    _check_size(size)
    if wish is not None:
        return Plan(size, max(wish, -(-size // MAX_PARTS)))
    fitting = -(-size // _AUTOMATIC_PARTS)
    whole_mib = -(-fitting // MIB) * MIB
    return Plan(size, min(max(_AUTOMATIC_PART_SIZE, whole_mib), MAX_PART_SIZE))


@suggesting
def split_by_part_size(size: int, part_size: int | str) -> tuple[Part, ...]:
    """Cut `size` bytes into parts of `part_size`, the last one shorter.

    Args:
        size: Bytes of the file, up to 48.8 TB.
        part_size: 102,400 (100 KB) to 5 GB, in bytes or as text such as `"8MiB"`.

    Raises:
        PartSizeError: outside these bounds, or more than 10,000 parts would be needed.
        InvalidArgumentError: the file is larger than OSS stores.
    """
    plan = make_plan(size, part_size)
    wish = parse_part_size(part_size)
    if plan.part_size != wish:
        raise PartSizeError(
            f"parts of {wish} bytes: {size} bytes would need more than {MAX_PARTS} of them",
            advice=f"Take parts of {plan.part_size} bytes or more (determine_part_size)",
        )
    return tuple(plan)


@suggesting
def split_by_part_num(size: int, number: int) -> tuple[Part, ...]:
    """Cut `size` bytes into `number` parts of the same size, give or take one byte.

    Args:
        size: Bytes of the file.
        number: How many parts: 1 to 10,000, and not more than there are bytes.

    Raises:
        PartSizeError: parts would be smaller than 100 KB (but for a single one) or larger than
            5 GB.
        InvalidArgumentError: `number` is out of bounds.
    """
    if not is_whole(number, 1, MAX_PARTS):
        raise InvalidArgumentError(f"{number!r} parts; an upload has 1 to {MAX_PARTS}")
    _check_size(size)
    smaller, rest = divmod(size, number)
    largest = smaller + (1 if rest else 0)
    if largest > MAX_PART_SIZE or (number > 1 and smaller < MIN_PART_SIZE):
        raise PartSizeError(
            f"{number} parts of {smaller} bytes are outside 100 KB ({MIN_PART_SIZE}) to "
            f"5 GB ({MAX_PART_SIZE})",
            advice="Take fewer parts of a small file, and more of a large one",
        )
    sizes = [smaller + 1] * rest + [smaller] * (number - rest)
    offsets = accumulate(sizes, initial=0)
    return tuple(
        Part(part, offset, part_size)
        for part, (offset, part_size) in enumerate(zip(offsets, sizes, strict=False), start=1)
    )


@suggesting
def determine_part_size(total_size: int, preferred_size: int | str | None = None) -> int:
    """A part size, in bytes, with which `total_size` bytes fit 10,000 parts.

    Args:
        total_size: Bytes of the file, up to 48.8 TB.
        preferred_size: Taken where it is enough, else grown to the smallest that is. Default:
            8 MiB, more for files over 40 GB.

    Raises:
        PartSizeError: the preferred size is outside 100 KB to 5 GB.
        InvalidArgumentError: the file is larger than OSS stores.
    """
    return make_plan(total_size, preferred_size).part_size


def is_whole(number: object, least: int, most: int) -> bool:
    """Whether it is an int from `least` to `most`; True and False are none."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


def fits(size: int, part_size: int) -> bool:
    """Whether a file of `size` bytes can be sent in parts of `part_size`."""
    return Plan(size, part_size).count <= MAX_PARTS


def _check_size(size: object) -> None:
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidArgumentError(f"{size!r} is not a number of bytes")
    if size > MAX_OBJECT_SIZE:
        raise InvalidArgumentError(f"a file of {size} bytes is larger than OSS stores (48.8 TB)")


def _parse_size(wish: object) -> int:
    match = _SIZE.fullmatch(wish) if isinstance(wish, str) else None
    if match is None:
        raise PartSizeError(f"part_size {wish!r} is not a size; write 8388608 or '8MiB'")
    whole, fraction, unit = match.groups()
    unit_size = _UNITS[unit.upper()]
    thousandths = int((fraction or "0").ljust(6, "0"))
    return int(whole) * unit_size + thousandths * unit_size // 1_000_000
