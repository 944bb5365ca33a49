"""What an upload does to the disk and hears from the server, written down in its order."""

import os
import pickle
import re
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from resumable.oss.messages import Answer, WireRequest
from tests.faults.effects import Effect


@dataclass(frozen=True, slots=True)
class Create:
    """A name was given to a new, empty file."""

    name: str
    inode: int


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes went into the page cache."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file got another size."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """The content of a file is on the disk."""

    inode: int


@dataclass(frozen=True, slots=True)
class Rename:
    """A file got another name, in the place of what had it."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """A name was taken away."""

    name: str


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """The names are on the disk."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The server has told that it has a part."""

    upload_id: str
    number: int


Event = Create | Write | Truncate | Sync | Rename | Unlink | SyncFolder | Acknowledged
PartId = tuple[str, int]  # upload id and part number


@dataclass(frozen=True, slots=True)
class Trace:
    """What one run did, and what it found.

    Attributes:
        name: What the run was.
        start: The files beside the source when it began, which are synced.
        inodes: Of these files.
        acknowledged: The parts that the server had acknowledged before.
        events: In their order.
    """

    name: str
    start: Mapping[str, bytes]
    inodes: Mapping[str, int]
    acknowledged: frozenset[PartId]
    events: Sequence[Event]


_LISTED = re.compile("<PartNumber>([0-9]+)</PartNumber>")


class Recorder:
    """Is put around the effects and hands each that has happened on, one at a time.

    Args:
        sink: Who gets them.
    """

    def __init__(self, sink: Callable[[Event], object]) -> None:
        self._sink = sink
        self._one_at_a_time = threading.RLock()

    def __call__(self, effect: Effect, do: Callable[[], Any]) -> object:
        if not effect.name.startswith("os."):
            answer = do()
            self._note_answer(effect, answer)
            return answer
        with self._one_at_a_time:
            where = _position(effect)
            outcome = do()
            event = _EVENTS[effect.name](effect.arguments, outcome, where)
            self._sink(event)
        return outcome

    def _note_answer(self, effect: Effect, answer: Answer) -> None:
        """A listed part is acknowledged, too: the answer to its sender may have been lost."""
        request: WireRequest = effect.arguments[0]
        query = parse_qs(urlsplit(request.target).query)
        numbers: list[str] = []
        if effect.name == "UploadPart" and answer.status == 200:
            numbers = query["partNumber"]
        elif effect.name == "ListParts" and answer.status == 200:
            numbers = _LISTED.findall(answer.body.decode())
        with self._one_at_a_time:
            for number in numbers:
                self._sink(Acknowledged(query["uploadId"][0], int(number)))


def appending(path: str) -> Callable[[Event], object]:
    """A sink that keeps everything in a file, whenever the process may end."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda event: os.write(descriptor, pickle.dumps(event))


def read_events(path: Path) -> list[Event]:
    """What such a sink has kept."""
    events: list[Event] = []
    with path.open("rb") as file:
        while file.peek(1):
            events.append(pickle.load(file))
    return events


def _position(effect: Effect) -> int:
    if effect.name != "os.write":
        return 0
    return os.lseek(effect.arguments[0], 0, os.SEEK_CUR)


def _inode(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino


def _synced(descriptor: int) -> Event:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        return SyncFolder()
    return Sync(_inode(descriptor))


_EVENTS: Mapping[str, Callable[[tuple[Any, ...], Any, int], Event]] = {
    "os.open": lambda given, made, _: Create(os.path.basename(given[0]), _inode(made)),
    "os.write": lambda given, made, at: Write(_inode(given[0]), at, bytes(given[1][:made])),
    "os.ftruncate": lambda given, _, __: Truncate(_inode(given[0]), given[1]),
    "os.fsync": lambda given, _, __: _synced(given[0]),
    "os.replace": lambda given, _, __: Rename(*map(os.path.basename, given)),
    "os.unlink": lambda given, _, __: Unlink(os.path.basename(given[0])),
}
