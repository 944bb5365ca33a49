"""Which of the things that stat tells of a file count, and what follows from a difference.

Not on every file system do they stand still: replicated volumes tell other times from one call to
the next, network file systems make inode numbers up, some know no ctime and tell the time of the
call. There the content has to decide, or the caller.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from resumable.core.checkpoint import SourceIdentity

SourceCheck = Literal["strict", "content", "size"]
SOURCE_CHECKS: tuple[SourceCheck, ...] = get_args(SourceCheck)

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs between two looks at a file."""

    name: Literal["size", "mtime", "inode", "ctime"]
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.name} from {self.was} to {self.now}"


def differences(was: SourceIdentity, now: SourceIdentity) -> tuple[Change, ...]:
    """All that differs between two looks at a file."""
    found = (
        Change("size", f"{was.size}", f"{now.size}"),
        Change("mtime", _seconds(was.mtime_ns), _seconds(now.mtime_ns)),
        Change("inode", f"{was.inode}", f"{now.inode}"),
        Change("ctime", _seconds(was.ctime_ns), _seconds(now.ctime_ns)),
    )
    return tuple(change for change in found if change.was != change.now)


def changes(was: SourceIdentity, now: SourceIdentity, check: SourceCheck) -> tuple[Change, ...]:
    """What says that the file is not the one that is being sent.

    The ctime alone does not: it also moves when a file is renamed or its permissions change.
    """
    counting = ("size", "mtime", "inode") if check == "strict" else ("size",)
    return tuple(change for change in differences(was, now) if change.name in counting)


def must_be_read_again(was: SourceIdentity, now: SourceIdentity, check: SourceCheck) -> bool:
    """Whether only reading the parts that were sent tells that they are still the file's."""
    match check:
        case "strict":
            return not now.same_state(was)
        case "content":
            return True
        case "size":
            return False


def is_as_recorded(recorded: SourceIdentity, now: SourceIdentity, check: SourceCheck) -> bool:
    """Whether parts of an earlier run are the file's without being read."""
    if recorded.path != now.path:
        return False
    match check:
        case "strict":
            return now.same_state(recorded)
        case "content":
            return False
        case "size":
            return now.size == recorded.size


def _seconds(nanoseconds: int) -> str:
    whole, rest = divmod(abs(nanoseconds), _NANOSECONDS)
    return f"{'-' * (nanoseconds < 0)}{whole}.{rest:09d}".rstrip("0").rstrip(".")
