"""The rules of resuming, row by row, and what holds whatever the checkpoint claims."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.core.checkpoint import Checkpoint, Destination, PartRecord, SourceIdentity
from resumable.core.integrity import PartDigest
from resumable.core.plan import MAX_PARTS, MIN_PART_SIZE, Part, Plan
from resumable.core.reconcile import (
    FOREIGN,
    NO_HEADERS,
    Adopt,
    Begin,
    Candidate,
    Continue,
    ListedPart,
    Refuse,
    StartOver,
    Wanted,
    judge_checkpoint,
    plan_for_listed,
    reconcile_parts,
)
from tests.core.strategies import (
    checkpoints,
    destinations,
    identities,
    listings,
    plans,
    record_lists,
)

SIZE = 5 * MIN_PART_SIZE - 1
HERE = Destination(endpoint="https://oss.example.com", bucket="bucket", key="key")
FILE = SourceIdentity(path="/data/file", size=SIZE, mtime_ns=1, ctime_ns=2, inode=3)
DIGEST = "0" * 64
RECORDS = (
    PartRecord(number=1, size=MIN_PART_SIZE, etag="A1", crc64=101),
    PartRecord(number=2, size=MIN_PART_SIZE, etag="A2", crc64=102),
)
FOUND = Checkpoint(
    kind="upload",
    destination=HERE,
    upload_id="UPLOAD",
    file=FILE,
    part_size=MIN_PART_SIZE,
    headers_digest=DIGEST,
    parts=RECORDS,
)
WANTED = Wanted("upload", HERE, FILE, DIGEST)


def moved(**changes: str) -> Destination:
    return replace(HERE, **changes)


def source(**changes: Any) -> SourceIdentity:  # noqa: ANN401 - of several types
    return replace(FILE, **changes)


def test_no_checkpoint_begins() -> None:
    assert judge_checkpoint(None, WANTED) == Begin()


def test_checkpoint_of_the_same_transfer_continues_and_is_trusted() -> None:
    plan = Plan(SIZE, MIN_PART_SIZE)
    assert judge_checkpoint(FOUND, WANTED) == Continue("UPLOAD", plan, True, RECORDS, DIGEST)


OTHER_TRANSFERS: Mapping[str, Wanted] = {
    "bucket": replace(WANTED, destination=moved(bucket="other")),
    "key": replace(WANTED, destination=moved(key="Key")),
    "kind": replace(WANTED, kind="download"),
    "key and file": replace(WANTED, destination=moved(key="x"), source=source(size=1)),
    "key and headers": replace(WANTED, destination=moved(key="x"), headers_digest="1" * 64),
}


@pytest.mark.parametrize("wanted", OTHER_TRANSFERS.values(), ids=OTHER_TRANSFERS)
def test_checkpoint_of_another_transfer_is_refused_naming_both(wanted: Wanted) -> None:
    refused = judge_checkpoint(FOUND, wanted)
    assert isinstance(refused, Refuse)
    assert refused.found == "upload to oss://bucket/key at https://oss.example.com"
    assert refused.wanted == f"{wanted.kind} to {wanted.destination}"
    assert refused.upload_id == "UPLOAD"  # so that whoever gives it up can abort it


ELSEWHERE = replace(WANTED, destination=moved(endpoint="https://oss-internal.example.com"))


def test_checkpoint_of_another_endpoint_continues_where_the_server_knows_the_upload() -> None:
    verdict = judge_checkpoint(FOUND, ELSEWHERE)
    assert isinstance(verdict, Continue)
    assert (verdict.trusted, verdict.recorded) == (True, RECORDS)
    refused = verdict.unless_known
    assert refused is not None
    assert refused.reason == "endpoint"
    assert (refused.found, refused.wanted) == (
        "upload to oss://bucket/key at https://oss.example.com",
        "upload to oss://bucket/key at https://oss-internal.example.com",
    )


def test_upload_of_another_endpoint_is_only_aborted_where_the_server_knows_it() -> None:
    verdict = judge_checkpoint(FOUND, replace(ELSEWHERE, headers_digest="1" * 64))
    assert isinstance(verdict, StartOver)
    assert verdict.unless_known is not None
    assert verdict.unless_known.upload_id == "UPLOAD"


@pytest.mark.parametrize("initiated", [None, 0, 1_700_000_000])
def test_time_of_the_beginning_stays(initiated: int | None) -> None:
    verdict = judge_checkpoint(replace(FOUND, initiated=initiated), WANTED)
    assert isinstance(verdict, Continue)
    assert verdict.initiated == initiated


UNTRUSTED: Mapping[str, SourceIdentity] = {
    "longer": source(size=SIZE + 1),
    "shorter": source(size=SIZE - 1),
    "shorter by parts": source(size=2 * MIN_PART_SIZE + 1),
    "touched": source(mtime_ns=2),
    "time set back": source(mtime_ns=0),
    "only the inode changed": source(ctime_ns=3),
    "replaced by another file": source(inode=4),
    "another path to the same inode": source(path="/data/link"),
    "grown to 10,000 parts": source(size=MAX_PARTS * MIN_PART_SIZE),
}


@pytest.mark.parametrize("now", UNTRUSTED.values(), ids=UNTRUSTED)
def test_source_in_another_state_continues_without_trust(now: SourceIdentity) -> None:
    plan = Plan(now.size, MIN_PART_SIZE)
    verdict = judge_checkpoint(FOUND, replace(WANTED, source=now))
    assert verdict == Continue("UPLOAD", plan, False, RECORDS, DIGEST)


START_OVER: Mapping[str, tuple[Wanted, str]] = {
    "other headers": (replace(WANTED, headers_digest="1" * 64), "headers"),
    "outgrown": (replace(WANTED, source=source(size=MAX_PARTS * MIN_PART_SIZE + 1)), "outgrown"),
    "fits one part": (replace(WANTED, source=source(size=MIN_PART_SIZE)), "one part"),
    "empty now": (replace(WANTED, source=source(size=0)), "one part"),
    "headers before size": (Wanted("upload", HERE, source(size=0), "1" * 64), "headers"),
}


@pytest.mark.parametrize(("wanted", "why"), START_OVER.values(), ids=START_OVER)
def test_upload_that_cannot_become_what_is_wanted_starts_over(wanted: Wanted, why: str) -> None:
    verdict = judge_checkpoint(FOUND, wanted)
    assert isinstance(verdict, StartOver)
    assert verdict.upload_id == "UPLOAD"  # so that it can be aborted
    assert why in verdict.why


def test_recorded_part_size_is_kept() -> None:
    found = replace(FOUND, part_size=2 * MIN_PART_SIZE)
    verdict = judge_checkpoint(found, WANTED)
    assert isinstance(verdict, Continue)
    assert (verdict.plan.part_size, verdict.plan.count) == (2 * MIN_PART_SIZE, 3)


wanteds = st.builds(
    Wanted,
    st.just("upload") | st.just("download"),
    destinations | st.just(HERE),
    identities | st.just(FILE),
    st.just(DIGEST) | st.just("1" * 64),
)
founds = checkpoints | st.just(FOUND)


@given(founds, wanteds)
def test_verdict_never_mixes_two_transfers(found: Checkpoint, wanted: Wanted) -> None:
    here, there = wanted.destination, found.destination
    same = (found.kind, there.bucket, there.key) == (wanted.kind, here.bucket, here.key)
    verdict = judge_checkpoint(found, wanted)
    assert isinstance(verdict, Refuse) is not same
    if isinstance(verdict, Continue | StartOver):
        # Another endpoint is another route, if the upload is known there, or another service.
        assert (verdict.unless_known is None) is (here == there)


@given(founds, wanteds)
def test_only_a_source_in_the_recorded_state_is_trusted(found: Checkpoint, wanted: Wanted) -> None:
    verdict = judge_checkpoint(found, wanted)
    if isinstance(verdict, Continue):
        assert verdict.trusted is (found.file == wanted.source)
        assert verdict.plan == Plan(wanted.source.size, found.part_size)
        assert 1 < verdict.plan.count <= MAX_PARTS
        assert found.headers_digest == wanted.headers_digest


PLAN = Plan(2 * MIN_PART_SIZE, MIN_PART_SIZE)
PART = PLAN.part(1)
RECORD = PartRecord(number=1, size=MIN_PART_SIZE, etag="ABC", crc64=7)
LISTED = ListedPart(1, MIN_PART_SIZE, "ABC", 7)
REUSE, SEND = "reuse", "send"
VERIFY_RECORDED = Candidate(PART, "ABC", 7)

ROWS: Mapping[str, tuple[PartRecord | None, ListedPart | None, object, object]] = {
    # what is recorded, what the server lists: the outcome with a trusted source, and without
    "neither": (None, None, SEND, SEND),
    "recorded, not listed": (RECORD, None, SEND, SEND),
    "recorded and listed": (RECORD, LISTED, REUSE, VERIFY_RECORDED),
    "the server tells no CRC-64": (RECORD, replace(LISTED, crc64=None), REUSE, VERIFY_RECORDED),
    "ETag in lower case": (RECORD, replace(LISTED, etag="abc"), REUSE, Candidate(PART, "abc", 7)),
    "another ETag": (RECORD, replace(LISTED, etag="ABD"), SEND, SEND),
    "another ETag, no CRC-64": (RECORD, replace(LISTED, etag="ABD", crc64=None), SEND, SEND),
    "another CRC-64": (RECORD, replace(LISTED, crc64=8), SEND, SEND),
    "CRC-64 of zero": (RECORD, replace(LISTED, crc64=0), SEND, SEND),
    "the server has it shorter": (RECORD, replace(LISTED, size=1), SEND, SEND),
    "the server has it longer": (RECORD, replace(LISTED, size=MIN_PART_SIZE + 1), SEND, SEND),
    "recorded with another size": (
        replace(RECORD, size=1), LISTED, SEND, SEND,
    ),
    "both with another size": (
        replace(RECORD, size=1), replace(LISTED, size=1), SEND, SEND,
    ),
    "listed, not recorded": (None, LISTED, Candidate(PART, "ABC", 7), Candidate(PART, "ABC", 7)),
    "listed without CRC-64, not recorded": (
        None, replace(LISTED, crc64=None),
        Candidate(PART, "ABC", None), Candidate(PART, "ABC", None),
    ),
    "listed with another size, not recorded": (None, replace(LISTED, size=1), SEND, SEND),
}  # fmt: skip


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_part_is_judged(
    row: tuple[PartRecord | None, ListedPart | None, object, object], trusted: bool
) -> None:
    record, listed, with_trust, without_trust = row
    work = reconcile_parts(
        Plan(MIN_PART_SIZE, MIN_PART_SIZE),
        [record] if record else [],
        [listed] if listed else [],
        trusted=trusted,
    )
    expected = with_trust if trusted else without_trust
    assert work.reuse == ((record,) if expected == REUSE else ())
    assert work.send == ((PART,) if expected == SEND else ())
    assert work.verify == ((expected,) if isinstance(expected, Candidate) else ())


def test_last_part_is_judged_by_its_own_size() -> None:
    plan = Plan(MIN_PART_SIZE + 5, MIN_PART_SIZE)
    record = PartRecord(number=2, size=5, etag="E", crc64=1)
    work = reconcile_parts(plan, [record], [ListedPart(2, 5, "E", None)], trusted=True)
    assert work.reuse == (record,)
    assert work.send == (plan.part(1),)


def test_appended_file_sends_its_old_last_part_again() -> None:
    grown = Plan(3 * MIN_PART_SIZE, MIN_PART_SIZE)
    records = [
        PartRecord(number=1, size=MIN_PART_SIZE, etag="E1", crc64=1),
        PartRecord(number=2, size=5, etag="E2", crc64=2),
    ]
    listed = [ListedPart(1, MIN_PART_SIZE, "E1", 1), ListedPart(2, 5, "E2", 2)]
    work = reconcile_parts(grown, records, listed, trusted=False)
    assert work.verify == (Candidate(grown.part(1), "E1", 1),)
    assert work.send == (grown.part(2), grown.part(3))


def test_parts_beyond_the_end_are_left_alone() -> None:
    records = [replace(RECORD, number=9)]
    work = reconcile_parts(PLAN, records, [replace(LISTED, number=9)], trusted=True)
    assert (work.reuse, work.verify, work.send) == ((), (), tuple(PLAN))


def test_ten_thousand_parts_of_which_one_is_missing() -> None:
    plan = Plan(MAX_PARTS * MIN_PART_SIZE, MIN_PART_SIZE)
    numbers = [number for number in range(1, MAX_PARTS + 1) if number != 4711]
    records = [PartRecord(number=n, size=MIN_PART_SIZE, etag="E", crc64=n) for n in numbers]
    listed = [ListedPart(n, MIN_PART_SIZE, "E", None) for n in numbers]
    work = reconcile_parts(plan, iter(records), iter(listed), trusted=True)
    assert work.send == (plan.part(4711),)
    assert len(work.reuse) == MAX_PARTS - 1


@given(plans, record_lists, listings, st.booleans())
def test_each_part_of_the_plan_has_exactly_one_fate(
    plan: Plan, recorded: list[PartRecord], listed: list[ListedPart], trusted: bool
) -> None:
    work = reconcile_parts(plan, recorded, listed, trusted=trusted)
    fates = [
        *(record.number for record in work.reuse),
        *(candidate.part.number for candidate in work.verify),
        *(part.number for part in work.send),
    ]
    assert sorted(fates) == list(range(1, plan.count + 1))
    assert all(plan.part(part.number) == part for part in work.send)
    assert all(plan.part(one.part.number) == one.part for one in work.verify)


@given(plans, record_lists, listings, st.booleans())
def test_nothing_is_reused_unless_recorded_listed_alike_and_trusted(
    plan: Plan, recorded: list[PartRecord], listed: list[ListedPart], trusted: bool
) -> None:
    server = {part.number: part for part in listed}
    work = reconcile_parts(plan, recorded, listed, trusted=trusted)
    for record in work.reuse:
        there = server[record.number]
        assert trusted
        assert record in recorded
        assert record.size == there.size == plan.part(record.number).size
        assert record.etag.lower() == there.etag.lower()
        assert there.crc64 in (None, record.crc64)


@given(plans, record_lists, listings, st.booleans())
def test_nothing_is_verified_unless_the_server_has_it(
    plan: Plan, recorded: list[PartRecord], listed: list[ListedPart], trusted: bool
) -> None:
    server = {part.number: part for part in listed}
    records = {record.number: record for record in recorded}
    for candidate in reconcile_parts(plan, recorded, listed, trusted=trusted).verify:
        there = server[candidate.part.number]
        record = records.get(candidate.part.number)
        assert (candidate.etag, candidate.part.size) == (there.etag, there.size)
        assert candidate.crc64 == (record.crc64 if record else there.crc64)
        assert record is None or not trusted


@given(plans, record_lists, listings)
def test_trust_only_spares_looking(
    plan: Plan, recorded: list[PartRecord], listed: list[ListedPart]
) -> None:
    trusted = reconcile_parts(plan, recorded, listed, trusted=True)
    wary = reconcile_parts(plan, recorded, listed, trusted=False)
    assert wary.reuse == ()
    assert wary.send == trusted.send
    assert len(wary.verify) == len(trusted.verify) + len(trusted.reuse)


@given(plans, record_lists, listings, st.booleans(), st.randoms(use_true_random=False))
def test_order_of_records_and_listing_makes_no_difference(
    plan: Plan,
    recorded: list[PartRecord],
    listed: list[ListedPart],
    trusted: bool,
    random: Random,
) -> None:
    work = reconcile_parts(plan, recorded, listed, trusted=trusted)
    random.shuffle(recorded)
    random.shuffle(listed)
    assert reconcile_parts(plan, recorded, listed, trusted=trusted) == work


MD5 = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
OTHER_MD5 = bytes(16)
SMALL = Part(1, 0, 10)

MATCHES: Mapping[str, tuple[Candidate, PartDigest, bool]] = {
    "CRC-64 tells": (Candidate(SMALL, "opaque", 7), PartDigest(10, 7, None), True),
    "CRC-64 differs": (Candidate(SMALL, "opaque", 7), PartDigest(10, 8, None), False),
    "CRC-64 of zero tells": (Candidate(SMALL, "opaque", 0), PartDigest(10, 0, None), True),
    "CRC-64 of zero differs": (Candidate(SMALL, "opaque", 0), PartDigest(10, 1, None), False),
    "size differs": (Candidate(SMALL, "opaque", 7), PartDigest(9, 7, None), False),
    "CRC-64 decides over the MD5": (
        Candidate(SMALL, MD5.hex(), 7), PartDigest(10, 7, OTHER_MD5), True,
    ),
    "CRC-64 differs, the MD5 does not": (
        Candidate(SMALL, MD5.hex(), 7), PartDigest(10, 8, MD5), False,
    ),
    "MD5 tells": (Candidate(SMALL, MD5.hex(), None), PartDigest(10, 7, MD5), True),
    "MD5 in upper case tells": (
        Candidate(SMALL, MD5.hex().upper(), None), PartDigest(10, 7, MD5), True,
    ),
    "MD5 differs": (Candidate(SMALL, MD5.hex(), None), PartDigest(10, 7, OTHER_MD5), False),
    "MD5 was not asked for": (Candidate(SMALL, MD5.hex(), None), PartDigest(10, 7, None), False),
    "MD5 tells, size differs": (Candidate(SMALL, MD5.hex(), None), PartDigest(11, 7, MD5), False),
    "ETag is no MD5": (Candidate(SMALL, MD5.hex() + "-2", None), PartDigest(10, 7, MD5), False),
    "ETag is empty": (Candidate(SMALL, "", None), PartDigest(10, 7, MD5), False),
}  # fmt: skip


@pytest.mark.parametrize(("candidate", "digest", "same"), MATCHES.values(), ids=MATCHES)
def test_local_bytes_decide(candidate: Candidate, digest: PartDigest, same: bool) -> None:
    assert candidate.matches(digest) is same


@pytest.mark.parametrize(("crc64", "needed"), [(None, True), (0, False), (7, False)])
def test_md5_is_only_needed_where_there_is_no_crc64(crc64: int | None, needed: bool) -> None:
    assert Candidate(SMALL, "E", crc64).needs_md5 is needed


NAMED = replace(WANTED, upload_id="UPLOAD")


def test_named_upload_of_which_nothing_is_recorded_is_adopted() -> None:
    assert judge_checkpoint(None, NAMED) == Adopt("UPLOAD")


def test_named_upload_that_is_recorded_goes_on() -> None:
    assert judge_checkpoint(FOUND, NAMED) == judge_checkpoint(FOUND, WANTED)


def test_named_upload_keeps_the_headers_it_was_begun_with() -> None:
    other = replace(NAMED, headers_digest="1" * 64)
    assert isinstance(judge_checkpoint(FOUND, other), Continue)


def test_record_of_another_upload_than_the_named_one_is_refused() -> None:
    verdict = judge_checkpoint(FOUND, replace(WANTED, upload_id="OTHER"))
    assert verdict == Refuse("upload UPLOAD", "upload OTHER", "UPLOAD", "upload")


def test_record_of_another_place_is_refused_whatever_is_named() -> None:
    elsewhere = replace(NAMED, destination=moved(key="other"))
    assert isinstance(judge_checkpoint(FOUND, elsewhere), Refuse)


def test_named_upload_of_a_file_that_fits_one_part_goes_on() -> None:
    small = source(size=MIN_PART_SIZE)
    assert isinstance(judge_checkpoint(FOUND, replace(WANTED, source=small)), StartOver)
    assert isinstance(judge_checkpoint(FOUND, replace(NAMED, source=small)), Continue)


OUTGROWN = source(size=MIN_PART_SIZE * (MAX_PARTS + 1))
ADOPTED = replace(FOUND, headers_digest=FOREIGN)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (FOUND, replace(NAMED, source=OUTGROWN)),
        (ADOPTED, replace(WANTED, source=OUTGROWN, headers_digest=NO_HEADERS)),
        (ADOPTED, replace(WANTED, headers_digest=DIGEST)),
        (ADOPTED, replace(NAMED, source=OUTGROWN)),
    ],
)
def test_upload_that_was_not_begun_here_is_never_given_up(
    found: Checkpoint, wanted: Wanted
) -> None:
    verdict = judge_checkpoint(found, wanted)
    assert isinstance(verdict, Refuse)
    assert verdict.upload_id == "UPLOAD"


def test_adopted_upload_goes_on_without_being_named_again() -> None:
    wanted = replace(WANTED, headers_digest=NO_HEADERS)
    verdict = judge_checkpoint(ADOPTED, wanted)
    assert isinstance(verdict, Continue)
    assert verdict.headers_digest == FOREIGN
    small = replace(wanted, source=source(size=1))
    assert isinstance(judge_checkpoint(ADOPTED, small), Continue)


def there(*sizes: int) -> list[ListedPart]:
    return [ListedPart(number, size, "E", None) for number, size in enumerate(sizes, start=1)]


BIG = 3 * MIN_PART_SIZE


@pytest.mark.parametrize(
    ("wish", "listed", "part_size"),
    [
        (None, (), 8 * 1024 * 1024),
        (MIN_PART_SIZE, (), MIN_PART_SIZE),
        (None, (BIG, BIG, 17), BIG),
        (None, (BIG,), BIG),
        (MIN_PART_SIZE, (BIG, BIG), MIN_PART_SIZE),
        (None, (17,), 8 * 1024 * 1024),
        (None, (MIN_PART_SIZE - 1,), 8 * 1024 * 1024),
        (None, (6 * 1024**3,), 8 * 1024 * 1024),
    ],
)
def test_plan_for_parts_that_are_there(
    wish: int | None, listed: tuple[int, ...], part_size: int
) -> None:
    assert plan_for_listed(10 * BIG, wish, there(*listed)) == Plan(10 * BIG, part_size)


def test_parts_that_are_too_small_for_the_file_do_not_count() -> None:
    size = MIN_PART_SIZE * (MAX_PARTS + 1)
    assert plan_for_listed(size, None, there(MIN_PART_SIZE)).part_size == 8 * 1024 * 1024


@given(plans, st.data())
def test_plan_is_that_of_the_parts_of_a_plan(plan: Plan, data: st.DataObject) -> None:
    whole = [part for part in map(plan.part, range(1, min(plan.count, 50))) if part.size]
    if not whole:
        return
    kept = data.draw(st.lists(st.sampled_from(whole), min_size=1, unique=True))
    listed = [ListedPart(part.number, part.size, "E", None) for part in kept]
    assert plan_for_listed(plan.size, None, listed) == plan
