"""Thousands of parts: what is written, what is asked for, and how both grow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resumable import Bucket, ServerError, upload_file
from resumable.server import LocalServer
from resumable.transfer import checkpoints
from resumable.transfer.files import write_durably
from tests.support import PART, content, random_bytes, requests

MIB = 1024 * 1024


class Writes:
    """What writing the checkpoint cost."""

    def __init__(self) -> None:
        self.bytes = 0
        self.seconds = 0.0


@contextmanager
def counted_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Writes]:
    writes = Writes()
    save = checkpoints.CheckpointFile.save

    def counting_write(path: str, data: bytes) -> None:
        writes.bytes += len(data)
        write_durably(path, data)

    def timed_save(*args: object) -> None:
        began = time.monotonic()
        save(*args)  # type: ignore[arg-type]
        writes.seconds += time.monotonic() - began

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_durably", counting_write)
        patch.setattr(checkpoints.CheckpointFile, "save", timed_save)
        yield writes


@pytest.mark.parametrize("parts", [1_200, pytest.param(10_000, marks=pytest.mark.large)])
def test_checkpoints_of_many_parts_cost_little(
    bucket: Bucket, folder: Path, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "many.bin"
    file.write_bytes(random_bytes(PART) * parts)
    with counted_writes(monkeypatch) as writes:
        result = upload_file(
            bucket, "many", file, thread_num=4, part_size=PART, enable_checkpoint=True
        )
    assert result.parts_total == parts
    share = writes.seconds / result.elapsed
    print(f"{writes.bytes / MIB:.1f} MiB of checkpoints in {100 * share:.2f} % of the time")
    assert writes.bytes <= 200 * MIB
    # A run of a second or two is too short for a share of the time to mean anything.
    assert share <= 0.02 or parts < 10_000


@pytest.mark.parametrize(
    ("parts", "pages"), [(1_200, 2), pytest.param(10_000, 10, marks=pytest.mark.large)]
)
def test_resuming_with_one_part_missing_sends_one_part_in_few_requests(
    server: LocalServer, bucket: Bucket, folder: Path, parts: int, pages: int
) -> None:
    file = folder / "many.bin"
    file.write_bytes(random_bytes(PART) * parts)
    refused = {"status": 403, "code": "AccessDenied"}
    server.faults.add({"operation": "UploadPart", "part_number": parts, "effect": refused})
    with pytest.raises(ServerError):
        upload_file(bucket, "many", file, thread_num=4, part_size=PART, enable_checkpoint=True)
    server.log.clear()

    result = upload_file(bucket, "many", file, thread_num=4, part_size=PART, enable_checkpoint=True)

    counts = requests(server)
    print(dict(counts))
    assert counts == {"ListParts": pages, "UploadPart": 1, "CompleteMultipartUpload": 1}
    assert sum(counts.values()) <= 15
    assert (result.parts_reused, result.bytes_sent) == (parts - 1, PART)
    assert content(bucket, "many") == file.read_bytes()
