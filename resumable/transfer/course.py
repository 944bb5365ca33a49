"""How far one upload has come, as a value, and what the caller asked for."""

from dataclasses import dataclass

from resumable.core.outcome import Remains
from resumable.core.plan import Plan
from resumable.core.reconcile import Refuse
from resumable.core.source_check import SourceCheck
from resumable.errors import CheckpointError

_WAYS_OUT = {
    "transfer": "Give checkpoint_path= to run both, or abort that transfer with abort_checkpoint",
    "upload": "Give checkpoint_path= to run both, or abort that upload with abort_checkpoint",
    "foreign": "Give checkpoint_path= for a new upload, or abort that one with abort_checkpoint",
    "endpoint": "The server here does not know the upload: give endpoint= as the checkpoint names "
    "it to resume the upload or to abort it with abort_checkpoint, or give checkpoint_path= for "
    "a new one",
}
NOTHING = Remains()


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """What the caller wants, beside where to.

    Attributes:
        upload_id: Resume this one and no other. It is never aborted.
        part_size: Bytes of each part, where the caller says.
        sequential: Parts go out one after another.
        source_check: What tells that the file has changed.
    """

    upload_id: str | None
    part_size: int | None
    sequential: bool
    source_check: SourceCheck = "strict"


@dataclass(frozen=True, slots=True)
class Course:
    """How far one upload has come.

    Attributes:
        plan: How the file is cut.
        digest: Of what the upload was begun with.
        initiated: See `Checkpoint.initiated`.
        resumed: Whether an earlier run began it.
        remains: What is told of it if the call fails now.
    """

    plan: Plan
    digest: str
    initiated: int | None = None
    resumed: bool = False
    remains: Remains = NOTHING


def checkpoint_refused(path: str, refused: Refuse) -> CheckpointError:
    """The error for a checkpoint that cannot serve a call, with the ways out."""
    return CheckpointError(
        f"the checkpoint {path!r} is of another transfer: it is of {refused.found} (upload id "
        f"{refused.upload_id}), and this is {refused.wanted}",
        advice=_WAYS_OUT[refused.reason],
    )
