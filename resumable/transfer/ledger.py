"""The parts that the server has acknowledged, kept up to date on the disk at a small cost."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from resumable.core.checkpoint import Checkpoint, PartRecord
from resumable.core.plan import Plan
from resumable.errors import LocalFileError
from resumable.transfer.checkpoints import CheckpointFile
from resumable.transfer.scarcity import is_scarce

_log = logging.getLogger("resumable")

# After a write that took t seconds none follows for this many times t: 1 % of the time.
_PAUSE_PER_WRITE = 99
_SHORTEST_PAUSE = 0.05
_JOIN = 0.1


class Ledger:
    """The parts the server has acknowledged, in memory at once and on disk soon after.

    One thread writes the newest state while further parts gather, and rests in between, so that
    writing takes little more than 1 % of the time, however many parts there are. What a crash
    loses of it, ListParts knows. Without a file it only remembers.

    It is an aid: once it cannot be written, there is one warning, and the transfer continues.

    Args:
        begun: The checkpoint to start from.
        file: Where to keep it, or None.
        make_room: Called when there is no descriptor to write it by: fewer are to be used.
    """

    def __init__(
        self,
        begun: Checkpoint,
        file: CheckpointFile | None,
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._make_room = make_room
        self._begun = begun
        self._file = file
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
        self.flush()

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

        What cannot be written is never tried again, unless it was for want of a descriptor: they
        come free as workers end.
        """
        if self._file is None:
            return
        with self._writing:  # one at a time, or an older state could replace a newer one
            if self._broken:
                return
            with self._news:
                if not self._unwritten:
                    return
                self._unwritten = False
            parts = tuple(self.records())
            try:
                self._file.save(replace(self._begun, parts=parts))
            except LocalFileError as error:
                if is_scarce(error) and not self._closing:
                    self._unwritten = True
                    self._make_room()
                    return
                self._broken = True
                _log.warning(
                    "upload %s continues without its checkpoint, which cannot be written any more: "
                    "%s",
                    self.upload_id,
                    error,
                )
            else:
                self.saved = len(parts)

    def _write_on(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._unwritten or self._closing)
                if self._closing:
                    return
            began = time.monotonic()
            self.flush()
            pause = max(_SHORTEST_PAUSE, _PAUSE_PER_WRITE * (time.monotonic() - began))
            with self._news:
                self._news.wait_for(lambda: self._closing, timeout=pause)
