"""What came of killing uploads: the counts, the troubles, and the table that shows them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

Trouble = Literal[
    "failed by itself",
    "false record",
    "left behind",
    "sent again",
    "stuck",
    "unreadable checkpoint",
    "wrong object",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must not be: its kind, and the whole story."""

    kind: Trouble
    story: str


@dataclass(slots=True)
class Tally:
    """The counts of one upload, or of many.

    Attributes:
        kills: By phase.
        kills_resuming: How many of them hit a run that had found a checkpoint.
        runs: Uploaders that were given something to do.
        finished: Uploads that were brought to their end.
        made_at_kill: Kills that came when the object was made and the checkpoint gone, so that
            the next run had no way to know.
        parts_sent: UploadPart requests that were answered with success.
        parts_resent: How many of them brought a part that had been acknowledged before.
        resend_bound: The most there may be of those: what was in flight at the kills.
        empty_uploads: Uploads without parts whose run was killed before it could record them.
        problems: What is wrong.
    """

    kills: Counter[str] = field(default_factory=Counter)
    kills_resuming: int = 0
    runs: int = 0
    finished: int = 0
    made_at_kill: int = 0
    parts_sent: int = 0
    parts_resent: int = 0
    resend_bound: int = 0
    empty_uploads: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def kills_in_all(self) -> int:
        """How many kills there were."""
        return self.kills.total()

    def add(self, other: "Tally") -> None:
        """Take in what came of another upload."""
        self.kills += other.kills
        self.kills_resuming += other.kills_resuming
        self.runs += other.runs
        self.finished += other.finished
        self.made_at_kill += other.made_at_kill
        self.parts_sent += other.parts_sent
        self.parts_resent += other.parts_resent
        self.resend_bound += other.resend_bound
        self.empty_uploads += other.empty_uploads
        self.problems += other.problems

    def troubles(self, kind: Trouble) -> int:
        """How many problems there are of a kind."""
        return sum(problem.kind == kind for problem in self.problems)

    def rows(self) -> list[tuple[str, int | str]]:
        """The table, as names and figures."""
        share = 100 * self.kills_resuming // max(1, self.kills_in_all)
        return [
            ("kills", self.kills_in_all),
            *((f"  {phase}", count) for phase, count in sorted(self.kills.items())),
            ("  of these while resuming", f"{self.kills_resuming} ({share} %)"),
            ("runs", self.runs),
            ("uploads finished", self.finished),
            ("  made already at a kill", self.made_at_kill),
            *((kind, self.troubles(kind)) for kind in get_args(Trouble)),
            ("parts sent", self.parts_sent),
            ("  sent again", f"{self.parts_resent} (bound {self.resend_bound})"),
            ("uploads left without parts", self.empty_uploads),
        ]
