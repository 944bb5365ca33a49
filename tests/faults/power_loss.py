"""Cut the power at every point of a transfer, and look at all that the disk may hold then.

    python -m tests.faults.power_loss --seed 0 --states 100000

Transfers are recorded: real ones, and checkpoints written without a server, which is quicker.
After each event a model of the disk tells what a power cut may leave. What the next run finds in
it must be the newest checkpoint that was synced or one that was on its way, or none where none
was synced yet or it was deleted; it claims no part that the server had not acknowledged by then;
and nobody has to remove anything by hand. Some of these states are put in place, and the upload is
resumed from there. The exit code is 1 if anything was wrong.
"""

import argparse
import hashlib
import json
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from resumable import ResumableError
from resumable.core.checkpoint import (
    FIRST_BYTES,
    Checkpoint,
    CheckpointUnreadableError,
    Destination,
    PartRecord,
    SourceIdentity,
    headers_digest,
)
from resumable.core.checkpoint_reading import decode
from resumable.transfer.checkpoints import CheckpointFile
from resumable.transfer.ledger import Ledger
from tests.crash.tally import Tally
from tests.faults.crash_points import ForkedStage, memory_folder
from tests.faults.cut_uploads import cut_upload
from tests.faults.disk_model import Content, Disk
from tests.faults.effects import put_around_meanwhile
from tests.faults.recording import (
    Acknowledged,
    Create,
    Event,
    Recorder,
    Rename,
    SyncFolder,
    Trace,
    Unlink,
)
from tests.support import PART

_FILE = "example.bin"
_CP = f"{_FILE}.cp"


@dataclass(slots=True)
class Findings:
    """What came of it.

    Attributes:
        cuts: Points at which the power was cut.
        states: Distinct states of the disk, at each of them.
        found: What the next run finds in a state, by kind.
        violations: What must not be.
    """

    traces: int = 0
    cuts: int = 0
    states: int = 0
    looked_at: int = 0
    found: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, int | str]]:
        """The table, as names and figures."""
        return [
            ("runs recorded", self.traces),
            ("power cuts", self.cuts),
            ("states of the disk", self.states),
            *((f"  {kind}", number) for kind, number in sorted(self.found.items())),
            ("  distinct, opened for real", self.looked_at),
            ("violations", len(self.violations)),
        ]


class Finder:
    """Opens what a power cut left as the next run would: it takes the lock and loads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[bytes, Checkpoint | str | None] = {}

    @property
    def looked_at(self) -> int:
        """How many different contents of the folder there were."""
        return len(self._known)

    def find(self, state: Content) -> Checkpoint | str | None:
        """The checkpoint that is found, None, or what was wrong."""
        key = fingerprint(state)
        if key not in self._known:
            self._known[key] = self._open(state)
        return self._known[key]

    def _open(self, state: Content) -> Checkpoint | str | None:
        for name, data in state.items():
            (self._folder / name).write_bytes(data)
        try:
            file = CheckpointFile(str(self._folder / _CP))
            with file.locked():
                found = file.load()
            left = {path.name for path in self._folder.iterdir()}
        except ResumableError as error:
            return f"somebody has to help: {error}"
        finally:
            for path in self._folder.iterdir():
                path.unlink()
        torn = found is None and _CP in state
        expected = {_CP} if found is not None else {f"{_CP}.bad"} if torn else set()
        return f"left behind: {left - expected}" if left != expected else found


def fingerprint(state: Content) -> bytes:
    """The same for the same files."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(b"%s %d\n" % (name.encode(), len(state[name])) + state[name])
    return digest.digest()


class Judge:
    """Knows what may be found after each event of a trace."""

    def __init__(self, trace: Trace) -> None:
        self._acknowledged = set(trace.acknowledged)
        self._saved = [decode(trace.start[_CP])] if _is_readable(trace.start.get(_CP)) else []
        self._sure = len(self._saved)  # so many were synced: older than the last may not be found
        self._may_be_gone = not self._saved

    def note(self, event: Event, disk: Disk) -> None:
        """Take in an event that the disk has taken in."""
        match event:
            case Acknowledged(upload_id, number):
                self._acknowledged.add((upload_id, number))
                # Whoever sends a part has the upload recorded, or nobody would know of it.
                ids = [saved.upload_id for saved in self._saved]
                self._be_sure(ids.index(upload_id) + 1 if upload_id in ids else 0)
            case Rename(_, to) if to == _CP:
                self._saved.append(decode(disk.read(_CP)))
            case SyncFolder():
                self._be_sure(len(self._saved))
            case Create(name) if name == f"{_CP}.resumable-new":
                self._be_sure(len(self._saved))  # whoever writes the next state is done with that
            case Unlink(name) if name == _CP:
                self._may_be_gone = True

    def _be_sure(self, number: int) -> None:
        if number > self._sure:
            self._sure, self._may_be_gone = number, False

    def objection(self, found: Checkpoint | str | None) -> str | None:
        """What is wrong with finding this, if anything."""
        if isinstance(found, str):
            return found
        if found is None:
            return None if self._may_be_gone else "the checkpoint that was synced is gone"
        claims = {(found.upload_id, part.number) for part in found.parts}
        if unfounded := claims - self._acknowledged:
            return f"claimed and not acknowledged: {sorted(unfounded)}"
        if found not in self._saved:
            return "a checkpoint that was never written"
        if found not in self._saved[max(0, self._sure - 1) :]:
            return "an older checkpoint than the one that was synced"
        return None


def examine(trace: Trace, findings: Findings, finder: Finder, *, most: int, seed: int) -> None:
    """Cut the power before the first and after each event of a trace, and judge what is left."""
    disk, judge = Disk(trace.start, trace.inodes), Judge(trace)
    findings.traces += 1
    for number, event in enumerate([None, *trace.events]):
        if event is not None:
            disk.apply(event)
            judge.note(event, disk)
        findings.cuts += 1
        seen: set[bytes] = set()
        for state in disk.states(most, random.Random(f"{seed}/{number}")):
            key = fingerprint(state)
            if key in seen:
                continue
            seen.add(key)
            found = finder.find(state)
            findings.found[_kind(found, state)] += 1
            if objection := judge.objection(found):
                where = f"{trace.name}, after event {number} ({event!s:.120})"
                findings.violations.append(f"{where}: {objection}; {_shape(state)}")
        findings.states += len(seen)
    findings.looked_at = finder.looked_at


def _kind(found: Checkpoint | str | None, state: Content) -> str:
    if isinstance(found, str):
        return "not to be opened"
    if found is not None:
        return "with a checkpoint"
    return "with an unreadable one" if _CP in state else "without a checkpoint"


def _shape(state: Content) -> str:
    return ", ".join(f"{name}: {len(data)} bytes, {data[:40]!r}" for name, data in state.items())


def _is_readable(data: bytes | None) -> bool:
    try:
        return data is not None and decode(data) is not None
    except CheckpointUnreadableError:
        return False


def ledger_trace(folder: Path, parts: int, seed: int) -> Trace:
    """What is done to the disk for the checkpoint of an upload of so many parts.

    Some find what an earlier power cut has left: a lock, and half of a checkpoint.
    """
    rng, events = random.Random(seed), list[Event]()
    upload_id = rng.randbytes(16).hex().upper()
    start = {name: data for name, data in _leftovers(rng).items() if rng.random() < 0.5}
    for name, data in start.items():
        (folder / name).write_bytes(data)
    inodes = {name: (folder / name).stat().st_ino for name in start}
    numbers = rng.sample(range(1, parts + 1), parts)
    with put_around_meanwhile(Recorder(events.append)):
        file = CheckpointFile(str(folder / _CP))
        with file.locked():
            file.load()
            begun = begun_checkpoint(folder, upload_id, parts)
            file.save(begun)
            ledger = Ledger(begun, file)
            for number in numbers:
                events.append(Acknowledged(upload_id, number))
                etag, crc64 = rng.randbytes(16).hex().upper(), rng.getrandbits(64)
                ledger.record(PartRecord(number=number, size=PART, etag=etag, crc64=crc64))
                if rng.random() < 0.5:
                    ledger.flush()
            ledger.flush()
            file.delete()
    name = f"checkpoint of {parts} parts, seed {seed}"
    return Trace(name, start, inodes, frozenset(), events)


def _leftovers(rng: random.Random) -> dict[str, bytes]:
    host = socket.gethostname() + "x" * rng.randint(0, 2)
    since = "2026-11-21T00:00:00+00:00"
    holder = json.dumps({"pid": rng.randint(1, 99_999), "host": host, "since": since})
    begun = FIRST_BYTES + b'{"bucket":"'
    return {f"{_CP}.lock": holder.encode(), f"{_CP}.resumable-new": begun[: rng.randint(0, 26)]}


def begun_checkpoint(folder: Path, upload_id: str, parts: int) -> Checkpoint:
    return Checkpoint(
        kind="upload",
        destination=Destination(endpoint="http://127.0.0.1:8080", bucket="bucket", key="key"),
        upload_id=upload_id,
        file=SourceIdentity(
            path=str(folder / _FILE), size=parts * PART, mtime_ns=1, ctime_ns=1, inode=1
        ),
        part_size=PART,
        headers_digest=headers_digest({}),
    )


def _sizes(seed: int) -> Iterator[tuple[int, int]]:
    """Numbers of parts without end, each with a seed."""
    for number in count():
        yield (2, 3, 5, 10, 20, 50)[number % 6], seed * 1000 + number


@dataclass(frozen=True, slots=True)
class Wish:
    """How long a campaign is to be."""

    seed: int
    states: int
    uploads: int
    most: int = 256


def run(folder: Path, wish: Wish) -> tuple[Findings, Tally]:
    """Cut the power of uploads, then of checkpoints alone until there were enough states."""
    findings, tally = Findings(), Tally()
    scratch, written = folder / "scratch", folder / "written"
    scratch.mkdir()
    written.mkdir()
    finder = Finder(scratch)

    def look(traces: Iterable[Trace]) -> None:
        for trace in traces:
            examine(trace, findings, finder, most=wish.most, seed=wish.seed)

    with ExitStack() as stack:
        stage = stack.enter_context(ForkedStage(folder / "stage")) if wish.uploads else None
        for number in range(wish.uploads if stage is not None else 0):
            assert stage is not None
            told, traces = cut_upload(stage, wish.seed, number)
            tally.add(told)
            look(traces)
    for parts, seed in _sizes(wish.seed):
        if findings.states >= wish.states:
            break
        look([ledger_trace(written, parts, seed)])
    return findings, tally


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power_loss")
    parser.add_argument("--seed", type=int, default=0, help="of what is cut where")
    parser.add_argument("--states", type=int, default=100_000, help="at least")
    parser.add_argument("--uploads", type=int, default=100, help="that lose their power for real")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="power-loss-", dir=memory_folder()) as folder:
        findings, tally = run(Path(folder), Wish(given.seed, given.states, given.uploads))
    for told in [*findings.violations[:20], *(problem.story for problem in tally.problems)]:
        sys.stderr.write(f"{told}\n")
    taken = f"{time.monotonic() - began:.0f} s"
    rows = [*findings.rows(), *tally.rows(), ("seed", given.seed), ("wall time", taken)]
    for name, figure in rows:
        sys.stdout.write(f"{name:<30}{figure:>20}\n")
    return 1 if findings.violations or tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
