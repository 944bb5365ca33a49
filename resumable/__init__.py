"""Move large files to Alibaba Cloud OSS so that a crash costs at most the parts in flight."""

import logging

from resumable.core.plan import (
    Part,
    determine_part_size,
    split_by_part_num,
    split_by_part_size,
)
from resumable.core.reconcile import ListedPart
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
    RequestTimeoutError,
    ResumableError,
    ServerError,
    SlowDownError,
    SourceChangedError,
    TokenExpiredError,
    TransferCancelledError,
    TransferLockedError,
)
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
from resumable.version import __version__

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

# A library does not decide where its log goes, nor complain that nobody listens.
logging.getLogger("resumable").addHandler(logging.NullHandler())
