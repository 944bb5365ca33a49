"""The checkpoint: its model, and the way between it and bytes.

A checkpoint is a hint. What is read here is bounded, checked and typed, but nothing in it is
believed: `reconcile` holds it against the source, the server and the caller's arguments.

The file is one JSON object; `docs/reference/checkpoint.md` describes each field. Its `checksum` is
the SHA-256 of the object without that field, serialised with sorted keys, no white space and
ASCII only, so that any language can make it again.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from resumable.core.plan import MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE, Plan

VERSION: Final = 1
MAX_CHECKPOINT_SIZE = 4 * 1024 * 1024
FIRST_BYTES = b'{"destination":'  # of every checkpoint, since the keys are sorted
MAX_PATH_LENGTH = 32_768  # more than any system opens
_MAX_KEY_LENGTH = 1023
# Each value of a JSON text takes one of these marks; a part has one `{` and four `,`. A path, a
# key, an upload id and an endpoint may consist of them.
_MARKS = (b"[", b"{", b",")
_MAX_MARKS = 5 * MAX_PARTS + MAX_PATH_LENGTH + _MAX_KEY_LENGTH + 3000

Kind = Literal["upload", "download", "copy", "stream"]

_U64 = (1 << 64) - 1


class CheckpointUnreadableError(ValueError):
    """The bytes are no checkpoint of this version: torn, foreign or damaged."""


class CheckpointFromFutureError(ValueError):
    """The checkpoint was written by a newer version and is not ours to judge."""


def _from_decimal(value: object) -> object:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise ValueError("not a decimal number")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a decimal string")
    return value


Crc64 = Annotated[int, BeforeValidator(_from_decimal), Field(ge=0, le=_U64)]
_Printable = r"^[\x21-\x7e]+$"
# What OSS and those who speak like it give: hexadecimal digits, sometimes with a number of parts.
ETAG = r"[A-Za-z0-9._+*/=:-]{1,256}"
# Files can have times far beyond those that fit 64 bits of nanoseconds.
_Time = Annotated[int, Field(ge=-(1 << 94), le=1 << 94)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Destination(_Model):
    """Where the bytes go. Two transfers with another destination share nothing."""

    endpoint: Annotated[str, Field(min_length=1, max_length=1024, pattern=_Printable)]
    bucket: Annotated[str, Field(min_length=1, max_length=255, pattern=_Printable)]
    key: Annotated[str, Field(min_length=1, max_length=_MAX_KEY_LENGTH)]

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.key} at {self.endpoint}"


class SourceIdentity(_Model):
    """What tells one state of a source file from another without reading it."""

    path: Annotated[str, Field(max_length=MAX_PATH_LENGTH)]
    size: Annotated[int, Field(ge=0, le=MAX_OBJECT_SIZE)]
    mtime_ns: _Time
    ctime_ns: _Time
    inode: Annotated[int, Field(ge=0, le=(1 << 128) - 1)]

    def same_state(self, other: "SourceIdentity") -> bool:
        """Whether both describe the same state of the same file, wherever it is called from."""
        return self._state() == other._state()

    def _state(self) -> tuple[int, int, int, int]:
        return self.size, self.mtime_ns, self.inode, self.ctime_ns


class PartRecord(_Model):
    """A part that the server has acknowledged, and the CRC-64 of the bytes that were read."""

    number: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    size: Annotated[int, Field(ge=0, le=MAX_PART_SIZE)]
    etag: Annotated[str, Field(pattern=f"^{ETAG}$")]
    crc64: Crc64


class Checkpoint(_Model):
    """What one transfer has reached."""

    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    kind: Kind
    destination: Destination
    upload_id: Annotated[str, Field(min_length=1, max_length=1024, pattern=_Printable)]
    file: SourceIdentity
    part_size: Annotated[int, Field(ge=MIN_PART_SIZE, le=MAX_PART_SIZE)]
    headers_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    parts: Annotated[
        tuple[PartRecord, ...], Field(strict=False, max_length=MAX_PARTS, fail_fast=True)
    ] = ()

    @model_validator(mode="after")
    def _each_part_once(self) -> "Checkpoint":
        if len({part.number for part in self.parts}) != len(self.parts):
            raise ValueError("a part is recorded twice")
        return self

    @property
    def plan(self) -> Plan:
        """How the file was cut when this was written."""
        return Plan(self.file.size, self.part_size)


def headers_digest(headers: Mapping[str, str]) -> str:
    """A digest of the headers given at Initiate, which belong to the upload id for good.

    Names are compared without regard to case. The values themselves are never stored.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    return hashlib.sha256(_canonical(lowered)).hexdigest()


def encode(checkpoint: Checkpoint) -> bytes:
    """The bytes of a checkpoint file."""
    content: dict[str, Any] = {
        "version": checkpoint.version,
        "kind": checkpoint.kind,
        "destination": vars(checkpoint.destination),
        "upload_id": checkpoint.upload_id,
        "file": vars(checkpoint.file),
        "part_size": checkpoint.part_size,
        "headers_digest": checkpoint.headers_digest,
        "parts": [
            # JSON numbers lose 64 bits in many languages.
            {"number": part.number, "size": part.size, "etag": part.etag, "crc64": str(part.crc64)}
            for part in checkpoint.parts
        ],
    }
    body = _canonical(content)
    checksum = hashlib.sha256(body).hexdigest()
    return b'%s,"checksum":"%s"}\n' % (body[:-1], checksum.encode())


def decode(data: bytes) -> Checkpoint:
    """Read the bytes of a checkpoint file.

    Raises:
        CheckpointFromFutureError: a newer version wrote it.
        CheckpointUnreadableError: it is anything else than a whole, valid checkpoint.
    """
    if len(data) > MAX_CHECKPOINT_SIZE:
        raise CheckpointUnreadableError(f"larger than {MAX_CHECKPOINT_SIZE} bytes")
    if sum(map(data.count, _MARKS)) > _MAX_MARKS:
        raise CheckpointUnreadableError(f"more values than {MAX_PARTS} parts have")
    try:
        content = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise CheckpointUnreadableError(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointUnreadableError("not a JSON object")
    version = content.get("version")
    if isinstance(version, int) and version > VERSION:
        raise CheckpointFromFutureError(f"version {version}; this release reads {VERSION}")
    if missing := Checkpoint.model_fields.keys() - content.keys():
        raise CheckpointUnreadableError(f"{min(missing)} is missing")
    claimed = content.pop("checksum", None)
    if claimed is None or claimed != _checksum(content):
        raise CheckpointUnreadableError("its checksum does not match its content")
    try:
        return Checkpoint.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise CheckpointUnreadableError(f"{where}: {first['msg']}") from None


def _checksum(content: object) -> str | None:
    try:
        return hashlib.sha256(_canonical(content)).hexdigest()
    except (ValueError, RecursionError):  # a number of thousands of digits, nesting without end
        return None


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
