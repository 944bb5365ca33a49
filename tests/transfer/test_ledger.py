"""The ledger by itself: what becomes of news that the writing thread has not been told of."""

import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable import LocalFileError, TransferCancelledError
from resumable.core.checkpoint import Checkpoint, Destination, PartRecord
from resumable.core.reconcile import NO_HEADERS
from resumable.transfer.checkpoints import CheckpointFile
from resumable.transfer.ledger import Ledger
from resumable.transfer.source import identify
from tests.support import PART, make_file

from .steps import KEY, checkpoint_path, recorded


def begun(file: Path) -> Checkpoint:
    return Checkpoint(
        kind="upload",
        destination=Destination(endpoint="http://127.0.0.1", bucket="examplebucket", key=KEY),
        upload_id="U",
        file=identify(str(file)),
        part_size=PART,
        headers_digest=NO_HEADERS,
        parts=tuple(PartRecord(number=n, size=PART, etag="E", crc64=n) for n in (1, 2)),
    )


def ledger_of(file: Path) -> Ledger:
    return Ledger(begun(file), CheckpointFile(str(checkpoint_path(file))))


def test_what_was_struck_is_written_at_the_end(folder: Path) -> None:
    file = make_file(folder, 2 * PART)
    with ledger_of(file) as ledger:
        ledger.keep_only({2})
    assert recorded(file) == [2]


def in_the_way(file: Path) -> None:
    checkpoint_path(file).mkdir()


def folder_vanishes(file: Path) -> None:
    shutil.rmtree(file.parent)


@pytest.mark.parametrize("spoil", [in_the_way, folder_vanishes])
def test_state_that_cannot_be_written_costs_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    file = make_file(folder, 2 * PART)
    with caplog.at_level(logging.WARNING, "resumable"), ledger_of(file) as ledger:
        spoil(file)
        ledger.keep_only({2})
        ledger.flush()
        ledger.keep_only(set())
    assert [record.message.count("upload U ") for record in caplog.records] == [1]


class Scarce(CheckpointFile):
    """A checkpoint for whose first writes there is no descriptor."""

    def __init__(self, path: str, failures: int) -> None:
        super().__init__(path)
        self.failures = failures

    def save(self, checkpoint: Checkpoint) -> None:
        self.failures -= 1
        if self.failures >= 0:
            error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            raise LocalFileError.of(error, "writing", self.path)
        super().save(checkpoint)


def test_state_for_which_there_is_no_descriptor_is_written_once_workers_gave_way(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, asked, written = make_file(folder, 2 * PART), list[int](), threading.Event()
    scarce = Scarce(str(checkpoint_path(file)), failures=3)

    def make_room() -> None:
        asked.append(scarce.failures)

    class Noting(Ledger):
        def flush(self) -> None:
            super().flush()
            if checkpoint_path(file).exists():
                written.set()

    warnings, ledger = caplog.at_level(logging.WARNING), Noting(begun(file), scarce, make_room)
    with warnings, ledger:
        ledger.record(PartRecord(number=1, size=PART, etag="F", crc64=7))
        assert written.wait(20)  # by the thread that writes, while the transfer goes on
        assert ledger.saved == 2
    assert asked == [2, 1, 0]
    assert caplog.text == ""
    assert recorded(file) == [1, 2]


def test_state_for_which_no_descriptor_comes_free_costs_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = make_file(folder, 2 * PART)
    scarce = Scarce(str(checkpoint_path(file)), failures=1000)
    with caplog.at_level(logging.WARNING, "resumable"), Ledger(begun(file), scarce) as ledger:
        ledger.keep_only({2})
        ledger.flush()
        ledger.flush()
    assert [record.message.count("upload U ") for record in caplog.records] == [1]


def test_how_many_parts_are_on_the_disk_is_known(folder: Path) -> None:
    file = make_file(folder, 2 * PART)
    with ledger_of(file) as ledger:
        assert ledger.saved == 2
        ledger.keep_only({2})
        ledger.flush()
        assert ledger.saved == 1
        checkpoint_path(file).unlink()
        in_the_way(file)
        ledger.keep_only(set())
        ledger.flush()
        assert ledger.saved == 1


def test_what_ended_the_transfer_is_raised_where_the_last_state_cannot_be_written(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = make_file(folder, 2 * PART)

    def work() -> None:
        with ledger_of(file) as ledger:
            ledger.keep_only({2})
            in_the_way(file)
            raise TransferCancelledError("the transfer was cancelled by its caller")

    with (
        caplog.at_level(logging.WARNING, "resumable"),
        pytest.raises(TransferCancelledError, match="by its caller"),
    ):
        work()
    assert "upload U " in caplog.text
