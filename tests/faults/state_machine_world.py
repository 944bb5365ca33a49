"""What the state machine acts on: a file, its checkpoint and a key, and the calls for them."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from resumable import ResumableError, UploadResult, upload_file
from resumable.core.checkpoint import (
    Checkpoint,
    CheckpointFromFutureError,
    CheckpointUnreadableError,
)
from resumable.core.checkpoint_reading import decode
from resumable.server.faults import Faults
from tests.faults.several import Ended, Order
from tests.faults.several_log import hear
from tests.faults.state_machine_stage import CALM, LONGEST_CALL, How, Stage, Trouble, Violation


class World:
    """A file, its checkpoint and a key, and what is known of them."""

    def __init__(self, stage: Stage) -> None:
        stage.tally.stories += 1
        self.stage = stage
        self.key = f"story/{stage.tally.stories}"
        self.folder = stage.folder / f"files-{stage.tally.stories}"
        self.folder.mkdir()
        self.file = self.folder / "example.bin"
        self.checkpoint = self.folder / "example.bin.cp"
        self.steps: list[str] = []
        self.known: list[str] = []  # uploads, for steps that name one
        self.begun: dict[str, How] = {}  # for what calls the recorded uploads were begun
        self.excused: set[str] = set()  # uploads that a step left, or that were reported

    # What is there

    def recorded(self) -> Checkpoint | None:
        """The checkpoint, if it is one."""
        try:
            return decode(self.checkpoint.read_bytes())
        except (OSError, CheckpointUnreadableError, CheckpointFromFutureError):
            return None

    def object(self) -> bytes | None:
        """What is under the key."""
        found = self.stage.shelf.object(self.key)
        return None if found is None else found[1]

    def beside(self) -> set[str]:
        """The names of what lies beside the file."""
        return set(os.listdir(self.folder)) - {self.file.name}

    def disown_checkpoint(self) -> None:
        """A step takes the checkpoint away: the upload it recorded is that step's to answer for."""
        if (found := self.recorded()) is not None:
            self.excuse(found.upload_id)

    def excuse(self, upload_id: str) -> None:
        """An upload may stay at the server."""
        self.excused.add(upload_id)
        self.note(upload_id)

    def note(self, upload_id: str) -> None:
        """An upload is known, and may be named by a later step."""
        if upload_id not in self.known:
            self.known.append(upload_id)

    # Calls

    def call(self, how: How, trouble: Trouble = CALM) -> tuple[Ended, UploadResult | None]:
        """Make the call in this process; how it ended, and its result."""
        stage, began, result = self.stage, time.monotonic(), None
        bucket = stage.hurried if trouble.short_timeout else stage.bucket
        stuck = threading.Event()
        watchdog = threading.Timer(LONGEST_CALL, stuck.set)
        watchdog.start()
        connections = stage.connections()
        try:
            with hear() as heard:
                result = upload_file(bucket, self.key, self.file, cancel=stuck, **asdict(how))
        except ResumableError as error:
            ended = Ended("error", type(error).__name__, str(error), heard.texts())
        except Exception as error:  # noqa: BLE001 - any other is what is looked for
            ended = Ended("crash", type(error).__name__, heard.traceback(error), heard.texts())
        else:
            ended = Ended("success", heard=heard.texts())
        finally:
            watchdog.cancel()
        if trouble.short_timeout:
            stage.settle(connections)
        self.promise(not stuck.is_set(), f"no end within {LONGEST_CALL} s: {ended}")
        return replace(ended, seconds=time.monotonic() - began), result

    def in_processes(self, orders: Sequence[Order]) -> list[Ended]:
        """Make calls in processes at once; how each ended."""
        connections = self.stage.connections()
        ends = self.stage.parent.run(orders, LONGEST_CALL)
        if any(end.how == "killed" for end in ends):
            self.stage.settle(connections)
        return ends

    def order(self, how: How, die_at: int | None = None) -> Order:
        """The same call for a process."""
        endpoint, filename = self.stage.server.endpoint, str(self.file)
        return Order(endpoint, self.key, filename, die_at=die_at, **asdict(how))

    def promise(self, kept: bool, what: str) -> None:
        """Raise Violation if a promise was broken."""
        if not kept:
            steps = "\n  ".join(self.steps)
            self.stage.tally.broken.append(f"{what}\n  {steps}")
            raise Violation(what)

    def clear(self) -> None:
        """Tidy up, so that a thousand stories neither slow the server down nor fill the disk."""
        for key in (self.key, self.other_key):
            self.stage.shelf.clear(key)
        shutil.rmtree(self.folder)

    @property
    def other_key(self) -> str:
        """A key that another file is uploaded to."""
        return f"{self.key}-other"


def meanwhile(
    faults: Faults, at: tuple[str, int], act: Callable[[], None], call: Callable[[], str]
) -> None:
    """Act while a request of the call is held, if one comes so far.

    Args:
        faults: Those of the server; the call clears them in the end.
        at: The operation of the request, and how many of its kind pass before it.
        act: What to do meanwhile.
        call: The call.
    """
    operation, skip = at
    effect = {"gate": "held", "at": "before"}
    faults.add({"operation": operation, "skip": skip, "effect": effect})
    over = threading.Event()

    def meet() -> None:
        while not over.is_set():
            try:
                faults.wait_reached("held", 0.005)
            except TimeoutError:
                continue
            try:
                act()
            finally:
                faults.release("held")
            return

    thread = threading.Thread(target=meet)
    thread.start()
    try:
        call()
    finally:
        over.set()
        thread.join(LONGEST_CALL)
