"""The checkpoint file: who may use it, what it says, and keeping it up to date at a small cost."""

import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from resumable.core.checkpoint import (
    FIRST_BYTES,
    MAX_CHECKPOINT_SIZE,
    Checkpoint,
    CheckpointFromFutureError,
    CheckpointUnreadableError,
    PartRecord,
    encode,
)
from resumable.core.plan import Plan
from resumable.errors import CheckpointError, LocalFileError, ResumableError, TransferLockedError
from resumable.transfer.files import (
    absolute,
    clear_leftover,
    links_of,
    read_bounded,
    read_open,
    remove,
    rewrite_open,
    set_aside,
    side_files,
    write_durably,
)
from resumable.transfer.source import identify

_log = logging.getLogger("resumable")

# One look, with a little patience for the moment in which another run takes its lock file away.
_LOCK_PATIENCE = 0.2
_LOCK_POLL = 0.02
_MAX_HOLDER = 8192  # a key can take six bytes for each of its characters
_UPLOAD_ID = re.compile(rb'"upload_id":\s*"([\x21\x23-\x7e]{1,1024})"')
_HOLDER_BEGINS = b'{"pid": '
# After a write that took t seconds none follows for this many times t: 1 % of the time.
_PAUSE_PER_WRITE = 99
_SHORTEST_PAUSE = 0.05
_JOIN = 0.1


def checkpoint_path_of(source: str, wish: str | os.PathLike[str] | None) -> str:
    """Where the checkpoint of a file is kept: where the caller says, else beside it."""
    return absolute(wish) if wish else f"{source}.cp"


class CheckpointFile:
    """The checkpoint at a path, and the lock beside it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock_path = f"{path}.lock"
        # Every file that a transfer writes beside the source.
        self.side_files = (*side_files(path), self.lock_path)
        self._lock_inode = -1
        self._to = ""

    @contextmanager
    def locked(self, to: str = "") -> Iterator[None]:
        """Hold the lock, so that one process works on the transfer. The kernel releases it.

        The lock file is removed while it is held; whoever waited for it notices that the file it
        locked is no longer the one at the path (filelock looks at the link count) and tries again.

        Args:
            to: Address of the object, for those who find the lock taken.

        Raises:
            TransferLockedError: another process holds it; the message says which.
            CheckpointError: it holds it for a transfer to another object; or the folder cannot
                be written to, or its file system cannot lock.
        """
        self._to = to
        if not os.path.isdir(os.path.dirname(self.path)):
            raise CheckpointError(
                f"the folder of the checkpoint {self.path!r} does not exist",
                advice="Make it, or give another checkpoint_path=",
            )
        lock = FileLock(
            self.lock_path,
            mode=0o600,
            thread_local=False,
            fallback_to_soft=False,
            poll_interval=_LOCK_POLL,
            on_acquired=self._sign_lock,
        )
        try:
            self._acquire(lock)
        except _ForeignLockError:
            raise CheckpointError(
                f"{self.lock_path!r} would be the lock of the checkpoint, but holds something else",
                advice="Give another checkpoint_path=; that file was left as it is",
            ) from None
        except OSError as error:
            raise self._not_lockable(error.strerror or str(error)) from None
        try:
            yield
        finally:
            self._remove_lock()
            lock.release()

    def load(self) -> Checkpoint | None:
        """Read the checkpoint; None if there is none, or none that can be used.

        What is torn or damaged is renamed to `<path>.bad` and told in the log.

        Raises:
            CheckpointError: a newer version wrote it, or it is a link; it is left alone.
            LocalFileError: something else has the name of its next state.
        """
        clear_leftover(self.path, FIRST_BYTES)
        try:
            data = read_bounded(self.path, MAX_CHECKPOINT_SIZE)
        except LocalFileError as error:
            raise CheckpointError(
                f"the checkpoint cannot be read: {error}",
                advice="Remove it, or give another checkpoint_path=",
            ) from None
        if data is None:
            return None
        try:
            return decoded(data)
        except CheckpointFromFutureError as error:
            raise CheckpointError(
                f"the checkpoint {self.path!r} was written by a newer release ({error})",
                advice="Finish the transfer with that release, or give another checkpoint_path=",
            ) from None
        except CheckpointUnreadableError as error:
            bad = set_aside(self.path)
            upload = _UPLOAD_ID.search(data)
            _log.warning(
                "checkpoint %r cannot be used (%s): now %r; upload %s may be left on the server",
                self.path,
                error,
                bad,
                upload[1].decode("ascii") if upload else "(unknown)",
            )
            return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint, durably and as a whole."""
        write_durably(self.path, encode(checkpoint))

    def delete(self) -> None:
        """Remove the checkpoint. That it cannot be removed is told in the log: it does no harm."""
        try:
            remove(self.path)
        except LocalFileError as error:
            _log.warning("the checkpoint is left behind: %s", error)

    def _acquire(self, lock: FileLock) -> None:
        # If it is not there after all, its holder has ended since the last try; but only once.
        for _ in range(2):
            try:
                lock.acquire(timeout=_LOCK_PATIENCE)
            except Timeout:
                if os.path.lexists(self.lock_path):
                    raise self._held_by_another() from None
            else:
                return
        raise self._not_lockable("it can neither be made nor found")

    def _sign_lock(self, descriptor: int) -> None:
        """Write who holds the lock into its file, for the message of those who find it taken."""
        # After a power cut a longer record's old size may be there, filled up with zeros.
        there = read_open(descriptor, _MAX_HOLDER + 1).rstrip(b"\0")
        ours = _parse_holder(there) is not None or _is_torn(there)
        if not ours or len(there) > _MAX_HOLDER or links_of(descriptor) > 1:
            raise _ForeignLockError
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder: dict[str, object] = {"pid": os.getpid(), "host": socket.gethostname()}
        holder |= {"since": since} | ({"to": self._to} if self._to else {})
        self._lock_inode = rewrite_open(descriptor, json.dumps(holder).encode())

    def _remove_lock(self) -> None:
        try:
            # If somebody took ours away, the one there now is another run's.
            if os.name == "posix" and identify(self.lock_path).inode == self._lock_inode:
                remove(self.lock_path)
        except OSError as error:
            _log.warning("the lock file %r could not be removed: %s", self.lock_path, error)

    def _not_lockable(self, why: str) -> CheckpointError:
        return CheckpointError(
            f"the lock {self.lock_path!r} of the checkpoint cannot be taken: {why}",
            advice="Give checkpoint_path= on a local disk that can be written to",
        )

    def _held_by_another(self) -> TransferLockedError | CheckpointError:
        try:
            content = read_bounded(self.lock_path, _MAX_HOLDER) or b""
        except LocalFileError:
            content = b""
        holder, to = _parse_holder(content) or "another process", _parse_address(content)
        works = f"{holder} works on the checkpoint {self.path!r} and holds {self.lock_path!r}"
        if self._to and to not in ("", self._to):
            return CheckpointError(
                f"{works}: it transfers to {to}, and this is a transfer to {self._to}",
                advice="Give checkpoint_path= to run both, or wait for the other one to end",
            )
        return TransferLockedError(
            works,
            advice="Wait for it to end, or give another checkpoint_path= for another transfer",
        )


def decoded(data: bytes) -> Checkpoint:
    """Read the bytes of a checkpoint file.

    Raises:
        CheckpointFromFutureError: a newer version wrote it.
        CheckpointUnreadableError: it is anything else than a whole, valid checkpoint.
        CheckpointError: what reads it cannot be loaded, for want of open files or the like.
    """
    try:
        # It takes pydantic along, which a first upload has no use for.
        from resumable.core.checkpoint_reading import decode  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise CheckpointError(f"what reads checkpoints cannot be loaded: {error}") from None
    return decode(data)


class _ForeignLockError(Exception):
    """The file at the lock's path was not made by this program."""


def _is_torn(content: bytes) -> bool:
    """Whether a crash may have left this of what this program wrote: a beginning, or zeros."""
    begun = content.strip(b"\0")
    is_whole = begun.endswith(b"}")
    return not is_whole and (begun.startswith(_HOLDER_BEGINS) or _HOLDER_BEGINS.startswith(begun))


def _parse_holder(content: bytes) -> str | None:
    try:
        told = json.loads(content)
        return f"process {told['pid']:d} on {told['host']!s:.100}, since {told['since']!s:.40},"
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _parse_address(content: bytes) -> str:
    """Where the holder of a lock transfers to, or nothing."""
    try:
        told = json.loads(content)["to"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return told if isinstance(told, str) else ""


class Ledger:
    """The parts the server has acknowledged, in memory at once and on disk soon after.

    One thread writes the newest state while further parts gather, and rests in between, so that
    writing takes little more than 1 % of the time, however many parts there are. What a crash
    loses of it, ListParts knows. Without a file it only remembers.

    Args:
        begun: The checkpoint to start from.
        file: Where to keep it, or None.
        failed: Told once, from the writing thread, if it cannot be written.
    """

    def __init__(
        self,
        begun: Checkpoint,
        file: CheckpointFile | None,
        failed: Callable[[ResumableError], None],
    ) -> None:
        self._begun = begun
        self._file = file
        self._failed = failed
        self.saved = len(begun.parts)  # how many parts the file holds
        self._writing = threading.Lock()
        self._records = {record.number: record for record in begun.parts}
        self._news = threading.Condition()
        self._unwritten = False
        self._closing = False
        self._broken = False
        self._thread = threading.Thread(target=self._write_on, name="checkpoint", daemon=True)

    def __enter__(self) -> Self:
        if self._file is not None:
            try:
                self._thread.start()
            except RuntimeError as error:
                _log.warning("the checkpoint is only written at the end: %s", error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the last state, whatever ended the transfer."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        while self._thread.is_alive():
            self._thread.join(_JOIN)  # in turns, so that a second Ctrl-C is heard
        try:
            self.flush()
        except ResumableError as unwritten:
            if error is None:
                raise
            # What ended the transfer is the news; ListParts knows what this would have told.
            _log.warning("the checkpoint could not be brought up to date: %s", unwritten)

    @property
    def upload_id(self) -> str:
        """The upload the parts belong to."""
        return self._begun.upload_id

    @property
    def plan(self) -> Plan:
        """How the file is cut."""
        return self._begun.plan

    def records(self) -> list[PartRecord]:
        """The acknowledged parts, ascending."""
        with self._news:
            return [self._records[number] for number in sorted(self._records)]

    def record(self, part: PartRecord) -> None:
        """Note an acknowledged part."""
        with self._news:
            self._records[part.number] = part
            self._unwritten = True
            self._news.notify_all()

    def keep_only(self, numbers: set[int]) -> None:
        """Strike the parts that turned out not to be at the server."""
        with self._news:
            self._records = {n: part for n, part in self._records.items() if n in numbers}
            self._unwritten = True

    def flush(self) -> None:
        """Write what is not written yet, now.

        Raises:
            LocalFileError: it cannot be written.
        """
        if self._file is None or self._broken:
            return
        with self._writing:  # one at a time, or an older state could replace a newer one
            with self._news:
                if not self._unwritten:
                    return
                self._unwritten = False
            parts = tuple(self.records())
            self._file.save(replace(self._begun, parts=parts))
            self.saved = len(parts)

    def _write_on(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._unwritten or self._closing)
                if self._closing:
                    return
            began = time.monotonic()
            try:
                self.flush()
            except ResumableError as error:
                # Writing again would only lengthen the list of what went wrong.
                self._broken = True
                self._failed(error)
                return
            pause = max(_SHORTEST_PAUSE, _PAUSE_PER_WRITE * (time.monotonic() - began))
            with self._news:
                self._news.wait_for(lambda: self._closing, timeout=pause)
