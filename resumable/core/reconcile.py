"""What to do, from what is known: the rules of resuming as pure functions.

A resume asks three questions, in this order, and each is one function here:

1. `judge_checkpoint`: may this checkpoint serve this call at all?
2. `reconcile_parts`: which parts are there, which must be looked at, which must be sent?
3. `is_our_object`: the upload id is gone; is the object under the key already ours?

`docs/explanation/resuming.md` has the table; `tests/core/test_reconcile.py` holds each row of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asks for now."""

    kind: Kind
    destination: Destination
    source: SourceIdentity
    headers_digest: str
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """There is nothing to resume: initiate, record it durably, then send."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Nothing is recorded, but the caller names an upload: what it has is to be looked at."""

    upload_id: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The checkpoint is another transfer's and must not be touched."""

    found: str
    wanted: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class StartOver:
    """The recorded upload cannot become what is wanted: abort it and begin anew."""

    upload_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Continue:
    """The recorded upload goes on. Unless `trusted`, each recorded part is read again first.

    The `headers_digest` stays that of its beginning.
    """

    upload_id: str
    plan: Plan
    trusted: bool
    recorded: tuple[PartRecord, ...]
    headers_digest: str


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


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """The object under the key as HEAD tells it."""

    size: int
    crc64: int | None
    headers: Mapping[str, str]


# The digest in the checkpoint of an upload that a caller named: its headers are not known, and it
# is not ours to abort.
FOREIGN = headers_digest({"?begun": "elsewhere"})
NO_HEADERS = headers_digest({})


def judge_checkpoint(found: Checkpoint | None, wanted: Wanted) -> Verdict:
    """Decide whether a checkpoint may serve a call. The first rule that applies decides."""
    if found is None:
        return Begin() if wanted.upload_id is None else Adopt(wanted.upload_id)
    if (found.kind, found.destination) != (wanted.kind, wanted.destination):
        return Refuse(
            found=f"{found.kind} to {found.destination}",
            wanted=f"{wanted.kind} to {wanted.destination}",
            upload_id=found.upload_id,
        )
    if wanted.upload_id not in (None, found.upload_id):
        return Refuse(
            found=f"upload {found.upload_id}",
            wanted=f"upload {wanted.upload_id}",
            upload_id=found.upload_id,
        )
    plan = Plan(wanted.source.size, found.part_size)
    foreign = wanted.upload_id is not None or found.headers_digest == FOREIGN
    if why := _cannot_go_on(found, wanted, plan, foreign):
        if foreign:
            return Refuse(
                found="an upload that was not begun here",
                wanted=f"one that it cannot become: {why}",
                upload_id=found.upload_id,
            )
        return StartOver(found.upload_id, why)
    trusted = found.file.path == wanted.source.path and found.file.same_state(wanted.source)
    return Continue(found.upload_id, plan, trusted, found.parts, found.headers_digest)


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


# What HEAD repeats of the headers given at Initiate or at PutObject.
_ECHOED = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-type",
    "expires",
    "x-oss-server-side-encryption",
    "x-oss-server-side-encryption-key-id",
    "x-oss-storage-class",
)
_ECHOED_PREFIX = "x-oss-meta-"
_TAGS, _TAG_COUNT = "x-oss-tagging", "x-oss-tagging-count"


def is_our_object(
    head: ObjectFacts | None, *, size: int, crc64: int, headers: Mapping[str, str]
) -> bool:
    """Decide whether the object under the key is the one this transfer would make.

    Its size and CRC-64 must be those of the local file, and the headers which the caller gave
    and HEAD repeats must be the ones asked for: the same bytes under older metadata are not it.
    """
    if head is None or head.crc64 is None or (head.size, head.crc64) != (size, crc64):
        return False
    there = {name.lower(): value for name, value in head.headers.items()}
    asked = {name.lower(): value for name, value in headers.items()}
    tags = [tag for tag in asked.get(_TAGS, "").split("&") if tag]
    if tags and there.get(_TAG_COUNT) != str(len(tags)):
        return False
    return all(
        there.get(name) == value
        for name, value in asked.items()
        if name in _ECHOED or name.startswith(_ECHOED_PREFIX)
    )
