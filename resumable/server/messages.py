"""Requests and answers as values, between the wire and the operations."""

from __future__ import annotations

import email.utils
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from resumable.server.records import ObjectRecord

Query = tuple[tuple[str, str], ...]


class Body(Protocol):
    """The body of a request, read once, in large blocks."""

    @property
    def length(self) -> int | None:
        """The declared length; None when it is sent in chunks."""

    @property
    def received(self) -> int:
        """How many bytes have arrived so far."""

    @property
    def refusable(self) -> bool:
        """Whether the client waits to be told before it sends the body."""

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is still to come."""

    def blocks(self) -> Iterator[memoryview]:
        """Yield what is left; a block is valid only until the next one is asked for."""


class Content(Protocol):
    """The body of an answer that is too large to be held in memory."""

    @property
    def length(self) -> int:
        """How many bytes will be sent."""

    def runs(self) -> Iterator[tuple[BinaryIO, int, int]]:
        """Yield `(file, offset, count)` runs in order."""

    def close(self) -> None:
        """Let go of the bytes, sent or not."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about, taken from its raw target and its Host header."""

    bucket: str
    key: str
    query: Query

    def get(self, name: str, default: str = "") -> str:
        """Return the value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def has(self, name: str) -> bool:
        """Tell whether a query parameter is present, be it empty."""
        return any(key == name for key, _ in self.query)


@dataclass(frozen=True, slots=True)
class Request:
    """One request whose head has been read."""

    operation: str
    method: str
    target: Target
    headers: Mapping[str, str]
    body: Body
    request_id: str
    host: str = ""
    client_ip: str = ""
    region: str = ""

    @property
    def bucket(self) -> str:
        """The bucket the request is about."""
        return self.target.bucket

    @property
    def key(self) -> str:
        """The key the request is about; empty for a bucket call."""
        return self.target.key

    @property
    def upload_id(self) -> str:
        """The uploadId parameter, or nothing."""
        return self.target.get("uploadId")

    def header(self, name: str, default: str = "") -> str:
        """Return a header's value by its lower-case name."""
        return self.headers.get(name, default)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: `body` or, for an object's bytes, `content`.

    Attributes:
        status: the status.
        headers: the headers, without those that every answer has.
        body: the body.
        content: an object's bytes in place of the body.
        code: the error code, or None.
        stored: the object that came into being, if a callback may tell of it.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content: Content | None = None
    code: str | None = None
    stored: ObjectRecord | None = None


def http_date(timestamp: float) -> str:
    """Return a moment as HTTP headers print it."""
    return email.utils.formatdate(timestamp, usegmt=True)


def parse_http_date(text: str) -> float | None:
    """Return the moment a header names, or None if it is no date."""
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
