"""Every error this package raises on purpose, as one tree.

::

    ResumableError
    ├── InvalidArgumentError (ValueError)   the call cannot be carried out as written
    │   └── PartSizeError                   a part size outside 100 KB to 5 GB
    ├── CredentialsError                    no usable access key
    ├── LocalFileError (OSError)            a local file cannot be read or written
    ├── SourceChangedError                  the source file changed while it was sent
    ├── CheckpointError                     the checkpoint belongs to something else
    ├── TransferLockedError                 another process works on this transfer
    ├── AbortIncompleteError                an upload that was aborted is there again
    ├── TransferCancelledError              the caller asked to stop
    ├── NetworkError                        no answer
    │   ├── ConnectionFailedError           the connection was refused, lost or never made
    │   │   └── ProxyError                  the proxy is down, or refused the connection
    │   │       └── ProxyAuthenticationError    407: the proxy wants a user and a password
    │   └── RequestTimeoutError             the server took too long
    ├── ProtocolError                       the answer is not one OSS gives
    ├── IntegrityError                      the server holds other bytes than were read here
    └── ServerError                         the server refused: status, code, request id
        ├── AccessDeniedError               403: the credentials do not allow it
        │   └── TokenExpiredError           403: the security token has expired
        ├── CallbackFailedError             203: stored, but its callback failed
        ├── ClockSkewError                  403: this clock and the server's disagree
        ├── NoSuchUploadError               404: completed, aborted or expired
        ├── NoSuchKeyError                  404: no such object
        ├── InvalidPartError                400: a part named at Complete is not there
        ├── PartNotSequentialError          400 or 409: a sequential upload has no place for a part
        ├── InvalidDigestError              400: the body arrived damaged
        ├── FileAlreadyExistsError          409: overwriting was forbidden
        ├── NotModifiedError                304: a condition on a read or copy does not hold
        ├── PreconditionFailedError         412: a condition of the request does not hold
        └── SlowDownError                   429 or 503: too many requests

Each error says whose `fault` it is, whether the same call may succeed later (`retryable`), the
`request_id` to quote to support, what was `kept`, and what to do next (`advice`).
"""

from collections.abc import Callable
from typing import Literal

Fault = Literal["caller", "local", "source", "network", "server"]


class ResumableError(Exception):
    """The root of the tree: catch it to catch all that this package raises on purpose.

    Attributes:
        fault: Whose fault it is: the `caller`'s arguments, the `local` machine, the `source`
            file, the `network` or the `server`.
        retryable: Whether the same call may succeed when it is made again unchanged.
        request_id: The server's id of the request that failed, or an empty string.
        part_number: The part that failed, where one did.
        tries: How often the request was tried.
        tried_for: For how long, in seconds, waits included.
        kept: What remains for the next run, as a sentence, or an empty string.
        advice: What to do next, as a sentence, or an empty string.
    """

    fault: Fault = "caller"
    retryable: bool = False

    def __init__(self, message: str = "", *, request_id: str = "", advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.advice = advice
        self.part_number: int | None = None
        self.kept = ""
        self.tries = 1
        self.tried_for = 0.0

    def __str__(self) -> str:
        part = f"part {self.part_number}: " if self.part_number is not None else ""
        facts = ", ".join(self._facts())
        told = f"{part}{self.message.rstrip('.')}" + (f" ({facts})" if facts else "")
        sentences = (told, self.kept, self.advice)
        return ". ".join(sentence.rstrip(".") for sentence in sentences if sentence)

    def _facts(self) -> list[str]:
        """What to quote to support."""
        request = [f"request id {self.request_id}"] if self.request_id else []
        tries = f"{self.tries} tries in {self.tried_for:.0f} s"
        return request + ([tries] if self.tries > 1 else [])


class InvalidArgumentError(ResumableError, ValueError):
    """The call cannot be carried out as written; nothing was sent."""


class PartSizeError(InvalidArgumentError):
    """A part size outside 100 KB (102,400 bytes) to 5 GB, or not a size at all."""


class CredentialsError(ResumableError):
    """No access key was given or found, or the one found cannot be used."""


class LocalFileError(ResumableError, OSError):
    """A local file cannot be read or written; `errno` and `filename` say which and why."""

    fault: Fault = "local"

    @classmethod
    def of(cls, error: OSError, doing: str, path: str) -> "LocalFileError":
        """Build the error for a system call that failed while `doing` something to `path`."""
        told = cls(f"{doing} {path!r} failed: {error.strerror or error}")
        told.errno, told.strerror, told.filename = error.errno, error.strerror, path
        return told

    def __reduce__(self) -> tuple[Callable[..., "LocalFileError"], tuple[object, ...]]:
        # OSError keeps these where pickle does not look.
        system = {"errno": self.errno, "strerror": self.strerror, "filename": self.filename}
        return _restore, (type(self), self.args, {**self.__dict__, **system})


def _restore(
    kind: type[LocalFileError], args: tuple[object, ...], attributes: dict[str, object]
) -> LocalFileError:
    error = kind(*map(str, args))
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


class SourceChangedError(ResumableError):
    """The source file is not the one that was being sent; nothing was completed."""

    fault: Fault = "source"
    retryable = True


class CheckpointError(ResumableError):
    """The checkpoint cannot serve this call and was left as it is."""


class TransferLockedError(ResumableError):
    """Another process, or another thread of this one, works on the same checkpoint."""

    fault: Fault = "local"
    retryable = True


class AbortIncompleteError(ResumableError):
    """An upload was aborted, and yet it is there again: somebody keeps sending parts of it."""

    fault: Fault = "server"
    retryable = True


class TransferCancelledError(ResumableError):
    """The caller's `cancel` event was set."""

    retryable = True


class NetworkError(ResumableError):
    """A request got no answer, or only a part of one.

    Attributes:
        host: Where the request was to go, or empty if that is not known.
        port: The port there, or 0.
        proxy: The proxy on the way, as a URL without user and password, or empty.
    """

    fault: Fault = "network"
    retryable = True
    host: str = ""
    port: int = 0
    proxy: str = ""


class ConnectionFailedError(NetworkError):
    """The connection was refused, could not be made, or was lost.

    Attributes:
        is_unresolved: Whether the host's name could not be looked up.
        is_plain: Whether TLS met a server that speaks plain HTTP.
    """

    is_unresolved: bool = False
    is_plain: bool = False


class ProxyError(ConnectionFailedError):
    """The proxy cannot be reached, or does not connect to the server.

    Attributes:
        status: The HTTP status that the proxy answered with, or 0.
    """

    status: int = 0


class ProxyAuthenticationError(ProxyError):
    """407, or a refused SOCKS login: the proxy wants another user and password, or some at all."""

    fault: Fault = "caller"
    retryable = False


class RequestTimeoutError(NetworkError):
    """The server did not take the request, or did not answer it, in time."""


class ProtocolError(ResumableError):
    """The answer is not one that OSS gives: a proxy's page, a torn body, a wrong field."""

    fault: Fault = "server"
    retryable = True


class IntegrityError(ResumableError):
    """The server's CRC-64 or ETag is not that of the bytes read here."""

    fault: Fault = "network"
    retryable = True


class ServerError(ResumableError):
    """The server refused the request.

    Attributes:
        status: The HTTP status.
        code: The error code of the answer, such as `AccessDenied`; empty if it had none.
        ec: The finer error code (EC) to look up in the OSS documentation, or empty.
        host_id: The host the server says was addressed, or empty.
        endpoint: Where the bucket is, if the server says that it is elsewhere, or empty.
        retry_after: Seconds the server asks to wait before the next try, or None.
        server_time: The server's clock at the answer (seconds since the epoch), or None.
    """

    fault: Fault = "server"

    def __init__(  # noqa: PLR0913 - what an answer tells, each by its name
        self,
        message: str = "",
        *,
        status: int = 0,
        code: str = "",
        ec: str = "",
        host_id: str = "",
        request_id: str = "",
        advice: str = "",
    ) -> None:
        super().__init__(message, request_id=request_id, advice=advice)
        self.host_id = host_id
        self.endpoint = ""
        self.status = status
        self.code = code
        self.ec = ec
        self.retry_after: float | None = None
        self.server_time: float | None = None
        self.retryable = status >= 500 or status in (408, 429)

    def _facts(self) -> list[str]:
        answer = f"HTTP {self.status} {self.code}".rstrip()
        return [answer, *([f"EC {self.ec}"] if self.ec else []), *super()._facts()]


class AccessDeniedError(ServerError):
    """403: the credentials are wrong or do not allow this."""

    fault: Fault = "caller"


class TokenExpiredError(AccessDeniedError):
    """403 SecurityTokenExpired: the temporary access key has ended, and there is no other."""


class CallbackFailedError(ServerError):
    """203 CallbackFailed: the object is stored; only the callback to your server failed."""

    fault: Fault = "caller"


class ClockSkewError(ServerError):
    """403 RequestTimeTooSkewed: this machine's clock is more than 15 minutes off."""

    fault: Fault = "local"


class NoSuchUploadError(ServerError):
    """404 NoSuchUpload: the upload id was completed, aborted, has expired or never was."""


class NoSuchKeyError(ServerError):
    """404 NoSuchKey: there is no such object."""

    fault: Fault = "caller"


class InvalidPartError(ServerError):
    """400 InvalidPart: a part named at Complete is missing or has another ETag."""


class PartNotSequentialError(ServerError):
    """A part of a sequential upload was sent out of order or again.

    400 PartNotSequential: later parts are there. 409 PartAlreadyExist: it is there itself, and
    cannot be replaced.
    """


class InvalidDigestError(ServerError):
    """400 InvalidDigest: the body that arrived does not have the Content-MD5 announced."""

    fault: Fault = "network"


class FileAlreadyExistsError(ServerError):
    """409 FileAlreadyExists: the object exists and overwriting was forbidden."""

    fault: Fault = "caller"


class NotModifiedError(ServerError):
    """304: the object is the one that `if_none_match` or `if_modified_since` excludes."""

    fault: Fault = "caller"


class PreconditionFailedError(ServerError):
    """412 PreconditionFailed: a condition of the request does not hold."""

    fault: Fault = "caller"


class SlowDownError(ServerError):
    """429, or 503 with SlowDown or the like: the server wants fewer requests."""
