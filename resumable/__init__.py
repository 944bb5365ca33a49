"""Move large files to Alibaba Cloud OSS so that a crash costs at most the parts in flight."""

import logging

from resumable.core.reconcile import ListedPart
from resumable.errors import (
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
    PartSizeError,
    PreconditionFailedError,
    ProtocolError,
    RequestTimeoutError,
    ResumableError,
    ServerError,
    SlowDownError,
    SourceChangedError,
    TransferCancelledError,
    TransferLockedError,
)
from resumable.oss.bucket import Bucket
from resumable.oss.credentials import Credentials
from resumable.oss.results import (
    InitiatedUpload,
    ObjectHead,
    PartsPage,
    StoredObject,
    UploadedPart,
)
from resumable.oss.retry import RetryPolicy
from resumable.transfer.progress import Progress
from resumable.transfer.results import UploadResult
from resumable.transfer.status import CheckpointStatus, read_checkpoint
from resumable.transfer.upload import upload_file
from resumable.version import __version__

__all__ = [
    "AccessDeniedError",
    "Bucket",
    "CallbackFailedError",
    "CheckpointError",
    "CheckpointStatus",
    "ClockSkewError",
    "ConnectionFailedError",
    "Credentials",
    "CredentialsError",
    "FileAlreadyExistsError",
    "InitiatedUpload",
    "IntegrityError",
    "InvalidArgumentError",
    "InvalidDigestError",
    "InvalidPartError",
    "ListedPart",
    "LocalFileError",
    "NetworkError",
    "NoSuchKeyError",
    "NoSuchUploadError",
    "ObjectHead",
    "PartSizeError",
    "PartsPage",
    "PreconditionFailedError",
    "Progress",
    "ProtocolError",
    "RequestTimeoutError",
    "ResumableError",
    "RetryPolicy",
    "ServerError",
    "SlowDownError",
    "SourceChangedError",
    "StoredObject",
    "TransferCancelledError",
    "TransferLockedError",
    "UploadResult",
    "UploadedPart",
    "__version__",
    "read_checkpoint",
    "upload_file",
]

# A library does not decide where its log goes, nor complain that nobody listens.
logging.getLogger("resumable").addHandler(logging.NullHandler())
