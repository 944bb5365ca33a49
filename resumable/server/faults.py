"""Faults as data: rules that say which requests go wrong, and how.

A test adds rules while the server runs. Every rule counts the requests it matches: the first
`skip` are let through, the next `times` are affected. Rules with effects of different kinds
combine; of several live rules of one kind the first wins, and the others wait for their turn.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from resumable.server.effects import (
    Effect,
    Gate,
    GateAt,
    Stall,
    StallAnswer,
    mapping,
    only_fields,
    parse_effect,
    typed,
)
from resumable.server.routes import OPERATION_NAMES

EffectT = TypeVar("EffectT", bound=Effect)


class StoppedError(Exception):
    """The server stops; whoever waits in it gives up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule: which requests are affected, and what happens to them.

    Attributes:
        effect: what happens.
        operation: the name of the operation, `*` for every one.
        part_number: only requests with this part number; None for all.
        skip: how many matching requests are let through first.
        times: how many are affected then; None for all that follow.
    """

    effect: Effect
    operation: str = "*"
    part_number: int | None = None
    skip: int = 0
    times: int | None = 1

    @classmethod
    def from_json(cls, data: object) -> Fault:
        """Return the rule that a JSON object describes.

        Raises:
            ValueError: naming what is unknown, missing or of the wrong type.
        """
        fields = mapping(data, "fault")
        only_fields(fields, {"effect", "operation", "part_number", "skip", "times"}, "fault")
        if "effect" not in fields:
            raise ValueError(f"a fault needs an effect: {data!r}")
        nullable = (int, type(None))
        times = fields.get("times", 1)
        return cls(
            effect=parse_effect(fields["effect"]),
            operation=typed(fields.get("operation", "*"), str, "operation"),
            part_number=typed(fields.get("part_number"), nullable, "part_number"),
            skip=_count(fields.get("skip", 0), "skip"),
            times=None if times is None else _count(times, "times"),
        )

    def __post_init__(self) -> None:
        if self.operation != "*" and self.operation not in OPERATION_NAMES:
            raise ValueError(
                f"unknown operation {self.operation!r}: '*' or {', '.join(sorted(OPERATION_NAMES))}"
            )

    def matches(self, operation: str, part_number: int | None) -> bool:
        """Tell whether the rule is about such a request."""
        return self.operation in ("*", operation) and self.part_number in (None, part_number)


@dataclass(frozen=True, slots=True)
class Injection:
    """The effects that one request is subject to."""

    effects: tuple[Effect, ...] = ()

    def find(self, kind: type[EffectT]) -> EffectT | None:
        """Return the effect of a kind."""
        return next((effect for effect in self.effects if isinstance(effect, kind)), None)


@dataclass(slots=True)
class _Rule:
    fault: Fault
    seen: int = 0
    fired: int = 0

    def is_due(self) -> bool:
        times = self.fault.times
        return self.seen > self.fault.skip and (times is None or self.fired < times)


@dataclass(slots=True)
class _Gates:
    closed: set[str] = field(default_factory=set)
    reached: Counter[str] = field(default_factory=Counter)


class Faults:
    """The rules of a server; safe to change while it runs."""

    def __init__(self, *rules: Fault | Mapping[str, object]) -> None:
        self._changed = threading.Condition()
        self._rules: list[_Rule] = []
        self._gates = _Gates()
        self._stopped = False
        for rule in rules:
            self.add(rule)

    @classmethod
    def load(cls, path: Path) -> Faults:
        """Return the rules of a JSON file that holds a list of them.

        Raises:
            ValueError: when it does not.
        """
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, list):
            raise ValueError(f"{path} must hold a list of faults")
        return cls(*data)

    def add(self, rule: Fault | Mapping[str, object]) -> int:
        """Add a rule and return its place in `fired`; a gate it names is closed.

        Raises:
            ValueError: when a mapping is no valid rule.
        """
        fault = rule if isinstance(rule, Fault) else Fault.from_json(rule)
        with self._changed:
            self._rules.append(_Rule(fault))
            if isinstance(fault.effect, Gate):
                self._gates.closed.add(fault.effect.name)
                self._gates.reached.pop(fault.effect.name, None)
            return len(self._rules) - 1

    def clear(self) -> None:
        """Remove the rules and their counts; open the gates."""
        with self._changed:
            self._rules.clear()
            self._gates.closed.clear()
            self._changed.notify_all()

    @property
    def fired(self) -> tuple[int, ...]:
        """How many requests each rule has affected, in the order of their adding."""
        with self._changed:
            return tuple(rule.fired for rule in self._rules)

    def release(self, name: str) -> None:
        """Open a gate: who waits goes on, who comes later does not wait."""
        with self._changed:
            self._gates.closed.discard(name)
            self._changed.notify_all()

    def wait_reached(self, name: str, timeout: float = 10.0, *, count: int = 1) -> int:
        """Wait until `count` requests have reached a gate; return how many have.

        Raises:
            TimeoutError: when that does not happen in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._gates.reached[name] >= count, timeout):
                reached = self._gates.reached[name]
                raise TimeoutError(
                    f"{reached} of {count} requests reached the gate {name!r} within {timeout} s"
                )
            return self._gates.reached[name]

    def wait_fired(self, rule: int, timeout: float = 10.0, *, count: int = 1) -> int:
        """Wait until the rule that `add` numbered has affected `count` requests.

        Raises:
            TimeoutError: when that does not happen in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._rules[rule].fired >= count, timeout):
                raise TimeoutError(f"rule {rule} did not fire {count} times within {timeout} s")
            return self._rules[rule].fired

    def match(self, operation: str, part_number: int | None) -> Injection:
        """Count a request and return what happens to it."""
        chosen: dict[object, Effect] = {}
        with self._changed:
            for rule in self._rules:
                if not rule.fault.matches(operation, part_number):
                    continue
                rule.seen += 1
                kind = _kind(rule.fault.effect)
                if rule.is_due() and kind not in chosen:
                    rule.fired += 1
                    chosen[kind] = rule.fault.effect
            self._changed.notify_all()
        return Injection(tuple(chosen.values()))

    def hold(self, injection: Injection, at: GateAt) -> None:
        """Wait at the gates and stalls before or after acting.

        Raises:
            StoppedError: when the server stops meanwhile.
        """
        for effect in injection.effects:
            if isinstance(effect, Gate) and effect.at == at:
                self._wait_at(effect.name)
        kind = Stall if at == "before" else StallAnswer
        for effect in injection.effects:
            if isinstance(effect, Stall | StallAnswer) and type(effect) is kind:
                self._wait_for(effect.seconds)

    def start(self) -> None:
        """Let requests wait; the server calls it when it starts."""
        with self._changed:
            self._stopped = False

    def stop(self) -> None:
        """End every wait; the server calls it when it stops."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wait_at(self, name: str) -> None:
        with self._changed:
            self._gates.reached[name] += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped or name not in self._gates.closed)
            if self._stopped:
                raise StoppedError

    def _wait_for(self, seconds: float | None) -> None:
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            while not self._stopped:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)
        raise StoppedError


def _kind(effect: Effect) -> object:
    return (effect.name, effect.at) if isinstance(effect, Gate) else type(effect)


def _count(value: object, what: str) -> int:
    count: int = typed(value, int, what)
    if count < 0:
        raise ValueError(f"{what} must not be negative: {count}")
    return count
