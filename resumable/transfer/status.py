"""What a checkpoint holds, for those who want to look without touching."""

import os
from dataclasses import dataclass

from resumable.core.arguments import suggesting
from resumable.core.checkpoint import (
    MAX_CHECKPOINT_SIZE,
    CheckpointFromFutureError,
    CheckpointUnreadableError,
    SourceIdentity,
)
from resumable.errors import CheckpointError, LocalFileError
from resumable.transfer.checkpoints import checkpoint_path_of, decoded
from resumable.transfer.files import read_bounded
from resumable.transfer.naming import path_as_given
from resumable.transfer.source import identify


@dataclass(frozen=True, slots=True)
class CheckpointStatus:
    """What a checkpoint says an unfinished transfer has reached.

    Attributes:
        path: Of the checkpoint.
        kind: `upload`.
        endpoint: Where to: scheme, host and port.
        bucket: The bucket's name.
        key: The object's key.
        upload_id: The multipart upload at the server.
        size: Bytes of the file.
        part_size: Bytes of each part but the last.
        parts_total: How many parts there are.
        parts_done: The numbers of the parts the server has acknowledged, ascending.
        bytes_done: Their bytes.
        source_unchanged: Whether the file is still in the state that was recorded. If it is not,
            the next run reads the recorded parts again and keeps those that are the same.
    """

    path: str
    kind: str
    endpoint: str
    bucket: str
    key: str
    upload_id: str
    size: int
    part_size: int
    parts_total: int
    parts_done: tuple[int, ...]
    bytes_done: int
    source_unchanged: bool


@suggesting
def read_checkpoint(
    filename: str | os.PathLike[str],
    *,
    checkpoint_path: str | os.PathLike[str] | None = None,
) -> CheckpointStatus | None:
    """Look at the checkpoint of a file; None if there is none. Nothing is changed or locked.

    Args:
        filename: The file that is being transferred.
        checkpoint_path: Where the checkpoint is kept. Default: `<filename>.cp`.

    Raises:
        CheckpointError: it cannot be read, is damaged, or was written by a newer release.
    """
    source = path_as_given(filename)
    path = checkpoint_path_of(source, checkpoint_path)
    try:
        data = read_bounded(path, MAX_CHECKPOINT_SIZE)
        if data is None:
            return None
        checkpoint = decoded(data)
    except (LocalFileError, CheckpointFromFutureError, CheckpointUnreadableError) as error:
        raise CheckpointError(f"the checkpoint {path!r} cannot be read: {error}") from None
    numbers = sorted(part.number for part in checkpoint.parts)
    return CheckpointStatus(
        path=path,
        kind=checkpoint.kind,
        endpoint=checkpoint.destination.endpoint,
        bucket=checkpoint.destination.bucket,
        key=checkpoint.destination.key,
        upload_id=checkpoint.upload_id,
        size=checkpoint.file.size,
        part_size=checkpoint.part_size,
        parts_total=checkpoint.plan.count,
        parts_done=tuple(numbers),
        bytes_done=sum(part.size for part in checkpoint.parts),
        source_unchanged=_unchanged(source, checkpoint.file),
    )


def _unchanged(source: str, recorded: SourceIdentity) -> bool:
    try:
        return identify(source).same_state(recorded)
    except OSError:
        return False
