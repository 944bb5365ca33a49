"""Uploads that lose their power: what was not synced is lost, or some of it, and they go on."""

import random

from tests.crash.processes import Ended
from tests.crash.scenario import Kill, Setup
from tests.crash.tally import Tally
from tests.crash.uploader import KillPoint
from tests.faults.crash_points import FRESH, Configuration, ForkedStage, PointStory
from tests.faults.disk_model import Disk
from tests.faults.effects import ANY
from tests.faults.recording import Acknowledged, PartId, Trace, read_events
from tests.support import KIB, PART


class CutStory(PointStory):
    """One upload whose runs end in a power cut: what was not synced is lost, or some of it.

    Attributes:
        traces: What its runs did.
    """

    def __init__(
        self, stage: ForkedStage, configuration: Configuration, name: str, rng: random.Random
    ) -> None:
        super().__init__(stage, configuration, name)
        self._forked = stage.forked
        self._records = stage.folder / f"{name}.events"
        self._rng = rng
        self._known: frozenset[PartId] = frozenset()
        self._name = f"{name} ({configuration})"
        self.traces: list[Trace] = []

    def _run(self, kill: Kill | None) -> Ended:
        start, inodes = self._beside()
        self._forked.record = str(self._records)
        ended = super()._run(kill)
        self._forked.record = ""
        events = read_events(self._records)
        self._records.unlink()
        told = f"{self._name}, run {self._tally.runs}"
        self.traces.append(Trace(told, start, inodes, self._known, events))
        self._known |= {
            (event.upload_id, event.number) for event in events if isinstance(event, Acknowledged)
        }
        if ended.how == "killed":
            self._cut_power(self.traces[-1])
        return ended

    def _beside(self) -> tuple[dict[str, bytes], dict[str, int]]:
        found = [path for path in self._folder.iterdir() if path != self._file]
        return (
            {path.name: path.read_bytes() for path in found},
            {path.name: path.stat().st_ino for path in found},
        )

    def _cut_power(self, trace: Trace) -> None:
        disk = Disk(trace.start, trace.inodes)
        for event in trace.events:
            disk.apply(event)
        state = self._rng.choice(list(disk.states(64, self._rng)))
        for name in self._beside()[0]:
            (self._folder / name).unlink()
        for name, data in state.items():
            (self._folder / name).write_bytes(data)


def cut_upload(stage: ForkedStage, seed: int, number: int) -> tuple[Tally, list[Trace]]:
    """An upload that loses its power one to three times, and what its runs did."""
    rng = random.Random(f"{seed}/{number}")
    parts = rng.choice((2, 5, 20))
    setup = Setup((parts - 1) * PART + 10 * KIB, PART, rng.choice((1, 4)), content_md5=True)
    points = [
        KillPoint(rng.choice(("before", "after")), ANY, rng.randint(4, 20 + 2 * parts))
        for _ in range(rng.randint(1, 3))
    ]
    story = CutStory(stage, Configuration(setup, FRESH), f"cut-{number}", rng)
    return story.tell(points), story.traces
