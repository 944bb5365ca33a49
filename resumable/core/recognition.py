"""Is the object under the key the one that this upload makes? What HEAD shows decides.

The question comes up when the upload id is gone or an answer was lost. A wrong yes would report an
object as uploaded that nobody uploaded now, so whatever is not known counts against it: a no costs
traffic at the most.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# What HEAD shows of the headers that were given when the object was made.
_SHOWN = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-oss-server-side-data-encryption",
    "x-oss-server-side-encryption",
    "x-oss-server-side-encryption-key-id",
    "x-oss-storage-class",
)
_SHOWN_PREFIX = "x-oss-meta-"
_TAGS, _TAG_COUNT = "x-oss-tagging", "x-oss-tagging-count"
_STORAGE_CLASS, _KEY_ID = "x-oss-storage-class", "x-oss-server-side-encryption-key-id"
_USUAL_CLASS = "Standard"
_OBJECT_TYPE = "x-oss-object-type"
# What an object has of its bucket where nothing else was asked for.
BUCKET_DEFAULTS = frozenset(
    {
        "x-oss-server-side-data-encryption",
        "x-oss-server-side-encryption",
        _STORAGE_CLASS,
    }
)


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """The object under the key as HEAD shows it.

    Attributes:
        size: Bytes.
        etag: Without quotes.
        crc64: None where the server shows none.
        last_modified: Seconds since the epoch, by the server's clock.
        headers: All of the answer.
    """

    size: int
    etag: str
    crc64: int | None
    last_modified: float | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ExpectedObject:
    """The object that this upload makes.

    Attributes:
        size: Bytes of the file.
        crc64: Its CRC-64.
        md5_etag: The ETag that it has where ETags are made of MD5s: it vouches for the bytes
            where the server shows no CRC-64. None: not known.
        parts: Of how many parts it is made; None for an object made by PutObject.
        since: Seconds since the epoch by the server's clock; one that is older was there before.
        headers: What is asked for, the content type included. None: what it was begun with is
            not known here.
        unasked: Names of headers that it may have though nobody asked for them.
        needs_part_count: Whether only the number of parts in its ETag can tell it from another.
    """

    size: int
    crc64: int
    md5_etag: str | None
    parts: int | None
    since: float
    headers: Mapping[str, str] | None
    unasked: frozenset[str] = frozenset()
    needs_part_count: bool = False


def is_our_object(head: ObjectFacts | None, expected: ExpectedObject) -> bool:
    """Decide whether the object under the key is the one that this upload makes.

    It must not be older than the upload, hold the bytes of the file, be made in the same way, and
    have the attributes that were asked for and no others: the same bytes under older metadata are
    not it.
    """
    if head is None or head.last_modified is None or head.last_modified < expected.since:
        return False
    if not _holds_the_bytes(head, expected) or not is_made_of(head, expected.parts):
        return False
    if expected.needs_part_count and _part_count(head.etag) != expected.parts:
        return False
    return expected.headers is None or _has_attributes(head, expected.headers, expected.unasked)


def is_whole_of(head: ObjectFacts, size: int, parts: int | None) -> bool:
    """Whether an object that shows no CRC-64 has the size and the parts that it was made of."""
    return head.size == size and is_made_of(head, parts)


def _holds_the_bytes(head: ObjectFacts, expected: ExpectedObject) -> bool:
    if head.size != expected.size:
        return False
    if head.crc64 is not None:
        return head.crc64 == expected.crc64
    return expected.md5_etag is not None and head.etag.lower() == expected.md5_etag.lower()


def is_made_of(head: ObjectFacts, parts: int | None) -> bool:
    """Whether what HEAD shows of its making fits: the type, and the number of parts."""
    if _part_count(head.etag) not in (None, parts):
        return False
    kind = "Normal" if parts is None else "Multipart"
    return _lowered(head.headers).get(_OBJECT_TYPE, kind).lower() == kind.lower()


def _part_count(etag: str) -> int | None:
    """The N of an ETag that ends with `-N`, as those of objects made of parts do."""
    _, dash, count = etag.rpartition("-")
    return int(count) if dash and count.isascii() and count.isdigit() and len(count) < 6 else None


def _has_attributes(
    head: ObjectFacts, asked_for: Mapping[str, str], unasked: frozenset[str]
) -> bool:
    there, asked = _lowered(head.headers), _lowered(asked_for)
    tags = [tag for tag in asked.get(_TAGS, "").split("&") if tag]
    if there.get(_TAG_COUNT, "0") != str(len(tags)):
        return False
    there = {_STORAGE_CLASS: _USUAL_CLASS} | there
    if _STORAGE_CLASS not in asked and there[_STORAGE_CLASS] == _USUAL_CLASS:
        del there[_STORAGE_CLASS]
    shown = {name for name in (*there, *asked) if name in _SHOWN or name.startswith(_SHOWN_PREFIX)}
    # Of the key of an encryption that was asked for the bucket can have the choice.
    chosen = unasked | {_KEY_ID}
    return all(
        there.get(name) == asked.get(name) for name in shown if name in asked or name not in chosen
    )


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
