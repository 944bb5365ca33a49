"""From the bytes of a checkpoint file to its values, or to the reason why not.

A checkpoint is a hint. What is read here is bounded, checked and typed, but nothing in it is
believed: `reconcile` holds it against the source, the server and the caller's arguments.

This is the one module that takes pydantic along, which is loaded when there is a checkpoint to
read: a first upload has none.
"""

import hashlib
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from resumable.core.checkpoint import (
    ETAG,
    MAX_CHECKPOINT_SIZE,
    READABLE_VERSIONS,
    VERSION,
    Checkpoint,
    CheckpointFromFutureError,
    CheckpointUnreadableError,
    Destination,
    Kind,
    PartRecord,
    SourceIdentity,
    canonical,
)
from resumable.core.plan import MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE

MAX_PATH_LENGTH = 32_768  # more than any system opens
_MAX_KEY_LENGTH = 1023
# Each value of a JSON text takes one of these marks; a part has one `{` and four `,`. A path, a
# key, an upload id and an endpoint may consist of them.
_MARKS = (b"[", b"{", b",")
_MAX_MARKS = 5 * MAX_PARTS + MAX_PATH_LENGTH + _MAX_KEY_LENGTH + 3000
_U64 = (1 << 64) - 1
_MAX_SECONDS = 253_402_300_799  # the end of the year 9999, the last that a date in a header has
_Printable = r"^[\x21-\x7e]+$"
# Files can have times far beyond those that fit 64 bits of nanoseconds.
_Time = Annotated[int, Field(ge=-(1 << 94), le=1 << 94)]


def _from_decimal(value: object) -> object:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise ValueError("not a decimal number")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a decimal string")
    return value


Crc64 = Annotated[int, BeforeValidator(_from_decimal), Field(ge=0, le=_U64)]


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class DestinationSchema(_Schema):
    """What a `Destination` may be."""

    endpoint: Annotated[str, Field(min_length=1, max_length=1024, pattern=_Printable)]
    bucket: Annotated[str, Field(min_length=1, max_length=255, pattern=_Printable)]
    key: Annotated[str, Field(min_length=1, max_length=_MAX_KEY_LENGTH)]


class FileSchema(_Schema):
    """What a `SourceIdentity` may be."""

    path: Annotated[str, Field(max_length=MAX_PATH_LENGTH)]
    size: Annotated[int, Field(ge=0, le=MAX_OBJECT_SIZE)]
    mtime_ns: _Time
    ctime_ns: _Time
    inode: Annotated[int, Field(ge=0, le=(1 << 128) - 1)]


class PartSchema(_Schema):
    """What a `PartRecord` may be."""

    number: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    size: Annotated[int, Field(ge=0, le=MAX_PART_SIZE)]
    etag: Annotated[str, Field(pattern=f"^{ETAG}$")]
    crc64: Crc64


class CheckpointSchema(_Schema):
    """What a `Checkpoint` may be."""

    version: Annotated[int, Field(ge=READABLE_VERSIONS[0], le=VERSION)]
    kind: Kind
    destination: DestinationSchema
    upload_id: Annotated[str, Field(min_length=1, max_length=1024, pattern=_Printable)]
    file: FileSchema
    part_size: Annotated[int, Field(ge=MIN_PART_SIZE, le=MAX_PART_SIZE)]
    headers_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    parts: Annotated[
        tuple[PartSchema, ...], Field(strict=False, max_length=MAX_PARTS, fail_fast=True)
    ]
    initiated: Annotated[int, Field(ge=0, le=_MAX_SECONDS)] | None = None

    @model_validator(mode="after")
    def _each_part_once(self) -> "CheckpointSchema":
        if len({part.number for part in self.parts}) != len(self.parts):
            raise ValueError("a part is recorded twice")
        return self

    @model_validator(mode="after")
    def _of_its_version(self) -> "CheckpointSchema":
        if self.version == 1 and "initiated" in self.model_fields_set:
            raise ValueError("version 1 has no field `initiated`")
        return self

    def value(self) -> Checkpoint:
        """The checkpoint."""
        return Checkpoint(
            kind=self.kind,
            destination=Destination(**vars(self.destination)),
            upload_id=self.upload_id,
            file=SourceIdentity(**vars(self.file)),
            part_size=self.part_size,
            headers_digest=self.headers_digest,
            parts=tuple(PartRecord(**vars(part)) for part in self.parts),
            initiated=self.initiated,
        )


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
        raise CheckpointFromFutureError(f"version {version}; this release reads up to {VERSION}")
    optional = {"initiated"} if version == 1 else set()
    if missing := CheckpointSchema.model_fields.keys() - content.keys() - optional:
        raise CheckpointUnreadableError(f"{min(missing)} is missing")
    claimed = content.pop("checksum", None)
    if claimed is None or claimed != _checksum(content):
        raise CheckpointUnreadableError("its checksum does not match its content")
    try:
        return CheckpointSchema.model_validate(content).value()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise CheckpointUnreadableError(f"{where}: {first['msg']}") from None


def _checksum(content: object) -> str | None:
    try:
        return hashlib.sha256(canonical(content)).hexdigest()
    except (ValueError, RecursionError):  # a number of thousands of digits, nesting without end
        return None
