"""How an input is made from others: flips, cuts, splices, repeated blocks, tokens and numbers."""

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.core.checkpoint_content import sealed

_DIGITS = re.compile(rb"\d+")
_NUMBERS = (
    b"0 1 -1 255 10000 10001 102399 2147483648 9007199254740992 18446744073709551615 "
    b"18446744073709551616 1e400 NaN 0x10 1.5 +1 1_0 -0 00 1e-1 " + b"9" * 400
).split()
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 64, 10**30, 1.5, "", "x", "\0", "\ud800", "..", [], {}, [[]],
    {"": 0}, "9" * 400, "\u202e", "\uff11",
)  # fmt: skip
_BLOCKS = (b"[", b"{", b'{"a":', b"<a>", b"<a/>", b"&", b"\0", b" ", b"\n", b"%", b";", b"=", b".")
_ENCODINGS = ("utf-16", "utf-8-sig", "utf-32", "utf-7", "cp037")

Mutation = Callable[[random.Random, bytes], bytes]


class Mutator:
    """Makes inputs of at most `longest` bytes, and remembers those that did something new.

    Args:
        rng: Decides everything.
        seeds: What is changed; never empty.
        tokens: What has a meaning to the parser.
        longest: The bound on an input.
    """

    _MOST_KEPT = 1500

    def __init__(
        self, rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes], longest: int
    ) -> None:
        self._rng = rng
        self._kept = [seed[:longest] for seed in seeds]
        self._seeds = len(seeds)
        self._tokens = tokens
        self._longest = longest
        self._ways: tuple[Mutation, ...] = (
            flip_bit,
            set_byte,
            cut_out,
            cut_off,
            repeat_block,
            swap_blocks,
            change_number,
            flood,
            self._insert_token,
            self._insert_token,
            self._replace_by_token,
            self._splice,
            self._splice,
        )

    @property
    def kept(self) -> int:
        """How many inputs there are to start from."""
        return len(self._kept)

    def make(self) -> bytes:
        """The next input."""
        rng = self._rng
        data = rng.choice(self._kept)
        for _ in range(1 + min(7, int(rng.expovariate(0.6)))):
            data = rng.choice(self._ways)(rng, data)[: self._longest]
        if rng.random() < 0.01:
            data = recode(rng, data)[: self._longest]
        return data

    def keep(self, data: bytes) -> None:
        """Start from this input as well."""
        if len(self._kept) >= self._MOST_KEPT:  # the seeds stay
            self._kept[self._rng.randrange(self._seeds, self._MOST_KEPT)] = data
        else:
            self._kept.append(data)

    def _insert_token(self, rng: random.Random, data: bytes) -> bytes:
        at = rng.randint(0, len(data))
        return data[:at] + rng.choice(self._tokens) + data[at:]

    def _replace_by_token(self, rng: random.Random, data: bytes) -> bytes:
        start, end = _range(rng, data, 24)
        return data[:start] + rng.choice(self._tokens) + data[end:]

    def _splice(self, rng: random.Random, data: bytes) -> bytes:
        other = rng.choice(self._kept)
        return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def flip_bit(rng: random.Random, data: bytes) -> bytes:
    """Turn one bit."""
    if not data:
        return b"\x01"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def set_byte(rng: random.Random, data: bytes) -> bytes:
    """Put any byte, or a few, somewhere."""
    at = rng.randint(0, len(data))
    return data[:at] + rng.randbytes(rng.randint(1, 4)) + data[at + rng.randint(0, 4) :]


def cut_out(rng: random.Random, data: bytes) -> bytes:
    """Take some bytes away."""
    start, end = _range(rng, data, 64)
    return data[:start] + data[end:]


def cut_off(rng: random.Random, data: bytes) -> bytes:
    """Take the end or the beginning away."""
    at = rng.randint(0, len(data))
    return data[:at] if rng.random() < 0.7 else data[at:]


def repeat_block(rng: random.Random, data: bytes) -> bytes:
    """Say something many times."""
    start, end = _range(rng, data, 200)
    return data[:end] + data[start:end] * min(2000, int(rng.paretovariate(0.6))) + data[end:]


def swap_blocks(rng: random.Random, data: bytes) -> bytes:
    """Let two neighbours change places."""
    start, end = _range(rng, data, 128)
    middle = rng.randint(start, end)
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def change_number(rng: random.Random, data: bytes) -> bytes:
    """Put another number in the place of one."""
    found = list(_DIGITS.finditer(data[:4096]))
    if not found:
        return data
    start, end = rng.choice(found).span()
    return data[:start] + rng.choice(_NUMBERS) + data[end:]


def flood(rng: random.Random, data: bytes) -> bytes:
    """Put a great many of one thing somewhere."""
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(_BLOCKS) * min(70_000, int(rng.paretovariate(0.4))) + data[at:]


def recode(rng: random.Random, data: bytes) -> bytes:
    """Write the text in another encoding."""
    return data.decode("utf-8", "replace").encode(rng.choice(_ENCODINGS), "replace")


def reseal(rng: random.Random, data: bytes) -> bytes:
    """Change a value deep in a JSON object and put the right checksum of a checkpoint to it."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(content, dict):
        return data
    content.pop("checksum", None)
    inner: Any = content
    while isinstance(inner, (dict, list)) and inner and rng.random() < 0.85:
        name = rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if not inner[name] or not isinstance(inner[name], (dict, list)) or rng.random() < 0.2:
            inner[name] = rng.choice(_VALUES)
            break
        inner = inner[name]
    try:
        return sealed(content)
    except (ValueError, RecursionError):
        return data


def _range(rng: random.Random, data: bytes, longest: int) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.randint(0, longest))
