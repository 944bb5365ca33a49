"""Move large files to Alibaba Cloud OSS so that a crash costs at most the parts in flight."""

import importlib
import logging
import typing

from resumable.errors import (
    AbortIncompleteError,
    AccessDeniedError,
    CallbackFailedError,
    CheckpointError,
    ClockSkewError,
    ConnectionFailedError,
    CredentialsError,
    FileAlreadyExistsError,
    IntegrityError,
    InvalidArgumentError,
    InvalidDigestError,
    InvalidPartError,
    LocalFileError,
    NetworkError,
    NoSuchKeyError,
    NoSuchUploadError,
    NotModifiedError,
    PartNotSequentialError,
    PartSizeError,
    PreconditionFailedError,
    ProtocolError,
    ProxyAuthenticationError,
    ProxyError,
    RequestTimeoutError,
    ResumableError,
    ServerError,
    SlowDownError,
    SourceChangedError,
    TokenExpiredError,
    TransferCancelledError,
    TransferLockedError,
)
from resumable.version import __version__

if typing.TYPE_CHECKING:
    from resumable.core.plan import (
        Part,
        determine_part_size,
        split_by_part_num,
        split_by_part_size,
    )
    from resumable.core.reconcile import ListedPart
    from resumable.oss.bodies import FileSlice
    from resumable.oss.bucket import Bucket
    from resumable.oss.callback import Callback
    from resumable.oss.credentials import Credentials
    from resumable.oss.endpoint import endpoint_for
    from resumable.oss.multipart import NumberedPart
    from resumable.oss.options import (
        CompleteOptions,
        CopyOptions,
        InitiateOptions,
        PartOptions,
        PutOptions,
        ReadOptions,
        RequestOptions,
    )
    from resumable.oss.results import (
        CopiedPart,
        InitiatedUpload,
        ListedUpload,
        ObjectHead,
        PartsPage,
        StoredObject,
        UploadedPart,
        UploadsPage,
    )
    from resumable.oss.retry import RetryPolicy
    from resumable.transfer.aborting import AbortedCheckpoint, abort_checkpoint, abort_upload
    from resumable.transfer.progress import Progress
    from resumable.transfer.results import UploadResult
    from resumable.transfer.status import CheckpointStatus, read_checkpoint
    from resumable.transfer.upload import upload_file

__all__ = [
    "AbortIncompleteError",
    "AbortedCheckpoint",
    "AccessDeniedError",
    "Bucket",
    "Callback",
    "CallbackFailedError",
    "CheckpointError",
    "CheckpointStatus",
    "ClockSkewError",
    "CompleteOptions",
    "ConnectionFailedError",
    "CopiedPart",
    "CopyOptions",
    "Credentials",
    "CredentialsError",
    "FileAlreadyExistsError",
    "FileSlice",
    "InitiateOptions",
    "InitiatedUpload",
    "IntegrityError",
    "InvalidArgumentError",
    "InvalidDigestError",
    "InvalidPartError",
    "ListedPart",
    "ListedUpload",
    "LocalFileError",
    "NetworkError",
    "NoSuchKeyError",
    "NoSuchUploadError",
    "NotModifiedError",
    "NumberedPart",
    "ObjectHead",
    "Part",
    "PartNotSequentialError",
    "PartOptions",
    "PartSizeError",
    "PartsPage",
    "PreconditionFailedError",
    "Progress",
    "ProtocolError",
    "ProxyAuthenticationError",
    "ProxyError",
    "PutOptions",
    "ReadOptions",
    "RequestOptions",
    "RequestTimeoutError",
    "ResumableError",
    "RetryPolicy",
    "ServerError",
    "SlowDownError",
    "SourceChangedError",
    "StoredObject",
    "TokenExpiredError",
    "TransferCancelledError",
    "TransferLockedError",
    "UploadResult",
    "UploadedPart",
    "UploadsPage",
    "__version__",
    "abort_checkpoint",
    "abort_upload",
    "determine_part_size",
    "endpoint_for",
    "read_checkpoint",
    "split_by_part_num",
    "split_by_part_size",
    "upload_file",
]

# Where the other names live, to be loaded when they are first asked for: a program that wants only
# the errors, or the command that only shows its help, does not wait for TLS and all that.
_NAMES = {
    "resumable.core.plan": "Part determine_part_size split_by_part_num split_by_part_size",
    "resumable.core.reconcile": "ListedPart",
    "resumable.oss.bodies": "FileSlice",
    "resumable.oss.bucket": "Bucket",
    "resumable.oss.callback": "Callback",
    "resumable.oss.credentials": "Credentials",
    "resumable.oss.endpoint": "endpoint_for",
    "resumable.oss.multipart": "NumberedPart",
    "resumable.oss.options": (
        "CompleteOptions CopyOptions InitiateOptions PartOptions PutOptions ReadOptions "
        "RequestOptions"
    ),
    "resumable.oss.results": (
        "CopiedPart InitiatedUpload ListedUpload ObjectHead PartsPage StoredObject "
        "UploadedPart UploadsPage"
    ),
    "resumable.oss.retry": "RetryPolicy",
    "resumable.transfer.aborting": "AbortedCheckpoint abort_checkpoint abort_upload",
    "resumable.transfer.progress": "Progress",
    "resumable.transfer.results": "UploadResult",
    "resumable.transfer.status": "CheckpointStatus read_checkpoint",
    "resumable.transfer.upload": "upload_file",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

# A library does not decide where its log goes, nor complain that nobody listens.
logging.getLogger("resumable").addHandler(logging.NullHandler())


if not typing.TYPE_CHECKING:  # type checkers know the names, and tell those that there are not

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'resumable' has no attribute {name!r}", name=name)
        found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
