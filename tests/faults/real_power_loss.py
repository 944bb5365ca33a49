"""Real file systems that are cut off in the middle of an upload, mounted again, and gone on with.

    python -m tests.faults.real_power_loss --kind ext4 --cuts 200 --seed 0

A file system in an image is told to stop at once (FS_IOC_SHUTDOWN): what has not reached the
image by then never does, with or without what waits in the journal. This needs root, loop devices
and the tools of the file system. The exit code is 1 if anything was wrong.
"""

import argparse
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal, Self, get_args

from tests.crash.processes import Ended
from tests.crash.scenario import Kill, Setup
from tests.crash.tally import Tally
from tests.crash.uploader import KillPoint
from tests.faults.crash_points import (
    FRESH,
    Configuration,
    ForkedStage,
    PointStory,
    memory_folder,
)
from tests.faults.effects import ANY
from tests.support import KIB, MIB, PART, make_file

Kind = Literal["ext4", "xfs"]

_SHUTDOWN = 0x8004587D
_FLUSH_JOURNAL, _DROP_JOURNAL = 1, 2
# Timestamps of nanoseconds need large inodes, which mkfs.ext4 does not give to a small one.
_MAKE = {"ext4": ["mkfs.ext4", "-q", "-F", "-I", "256"], "xfs": ["mkfs.xfs", "-q", "-f"]}
_SIZES = {"ext4": 48 * MIB, "xfs": 320 * MIB}
_LONGEST_COMMAND = 30


class CannotMountError(Exception):
    """This machine does not allow it; the message says why."""


def _call(*command: str | Path) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_LONGEST_COMMAND)
    except FileNotFoundError:
        raise CannotMountError(f"there is no {command[0]}") from None
    except subprocess.CalledProcessError as error:
        raise CannotMountError(f"{command[0]}: {error.stderr.decode().strip()}") from None


class Mounted:
    """A file system of its own in an image, until the context ends.

    Args:
        folder: Where the image and the place it is mounted at are made.
        kind: Of the file system.
    """

    def __init__(self, folder: Path, kind: Kind) -> None:
        if os.geteuid() != 0:
            raise CannotMountError("only root can mount an image")
        self._image, self.path = folder / "image", folder / "mounted"
        self._image.touch()
        os.truncate(self._image, _SIZES[kind])
        _call(*_MAKE[kind], self._image)
        self.path.mkdir()

    def __enter__(self) -> Self:
        _call("mount", "-o", "loop", self._image, self.path)
        return self

    def __exit__(self, *_: object) -> None:
        _call("umount", self.path)

    def cut(self, how: int) -> None:
        """Cut it off, and mount it again."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", how))
        finally:
            os.close(descriptor)
        _call("umount", self.path)
        _call("mount", "-o", "loop", self._image, self.path)


class MountedStory(PointStory):
    """One upload of a file on a file system that is cut off when a run has died."""

    def __init__(
        self,
        stage: ForkedStage,
        setup: Setup,
        name: str,
        mounted: Mounted,
        rng: random.Random,
    ) -> None:
        super().__init__(stage, Configuration(setup, FRESH), name)
        self._mounted, self._rng = mounted, rng
        shutil.rmtree(self._folder)
        self._folder = mounted.path / name
        self._folder.mkdir()
        self._file = make_file(self._folder, setup.size, seed=setup.size)
        os.sync()  # the file was there long before

    def _run(self, kill: Kill | None) -> Ended:
        ended = super()._run(kill)
        if ended.how == "killed":
            self._mounted.cut(self._rng.choice((_FLUSH_JOURNAL, _DROP_JOURNAL)))
        return ended


@dataclass(slots=True)
class Cuts:
    """Uploads on one file system, one after another."""

    stage: ForkedStage
    mounted: Mounted
    tally: Tally = field(default_factory=Tally)

    def upload(self, seed: int, number: int) -> None:
        """Upload a file and cut the power up to four times."""
        rng = random.Random(f"{seed}/{number}")
        parts = rng.choice((2, 5, 20))
        setup = Setup((parts - 1) * PART + 10 * KIB, PART, rng.choice((1, 4)), content_md5=True)
        points = [
            KillPoint(rng.choice(("before", "sent", "after")), ANY, rng.randint(2, 18 + parts))
            for _ in range(rng.randint(1, 4))
        ]
        story = MountedStory(self.stage, setup, f"mounted-{number}", self.mounted, rng)
        told = story.tell(points)
        self.tally.add(told)
        for problem in told.problems:
            sys.stderr.write(f"{problem.kind}: {problem.story}\n")


def run(folder: Path, kind: Kind, *, cuts: int, seed: int) -> Tally:
    """Upload until the power was cut so many times.

    Raises:
        CannotMountError: this machine does not allow it.
    """
    place = folder / "place"
    place.mkdir()
    with Mounted(place, kind) as mounted, ForkedStage(folder / "stage") as stage:
        campaign = Cuts(stage, mounted)
        for number in count():
            if campaign.tally.kills_in_all >= cuts:
                return campaign.tally
            campaign.upload(seed, number)
    raise AssertionError("there is no last number")


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.real_power_loss")
    parser.add_argument("--kind", choices=get_args(Kind), default="ext4", help="of file system")
    parser.add_argument("--cuts", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of what is cut where")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="power-loss-", dir=memory_folder()) as folder:
        try:
            tally = run(Path(folder), given.kind, cuts=given.cuts, seed=given.seed)
        except CannotMountError as error:
            sys.stdout.write(f"skipped: {error}\n")
            return 0
    taken = f"{time.monotonic() - began:.0f} s"
    rows = [("file system", given.kind), *tally.rows(), ("seed", given.seed), ("wall time", taken)]
    for name, figure in rows:
        sys.stdout.write(f"{name:<30}{figure:>20}\n")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
