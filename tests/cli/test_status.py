"""`resumable status` and the map of parts."""

import json
from pathlib import Path

import pytest

from resumable import Bucket, ServerError, upload_file
from resumable.cli.rendering import part_map, size_text
from resumable.server import LocalServer
from tests.cli.conftest import Run
from tests.support import PART, make_file


def interrupted(server: LocalServer, bucket: Bucket, folder: Path) -> Path:
    """A file of eight parts, of which the first five are at the server."""
    file = make_file(folder, 8 * PART)
    refused = {"status": 403, "code": "AccessDenied"}
    server.faults.add({"operation": "UploadPart", "part_number": 6, "effect": refused})
    with pytest.raises(ServerError):
        upload_file(bucket, "dir/k", file, part_size=PART, enable_checkpoint=True)
    return file


def test_status_shows_where_to_how_far_and_which_parts(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = interrupted(server, bucket, folder)
    before = Path(f"{file}.cp").read_bytes()
    outcome = run("status", file)
    assert outcome.code == 0
    assert f"upload to oss://examplebucket/dir/k at {server.endpoint}" in outcome.out
    assert "5 of 8, 100.0 KiB each; 500.0 KiB recorded as sent (62 %)" in outcome.out
    assert "█████···" in outcome.out
    assert "unchanged since" in outcome.out
    assert Path(f"{file}.cp").read_bytes() == before


def test_status_as_json(run: Run, server: LocalServer, bucket: Bucket, folder: Path) -> None:
    found = json.loads(run("status", "--json", interrupted(server, bucket, folder)).out)
    assert found["parts_done"] == [1, 2, 3, 4, 5]
    assert found["parts_total"] == 8


def test_status_tells_that_the_source_changed(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = interrupted(server, bucket, folder)
    file.write_bytes(b"another")
    assert "changed since" in run("status", file).out


def test_status_without_a_checkpoint_exits_with_1(run: Run, folder: Path) -> None:
    outcome = run("status", folder / "nothing")
    assert outcome.code == 1
    assert "no checkpoint" in outcome.out


def test_status_of_a_damaged_checkpoint_leaves_it_alone(run: Run, folder: Path) -> None:
    damaged = folder / "example.bin.cp"
    damaged.write_text("{")
    outcome = run("status", folder / "example.bin")
    assert outcome.code == 1
    assert "cannot be read" in outcome.err
    assert damaged.read_text() == "{"


@pytest.mark.parametrize(
    ("done", "total", "lines"),
    [
        pytest.param((), 3, ["···"], id="none"),
        pytest.param((1, 3), 3, ["█·█"], id="some"),
        pytest.param(tuple(range(1, 66)), 66, ["█" * 64, "█·"], id="two lines"),
        pytest.param((1, 2, 3), 1280, ["█▒" + "·" * 62] + ["·" * 64] * 9, id="two a cell"),
        pytest.param((7,), 3, ["···"], id="beyond the file"),
    ],
)
def test_part_map(done: tuple[int, ...], total: int, lines: list[str]) -> None:
    assert part_map(done, total) == lines


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (48.8 * 1024**4, "48.8 TiB")],
)
def test_size_text(size: float, text: str) -> None:
    assert size_text(size) == text


def test_size_text_has_no_unit_beyond_tib() -> None:
    assert size_text(5000 * 1024**4) == "5000.0 TiB"
