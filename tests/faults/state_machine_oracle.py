"""What is promised of the calls of the state machine, and the looks that tell whether it is kept.

What the server has is read from its store, and what a call owes is worked out from that, from the
file and from the checkpoint before it is made.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from resumable import UploadResult
from resumable.core.checkpoint import (
    Checkpoint,
    CheckpointFromFutureError,
    CheckpointUnreadableError,
)
from resumable.core.checkpoint_reading import decode
from resumable.core.plan import Plan
from resumable.core.reconcile import FOREIGN
from tests.faults.several import Ended
from tests.faults.state_machine_stage import CALM, WRONG_ETAG, How, Trouble
from tests.faults.state_machine_world import World

_META = "x-oss-meta-tag"
_BEGINNING = b'{"destination":'
_OURS = ("", ".lock", ".resumable-new")


@dataclass(frozen=True, slots=True)
class Debt:
    """What a call owes to the checkpoint that it finds.

    Attributes:
        part_size: The one it has to stay with if it takes the upload up.
        upload_id: The upload it has to take up, or nothing if that is not known.
        parts: How many parts it must not send again then.
    """

    part_size: int
    upload_id: str = ""
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Before:
    """How things are before a call.

    Attributes:
        content: The object.
        beside: What lies beside the file.
        refusals: Errors that the call may end with though nothing goes wrong.
        refuses: Whether it must end with one of them.
        debt: What it owes, if anything is recorded that it may use.
    """

    content: bytes | None
    beside: frozenset[str]
    refusals: frozenset[str]
    refuses: bool
    debt: Debt | None


class Oracle:
    """Makes the calls of a world, and holds them to what is promised."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stage = world.stage
        self._acknowledged: set[tuple[str, int, str]] = set()

    def upload(self, how: How, trouble: Trouble = CALM) -> str:
        """Make the call in this process; how it ended."""
        world, before = self._world, self._before(how)
        self._set_faults(trouble)
        try:
            ended, result = world.call(how, trouble)
        finally:
            self._stage.server.faults.clear()
        self._check_end(how, ended, trouble, before)
        if result is not None:
            self._check_result(result, trouble, before)
        self._check_folder(how, ended, ended.heard)
        if not how.enable_checkpoint:
            left = world.beside()
            self._promise(left == before.beside, "a run without a checkpoint left files")
        self.check_records()
        return ended.error or ended.how

    def in_processes(self, how: How, living: int, die_at: int) -> None:
        """Make the call in processes at once, one of which dies if it gets as far as that."""
        world, shelf = self._world, self._stage.shelf
        before, uploads = self._before(how), set(shelf.uploads(world.key))
        orders = [world.order(how)] * living + [world.order(how, die_at)]
        ends = world.in_processes(orders)
        died = sum(end.how == "killed" for end in ends)
        locked = frozenset({"TransferLockedError"} if living else ())
        trouble = Trouble(errors=locked, lost_begins=died)
        if died and not how.enable_checkpoint:  # its parts are left, and nobody can know
            for upload_id in set(shelf.uploads(world.key)) - uploads:
                world.excuse(upload_id)
        said = tuple(text for end in ends for text in (*end.heard, end.told))
        for end in ends:
            self._check_end(how, replace(end, heard=said), trouble, before)
        if not died:
            ended = next((end for end in ends if end.how == "success"), ends[0])
            self._check_folder(how, ended, said)
        for name in self._set_aside():  # told by one that is dead
            (world.folder / name).unlink()

    def takes_lock(self, how: How) -> bool:
        """Whether a call locks the transfer: one part needs no checkpoint, unless one was left."""
        world = self._world
        name, size = world.checkpoint.name, world.file.stat().st_size
        is_left = any(f"{name}{end}" in world.beside() for end in _OURS)
        return how.enable_checkpoint and (is_left or size > how.part_size)

    def second_call(self, *, locked: bool) -> None:
        """Make the call while another one works on the same transfer, and has locked it or not."""
        ended, _ = self._world.call(How())
        self._stage.tally.calls[f"second: {ended.error or ended.how}"] += 1
        if not locked:
            whole = self._world.object() == self._world.file.read_bytes()
            self._promise(ended.how == "success" and whole, f"a second call failed: {ended}")
            return
        is_told = ended.error == "TransferLockedError" and f"process {os.getpid()} " in ended.told
        self._promise(is_told, f"P5: a second call was not told who works: {ended}")

    def check_records(self) -> None:
        """P3: what is recorded was acknowledged."""
        found, shelf = self._world.recorded(), self._stage.shelf
        if found is None or found.destination.key != self._world.key:
            return
        upload = shelf.uploads(self._world.key).get(found.upload_id)
        if upload is None:
            return
        there = shelf.parts(upload)
        self._acknowledged |= {(found.upload_id, n, there[n].etag) for n in there}
        for part in found.parts:
            known = (found.upload_id, part.number, part.etag) in self._acknowledged
            known = known or part.etag == WRONG_ETAG
            self._promise(known, f"P3: recorded and never acknowledged: {part}")

    def check_uploads(self) -> None:
        """P7: every upload at the server is recorded, or somebody answers for it."""
        self._account(Ended("success"), CALM)

    def check_last_call(self) -> None:
        """After whatever has happened the file is there."""
        whole = self._world.object() == self._world.file.read_bytes()
        self._promise(whole, "the last call did not succeed")
        self.check_uploads()

    # Before a call

    def _before(self, how: How) -> Before:
        world = self._world
        refusals, refuses = self._refusals(how)
        debt = None if refuses else self._debt(how)
        return Before(world.object(), frozenset(world.beside()), refusals, refuses, debt)

    def _refusals(self, how: How) -> tuple[frozenset[str], bool]:
        """Errors that a call may end with though nothing goes wrong; whether it must."""
        named = self._refusals_of_named(how.upload_id) if how.upload_id else frozenset[str]()
        if how.enable_checkpoint and self._is_of_another_transfer(how):
            return frozenset({"CheckpointError"}), not self._is_left_alone(how)
        return named, False

    def _is_left_alone(self, how: How) -> bool:
        """Whether there is a file of the user's, which a file of one part does not need."""
        size = self._world.file.stat().st_size
        return how.upload_id is None and size <= how.part_size and not self._is_begun_like_ours()

    def _is_of_another_transfer(self, how: How) -> bool:
        """Whether the checkpoint is not to be touched by such a call."""
        try:
            found = decode(self._world.checkpoint.read_bytes())
        except CheckpointFromFutureError:
            return True
        except FileNotFoundError:
            return False
        except CheckpointUnreadableError:
            return not self._is_begun_like_ours()
        return (
            found.destination.key != self._world.key
            or how.upload_id not in (None, found.upload_id)
            # What an upload that somebody else began will become is not known.
            or (found.headers_digest == FOREIGN and bool(how.metadata or how.sequential))
        )

    def _is_begun_like_ours(self) -> bool:
        """Whether what is damaged begins as a checkpoint does, as far as it goes, or is zeros."""
        begun = self._world.checkpoint.read_bytes()[: len(_BEGINNING)].rstrip(b"\0")
        return _BEGINNING.startswith(begun)

    def _refusals_of_named(self, upload_id: str) -> frozenset[str]:
        upload = self._stage.shelf.uploads(self._world.key).get(upload_id)
        if upload is None:
            return frozenset({"NoSuchUploadError"})
        return frozenset({"PartNotSequentialError"} if upload.sequential else ())

    def _debt(self, how: How) -> Debt | None:
        world, shelf = self._world, self._stage.shelf
        found = world.recorded() if how.enable_checkpoint else None
        if found is None:
            return None
        begun, upload = world.begun.get(found.upload_id), shelf.uploads(world.key)
        plan = Plan(world.file.stat().st_size, found.part_size)
        asked = (how.upload_id, how.metadata, how.sequential)
        is_open = found.upload_id in upload and plan.count > 1
        # A sequential upload has no place for a part that changed.
        same = begun is not None and asked == (None, begun.metadata, False) and not begun.sequential
        if not (is_open and same):
            return Debt(found.part_size)
        return Debt(found.part_size, found.upload_id, self._reusable(found, plan))

    def _reusable(self, found: Checkpoint, plan: Plan) -> int:
        """How many parts of the file the server has, and nothing that is recorded denies it."""
        shelf, data = self._stage.shelf, self._world.file.read_bytes()
        there = shelf.parts(shelf.uploads(self._world.key)[found.upload_id])
        records = {record.number: record.etag for record in found.parts}
        return sum(
            part.number in there
            and there[part.number].etag == records.get(part.number, there[part.number].etag)
            and shelf.content(there[part.number]) == data[part.offset : part.offset + part.size]
            for part in plan
        )

    # After a call

    def _check_end(self, how: How, ended: Ended, trouble: Trouble, before: Before) -> None:
        world = self._world
        self._stage.tally.calls[ended.error or ended.how] += 1
        self._promise(ended.how not in ("crash", "stuck"), f"{ended}")
        now, data = world.object(), world.file.read_bytes()
        if ended.how == "success":
            self._promise(not before.refuses, "the checkpoint of another transfer was made use of")
            self._promise(now in (data, *trouble.contents), "P1: the object is not the file")
            self._check_metadata(how)
        elif ended.how == "killed" or trouble.any_error or trouble.errors:
            whole = (before.content, data, *trouble.contents)
            self._promise(now in whole, "P1: neither the old object nor the file")
        else:
            self._promise(now == before.content, f"a failure changed the object: {ended}")
        if ended.how == "error":
            due = ended.error in before.refusals | trouble.errors or trouble.any_error
            self._promise(due, f"not explained: {ended}")
        self._account(ended, trouble)
        self._learn(how)

    def _check_result(self, result: UploadResult, trouble: Trouble, before: Before) -> None:
        found = self._stage.shelf.object(self._world.key)
        assert found is not None
        record, data = found
        told = (result.crc64, result.etag, result.bytes_sent + result.bytes_reused)
        # It is told as the server tells it, be it wrong or missing.
        lied = result.etag in ("", WRONG_ETAG)
        there = (record.crc64, result.etag if lied else record.etag.strip('"'), len(data))
        self._promise(told == there, f"the result {told} is not what is there, {there}: {result}")
        debt = before.debt
        if debt is None:
            return
        kept = not result.resumed or result.part_size == debt.part_size
        self._promise(kept, f"the part size was changed on the way: {debt}, {result}")
        if trouble is CALM and debt.upload_id:
            paid = result.resumed and result.parts_reused >= debt.parts
            self._promise(paid, f"P2: parts were sent again: {debt}, {result}")

    def _check_metadata(self, how: How) -> None:
        found = self._stage.shelf.object(self._world.key)
        if how.metadata and how.upload_id is None and found is not None:
            headers = {name.lower(): value for name, value in found[0].headers.items()}
            told, asked = headers.get(_META), how.metadata["tag"]
            self._promise(told == asked, f"metadata {told} where {asked} was asked for")

    def _check_folder(self, how: How, ended: Ended, said: Sequence[str]) -> None:
        """P7: what is beside the file when all who worked on it have ended."""
        world = self._world
        untouched = ended.error in ("CheckpointError", "TransferLockedError")
        if how.enable_checkpoint and not untouched:
            name = world.checkpoint.name
            ours = {f"{name}{end}" for end in _OURS}
            left = ours & world.beside()
            # What does not begin as a checkpoint is the user's, even under its name.
            if ended.how != "success" or (name in left and not self._is_begun_like_ours()):
                left -= {name}
            self._promise(not left, f"P7: left beside the file after {ended}: {left}")
        for name in self._set_aside():
            told = any(name in text for text in said)
            self._promise(told, f"P7: {name} appeared and nothing was said")
            (world.folder / name).unlink()

    def _account(self, ended: Ended, trouble: Trouble) -> None:
        world, shelf = self._world, self._stage.shelf
        found = world.recorded()
        recorded = {found.upload_id} if found is not None else set()
        for upload_id in recorded:
            world.note(upload_id)
        enough = "upload" if trouble.lies else "left"
        told = [ended.told, *(text for text in ended.heard if enough in text)]
        may_be_lost = trouble.lost_begins
        for upload_id, upload in shelf.uploads(world.key).items():
            if upload_id in recorded | world.excused:
                continue
            if any(upload_id in text for text in told):
                world.excuse(upload_id)
            elif may_be_lost and not shelf.parts(upload):
                may_be_lost -= 1
                world.excuse(upload_id)
            else:
                self._promise(False, f"P7: nobody answers for upload {upload_id} after {ended}")

    def _learn(self, how: How) -> None:
        """Remember what the recorded upload was begun for."""
        found, begun = self._world.recorded(), self._world.begun
        if found is not None and found.headers_digest != FOREIGN:
            begun.setdefault(found.upload_id, replace(how, upload_id=None))

    def _set_aside(self) -> set[str]:
        return {name for name in self._world.beside() if ".cp.bad" in name}

    def _set_faults(self, trouble: Trouble) -> None:
        for rule in trouble.rules:
            self._stage.server.faults.add(rule)

    def _promise(self, kept: bool, what: str) -> None:
        self._world.promise(kept, what)
