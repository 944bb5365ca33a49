"""A disk that a power cut may leave in every state it is allowed to.

Only what was synced is sure. Of what was not, any part may have reached the disk, in any order:
each sector of 512 bytes, each size of a file, each change of a name by itself. A sector that did
not reach it, in a file whose size did, is zeros.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from tests.faults.recording import (
    Acknowledged,
    Create,
    Event,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Unlink,
    Write,
)

SECTOR = 512
_ZEROS = bytes(SECTOR)

Content = Mapping[str, bytes]  # of the folder, by name


@dataclass(slots=True)
class _File:
    """A file: what a power cut may make of each of its sectors, and of its size.

    The first of each list is what was synced, the last what the running system sees.
    """

    sectors: dict[int, list[bytes]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=lambda: [0])

    @classmethod
    def synced(cls, data: bytes) -> "_File":
        file = cls()
        file.write(0, data)
        file.sync()
        return file

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        for index in range(offset // SECTOR, -(-end // SECTOR)):
            versions = self.sectors.setdefault(index, [_ZEROS])
            start = index * SECTOR
            begin, stop = max(offset, start), min(end, start + SECTOR)
            sector = bytearray(versions[-1])
            sector[begin - start : stop - start] = data[begin - offset : stop - offset]
            versions.append(bytes(sector))
        if end > self.sizes[-1]:
            self.sizes.append(end)

    def truncate(self, size: int) -> None:
        for index, versions in self.sectors.items():
            kept = max(0, min(SECTOR, size - index * SECTOR))
            if kept < SECTOR:
                versions.append(versions[-1][:kept].ljust(SECTOR, b"\0"))
        self.sizes.append(size)

    def sync(self) -> None:
        self.sectors = {index: versions[-1:] for index, versions in self.sectors.items()}
        self.sizes = self.sizes[-1:]

    def choices(self) -> list[list[int]]:
        """How many there are: first the sizes, then each sector."""
        numbers = [len(self.sizes), *(len(self.sectors[index]) for index in sorted(self.sectors))]
        return [list(range(number)) for number in numbers]

    def content(self, chosen: Sequence[int]) -> bytes:
        size = self.sizes[chosen[0]]
        sectors = zip(sorted(self.sectors), chosen[1:], strict=True)
        data = b"".join(self.sectors[index][choice] for index, choice in sectors)
        return data[:size].ljust(size, b"\0")


class Disk:
    """One folder of a disk, and all that has been done in it so far.

    Args:
        content: What was there, synced.
        inodes: Of those files.
    """

    def __init__(self, content: Content, inodes: Mapping[str, int]) -> None:
        self._files = [_File.synced(data) for data in content.values()]
        self._names: dict[str, int] = {name: file for file, name in enumerate(content)}
        self._live = dict(self._names)
        self._by_inode = {inodes[name]: file for name, file in self._names.items()}
        # Changes of names that are not synced: what they take away, and what they put where.
        self._pending: list[tuple[str | None, str | None, int]] = []

    def read(self, name: str) -> bytes:
        """What the running system sees of a file."""
        file = self._files[self._live[name]]
        return file.content([choices[-1] for choices in file.choices()])

    def apply(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case Create(name, inode):
                self._files.append(_File())
                self._by_inode[inode] = self._live[name] = len(self._files) - 1
                self._pending.append((None, name, self._live[name]))
            case Write(inode, offset, data):
                self._files[self._by_inode[inode]].write(offset, data)
            case Truncate(inode, size):
                self._files[self._by_inode[inode]].truncate(size)
            case Sync(inode):
                self._files[self._by_inode[inode]].sync()
            case Rename(name, to):
                file = self._live[to] = self._live.pop(name)
                self._pending.append((name, to, file))
            case Unlink(name):
                self._pending.append((name, None, self._live.pop(name)))
            case SyncFolder():
                self._names, self._pending = dict(self._live), []
            case Acknowledged():
                pass

    def states(self, most: int, rng: random.Random) -> Iterator[dict[str, bytes]]:
        """What a power cut may leave now: all of it, or `most` where there is more, the ends of
        every range among them. A state may come more than once.
        """
        for names in self._states_of_names(most, rng):
            files = sorted(set(names.values()))
            ranges = [choice for file in files for choice in self._files[file].choices()]
            for chosen in _draw(ranges, most, rng):
                yield self._content(names, files, chosen)

    def _states_of_names(self, most: int, rng: random.Random) -> Iterator[dict[str, int]]:
        seen = set()
        for happened in _draw([[0, 1]] * len(self._pending), most, rng):
            names = dict(self._names)
            for (taken, put, file), did in zip(self._pending, happened, strict=True):
                if did and taken is not None and names.get(taken) == file:
                    del names[taken]
                if did and put is not None:
                    names[put] = file
            told = tuple(sorted(names.items()))
            if told not in seen:
                seen.add(told)
                yield names

    def _content(
        self, names: Mapping[str, int], files: Sequence[int], chosen: Sequence[int]
    ) -> dict[str, bytes]:
        contents: dict[int, bytes] = {}
        for file in files:
            number = len(self._files[file].sectors) + 1
            contents[file] = self._files[file].content(chosen[:number])
            chosen = chosen[number:]
        return {name: contents[file] for name, file in names.items()}


def _draw(
    ranges: Sequence[Sequence[int]], most: int, rng: random.Random
) -> Iterator[tuple[int, ...]]:
    """All combinations of one of each range; where there are too many, the telling ones."""
    number = 1
    for choices in ranges:
        number *= len(choices)
    if number <= most:
        yield from product(*ranges)
        return
    nothing, everything = (tuple(choices[end] for choices in ranges) for end in (0, -1))
    yield nothing
    yield everything
    for at in range(len(ranges)):
        yield (*everything[:at], nothing[at], *everything[at + 1 :])  # one is lost
        yield (*nothing[:at], everything[at], *nothing[at + 1 :])  # one is there
        yield (*everything[:at], *nothing[at:])  # all up to here
        yield (*nothing[:at], *everything[at:])  # all from here
    for _ in range(max(0, most - 4 * len(ranges))):
        yield tuple(rng.choice(choices) for choices in ranges)
