"""Links and other things beside the source are never followed, nor waited for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.core.checkpoint import FIRST_BYTES
from resumable.transfer import checkpoints, files
from tests.faults.hostile_files import Place
from tests.faults.hostile_links import NAME, SUFFIXES, THINGS, attempt, race, set_up, state_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with set_up(tmp_path_factory.mktemp("links")) as made:
        yield made


def put(thing: str, path: Path, outside: Path) -> None:
    try:
        THINGS[thing](path, outside)
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("thing", THINGS)
def test_what_is_in_the_way_is_neither_followed_nor_waited_for(
    stage: Place, tmp_path: Path, thing: str, suffix: str
) -> None:
    path = tmp_path / f"{NAME}{suffix}"
    put(thing, path, stage.outside)
    there = path.lstat()
    before = state_of(stage.outside)
    stage.server.log.clear()
    error = attempt(stage, tmp_path, f"{thing}{suffix}")
    assert state_of(stage.outside) == before
    if error is not None:
        assert path.lstat().st_ino == there.st_ino, "it is left as it was"
        assert not any(at.operation.startswith("Complete") for at in stage.server.log)
    assert error is not None or thing.startswith("hard link")


TORN = FIRST_BYTES[:9]


@pytest.mark.parametrize("thing", THINGS)
def test_place_of_a_bad_checkpoint_is_never_written_through(
    stage: Place, tmp_path: Path, thing: str
) -> None:
    put(thing, tmp_path / f"{NAME}.bad", stage.outside)
    (tmp_path / NAME).write_bytes(TORN)
    before = state_of(stage.outside)
    assert attempt(stage, tmp_path, f"{thing}.bad") is None
    assert state_of(stage.outside) == before
    assert (tmp_path / f"{NAME}.bad.1").read_bytes() == TORN


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_link_put_there_between_a_look_and_an_open_is_not_followed(
    stage: Place, tmp_path: Path, suffix: str
) -> None:
    told = race(stage, tmp_path / "race", rounds=25, seed=0, name=f"{NAME}{suffix}")
    assert told["turns"] > 50


def test_lock_of_a_run_that_ends_just_now_is_no_error(
    stage: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / f"{NAME}.lock"
    lock.write_bytes(b"")
    samefile = os.path.samefile

    def last_look(one: str, other: str) -> bool:
        if one == str(lock):
            lock.unlink(missing_ok=True)  # as the other run does when it ends
        return samefile(one, other)

    monkeypatch.setattr(os.path, "samefile", last_look)
    assert attempt(stage, tmp_path, "just now") is None


def test_files_that_follow_links_are_found(
    stage: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_NO_FOLLOW", 0)
    monkeypatch.setattr(files, "_create_exclusively", careless_create)
    monkeypatch.setattr(checkpoints, "clear_leftover", lambda *_: None)
    (tmp_path / f"{NAME}.resumable-new").symlink_to(tmp_path / "elsewhere")
    attempt(stage, tmp_path, "careless")
    assert (tmp_path / "elsewhere").exists()


def careless_create(path: str, begins: bytes) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
