"""Looking at a checkpoint without touching it."""

from pathlib import Path

import pytest

from resumable import Bucket, CheckpointError, read_checkpoint
from resumable.server import LocalServer
from tests.support import PART, make_file

from .steps import KEY, SIZE, beside, change_byte, checkpoint_path, interrupted


def test_status_of_a_checkpoint_can_be_read_without_touching_it(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    assert read_checkpoint(file) is None
    upload_id = interrupted(server, bucket, file, parts=2)
    status = read_checkpoint(file)
    assert status is not None
    assert (status.bucket, status.key, status.endpoint) == (bucket.name, KEY, server.endpoint)
    assert (status.upload_id, status.parts_done, status.parts_total) == (upload_id, (1, 2), 5)
    assert (status.bytes_done, status.size, status.source_unchanged) == (2 * PART, SIZE, True)
    change_byte(file, 0)
    changed = read_checkpoint(file, checkpoint_path=checkpoint_path(file))
    assert changed is not None
    assert not changed.source_unchanged
    checkpoint_path(file).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(file)
    assert beside(file) == {"example.bin.cp"}
