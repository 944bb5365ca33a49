"""Ranges and preconditions of reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from resumable.server.errors import OssError
from resumable.server.messages import parse_http_date
from resumable.server.records import ObjectRecord

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A stretch of an object of a known size."""

    first: int
    length: int
    size: int

    @property
    def content_range(self) -> str:
        """The value of a Content-Range header."""
        return f"bytes {self.first}-{self.first + self.length - 1}/{self.size}"


class NotModifiedError(Exception):
    """A conditional read found what the client already has."""


def requested_range(headers: Mapping[str, str], size: int) -> ByteRange | None:
    """Return the stretch a GET asks for; None is the whole object.

    Raises:
        OssError: InvalidRange under `x-oss-range-behavior: standard`; without it, a range that
            makes no sense is ignored.
    """
    text = headers.get("range")
    if text is None:
        return None
    found = _parse_range(text, size)
    if found is None and headers.get("x-oss-range-behavior", "").lower() == "standard":
        raise OssError("InvalidRange", ActualObjectSize=str(size), RangeHeader=text)
    return found


def _parse_range(text: str, size: int) -> ByteRange | None:
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first_text, last_text = match.groups()
    if not first_text:
        length = min(int(last_text), size)
        return ByteRange(size - length, length, size) if length else None
    first = int(first_text)
    last = int(last_text) if last_text else size - 1
    if first >= size or last < first:
        return None
    return ByteRange(first, min(last, size - 1) - first + 1, size)


def copied_range(text: str, size: int) -> ByteRange:
    """Return the stretch an UploadPartCopy asks for.

    Raises:
        OssError: InvalidRange when it does not lie inside the source.
    """
    match = _RANGE.fullmatch(text)
    if match is None or "" in match.groups():
        raise OssError("InvalidArgument", ArgumentName="x-oss-copy-source-range")
    first, last = int(match[1]), int(match[2])
    if not first <= last < size:
        raise OssError("InvalidRange", ActualObjectSize=str(size), RangeHeader=text)
    return ByteRange(first, last - first + 1, size)


def check_read(header: Callable[[str], str], record: ObjectRecord) -> None:
    """Check If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since.

    Args:
        header: returns the value of the header with the given lower-case name, or nothing.
        record: the object that is there.

    Raises:
        OssError: PreconditionFailed.
        NotModifiedError: when only the wish for something newer failed.
    """
    if_match, unmodified = header("if-match"), parse_http_date(header("if-unmodified-since"))
    if if_match and not _matches(if_match, record.etag):
        raise OssError("PreconditionFailed", Condition="If-Match")
    if unmodified is not None and int(record.modified) > unmodified:
        raise OssError("PreconditionFailed", Condition="If-Unmodified-Since")
    if_none_match, modified = header("if-none-match"), parse_http_date(header("if-modified-since"))
    if if_none_match and _matches(if_none_match, record.etag):
        raise NotModifiedError
    if modified is not None and not if_none_match and int(record.modified) <= modified:
        raise NotModifiedError


def _matches(wanted: str, etag: str) -> bool:
    names = {name.strip().strip('"').upper() for name in wanted.split(",")}
    return "*" in names or etag.upper() in names
