"""The checkpoint: its values, and how they become the bytes of a file.

The file is one JSON object; `docs/reference/checkpoint.md` describes each field. Its `checksum` is
the SHA-256 of the object without that field, serialised with sorted keys, no white space and
ASCII only, so that any language can make it again. `checkpoint_reading` is the way back.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from resumable.core.plan import Plan

VERSION: Final = 2
# Those that are read: version 1 does not say when the upload was begun.
READABLE_VERSIONS = (1, VERSION)
MAX_CHECKPOINT_SIZE = 4 * 1024 * 1024
FIRST_BYTES = b'{"destination":'  # of every checkpoint, since the keys are sorted
_SECTOR = 512
_OF_CHECKPOINTS = bytes([0, 0x0A, *range(0x20, 0x7F)])
# What OSS and those who speak like it give: hexadecimal digits, sometimes with a number of parts.
ETAG = r"[A-Za-z0-9._+*/=:-]{1,256}"

Kind = Literal["upload", "download", "copy", "stream"]


class CheckpointUnreadableError(ValueError):
    """The bytes are no checkpoint of this version: torn, foreign or damaged."""


class CheckpointFromFutureError(ValueError):
    """The checkpoint was written by a newer version and is not ours to judge."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the bytes go.

    Bucket and key say it; the endpoint is one of several that lead to the same bucket.
    """

    endpoint: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.key} at {self.endpoint}"


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """What tells one state of a source file from another without reading it."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    def same_state(self, other: "SourceIdentity") -> bool:
        """Whether both describe the same state of the same file, wherever it is called from."""
        return self._state() == other._state()

    def _state(self) -> tuple[int, int, int, int]:
        return self.size, self.mtime_ns, self.inode, self.ctime_ns


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part that the server has acknowledged, and the CRC-64 of the bytes that were read."""

    number: int
    size: int
    etag: str
    crc64: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What one transfer has reached.

    `initiated` is when its upload was begun, in seconds since the epoch by the server's clock, or
    for an upload that was not begun here a moment at which it was still unfinished. The object
    that is made of it cannot be older. None: not known, as in checkpoints of version 1.
    """

    kind: Kind
    destination: Destination
    upload_id: str
    file: SourceIdentity
    part_size: int
    headers_digest: str
    parts: tuple[PartRecord, ...] = ()
    initiated: int | None = None

    @property
    def plan(self) -> Plan:
        """How the file was cut when this was written."""
        return Plan(self.file.size, self.part_size)


def may_be_checkpoint(content: bytes) -> bool:
    """Whether this is a checkpoint, or what a crash or a damaged disk may have left of one.

    Every state of a checkpoint begins with the same bytes. After a power cut the end of it may be
    missing or zeros, and so may its first sector; what is left of it is printable ASCII all the
    same. Anything else is a file of the user's.
    """
    begun = content[:_SECTOR].rstrip(b"\0")
    if begun.startswith(FIRST_BYTES):
        return True
    return FIRST_BYTES.startswith(begun) and not content.translate(None, _OF_CHECKPOINTS)


def headers_digest(headers: Mapping[str, str]) -> str:
    """A digest of the headers given at Initiate, which belong to the upload id for good.

    Names are compared without regard to case. The values themselves are never stored.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    return hashlib.sha256(canonical(lowered)).hexdigest()


def encode(checkpoint: Checkpoint) -> bytes:
    """The bytes of a checkpoint file."""
    content: dict[str, Any] = {
        "version": VERSION,
        "kind": checkpoint.kind,
        "destination": asdict(checkpoint.destination),
        "upload_id": checkpoint.upload_id,
        "file": asdict(checkpoint.file),
        "part_size": checkpoint.part_size,
        "headers_digest": checkpoint.headers_digest,
        "initiated": checkpoint.initiated,
        "parts": [
            # JSON numbers lose 64 bits in many languages.
            {"number": part.number, "size": part.size, "etag": part.etag, "crc64": str(part.crc64)}
            for part in checkpoint.parts
        ],
    }
    body = canonical(content)
    checksum = hashlib.sha256(body).hexdigest()
    return b'%s,"checksum":"%s"}\n' % (body[:-1], checksum.encode())


def canonical(content: object) -> bytes:
    """The JSON that is hashed: sorted keys, no white space, ASCII only.

    Raises:
        ValueError: a number has thousands of digits.
        RecursionError: it is nested without end.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
