"""A source that moves at any moment of a transfer, and the whole states it has been in.

A moment is the instant before or after a call on one of the transfer's own files, or a request to
the server. The move is made there, by the thread that has come to it, so that a story is the same
every time if there is one thread.
"""

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from resumable import (
    Bucket,
    CheckpointError,
    LocalFileError,
    NoSuchKeyError,
    ServerError,
    SourceChangedError,
)
from resumable.oss.cancellation import Cancellation
from resumable.oss.messages import Answer, WireRequest
from resumable.oss.transport import RequestsTransport
from tests.crash.uploader import operation_of
from tests.faults.disk import (
    LONGEST_RUN,
    Call,
    DiskFault,
    Ended,
    Injector,
    Setup,
    observing,
    run_upload,
)
from tests.faults.disk_campaign import PART_SIZE, Stage, wrong_next
from tests.support import content, random_bytes

_GROWTH = 70_001


class MovingFile:
    """A file, and every whole state it has been in."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self._rng = random.Random(seed)
        self.states: list[bytes] = [path.read_bytes()]

    @property
    def first(self) -> bytes:
        """What it held in the beginning."""
        return self.states[0]

    def truncate(self) -> None:
        """Cut it off somewhere."""
        os.truncate(self.path, self._rng.randrange(len(self.now())))

    def grow(self) -> None:
        """Write more at its end."""
        with self.path.open("ab") as file:
            file.write(self._rng.randbytes(_GROWTH))

    def rewrite(self) -> None:
        """Write other bytes of the same size over it."""
        self._write_over(self._rng.randbytes(len(self.now())))

    def rewrite_unseen(self) -> None:
        """Do that, and set the time of the last write back."""
        with self._time_set_back():
            self.rewrite()

    def change_byte_unseen(self) -> None:
        """Change one byte, and set the time back."""
        data = bytearray(self.now())
        data[self._rng.randrange(len(data))] ^= 1
        with self._time_set_back():
            self._write_over(bytes(data))

    def restore_unseen(self) -> None:
        """Write what it held in the beginning over it, and set the time back."""
        with self._time_set_back():
            self._write_over(self.first)

    def replace(self) -> None:
        """Rename another file of the same size and time over it."""
        self._rename_over(self._rng.randbytes(len(self.now())))

    def replace_by_copy(self) -> None:
        """Rename a copy over it."""
        self._rename_over(self.now())

    def delete(self) -> None:
        """Delete it."""
        self.path.unlink()

    def delete_and_make_anew(self) -> None:
        """Delete it, and make another of the same size and time, of the same inode if may be."""
        size = len(self.now())
        with self._time_set_back():
            self.path.unlink()
            self.path.write_bytes(self._rng.randbytes(size))

    def touch(self) -> None:
        """Change nothing but the times."""
        os.utime(self.path)

    def now(self) -> bytes:
        """What it holds."""
        return self.path.read_bytes()

    def make(self, move: "Move") -> None:
        """Make a move. One that is gone, or empty, comes back."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            self.path.write_bytes(self._rng.randbytes(len(self.first)))
        else:
            _MOVES[move](self)
        if self.path.exists():
            self.states.append(self.now())

    def _write_over(self, data: bytes) -> None:
        with self.path.open("r+b", buffering=0) as file:
            file.write(data)
            file.truncate()

    def _rename_over(self, data: bytes) -> None:
        was, other = self.path.stat(), self.path.with_name("other")
        other.write_bytes(data)
        os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
        other.replace(self.path)

    @contextmanager
    def _time_set_back(self) -> Iterator[None]:
        was = self.path.stat()
        yield
        os.utime(self.path, ns=(was.st_atime_ns, was.st_mtime_ns))


Move = Literal[
    "truncate",
    "grow",
    "rewrite",
    "rewrite_unseen",
    "change_byte_unseen",
    "restore_unseen",
    "replace",
    "replace_by_copy",
    "delete",
    "delete_and_make_anew",
    "touch",
]
_MOVES: Mapping[Move, Callable[[MovingFile], None]] = {
    "truncate": MovingFile.truncate,
    "grow": MovingFile.grow,
    "rewrite": MovingFile.rewrite,
    "rewrite_unseen": MovingFile.rewrite_unseen,
    "change_byte_unseen": MovingFile.change_byte_unseen,
    "restore_unseen": MovingFile.restore_unseen,
    "replace": MovingFile.replace,
    "replace_by_copy": MovingFile.replace_by_copy,
    "delete": MovingFile.delete,
    "delete_and_make_anew": MovingFile.delete_and_make_anew,
    "touch": MovingFile.touch,
}
MOVES: tuple[Move, ...] = tuple(_MOVES)


@dataclass(slots=True)
class Mover:
    """Counts the moments of a run, and makes the moves that are due at them.

    Attributes:
        file: What is moved.
        due: The move by the number of the moment, from 1.
        inner: Makes the calls.
    """

    file: MovingFile
    due: Mapping[int, Move]
    inner: Injector
    passed: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __call__(self, call: Call) -> Any:  # noqa: ANN401 - what the call gives
        self._moment(f"before {call.kind} of {call.role}")
        try:
            return self.inner(call)
        finally:
            self._moment(f"after {call.kind} of {call.role}")

    @contextmanager
    def among_requests(self) -> Iterator[None]:
        """Count the requests of this process as well."""
        real, mover = RequestsTransport.send, self

        def send(
            self: RequestsTransport, request: WireRequest, cancellation: Cancellation
        ) -> Answer:
            name = operation_of(request)
            mover._moment(f"before {name}")
            try:
                return real(self, request, cancellation)
            finally:
                mover._moment(f"after {name}")

        RequestsTransport.send = send  # type: ignore[method-assign]
        try:
            yield
        finally:
            RequestsTransport.send = real  # type: ignore[method-assign]

    def _moment(self, name: str) -> None:
        with self._lock:
            self.passed.append(name)
            move = self.due.get(len(self.passed))
            if move is not None:
                self.made.append(f"{move} {name}")
                self.file.make(move)


@dataclass(frozen=True, slots=True)
class Story:
    """An upload of a file that moves, on a disk that may fail too."""

    setup: Setup
    moves: Mapping[int, Move]
    seed: int = 0
    fault: DiskFault | None = None

    def __str__(self) -> str:
        moves = ", ".join(f"{move} at {moment}" for moment, move in self.moves.items())
        return f"{self.setup}; {moves}; fault {self.fault}; seed {self.seed}"


@dataclass(slots=True)
class MoveTally:
    """What came of the stories.

    Attributes:
        moves: Those made, by kind.
        moments: Those they were made at.
        ends: How the runs ended in which there was one.
        faults: Disk faults that struck.
        old: Objects that were the file as it was in the beginning, after a run with a move.
        new: Objects that were a later state of it.
    """

    stories: int = 0
    moves: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    old: int = 0
    new: int = 0
    longest: float = 0.0
    problems: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, object]]:
        """The table, as names and figures."""
        return [
            ("stories", self.stories),
            ("moves", self.moves.total()),
            *((f"  {move}", found) for move, found in sorted(self.moves.items())),
            ("kinds of moments they hit", len(self.moments)),
            ("disk faults that struck", self.faults),
            *((f"ended: {end}", found) for end, found in sorted(self.ends.items())),
            ("objects of the first state", self.old),
            ("objects of a later state", self.new),
            ("longest run", f"{self.longest:.2f} s"),
            ("violations", len(self.problems)),
        ]


def tell(stage: Stage, story: Story, tally: MoveTally) -> Mover:
    """Let a file move while it is uploaded, then upload it as it is left."""
    file, key = stage.prepare(story.setup)
    moving = MovingFile(file, story.seed)
    mover = Mover(moving, story.moves, Injector(story.fault))
    with observing(file.parent, mover), mover.among_requests():
        ended = run_upload(stage.bucket, key, file, story.setup, PART_SIZE)
    wrong = [*_wrong_end(ended, story), *_wrong_object(stage.bucket, key, moving, ended, tally)]
    if not file.exists():
        file.write_bytes(random_bytes(PART_SIZE, seed=story.seed))
    wrong += wrong_next(stage.bucket, key, file, story.setup, file.read_bytes())
    tally.stories += 1
    tally.moves.update(made.split(" ")[0] for made in mover.made)
    tally.moments.update(made.partition(" ")[2] for made in mover.made)
    tally.faults += bool(mover.inner.hits)
    tally.ends["success" if ended.error is None else type(ended.error).__name__] += 1
    tally.longest = max(tally.longest, ended.seconds)
    made = "; ".join(mover.made)
    tally.problems += [f"{what}\n  {story}\n  {made}\n  ended: {ended}" for what in wrong]
    return mover


def _wrong_end(ended: Ended, story: Story) -> Iterator[str]:
    typed = (SourceChangedError, LocalFileError)
    if ended.is_stuck:
        yield f"stuck: no end within {LONGEST_RUN:.0f} s"
    elif ended.error is not None and not isinstance(
        ended.error, typed if story.fault is None else (*typed, CheckpointError)
    ):
        yield "not an error of a source that changes"


def _wrong_object(
    bucket: Bucket, key: str, file: MovingFile, ended: Ended, tally: MoveTally
) -> Iterator[str]:
    try:
        found = content(bucket, key)
    except (NoSuchKeyError, ServerError):
        if ended.error is None:
            yield "success, and no object"
        return
    tally.old += found == file.first
    tally.new += found != file.first
    if found not in file.states:
        yield f"a mixture: {len(found)} bytes that the file never was"


def moments_of(stage: Stage, setup: Setup) -> list[str]:
    """The moments of a run in which nothing moves."""
    with suppress(RuntimeError):
        tally = MoveTally()
        mover = tell(stage, Story(setup, {}), tally)
        if not tally.problems:
            return mover.passed
    raise RuntimeError(f"a run in which nothing moved failed: {tally.problems}")
