"""The ledger by itself: what becomes of news that the writing thread has not been told of."""

import errno
import logging
from pathlib import Path

import pytest

from resumable import LocalFileError, ResumableError, TransferCancelledError
from resumable.core.checkpoint import Checkpoint, Destination, PartRecord
from resumable.core.reconcile import NO_HEADERS
from resumable.transfer.checkpoints import CheckpointFile, Ledger
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
    failed: list[ResumableError] = []
    return Ledger(begun(file), CheckpointFile(str(checkpoint_path(file))), failed.append)


def test_what_was_struck_is_written_at_the_end(folder: Path) -> None:
    file = make_file(folder, 2 * PART)
    with ledger_of(file) as ledger:
        ledger.keep_only({2})
    assert recorded(file) == [2]


def test_last_state_that_cannot_be_written_is_an_error(folder: Path) -> None:
    file = make_file(folder, 2 * PART)

    def work() -> None:
        with ledger_of(file) as ledger:
            ledger.keep_only({2})
            checkpoint_path(file).mkdir()

    with pytest.raises(LocalFileError) as raised:
        work()
    assert raised.value.errno == errno.EISDIR


def test_last_state_that_cannot_be_written_does_not_hide_what_ended_the_transfer(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = make_file(folder, 2 * PART)

    def work() -> None:
        with ledger_of(file) as ledger:
            ledger.keep_only({2})
            checkpoint_path(file).mkdir()
            raise TransferCancelledError("the transfer was cancelled by its caller")

    with (
        caplog.at_level(logging.WARNING, "resumable"),
        pytest.raises(TransferCancelledError, match="by its caller"),
    ):
        work()
    assert "the checkpoint could not be brought up to date" in caplog.text
