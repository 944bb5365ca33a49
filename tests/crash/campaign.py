"""Kill uploads until so many kills have happened, and count what came of it.

    python -m tests.crash.campaign --kills 1000 --seed 0

The seed decides what is uploaded and where each run is killed; a moment within a run is a matter
of time, and so of chance. The exit code is 1 if anything was wrong.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.crash.scenario import SLOW, AtRandom, Kill, KillServer, Setup, Stage, Story
from tests.crash.tally import Tally
from tests.crash.uploader import KillPoint, Moment
from tests.support import KIB, MIB, PART

_LEAST_RESUMING = 0.2
_MOST_KILLS_EACH = 5

_SERVERS: Mapping[str, Sequence[Mapping[str, object]]] = {"quick": (), "slow": SLOW}
_SETUPS = {
    Setup(6 * MIB, PART, 3, content_md5=True): 4,
    Setup(6 * MIB + 123, PART, 3, content_md5=False): 2,
    Setup(24 * MIB, PART, 6, content_md5=True): 2,
    Setup(2 * MIB, PART, 1, content_md5=True): 2,
    Setup(32 * MIB, 4 * MIB, 4, content_md5=True): 1,
    Setup(12 * MIB + 1, MIB, 2, content_md5=False): 1,
    Setup(60 * KIB, PART, 2, content_md5=True): 1,
}
_MOMENTS: Sequence[Moment] = ("before", "sent", "answered", "after")
_SIDES: Sequence[Moment] = ("before", "after")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upload of the campaign is, and how its runs are killed."""

    server: str
    setup: Setup
    kills: Sequence[Kill]

    @classmethod
    def draw(cls, seed: int, upload: int) -> "Plan":
        """Draw the plan of the n-th upload."""
        rng = random.Random(f"{seed}/{upload}")
        server = rng.choices(list(_SERVERS), (3, 1))[0]
        setup = rng.choices(list(_SETUPS), list(_SETUPS.values()))[0]
        runs = range(rng.randint(1, _MOST_KILLS_EACH))
        return cls(server, setup, [_draw_kill(rng, setup, resuming=n > 0) for n in runs])


def _draw_kill(rng: random.Random, setup: Setup, *, resuming: bool) -> Kill:
    chance = rng.random()
    if chance < 0.05:
        return KillServer(rng.random(), rng.choice(("at once", "after the run")))
    if chance < 0.5:
        return _draw_point(rng, setup, resuming=resuming)
    return AtRandom(rng.random())


def _draw_point(rng: random.Random, setup: Setup, *, resuming: bool) -> KillPoint:
    begins = "ListParts" if resuming else "InitiateMultipartUpload"
    deletes = KillPoint(rng.choice(_SIDES), "os.unlink", path=rng.choice((".cp", ".cp.lock")))
    if setup.parts == 1:
        return rng.choice((KillPoint(rng.choice(_MOMENTS), "PutObject"), deletes))
    return rng.choice(
        (
            KillPoint(rng.choice(_MOMENTS), begins),
            KillPoint(rng.choice(_MOMENTS), "UploadPart", rng.randint(1, setup.parts)),
            KillPoint(rng.choice(_MOMENTS), "CompleteMultipartUpload"),
            KillPoint(rng.choice(_SIDES), "os.ftruncate"),
            KillPoint(rng.choice(_SIDES), "os.write", rng.randint(2, 4)),
            KillPoint(rng.choice(_SIDES), "os.fsync", rng.randint(1, 6)),
            KillPoint(rng.choice(_SIDES), "os.replace", rng.randint(1, 4)),
            deletes,
        )
    )


def run(folder: Path, uploads: Sequence[int] | None, *, kills: int, seed: int) -> Tally:
    """Play uploads, all or only these, until there were so many kills."""
    tally = Tally()
    with ExitStack() as stack:
        stages = {
            name: stack.enter_context(Stage(folder / name, faults))
            for name, faults in _SERVERS.items()
        }
        for upload in count() if uploads is None else uploads:
            plan = Plan.draw(seed, upload)
            told = Story(stages[plan.server], plan.setup, f"upload-{upload}").play(plan.kills)
            tally.add(told)
            for problem in told.problems:
                again = f"python -m tests.crash.campaign --seed {seed} --only {upload}"
                sys.stderr.write(f"{problem.kind}: {problem.story}\n  again: {again}\n")
            if tally.kills_in_all >= kills:
                break
    return tally


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.campaign", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of what is uploaded and killed where")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="play only these uploads")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-campaign-") as folder:
        tally = run(Path(folder), given.only, kills=given.kills, seed=given.seed)
    taken = f"{time.monotonic() - began:.0f} s"
    for name, figure in [*tally.rows(), ("seed", given.seed), ("wall time", taken)]:
        sys.stdout.write(f"{name:<30}{figure:>20}\n")
    too_few = given.only is None and tally.kills_resuming < _LEAST_RESUMING * tally.kills_in_all
    if too_few:
        sys.stderr.write(f"fewer than {_LEAST_RESUMING:.0%} of the kills hit a resume\n")
    return 1 if tally.problems or too_few else 0


if __name__ == "__main__":
    sys.exit(main())
