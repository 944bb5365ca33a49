"""The benchmark tells what happened. How fast anything is, is no matter here."""

import json
import os
import runpy
import socket
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.bench.__main__ import main
from tests.bench.acceptance import judge
from tests.bench.clients.child import Job
from tests.bench.environment import OtherClients
from tests.bench.measuring import BenchError, Run, child_environment, own_python, run_program
from tests.bench.messages import Request, drop_payload
from tests.bench.plot import bars
from tests.bench.ratios import Spread, median_ratio, ratios
from tests.bench.reading import first_parts
from tests.bench.reporting import report
from tests.bench.sections import HELP, SECTIONS, Amounts, Bench
from tests.bench.stage import Source, Stage
from tests.bench.streams import Wire
from tests.bench.subjects import (
    CLIENTS,
    FLOOR_CRC,
    FLOOR_TWICE,
    FLOORS,
    OSS2,
    OURS,
    OURS_CRC,
    Subject,
)
from tests.support import MIB

SIZE, PARTS = 16 * MIB - 5, 16
MEASURED = {
    *("wall", "cpu", "upload_wall", "upload_cpu", "peak_rss", "bytes", "files", "requests"),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("bench")
    with Stage(folder, OtherClients(folder / "cache")) as stage:
        yield stage


@pytest.fixture(scope="module")
def source(stage: Stage) -> Source:
    return stage.source(stage.file("large", SIZE), MIB)


@pytest.mark.parametrize("subject", [OURS_CRC, FLOOR_TWICE], ids=lambda subject: subject.program)
def test_run_tells_all_there_is_to_tell(stage: Stage, source: Source, subject: Subject) -> None:
    values = stage.upload(subject, source)
    assert values.keys() == MEASURED
    assert min(values.values()) > 0
    assert (values["bytes"], values["files"]) == (SIZE, 1)
    assert values["requests"] == PARTS + 2
    assert values["upload_wall"] < values["wall"]
    shown = report([Run("large", "16 MiB", subject.name, 1, values)], {"oss2": "no network"})
    row = next(line for line in shown.splitlines() if line.startswith(subject.name))
    assert row.count("[") == 7
    assert "skipped: oss2: no network" in shown


def test_sink_counts_what_came_and_knows_the_parts_of_the_object(
    stage: Stage, source: Source
) -> None:
    stage.run(FLOOR_CRC, source, str(stage.folder))
    came = stage.sink.arrived("large-1048576/large")
    sizes = [MIB] * (PARTS - 1) + [MIB - 5]
    assert came["payload"] == SIZE
    assert came["object_parts"] == [list(part) for part in enumerate(sizes, start=1)]
    assert came["requests"]["UploadPart"] == PARTS


def test_resume_sends_the_missing_part_alone(stage: Stage, source: Source) -> None:
    values = stage.resume(OURS, source)
    assert (values["bytes"], values["requests"]) == (MIB - 5, 3)


def test_upload_that_fails_gives_no_figures(stage: Stage, source: Source) -> None:
    other_parts = replace(source, part_size=2 * MIB)
    with pytest.raises(BenchError, match="another CRC-64"):
        stage.upload(FLOOR_CRC, other_parts)


def test_upload_of_other_bytes_than_were_asked_for_gives_no_figures(
    stage: Stage, source: Source
) -> None:
    key, digests = next(iter(source.digests.items()))
    shorter = replace(source, digests={key: first_parts(digests, PARTS - 1)})
    with pytest.raises(BenchError, match=f"{SIZE} bytes arrived"):
        stage.upload(FLOOR_CRC, shorter)


def test_beginning_of_a_source_is_on_the_disk_before_it_is_measured(
    stage: Stage, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []

    def note(number: int) -> None:
        file = os.fstat(number)
        synced.append((file.st_ino, file.st_size))

    monkeypatch.setattr(os, "fsync", note)
    begun = stage.beginning_of(source, 3)
    assert synced == [(begun.path.stat().st_ino, 3 * MIB)]


def test_boto3_sends_as_many_parts_at_a_time_as_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boto3 = Mock()
    for module in ("boto3", "boto3.s3.transfer", "botocore.client"):
        monkeypatch.setitem(sys.modules, module, boto3)
    job = Job("large", "", "", "", "", MIB, 3, "", "")
    monkeypatch.setattr(sys, "argv", ["with_boto3", json.dumps(job._asdict())])
    runpy.run_module("tests.bench.clients.with_boto3", run_name="__main__")
    assert boto3.TransferConfig.call_args.kwargs["max_concurrency"] == 3
    upload = boto3.client.return_value.upload_file
    assert upload.call_args.kwargs["Config"] is boto3.TransferConfig.return_value


def test_other_client_that_fails_is_left_out_and_named(
    stage: Stage, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.others, "python", lambda _: own_python())
    lines: list[str] = []
    bench = Bench(stage, Amounts(), lines.append)
    broken = Subject("broken", "no_such_program", package="broken")
    for round_ in (1, 2):
        assert list(bench.upload(("large", "c", round_), broken, source)) == []
    assert len(lines) == 1
    assert "broken: it failed in large: " in lines[0]


PLAIN = {"content-length": "10"}
CHUNKED = {"transfer-encoding": "chunked"}
SIGNED = {"content-encoding": "aws-chunked", "content-length": "99"}
SIGNED_BODY = (
    b"7;chunk-signature=ab\r\n0123456\r\n3\r\n789\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n"
)


def in_chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (PLAIN, b"0123456789"),
        (CHUNKED, in_chunks(b"0123", b"456789")),
        (SIGNED, SIGNED_BODY),
        (SIGNED | CHUNKED, in_chunks(SIGNED_BODY)),
        (SIGNED | CHUNKED, in_chunks(SIGNED_BODY[:25], SIGNED_BODY[25:36], SIGNED_BODY[36:])),
    ],
    ids=["plain", "chunked", "signed", "signed and chunked", "signed, cut by chunks"],
)
def test_payload_is_counted_without_its_wrapping(headers: dict[str, str], body: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.sendall(body + b"next\r\n")
        wire = Wire(ours)
        assert drop_payload(Request("PUT", "/b/k", {}, headers), wire) == 10
        assert wire.line() == b"next"


def runs_of(subject: Subject, *figures: float, measure: str = "cpu") -> list[Run]:
    return [
        Run("large", "c", subject.name, number, {measure: figure, "bytes": 1.0, "wall": 1.0})
        for number, figure in enumerate(figures, start=1)
    ]


@pytest.mark.parametrize(
    ("of", "to", "expected", "middle"),
    [
        ((2, 4, 6), (1, 1, 1), [2, 4, 6], 4),
        # A round in which the machine was ten times as slow is like any other.
        ((2, 30, 4), (1, 10, 2), [2, 3, 2], 2),
        ((8, 1, 2, 4), (1, 1, 1, 1), [8, 1, 2, 4], 3),
        ((2, 4, 6), (4,), [0.5], 0.5),
        ((3,), (0,), [], None),
        ((), (1, 2), [], None),
    ],
)
def test_ratios_are_those_of_one_round(
    of: Sequence[float], to: Sequence[float], expected: list[float], middle: float | None
) -> None:
    ours, others = runs_of(OURS, *of), runs_of(OSS2, *to)
    assert ratios(ours, others, "cpu") == expected
    assert median_ratio(ours, others, "cpu") == middle
    assert median_ratio(ours, others, "peak_rss") is None


def test_spread_is_median_and_extremes() -> None:
    assert Spread.of([8, 1, 2, 4]) == Spread(3, 1, 8)
    assert Spread.of([]) is None


@pytest.mark.parametrize(("ours", "word"), [(1.2, "holds"), (1.21, "MISSED")])
def test_bound_holds_up_to_itself(ours: float, word: str) -> None:
    runs = runs_of(OURS_CRC, ours) + runs_of(OSS2, 8.0)
    verdicts = {verdict.claim: verdict.word for verdict in judge(runs)}
    assert verdicts["large: CPU of resumable, CRC-64 only / oss2"] == word
    assert verdicts["large: CPU of resumable / oss2"] == "not measured"


def test_of_several_floors_the_cheapest_counts() -> None:
    whole = Subject("floor: MD5 + CRC-64, read whole", "floor")
    runs = runs_of(OURS, 5.0) + runs_of(FLOOR_TWICE, 2.0) + runs_of(whole, 4.0)
    claim = f"large: CPU of resumable / {FLOOR_TWICE.name}"
    assert [v.measured for v in judge(runs) if v.claim == claim] == [2.5]


@pytest.mark.parametrize(
    ("measure", "shown"), [("upload_wall", "wall"), ("upload_cpu", "CPU"), ("requests", "requests")]
)
def test_growth_is_judged_by_how_many_times_the_parts(measure: str, shown: str) -> None:
    def fresh(parts: int, figure: float) -> Run:
        return Run("growth", f"{parts:,} parts, fresh", OURS.name, 1, {measure: figure})

    runs = [fresh(4_000, 8.0), fresh(1_000, 2.0), fresh(2_000, 4.3), fresh(10_000, 20.0)]
    verdicts = [v for v in judge(runs) if v.claim.startswith(f"growth: {shown}, ")]
    assert [verdict.word for verdict in verdicts] == ["MISSED", "holds", "holds"]
    assert [round(verdict.most, 2) for verdict in verdicts] == [2.1, 2.1, 2.67]


@pytest.mark.parametrize(("most", "word"), [(80e6, "holds"), (80.1e6, "MISSED")])
def test_the_run_that_took_most_memory_is_judged(most: float, word: str) -> None:
    runs = runs_of(OURS, 30e6, most, 40e6, measure="peak_rss")
    verdicts = {verdict.claim: verdict.word for verdict in judge(runs)}
    assert verdicts["large: most peak RSS in MB"] == word


def test_memory_that_was_not_measured_is_not_taken_to_hold() -> None:
    verdicts = {verdict.claim: verdict.word for verdict in judge(runs_of(OURS, 1.0))}
    assert verdicts["large: most peak RSS in MB"] == "not measured"


@pytest.mark.parametrize(("ours", "word"), [((1, 4), "holds"), ((1.1, 4), "MISSED")])
def test_import_is_judged_beside_that_of_requests(ours: Sequence[float], word: str) -> None:
    # In the second round the machine was four times as slow.
    runs = [
        Run("imports", "start to end", name, number, {"cpu": figure})
        for name, figures in {"import resumable": ours, "import requests": (1, 4)}.items()
        for number, figure in enumerate(figures, start=1)
    ]
    verdicts = {verdict.claim: verdict.word for verdict in judge(runs)}
    assert verdicts["imports: CPU of import resumable / import requests"] == word


@pytest.mark.parametrize(
    ("before", "loaded", "word"),
    [
        ("pass", 0, "holds"),
        ("import ssl", 1, "MISSED"),
        ("import resumable.oss.transport", 2, "MISSED"),
    ],
)
def test_help_that_loads_the_transport_is_noticed(
    tmp_path: Path, before: str, loaded: int, word: str
) -> None:
    program = (
        "import runpy; runpy.run_module('tests.bench.clients.asking_for_help', None, '__main__')"
    )
    values = run_program([own_python(), "-c", f"{before}\n{program}"], child_environment(tmp_path))
    assert values["imports_transport"] == loaded
    verdicts = judge([Run("imports", "start to end", HELP, 1, values)])
    shown = {verdict.claim: verdict.word for verdict in verdicts}
    assert shown["resumable --help: imports of ssl, requests"] == word


@pytest.mark.parametrize(
    ("ours", "others", "arguments", "code"),
    [
        (1.0, [*CLIENTS, *FLOORS], (), 0),
        (1.0, [OSS2, *FLOORS], (), 2),
        (1.0, [], (), 2),
        (9e9, [*CLIENTS, *FLOORS], (), 1),
        (9e9, [OSS2], (), 1),
        (9e9, [OSS2], ("--quick",), 0),
    ],
    ids=[
        "all hold",
        "some are missing",
        "all are missing",
        "missed",
        "missed, some are missing",
        "quick",
    ],
)
def test_exit_code_tells_a_bound_that_was_missed_from_one_not_measured(
    ours: float,
    others: list[Subject],
    arguments: tuple[str, ...],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def large(_bench: Bench) -> Iterator[Run]:
        """As it would be with these clients."""
        for subject in dict.fromkeys((OURS, OURS_CRC, *others)):
            figure = ours if subject in (OURS, OURS_CRC) else 100.0
            values = dict.fromkeys(MEASURED, figure)
            yield Run("large", "c", subject.name, 1, {**values, "peak_rss": 1e6})

    monkeypatch.setitem(SECTIONS, "large", large)
    monkeypatch.setattr(sys, "argv", ["bench", "large", *arguments])
    assert main() == code
    unknown = "Could not be measured, so that these may be missed:\nlarge: CPU of "
    assert (unknown in capsys.readouterr().out) == (len(others) < len((*CLIENTS, *FLOORS)))


def test_nothing_can_be_run_no_times(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "large", "--runs", "0"])
    with pytest.raises(SystemExit):
        main()
    assert "'0' is not a number of runs" in capsys.readouterr().err


def test_plot_has_two_bars_for_each_client() -> None:
    picture = bars(runs_of(OURS, 1, 2) + runs_of(OSS2, 5), "A & B")
    drawn = ET.fromstring(picture)
    assert len(drawn.findall("{*}rect")) == 4
    assert drawn.findtext("{*}title") == "A & B"
