"""Let uploads die at every single point, and see each of them finished by the next run.

    python -m tests.faults.crash_points --seed 0

The effects of an upload (each change of a file, each request) are numbered. For k = 1, 2, 3, …
until a run ends by itself, a run dies just before effect k, another one half-way through it where
it has halves, another one just after it. The same call is made again, and the object is compared.
Then uploads die several times in a row, at points drawn by the seed. The exit code is 1 if
anything was wrong.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.crash.processes import Ended
from tests.crash.scenario import Kill, Setup, Stage, Story
from tests.crash.tally import Tally
from tests.crash.uploader import KillPoint, Moment
from tests.faults.effects import ANY
from tests.faults.forked_uploader import ForkedUploaders
from tests.support import KIB, PART

# A fresh upload of 50 parts has some 90 effects: a run with so many does not come to its end.
_MOST_EFFECTS = 400
_MOST_DEATHS = 6
_MOMENTS: Sequence[Moment] = ("before", "sent", "after")
_INITIATE, _COMPLETE = "InitiateMultipartUpload", "CompleteMultipartUpload"


@dataclass(frozen=True, slots=True)
class Begun:
    """What is there when the run begins that is to die: the death of an earlier one."""

    name: str
    deaths: tuple[KillPoint, ...] = ()
    touched: bool = False


FRESH = Begun("fresh")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is uploaded, and what is there already."""

    setup: Setup
    begun: Begun

    def __str__(self) -> str:
        return f"{self.setup}, {self.begun.name}"


def configurations(
    parts: Iterable[int] = (1, 5, 50), threads: Iterable[int] = (1, 4)
) -> Iterator[Configuration]:
    """All of them; with and without Content-MD5, since that changes how a part is read."""
    for number in parts:
        size = 60 * KIB if number == 1 else (number - 1) * PART + 10 * KIB
        for workers in threads:
            for content_md5 in (True, False):
                setup = Setup(size, PART, workers, content_md5)
                for begun in _beginnings(number):
                    yield Configuration(setup, begun)


def _beginnings(parts: int) -> tuple[Begun, ...]:
    if parts == 1:
        not_made = Begun("resumed, not made", (KillPoint("before", "PutObject"),))
        return FRESH, not_made, Begun("resumed, made", (KillPoint("after", "PutObject"),))
    half = (KillPoint("after", "UploadPart", (parts + 1) // 2),)
    return (
        FRESH,
        Begun("resumed, begun", (KillPoint("after", _INITIATE),)),
        Begun("resumed, half", half),
        Begun("resumed, half, touched", half, touched=True),
        Begun("resumed, all parts", (KillPoint("before", _COMPLETE),)),
        Begun("resumed, made", (KillPoint("after", _COMPLETE),)),
    )


class ForkedStage(Stage):
    """A stage whose uploaders are forked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.uploaders.close()
        self.uploaders = self.forked = ForkedUploaders()


class PointStory(Story):
    """One upload whose runs die around the n-th effect.

    Attributes:
        hits: The effects that were hit.
    """

    def __init__(self, stage: Stage, configuration: Configuration, name: str) -> None:
        super().__init__(stage, configuration.setup, name)
        self._configuration = configuration
        self.hits: list[str] = []

    def tell(self, points: Sequence[KillPoint]) -> Tally:
        """Let it begin, let it die at these points, and run it again until it ends."""
        return self.play([*self._configuration.begun.deaths, *points])

    def _run(self, kill: Kill | None) -> Ended:
        begun = self._configuration.begun
        if begun.touched and self._tally.runs == len(begun.deaths):
            os.utime(self._file)
        ended = super()._run(kill)
        if isinstance(kill, KillPoint) and kill.effect == ANY and ended.how == "killed":
            self.hits.append(ended.stderr.strip())
        return ended

    def _count(self, kill: Kill | None, *, resuming: bool) -> None:
        assert isinstance(kill, KillPoint)
        name = kill.effect if kill.effect != ANY else self.hits[-1]
        self._tally.kills[name] += 1
        self._tally.kills_resuming += resuming


@dataclass(slots=True)
class Campaign:
    """What came of it.

    Attributes:
        points: How many distinct points a run died at, by configuration.
        chains: Uploads that died several times in a row.
        tally: Everything else.
    """

    stage: Stage
    points: Counter[Configuration] = field(default_factory=Counter)
    chains: int = 0
    tally: Tally = field(default_factory=Tally)

    def exhaust(self, configuration: Configuration) -> None:
        """Let runs die at every point of a configuration."""
        for number in count(1):
            hit = self._die(configuration, KillPoint("before", ANY, number))
            if hit is None:
                return
            if number > _MOST_EFFECTS:
                raise RuntimeError(f"{configuration}: no end after {number} effects")
            has_halves = hit == "os.write" or not hit.startswith("os.")
            for moment in _MOMENTS[1:] if has_halves else _MOMENTS[2:]:
                self._die(configuration, KillPoint(moment, ANY, number))

    def chain(self, seed: int, number: int) -> None:
        """Let one upload die several times in a row, as drawn."""
        rng = random.Random(f"{seed}/{number}")
        configuration = rng.choice(list(configurations()))
        most = 12 + 2 * configuration.setup.parts
        points = [
            KillPoint(rng.choice(_MOMENTS), ANY, rng.randint(1, most))
            for _ in range(rng.randint(2, _MOST_DEATHS))
        ]
        self.chains += 1
        self._tell(configuration, points)

    def rows(self) -> list[tuple[str, int | str]]:
        """The table, as names and figures."""
        return [
            ("configurations", len(self.points)),
            ("points", self.points.total()),
            ("uploads that died in a row", self.chains),
            *self.tally.rows(),
        ]

    def _die(self, configuration: Configuration, point: KillPoint) -> str | None:
        """Die at one point; the effect that was hit, if the run did not end before."""
        hits = self._tell(configuration, [point])
        self.points[configuration] += len(hits)
        return hits[0] if hits else None

    def _tell(self, configuration: Configuration, points: Sequence[KillPoint]) -> list[str]:
        story = PointStory(self.stage, configuration, f"points-{self.tally.runs}")
        told = story.tell(points)
        self.tally.add(told)
        for problem in told.problems:
            sys.stderr.write(f"{problem.kind}: {configuration}\n  {problem.story}\n")
        return story.hits


def memory_folder() -> str | None:
    """A folder in memory if there is one: what is not synced for real is synced at once."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.crash_points")
    parser.add_argument("--seed", type=int, default=0, help="of the deaths in a row")
    parser.add_argument("--chains", type=int, default=300, help="uploads that die in a row")
    parser.add_argument("--parts", type=int, nargs="*", default=[1, 5, 50], help="of the files")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 4], help="that send them")
    parser.add_argument("--begun", default="", help="only where this is there already")
    given = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="crash-points-", dir=memory_folder()) as folder,
        ForkedStage(Path(folder) / "stage") as stage,
    ):
        campaign = Campaign(stage)
        for configuration in configurations(given.parts, given.threads):
            if given.begun not in configuration.begun.name:
                continue
            campaign.exhaust(configuration)
            sys.stderr.write(f"{configuration}: {campaign.points[configuration]} points\n")
        for number in range(given.chains):
            campaign.chain(given.seed, number)
    taken = f"{time.monotonic() - began:.0f} s"
    for name, figure in [*campaign.rows(), ("seed", given.seed), ("wall time", taken)]:
        sys.stdout.write(f"{name:<30}{figure:>20}\n")
    return 1 if campaign.tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
