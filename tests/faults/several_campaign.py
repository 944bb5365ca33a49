"""Rounds of processes that all work on one key at once, with the lock and without it.

    python -m tests.faults.several_campaign --rounds 500 --seed 0

The seed decides who does what under which faults; who comes first is a matter of time, and so of
chance. The exit code is 1 if an object was wrong, a process was stuck, or something was left.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from resumable import Bucket
from resumable.server import Exchange, LocalServer
from tests.faults.several import Ended, Order, WarmParent
from tests.faults.several_bugs import BUGS
from tests.support import PART, content, local_bucket
from tests.transfer.steps import exists

# Far beyond any run here, the waits between its retries included: who takes longer is stuck.
LONGEST_RUN = 30.0
_MOST_DEATHS_AT = 90

_NO_FAULTS: Sequence[Mapping[str, object]] = ()
_FAULTS: Sequence[Sequence[Mapping[str, object]]] = (
    _NO_FAULTS,
    ({"operation": "UploadPart", "effect": {"stall": 0.02}, "times": 6},),
    ({"operation": "UploadPart", "effect": {"stall_answer": 0.03}, "skip": 1, "times": 4},),
    ({"operation": "InitiateMultipartUpload", "effect": {"stall_answer": 0.03}, "times": 4},),
    ({"operation": "CompleteMultipartUpload", "effect": {"stall": 0.05}, "times": 3},),
    ({"operation": "CompleteMultipartUpload", "effect": {"stall_answer": 0.05}, "times": 3},),
    ({"operation": "CompleteMultipartUpload", "effect": {"drop": "after_success"}, "times": 1},),
    ({"operation": "ListParts", "effect": {"stall_answer": 0.03}, "times": 4},),
    ({"operation": "UploadPart", "effect": {"drop": "after_success"}, "times": 3},),
    ({"operation": "HeadObject", "effect": {"stall": 0.03}, "times": 3},),
)


@dataclass(slots=True)
class Tally:
    """What has been seen."""

    rounds: int = 0
    processes: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, int]]:
        """The counts by name."""
        kinds = ("wrong", "stuck", "crash", "disturbed", "left behind", "no success")
        return [
            ("rounds", self.rounds),
            ("processes", self.processes),
            *((f"ended: {end}", number) for end, number in sorted(self.ends.items())),
            *sorted(self.left.items()),
            *((kind, self.troubles[kind]) for kind in kinds),
        ]


@dataclass(frozen=True, slots=True)
class Round:
    """Who does what.

    Attributes:
        contents: Of each process's file; the same where it is the same file.
        deaths: Where each process dies, if it does.
    """

    one_file: bool
    locked: bool
    contents: Sequence[bytes]
    threads: Sequence[int]
    deaths: Sequence[int | None]
    faults: Sequence[Mapping[str, object]]

    @classmethod
    def draw(cls, seed: int, number: int) -> "Round":
        """Draw the n-th round."""
        rng = random.Random(f"{seed}/{number}")
        processes, one_file = rng.randint(2, 8), rng.random() < 0.5
        size = rng.randint(1, 6) * PART + rng.choice((0, 1, 17))
        same = rng.randbytes(size)
        contents = [same if one_file else rng.randbytes(size) for _ in range(processes)]
        mortal = rng.random() < 0.3
        deaths = [
            rng.randint(1, _MOST_DEATHS_AT) if mortal and rng.random() < 0.5 else None
            for _ in range(processes)
        ]
        threads = [rng.choice((1, 1, 2, 3)) for _ in range(processes)]
        locked = rng.random() < 0.5
        return cls(one_file, locked, contents, threads, deaths, rng.choice(_FAULTS))


class Arena:
    """Where the rounds take place."""

    def __init__(
        self, folder: Path, server: LocalServer, parent: WarmParent, bug: str = ""
    ) -> None:
        self._folder = folder
        self._server = server
        self._parent = parent
        self._bug = bug
        self.tally = Tally()

    def play(self, drawn: Round, name: str) -> None:
        """Play a round, and count what was wrong with it."""
        folder = self._folder / name
        folder.mkdir()
        files = self._write(folder, drawn)
        orders = [
            Order(
                self._server.endpoint,
                name,
                str(file),
                thread_num=threads,
                locked=drawn.locked,
                die_at=death,
                bug=self._bug,
            )
            for file, threads, death in zip(files, drawn.threads, drawn.deaths, strict=True)
        ]
        for rule in drawn.faults:
            self._server.faults.add(rule)
        self._server.log.clear()
        ends = self._parent.run(orders, LONGEST_RUN)
        self._server.faults.clear()
        self._check_course(drawn, ends, name)
        with local_bucket(self._server.endpoint) as bucket:
            self._check(drawn, ends, bucket, name)
            self._check_next_run(drawn, sorted(set(files)), bucket, name)

    def _write(self, folder: Path, drawn: Round) -> list[Path]:
        files = []
        for number, data in enumerate(drawn.contents):
            file = folder / ("file" if drawn.one_file else f"file-{number}")
            file.write_bytes(data)
            files.append(file)
        return files

    def _check(self, drawn: Round, ends: Sequence[Ended], bucket: Bucket, name: str) -> None:
        tally = self.tally
        tally.rounds += 1
        tally.processes += len(ends)
        for ended in ends:
            tally.ends[ended.error or ended.how] += 1
            if ended.how in ("stuck", "crash"):
                self._wrong(ended.how, name, ended.told)
        succeeded = [
            data for data, end in zip(drawn.contents, ends, strict=True) if end.how == "success"
        ]
        there = content(bucket, name) if exists(bucket, name) else None
        # One that died may have made its object at the last moment.
        dead = [data for data, end in zip(drawn.contents, ends, strict=True) if end.how == "killed"]
        may_be = [*succeeded, *dead, *([None] if not succeeded else [])]
        if there not in may_be:
            self._wrong("wrong", name, "the object is not the whole file of one that succeeded")
        if not succeeded and not dead:
            self._wrong("no success", name, f"{[(e.how, e.error, e.told) for e in ends]}")

    def _check_course(self, drawn: Round, ends: Sequence[Ended], name: str) -> None:
        """Whether one was disturbed by another, where nobody dies and nobody shares an upload."""
        if any(drawn.deaths) or (drawn.one_file and not drawn.locked):
            return
        log = list(self._server.log)
        told = {ended.error for ended in ends if ended.how == "error"}
        if told - ({"TransferLockedError"} if drawn.one_file else set()):
            self._wrong("disturbed", name, f"{[(e.error, e.told) for e in ends]}")
        # To abort what is complete, to make sure of it, disturbs nobody: it is gone already.
        if any(at.operation == "AbortMultipartUpload" and at.code is None for at in log):
            self._wrong("disturbed", name, "an upload was aborted")
        if drawn.one_file and _work_at_once(log):
            self._wrong("disturbed", name, "two worked at once in spite of the lock")

    def _check_next_run(
        self, drawn: Round, files: Sequence[Path], bucket: Bucket, name: str
    ) -> None:
        for file in files:
            order = Order(self._server.endpoint, name, str(file), bug=self._bug)
            (ended,) = self._parent.run([order], LONGEST_RUN)
            if ended.how != "success":
                self._wrong("no success", name, f"the run after it: {ended}")
                return
            if content(bucket, name) != file.read_bytes():
                self._wrong("wrong", name, "the object of the run after it")
        if left := set(os.listdir(files[0].parent)) - {file.name for file in files}:
            self._wrong("left behind", name, f"{left}")
        self._check_uploads(drawn, bucket, name)

    def _check_uploads(self, drawn: Round, bucket: Bucket, name: str) -> None:
        deaths = sum(death is not None for death in drawn.deaths)
        left = [one for one in bucket.iter_multipart_uploads(prefix=name) if one.key == name]
        for one in left:
            has_parts = bool(list(bucket.iter_parts(name, one.upload_id)))
            # Who dies before it could record what it had begun leaves an upload without parts;
            # under a lock that lies one run's record replaces another's.
            if (has_parts and drawn.locked) or (not deaths and drawn.locked):
                self._wrong("left behind", name, f"upload {one.upload_id}, parts: {has_parts}")
            why = "a death" if deaths else "a lying lock"
            self.tally.left[f"upload left by {why}, {'with' if has_parts else 'no'} parts"] += 1
            bucket.abort_multipart_upload(name, one.upload_id)
        bucket.delete_object(name)

    def _wrong(self, kind: str, name: str, told: str) -> None:
        self.tally.troubles[kind] += 1
        self.tally.told.append(f"{kind}: round {name}: {told}")


def _work_at_once(log: Sequence[Exchange]) -> bool:
    """Whether requests for one upload come before those for another, and after them as well."""
    begun = sorted(log, key=lambda exchange: exchange.started)
    uploads = [upload for upload, _ in groupby(at.upload_id for at in begun if at.upload_id)]
    return len(uploads) > len(set(uploads))


def run(folder: Path, rounds: int, seed: int, only: int | None = None, bug: str = "") -> Tally:
    """Play so many rounds. With a bug the first trouble suffices."""
    with LocalServer(folder / "server", log_limit=1_000) as server, WarmParent() as parent:
        arena = Arena(folder, server, parent, bug)
        for number in range(rounds) if only is None else (only,):
            arena.play(Round.draw(seed, number), str(number))
            if bug and arena.tally.troubles:
                break
    return arena.tally


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.several_campaign")
    parser.add_argument("--rounds", type=int, default=500, help="how many (default: 500)")
    parser.add_argument("--seed", type=int, default=0, help="of who does what")
    parser.add_argument("--only", type=int, metavar="N", help="play only this round")
    parser.add_argument("--bug", choices=BUGS, default="", help="break the package like this")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="several-") as folder:
        tally = run(Path(folder), given.rounds, given.seed, given.only, given.bug)
    for text in tally.told:
        number = text.partition("round ")[2].partition(":")[0]
        sys.stderr.write(f"{text}\n  again: --seed {given.seed} --only {number}\n")
    taken = f"{time.monotonic() - began:.0f} s"
    for name, figure in [*tally.rows(), ("seed", given.seed), ("wall time", taken)]:
        print(f"{name:<44}{figure!s:>12}")
    return 1 if tally.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
