"""Blob files: the bytes of parts and objects, under random names in one folder.

A blob is written once and never changed. Keys never become file names.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from resumable.server.checksums import Digest, Digester


@dataclass(frozen=True, slots=True)
class Segment:
    """A whole blob as a stretch of an object."""

    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """A finished blob and the checksums of what is in it."""

    blob: str
    digest: Digest


class BlobFolder:
    """The folder of blobs; a blob that is being read outlives its removal."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._readers: Counter[str] = Counter()
        self._doomed: set[str] = set()

    def write(self, blocks: Iterable[memoryview]) -> StoredBytes:
        """Store a stream as a new blob; nothing stays behind if the stream fails."""
        name = secrets.token_hex(16)
        path = self._folder / name
        digester = Digester()
        with ExitStack() as undo:
            undo.callback(path.unlink, missing_ok=True)
            with path.open("xb", buffering=0) as file:
                for block in blocks:
                    digester.update(block)
                    _write_all(file, block)
            undo.pop_all()
        return StoredBytes(name, digester.digest())

    def discard(self, names: Iterable[str]) -> None:
        """Remove blobs, those being read as soon as the last reader is done."""
        names = list(names)
        with self._lock:
            in_use = {name for name in names if self._readers[name] > 0}
            self._doomed |= in_use
        for name in names:
            if name not in in_use:
                (self._folder / name).unlink(missing_ok=True)

    def pin(self, names: Iterable[str]) -> None:
        """Keep blobs until they are unpinned, even if they are discarded meanwhile."""
        with self._lock:
            self._readers.update(names)

    def unpin(self, names: Iterable[str]) -> None:
        """Let go of pinned blobs."""
        with self._lock:
            self._readers.subtract(names)
            self._readers = +self._readers
            free = {name for name in self._doomed if self._readers[name] == 0}
            self._doomed -= free
        for name in free:
            (self._folder / name).unlink(missing_ok=True)

    def sweep(self, referenced: Iterable[str]) -> int:
        """Remove every blob that is not in `referenced`; return how many there were."""
        keep = set(referenced)
        stray = [path for path in self._folder.iterdir() if path.name not in keep]
        for path in stray:
            path.unlink()
        return len(stray)

    def open(self, name: str) -> BinaryIO:
        """Open a blob for reading."""
        return (self._folder / name).open("rb", buffering=0)


class PinnedContent:
    """An object's bytes, readable until closed even if the object is replaced meanwhile."""

    def __init__(self, folder: BlobFolder, segments: tuple[Segment, ...]) -> None:
        self._folder = folder
        self._segments = segments
        self._first = 0
        self._length = sum(segment.size for segment in segments)
        folder.pin(segment.blob for segment in segments)

    @property
    def length(self) -> int:
        """How many bytes there are to read."""
        return self._length

    def narrow(self, first: int, length: int) -> None:
        """Read only `length` bytes from `first` on."""
        self._first, self._length = first, length

    def runs(self) -> Iterator[tuple[BinaryIO, int, int]]:
        """Yield `(file, offset, count)` runs in order."""
        start, left = self._first, self._length
        for segment in self._segments:
            if left <= 0:
                break
            if start >= segment.size:
                start -= segment.size
                continue
            count = min(left, segment.size - start)
            with self._folder.open(segment.blob) as file:
                yield file, start, count
            start, left = 0, left - count

    def blocks(self, size: int = 1024 * 1024) -> Iterator[memoryview]:
        """Yield the bytes in large blocks."""
        for file, offset, count in self.runs():
            file.seek(offset)
            left = count
            while left > 0:
                block = file.read(min(size, left))
                left -= len(block)
                yield memoryview(block)

    def close(self) -> None:
        """Let go of the bytes."""
        segments, self._segments = self._segments, ()
        self._folder.unpin(segment.blob for segment in segments)


def _write_all(file: BinaryIO, block: memoryview) -> None:
    written = 0
    while written < len(block):
        written += os.write(file.fileno(), block[written:])
