"""Only declared errors come out of the parsers: the short form of `python -m tests.faults.fuzz`."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resumable.core import checkpoint_reading
from resumable.core.checkpoint import FIRST_BYTES, MAX_CHECKPOINT_SIZE
from resumable.core.plan import MAX_PARTS
from resumable.oss import operations, xml
from resumable.oss.xml import MAX_XML_SIZE
from resumable.server.multipart import MAX_COMPLETE_BODY
from tests.core.checkpoint_content import sealed
from tests.faults.fuzz import LONGEST_TIME, MOST_MEMORY, Report, feed, fuzz
from tests.faults.fuzz_targets import PARSERS, Entry, Parser

INPUTS = 4000
KIB = 1024


def told(report: Report) -> list[str]:
    return [f"{found.entry}: {found.told}: {found.data[:200]!r}" for found in report.violations]


@pytest.mark.parametrize("name", PARSERS)
def test_only_declared_errors_come_out_and_soon(name: str) -> None:
    report = fuzz(name, PARSERS[name], inputs=INPUTS, seed=0)
    assert told(report) == []
    assert report.inputs == INPUTS
    assert len(report.outcomes) > 2 * len(PARSERS[name].entries) - 2, "the inputs are all alike"


def inputs(parser: Parser) -> st.SearchStrategy[bytes]:
    """Pieces of the seeds, tokens, their repetition, and anything in between."""
    seeds, tokens = st.sampled_from(parser.seeds()), st.sampled_from(parser.tokens)
    cuts = st.tuples(seeds, st.integers(0, 4000), st.integers(0, 4000))
    piece = cuts.map(lambda cut: cut[0][min(cut[1:]) : max(cut[1:])])
    repeated = st.tuples(tokens, st.integers(1, 2000)).map(lambda pair: pair[0] * pair[1])
    return st.lists(seeds | piece | tokens | repeated | st.binary(max_size=20), max_size=6).map(
        lambda pieces: b"".join(pieces)[: parser.longest]
    )


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_put_together_of_pieces_is_read_or_refused(name: str, data: st.DataObject) -> None:
    assert told(feed(name, PARSERS[name], data.draw(inputs(PARSERS[name])))) == []


WORST: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "arrays": ("checkpoint", lambda size: b"[" + b"[]," * (size // 3) + b"1]"),
    "numbers": ("checkpoint", lambda size: b"[" + b"1," * (size // 2) + b"1]"),
    "fields": ("checkpoint", lambda size: b'{"a":' * (size // 5)),
    "elements": ("xml", lambda size: b"<a>" + b"<b/>" * (size // 4) + b"</a>"),
    "depth": ("xml", lambda size: b"<a>" * (size // 7) + b"</a>" * (size // 7)),
    "attributes": ("xml", lambda size: b"<a " + b'b="" ' * (size // 5) + b"/>"),
    "dates": ("headers", lambda size: b"date: " + b"(" * size),
    "header names": ("headers", lambda size: b"\n".join(b"%d:" % n for n in range(size // 6))),
    "hosts": ("endpoint", lambda size: b"a." * (size // 2)),
    "brackets": ("endpoint", lambda size: b"[" * size),
    "targets": ("server", lambda size: b"/b/k?" + b"&" * size),
    "escapes": ("server", lambda size: b"/b/" + b"%41" * (size // 3)),
}


def check_time_and_memory(name: str, parser: Parser, data: bytes) -> None:
    assert told(feed(name, parser, data)) == []  # what is made once is not counted below
    tracemalloc.start()
    try:
        feed(name, parser, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY


@pytest.mark.parametrize("name", WORST)
def test_worst_inputs_take_neither_time_nor_memory(name: str) -> None:
    parser, make = WORST[name]
    check_time_and_memory(parser, PARSERS[parser], make(PARSERS[parser].longest - 16))


CHECKPOINT = FIRST_BYTES + b'{"a":['
SINGLE_TAGS = (b"<b/>", b"<b>", b"<!---->", b"<?a?>", b"<![CDATA[]]>")
# What is as large as a checkpoint, an answer and a list of parts may be, made of these.
LARGEST: dict[str, tuple[str, str, bytes, bytes]] = {
    **{
        f"values {unit.decode()}": ("checkpoint", "decode", CHECKPOINT, unit)
        for unit in (b"1,", b"1e9,", b"[],", b'{"":1},', b"[" * 99 + b"]" * 99 + b",", b"{", b"{}")
    },
    "a long number": ("checkpoint", "decode", FIRST_BYTES, b"1"),
    "a long text": ("checkpoint", "decode", FIRST_BYTES + b'"', "\u20ac".encode()),
    **{
        f"tags {unit.decode()}": ("xml", "Document.parse", b"<a>", unit)
        for unit in (*SINGLE_TAGS, b"<b " + b'c="" ' * 90 + b"/>")
    },
    "tags in UTF-16": ("xml", "Document.parse", b"\xff\xfe<\0a\0>\0", "<b/>".encode("utf-16-le")),
    "one tag": ("xml", "Document.parse", b"<a ", b'b="" '),
    "one text": ("xml", "Document.parse", "<a>\U0001f600".encode(), b"b"),
    "lines": ("xml", "Document.parse", b"<a>", b"\n"),
    **{
        f"part list {unit.decode()}": ("server", "parse_part_list", b"<a>", unit)
        for unit in SINGLE_TAGS
    },
}
BOUNDS = {"decode": MAX_CHECKPOINT_SIZE, "Document.parse": MAX_XML_SIZE}


@pytest.mark.parametrize("name", LARGEST)
def test_largest_inputs_take_neither_time_nor_memory(name: str) -> None:
    parser, entry, begin, unit = LARGEST[name]
    size = BOUNDS.get(entry, MAX_COMPLETE_BODY)
    data = begin + unit * ((size - len(begin)) // len(unit))
    alone = {entry: replace(PARSERS[parser].entries[entry], longest=size)}
    check_time_and_memory(parser, Parser(alone, list, ()), data)


def test_ten_thousand_parts_of_wrong_types_are_refused_soon() -> None:
    wrong = [{"number": "x", "size": "y", "etag": 5, "crc64": None}] * MAX_PARTS
    entry = replace(PARSERS["checkpoint"].entries["decode"], longest=MAX_CHECKPOINT_SIZE)
    (seed, *_) = PARSERS["checkpoint"].seeds()
    content = {**json.loads(seed), "parts": wrong}
    content.pop("checksum")
    check_time_and_memory("checkpoint", Parser({"decode": entry}, list, ()), sealed(content))


def test_elements_in_a_long_namespace_take_neither_time_nor_memory() -> None:
    names = b"".join(b"<a%d/>" % number for number in range(32_000))
    data = b'<a xmlns="%s">%s</a>' % (b"u" * 480, names)
    entry = replace(PARSERS["xml"].entries["Document.parse"], longest=MAX_XML_SIZE)
    check_time_and_memory("xml", Parser({"parse": entry}, list, ()), data)


def blanks(before: bytes, after: bytes) -> bytes:
    return before + b" " * (8 * KIB) + after


SLOW = {
    "ossutil": ("configfiles", blanks(b"[default]\nx", b"y")),
    "parse_authorization": ("server", blanks(b"OSS4-HMAC-SHA256 ", b"x")),
}


@pytest.mark.parametrize("entry", SLOW)
def test_long_line_of_blanks_takes_no_time(entry: str) -> None:
    parser, data = SLOW[entry]
    alone = {entry: replace(PARSERS[parser].entries[entry], longest=64 * KIB)}
    assert told(feed(parser, Parser(alone, list, ()), data)) == []


@pytest.mark.parametrize("encoding", [b"foo", b"hex"])
def test_part_list_in_an_unknown_encoding_is_refused(encoding: bytes) -> None:
    data = b"<?xml version='1.0' encoding='%s'?><CompleteMultipartUpload/>" % encoding
    assert told(feed("server", PARSERS["server"], data)) == []


def no_check(text: str, _: str) -> int:
    return int(text)


BUGS: dict[str, tuple[str, object, str, object]] = {
    "numbers are not checked": ("xml", operations, "parse_number", no_check),
    "numbers in XML are not checked": ("xml", xml, "parse_number", no_check),
    "wrong fields are not expected": (
        "checkpoint",
        checkpoint_reading,
        "ValidationError",
        KeyError,
    ),
    "timestamps are not checked": (
        "xml",
        operations,
        "_timestamp",
        datetime.fromisoformat,
    ),
    "broken XML is not expected": ("xml", xml, "ParseError", KeyError),
}


@pytest.mark.parametrize("name", BUGS)
def test_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parser, module, attribute, broken = BUGS[name]
    monkeypatch.setattr(module, attribute, broken)
    assert told(fuzz(parser, PARSERS[parser], inputs=20_000, seed=0, enough=1))


def greedy(data: bytes) -> None:
    bytes(2 * MOST_MEMORY)
    raise MemoryError


def test_slow_and_greedy_and_stuck_parsers_are_found() -> None:
    def slow(data: bytes) -> None:
        sum(range(40_000_000))

    for call, expected in ((slow, "took"), (greedy, "MemoryError escaped")):
        (found,) = feed("bad", Parser({"bad": Entry(call)}, list, ()), b"x").violations
        assert found.told.startswith(expected)
    assert LONGEST_TIME <= 0.05
