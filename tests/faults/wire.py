"""One cell of the table: an upload with a fault, the same again without, and what must be true.

Where in an upload's life the fault strikes is its position:

| operation | first, middle, last |
|---|---|
| InitiateMultipartUpload | of a new upload; after one that vanished with one part, with all parts |
| UploadPart | part 1, 2, 3 |
| ListParts | of a run that takes up one part, two, all three |
| CompleteMultipartUpload | of a new upload; of one taken up with one part, with all three |
| AbortMultipartUpload | after part 1, 2, 3 of an upload without a checkpoint was refused |
| PutObject | nothing stands under the key; another object of this size; one of another size |
| HeadObject | a complete upload is taken up; Complete's answers were lost; they told no CRC-64 |
"""

import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resumable import ListedPart, NoSuchUploadError, ResumableError, UploadResult, upload_file
from resumable.core.checkpoint_reading import decode
from resumable.server import Exchange
from tests.faults.wire_bodies import filled_in
from tests.faults.wire_stage import Ended, Stage, StuckError, ended_within
from tests.faults.wire_table import Cell
from tests.support import KIB, PART, content, make_file, random_bytes

_PARTS = 3
_SIZE = 2 * PART + 50 * KIB
_PLACES = {"first": 1, "middle": 2, "last": 3}
_COMPLETE = "CompleteMultipartUpload"
_REFUSED = {"status": 403, "code": "AccessDenied"}
_LOST = {"drop": "after_success"}
_NO_CRC = {"answer": {"headers": {"x-oss-hash-crc64ecma": None}}}
# The part is stored, and Complete names another ETag than it has.
_OPAQUE = {"opaque-etag", "no-crc-and-opaque-etag"}
# However long a run may take without any fault, on a machine that has much else to do.
_CLEAN_SECONDS = 20.0
_REFUSING = "refusing"
_NAMED = re.compile(r"[Uu]pload (\w+) (?:of \S+ is left on the server|could not be aborted)")


@dataclass(slots=True)
class Story:
    """What happened in a cell, and what of it must not be."""

    cell: Cell
    told: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def check(self, holds: bool, problem: str) -> None:
        """Note a problem unless something holds."""
        if not holds:
            self.problems.append(problem)

    def __str__(self) -> str:
        return "\n  ".join([str(self.cell), *self.problems, *self.told])


class Play:
    """One cell on the stage.

    Args:
        stage: Where.
        cell: Which.
        name: Of the key and of the folder, so that cells do not meet.
    """

    def __init__(self, stage: Stage, cell: Cell, name: str) -> None:
        self._stage = stage
        self._cell = cell
        self._place = _PLACES[cell.position]
        self._key = f"{name}/example.bin"
        self._folder = stage.folder / name
        self._folder.mkdir()
        size = 50 * KIB if cell.operation == "PutObject" else _SIZE
        self._file = make_file(self._folder, size, seed=len(str(cell)))
        self._checkpoint = self._file.with_name(f"{self._file.name}.cp")
        self._with_checkpoint = cell.operation != "AbortMultipartUpload"
        self._bucket = stage.bucket(impatient=cell.is_slow)
        self._given_up = threading.Event()
        self._story = Story(cell)

    def play(self) -> Story:
        """Play it, and leave the stage as it was."""
        try:
            self._stage.forget()
            self._prepare()
            self._stage.forget()
            self._with_fault()
            self._stage.server.faults.clear()
            self._stage.server.log.clear()
            self._without_fault()
        except StuckError as stuck:
            self._story.problems.append(f"stuck: {stuck}")
        finally:
            self._leave()
        return self._story

    def _with_fault(self) -> None:
        stage, cell, outcome = self._stage, self._cell, self._cell.outcome
        number = self._add_faults()
        stage.server.log.clear()
        if "refuse" in cell.effect:
            with stage.refusing(_REFUSING, times=_times(cell)):
                run = self._run(outcome.seconds)
        else:
            run = self._run(outcome.seconds)
            check = self._story.check
            check(stage.server.faults.fired[number] > 0, "the fault never happened")
        self._judge(run)
        self._recorded = self._kept(run)

    def _judge(self, run: Ended[UploadResult]) -> None:
        check, cell, outcome = self._story.check, self._cell, self._cell.outcome
        tries = [each for each in self._stage.exchanges(self._key) if self._is_meant(each)]
        self._story.told.append(f"ended: {run.how} after {run.seconds:.2f} s: {run.error}")
        check(run.how == outcome.ends, f"ended with {run.how}, not {outcome.ends}")
        check(
            len(tries) <= outcome.tries,
            f"{len(tries)} times {cell.operation}, not {outcome.tries} at most",
        )
        if run.error is not None:
            self._stage.said.error(run.error)
            is_ours = isinstance(run.error, ResumableError)
            check(is_ours, f"{run.how} is none of the package's errors")
        self._stage.said.texts += [repr(run.value), repr(self._bucket), repr(vars(self._bucket))]
        self._look_for_secrets()

    def _is_meant(self, exchange: Exchange) -> bool:
        if exchange.operation != self._cell.operation:
            return False
        return self._cell.operation != "UploadPart" or exchange.part_number == self._place

    def _kept(self, run: Ended[UploadResult]) -> set[int]:
        """The parts that the checkpoint records after the run with the fault."""
        kept = self._checkpoint.exists()
        self._story.check(
            kept == self._cell.outcome.kept,
            f"{'a' if kept else 'no'} checkpoint is left after {run.how}",
        )
        if not kept:
            return set()
        recorded = {part.number for part in decode(self._checkpoint.read_bytes()).parts}
        self._story.told.append(f"recorded: {sorted(recorded)}")
        if self._cell.operation == "UploadPart" and self._cell.fault not in _OPAQUE:
            expected = set(range(1, self._place))
            self._story.check(recorded == expected, f"recorded {recorded}, not {expected}")
        return recorded

    def _without_fault(self) -> None:
        check, stage = self._story.check, self._stage
        self._bucket.close()
        self._bucket = stage.bucket()
        run = self._run(_CLEAN_SECONDS)
        if run.error is not None:
            stage.said.error(run.error)
        check(run.how == "done", f"the run without the fault ended with {run.how}: {run.error}")
        right = run.error is None and content(stage.witness, self._key) == self._file.read_bytes()
        check(right, "the object is not the file")
        beside = {path.name for path in self._folder.iterdir()} - {self._file.name}
        check(not beside, f"left beside the file: {beside}")
        again = {each.part_number for each in stage.exchanges(self._key)} & self._recorded
        # A wrong ETag that could not be told from a right one costs the part once more.
        check(not again or self._cell.fault in _OPAQUE, f"recorded and sent again: {again}")
        self._look_for_secrets()
        self._look_for_uploads()

    def _look_for_uploads(self) -> None:
        check, outcome = self._story.check, self._cell.outcome
        # Who reads the log or the error must be able to find what is left.
        said = set(_NAMED.findall(self._stage.said.whole))
        left = self._stage.open_uploads(self._key)
        named = [upload_id for upload_id in left if upload_id in said]
        unknown = {upload_id: parts for upload_id, parts in left.items() if upload_id not in named}
        check(len(named) == outcome.named, f"{len(named)} named uploads are left: {left}")
        check(len(unknown) <= outcome.orphans, f"uploads are left that nobody named: {unknown}")
        check(not any(unknown.values()), f"parts are left that nobody named: {unknown}")

    def _look_for_secrets(self) -> None:
        stage = self._stage
        if self._checkpoint.exists():
            stage.said.texts.append(self._checkpoint.read_text())
        stage.said.texts += [repr(exchange) for exchange in stage.server.log]
        found = stage.said.secrets()
        self._story.check(not found, f"secrets were told: {found}")
        met = stage.strangers_met()
        self._story.check(met == 0, f"{met} connections to another host")

    def _run(self, seconds: float) -> Ended[UploadResult]:
        return ended_within(seconds, self._upload, self._given_up.set)

    def _upload(self) -> UploadResult:
        return upload_file(
            self._bucket,
            self._key,
            self._file,
            part_size=PART,
            enable_checkpoint=self._with_checkpoint,
            cancel=self._given_up,
        )

    def _add_faults(self) -> int:
        """Add the cell's fault, and those that lead to it; the number of the former."""
        cell, faults = self._cell, self._stage.server.faults
        part = self._place if cell.operation == "UploadPart" else None
        effect: Mapping[str, Any] = {"gate": _REFUSING}
        if "refuse" not in cell.effect:
            effect = filled_in(cell.effect, self._parts_there(), self._stage.other_host)
        rule = {"operation": cell.operation, "part_number": part, "times": _times(cell)}
        number = faults.add({**rule, "effect": effect})
        if cell.operation == "AbortMultipartUpload":
            self._refuse("UploadPart", self._place)
        if (cell.operation, cell.position) == ("HeadObject", "middle"):
            faults.add({"operation": _COMPLETE, "times": None, "effect": _LOST})
        if (cell.operation, cell.position) == ("HeadObject", "last"):
            faults.add({"operation": _COMPLETE, "times": None, "effect": _NO_CRC})
        return number

    def _parts_there(self) -> list[ListedPart]:
        if self._cell.operation != "ListParts":
            return []
        upload_id = decode(self._checkpoint.read_bytes()).upload_id
        return list(self._stage.witness.iter_parts(self._key, upload_id))

    def _prepare(self) -> None:
        """Bring the upload to where the fault is to strike."""
        scenes: Mapping[str, Callable[[], None]] = {
            "InitiateMultipartUpload": self._vanished,
            "ListParts": lambda: self._interrupted(self._place),
            _COMPLETE: lambda: self._interrupted({1: 0, 2: 1, 3: 3}[self._place]),
            "PutObject": self._occupied,
            "HeadObject": self._completed_unnoticed,
        }
        scenes.get(self._cell.operation, lambda: None)()

    def _vanished(self) -> None:
        parts = {1: 0, 2: 1, 3: 3}[self._place]
        self._interrupted(parts)
        for upload_id in self._stage.open_uploads(self._key) if parts else ():
            self._stage.witness.abort_multipart_upload(self._key, upload_id)

    def _occupied(self) -> None:
        if self._place > 1:
            size = self._file.stat().st_size + (self._place == 3)
            self._stage.witness.put_object(self._key, random_bytes(size, seed=99))

    def _completed_unnoticed(self) -> None:
        if self._place > 1:
            return
        self._interrupted(_PARTS)
        checkpoint = self._checkpoint.read_bytes()
        self._stage.server.faults.clear()
        self._upload()
        self._checkpoint.write_bytes(checkpoint)

    def _interrupted(self, parts: int) -> None:
        """Let an earlier run end after so many parts; 0 is for no earlier run at all."""
        if parts == 0:
            return
        if parts < _PARTS:
            self._refuse("UploadPart", parts + 1)
        else:
            self._refuse(_COMPLETE, None)
        run = self._run(_CLEAN_SECONDS)
        if run.how != "AccessDeniedError":
            raise AssertionError(f"the earlier run ended with {run.how}: {run.error}")

    def _refuse(self, operation: str, part_number: int | None) -> None:
        rule = {"operation": operation, "part_number": part_number, "effect": _REFUSED}
        self._stage.server.faults.add(rule)

    def _leave(self) -> None:
        stage = self._stage
        stage.forget()
        self._bucket.close()
        stage.witness.delete_object(self._key)
        for upload_id in stage.open_uploads(self._key):
            try:
                stage.witness.abort_multipart_upload(self._key, upload_id)
            except NoSuchUploadError:  # a run that was stuck has come to its end after all
                continue
        shutil.rmtree(self._folder)


def play(stage: Stage, cell: Cell, name: str) -> Story:
    """Play one cell."""
    return Play(stage, cell, name).play()


def _times(cell: Cell) -> int | None:
    return 1 if cell.times == "once" else None
