"""What any client of OSS can do, in one shape, so that one suite runs for all of them.

A witness hands over what its client made of the server's answers, with ETags unquoted and
CRC-64 values as numbers, and lets the client's own errors through.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pytest

from resumable import Credentials
from resumable.core.integrity import crc64


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is said of an object when it is begun or put; what is empty is not said."""

    content_type: str = ""
    cache_control: str = ""
    content_disposition: str = ""
    content_encoding: str = ""
    expires: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""
    encryption: str = ""
    encryption_key_id: str = ""
    data_encryption: str = ""
    forbid_overwrite: bool = False
    request_payer: str = ""

    def headers(self) -> dict[str, str]:
        """The headers that say it, metadata left out."""
        said = {
            "Content-Type": self.content_type,
            "Cache-Control": self.cache_control,
            "Content-Disposition": self.content_disposition,
            "Content-Encoding": self.content_encoding,
            "Expires": self.expires,
            "x-oss-storage-class": self.storage_class,
            "x-oss-server-side-encryption": self.encryption,
            "x-oss-server-side-encryption-key-id": self.encryption_key_id,
            "x-oss-server-side-data-encryption": self.data_encryption,
            "x-oss-tagging": self.tagging,
            "x-oss-forbid-overwrite": "true" if self.forbid_overwrite else "",
            "x-oss-request-payer": self.request_payer,
        }
        return {name: value for name, value in said.items() if value}

    @property
    def tagging(self) -> str:
        """The tags as the value of x-oss-tagging."""
        return "&".join(f"{quote(key, '')}={quote(value, '')}" for key, value in self.tags.items())


PLAIN = Attributes()


@dataclass(frozen=True, slots=True)
class Conditions:
    """On what a read, or a copy of a part, depends."""

    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None

    def texts(self) -> dict[str, str]:
        """The conditions that are set, as texts by the names of these fields."""
        since = {
            name: format_datetime(moment, usegmt=True)
            for name in ("if_modified_since", "if_unmodified_since")
            if (moment := getattr(self, name)) is not None
        }
        matches = {name: getattr(self, name) for name in ("if_match", "if_none_match")}
        return {name: etag for name, etag in matches.items() if etag} | since

    def headers(self, prefix: str = "") -> dict[str, str]:
        """The headers that set them."""
        return {prefix + name.replace("_", "-"): text for name, text in self.texts().items()}


ALWAYS = Conditions()


@dataclass(frozen=True, slots=True)
class Callback:
    """What the server is to tell somebody when an object is made."""

    url: str
    body: str
    body_type: str = "application/x-www-form-urlencoded"
    host: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """The content of x-oss-callback."""
        said = {
            "callbackUrl": self.url,
            "callbackBody": self.body,
            "callbackBodyType": self.body_type,
            "callbackHost": self.host,
        }
        return {name: value for name, value in said.items() if value}


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


@dataclass(frozen=True, slots=True, order=True)
class Upload:
    """A row of ListMultipartUploads."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class UploadsQuery:
    """What is asked of ListMultipartUploads."""

    prefix: str = ""
    delimiter: str = ""
    key_marker: str = ""
    upload_id_marker: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """One page of ListMultipartUploads."""

    uploads: tuple[Upload, ...]
    prefixes: tuple[str, ...]
    is_truncated: bool
    next_key_marker: str
    next_upload_id_marker: str


@dataclass(frozen=True, slots=True)
class Made:
    """An object, as the answer to PutObject or Complete tells it, or what a callback answered."""

    etag: str
    crc64: int | None
    callback_body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """An object, as HEAD tells it; header names in lower case, values decoded from UTF-8."""

    size: int
    etag: str
    crc64: int | None
    headers: Mapping[str, str]


class Witness(Protocol):
    """A client with its credentials, connected to a bucket.

    Attributes:
        version: That of its signatures.
        errors: What it raises when it is told no.
        lists_crc64: Whether it reads the CRC-64 of listed parts.
        lists_prefixes: Whether it reads the common prefixes of listed uploads.
        sorts_parts: Whether it puts the parts named at Complete in order.
    """

    version: str
    errors: type[Exception]
    lists_crc64: bool
    lists_prefixes: bool
    sorts_parts: bool

    def answered(self, error: Exception) -> tuple[int, str]:
        """The status and the code of the answer behind one of `errors`."""
        ...

    def cannot_send(self, key: str, /) -> str:
        """Why this client fails with such a key whatever the server does, or nothing."""
        ...

    def cannot_send_metadata(self, value: str, /) -> str:
        """Why this client fails with such metadata whatever the server does, or nothing."""
        ...

    def cannot_send_token(self) -> str:
        """Why this client fails with temporary credentials whatever the server does, or nothing."""
        ...

    def init(
        self, key: str, attributes: Attributes = PLAIN, *, sequential: bool = False
    ) -> str: ...

    def upload_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        data: bytes,
        *,
        content_md5: str = "",
        traffic_limit: int = 0,
    ) -> Part: ...

    def upload_part_copy(
        self,
        key: str,
        upload_id: str,
        number: int,
        source: str,
        *,
        byte_range: tuple[int, int] | None = None,
        conditions: Conditions = ALWAYS,
    ) -> str:
        """Make a part of an object of the same bucket; return its ETag."""
        ...

    def list_parts(
        self, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartsPage: ...

    def list_uploads(self, query: UploadsQuery) -> UploadsPage: ...

    def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part] | None,
        *,
        forbid_overwrite: bool = False,
        acl: str = "",
        callback: Callback | None = None,
    ) -> Made:
        """Make the object of these parts, or of all there are when it is None."""
        ...

    def abort(self, key: str, upload_id: str) -> None: ...

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_md5: str = "",
        attributes: Attributes = PLAIN,
        callback: Callback | None = None,
    ) -> Made: ...

    def get(self, key: str, conditions: Conditions = ALWAYS) -> bytes: ...

    def get_range(self, key: str, wanted: str, *, standard: bool = False) -> bytes:
        """Read a range such as `0-99`, `100-` or `-100`; `standard` refuses one that is not."""
        ...

    def head(self, key: str) -> Head: ...

    def delete(self, key: str) -> None: ...

    def close(self) -> None: ...


class Sdk(Witness, Protocol):
    """A public SDK, which has transfer managers and calls that ours has not."""

    def tags(self, key: str) -> Mapping[str, str]:
        """The tags of an object."""
        ...

    def acl(self, key: str) -> str:
        """The ACL of an object."""
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


def decoded(value: str) -> str:
    """A header's value that a client read byte by byte, read as UTF-8 instead."""
    return value.encode("latin-1").decode("utf-8")


def as_listed(witness: Witness, parts: Sequence[Part]) -> tuple[Part, ...]:
    """Parts as this witness lists them."""
    return tuple(
        Part(part.number, part.size, part.etag, part.crc64 if witness.lists_crc64 else None)
        for part in parts
    )


class Lists(Protocol):
    """What lists a page: a witness, or several that take turns."""

    def list_parts(self, key: str, upload_id: str, *, after: int, limit: int) -> PartsPage: ...

    def list_uploads(self, query: UploadsQuery) -> UploadsPage: ...


def pages_of_parts(witness: Lists, key: str, upload_id: str, limit: int) -> Iterator[PartsPage]:
    """All pages of ListParts, each asked for by the marker the one before it told."""
    marker, more = 0, True
    while more:
        page = witness.list_parts(key, upload_id, after=marker, limit=limit)
        yield page
        marker, more = page.next_marker, page.is_truncated


def pages_of_uploads(
    witness: Lists, prefix: str, limit: int, delimiter: str = ""
) -> Iterator[UploadsPage]:
    """All pages of ListMultipartUploads, each asked for by the markers the one before it told."""
    markers, more = ("", ""), True
    while more:
        page = witness.list_uploads(UploadsQuery(prefix, delimiter, *markers, limit))
        yield page
        markers, more = (page.next_key_marker, page.next_upload_id_marker), page.is_truncated


@contextmanager
def refused(witness: Witness, status: int, code: str | None) -> Iterator[None]:
    """Within this context the server must say no, and the witness understand it so.

    An answer that has no code, such as 304, is expected with None.
    """
    with pytest.raises(witness.errors) as caught:
        yield
    told = witness.answered(caught.value)
    assert told == (status, code if code is not None else told[1])


def skip_if(reason: str) -> None:
    """Skip the test if there is a reason."""
    if reason:
        pytest.skip(reason)


Connect = Callable[[Credentials], Witness]
