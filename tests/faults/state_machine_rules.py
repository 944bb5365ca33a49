"""The machine itself: the steps, and the looks after each of them."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from hypothesis import HealthCheck, Phase, assume, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.faults.state_machine_meddling import CHANGES, Meddler
from tests.faults.state_machine_oracle import Oracle
from tests.faults.state_machine_stage import IDLE, How, Stage, Trouble, refusing
from tests.faults.state_machine_strategies import (
    casts,
    deaths,
    faults,
    hows,
    meeting_points,
    refusals,
    sizes,
)
from tests.faults.state_machine_world import World, meanwhile

_RESUME = How()
STEPS_A_STORY = 40
# After a request was sent, what it carried may become the object.
_LAST_REQUESTS = ("CompleteMultipartUpload", "PutObject")


class UploadMachine(RuleBasedStateMachine):
    """One file that is uploaded to one key, whatever happens.

    What is there is partly a matter of chance, so no rule has a precondition and no draw depends on
    it: a rule that finds nothing to act on makes itself something, and few steps are idle.
    """

    stage: Stage
    _is_whole = False
    _step = ""

    @initialize(size=sizes, salt=st.integers(0, 1_000_000))
    def begin(self, size: int, salt: int) -> None:
        # Of each seed, the simplest story of all is played first: forty times the same step.
        assume(salt > 0)
        self.world = World(self.stage)
        self.oracle = Oracle(self.world)
        self.meddler = Meddler(self.world, self.oracle)
        self.meddler.write(size)
        self._began = time.monotonic()

    def _count(self, step: str, *details: object) -> None:
        """Note a step before it is taken."""
        self._is_whole, self._step = False, step
        self._began = time.monotonic()
        self.world.steps.append(" ".join(map(str, (step, *details))))

    def _call_it(self, step: str) -> None:
        """Say what became of the step."""
        self._step = step
        self.world.steps[-1] += f": {step}"

    @rule()
    def resume(self) -> None:
        self._count("resume")
        self.oracle.upload(_RESUME)

    @rule(how=hows)
    def upload(self, how: How) -> None:
        self._count("upload", how)
        self.oracle.upload(how)

    @rule(how=hows, trouble=faults)
    def upload_under_a_fault(self, how: How, trouble: Trouble) -> None:
        self._count("fault on the wire", how, trouble.rules)
        self.oracle.upload(how, trouble)

    @rule(how=hows, refused=refusals)
    def upload_that_is_refused(self, how: How, refused: tuple[str, int]) -> None:
        self._count("refused", how, refused)
        self.oracle.upload(how, refusing(*refused))

    @rule(how=hows, cast=casts)
    def work_in_processes(self, how: How, cast: tuple[int, int]) -> None:
        living, die_at = cast
        self._count("several at once" if living else "kill", how, cast)
        self.oracle.in_processes(how, living, die_at)

    @rule(how=hows, change=st.sampled_from(CHANGES), at=meeting_points)
    def change_while_sending(self, how: How, change: str, at: tuple[str, int]) -> None:
        self._count("change while sending", how, change, at)
        contents = (self.world.file.read_bytes(),) if at[0] in _LAST_REQUESTS else ()
        trouble = Trouble(errors=frozenset({"SourceChangedError"}), contents=contents)
        self._meanwhile(
            at, lambda: self.meddler.change(change), lambda: self.oracle.upload(how, trouble)
        )

    @rule(how=hows, at=meeting_points)
    def call_while_sending(self, how: How, at: tuple[str, int]) -> None:
        self._count("second call", how, at)
        first = replace(how, enable_checkpoint=True)
        locked = self.oracle.takes_lock(first)
        self._meanwhile(
            at,
            lambda: self.oracle.second_call(locked=locked),
            lambda: self.oracle.upload(first),
        )

    def _meanwhile(
        self, at: tuple[str, int], act: Callable[[], None], call: Callable[[], str]
    ) -> None:
        # A torn request of the last call that is only now looked at would be held for one of this.
        self.stage.bucket.close()
        self.stage.settle(set())
        broken: list[Exception] = []

        def safely() -> None:
            try:
                act()
            except Exception as error:  # noqa: BLE001 - raised again below
                broken.append(error)

        meanwhile(self.stage.server.faults, at, safely, call)
        for error in broken:
            raise error

    @rule(change=st.sampled_from(CHANGES))
    def change_file(self, change: str) -> None:
        self._count(f"file: {change}")
        self.meddler.change(change)

    @rule(size=sizes)
    def write_anew(self, size: int) -> None:
        self._count("file: another", size)
        self.meddler.write(size)

    @rule(kind=st.sampled_from(("flip", "cut", "zero", "delete")), share=st.floats(0, 0.999))
    def damage_checkpoint(self, kind: str, share: float) -> None:
        self._count(f"checkpoint: {kind}", share)
        self.meddler.damage_checkpoint(kind, share)

    @rule(keep=st.booleans(), which=st.integers(0, 9))
    def copy_checkpoint(self, keep: bool, which: int) -> None:
        self._count("checkpoint: copied" if keep else "checkpoint: old one back", which)
        if keep and self.meddler.keep_copy():
            return
        self._call_it("checkpoint: old one back" if self.meddler.put_back(which) else IDLE)

    @rule(same_key=st.booleans())
    def put_checkpoint_of_another_file(self, same_key: bool) -> None:
        self._count("checkpoint: another file's", same_key)
        self.meddler.put_foreign_checkpoint(same_key=same_key)

    @rule(
        kind=st.sampled_from(("abort", "swap", "swap", "replace a part", "complete")),
        number=st.integers(1, 6),
    )
    def meddle_with_the_upload(self, kind: str, number: int) -> None:
        self._count(f"server: {kind}", number)
        if not self.meddler.meddle_with_upload(kind, number):
            self.meddler.meddle_with_object("put a lookalike")
            self._call_it("server: put a lookalike")

    @rule(
        kind=st.sampled_from(
            ("put another object", "put the file", "put a lookalike", "delete the object")
        )
    )
    def meddle_with_the_object(self, kind: str) -> None:
        self._count(f"server: {kind}")
        self.meddler.meddle_with_object(kind)

    @rule(kind=st.sampled_from(("begin", "part", "abort")), number=st.integers(1, 6))
    def work_elsewhere(self, kind: Literal["begin", "part", "abort"], number: int) -> None:
        self._count(kind, number)
        self._call_it(f"elsewhere: {self.meddler.elsewhere(kind, number)}")

    @rule(how=hows, which=st.integers(0, 9))
    def upload_named(self, how: How, which: int) -> None:
        upload_id = self.meddler.name(which)
        named = replace(how, upload_id=upload_id, metadata={}, sequential=False)
        self._count("upload that is named", named)
        self.oracle.upload(named)

    @rule(how=hows, point=deaths)
    def restart_server(self, how: How, point: int) -> None:
        """Restart the server, and go on with what was interrupted."""
        self._count("server: restarted", how, point)
        self.stage.server.stop()
        self.stage.server.start()

    @invariant()
    def promises(self) -> None:
        if self._step:
            self.oracle.check_records()
            self.oracle.check_uploads()
            self._is_over()

    def _is_over(self) -> None:
        tally = self.stage.tally
        tally.steps[self._step] += 1
        tally.took(self._step, time.monotonic() - self._began)
        self._is_whole, self._step = True, ""

    def teardown(self) -> None:
        """Whatever has happened: the same call is made again, and the file is there."""
        if not self._is_whole:  # a step has failed, and what follows from it is no news
            return
        self._count("resume")
        if self.oracle.upload(_RESUME) == "CheckpointError":  # of another transfer: its advice
            self.world.disown_checkpoint()
            self.world.checkpoint.unlink()
            self.oracle.upload(_RESUME)
        self.oracle.check_last_call()
        self._is_over()
        self.world.clear()


def run(stage: Stage, number: int, stories: int, steps: int = STEPS_A_STORY) -> None:
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
