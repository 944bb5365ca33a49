"""A part of a file as a request body, and who watches it being sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from resumable.core.integrity import PartDigest, PartHasher
from resumable.core.plan import Part
from resumable.oss.messages import Block, known
from resumable.transfer.reading import SourceReader


@dataclass(frozen=True, slots=True)
class Watch:
    """What whoever sends a part of a file wants to be told, and where it may raise to end it.

    Attributes:
        begins: Called before each sending.
        look: Called before each block is used.
        last: Called before the last block goes out. Without it no request is whole.
        moved: Called with the size of each block that went out.
        read: Called with the digest of the bytes that are about to be sent, if it is known by then.
    """

    begins: Callable[[], None]
    look: Callable[[], None]
    last: Callable[[], None]
    moved: Callable[[int], None]
    read: Callable[[PartDigest], None] = lambda _: None


class FilePart:
    """The bytes of one part of a file, as a request body that can be sent again.

    With an MD5 the part is gone through twice, since the digest travels before the bytes. What
    goes out is vouched for by the server: it compares what arrived with the MD5, and its CRC-64 is
    compared with that of what was read. So the kernel may send the bytes straight from the file.
    A part that fits the buffer is read once.

    Args:
        reader: Of the calling thread.
        part: Which bytes.
        watch: Who watches.
        by_kernel: Whether the kernel may send them. If not, each block is in memory before it is
            let go, so that nothing can come between the last look and the last byte.
    """

    def __init__(
        self, reader: SourceReader, part: Part, watch: Watch, *, by_kernel: bool = True
    ) -> None:
        self._reader = reader
        self._part = part
        self._watch = watch
        self._by_kernel = by_kernel
        self._digest: PartDigest | None = None
        self._held: memoryview | None = None

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self._part.size

    def prepare(self, *, with_md5: bool) -> bytes | None:
        """Read the part for its MD5, if it is wanted."""
        self._digest = self._held = None
        self._watch.begins()
        if not self._part.size:  # there will be no last block to hold back
            self._watch.last()
        if not with_md5:
            return None
        hasher = PartHasher(with_md5=True)
        for block in self._reader.blocks(self._part):
            self._watch.look()
            hasher.update(block)
            if len(block) == self._part.size:
                self._held = block
        self._digest = hasher.digest()
        self._watch.read(self._digest)
        return self._digest.md5

    def blocks(self) -> Iterator[Block]:
        """The bytes in order."""
        left = self._part.size
        for block in self._outgoing():
            self._watch.look()
            left -= len(block)
            if left == 0:
                self._watch.last()
            yield block
            self._watch.moved(len(block))

    def _outgoing(self) -> Iterator[Block]:
        if self._held is not None:
            yield self._held
        elif self._digest is not None:
            reader, part = self._reader, self._part
            yield from reader.stored_blocks(part) if self._by_kernel else reader.blocks(part)
        else:
            hasher = PartHasher(with_md5=False)
            for block in self._reader.stored_blocks(self._part):
                view = block.read()
                hasher.update(view)
                yield block if self._by_kernel else view
            self._digest = hasher.digest()

    def digest(self) -> PartDigest:
        """The digests of the bytes."""
        return known(self._digest)
