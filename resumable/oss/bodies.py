"""Request bodies out of what a caller has: bytes, a file object, or a slice of one."""

import threading
from collections.abc import Iterator
from typing import Protocol, cast
from weakref import WeakKeyDictionary

from resumable.core.arguments import suggesting
from resumable.core.integrity import Bytes, PartDigest, PartHasher
from resumable.core.plan import MAX_PART_SIZE
from resumable.errors import InvalidArgumentError, LocalFileError, SourceChangedError
from resumable.oss.messages import BLOCK_SIZE, BytesPayload, Payload, known

_END = 2


class SeekableFile(Protocol):
    """A binary file object, such as `open(path, "rb")` gives."""

    def seek(self, offset: int, whence: int = ..., /) -> object:
        """Move to a position."""
        ...

    def tell(self) -> int:
        """The position."""
        ...

    def read(self, size: int = ..., /) -> bytes:
        """Read on from the position."""
        ...


Data = Bytes | SeekableFile | Payload


class FileSlice:
    """Some bytes of a file object, as the data of a part or an object.

    The bytes are read when they are sent, in blocks, and again for another try. Slices of one
    file object can be sent by several threads at once, each slice by one. The object's position is
    moved.

    Args:
        file: A binary file object that can seek.
        offset: Of the first byte. Default: the position of `file` now.
        size: How many bytes. Default: up to the end of `file` as it is now.

    Raises:
        InvalidArgumentError: `file` is not such an object, or does not have these bytes.
    """

    @suggesting
    def __init__(
        self, file: SeekableFile, offset: int | None = None, size: int | None = None
    ) -> None:
        self._file = file
        self._lock = _lock_of(file)
        with self._lock:
            here, end = _extent(file)
        self._offset = here if offset is None else offset
        self._size = end - self._offset if size is None else size
        if not all(type(number) is int for number in (self._offset, self._size)):
            raise InvalidArgumentError(f"a slice from {offset!r} on of {size!r} bytes")
        if self._offset < 0 or self._size < 0 or self._offset + self._size > end:
            raise InvalidArgumentError(
                f"the file has {end} bytes, not {self._size} from {self._offset} on"
            )
        self._digest: PartDigest | None = None

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self._size

    def prepare(self, *, with_md5: bool) -> bytes | None:
        """Read the bytes for their MD5, if it is wanted."""
        self._digest = None
        if not with_md5:
            return None
        self._digest = self._digest_of_all()
        return self._digest.md5

    def blocks(self) -> Iterator[memoryview]:
        """The bytes in order."""
        hasher = PartHasher(with_md5=False)
        for block in self._read():
            hasher.update(block)
            yield block
        sent = hasher.digest()
        if self._digest is not None and sent.crc64 != self._digest.crc64:
            raise SourceChangedError("the file object's bytes changed while they were sent")
        self._digest = self._digest or sent

    def digest(self) -> PartDigest:
        """The digests of the bytes."""
        return known(self._digest)

    def _digest_of_all(self) -> PartDigest:
        hasher = PartHasher(with_md5=True)
        for block in self._read():
            hasher.update(block)
        return hasher.digest()

    def _read(self) -> Iterator[memoryview]:
        done = 0
        while done < self._size:
            wanted = min(BLOCK_SIZE, self._size - done)
            try:
                with self._lock:
                    self._file.seek(self._offset + done)
                    block = self._file.read(wanted)
            except OSError as error:
                raise LocalFileError.of(error, "read", repr(self._file)) from error
            except ValueError as error:
                raise InvalidArgumentError(f"the file object cannot be read: {error}") from None
            if not block:
                raise SourceChangedError("the file object ended before its bytes were sent")
            done += len(block)
            yield memoryview(block)


def body_of(data: Data) -> Payload:
    """Turn what a caller gave into a body that can be sent again.

    Raises:
        InvalidArgumentError: it is nothing of the kind, or more than 5 GB.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        if not memoryview(data).c_contiguous:
            raise InvalidArgumentError("the memoryview does not hold its bytes in a row")
        payload: Payload = BytesPayload(data)
    elif hasattr(data, "blocks") and hasattr(data, "digest"):
        payload = cast(Payload, data)
    elif hasattr(data, "seek") and hasattr(data, "read"):
        payload = FileSlice(data)
    else:
        raise InvalidArgumentError(f"{type(data).__name__} is neither bytes nor a binary file")
    if payload.size > MAX_PART_SIZE:
        raise InvalidArgumentError(f"{payload.size} bytes; one request takes up to 5 GB")
    return payload


_locks: "WeakKeyDictionary[object, threading.Lock]" = WeakKeyDictionary()
_locks_lock = threading.Lock()
# Of all file objects that cannot be told apart by a weak reference.
_lock_of_the_others = threading.Lock()


def _lock_of(file: SeekableFile) -> threading.Lock:
    """The lock under which a file object is moved and read, the same for all its slices."""
    with _locks_lock:
        try:
            return _locks.setdefault(file, threading.Lock())
        except TypeError:
            return _lock_of_the_others


def _extent(file: SeekableFile) -> tuple[int, int]:
    try:
        here = file.tell()
        file.seek(0, _END)
        end = file.tell()  # not every seek tells it: that of an mmap does not
        file.seek(here)
        binary = isinstance(file.read(0), bytes)
    except (AttributeError, OSError, ValueError, TypeError) as error:
        raise InvalidArgumentError(
            f"the file object cannot seek ({type(error).__name__})",
            advice="Read its bytes and give those",
        ) from None
    if not binary:
        raise InvalidArgumentError("the file object is not open in binary mode")
    return here, end
