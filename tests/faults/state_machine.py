"""A machine of random steps: calls, deaths, faults and meddling, each held to the promises.

    python -m tests.faults.state_machine --steps 200000 --seed 0

The seed decides the steps; what threads and processes do at once is a matter of time, and so of
chance. The exit code is 1 if a promise was broken.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.faults.state_machine_meddling import CHANGES, Meddler
from tests.faults.state_machine_stage import CALM, IDLE, How, Stage, Trouble
from tests.faults.state_machine_strategies import deaths, faults, hows, meeting_points, sizes
from tests.faults.state_machine_world import World, meanwhile

_RESUME = How()
_STEPS_A_STORY = 40
_STORIES_A_ROUND = 2
_MOST_KNOWN = 3


class UploadMachine(RuleBasedStateMachine):
    """One file that is uploaded to one key, whatever happens."""

    stage: Stage
    _is_whole = False

    @initialize(size=sizes)
    def begin(self, size: int) -> None:
        self.world = World(self.stage)
        self.meddler = Meddler(self.world)
        self.meddler.write(size)

    def _count(self, step: str, *details: object) -> None:
        """Note a step; one that finds nothing to act on is counted as idle."""
        self._is_whole = False
        self.stage.tally.steps[step] += 1
        self.world.steps.append(" ".join(map(str, (step, *details))))

    @rule(how=hows)
    def upload(self, how: How) -> None:
        self._count("upload", how)
        self.world.upload(how)

    @rule()
    def resume(self) -> None:
        self._count("resume")
        self.world.upload(_RESUME)

    @rule(how=hows, trouble=faults)
    def upload_under_a_fault(self, how: How, trouble: Trouble) -> None:
        self._count("fault on the wire", how, trouble.rules)
        self.world.upload(how, trouble)

    @rule(how=hows, skip=st.integers(0, 5))
    def refuse_parts(self, how: How, skip: int) -> None:
        self._count("refused part", how, skip)
        effect = {"status": 403, "code": "AccessDenied"}
        refused = {"operation": "UploadPart", "effect": effect, "skip": skip, "times": None}
        self.world.upload(how, Trouble(any_error=True, rules=(refused,)))

    @rule(how=hows, point=deaths)
    def kill(self, how: How, point: int) -> None:
        self._count("kill", how, point)
        self.world.in_processes(how, [self.world.order(how, point)], CALM)

    @rule(how=hows, processes=st.integers(1, 2), point=st.none() | deaths)
    def several_at_once(self, how: How, processes: int, point: int | None) -> None:
        self._count("several at once", how, processes, point)
        orders = [self.world.order(how) for _ in range(processes)]
        orders.append(self.world.order(how, point))
        trouble = Trouble(errors=frozenset({"TransferLockedError"}), any_error=bool(how.upload_id))
        self.world.in_processes(how, orders, trouble)

    @rule(how=hows, change=st.sampled_from(CHANGES), at=meeting_points)
    def change_while_sending(self, how: How, change: str, at: dict[str, object]) -> None:
        self._count("change while sending", how, change, at)
        server, world = self.stage.server, self.world
        server.faults.add({**at, "effect": {"gate": "held", "at": "before"}})
        errors, was = frozenset({"SourceChangedError"}), world.file.read_bytes()
        meanwhile(
            server.faults,
            lambda: self.meddler.change(change),
            lambda: world.upload(how, Trouble(errors=errors, contents=(was,))),
        )

    @rule(change=st.sampled_from(CHANGES))
    def change_file(self, change: str) -> None:
        self._count(f"file: {change}")
        self.meddler.change(change)

    @rule(size=sizes)
    def write_anew(self, size: int) -> None:
        self._count("file: another", size)
        self.meddler.write(size)

    # What is there is partly a matter of chance, so no rule depends on it: each is always possible,
    # and idle where there is nothing to act on.

    @rule(kind=st.sampled_from(("flip", "cut", "zero", "delete")), share=st.floats(0, 0.999))
    def damage_checkpoint(self, kind: str, share: float) -> None:
        done = self.meddler.damage_checkpoint(kind, share)
        self._count(f"checkpoint: {kind}" if done else IDLE, share)

    @rule()
    def keep_copy_of_checkpoint(self) -> None:
        self._count("checkpoint: copied" if self.meddler.keep_copy() else IDLE)

    @rule(which=st.integers(0, 9))
    def put_copy_back(self, which: int) -> None:
        self._count("checkpoint: old one back" if self.meddler.put_back(which) else IDLE)

    @rule(same_key=st.booleans())
    def put_checkpoint_of_another_file(self, same_key: bool) -> None:
        self._count("checkpoint: another file's", same_key)
        self.meddler.put_foreign_checkpoint(same_key=same_key)

    @rule(kind=st.sampled_from(("abort", "replace a part", "complete")), number=st.integers(1, 6))
    def meddle_with_the_upload(self, kind: str, number: int) -> None:
        done = self.meddler.meddle_with_upload(kind, number)
        self._count(f"server: {kind}" if done else IDLE, number)

    @rule(kind=st.sampled_from(("put another object", "put the file", "delete the object")))
    def meddle_with_the_object(self, kind: str) -> None:
        self._count(f"server: {kind}")
        self.meddler.meddle_with_object(kind)

    @rule()
    def begin_elsewhere(self) -> None:
        is_wanted = len(self.world.known) < _MOST_KNOWN
        self._count("server: begun elsewhere" if is_wanted else IDLE)
        if not is_wanted:
            return
        made = self.stage.bucket.init_multipart_upload(self.world.key)
        self.world.excuse(made.upload_id)

    @rule(how=hows, which=st.integers(0, 9))
    def upload_named(self, how: How, which: int) -> None:
        known = self.world.known
        self._count("upload that is named" if known else IDLE, how, which)
        if known:
            upload_id = known[which % len(known)]
            self.world.upload(replace(how, upload_id=upload_id, metadata={}, sequential=False))

    @rule()
    def restart_server(self) -> None:
        self._count("server: restarted")
        self.stage.server.stop()
        self.stage.server.start()

    @invariant()
    def promises(self) -> None:
        if hasattr(self, "world"):
            self.world.check_records()
            self.world.check_uploads()
            self._is_whole = True

    def teardown(self) -> None:
        """Whatever has happened: the same call is made again, and the file is there."""
        if not self._is_whole:  # a step has failed, and what follows from it is no news
            return
        self._count("resume")
        # Of another transfer, or of a named upload that can take the file no more: its advice.
        if self.world.upload(_RESUME) in ("CheckpointError", "PartNotSequentialError"):
            self.meddler.damage_checkpoint("delete", 0)
            self.world.upload(_RESUME)
        if self.world.object() != self.world.file.read_bytes():
            raise AssertionError("the last call did not succeed")
        self.world.check_uploads()
        self.world.clear()


def run(stage: Stage, number: int, stories: int, steps: int = _STEPS_A_STORY) -> None:
    """Play stories of a seed; the first broken promise is raised, with the steps to it."""
    machine = type("Machine", (UploadMachine,), {"stage": stage})
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def campaign(
    stage: Stage,
    steps: int,
    first_seed: int,
    told: Callable[[str], object],
    *,
    seconds: float = float("inf"),
) -> int:
    """Play until so many steps are done, or so much time has passed; the number of violations."""
    violations, number, began = 0, first_seed, time.monotonic()
    while stage.tally.done < steps and time.monotonic() - began < seconds:
        try:
            run(stage, number, _STORIES_A_ROUND)
        except Exception:  # noqa: BLE001 - whatever it is, it is told and counted
            violations += 1
            stage.server.faults.clear()
            told(f"seed {number}:\n{traceback.format_exc()}\n")
            told("\n".join(stage.tally.broken) + "\n")
            stage.tally.broken.clear()
        number += 1
    return violations


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.state_machine")
    parser.add_argument("--steps", type=int, default=200_000, help="how many (default: 200000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round; it counts up")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="and no longer")
    parser.add_argument("--folder", default=os.environ.get("TMPDIR"), help="where to keep files")
    given = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="state-machine-", dir=given.folder) as folder,
        Stage(Path(folder)) as stage,
    ):
        first, told = given.seed * 1_000_000, sys.stderr.write
        violations = campaign(stage, given.steps, first, told, seconds=given.seconds)
    tally = stage.tally
    rows: list[tuple[str, object]] = [*sorted(tally.steps.items())]
    rows += [(f"call ended: {end}", count) for end, count in sorted(tally.calls.items())]
    rows += [("steps", tally.done), ("stories", tally.stories), ("seed", given.seed)]
    rows += [("violations", violations), ("wall time", f"{time.monotonic() - began:.0f} s")]
    for name, figure in rows:
        print(f"{name:<40}{figure!s:>14}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
