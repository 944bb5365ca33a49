"""Bugs to be put into the package, each of which breaks a promise that the machine watches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from resumable.core.checkpoint import Checkpoint, PartRecord
from resumable.core.outcome import UploadFate
from resumable.core.plan import Part, Plan, make_plan
from resumable.core.reconcile import (
    Candidate,
    Continue,
    ListedPart,
    Verdict,
    Wanted,
    WorkList,
    judge_checkpoint,
    reconcile_parts,
)
from resumable.transfer import finishing, uploading
from resumable.transfer.checkpoints import CheckpointFile
from resumable.transfer.finishing import Finisher
from resumable.transfer.ledger import Ledger
from resumable.transfer.reading import SourceReader
from resumable.transfer.results import VerifiedObject
from resumable.transfer.sending import PartSender, digest_of
from resumable.transfer.source import SourceFile
from resumable.transfer.uploading import Upload

Bug = Callable[[pytest.MonkeyPatch], None]


def trust_every_record(patch: pytest.MonkeyPatch) -> None:
    """Reuse what is recorded, without a look at the file or at the server's list."""

    def reconcile(
        plan: Plan,
        recorded: tuple[PartRecord, ...],
        listed: list[ListedPart],
        *,
        trusted: bool,
    ) -> WorkList:
        work = reconcile_parts(plan, recorded, listed, trusted=trusted)
        known = {record.number: record for record in recorded}
        reuse = tuple(known[part.number] for part in plan if part.number in known)
        send = tuple(part for part in plan if part.number not in known)
        return WorkList(reuse, (), send) if known else work

    patch.setattr(uploading, "reconcile_parts", reconcile)


def adopt_unread(patch: pytest.MonkeyPatch) -> None:
    """Take a part that the server has for the file's, without reading the file."""
    patch.setattr(Candidate, "matches", lambda *_: True)


def send_all_again(patch: pytest.MonkeyPatch) -> None:
    """Take an upload up, and send every part of it again."""

    def reconcile(
        plan: Plan, recorded: tuple[PartRecord, ...], listed: list[ListedPart], *, trusted: bool
    ) -> WorkList:
        return WorkList((), (), tuple(plan))

    patch.setattr(uploading, "reconcile_parts", reconcile)


def keep_the_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """Leave the checkpoint behind after success."""
    patch.setattr(CheckpointFile, "delete", lambda *_: None)


def delete_the_checkpoint_early(patch: pytest.MonkeyPatch) -> None:
    """Delete the checkpoint before it is known that the upload was completed."""
    complete = Upload._complete

    def hasty(self: Upload, ledger: Ledger, sender: PartSender) -> VerifiedObject:
        ledger.flush()
        self._delete_checkpoint()
        return complete(self, ledger, sender)

    patch.setattr(Upload, "_complete", hasty)


def record_early(patch: pytest.MonkeyPatch) -> None:
    """Record a part before the server has acknowledged it."""
    send = PartSender._send

    def hasty(self: PartSender, part: Part, reader: SourceReader) -> None:
        digest = digest_of(part, reader, lambda: None, with_md5=True)
        self._record(part.number, (digest.md5 or b"").hex().upper(), digest)
        send(self, part, reader)

    patch.setattr(PartSender, "_send", hasty)


def never_abort(patch: pytest.MonkeyPatch) -> None:
    """Say that an upload was aborted, and do nothing."""
    patch.setattr(Finisher, "abandon", lambda *_: UploadFate.ABORTED)


def never_look_at_the_source(patch: pytest.MonkeyPatch) -> None:
    """Do not notice that the file changed."""
    patch.setattr(SourceFile, "check", lambda *_: None)
    patch.setattr(SourceFile, "check_untouched", lambda *_: None)
    patch.setattr(SourceFile, "must_be_read_again", lambda *_: False)


def take_any_object_for_ours(patch: pytest.MonkeyPatch) -> None:
    """Believe that an earlier run has made whatever stands under the key."""
    patch.setattr(finishing, "is_our_object", lambda *_, **__: True)


def ignore_the_lock(patch: pytest.MonkeyPatch) -> None:
    """Work on a transfer without a look at who else does."""

    @contextmanager
    def locked(self: CheckpointFile, to: str = "") -> Iterator[None]:
        yield

    patch.setattr(CheckpointFile, "locked", locked)


def obey_the_part_size(patch: pytest.MonkeyPatch) -> None:
    """Resume an upload in parts of another size than it was begun with."""
    resume = Upload._continue

    def other(self: Upload, found: Continue, listed: list[ListedPart]) -> VerifiedObject:
        plan = make_plan(found.plan.size, self._options.part_size)
        self._move(plan=plan)
        return resume(self, replace(found, plan=plan), listed)

    patch.setattr(Upload, "_continue", other)


def use_the_checkpoint_of_another_key(patch: pytest.MonkeyPatch) -> None:
    """Go on with an upload whatever its destination is."""

    def judge(found: Checkpoint | None, wanted: Wanted) -> Verdict:
        if found is not None:
            found = replace(found, destination=wanted.destination)
        return judge_checkpoint(found, wanted)

    patch.setattr(uploading, "judge_checkpoint", judge)


# Each with how what it breaks is told.
BUGS: dict[Bug, str] = {
    trust_every_record: "P1: ",
    adopt_unread: "a failure changed the object",
    send_all_again: "P2: parts were sent again",
    keep_the_checkpoint: "P7: left beside the file",
    delete_the_checkpoint_early: "P7: nobody answers",
    record_early: "P3: ",
    never_abort: "P7: nobody answers",
    never_look_at_the_source: "P1: the object is not the file",
    take_any_object_for_ours: "P1: the object is not the file",
    ignore_the_lock: "P5: a second call",
    obey_the_part_size: "the part size was changed",
    use_the_checkpoint_of_another_key: "the checkpoint of another transfer",
}
