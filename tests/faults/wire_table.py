"""The table of wire faults: which cells there are, and how each is declared to end.

`fixtures/faults/wire-effects.json` names the faults, `fixtures/faults/wire.json` says for every
operation, fault and position how an upload ends. A row stands for all its combinations. No cell
may be declared twice, and none of those that a fault makes sense for may be missing.
"""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

Operation = Literal[
    "InitiateMultipartUpload",
    "UploadPart",
    "ListParts",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "PutObject",
    "HeadObject",
]
Position = Literal["first", "middle", "last"]
Times = Literal["once", "for ever"]

FOLDER = Path(__file__).parents[2] / "fixtures" / "faults"

_WITH_DOCUMENT = {"InitiateMultipartUpload", "ListParts", "CompleteMultipartUpload"}
_WITH_DIGEST = {"UploadPart", "PutObject"}
# The first that fits a fault says to which operations it can happen; other faults to all.
_ONLY: Sequence[tuple[str, Container[str]]] = (
    ("list-.*", {"ListParts"}),
    ("(in|after)-body-.*", _WITH_DIGEST | {"CompleteMultipartUpload"}),
    ("200-error-done|answer-in-halves|answer-shorter-than-told|body-.*", _WITH_DOCUMENT),
    ("answer-longer-than-told", _WITH_DOCUMENT | _WITH_DIGEST),
    ("200-.*|refusal-.*", set(get_args(Operation)) - {"HeadObject"}),
    ("(wrong|no|rubbish)-crc", _WITH_DIGEST | {"CompleteMultipartUpload", "HeadObject"}),
    (".*etag.*|crc-too-large|bit-flipped", _WITH_DIGEST),
)
_SLOW = {"stall", "stall-answer", "answer-shorter-than-told"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an upload with a fault is to end.

    Attributes:
        ends: `done`, or the name of the error.
        tries: How often the operation may be asked for.
        kept: An error leaves a checkpoint that the next run goes on with.
        named: Uploads that stay open on the server, and that the log or the error names.
        orphans: Uploads that stay open on the server and that nobody can know of. None has parts.
        seconds: Within which it ends.
    """

    ends: str
    tries: int
    kept: bool = False
    named: int = 0
    orphans: int = 0
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault, at one place of one upload, and how that is to end."""

    operation: Operation
    fault: str
    position: Position
    times: Times
    effect: Mapping[str, Any]
    outcome: Outcome

    @property
    def is_slow(self) -> bool:
        """Whether somebody has to wait for what does not come."""
        return self.fault in _SLOW

    def __str__(self) -> str:
        return f"{self.operation} {self.fault} {self.position} {self.times}"


@dataclass(frozen=True, slots=True)
class _Row:
    operations: Sequence[Operation]
    faults: Sequence[str]
    outcome: Outcome
    positions: Sequence[Position] = get_args(Position)
    times: Sequence[Times] = get_args(Times)


_Place = tuple[Operation, str, Position, Times]


def load_cells() -> list[Cell]:
    """All cells, in the order of the table.

    Raises:
        ValueError: a cell is declared twice or not at all, or names what there is not.
    """
    effects = json.loads((FOLDER / "wire-effects.json").read_text())
    rows = TypeAdapter(list[_Row]).validate_json((FOLDER / "wire.json").read_text())
    declared: dict[_Place, Outcome] = {}
    for row in rows:
        for place in product(row.operations, row.faults, row.positions, row.times):
            if place in declared:
                raise ValueError(f"declared twice: {place}")
            declared[place] = row.outcome
    wanted = set(_places(effects))
    if strays := declared.keys() ^ wanted:
        raise ValueError(f"declared without sense, or not declared: {sorted(strays)}")
    return [Cell(*place, effects[place[1]], outcome) for place, outcome in declared.items()]


def _places(effects: Iterable[str]) -> Iterator[_Place]:
    for operation, fault in product(get_args(Operation), effects):
        if makes_sense(operation, fault):
            for position, times in product(get_args(Position), get_args(Times)):
                yield operation, fault, position, times


def makes_sense(operation: Operation, fault: str) -> bool:
    """Whether a fault can happen to an operation: a HEAD has no body that could be rubbish."""
    where = (operations for pattern, operations in _ONLY if re.fullmatch(pattern, fault))
    return operation in next(where, get_args(Operation))
