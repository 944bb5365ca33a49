"""What to do, from what is known: the rules of resuming as pure functions.

A resume asks two questions, in this order, and each is one function here:

1. `judge_checkpoint`: may this checkpoint serve this call at all?
2. `reconcile_parts`: which parts are there, which must be looked at, which must be sent?

A third one, whether the object under the key is already ours, is in `recognition`.
`docs/explanation/resuming.md` has the table; `tests/core/test_reconcile.py` holds each row of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from resumable.core.checkpoint import (
    Checkpoint,
    Destination,
    Kind,
    PartRecord,
    SourceIdentity,
    headers_digest,
)
from resumable.core.integrity import PartDigest
from resumable.core.plan import MAX_PART_SIZE, MIN_PART_SIZE, Part, Plan, fits, make_plan
from resumable.core.source_check import SourceCheck, is_as_recorded


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asks for now."""

    kind: Kind
    destination: Destination
    source: SourceIdentity
    headers_digest: str
    upload_id: str | None = None
    source_check: SourceCheck = "strict"


@dataclass(frozen=True, slots=True)
class Begin:
    """There is nothing to resume: initiate, record it durably, then send."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Nothing is recorded, but the caller names an upload: what it has is to be looked at."""

    upload_id: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The checkpoint cannot serve the call and must not be touched.

    Attributes:
        found: What it is of.
        wanted: What was asked for.
        upload_id: The upload that it records.
        reason: `transfer`: it goes elsewhere. `upload`: another upload was named. `foreign`: it
            would have to be begun anew, and was not begun here. `endpoint`: it goes to a bucket
            of that name at another endpoint, whose server alone may know the upload.
    """

    found: str
    wanted: str
    upload_id: str
    reason: Literal["transfer", "upload", "foreign", "endpoint"]


@dataclass(frozen=True, slots=True)
class StartOver:
    """The recorded upload cannot become what is wanted: abort it and begin anew.

    If there is an `unless_known`, only where the server knows the upload.
    """

    upload_id: str
    why: str
    unless_known: Refuse | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """The recorded upload continues. Unless `trusted`, each recorded part is read again first.

    `headers_digest` and `initiated` stay those of its beginning. If there is an `unless_known`,
    it is what happens where the server does not know the upload.
    """

    upload_id: str
    plan: Plan
    trusted: bool
    recorded: tuple[PartRecord, ...]
    headers_digest: str
    initiated: int | None = None
    unless_known: Refuse | None = None


Verdict = Begin | Adopt | Refuse | StartOver | Continue


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A part as ListParts tells it. Not every server tells the CRC-64."""

    number: int
    size: int
    etag: str
    crc64: int | None
    last_modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part the server has, which may be the part of our file: the local bytes decide."""

    part: Part
    etag: str
    crc64: int | None

    @property
    def needs_md5(self) -> bool:
        """Whether only the ETag can tell, which is the part's MD5."""
        return self.crc64 is None

    def matches(self, digest: PartDigest) -> bool:
        """Whether the local bytes with this digest are what the server has."""
        if digest.size != self.part.size:
            return False
        if self.crc64 is not None:
            return digest.crc64 == self.crc64
        return digest.md5 is not None and digest.md5.hex() == self.etag.lower()


@dataclass(frozen=True, slots=True)
class WorkList:
    """What is left to do for each part of the plan."""

    reuse: tuple[PartRecord, ...]
    verify: tuple[Candidate, ...]
    send: tuple[Part, ...]


# The digest in the checkpoint of an upload that a caller named: its headers are not known, and it
# is not ours to abort.
FOREIGN = headers_digest({"?begun": "elsewhere"})
NO_HEADERS = headers_digest({})


def judge_checkpoint(found: Checkpoint | None, wanted: Wanted) -> Verdict:
    """Decide whether a checkpoint may serve a call. The first rule that applies decides."""
    if found is None:
        return Begin() if wanted.upload_id is None else Adopt(wanted.upload_id)
    if refused := _not_for(found, wanted):
        return refused
    plan = Plan(wanted.source.size, found.part_size)
    foreign = wanted.upload_id is not None or found.headers_digest == FOREIGN
    if why := _cannot_go_on(found, wanted, plan, foreign):
        if foreign:
            return Refuse(
                found="an upload that was not begun here",
                wanted=f"one that it cannot become: {why}",
                upload_id=found.upload_id,
                reason="foreign",
            )
        return StartOver(found.upload_id, why, _elsewhere(found, wanted))
    trusted = is_as_recorded(found.file, wanted.source, wanted.source_check)
    return Continue(
        found.upload_id,
        plan,
        trusted,
        found.parts,
        found.headers_digest,
        found.initiated,
        _elsewhere(found, wanted),
    )


def _not_for(found: Checkpoint, wanted: Wanted) -> Refuse | None:
    here, there = wanted.destination, found.destination
    if (found.kind, there.bucket, there.key) != (wanted.kind, here.bucket, here.key):
        return _refused(found, wanted, "transfer")
    if wanted.upload_id not in (None, found.upload_id):
        return Refuse(
            found=f"upload {found.upload_id}",
            wanted=f"upload {wanted.upload_id}",
            upload_id=found.upload_id,
            reason="upload",
        )
    return None


def _elsewhere(found: Checkpoint, wanted: Wanted) -> Refuse | None:
    """What happens if the upload is not known: another endpoint can be another service."""
    if found.destination == wanted.destination:
        return None
    return _refused(found, wanted, "endpoint")


def _refused(found: Checkpoint, wanted: Wanted, reason: Literal["transfer", "endpoint"]) -> Refuse:
    return Refuse(
        found=f"{found.kind} to {found.destination}",
        wanted=f"{wanted.kind} to {wanted.destination}",
        upload_id=found.upload_id,
        reason=reason,
    )


def _cannot_go_on(found: Checkpoint, wanted: Wanted, plan: Plan, foreign: bool) -> str:
    """Why the recorded upload cannot become what is wanted, or nothing."""
    begun_with = NO_HEADERS if foreign else found.headers_digest
    # Headers belong to the upload id: who names one takes those it was begun with.
    if wanted.upload_id is None and wanted.headers_digest != begun_with:
        return "other headers were asked for than at its beginning"
    if not fits(plan.size, plan.part_size):
        return "the file has outgrown 10,000 parts of its size"
    if plan.count == 1 and not foreign:
        return "the file now fits one part"
    return ""


def reconcile_parts(
    plan: Plan,
    recorded: Iterable[PartRecord],
    listed: Iterable[ListedPart],
    *,
    trusted: bool,
) -> WorkList:
    """Decide for each part of the plan whether to reuse it, to look at it, or to send it.

    Args:
        plan: How the file is cut now.
        recorded: The checkpoint's parts.
        listed: The server's parts.
        trusted: Whether the source is in the state the checkpoint recorded.
    """
    records = {record.number: record for record in recorded}
    server = {part.number: part for part in listed}
    reuse: list[PartRecord] = []
    verify: list[Candidate] = []
    send: list[Part] = []
    for part in plan:
        match _judge_part(part, records.get(part.number), server.get(part.number), trusted):
            case PartRecord() as kept:
                reuse.append(kept)
            case Candidate() as candidate:
                verify.append(candidate)
            case _:
                send.append(part)
    return WorkList(tuple(reuse), tuple(verify), tuple(send))


def plan_for_listed(size: int, wish: int | None, listed: Iterable[ListedPart]) -> Plan:
    """How to cut a file for an upload of which only the server's parts are known.

    All parts but the last have one size, and the last is not larger: so the largest that is there
    tells it, unless the caller does.
    """
    largest = max((part.size for part in listed), default=0)
    usable = MIN_PART_SIZE <= largest <= MAX_PART_SIZE and fits(size, largest)
    return Plan(size, largest) if wish is None and usable else make_plan(size, wish)


def _judge_part(
    part: Part, record: PartRecord | None, there: ListedPart | None, trusted: bool
) -> PartRecord | Candidate | None:
    if there is None or there.size != part.size:
        return None
    if record is None:
        return Candidate(part, there.etag, there.crc64)
    same = record.size == there.size and record.etag.lower() == there.etag.lower()
    if not same or there.crc64 not in (None, record.crc64):
        return None
    return record if trusted else Candidate(part, there.etag, record.crc64)
