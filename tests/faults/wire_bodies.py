"""Bodies of answers that no server should give: too large to write out, or made of what is there.

An effect names them by `@name`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resumable import ListedPart
from tests.support import MIB, PART

_DOCTYPE = '<?xml version="1.0"?>\n<!DOCTYPE '
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))

_BODIES: Mapping[str, Callable[[], str]] = {
    "error": lambda: "<Error><Code>InternalError</Code><Message>Not really.</Message></Error>",
    "half": lambda: '<?xml version="1.0"?><ListPartsResult><UploadId>',
    "long": lambda: "x" * (128 * 1024),
    "rubbish": lambda: "\x00\x01 this is not <XML",
    "huge": lambda: f"<Error><Code>{'x' * (9 * MIB)}</Code></Error>",
    "larger-than-any": lambda: "<a/>" * (5 * MIB),
    "deep": lambda: f"{'<a>' * 40_000}{'</a>' * 40_000}",
    "entities": lambda: f'{_DOCTYPE}Error [<!ENTITY l0 "lol">{_LAUGHS}]><Error>&l11;</Error>',
    "outside-entity": lambda: (
        f'{_DOCTYPE}Error [<!ENTITY x SYSTEM "@other-host">]><Error><Code>&x;</Code></Error>'
    ),
    "doubling": lambda: (
        f'{_DOCTYPE}Error [<!ENTITY x "{"x" * 100_000}">]><Error>{"&x;" * 100_000}</Error>'
    ),
}


@dataclass(frozen=True, slots=True)
class _Page:
    """An answer to ListParts."""

    parts: Sequence[ListedPart]
    next_marker: int | None = None  # a page that says there are more


def _doubled(parts: Sequence[ListedPart]) -> _Page:
    return _Page([*parts, parts[-1]])


def _number(number: int) -> Callable[[Sequence[ListedPart]], _Page]:
    return lambda parts: _Page([*parts, replace(parts[0], number=number)])


def _each(change: Callable[[ListedPart], ListedPart]) -> Callable[[Sequence[ListedPart]], _Page]:
    return lambda parts: _Page([change(part) for part in parts])


_LISTS: Mapping[str, Callable[[Sequence[ListedPart]], _Page]] = {
    "gap": lambda parts: _Page(parts[1:]),
    "duplicate": _doubled,
    "descending": lambda parts: _Page([replace(parts[0], number=3), replace(parts[0], number=1)]),
    "marker-loop": lambda parts: _Page(parts, next_marker=0),
    "marker-stuck": lambda _: _Page([], next_marker=0),
    "more-than-there-is": lambda parts: _Page(parts, next_marker=parts[-1].number),
    "extra-part": _number(4),
    "other-sizes": _each(lambda part: replace(part, size=PART + 1)),
    "other-etags": _each(lambda part: replace(part, etag="0" * 32)),
    "other-crcs": _each(lambda part: replace(part, crc64=12345)),
    "number-0": _each(lambda part: replace(part, number=0)),
    "number-10001": _number(10_001),
    "negative-size": _each(lambda part: replace(part, size=-1)),
    "size-nonsense": _each(lambda part: replace(part, size=10**30)),
    "nothing": lambda _: _Page([]),
}


def filled_in(value: Any, parts: Iterable[ListedPart], other_host: str) -> Any:  # noqa: ANN401 - JSON
    """An effect in which every `@name` is what it stands for."""
    if isinstance(value, Mapping):
        return {name: filled_in(inner, parts, other_host) for name, inner in value.items()}
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    name = value.removeprefix("@")
    if name == "other-host":
        return other_host
    if name.startswith("list-"):
        return _listing(_LISTS[name.removeprefix("list-")](list(parts)))
    return _BODIES[name]().replace("@other-host", other_host)


def _listing(page: _Page) -> str:
    rows = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{part.etag}</ETag>"
        f"<HashCrc64ecma>{part.crc64}</HashCrc64ecma><Size>{part.size}</Size></Part>"
        for part in page.parts
    )
    more = page.next_marker is not None
    marker = f"<NextPartNumberMarker>{page.next_marker}</NextPartNumberMarker>" if more else ""
    truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
    return f"<ListPartsResult>{truncated}{marker}{rows}</ListPartsResult>"
