"""Values of the core, made up by hypothesis."""

from hypothesis import strategies as st

from resumable.core.checkpoint import (
    ETAG,
    Checkpoint,
    Destination,
    Kind,
    PartRecord,
    SourceIdentity,
)
from resumable.core.plan import MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE, Plan
from resumable.core.reconcile import ListedPart

U64 = st.integers(0, (1 << 64) - 1)
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["upload", "download", "copy", "stream"])


def printable(max_size: int) -> st.SearchStrategy[str]:
    """ASCII without spaces and control characters, as in upload ids and ETags."""
    return st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=max_size
    )


def unicode_text(*, min_size: int = 0, max_size: int = 60) -> st.SearchStrategy[str]:
    """Any text that can be written as UTF-8."""
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=min_size, max_size=max_size)


destinations = st.builds(
    Destination,
    endpoint=printable(80),
    bucket=printable(63),
    key=unicode_text(min_size=1),
)
identities = st.builds(
    SourceIdentity,
    path=unicode_text(),
    size=st.integers(0, MAX_OBJECT_SIZE),
    mtime_ns=TIMES,
    ctime_ns=TIMES,
    inode=st.integers(0, (1 << 128) - 1),
)
records = st.builds(
    PartRecord,
    number=st.integers(1, MAX_PARTS),
    size=st.integers(0, MAX_PART_SIZE),
    etag=st.from_regex(ETAG, fullmatch=True),
    crc64=U64,
)
checkpoints = st.builds(
    Checkpoint,
    kind=KINDS,
    destination=destinations,
    upload_id=printable(80),
    file=identities,
    part_size=st.integers(MIN_PART_SIZE, MAX_PART_SIZE),
    headers_digest=DIGESTS,
    parts=st.lists(records, max_size=8, unique_by=lambda part: part.number).map(tuple),
    initiated=st.none() | st.integers(0, 1 << 37),
)

# Few values, so that records and listings often speak of the same part.
plans = st.builds(Plan, st.integers(0, 12 * MIN_PART_SIZE), st.just(MIN_PART_SIZE))
numbers = st.integers(1, 14)
sizes = st.sampled_from([0, 1, MIN_PART_SIZE - 1, MIN_PART_SIZE, MIN_PART_SIZE + 1])
etags = st.sampled_from(["AB", "ab", "CD"])
crcs = st.integers(0, 2)
record_lists = st.lists(
    st.builds(PartRecord, number=numbers, size=sizes, etag=etags, crc64=crcs),
    unique_by=lambda record: record.number,
)
listings = st.lists(
    st.builds(ListedPart, numbers, sizes, etags, st.none() | crcs),
    unique_by=lambda part: part.number,
)
