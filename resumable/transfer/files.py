"""What a transfer keeps beside the source: the only module that writes, syncs and renames files."""

import errno
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from resumable.errors import LocalFileError
from resumable.transfer.naming import beside
from resumable.transfer.scarcity import with_room

# A name that no file of the user's has: what a killed run left under it is removed.
_NEW = ".resumable-new"
_WRITE_TRIES = 3
# A file is known as one of ours by its first bytes, which are the same in every state of it.
_MARK = 15
_MAX_LEFTOVER = 8 * 1024 * 1024

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_BLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
# Opening a folder with it needs no permission to list it.
_PATH_ONLY = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0)
_DESCRIPTORS = "/proc/self/fd"
# What file systems say that cannot sync a folder, or any file.
_UNSYNCABLE = {
    errno.EACCES,
    errno.EBADF,
    errno.EINVAL,
    errno.EISDIR,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.ENOTTY,
    errno.EOPNOTSUPP,
    errno.EPERM,
}


def side_files(path: str) -> tuple[str, str]:
    """The names `write_durably` uses for this path."""
    return path, _next_state(path)


@contextmanager
def kept_folder(path: str) -> Iterator[str]:
    """A path that means the same name in the same folder for as long as the context lasts.

    The folder is opened once: neither another working folder nor what happens to the folders above
    changes where the path leads to. Where the system has no /proc, it is the path as given.

    Raises:
        OSError: the folder cannot be opened.
    """
    folder, name = os.path.split(path)
    if not name or not getattr(os, "O_PATH", 0):
        yield path
        return
    descriptor = _open(folder or ".", _PATH_ONLY)
    try:
        anchor = f"{_DESCRIPTORS}/{descriptor}"
        yield f"{anchor}/{name}" if _leads_to(anchor, descriptor) else path
    finally:
        with suppress(OSError):  # nothing was written by it
            os.close(descriptor)


def _leads_to(anchor: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(anchor), os.fstat(descriptor))
    except OSError:
        return False


def folder_identity(path: str) -> tuple[int, int] | None:
    """What tells the folder of a path from another that takes its name; None if nothing does."""
    try:
        found = os.stat(os.path.dirname(path) or ".")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def links_of(descriptor: int) -> int:
    """How many names an open file has; OSError as of os.fstat."""
    return os.fstat(descriptor).st_nlink


def write_durably(path: str, data: bytes) -> str:
    """Put a whole new file in the place of `path`, or leave what was there: the only way.

    The bytes are on the disk before the name points to them, and the name is on the disk before
    this returns. The file is readable by its owner only, from birth. Links are not followed.

    Returns:
        Why a power cut may undo it, where the file system cannot sync; else nothing.

    Raises:
        LocalFileError: a step failed. It is not tried again: after a failed fsync the pages
            count as clean although they were lost.
    """
    try:
        for tries_left in reversed(range(_WRITE_TRIES)):
            try:
                unsynced = _replace(path, data)
                break
            except (FileExistsError, FileNotFoundError):
                # Another run writes the same file, under a lock that lies: it took our new file
                # for one that was left over.
                if not tries_left or not os.path.isdir(os.path.dirname(path) or "."):
                    raise
        return unsynced or _sync_folder(path)
    except LocalFileError:
        raise
    except OSError as error:
        raise LocalFileError.of(error, "writing", path) from None


def read_bounded(path: str, limit: int) -> bytes | None:
    """The content of a regular file, up to `limit` bytes and one more; None if there is none.

    Raises:
        LocalFileError: it is a link or no regular file, or cannot be read.
    """
    try:
        flags = os.O_RDONLY | _NO_BLOCK | _NO_FOLLOW | _BINARY
        descriptor = _open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalFileError.of(error, "opening", path) from None
    try:
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = read_open(descriptor, limit + 1) if regular else b""
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LocalFileError.of(error, "reading", path) from None
    if not regular:
        raise LocalFileError(f"{path!r} is not a regular file")
    return data


def read_open(descriptor: int, limit: int) -> bytes:
    """Up to `limit` bytes of an open file, from where it stands.

    Raises:
        OSError: as os.read does.
    """
    content = b""
    while len(content) < limit and (block := os.read(descriptor, limit - len(content))):
        content += block
    return content


def rewrite_open(descriptor: int, data: bytes) -> int:
    """Make `data` the content of an open file, which nobody needs after a crash; its inode.

    Raises:
        OSError: a step failed.
    """
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    _write_all(descriptor, data)
    return os.fstat(descriptor).st_ino


def set_aside(path: str) -> str:
    """Rename a file that cannot be used to `<path>.bad` (or `.bad.1`, …), and return that name.

    Raises:
        LocalFileError: it cannot be renamed.
    """
    suffixes = itertools.chain([".bad"], (f".bad.{n}" for n in itertools.count(1)))
    names = (beside(path, suffix, len(_NEW)) for suffix in suffixes)
    bad = next(name for name in names if not os.path.lexists(name))
    try:
        os.replace(path, bad)
    except OSError as error:
        raise LocalFileError.of(error, "setting aside", path) from None
    return bad


def clear_leftover(path: str, begins: bytes) -> None:
    """Remove what a killed run left of the next state of a file written by `write_durably`.

    Args:
        path: The file.
        begins: What every state of the file begins with.

    Raises:
        LocalFileError: what is there was not made by this program, or cannot be removed.
    """
    new = _next_state(path)
    try:
        _remove_leftover(new, begins)
    except FileNotFoundError:
        return
    except LocalFileError:
        raise
    except OSError as error:
        raise LocalFileError.of(error, "removing", new) from None


def remove(path: str) -> None:
    """Remove a file; that it is gone already is fine.

    Raises:
        LocalFileError: it cannot be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LocalFileError.of(error, "removing", path) from None


def _next_state(path: str) -> str:
    return beside(path, _NEW, len(_NEW))


def _replace(path: str, data: bytes) -> str:
    new = _next_state(path)
    descriptor = _create_exclusively(new, data[:_MARK])
    try:
        _write_all(descriptor, data)
        unsynced = _sync(descriptor)
    except OSError:
        _remove_if_possible(new)
        raise
    finally:
        os.close(descriptor)
    try:
        os.replace(new, path)
    except FileNotFoundError:
        raise
    except OSError:
        _remove_if_possible(new)
        raise
    return unsynced


def _remove_if_possible(path: str) -> None:
    """Remove what could not become the next state; why it could not is the error to tell."""
    with suppress(OSError):
        os.unlink(path)


def _create_exclusively(path: str, begins: bytes) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
    with suppress(FileExistsError):
        return _open(path, flags)
    # Left by a run that was killed while it wrote; this one holds the lock.
    _remove_leftover(path, begins)
    return _open(path, flags)


def _remove_leftover(path: str, begins: bytes) -> None:
    """Remove what a killed run left, unless it is something else that has the name by chance."""
    there = read_bounded(path, _MAX_LEFTOVER)
    if there is None:
        return
    # A power cut may have kept later sectors of 512 bytes and lost the first.
    begun = there[:512].rstrip(b"\0")[: len(begins)]
    if os.lstat(path).st_nlink > 1 or len(there) > _MAX_LEFTOVER or not begins.startswith(begun):
        raise LocalFileError(
            f"{path!r} is in the way: it was not made by this program",
            advice="Move it away, or give another checkpoint_path=",
        )
    os.unlink(path)


def _open(path: str, flags: int) -> int:
    """Open a file, or make one that is readable by its owner only; raises as os.open does."""
    return with_room(lambda: os.open(path, flags, 0o600))


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(descriptor: int) -> str:
    """Bring a file or a folder to the disk; why it cannot be done here, or nothing."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        return _why_unsyncable(error)
    return ""


def _sync_folder(path: str) -> str:
    if os.name != "posix":  # Windows does not open folders; its rename is journalled
        return ""
    try:
        descriptor = _open(os.path.dirname(path) or ".", os.O_RDONLY)
    except OSError as error:
        return _why_unsyncable(error)
    try:
        return _sync(descriptor)
    finally:
        os.close(descriptor)


def _why_unsyncable(error: OSError) -> str:
    """The reason, unless the disk failed: then the error is raised."""
    if error.errno not in _UNSYNCABLE:
        raise error
    return error.strerror or str(error)
