"""What a power cut leaves: the short form of the campaign, and what the model must be able to see.

`python -m tests.faults.power_loss` does the same at length.
"""

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resumable.core.checkpoint import FIRST_BYTES, encode
from resumable.transfer import files
from resumable.transfer.checkpoints import CheckpointFile
from tests.faults.crash_points import memory_folder
from tests.faults.disk_model import SECTOR, Disk
from tests.faults.power_loss import (
    Finder,
    Findings,
    Wish,
    begun_checkpoint,
    examine,
    ledger_trace,
    run,
)
from tests.faults.recording import (
    Acknowledged,
    Create,
    Event,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Unlink,
    Write,
)


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="power-loss-", dir=memory_folder()) as folder:
        yield Path(folder)


def states(*events: Event, start: dict[str, bytes] | None = None) -> set[tuple[tuple[str, bytes]]]:
    disk = Disk(start or {}, {name: number for number, name in enumerate(start or {})})
    for event in events:
        disk.apply(event)
    found = disk.states(1000, random.Random(0))
    return {tuple(sorted(state.items())) for state in found}  # type: ignore[misc]


def contents(name: str, *events: Event, start: dict[str, bytes] | None = None) -> set[bytes | None]:
    return {dict(state).get(name) for state in states(*events, start=start)}


def test_power_cuts_leave_nothing_wrong(memory: Path) -> None:
    findings, tally = run(memory, Wish(seed=1, states=4000, uploads=6, most=64))
    assert not findings.violations
    assert not tally.problems
    assert findings.states >= 4000
    assert findings.found["with a checkpoint"] > 1000
    assert findings.found["without a checkpoint"] > 100
    assert tally.kills_in_all >= 1


def test_what_is_not_synced_may_be_lost_or_torn_in_sectors() -> None:
    two = b"a" * SECTOR + b"b" * SECTOR
    found = contents("file", Create("file", 1), Write(1, 0, two))
    lost = bytes(SECTOR)
    assert found == {None, b"", two, two[:SECTOR] + lost, lost + two[SECTOR:], lost + lost}


def test_what_is_synced_stays() -> None:
    made = (Create("file", 1), Write(1, 0, b"data"), Sync(1))
    assert contents("file", *made) == {None, b"data"}
    assert contents("file", *made, SyncFolder()) == {b"data"}


def test_rename_may_be_lost_or_come_before_the_data() -> None:
    begun = (Create("new", 1), Write(1, 0, b"new"), Rename("new", "file"))
    found = contents("file", *begun, start={"file": b"old"})
    assert found == {b"old", b"", b"new", bytes(3)}
    synced = (Create("new", 1), Write(1, 0, b"new"), Sync(1), Rename("new", "file"))
    assert contents("file", *synced, start={"file": b"old"}) == {b"old", b"new"}
    assert contents("file", *synced, SyncFolder(), start={"file": b"old"}) == {b"new"}


def test_size_and_content_reach_the_disk_apart() -> None:
    found = contents("file", Truncate(0, 0), Write(0, 0, b"n"), start={"file": b"old"})
    assert found >= {b"old", b"", b"n", b"o", b"n\0\0", bytes(3)}


def test_unlink_may_be_lost() -> None:
    assert contents("file", Unlink("file"), start={"file": b"old"}) == {b"old", None}
    assert contents("file", Unlink("file"), SyncFolder(), start={"file": b"old"}) == {None}


def _without_sync(path: str, data: bytes) -> None:
    new = path + files._NEW
    descriptor = files._create_exclusively(new, data[: files._MARK])
    files._write_all(descriptor, data)
    os.close(descriptor)
    vars(files)["os"].replace(new, path)


def _in_place(path: str, data: bytes) -> None:
    descriptor = vars(files)["os"].open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    vars(files)["os"].ftruncate(descriptor, 0)
    files._write_all(descriptor, data)
    vars(files)["os"].fsync(descriptor)
    os.close(descriptor)


def _rename_first(path: str, data: bytes) -> None:
    new = path + files._NEW
    descriptor = files._create_exclusively(new, data[: files._MARK])
    files._write_all(descriptor, data)
    vars(files)["os"].replace(new, path)
    vars(files)["os"].fsync(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        pytest.param("_replace", _without_sync, id="data not synced"),
        pytest.param("_replace", _in_place, id="written in place"),
        pytest.param("_replace", _rename_first, id="renamed before it is synced"),
        pytest.param("_sync_folder", lambda _: None, id="folder not synced"),
    ],
)
def test_mistake_in_writing_would_be_noticed(
    memory: Path, monkeypatch: pytest.MonkeyPatch, name: str, mistake: Callable[..., None]
) -> None:
    monkeypatch.setattr(files, name, mistake)
    assert examined(memory).violations


def test_claim_before_the_answer_would_be_noticed(memory: Path) -> None:
    assert any("not acknowledged" in told for told in examined(memory, late=True).violations)


def examined(folder: Path, *, late: bool = False) -> Findings:
    """What is found in the checkpoint of five parts; if late, the answers come in the end."""
    for name in ("written", "scratch"):
        (folder / name).mkdir()
    trace, findings = ledger_trace(folder / "written", 5, seed=0), Findings()
    if late:
        trace = replace(
            trace, events=sorted(trace.events, key=lambda event: isinstance(event, Acknowledged))
        )
    examine(trace, findings, Finder(folder / "scratch"), most=64, seed=0)
    return findings


def test_new_checkpoint_whose_first_sector_was_lost_is_removed(tmp_path: Path) -> None:
    file = CheckpointFile(str(tmp_path / "example.bin.cp"))
    whole = encode(begun_checkpoint(tmp_path, "A" * 600, 5))
    torn = bytes(SECTOR) + whole[SECTOR:]
    assert whole.startswith(FIRST_BYTES)
    (tmp_path / "example.bin.cp.resumable-new").write_bytes(torn)
    with file.locked():
        assert file.load() is None
    assert not list(tmp_path.iterdir())


def test_lock_that_is_followed_by_zeros_is_taken(tmp_path: Path) -> None:
    file = CheckpointFile(str(tmp_path / "example.bin.cp"))
    holder = b'{"pid": 4711, "host": "example", "since": "2026-11-21T00:00:00+00:00"}'
    Path(file.lock_path).write_bytes(holder + b"\0")
    with file.locked():
        assert file.load() is None
