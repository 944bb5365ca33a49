"""Reading a file from several threads through one descriptor."""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import UnsupportedOperation
from typing import NoReturn

from resumable.core.plan import Part
from resumable.errors import LocalFileError, SourceChangedError
from resumable.oss.messages import StoredBlock
from resumable.transfer.scarcity import with_room

# hashlib and the CRC library let go of the GIL for blocks of this size. Smaller ones cost more
# calls, larger ones fall out of the processor's cache.
BLOCK_SIZE = 512 * 1024

# Elsewhere it has other rules, which nobody has tried here.
_KERNEL_SENDS = sys.platform == "linux"
_READS_ANYWHERE = hasattr(os, "preadv")
_OF_CONNECTIONS = {
    errno.EBADF,  # the socket was closed
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.ENETUNREACH,
    errno.ENOBUFS,
    errno.ENOTCONN,
    errno.EPIPE,
    errno.ETIMEDOUT,
}
# Without waiting, should a pipe have come into the file's place.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class OpenFile:
    """A file that was opened once, and is closed when nobody reads from it any more.

    A thread that outlives its transfer must not read from another file that has come to have the
    same descriptor: so each reader keeps it open.

    Args:
        path: The path as the caller gave it.
        at: Where it is opened.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, at: str) -> None:
        self.path = path
        self._descriptor = with_room(lambda: os.open(at, _FLAGS))
        self._lock = threading.Lock()
        self._users = 1

    @contextmanager
    def reader(self) -> Iterator["SourceReader"]:
        """What one thread reads by."""
        with self._lock:
            if not self._users:
                raise LocalFileError(f"{self.path!r} is closed")
            self._users += 1
        try:
            yield SourceReader(self)
        finally:
            self.close()

    def close(self) -> None:
        """Close it, once its readers have ended."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
        with suppress(OSError):  # nothing was written by it
            os.close(self._descriptor)

    def stat(self) -> os.stat_result:
        """What the system tells of it; OSError as of os.fstat."""
        return os.fstat(self._descriptor)

    def holds_bytes(self) -> bool:
        """Whether there is a byte to read; OSError as of os.read."""
        return bool(os.read(self._descriptor, 1))

    def read(self, view: memoryview, offset: int) -> int:
        """Read into a buffer; how many bytes there were; LocalFileError if it cannot be read."""
        try:
            if _READS_ANYWHERE:
                return os.preadv(self._descriptor, [view], offset)
            with self._lock:
                os.lseek(self._descriptor, offset, os.SEEK_SET)
                data = os.read(self._descriptor, len(view))
        except OSError as error:
            raise LocalFileError.of(error, "reading", self.path) from None
        view[: len(data)] = data
        return len(data)

    def send(self, descriptor: int, offset: int, size: int) -> int:
        """Have the kernel send bytes to a socket; OSError as of os.sendfile."""
        return os.sendfile(descriptor, self._descriptor, offset, size)


class SourceReader:
    """Reads ranges of a source file for one thread, into one buffer."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._buffer = bytearray(BLOCK_SIZE)

    def blocks(self, part: Part) -> Iterator[memoryview]:
        """The bytes of a range in order; each block is overwritten by the next one.

        Raises:
            SourceChangedError: the file ends before the range does.
            LocalFileError: it cannot be read.
        """
        for block in self.stored_blocks(part):
            yield block.read()

    def stored_blocks(self, part: Part) -> Iterator[StoredBlock]:
        """The blocks of a range, not read yet."""
        end = part.offset + part.size
        for offset in range(part.offset, end, BLOCK_SIZE):
            yield _SourceBlock(self, offset, min(BLOCK_SIZE, end - offset))

    def read(self, offset: int, size: int) -> memoryview:
        """A block, until the next one is read; raises as `blocks` does."""
        view, done = memoryview(self._buffer)[:size], 0
        while done < size:
            done += self._read(view[done:], offset + done) or self._ends_before(offset + size)
        return view

    def send(self, descriptor: int, offset: int, size: int) -> int:
        """Have the kernel send a block to a socket; raises as `StoredBlock.send` does."""
        if not _KERNEL_SENDS:
            raise UnsupportedOperation
        try:
            sent = self._file.send(descriptor, offset, size)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno in _OF_CONNECTIONS:
                raise
            # One call, two files, and rules that can forbid it: reading tells whether it is the
            # disk, and sending what was read whether it is the connection.
            raise UnsupportedOperation from None
        return sent or self._ends_before(offset + size)

    def _read(self, view: memoryview, offset: int) -> int:
        return self._file.read(view, offset)

    def _ends_before(self, end: int) -> NoReturn:
        raise SourceChangedError(f"{self._file.path!r} became shorter than {end} bytes")


class _SourceBlock(StoredBlock):
    """A block of a source file."""

    __slots__ = ("_offset", "_reader", "_size", "_view")

    def __init__(self, reader: SourceReader, offset: int, size: int) -> None:
        self._reader = reader
        self._offset = offset
        self._size = size
        self._view: memoryview | None = None

    def __len__(self) -> int:
        return self._size

    def read(self) -> memoryview:
        if self._view is None:
            self._view = self._reader.read(self._offset, self._size)
        return self._view

    def send(self, descriptor: int, done: int) -> int:
        return self._reader.send(descriptor, self._offset + done, self._size - done)
