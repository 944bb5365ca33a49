"""The file that is sent: what it was when it was opened, its bytes, and whether it is the same."""

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO, UnsupportedOperation
from typing import NoReturn

from resumable.core.checkpoint import SourceIdentity
from resumable.core.plan import MAX_OBJECT_SIZE, Part
from resumable.core.ticks import until_next_tick
from resumable.errors import InvalidArgumentError, LocalFileError, SourceChangedError
from resumable.oss.messages import StoredBlock

# hashlib and the CRC library let go of the GIL for blocks of this size. Smaller ones cost more
# calls, larger ones fall out of the processor's cache.
BLOCK_SIZE = 512 * 1024

# Elsewhere it has other rules, which nobody has tried here.
_KERNEL_SENDS = sys.platform == "linux"
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

# A file that is written to all the time never settles; that it changed shows later.
_SETTLE_TRIES = 5

_NO_BLOCK = getattr(os, "O_NONBLOCK", 0)


class SourceFile:
    """A file that is being sent, as it was when it was opened.

    `pause` waits for so many seconds where a later change would have the same time stamp.

    Each thread reads through a `SourceReader` of its own. `check` tells whether the file at the
    path is still the one that was opened, in the state it was in.
    """

    def __init__(self, path: str, pause: Callable[[float], None] = time.sleep) -> None:
        self.path = path
        self.identity = _settled(path, pause)

    @property
    def size(self) -> int:
        """The size in bytes when it was opened."""
        return self.identity.size

    def check(self) -> None:
        """Make sure that the file was neither written to, nor replaced, nor deleted.

        Raises:
            SourceChangedError: it was.
        """
        was, now = self.identity, self.now()
        differences = {
            "another file took its place": now.inode != was.inode,
            f"its size went from {was.size} to {now.size} bytes": now.size != was.size,
            "it was written to": now.mtime_ns != was.mtime_ns,
        }
        told = ", ".join(what for what, differs in differences.items() if differs)
        if told:
            raise SourceChangedError(f"{self.path!r} changed while it was sent: {told}")

    def was_touched(self, since: SourceIdentity | None = None) -> bool:
        """Whether anything at all changed, be it only the permissions.

        A writer can set the time of the last write back, but not that of the last change to the
        inode: after it, only reading tells whether the content is the same.
        """
        return not self.now().same_state(since or self.identity)

    def check_untouched(self) -> None:
        """Make sure that nothing at all changed.

        Raises:
            SourceChangedError: something did.
        """
        self.check()
        if self.was_touched():
            raise SourceChangedError(f"the inode of {self.path!r} changed while it was sent")

    def now(self) -> SourceIdentity:
        """The state it is in; SourceChangedError if it is gone."""
        try:
            return identify(self.path)
        except FileNotFoundError:
            raise SourceChangedError(f"{self.path!r} is gone") from None
        except OSError as error:
            raise LocalFileError.of(error, "looking at", self.path) from None

    @contextmanager
    def reader(self) -> Iterator["SourceReader"]:
        """Open the file for one thread."""
        try:
            file = open(self.path, "rb", buffering=0, opener=_open)  # noqa: SIM115 - closed below
        except FileNotFoundError:
            raise SourceChangedError(f"{self.path!r} is gone") from None
        except OSError as error:
            raise LocalFileError.of(error, "opening", self.path) from None
        with file:
            try:
                inode = os.fstat(file.fileno()).st_ino
            except OSError as error:
                raise LocalFileError.of(error, "looking at", self.path) from None
            if inode != self.identity.inode:
                raise SourceChangedError(f"another file took the place of {self.path!r}")
            yield SourceReader(self.path, file)


class SourceReader:
    """Reads ranges of a source file for one thread, into one buffer."""

    def __init__(self, path: str, file: FileIO) -> None:
        self._path = path
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
            sent = os.sendfile(descriptor, self._file.fileno(), offset, size)
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
        try:
            self._file.seek(offset)
            return self._file.readinto(view) or 0
        except OSError as error:
            raise LocalFileError.of(error, "reading", self._path) from None

    def _ends_before(self, end: int) -> NoReturn:
        raise SourceChangedError(f"{self._path!r} became shorter than {end} bytes")


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


def identify(path: str) -> SourceIdentity:
    """What tells this state of a file from another without reading it.

    Raises:
        OSError: as os.stat does.
    """
    return _identity(path, os.stat(path))


def _open(path: str, flags: int) -> int:
    """Open without waiting, should a pipe have come into the file's place."""
    return os.open(path, flags | _NO_BLOCK)


def _look_into(path: str, size: int) -> None:
    """Make sure that a file can be read, and tells its size: those below /proc tell none."""
    descriptor = _open(path, os.O_RDONLY)
    try:
        if not size and os.read(descriptor, 1) and not os.fstat(descriptor).st_size:
            raise LocalFileError(
                f"{path!r} holds bytes, but does not tell how many",
                advice="Copy it, and upload the copy",
            )
    finally:
        os.close(descriptor)


def _settled(path: str, pause: Callable[[float], None]) -> SourceIdentity:
    """Identify a file once a later change to it is sure to get another time stamp."""
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            _look_into(path, found.st_size)  # told now, before any request
        for _ in range(_SETTLE_TRIES):
            wait = until_next_tick(time.time_ns(), found.st_mtime_ns, found.st_ctime_ns)
            if not wait:
                break
            pause(wait)
            found = os.stat(path)
    except LocalFileError:
        raise
    except OSError as error:
        raise LocalFileError.of(error, "opening", path) from None
    if not stat.S_ISREG(found.st_mode):
        raise LocalFileError(f"{path!r} is not a regular file")
    return _identity(path, found)


def _identity(path: str, found: os.stat_result) -> SourceIdentity:
    if found.st_size > MAX_OBJECT_SIZE:
        raise InvalidArgumentError(f"{path!r} has {found.st_size} bytes; 48.8 TB at most")
    absolute = os.path.abspath(path).encode("utf-8", "backslashreplace").decode()
    return SourceIdentity(
        path=absolute,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        inode=found.st_ino,
    )
