"""Bugs of the package that only show where several processes work at once.

Each is a function that breaks the package in the process that calls it, for the proof that the
harness notices.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress

from filelock import FileLock

from resumable import CheckpointError, NoSuchUploadError, TransferLockedError
from resumable.core.plan import Plan
from resumable.oss.results import ObjectHead, StoredObject
from resumable.transfer import checkpoints, files
from resumable.transfer.checkpoints import CheckpointFile
from resumable.transfer.finishing import Content, Finisher
from resumable.transfer.results import VerifiedObject
from resumable.transfer.uploading import Upload
from tests.transfer.steps import open_uploads


def takes_no_lock() -> None:
    """The lock says yes to everybody."""

    def acquire(self: FileLock, *args: object, **kwargs: object) -> None:
        """Take nothing."""

    vars(checkpoints)["FileLock"] = type("LyingLock", (FileLock,), {"acquire": acquire})


def writes_in_place() -> None:
    """The checkpoint is cut off and written anew where it is."""

    def replace(path: str, data: bytes) -> None:
        system = vars(files)["os"]
        descriptor = system.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for half in (data[: len(data) // 2], data[len(data) // 2 :]):
                system.write(descriptor, half)
            system.fsync(descriptor)
        finally:
            os.close(descriptor)

    vars(files)["_replace"] = replace


def removes_the_checkpoint_of_another() -> None:
    """A run that finds the lock taken takes the checkpoint for one that was left over."""
    real = CheckpointFile._held_by_another

    def held_by_another(self: CheckpointFile) -> TransferLockedError | CheckpointError:
        self.delete()
        return real(self)

    vars(checkpoints)["CheckpointFile"]._held_by_another = held_by_another


def aborts_what_is_under_way() -> None:
    """A run takes the uploads of its key for orphans."""
    real = Upload.carry_out

    def carry_out(self: Upload, plan: Plan) -> VerifiedObject:
        bucket = self._run.free_bucket
        for upload_id in open_uploads(bucket):
            with suppress(NoSuchUploadError):
                bucket.abort_multipart_upload(self._key, upload_id)
        return real(self, plan)

    Upload.carry_out = carry_out  # type: ignore[method-assign]


def takes_any_object_for_its_own() -> None:
    """Whatever stands under the key when the upload is gone was made by this transfer."""

    def recognised(
        self: Finisher, head: ObjectHead, content: Content, *_: object
    ) -> VerifiedObject | None:
        stored = StoredObject(head.etag, head.crc64, head.version_id, head.request_id)
        return VerifiedObject(stored, content.crc64, "crc64")

    Finisher._recognised = recognised  # type: ignore[method-assign, assignment]


BUGS: Mapping[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        takes_no_lock,
        writes_in_place,
        removes_the_checkpoint_of_another,
        aborts_what_is_under_way,
        takes_any_object_for_its_own,
    )
}
