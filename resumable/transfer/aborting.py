"""Aborting uploads, so that no part is left behind that somebody pays for."""

import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Unpack

from resumable.core.arguments import suggesting
from resumable.core.outcome import UploadFate
from resumable.errors import (
    AbortIncompleteError,
    AccessDeniedError,
    CheckpointError,
    NoSuchUploadError,
    ResumableError,
    TransferCancelledError,
)
from resumable.oss.bucket import Bucket, check_bucket
from resumable.oss.cancellation import Cancellation
from resumable.oss.client import Controls
from resumable.oss.options import RequestOptions, merge_options
from resumable.transfer.checkpoints import CheckpointFile, checkpoint_path_of
from resumable.transfer.naming import path_as_given
from resumable.transfer.status import CheckpointStatus, read_checkpoint

_log = logging.getLogger("resumable")

# A part in flight can survive an abort, and then the upload is there again.
_ABORT_TRIES = 5


@dataclass(frozen=True, slots=True)
class AbortedCheckpoint:
    """A checkpoint that is removed, and with it the upload that it recorded.

    Attributes:
        checkpoint: What it held.
        upload_was_there: False if the server did not know the upload any more: it was completed
            or aborted before.
    """

    checkpoint: CheckpointStatus
    upload_was_there: bool


@suggesting
def abort_upload(
    bucket: Bucket, key: str, upload_id: str, **options: Unpack[RequestOptions]
) -> None:
    """Abort a multipart upload until the server lists nothing of it any more.

    One AbortMultipartUpload does not suffice where a part is in flight: the part can survive it.
    Whoever may abort but not list has to be content with one, which the log then says.

    Args:
        bucket: Of the upload.
        key: Of the object it was to become.
        upload_id: From `init_multipart_upload` or `iter_multipart_uploads`.
        options: `request_payer`.

    Raises:
        NoSuchUploadError: the server did not know it in the first place.
        ResumableError: it is still there, or whether it is could not be found out.
    """
    check_bucket(bucket)
    _abort(bucket, key, upload_id, merge_options(None, options, RequestOptions))


@suggesting
def abort_checkpoint(
    bucket: Bucket,
    filename: str | os.PathLike[str],
    *,
    checkpoint_path: str | os.PathLike[str] | None = None,
    **options: Unpack[RequestOptions],
) -> AbortedCheckpoint | None:
    """Abort the upload that the checkpoint of a file records, and remove the checkpoint.

    None if there is no checkpoint. That the server no longer knows the upload is no error: then
    there is nothing but the checkpoint to remove. At another endpoint than the checkpoint names
    it is one: the server there may be another service's.

    Args:
        bucket: The bucket that the checkpoint names, at any of its endpoints. Requests go
            nowhere else, whatever the checkpoint says.
        filename: The file that was to be uploaded. It need not exist any more.
        checkpoint_path: Where the checkpoint is. Default: `<filename>.cp`.
        options: `request_payer`.

    Raises:
        CheckpointError: it cannot be read, is of another bucket, or is of another endpoint and
            the server does not know the upload. It is kept.
        TransferLockedError: a transfer is working on it.
        ResumableError: the upload could not be aborted. The checkpoint is kept.
    """
    check_bucket(bucket)
    source = path_as_given(filename)
    file = CheckpointFile(checkpoint_path_of(source, checkpoint_path))
    if read_checkpoint(source, checkpoint_path=file.path) is None:
        return None
    with file.locked():
        found = read_checkpoint(source, checkpoint_path=file.path)
        if found is None:
            return None
        if found.bucket != bucket.name:
            raise _of_another_bucket(found, bucket, "is another")
        was_there = True
        try:
            abort_upload(bucket, found.key, found.upload_id, **options)
        except NoSuchUploadError as error:
            if found.endpoint != bucket.endpoint:
                raise _of_another_bucket(found, bucket, "does not know the upload") from None
            _log.info("nothing to abort: %s", error)
            was_there = False
        file.delete()
    return AbortedCheckpoint(found, was_there)


def _of_another_bucket(found: CheckpointStatus, bucket: Bucket, why: str) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint {found.path!r} is of bucket {found.bucket} at {found.endpoint} (upload id "
        f"{found.upload_id}), and {bucket.name} at {bucket.endpoint} {why}",
        advice=f"Give the bucket that the checkpoint names, by endpoint={found.endpoint!r}",
    )


def abandon(
    bucket: Bucket, key: str, upload_id: str, headers: Mapping[str, str], patience: float
) -> UploadFate:
    """Abort an upload of a transfer that failed, within so many seconds.

    What cannot be aborted is named in the log, since its parts are billed: also when Ctrl-C or
    an exception of the caller's own functions ends the abort.
    """
    cancellation = Cancellation()
    timer = threading.Timer(patience, cancellation.interrupt)
    timer.daemon = True
    with suppress(RuntimeError):  # no more threads: then the limits of each request have to do
        timer.start()
    fate, why = UploadFate.LEFT, "the abort was interrupted"
    try:
        controls = Controls(cancellation, keeps_key=True)
        _abort(bucket.under(controls), key, upload_id, headers)
        fate = UploadFate.ABORTED
    except NoSuchUploadError:
        fate = UploadFate.GONE
    except _AcknowledgedError:  # there was no time to make sure
        fate = UploadFate.ABORTED
    except ResumableError as error:
        why = str(error)
    finally:
        timer.cancel()
        if fate is UploadFate.LEFT:
            place = bucket.name, key
            _log.error("upload %s of oss://%s/%s is left on the server: %s", upload_id, *place, why)
    return fate


class _AcknowledgedError(TransferCancelledError):
    """Stopped after the server had said yes at least once."""


def _abort(bucket: Bucket, key: str, upload_id: str, headers: Mapping[str, str]) -> None:
    acknowledged = False
    try:
        for _ in range(_ABORT_TRIES):
            # That it is unknown is only believed of both: one wrong word would leave parts behind.
            with suppress(NoSuchUploadError):
                bucket.abort_multipart_upload(key, upload_id, headers=headers)
                acknowledged = True
            bucket.list_parts(key, upload_id, max_parts=1, headers=headers)
    except NoSuchUploadError:
        if acknowledged:
            return
        raise
    except AccessDeniedError as error:
        if not acknowledged:
            raise
        _log.warning(
            "upload %s was aborted; whether parts survived is not known: %s", upload_id, error
        )
        return
    except TransferCancelledError as error:
        if acknowledged:
            raise _AcknowledgedError(str(error)) from error
        raise
    raise AbortIncompleteError(
        f"upload {upload_id} is still there after {_ABORT_TRIES} aborts",
        advice="Somebody keeps sending parts of it: stop that, then abort it again",
    )
