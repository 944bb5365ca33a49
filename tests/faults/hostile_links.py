"""Links and other things in the place of the files beside the source, there before or put there.

    python -m tests.faults.hostile_links --rounds 2000 --seed 0

A thread puts links to files of others in the place of the checkpoint, its lock and its next state,
and takes them away again, all the time, while uploads run. The exit code is 1 if a run was stuck,
failed with anything but a typed error, or changed or made a file elsewhere.
"""

import argparse
import os
import random
import socket
import stat
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from resumable import ResumableError, upload_file
from tests import canary
from tests.core.checkpoint_content import WHOLE
from tests.faults.hostile_files import Place, place
from tests.support import PART, content

NAME = "example.bin.cp"
SUFFIXES = ("", ".lock", ".resumable-new")
BOUND = 20.0

_T = TypeVar("_T")


class StuckRunError(AssertionError):
    """A run did not end within its bound."""


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """What a call gives, or raises, if it ends in time."""
    outcome: list[_T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    thread = threading.Thread(target=run, name="run", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise StuckRunError(f"a run was not over after {seconds:.0f} s")
    if failures:
        raise failures[0]
    return outcome[0]


def attempt(stage: Place, folder: Path, key: str) -> ResumableError | None:
    """One upload with its checkpoint in this folder; the object is whole, or a typed error."""

    def run() -> ResumableError | None:
        try:
            upload_file(
                stage.bucket,
                key,
                stage.file,
                part_size=PART,
                enable_checkpoint=True,
                checkpoint_path=folder / NAME,
            )
        except ResumableError as error:
            return error
        return None

    error = within(BOUND, run)
    if error is None:
        assert content(stage.bucket, key) == stage.file.read_bytes(), "a wrong object"
    return error


def state_of(folder: Path) -> dict[str, tuple[object, ...]]:
    """All there is below a folder: kind, mode, content, time of the last write."""
    return {
        os.path.relpath(path, folder): (
            found.st_mode,
            found.st_mtime_ns,
            path.read_bytes() if stat.S_ISREG(found.st_mode) else None,
        )
        for path in folder.rglob("*")
        for found in [path.lstat()]
    }


def _precious(outside: Path) -> Path:
    return outside / "precious" / "file"


def _device(path: Path, _: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def _listening(path: Path, _: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(path.parent, os.O_RDONLY)
        try:  # the name of a socket must be short
            listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)


THINGS: dict[str, Callable[[Path, Path], None]] = {
    "link to a file": lambda path, outside: path.symlink_to(_precious(outside)),
    "link to nothing": lambda path, outside: path.symlink_to(outside / "precious" / "new"),
    "link to a folder": lambda path, outside: path.symlink_to(outside / "precious"),
    "link to a checkpoint": lambda path, outside: path.symlink_to(outside / "precious" / "other"),
    "link to itself": lambda path, _: path.symlink_to(path),
    "link to the source": lambda path, outside: path.symlink_to(outside / "source/example.bin"),
    "hard link": lambda path, outside: path.hardlink_to(_precious(outside)),
    "hard link to a checkpoint": lambda path, outside: path.hardlink_to(
        outside / "precious" / "other"
    ),
    "folder": lambda path, _: path.mkdir(),
    "pipe": lambda path, _: os.mkfifo(path),
    "device": _device,
    "socket": _listening,
}


@contextmanager
def set_up(folder: Path) -> Iterator[Place]:
    """A server, a file to upload, and files of others to link to."""
    with place(folder) as stage:
        (stage.outside / "precious" / "other").write_bytes(WHOLE)
        yield stage


@contextmanager
def flipping(path: Path, outside: Path, rng: random.Random) -> Iterator[Counter[str]]:
    """Meanwhile something at this path turns from a link to nothing to a file and back."""
    over, turns = threading.Event(), Counter[str]()
    targets = [_precious(outside), outside / "precious" / "new", outside / "precious" / "other"]
    spare = path.with_name(f"spare{path.suffix}")

    def flip() -> None:
        while not over.is_set():
            what = rng.choice(("link", "link", "link", "nothing", "checkpoint", "torn"))
            if what == "link":
                spare.symlink_to(rng.choice(targets))
            elif what != "nothing":
                spare.write_bytes(WHOLE if what == "checkpoint" else WHOLE[:100])
            with suppress(FileNotFoundError):
                path.unlink() if what == "nothing" else spare.replace(path)
            turns[what] += 1

    thread = threading.Thread(target=flip, name="flip", daemon=True)
    thread.start()
    try:
        yield turns
    finally:
        over.set()
        thread.join(BOUND)
        spare.unlink(missing_ok=True)


def race(stage: Place, folder: Path, *, rounds: int, seed: int, name: str) -> Counter[str]:
    """Run so many uploads while what is at this name flips; how they ended.

    Raises:
        AssertionError: something elsewhere was changed, or a run was stuck or wrong.
    """
    folder.mkdir()
    told: Counter[str] = Counter()
    before = state_of(stage.outside)
    with flipping(folder / name, stage.outside, random.Random(f"{seed}/{name}")) as turns:
        for number in range(rounds):
            error = attempt(stage, folder, f"{folder.name}/{number % 50}")
            told[type(error).__name__ if error else "success"] += 1
            assert state_of(stage.outside) == before, "files elsewhere were changed"
    told["turns"] = turns.total()
    return told


def main() -> int:
    """Run the command line; return the exit code."""
    canary.watch()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.hostile_links")
    parser.add_argument("--rounds", type=int, default=2000, help="uploads for each of three names")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="links-") as folder, set_up(Path(folder)) as stage:
        for suffix in SUFFIXES:
            at = Path(folder) / f"race{suffix}"
            try:
                told = race(stage, at, rounds=given.rounds, seed=given.seed, name=f"{NAME}{suffix}")
            except Exception as error:  # noqa: BLE001 - which one it is, is the finding
                sys.stderr.write(f"{NAME}{suffix}: {type(error).__name__}: {error}\n")
                failures += 1
                continue
            figures = ", ".join(f"{what} {count}" for what, count in sorted(told.items()))
            sys.stdout.write(f"{NAME}{suffix:<16}{figures}\n")
    sys.stdout.write(f"seed {given.seed}; {failures} violations\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
