"""What the state machine acts on: a file, its checkpoint, a key, and what is promised of them."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from resumable import (
    ListedPart,
    NoSuchKeyError,
    NoSuchUploadError,
    ResumableError,
    ServerError,
    UploadResult,
    upload_file,
)
from resumable.core.checkpoint import (
    Checkpoint,
    CheckpointFromFutureError,
    CheckpointUnreadableError,
    decode,
)
from resumable.core.reconcile import FOREIGN
from resumable.server.faults import Faults
from tests.faults.several import Ended, Order
from tests.faults.several_log import hear
from tests.faults.state_machine_stage import CALM, LONGEST_CALL, How, Stage, Trouble, Violation
from tests.support import content

_META = "x-oss-meta-tag"


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
        self._excused: set[str] = set()  # uploads that a step left, or that were reported
        self._listed: set[tuple[str, int, str]] = set()

    # What is there

    def recorded(self) -> Checkpoint | None:
        """The checkpoint, if it is one."""
        try:
            return decode(self.checkpoint.read_bytes())
        except (OSError, CheckpointUnreadableError, CheckpointFromFutureError):
            return None

    def object(self) -> bytes | None:
        """What is under the key."""
        try:
            return content(self.stage.bucket, self.key)
        except NoSuchKeyError:
            return None

    def open_uploads(self) -> list[str]:
        """Ids of the uploads to the key that the server has."""
        found = self.stage.bucket.iter_multipart_uploads(prefix=self.key)
        return [upload.upload_id for upload in found if upload.key == self.key]

    def parts(self, upload_id: str) -> list[ListedPart]:
        """The parts of an upload; none if it is gone."""
        try:
            return list(self.stage.bucket.iter_parts(self.key, upload_id))
        except NoSuchUploadError:
            return []

    def disown_checkpoint(self) -> None:
        """A step takes the checkpoint away: the upload it recorded is that step's to answer for."""
        if (found := self.recorded()) is not None:
            self.excuse(found.upload_id)

    def excuse(self, upload_id: str) -> None:
        """An upload may stay at the server."""
        self._excused.add(upload_id)
        if upload_id not in self.known:
            self.known.append(upload_id)

    # Calls, and what is promised of them

    def upload(self, how: How, trouble: Trouble = CALM) -> str:
        """Make the call in this process, and hold it to what is promised; how it ended."""
        stage, began = self.stage, time.monotonic()
        before, refusals, beside = self.object(), self._refusals(how), self._beside()
        bucket = stage.hurried if trouble.short_timeout else stage.bucket
        stuck = threading.Event()
        watchdog = threading.Timer(LONGEST_CALL, stuck.set)
        watchdog.start()
        connections = stage.connections()
        self._set_faults(trouble)
        try:
            with hear() as heard:
                result = upload_file(bucket, self.key, self.file, cancel=stuck, **asdict(how))
        except ResumableError as error:
            ended = Ended("error", type(error).__name__, str(error), heard.texts())
        except Exception as error:  # noqa: BLE001 - any other is what is looked for
            ended = Ended("crash", type(error).__name__, heard.traceback(error), heard.texts())
        else:
            ended = Ended("success", heard=heard.texts())
            self._check_sums(result)
        finally:
            watchdog.cancel()
            stage.server.faults.clear()
        if trouble.short_timeout:
            stage.settle(connections)
        self._promise(not stuck.is_set(), f"no end within {LONGEST_CALL} s: {ended}")
        ended = replace(ended, seconds=time.monotonic() - began)
        refused = ended.how != "success" or "!" not in refusals
        self._promise(refused, "the checkpoint of another transfer was made use of")
        self.check_end(how, ended, trouble, before=before, refusals=refusals)
        self._check_folder(how, ended, ended.heard)
        if not how.enable_checkpoint:
            self._promise(self._beside() == beside, "a run without a checkpoint left files")
        return ended.error or ended.how

    def in_processes(self, how: How, orders: Sequence[Order], trouble: Trouble) -> list[str]:
        """Make the call in processes at once; how each ended."""
        before, refusals = self.object(), self._refusals(how)
        uploads = set(self.open_uploads())
        connections = self.stage.connections()
        self._set_faults(trouble)
        try:
            ends = self.stage.parent.run(orders, LONGEST_CALL)
        finally:
            self.stage.server.faults.clear()
        died = sum(end.how == "killed" for end in ends)
        if died:
            self.stage.settle(connections)
            trouble = replace(trouble, lost_begins=trouble.lost_begins + died)
            if not how.enable_checkpoint:  # its parts are left, and nobody can know
                for upload_id in set(self.open_uploads()) - uploads:
                    self.excuse(upload_id)
        for end in ends:
            self.check_end(how, end, trouble, before=before, refusals=refusals)
        if not died:
            said = tuple(text for end in ends for text in end.heard)
            self._check_folder(how, next((e for e in ends if e.how == "success"), ends[0]), said)
        for name in self._set_aside():  # told by one that is dead
            (self.folder / name).unlink()
        return [end.error or end.how for end in ends]

    def order(self, how: How, die_at: int | None = None) -> Order:
        """The same call for a process."""
        endpoint, filename = self.stage.server.endpoint, str(self.file)
        return Order(endpoint, self.key, filename, die_at=die_at, **asdict(how))

    def check_end(
        self,
        how: How,
        ended: Ended,
        trouble: Trouble,
        *,
        before: bytes | None,
        refusals: frozenset[str],
    ) -> None:
        """Hold the end of a call to what is promised."""
        self.stage.tally.calls[ended.error or ended.how] += 1
        self._promise(ended.how not in ("crash", "stuck"), f"{ended}")
        now, data = self.object(), self._data()
        if ended.how == "success":
            self._promise(now in (data, *trouble.contents), "P1: the object is not the file")
            self._check_success(how)
        elif ended.how == "killed" or trouble.any_error or trouble.errors:
            whole = (before, data, *trouble.contents)
            self._promise(now in whole, "P1: neither the old object nor the file")
        else:
            self._promise(now == before, f"a failure changed the object: {ended}")
        if ended.how == "error":
            due = ended.error in refusals | trouble.errors or trouble.any_error
            self._promise(due, f"not explained: {ended}")
        self._account(ended, trouble)

    def check_records(self) -> None:
        """P3: what is recorded was acknowledged."""
        found = self.recorded()
        if found is None or found.destination.key != self.key:
            return
        parts = self.parts(found.upload_id)
        self._listed |= {(found.upload_id, part.number, part.etag) for part in parts}
        for part in found.parts if parts else ():
            known = (found.upload_id, part.number, part.etag) in self._listed
            self._promise(known, f"P3: recorded and never acknowledged: {part}")

    def check_uploads(self) -> None:
        """P7: every upload at the server is recorded, or somebody answers for it."""
        self._account(Ended("success"), CALM)

    # The promises one by one

    def _set_faults(self, trouble: Trouble) -> None:
        for rule in trouble.rules:
            self.stage.server.faults.add(rule)

    def _refusals(self, how: How) -> frozenset[str]:
        """Errors that a call may end with though nothing goes wrong; with `!` it must."""
        named = {"NoSuchUploadError", "PartNotSequentialError"} if how.upload_id else set()
        if not how.enable_checkpoint:
            return frozenset(named)
        try:
            found = decode(self.checkpoint.read_bytes())
        except CheckpointFromFutureError:
            return frozenset({"CheckpointError", "!"})
        except (FileNotFoundError, CheckpointUnreadableError):
            return frozenset(named)
        if found.destination.key != self.key:
            return frozenset({"CheckpointError", "!"})
        if how.upload_id or found.headers_digest == FOREIGN:
            return frozenset({*named, "CheckpointError", "PartNotSequentialError"})
        return frozenset()

    def _check_success(self, how: How) -> None:
        if how.metadata and how.upload_id is None:
            head = self.stage.bucket.head_object(self.key)
            told = {_META: head.headers.get(_META)}
            asked = {_META: how.metadata["tag"]}
            self._promise(told == asked, f"metadata {told} where {asked} was asked for")

    def _check_folder(self, how: How, ended: Ended, said: Sequence[str]) -> None:
        """P7: what is beside the file when all who worked on it have ended."""
        untouched = ended.error in ("CheckpointError", "TransferLockedError")
        if how.enable_checkpoint and not untouched:
            kept = set() if ended.how == "success" else {self.checkpoint.name}
            left = (self._ours() - kept) & self._beside()
            self._promise(not left, f"P7: left beside the file after {ended}: {left}")
        for name in self._set_aside():
            told = any(name in text for text in said)
            self._promise(told, f"P7: {name} appeared and nothing was said")
            (self.folder / name).unlink()

    def _check_sums(self, result: UploadResult) -> None:
        told = (result.size, result.bytes_sent + result.bytes_reused)
        size = result.size
        self._promise(told == (size, size), f"the result does not add up: {result}")

    def _account(self, ended: Ended, trouble: Trouble) -> None:
        found = self.recorded()
        recorded = {found.upload_id} if found is not None else set()
        self.known += [one for one in recorded if one not in self.known]
        told = [ended.told, *(text for text in ended.heard if "left" in text)]
        may_be_lost = trouble.lost_begins
        for upload_id in set(self.open_uploads()) - recorded - self._excused:
            if any(upload_id in text for text in told):
                self.excuse(upload_id)
            elif may_be_lost and not self.parts(upload_id):
                may_be_lost -= 1
                self.excuse(upload_id)
            else:
                self._promise(False, f"P7: nobody answers for upload {upload_id} after {ended}")

    def _data(self) -> bytes:
        return self.file.read_bytes()

    def _beside(self) -> set[str]:
        return set(os.listdir(self.folder)) - {self.file.name}

    def _set_aside(self) -> set[str]:
        return {name for name in self._beside() if ".cp.bad" in name}

    def _ours(self) -> set[str]:
        return {f"{self.checkpoint.name}{end}" for end in ("", ".lock", ".resumable-new")}

    def _promise(self, kept: bool, what: str) -> None:
        if not kept:
            steps = "\n  ".join(self.steps)
            self.stage.tally.broken.append(f"{what}\n  {steps}")
            raise Violation(what)

    def clear(self) -> None:
        """Tidy the server up, so that a thousand stories do not slow it down."""
        bucket = self.stage.bucket
        bucket.delete_object(self.key)
        for upload_id in self.open_uploads():
            try:
                bucket.abort_multipart_upload(self.key, upload_id)
            except ServerError:
                continue


def meanwhile(faults: Faults, act: Callable[[], None], call: Callable[[], str]) -> str:
    """Act while a request of the call is held at the gate `held`, if one comes there; its end."""
    over = threading.Event()

    def meet() -> None:
        while not over.is_set():
            try:
                faults.wait_reached("held", 0.02)
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
        return call()
    finally:
        over.set()
        thread.join(LONGEST_CALL)
