"""What a fault can do to a request: one small value each, readable from JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

DropAt = Literal["before", "during_body", "after_body", "after_success", "during_answer"]
GateAt = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class AnswerInstead:
    """Answers without acting.

    Attributes:
        status: the status of the answer.
        code: the error code.
        headers: headers of the answer.
        body: `xml` for an error document, `none`, or the very text.
        early: answers without reading the request's body, and closes.
    """

    status: int
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "xml"
    early: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """Closes the connection without a whole answer; `reset` makes it a TCP reset."""

    at: DropAt
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Waits before acting; None is for as long as the server runs."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class StallAnswer:
    """Waits after acting; None is for as long as the server runs."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class ChangeAnswer:
    """Acts, and answers something else.

    Attributes:
        headers: headers to set, or with None to leave out.
        status: another status.
        body: another body.
    """

    headers: Mapping[str, str | None] = field(default_factory=dict)
    status: int | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class CorruptBody:
    """Flips a bit of the request's body before it is hashed and stored."""


@dataclass(frozen=True, slots=True)
class Skew:
    """Lets the server's clock be off by so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Gate:
    """Holds the request until the gate of that name is released."""

    name: str
    at: GateAt = "before"


Effect = AnswerInstead | Drop | Stall | StallAnswer | ChangeAnswer | CorruptBody | Skew | Gate


def parse_effect(data: object) -> Effect:
    """Return the effect that a JSON object describes.

    Raises:
        ValueError: naming what is unknown, missing or of the wrong type.
    """
    fields = mapping(data, "effect")
    named = [name for name in _PARSERS if name in fields]
    if len(named) != 1:
        raise ValueError(f"an effect has exactly one of {', '.join(_PARSERS)}: {data!r}")
    parse, allowed = _PARSERS[named[0]]
    only_fields(fields, {named[0], *allowed}, "effect")
    return parse(fields)


def mapping(data: object, what: str) -> Mapping[str, Any]:
    """Return `data` if it is a JSON object.

    Raises:
        ValueError: when it is not.
    """
    if not isinstance(data, Mapping) or not all(isinstance(name, str) for name in data):
        raise ValueError(f"{what} must be an object, not {data!r}")
    return data


def only_fields(data: Mapping[str, Any], allowed: set[str], what: str) -> None:
    """Refuse fields nobody would look at.

    Raises:
        ValueError: naming them.
    """
    if unknown := sorted(data.keys() - allowed):
        raise ValueError(f"unknown field in {what}: {', '.join(unknown)}")


def typed(value: Any, kinds: type | tuple[type, ...], what: str) -> Any:  # noqa: ANN401 - JSON
    """Return `value` if it is of one of the types; True is no number.

    Raises:
        ValueError: naming the field.
    """
    allowed = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise ValueError(f"{what} has the wrong type: {value!r}")
    return value


def _status(value: object) -> int:
    status: int = typed(value, int, "status")
    if not 200 <= status <= 599:
        raise ValueError(f"status must be one of 200 to 599, not {status}")
    return status


def _seconds(value: object, what: str) -> float | None:
    if value is None:
        return None
    seconds: float = typed(value, (int, float), what)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{what} must not be negative: {seconds}")
    return seconds


def _header_map(value: object, *, removable: bool) -> dict[str, Any]:
    kinds: tuple[type, ...] = (str, type(None)) if removable else (str,)
    headers = mapping(value, "headers")
    return {name: typed(text, kinds, f"header {name}") for name, text in headers.items()}


def _one_of(value: object, choices: object, what: str) -> Any:  # noqa: ANN401 - a Literal
    if value not in get_args(choices):
        raise ValueError(f"{what} must be one of {', '.join(get_args(choices))}, not {value!r}")
    return value


def _answer_instead(data: Mapping[str, Any]) -> Effect:
    return AnswerInstead(
        status=_status(data["status"]),
        code=typed(data.get("code", ""), str, "code"),
        headers=_header_map(data.get("headers", {}), removable=False),
        body=typed(data.get("body", "xml"), str, "body"),
        early=typed(data.get("early", False), bool, "early"),
    )


def _change_answer(data: Mapping[str, Any]) -> Effect:
    change = mapping(data["answer"], "answer")
    only_fields(change, {"headers", "status", "body"}, "answer")
    status = change.get("status")
    return ChangeAnswer(
        headers=_header_map(change.get("headers", {}), removable=True),
        status=None if status is None else _status(status),
        body=typed(change.get("body"), (str, type(None)), "body"),
    )


def _drop(data: Mapping[str, Any]) -> Effect:
    reset = typed(data.get("reset", False), bool, "reset")
    return Drop(_one_of(data["drop"], DropAt, "drop"), reset)


def _corrupt_body(data: Mapping[str, Any]) -> Effect:
    if data["corrupt_body"] is not True:
        raise ValueError("corrupt_body must be true")
    return CorruptBody()


def _gate(data: Mapping[str, Any]) -> Effect:
    name = typed(data["gate"], str, "gate")
    return Gate(name, _one_of(data.get("at", "before"), GateAt, "at"))


_PARSERS: Mapping[str, tuple[Callable[[Mapping[str, Any]], Effect], tuple[str, ...]]] = {
    "status": (_answer_instead, ("code", "headers", "body", "early")),
    "drop": (_drop, ("reset",)),
    "stall": (lambda data: Stall(_seconds(data["stall"], "stall")), ()),
    "stall_answer": (lambda data: StallAnswer(_seconds(data["stall_answer"], "stall_answer")), ()),
    "answer": (_change_answer, ()),
    "corrupt_body": (_corrupt_body, ()),
    "skew": (lambda data: Skew(typed(data["skew"], (int, float), "skew")), ()),
    "gate": (_gate, ("at",)),
}
