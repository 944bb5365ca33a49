"""What a transfer keeps beside the source: the only module that writes, syncs and renames files."""

import itertools
import os
import stat
from contextlib import suppress

from resumable.errors import InvalidArgumentError, LocalFileError

# A name that no file of the user's has: what a killed run left under it is removed.
_NEW = ".resumable-new"
_WRITE_TRIES = 3
# A file is known as one of ours by its first bytes, which are the same in every state of it.
_MARK = 15
_MAX_LEFTOVER = 8 * 1024 * 1024

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_BLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def absolute(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """The path from the root, so that it means the same file when the folder is changed.

    Raises:
        InvalidArgumentError: it is no path.
    """
    try:
        whole = os.path.abspath(os.fsdecode(path))
    except TypeError:
        raise InvalidArgumentError(f"{path!r} is not a path") from None
    if "\0" in whole:
        raise InvalidArgumentError(f"the path {whole!r} holds a NUL")
    return whole


def side_files(path: str) -> tuple[str, str]:
    """The names `write_durably` uses for this path."""
    return path, path + _NEW


def links_of(descriptor: int) -> int:
    """How many names an open file has; OSError as of os.fstat."""
    return os.fstat(descriptor).st_nlink


def write_durably(path: str, data: bytes) -> None:
    """Put a whole new file in the place of `path`, or leave what was there: the only way.

    The bytes are on the disk before the name points to them, and the name is on the disk before
    this returns. The file is readable by its owner only, from birth. Links are not followed.

    Raises:
        LocalFileError: a step failed. It is not tried again: after a failed fsync the pages
            count as clean although they were lost.
    """
    try:
        for tries_left in reversed(range(_WRITE_TRIES)):
            try:
                _replace(path, data)
                break
            except (FileExistsError, FileNotFoundError):
                # Another run writes the same file, under a lock that lies: it took our new file
                # for one that was left over.
                if not tries_left or not os.path.isdir(os.path.dirname(path)):
                    raise
        _sync_folder(path)
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
        descriptor = os.open(path, flags)
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
    names = itertools.chain([f"{path}.bad"], (f"{path}.bad.{n}" for n in itertools.count(1)))
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
    try:
        _remove_leftover(path + _NEW, begins)
    except FileNotFoundError:
        return
    except LocalFileError:
        raise
    except OSError as error:
        raise LocalFileError.of(error, "removing", path + _NEW) from None


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


def _replace(path: str, data: bytes) -> None:
    new = path + _NEW
    descriptor = _create_exclusively(new, data[:_MARK])
    try:
        _write_all(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        remove(new)
        raise
    finally:
        os.close(descriptor)
    os.replace(new, path)


def _create_exclusively(path: str, begins: bytes) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
    with suppress(FileExistsError):
        return os.open(path, flags, 0o600)
    # Left by a run that was killed while it wrote; this one holds the lock.
    _remove_leftover(path, begins)
    return os.open(path, flags, 0o600)


def _remove_leftover(path: str, begins: bytes) -> None:
    """Remove what a killed run left, unless it is something else that has the name by chance."""
    there = read_bounded(path, _MAX_LEFTOVER)
    if there is None:
        return
    # A power cut may have kept later sectors of 512 bytes and lost the first.
    begun = there[:512].rstrip(b"\0")[: len(begins)]
    if os.lstat(path).st_nlink > 1 or len(there) > _MAX_LEFTOVER or not begins.startswith(begun):
        raise LocalFileError(f"{path!r} is in the way: it was not made by this program")
    os.unlink(path)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(path: str) -> None:
    if os.name != "posix":  # Windows does not open folders; its rename is journalled
        return
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
