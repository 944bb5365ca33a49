"""The values that travel between the layers of the protocol: what is asked, what is answered."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Protocol

from resumable.core.integrity import Bytes, PartDigest, PartHasher
from resumable.errors import IntegrityError

# Header names this client writes or reads, each written once.
CONTENT_LENGTH = "content-length"
CONTENT_MD5 = "content-md5"
CONTENT_TYPE = "content-type"
CRC64 = "x-oss-hash-crc64ecma"
ERROR_ON_HEAD = "x-oss-err"
REQUEST_ID = "x-oss-request-id"
SECURITY_TOKEN = "x-oss-security-token"  # noqa: S105 - the name of a header, not a secret
SERVER_ENCRYPTION = "x-oss-server-side-encryption"
VERSION_ID = "x-oss-version-id"

BLOCK_SIZE = 256 * 1024


class StoredBlock(ABC):
    """A block of a body as it is in its file.

    The kernel moves it from there to a socket, which spares two copies; or it is read, where the
    bytes must be seen, as TLS has to.
    """

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int:
        """The number of bytes."""

    @abstractmethod
    def read(self) -> memoryview:
        """The bytes.

        Raises:
            ResumableError: they cannot be read.
        """

    @abstractmethod
    def send(self, descriptor: int, done: int) -> int:
        """Send what follows the first `done` bytes to a socket; how many bytes it took.

        Raises:
            BlockingIOError: it takes none now.
            io.UnsupportedOperation: the kernel cannot; what is left has to be read and sent.
            OSError: the connection failed.
            ResumableError: the file ends before the block does.
        """


Block = memoryview | StoredBlock


class Payload(Protocol):
    """A request body that can be sent again from its first byte.

    `prepare` comes before each sending. Only after all of `blocks` were taken does `digest` tell
    what was sent.
    """

    @property
    def size(self) -> int:
        """The number of bytes."""
        ...

    def prepare(self, *, with_md5: bool) -> bytes | None:
        """Get ready for a sending, and give the MD5 of the bytes if it is wanted."""
        ...

    def blocks(self) -> Iterator[Block]:
        """The bytes in order. A block is only valid until the next one is asked for."""
        ...

    def digest(self) -> PartDigest:
        """The digests of the bytes.

        Raises:
            IntegrityError: they are not known, since not all of the bytes were read.
        """
        ...


class BytesPayload:
    """A body that is in memory."""

    def __init__(self, data: Bytes) -> None:
        self._view = memoryview(data).cast("B")
        self._digest: PartDigest | None = None

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self._view)

    def prepare(self, *, with_md5: bool) -> bytes | None:
        """Digest the bytes."""
        hasher = PartHasher(with_md5=with_md5)
        hasher.update(self._view)
        self._digest = hasher.digest()
        return self._digest.md5

    def blocks(self) -> Iterator[memoryview]:
        """The bytes, in blocks that each have the time of a timeout to go out."""
        for start in range(0, len(self._view), BLOCK_SIZE):
            yield self._view[start : start + BLOCK_SIZE]

    def digest(self) -> PartDigest:
        """The digests of the bytes."""
        return known(self._digest)


def known(digest: PartDigest | None) -> PartDigest:
    """The digests of a body.

    Raises:
        IntegrityError: there are none, since not all of it was read.
    """
    if digest is None:
        raise IntegrityError("the bytes were not read to their end, so nothing vouches for them")
    return digest


@dataclass(frozen=True, slots=True)
class Request:
    """One call, before it is signed. Without a `key` it is a call on the bucket."""

    operation: str
    method: str
    key: str | None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Payload | None = None


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A signed request: exactly what goes on the wire. Its `repr` shows no signature."""

    method: str
    origin: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: Payload | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are in lower case.

    Its `repr` shows the status alone: a refused signature is answered with what was to be signed,
    which holds the security token.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def request_id(self) -> str:
        """The server's id of the request."""
        return self.headers.get(REQUEST_ID, "")

    @property
    def server_time(self) -> float | None:
        """The server's clock at the answer (seconds since the epoch), if it tells."""
        return seconds_since_epoch(self.headers.get("date", ""))

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait before the next try, if it does."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text) if len(text) < 7 else None
        then, now = seconds_since_epoch(text), self.server_time
        return max(0.0, then - now) if then is not None and now is not None else None


def seconds_since_epoch(date: str) -> float | None:
    """Read the date of a header; None if it is none."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (TypeError, ValueError, OverflowError):
        return None
