"""The file that is sent: what it was when it was opened, and whether it is the same."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Self

from resumable.core.checkpoint import SourceIdentity
from resumable.core.plan import MAX_OBJECT_SIZE
from resumable.core.source_check import (
    Change,
    SourceCheck,
    changes,
    differences,
    must_be_read_again,
)
from resumable.core.ticks import until_next_tick
from resumable.errors import InvalidArgumentError, LocalFileError, SourceChangedError
from resumable.transfer.files import kept_folder
from resumable.transfer.naming import path_for_record
from resumable.transfer.reading import OpenFile, SourceReader
from resumable.transfer.scarcity import is_scarce

# A file that is written to all the time never settles; that it changed shows later.
_SETTLE_TRIES = 5


class SourceFile:
    """A file that is being sent, as it was when it was opened.

    It is opened once, and its folder is kept: neither another working folder nor what happens to
    the folders above changes which file is read or looked at. To be closed.

    Args:
        path: As the caller gave it.
        pause: Waits for so many seconds where a later change would have the same time stamp.
        check: What tells that it has changed.

    Raises:
        LocalFileError: it cannot be opened, or is no regular file.
        InvalidArgumentError: it is larger than OSS stores.
        SourceChangedError: another file took its place meanwhile.
    """

    def __init__(
        self,
        path: str,
        pause: Callable[[float], None] = time.sleep,
        check: SourceCheck = "strict",
    ) -> None:
        self.path = path
        self._check = check
        with ExitStack() as opened:
            try:
                self._at = opened.enter_context(kept_folder(path))
                _make_sure_it_is_regular(path, os.stat(self._at))
                self._file = OpenFile(path, self._at)
                opened.callback(self._file.close)
                self.identity = self._settled(pause)
            except LocalFileError:
                raise
            except OSError as error:
                raise LocalFileError.of(error, "opening", path) from None
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it, once its readers have ended."""
        self._opened.close()

    @property
    def size(self) -> int:
        """The size in bytes when it was opened."""
        return self.identity.size

    def reader(self) -> AbstractContextManager[SourceReader]:
        """What one thread reads the file by."""
        return self._file.reader()

    @contextmanager
    def opened_anew(self) -> Iterator[OpenFile]:
        """The file that has its name now, for what may not come from a cache of the first opening.

        Raises:
            SourceChangedError: there is none.
            LocalFileError: it cannot be opened.
        """
        try:
            again = OpenFile(self.path, self._at)
        except FileNotFoundError:
            raise self._gone() from None
        except OSError as error:
            if is_scarce(error):
                yield self._file
                return
            raise LocalFileError.of(error, "opening", self.path) from None
        try:
            yield again
        finally:
            again.close()

    def check(self) -> None:
        """Make sure that the file was neither written to, nor replaced, nor deleted.

        Raises:
            SourceChangedError: it was.
        """
        if found := changes(self.identity, self.now(), self._check):
            raise self._changed(found)

    def must_be_read_again(self) -> bool:
        """Whether only reading tells that the parts that were sent are still the file's.

        A writer can set the time of the last write back, but not that of the last change to the
        inode.

        Raises:
            SourceChangedError: there is no need to read.
        """
        now = self.now()
        if found := changes(self.identity, now, self._check):
            raise self._changed(found)
        return must_be_read_again(self.identity, now, self._check)

    def check_untouched(self, since: SourceIdentity | None = None) -> None:
        """Make sure that nothing at all changed, as far as it counts.

        Raises:
            SourceChangedError: something did.
        """
        was, now = since or self.identity, self.now()
        found = changes(was, now, self._check)
        if self._check == "strict":
            found = differences(was, now)
        if found:
            raise self._changed(found)

    @property
    def reads_twice(self) -> bool:
        """Whether what was read counts only once it was read again."""
        return self._check == "content"

    def now(self) -> SourceIdentity:
        """The state it is in; SourceChangedError if it is gone."""
        try:
            return _identity(self.path, os.stat(self._at), self.identity.path)
        except FileNotFoundError:
            raise self._gone() from None
        except OSError as error:
            raise LocalFileError.of(error, "looking at", self.path) from None

    def _settled(self, pause: Callable[[float], None]) -> SourceIdentity:
        """Identify the file once a later change to it is sure to get another time stamp."""
        found = os.stat(self._at)
        for _ in range(_SETTLE_TRIES):
            wait = until_next_tick(time.time_ns(), found.st_mtime_ns, found.st_ctime_ns)
            if not wait:
                break
            pause(wait)
            found = os.stat(self._at)
        opened = self._file.stat()
        _make_sure_it_is_regular(self.path, opened)
        if not found.st_size and not opened.st_size and self._file.holds_bytes():
            raise LocalFileError(  # those below /proc do so
                f"{self.path!r} holds bytes, but does not tell how many",
                advice="Copy it, and upload the copy",
            )
        recorded = path_for_record(self.path)
        identity = _identity(self.path, found, recorded)
        differs = changes(identity, _identity(self.path, opened, recorded), self._check)
        if is_another := tuple(change for change in differs if change.name in ("size", "inode")):
            raise self._changed(is_another, "is another file by now")
        return identity

    def _gone(self) -> SourceChangedError:
        return SourceChangedError(f"{self.path!r} is gone")

    def _changed(
        self, found: tuple[Change, ...], what: str = "changed while it was sent"
    ) -> SourceChangedError:
        error = SourceChangedError(f"{self.path!r} {what}: {', '.join(map(str, found))}")
        if all(change.name != "size" for change in found):
            error.advice = (
                "If nobody writes to it, its file system tells other values from one call to the "
                "next: give source_check='content', which compares the bytes instead"
            )
        return error


def identify(path: str) -> SourceIdentity:
    """What tells this state of a file from another without reading it.

    Raises:
        OSError: as os.stat does.
    """
    return _identity(path, os.stat(path), path_for_record(path))


def _make_sure_it_is_regular(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise LocalFileError(f"{path!r} is not a regular file")


def _identity(path: str, found: os.stat_result, recorded: str) -> SourceIdentity:
    if found.st_size > MAX_OBJECT_SIZE:
        raise InvalidArgumentError(f"{path!r} has {found.st_size} bytes; 48.8 TB at most")
    return SourceIdentity(
        path=recorded,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        inode=found.st_ino,
    )
