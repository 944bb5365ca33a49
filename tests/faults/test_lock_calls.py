import os
from pathlib import Path

from resumable.transfer.checkpoints import CheckpointFile
from tests.faults.disk import Call, observing
from tests.faults.effects import put_around_meanwhile
from tests.faults.recording import Create, Event, Recorder


def _take_the_lock(folder: Path) -> None:
    file = CheckpointFile(str(folder / "example.bin.cp"))
    with file.locked():
        file.load()


def test_making_the_lock_is_an_effect(tmp_path: Path) -> None:
    events: list[Event] = []
    with put_around_meanwhile(Recorder(events.append)):
        _take_the_lock(tmp_path)
    assert [event.name for event in events if isinstance(event, Create)] == ["example.bin.cp.lock"]


def test_effects_put_around_twice_are_both_seen(tmp_path: Path) -> None:
    inner: list[Event] = []
    outer: list[Event] = []
    with put_around_meanwhile(Recorder(inner.append)), put_around_meanwhile(Recorder(outer.append)):
        _take_the_lock(tmp_path)
    assert inner == outer
    assert any(isinstance(event, Create) for event in inner)


def test_opening_the_lock_is_a_call_that_can_fail(tmp_path: Path) -> None:
    calls: list[Call] = []

    def observe(call: Call) -> object:
        calls.append(call)
        return call.go()

    with observing(tmp_path, observe):
        _take_the_lock(tmp_path)
    assert ("os.open", "lock") in {(call.kind, call.role) for call in calls}


def test_the_calls_of_others_are_theirs_again_and_always_were(tmp_path: Path) -> None:
    before, events = os.open, list[Event]()
    with put_around_meanwhile(Recorder(events.append)):
        os.close(os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT))
    assert events == []
    assert os.open is before
