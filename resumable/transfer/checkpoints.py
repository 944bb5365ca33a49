"""The checkpoint file: who may use it, what it says, and keeping it up to date at a small cost."""

import errno
import json
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from resumable.core.checkpoint import (
    FIRST_BYTES,
    MAX_CHECKPOINT_SIZE,
    Checkpoint,
    CheckpointFromFutureError,
    CheckpointUnreadableError,
    encode,
    may_be_checkpoint,
)
from resumable.errors import CheckpointError, LocalFileError, TransferLockedError
from resumable.transfer.files import (
    clear_leftover,
    folder_identity,
    kept_folder,
    links_of,
    read_bounded,
    read_open,
    remove,
    rewrite_open,
    set_aside,
    side_files,
    write_durably,
)
from resumable.transfer.naming import beside, path_as_given
from resumable.transfer.scarcity import with_room
from resumable.transfer.source import identify

_log = logging.getLogger("resumable")

# One look, with a little patience for the moment in which another run takes its lock file away.
_LOCK_PATIENCE = 0.2
_LOCK_POLL = 0.02
_MAX_HOLDER = 8192  # a key can take six bytes for each of its characters
_UPLOAD_ID = re.compile(rb'"upload_id":\s*"([\x21\x23-\x7e]{1,1024})"')
_HOLDER_BEGINS = b'{"pid": '
# What opening something else than a file fails with; None: it is opened, and then seen.
_NO_FILES = (None, errno.ELOOP, errno.ENXIO, errno.ENOTDIR)
_SUFFIX, _LOCK_SUFFIX = ".cp", ".lock"
# Of the longest suffix of a checkpoint's name, that of its next state.
_ROOM = 14


def checkpoint_path_of(source: str, wish: str | os.PathLike[str] | None) -> str:
    """Where the checkpoint of a file is kept: where the caller says, else beside it."""
    return path_as_given(wish) if wish else beside(source, _SUFFIX, len(_SUFFIX) + _ROOM)


class CheckpointFile:
    """The checkpoint at a path, and the lock beside it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock_path = beside(path, _LOCK_SUFFIX, _ROOM)
        # Every file that a transfer writes beside the source.
        self.side_files = (*side_files(path), self.lock_path)
        self._lock_inode = -1
        self._to = ""
        # The same while the folder is kept open.
        self._at, self._lock_at = self.path, self.lock_path
        self._is_unsynced = False
        # Where the folder cannot be kept open: which one it was.
        self._folder: tuple[int, int] | None = None

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
        if not os.path.isdir(os.path.dirname(self.path) or "."):
            raise CheckpointError(
                f"the folder of the checkpoint {self.path!r} does not exist",
                advice="Make it, or give another checkpoint_path=",
            )
        with self._kept_in_folder(), self._held_lock():
            yield

    @contextmanager
    def _kept_in_folder(self) -> Iterator[None]:
        with ExitStack() as kept:
            try:
                self._at = kept.enter_context(kept_folder(self.path))
            except OSError as error:
                raise self._not_lockable(error.strerror or str(error)) from None
            self._lock_at = beside(self._at, _LOCK_SUFFIX, _ROOM)
            self._folder = folder_identity(self.path) if self._at == self.path else None
            try:
                yield
            except LocalFileError as error:
                self._name_as_given(error)
                raise
            finally:
                self._at, self._lock_at = self.path, self.lock_path
                self._folder = None

    @contextmanager
    def _held_lock(self) -> Iterator[None]:
        lock = FileLock(
            self._lock_at,
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
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise self._not_lockable(reason) from None
        try:
            yield
        finally:
            self._remove_lock()
            lock.release()

    def has_left_something(self) -> bool:
        """Whether an earlier run has left a checkpoint here, whole or damaged, or its lock.

        Nothing is changed or locked.

        Raises:
            CheckpointError: there is a file, but it cannot be read.
        """
        states = (self._content_of(path) for path in side_files(self.path))
        if any(state is not None and may_be_checkpoint(state) for state in states):
            return True
        lock = self._content_of(self.lock_path)
        return lock is not None and (_parse_holder(lock) is not None or _is_torn(lock))

    def _content_of(self, path: str) -> bytes | None:
        try:
            return read_bounded(path, MAX_CHECKPOINT_SIZE)
        except LocalFileError as error:
            if error.errno in _NO_FILES:
                return None
            raise self._unreadable(error) from None

    def load(self) -> Checkpoint | None:
        """Read the checkpoint; None if there is none, or none that can be used.

        A torn or damaged one is renamed to `<path>.bad`, with a warning in the log.

        Raises:
            CheckpointError: a newer version wrote it, or it is a link or another file of the
                user's; it is left alone.
            LocalFileError: something else has the name of its next state.
        """
        clear_leftover(self._at, FIRST_BYTES)
        try:
            data = read_bounded(self._at, MAX_CHECKPOINT_SIZE)
        except LocalFileError as error:
            self._name_as_given(error)
            raise self._unreadable(error) from None
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
            if not may_be_checkpoint(data):
                raise CheckpointError(
                    f"{self.path!r} has the name of the checkpoint, but is another file",
                    advice="Give another checkpoint_path=, or move that file; it was left as it is",
                ) from None
            bad = self._as_given(set_aside(self._at))
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
        """Write the checkpoint, durably and as a whole.

        Where the file system cannot sync, a power cut may undo it: there is one warning.

        Raises:
            LocalFileError: it cannot be written.
        """
        try:
            self._make_sure_of_folder()
            unsynced = write_durably(self._at, encode(checkpoint))
        except LocalFileError as error:
            self._name_as_given(error)
            raise
        if unsynced and not self._is_unsynced:
            self._is_unsynced = True
            _log.warning(
                "checkpoint %r of upload %s may not survive a power cut: it cannot be synced: %s",
                self.path,
                checkpoint.upload_id,
                unsynced,
            )

    def delete(self) -> None:
        """Remove the checkpoint. That it cannot be removed is told in the log: it does no harm."""
        try:
            self._make_sure_of_folder()
            remove(self._at)
        except LocalFileError as error:
            self._name_as_given(error)
            _log.warning("the checkpoint is left behind: %s", error)

    def _make_sure_of_folder(self) -> None:
        if self._folder is None:
            return
        if (now := folder_identity(self.path)) not in (None, self._folder):
            raise LocalFileError(
                f"another folder has taken the place of that of {self.path!r} ({now})"
            )

    def _acquire(self, lock: FileLock) -> None:
        # If it is not there after all, its holder has ended since the last try; but only once.
        for _ in range(2):
            try:
                with_room(lambda: lock.acquire(timeout=_LOCK_PATIENCE))
            except Timeout:
                if os.path.lexists(self._lock_at):
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
            if os.name == "posix" and identify(self._lock_at).inode == self._lock_inode:
                remove(self._lock_at)
        except FileNotFoundError:  # with its folder
            return
        except OSError as error:
            _log.warning("the lock file %r could not be removed: %s", self.lock_path, error)

    def _as_given(self, at: str) -> str:
        """What stands for a path in the folder that is kept open, for people."""
        kept, given = (
            path[: len(path) - len(os.path.basename(path))] for path in (self._at, self.path)
        )
        return at if kept == given else at.replace(kept, given)

    def _name_as_given(self, error: LocalFileError) -> None:
        error.message = self._as_given(error.message)
        if isinstance(error.filename, str):
            error.filename = self._as_given(error.filename)

    def _unreadable(self, error: LocalFileError) -> CheckpointError:
        return CheckpointError(
            f"the checkpoint cannot be read: {error}",
            advice="Make it readable, or give another checkpoint_path=",
        )

    def _not_lockable(self, why: str) -> CheckpointError:
        return CheckpointError(
            f"the lock {self.lock_path!r} of the checkpoint cannot be taken: {why}",
            advice="Give checkpoint_path= on a local disk that can be written to",
        )

    def _held_by_another(self) -> TransferLockedError | CheckpointError:
        try:
            content = read_bounded(self._lock_at, _MAX_HOLDER) or b""
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
        decode = with_room(_decoder)
    except (ImportError, OSError) as error:
        raise CheckpointError(f"what reads checkpoints cannot be loaded: {error}") from None
    return decode(data)


def _decoder() -> Callable[[bytes], Checkpoint]:
    # It takes pydantic along, which a first upload has no use for.
    from resumable.core.checkpoint_reading import decode  # noqa: PLC0415

    return decode


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
