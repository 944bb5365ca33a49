"""The caller's paths, as they were given, and the names of the files that are kept beside them."""

import hashlib
import os

from resumable.errors import InvalidArgumentError

_LONGEST_NAME = 255
_DIGITS = 8
_LONGEST_CHARACTER = 4
_CONTINUES, _CONTINUES_MASK = 0x80, 0xC0


def path_as_given(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """The path as text, and not changed otherwise.

    The system alone knows what `link/../file` is: it is neither normalised nor made absolute.

    Raises:
        InvalidArgumentError: it is no path.
    """
    try:
        given = os.fsdecode(path)
    except TypeError:
        raise InvalidArgumentError(f"{path!r} is not a path") from None
    if "\0" in given:
        raise InvalidArgumentError(f"the path {given!r} holds a NUL")
    return given


def path_for_record(path: str) -> str:
    """The path as it is recorded: for people and for comparing, never for opening.

    The folder is told as the system finds it, links followed: `link/../file` is not `file`.
    """
    folder, name = os.path.split(path)
    try:
        told = os.path.join(os.path.realpath(folder or "."), name)
    except OSError:  # the working folder is gone
        told = path
    return told.encode("utf-8", "backslashreplace").decode()


def beside(path: str, suffix: str, room: int) -> str:
    """The path of a file that is kept beside another one: its path and a suffix.

    Where the name would be too long for the file system, it is cut at a character's border, and
    `~` and 8 hexadecimal digits of the SHA-256 of the whole name keep it apart from others.

    Args:
        path: Of the file itself.
        suffix: What is appended to its name.
        room: Bytes that the longest suffix in use takes: all names beside a file are cut alike.
    """
    folder, name = os.path.split(path)
    whole, most = os.fsencode(name), _longest_name(folder)
    if len(whole) + room <= most:
        return path + suffix
    mark = f"~{hashlib.sha256(whole).hexdigest()[:_DIGITS]}"
    end = max(0, most - room - len(mark))
    for _ in range(_LONGEST_CHARACTER - 1):
        if whole[end] & _CONTINUES_MASK == _CONTINUES:
            end -= 1
    return os.path.join(folder, os.fsdecode(whole[:end]) + mark + suffix)


def _longest_name(folder: str) -> int:
    """Bytes of a name in a folder."""
    try:
        told = os.pathconf(folder or ".", "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # not POSIX, not there, or not told
        return _LONGEST_NAME
    return min(told, _LONGEST_NAME) if told > 0 else _LONGEST_NAME
