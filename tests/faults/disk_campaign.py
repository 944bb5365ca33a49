"""Uploads whose disk fails at every k-th call, once and for ever.

    python -m tests.faults.disk_campaign --seed 0

For each setup, kind of call and errno, k goes up until a run ends without the fault having struck.
"""

import argparse
import errno
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self

from resumable import Bucket, CheckpointError, LocalFileError, NoSuchKeyError, ServerError
from resumable.core.checkpoint import FIRST_BYTES, CheckpointUnreadableError
from resumable.core.checkpoint_reading import decode
from resumable.server import LocalServer
from tests import canary
from tests.faults.disk import (
    BEGINNING,
    LONGEST_RUN,
    MOST_CALLS_AFTER,
    MOST_REQUESTS_MORE,
    NAME,
    SUCCESS,
    DiskFault,
    Ended,
    Injector,
    Setup,
    expected,
    observing,
    run_upload,
)
from tests.support import KIB, content, local_bucket, random_bytes

TORN = FIRST_BYTES[:9]

# Without these there is no record.
_FIRST_RECORD = ("os.fsync", "os.write", "os.replace")

# Two blocks each, so that a part is not read in one.
PART_SIZE = 600 * KIB

ENOSPC, EDQUOT, EIO = errno.ENOSPC, errno.EDQUOT, errno.EIO
EMFILE, EROFS, EACCES = errno.EMFILE, errno.EROFS, errno.EACCES

# What each call can fail with; None is a short read or write.
ERRORS: Mapping[str, tuple[int | None, ...]] = {
    "os.preadv": (EIO, None),
    "os.sendfile": (EIO, None),
    "os.open": (EMFILE, EACCES, EIO, ENOSPC, EDQUOT, EROFS),
    "os.read": (EIO, None),
    "os.write": (ENOSPC, EDQUOT, EIO, None),
    "os.fsync": (EIO, ENOSPC, EDQUOT, EROFS),
    "os.close": (EIO, ENOSPC, EDQUOT),
    "os.replace": (EIO, ENOSPC, EDQUOT, EROFS, EACCES),
    "os.unlink": (EIO, EROFS, EACCES),
    "os.stat": (EIO, EACCES),
    "os.lstat": (EIO, EACCES),
    "os.fstat": (EIO,),
    "os.ftruncate": (EIO, EROFS),
    "os.lseek": (EIO,),
    "os.path.samefile": (EIO,),
    "os.path.isdir": (EIO,),
    "os.path.lexists": (EIO,),
    "*": (EIO, EROFS),  # the disk as a whole
}

SETUPS = tuple(
    Setup(parts, threads, content_md5, found)
    for parts, threads in ((1, 1), (3, 1), (3, 3))
    for content_md5 in (True, False)
    for found in ("nothing", "checkpoint", "torn", "leftover")
    if parts > 1 or found in ("nothing", "torn")
)


@dataclass(slots=True)
class Tally:
    """What came of the runs.

    Attributes:
        cells: Runs in which the fault struck, by the kind of call.
        ends: How they ended.
        longest: Seconds of the longest.
        problems: What is wrong.
    """

    cells: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    problems: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, object]]:
        """The table, as names and figures."""
        return [
            ("runs with a fault", self.cells.total()),
            *((f"  {kind}", found) for kind, found in sorted(self.cells.items())),
            *((f"ended: {end}", found) for end, found in sorted(self.ends.items())),
            ("longest run", f"{self.longest:.2f} s"),
            ("violations", len(self.problems)),
        ]


class Stage:
    """A server and a bucket, and a folder for the files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = LocalServer(folder / "root")
        self._numbers = count(1)
        self._requests: dict[Setup, int] = {}

    def __enter__(self) -> Self:
        self._server.start()
        self.bucket: Bucket = local_bucket(self._server.endpoint)
        return self

    def __exit__(self, *_: object) -> None:
        self.bucket.close()
        self._server.stop()

    @property
    def server(self) -> LocalServer:
        """The server."""
        return self._server

    def prepare(self, setup: Setup, key: str = "") -> tuple[Path, str]:
        """A file, and what an earlier run has left of its upload; its key."""
        key = key or f"faults/{next(self._numbers)}"
        # The same file again and again: one that has just been written has to settle first.
        file = self.folder / f"{setup.parts}-parts" / NAME
        file.parent.mkdir(exist_ok=True)
        for path in file.parent.iterdir():
            if path != file:
                path.unlink()
        data = self.data_of(setup)
        if not file.exists() or file.read_bytes() != data:
            file.write_bytes(data)
        checkpoint = file.with_name(f"{NAME}.cp")
        if setup.found in ("checkpoint", "leftover"):
            self._leave_checkpoint(file, key, setup)
        if setup.found == "torn":
            checkpoint.write_bytes(TORN)
        if setup.found == "leftover":
            file.with_name(f"{NAME}.cp.resumable-new").write_bytes(checkpoint.read_bytes()[:40])
        self._server.log.clear()
        return file, key

    @staticmethod
    def data_of(setup: Setup) -> bytes:
        """What is uploaded."""
        return random_bytes(setup.parts * PART_SIZE - 100 * KIB, seed=setup.parts)

    def _leave_checkpoint(self, file: Path, key: str, setup: Setup) -> None:
        refusal = {"status": 403, "code": "AccessDenied"}
        rule = {"operation": "UploadPart", "effect": refusal, "skip": 1, "times": None}
        self._server.faults.add(rule)
        ended = run_upload(self.bucket, key, file, setup, PART_SIZE)
        self._server.faults.clear()
        if ended.error is None or not file.with_name(f"{NAME}.cp").exists():
            raise RuntimeError(f"no checkpoint was left: {ended}")

    def requests_of(self, setup: Setup) -> int:
        """How many requests a run without a fault makes."""
        if setup not in self._requests:
            file, key = self.prepare(setup)
            run_upload(self.bucket, key, file, setup, PART_SIZE)
            self._requests[setup] = len(self._server.log)
        return self._requests[setup]


def play(stage: Stage, setup: Setup, fault: DiskFault, tally: Tally) -> bool:
    """Let a run meet a fault, and the next one none; whether the fault struck."""
    usual = stage.requests_of(setup)
    file, key = stage.prepare(setup)
    data, injector = stage.data_of(setup), Injector(fault)
    opened_before = _open_files(file.parent)
    with observing(file.parent, injector):
        ended = run_upload(stage.bucket, key, file, setup, PART_SIZE)
    if not injector.hits:
        return False
    leaked = _open_files(file.parent) - opened_before
    tally.cells[fault.kind] += 1
    tally.longest = max(tally.longest, ended.seconds)
    tally.ends["success" if ended.error is None else type(ended.error).__name__] += 1
    asked = len(stage.server.log)
    wrong = [
        *_wrong_end(ended, fault, injector, setup),
        *_wrong_remains(stage.bucket, key, file, data),
    ]
    if injector.calls_after > MOST_CALLS_AFTER and fault.error is not None:
        wrong.append(f"{injector.calls_after} calls after the one that failed")
    if asked > usual + MOST_REQUESTS_MORE:
        wrong.append(f"{asked} requests, without a fault {usual}")
    wrong += [f"left open: {path}" for path in leaked]
    wrong += wrong_next(stage.bucket, key, file, setup, data)
    told = f"{setup}; {fault}; struck {injector.hits[:3]}; ended: {ended}"
    tally.problems += [f"{what}\n  {told}" for what in wrong]
    return True


def _wrong_end(ended: Ended, fault: DiskFault, injector: Injector, setup: Setup) -> Iterator[str]:
    if ended.is_stuck:
        yield f"stuck: no end within {LONGEST_RUN:.0f} s"
        return
    wanted = expected(fault, injector.hits)
    if wanted is None:
        yield f"not declared: {injector.hits[0]}"
    elif wanted is BEGINNING:
        if ended.error is not None and not _is_of_the_beginning(ended.error):
            yield f"not an error of the beginning: {ended}"
        must_fail = setup.found in ("nothing", "torn") and not injector.is_recorded
        if ended.error is None and must_fail and injector.hits[0][0] in _FIRST_RECORD:
            yield "nothing was recorded, and the run continued"
    elif wanted is SUCCESS:
        if ended.error is not None:
            yield f"the fault is survivable, and the run was not: {injector.hits}"
    elif type(ended.error) is not wanted:
        yield f"not the error declared: {wanted.__name__}"
    elif isinstance(ended.error, LocalFileError) and ended.error.errno != fault.error:
        yield f"not the errno of the fault: {ended.error.errno}"


def _is_of_the_beginning(error: BaseException) -> bool:
    return type(error) in (LocalFileError, CheckpointError)


def _wrong_remains(bucket: Bucket, key: str, file: Path, data: bytes) -> Iterator[str]:
    if file.read_bytes() != data:
        yield "the source is another one"
    with suppress(NoSuchKeyError, ServerError):
        if content(bucket, key) != data:
            yield "wrong object"
    with suppress(FileNotFoundError):
        text = file.with_name(f"{NAME}.cp").read_bytes()
        try:
            decode(text)
        except CheckpointUnreadableError as error:
            if text != TORN:
                yield f"half-written checkpoint: {error}"


def _open_files(folder: Path) -> Counter[str]:
    """How often this process has each file of a folder open."""
    found: Counter[str] = Counter()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one of the listing itself
            found[os.readlink(f"/proc/self/fd/{descriptor}")] += 1
    return Counter({path: n for path, n in found.items() if path.startswith(str(folder))})


def wrong_next(bucket: Bucket, key: str, file: Path, setup: Setup, data: bytes) -> Iterator[str]:
    """What is wrong once the same call is made again and nothing fails."""
    ended = run_upload(bucket, key, file, setup, PART_SIZE)
    if ended.error is not None or ended.is_stuck:
        yield f"the next run did not finish: {ended}"
        return
    if content(bucket, key) != data:
        yield "the next run made a wrong object"
    aside = {f"{NAME}.cp.bad"} if setup.found == "torn" else set()
    beside = {path.name for path in file.parent.iterdir()} - {NAME} - aside
    if beside:
        yield f"left beside the file after success: {sorted(beside)}"
    if left := open_uploads(bucket, key):
        yield f"uploads left at the server: {left}"


def open_uploads(bucket: Bucket, key: str) -> list[str]:
    """The ids of the uploads of a key that are neither completed nor aborted."""
    return [found.upload_id for found in bucket.iter_multipart_uploads(prefix=key)]


def play_all(
    stage: Stage, setup: Setup, kinds: Iterable[str], tally: Tally, *, everything: bool
) -> None:
    """Fail each call of these kinds, one run each, until a run ends by itself.

    Args:
        stage: Where.
        setup: What is uploaded.
        kinds: Of calls.
        tally: Where to count.
        everything: With every errno, once and for ever. If not, with one of them, and each second
            call fails for ever.
    """
    for kind in kinds:
        if not everything:
            _play_until_spared(stage, setup, tally, _alternating(kind))
            continue
        for error in ERRORS[kind]:
            for for_ever in (False, True):
                faults = (DiskFault(kind, nth, error, for_ever) for nth in count(1))
                _play_until_spared(stage, setup, tally, faults)


def _alternating(kind: str) -> Iterator[DiskFault]:
    return (DiskFault(kind, nth, ERRORS[kind][0], for_ever=nth % 2 == 0) for nth in count(1))


def _play_until_spared(
    stage: Stage, setup: Setup, tally: Tally, faults: Iterator[DiskFault]
) -> None:
    while play(stage, setup, next(faults), tally):
        continue


def main() -> int:
    """Run the command line; return the exit code."""
    canary.watch()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.disk_campaign")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the setups")
    parser.add_argument("--setups", type=int, default=len(SETUPS), help="how many (default: all)")
    given = parser.parse_args()
    began, tally = time.monotonic(), Tally()
    setups = random.Random(given.seed).sample(SETUPS, given.setups)
    with tempfile.TemporaryDirectory(prefix="disk-campaign-") as folder, Stage(Path(folder)) as on:
        for setup in setups:
            play_all(on, setup, ERRORS, tally, everything=True)
    taken = f"{time.monotonic() - began:.0f} s"
    setup_row = ("setups", len(setups))
    for name, figure in [setup_row, *tally.rows(), ("seed", given.seed), ("wall time", taken)]:
        sys.stdout.write(f"{name:<30}{figure!s:>20}\n")
    for problem in tally.problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
