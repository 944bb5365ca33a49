"""One file, uploaded by processes that are killed and run again until one ends by itself.

After every kill, and at the end, what is left is held against what must be true. The server's
access log is the witness of what was sent and what was acknowledged.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from resumable import CheckpointError, NoSuchKeyError, read_checkpoint
from resumable.core.integrity import crc64
from resumable.server import Exchange
from tests.crash.processes import Ended, Server, Uploaders
from tests.crash.tally import Problem, Tally, Trouble
from tests.crash.uploader import KillPoint, Order, run_of
from tests.server.witnesses import oss2
from tests.support import CREDENTIALS, KIB, content, local_bucket, make_file

# A server that acts late: what a killed run had under way comes to pass while the next one runs.
SLOW: Sequence[Mapping[str, object]] = (
    {"operation": "UploadPart", "effect": {"stall": 0.02}, "times": None},
    {"operation": "CompleteMultipartUpload", "effect": {"stall": 0.2}, "times": None},
    {"operation": "CompleteMultipartUpload", "effect": {"stall_answer": 0.1}, "times": None},
)

_LIVES_MEASURED = 2
# However little is left to send, a resume also has to begin and to end.
_LEAST_LEFT = 0.2

_PHASES = {
    "InitiateMultipartUpload": "initiate",
    "UploadPart": "part",
    "ListParts": "listing",
    "HeadObject": "head",
    "PutObject": "put",
    "CompleteMultipartUpload": "complete",
    "os.ftruncate": "lock",
    "os.write": "write",
    "os.fsync": "write",
    "os.replace": "rename",
    "os.unlink": "delete",
}
_NETWORK_ERRORS = {"ConnectionFailedError", "RequestTimeoutError"}

PartId = tuple[str, int]  # upload id and part number


@dataclass(frozen=True, slots=True)
class Setup:
    """What is uploaded, and how."""

    size: int
    part_size: int
    threads: int
    content_md5: bool

    @property
    def parts(self) -> int:
        """How many parts that makes."""
        return -(-self.size // self.part_size)

    def __str__(self) -> str:
        md5 = "with" if self.content_md5 else "without"
        cut = f"{self.size} bytes in parts of {self.part_size // KIB} KiB"
        return f"{cut}, {self.threads} threads, {md5} Content-MD5"


@dataclass(frozen=True, slots=True)
class AtRandom:
    """The uploader is killed after this share of the time its run should take."""

    share: float

    def __str__(self) -> str:
        return f"killed after {self.share:.0%}"


@dataclass(frozen=True, slots=True)
class KillServer:
    """The server is killed after this share of that time; it is back at once or after the run."""

    share: float
    back: Literal["at once", "after the run"]

    def __str__(self) -> str:
        return f"server killed after {self.share:.0%}, back {self.back}"


Kill = KillPoint | AtRandom | KillServer


class Stage:
    """A server in a process of its own, uploaders ready to start, and a folder for the files."""

    def __init__(self, folder: Path, faults: Sequence[Mapping[str, object]] = ()) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.server = Server(folder, faults)
        self.uploaders = Uploaders()
        self.bucket = local_bucket(self.server.endpoint)
        self._lives: dict[Setup, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bucket.close()
        self.uploaders.close()
        self.server.kill()

    def life(self, setup: Setup) -> float:
        """How many seconds such an upload takes if nobody kills it."""
        if setup not in self._lives:
            times = [Story(self, setup, "unkilled").unkilled() for _ in range(_LIVES_MEASURED)]
            self._lives[setup] = sum(times) / len(times)
        return self._lives[setup]

    def open_uploads(self, key: str) -> dict[str, set[int]]:
        """The uploads of a key, and their parts, as another public client sees them."""
        auth = oss2.AuthV4(CREDENTIALS.access_key_id, CREDENTIALS.access_key_secret)
        name, endpoint = self.bucket.name, self.server.endpoint
        bucket = oss2.Bucket(auth, endpoint, name, region="cn-hangzhou")
        found: dict[str, set[int]] = {}
        for upload in oss2.MultipartUploadIterator(bucket, prefix=key):
            with suppress(oss2.exceptions.NoSuchUpload):  # completed since it was listed
                parts = oss2.PartIterator(bucket, key, upload.upload_id)
                found[upload.upload_id] = {part.part_number for part in parts}
        return found


@dataclass(frozen=True, slots=True)
class _Mark:
    """What was known when a run had been ended by a kill."""

    run: int
    acknowledged: frozenset[PartId]
    recorded: frozenset[PartId]


class Story:
    """One upload on a stage, from its first run to the one that ends by itself."""

    def __init__(self, stage: Stage, setup: Setup, name: str) -> None:
        self._stage = stage
        self._setup = setup
        self._key = f"crash/{name}"
        self._folder = stage.folder / name
        self._folder.mkdir()
        self._file = make_file(self._folder, setup.size, seed=setup.size)
        self._tally = Tally()
        self._told = [f"{name}: {setup}"]
        self._marks: list[_Mark] = []
        self._unrecorded: list[int] = []
        self._unlogged: set[PartId] = set()

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint of the upload is."""
        return self._file.with_name(f"{self._file.name}.cp")

    def unkilled(self) -> float:
        """Upload it without any kill, and tell how long it took."""
        ended = self._run(None)
        if ended.how != "finished":
            raise RuntimeError(f"an upload that nobody killed {ended}")
        self._clear()
        return float(ended.told["elapsed"])

    def play(self, kills: Iterable[Kill]) -> Tally:
        """Kill the first runs as told, and run again until a run ends by itself."""
        for kill in (*kills, None):
            resuming = self.checkpoint.exists()
            self._told.append(f"{'resumed' if resuming else 'begun'}, {kill or 'left alone'}")
            ended = self._run(kill)
            self._told[-1] += f": {ended.how}"
            if not _may_end_so(ended, kill):
                self._wrong("stuck" if ended.how == "stuck" else "failed by itself", str(ended))
                break
            if ended.how == "finished":
                self._check_end(ended)
                break
            if ended.how == "killed":
                self._count(kill, resuming=resuming)
            self._check_kill(resuming=resuming)
        self._clear()
        return self._tally

    def _run(self, kill: Kill | None) -> Ended:
        self._tally.runs += 1
        order = Order(
            endpoint=self._stage.server.endpoint,
            bucket=self._stage.bucket.name,
            key=self._key,
            filename=str(self._file),
            part_size=self._setup.part_size,
            threads=self._setup.threads,
            content_md5=self._setup.content_md5,
            run=self._tally.runs,
            attempts=2 if isinstance(kill, KillServer) and kill.back == "after the run" else 8,
            die=kill if isinstance(kill, KillPoint) else None,
        )
        match kill:
            case AtRandom(share):
                return self._stage.uploaders.run(order, after=self._moment(share))
            case KillServer():
                return self._run_without_server(order, kill)
            case _:
                return self._stage.uploaders.run(order)

    def _run_without_server(self, order: Order, kill: KillServer) -> Ended:
        server, resuming, struck = self._stage.server, self.checkpoint.exists(), False

        def strike(_: subprocess.Popen[str]) -> None:
            nonlocal struck
            server.kill()
            struck = True
            self._count(kill, resuming=resuming)
            if not _acknowledged(self._exchanges()):
                self._unrecorded.append(order.run)
            if kill.back == "at once":
                self._restart()

        after = self._moment(kill.share)
        ended = self._stage.uploaders.run(order, after=after, strike=strike)
        if struck and kill.back == "after the run":
            self._restart()
        return ended

    def _restart(self) -> None:
        self._stage.server.start()
        # What the server stored and had no time to log is as good as acknowledged: it is listed.
        for upload_id, numbers in self._stage.open_uploads(self._key).items():
            self._unlogged |= {(upload_id, number) for number in numbers}

    def _moment(self, share: float) -> float:
        """So many seconds into the run that is next."""
        done = len(_acknowledged(self._exchanges())) / self._setup.parts
        return share * self._stage.life(self._setup) * max(_LEAST_LEFT, 1 - done)

    def _count(self, kill: Kill | None, *, resuming: bool) -> None:
        match kill:
            case KillPoint(effect=effect):
                phase = f"around {_PHASES[effect]}"
            case KillServer():
                phase = "of the server"
            case _:
                phase = "at random, resuming" if resuming else "at random, fresh"
        self._tally.kills[phase] += 1
        self._tally.kills_resuming += resuming

    def _check_kill(self, *, resuming: bool) -> None:
        log = self._exchanges()
        acknowledged, run = _acknowledged(log), self._tally.runs
        recorded = self._recorded()
        if not self.checkpoint.exists():
            self._check_missing(run, has_parts=resuming or bool(_acknowledged(log, run)))
        if unfounded := recorded - acknowledged - self._unlogged:
            self._wrong("false record", f"recorded and not acknowledged: {sorted(unfounded)}")
        self._check_folder(may_be_there=_is_not_set_aside)
        self._marks.append(_Mark(run, frozenset(acknowledged), recorded))

    def _check_missing(self, run: int, *, has_parts: bool) -> None:
        if not has_parts:
            self._unrecorded.append(run)
            return
        # Whoever deletes the checkpoint of an upload with parts claims that the object is made.
        self._tally.made_at_kill += 1
        self._check_object()
        # The next run begins anew, and this object must not speak for that one's.
        self._stage.bucket.delete_object(self._key)

    def _recorded(self) -> frozenset[PartId]:
        try:
            status = read_checkpoint(self._file)
        except CheckpointError as error:
            self._wrong("unreadable checkpoint", str(error))
            return frozenset()
        if status is None:
            return frozenset()
        return frozenset((status.upload_id, number) for number in status.parts_done)

    def _check_end(self, ended: Ended) -> None:
        self._tally.finished += 1
        self._check_object()
        if content(self._stage.bucket, self._key) != self._file.read_bytes():
            self._wrong("wrong object", "the object has other bytes than the file")
        told = ended.told
        if (told["size"], told["bytes_sent"] + told["bytes_reused"]) != (self._setup.size,) * 2:
            self._wrong("wrong object", f"the result does not add up: {told}")
        self._check_folder(may_be_there=lambda _: False)
        self._check_sent()
        self._check_uploads()

    def _check_uploads(self) -> None:
        left = self._stage.open_uploads(self._key)
        # Only one that a killed run could not record, since it had just been begun, is lost.
        lost = [
            exchange
            for exchange in self._exchanges()
            if exchange.operation == "InitiateMultipartUpload"
            and run_of(exchange.headers) in self._unrecorded
        ]
        self._tally.empty_uploads += len(left)
        if any(left.values()) or len(left) > len(lost):
            self._wrong("left behind", f"uploads and their parts: {left}; {len(lost)} may be lost")

    def _check_object(self) -> None:
        data = self._file.read_bytes()
        try:
            head = self._stage.bucket.head_object(self._key)
        except NoSuchKeyError:
            self._wrong("wrong object", "the checkpoint is gone, and there is no object")
            return
        if (head.size, head.crc64) != (len(data), crc64(data)):
            self._wrong("wrong object", f"not the size and CRC-64 of the file: {head}")

    def _check_folder(self, *, may_be_there: Callable[[str], bool]) -> None:
        others = set(os.listdir(self._folder)) - {self._file.name}
        if left := sorted(name for name in others if not may_be_there(name)):
            self._wrong("left behind", f"files beside {self._file.name}: {left}")

    def _check_sent(self) -> None:
        log, setup = self._exchanges(), self._setup
        sent = [e for e in log if _is_acknowledged_part(e)]
        in_flight = self._tally.kills_in_all * setup.threads
        again = len(sent) - len(_acknowledged(log))
        size = sum(exchange.body_bytes for exchange in sent)
        bound = setup.size * (1 + self._tally.made_at_kill) + in_flight * setup.part_size
        if again > in_flight or size > bound:
            self._wrong("sent again", f"{again} parts, {size} bytes in all; bound {bound}")
        for mark in self._marks:
            if len(known := mark.acknowledged & _acknowledged(log, mark.run + 1)) > setup.threads:
                self._wrong("sent again", f"run {mark.run + 1} sent what was there: {known}")
            later = {_part_id(e) for e in sent if run_of(e.headers) > mark.run}
            if recorded := mark.recorded & later:
                self._wrong("sent again", f"recorded by run {mark.run}: {recorded}")
        self._tally.parts_sent += len(sent)
        self._tally.parts_resent += again
        self._tally.resend_bound += in_flight

    def _exchanges(self) -> list[Exchange]:
        return self._stage.server.log.of(self._key)

    def _wrong(self, kind: Trouble, what: str) -> None:
        self._tally.problems.append(Problem(kind, f"{what}\n  {'; '.join(self._told)}"))

    def _clear(self) -> None:
        bucket = self._stage.bucket
        bucket.delete_object(self._key)
        for upload_id in self._stage.open_uploads(self._key):
            bucket.abort_multipart_upload(self._key, upload_id)
        self._stage.server.log.forget(self._key)
        shutil.rmtree(self._folder)


def _may_end_so(ended: Ended, kill: Kill | None) -> bool:
    match ended.how, kill:
        case "finished", _:
            return True
        case "killed", KillPoint() | AtRandom():
            return True
        case "failed", KillServer(back="after the run"):
            return ended.told.get("error") in _NETWORK_ERRORS
        case _:
            return False


def _is_not_set_aside(name: str) -> bool:
    return not name.endswith(".bad")


def _is_acknowledged_part(exchange: Exchange) -> bool:
    return exchange.operation == "UploadPart" and exchange.status == 200


def _part_id(exchange: Exchange) -> PartId:
    return exchange.upload_id, exchange.part_number or 0


def _acknowledged(log: Iterable[Exchange], run: int | None = None) -> set[PartId]:
    """The parts the server has acknowledged, to one run or to all."""
    return {
        _part_id(exchange)
        for exchange in log
        if _is_acknowledged_part(exchange) and run in (None, run_of(exchange.headers))
    }
