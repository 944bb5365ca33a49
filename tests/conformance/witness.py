"""What any client of OSS can do, in one shape, so that one suite runs for all of them.

A witness hands over what its client made of the server's answers, with ETags unquoted and
CRC-64 values as numbers, and lets the client's own errors through.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from resumable.core.integrity import crc64

NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Part:
    """A part, sent or listed; a client that reads no CRC-64 from the list has none."""

    number: int
    size: int
    etag: str
    crc64: int | None


@dataclass(frozen=True, slots=True)
class PartsPage:
    """One page of ListParts."""

    parts: tuple[Part, ...]
    is_truncated: bool
    next_marker: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A row of ListMultipartUploads."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class Made:
    """An object, as the answer to PutObject or Complete tells it."""

    etag: str
    crc64: int | None


@dataclass(frozen=True, slots=True)
class Head:
    """An object, as HEAD tells it; header names in lower case."""

    size: int
    etag: str
    crc64: int | None
    headers: Mapping[str, str]


class Witness(Protocol):
    """A client with its credentials, connected to `examplebucket`.

    `version` is that of its signatures, `errors` what it raises when it is told no, and
    `lists_crc64` whether it reads the CRC-64 of listed parts.
    """

    version: str
    errors: type[Exception]
    lists_crc64: bool

    def answered(self, error: Exception) -> tuple[int, str]:
        """The status and the code of the answer behind one of `errors`."""
        ...

    def cannot_send(self, key: str, /) -> str:
        """Why this client fails with such a key whatever the server does, or nothing."""
        ...

    def cannot_send_token(self) -> str:
        """Why this client fails with temporary credentials whatever the server does, or nothing."""
        ...

    def init(self, key: str, headers: Mapping[str, str] = NO_HEADERS) -> str: ...

    def upload_part(
        self, key: str, upload_id: str, number: int, data: bytes, *, content_md5: str = ""
    ) -> Part: ...

    def list_parts(
        self, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartsPage: ...

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> Made: ...

    def abort(self, key: str, upload_id: str) -> None: ...

    def put(self, key: str, data: bytes, *, content_md5: str = "") -> Made: ...

    def get(self, key: str) -> bytes: ...

    def get_range(self, key: str, wanted: str, *, standard: bool = False) -> bytes:
        """Read a range such as `0-99`, `100-` or `-100`; `standard` refuses one that is not."""
        ...

    def head(self, key: str) -> Head: ...

    def delete(self, key: str) -> None: ...

    def close(self) -> None: ...


class Sdk(Witness, Protocol):
    """A public SDK, whose transfer managers are witnesses too."""

    def list_uploads(
        self, *, prefix: str = "", after: Upload | None = None, limit: int = 1000
    ) -> tuple[list[Upload], bool]:
        """One page of the uploads under way, and whether there are more."""
        ...

    def upload_file(self, key: str, file: Path, records: Path, *, part_size: int) -> None:
        """Upload with four threads, keeping checkpoints in the folder `records`."""
        ...

    def download_file(self, key: str, file: Path, records: Path, *, part_size: int) -> None:
        """Download with four threads, keeping checkpoints in the folder `records`."""
        ...


def etag_of(data: bytes) -> str:
    """The ETag of a part, or of an object that was put."""
    return hashlib.md5(data).hexdigest().upper()


def part_of(number: int, data: bytes) -> Part:
    """A part as it follows from its bytes."""
    return Part(number, len(data), etag_of(data), crc64(data))


def announced(content_md5: str) -> dict[str, str]:
    """The header that announces an MD5, if there is one to announce."""
    return {"Content-MD5": content_md5} if content_md5 else {}


def as_listed(witness: Witness, parts: Sequence[Part]) -> tuple[Part, ...]:
    """Parts as this witness lists them."""
    return tuple(
        Part(part.number, part.size, part.etag, part.crc64 if witness.lists_crc64 else None)
        for part in parts
    )


@contextmanager
def refused(witness: Witness, status: int, code: str) -> Iterator[None]:
    """Within this context the server must say no, and the witness understand it so."""
    with pytest.raises(witness.errors) as caught:
        yield
    assert witness.answered(caught.value) == (status, code)
