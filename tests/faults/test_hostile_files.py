"""Hostile checkpoints, each beside a real upload: they change neither what is made nor where."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resumable import CheckpointError, ResumableError
from resumable.core import reconcile
from resumable.core.checkpoint import Checkpoint, PartRecord, may_be_checkpoint
from resumable.core.plan import Plan
from resumable.core.reconcile import ListedPart, Verdict, Wanted, WorkList
from resumable.transfer import uploading
from tests.core.checkpoint_content import Fields, checkpoint, part, parts, sealed
from tests.core.hostile_lies import LIES
from tests.core.make_checkpoints import FOLDER
from tests.faults.hostile_files import Place, place

OUTCOMES: dict[str, dict[str, str]] = json.loads((FOLDER / "outcomes.json").read_text())
HOSTILE = sorted(name for name in OUTCOMES if name.startswith("hostile/"))
# What is of another transfer, be it only because it could not be aimed at ours.
# Another endpoint is another route: the server that is asked knows the upload id, or does not.
_OF_ANOTHER = tuple(
    "lie-another-key lie-bucket lie-key lie-kind fields-in name-in space- twice- value-in".split()
)
# What came by another endpoint: it is of this transfer if the server knows the upload.
_BY_ANOTHER_ROUTE = ("lie-another-host", "lie-endpoint")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("hostile")) as made:
        yield made


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_checkpoint_changes_neither_what_is_made_nor_where(
    stage: Place, tmp_path: Path, name: str
) -> None:
    stem, stored = Path(name).stem, (FOLDER / name).read_bytes()
    told = stage.run(tmp_path, f"aimed-at/{stem}", stored)
    match OUTCOMES[name]["outcome"]:
        case "unreadable" if not may_be_checkpoint(stored):
            assert isinstance(told.error, CheckpointError)
        case "unreadable":
            assert told.error is None
            assert list(told.beside) == ["example.bin.cp.bad"]
        case "future":
            assert told.error is not None
        case _:
            assert (told.error is not None) is stem.startswith(_OF_ANOTHER)
    if told.error is not None:
        assert not told.log, "a refused checkpoint costs no request"
        assert list(told.beside) == ["example.bin.cp"]


@pytest.mark.parametrize("name", [name for name in LIES if name.startswith(_BY_ANOTHER_ROUTE)])
@pytest.mark.parametrize("is_known", [True, False])
def test_endpoint_is_a_route_to_an_upload_that_the_server_knows(
    stage: Place, tmp_path: Path, name: str, is_known: bool
) -> None:
    lie = LIES[name] if is_known else LIES[name] | {"upload_id": "invented"}
    told = stage.run(tmp_path, f"aimed-at/route-{name}-{is_known}", sealed(lie))
    operations = [at.operation for at in told.log]
    if is_known:
        assert told.error is None
        assert "InitiateMultipartUpload" not in operations
        assert operations.count("UploadPart") == 1, "two of three parts were there"
    else:
        assert isinstance(told.error, CheckpointError)
        assert operations == ["ListParts"]
        assert list(told.beside) == ["example.bin.cp"], "it is kept as it was"


def test_there_are_many_of_them() -> None:
    assert len(HOSTILE) >= 300
    assert len({(FOLDER / name).read_bytes() for name in HOSTILE}) == len(HOSTILE)
    assert sum((FOLDER / name).stat().st_size for name in HOSTILE) < 1_500_000


@pytest.mark.parametrize("digest", [checkpoint()["headers_digest"], "0" * 64])
def test_upload_of_another_key_is_neither_completed_nor_aborted(
    stage: Place, tmp_path: Path, digest: str
) -> None:
    lie = checkpoint(upload_id=stage.victim_id, headers_digest=digest)
    told = stage.run(tmp_path, f"aimed-at/victim-{digest[:4]}", sealed(lie))
    assert told.error is None
    assert stage.victim_id in {at.upload_id for at in told.log}


def test_record_of_ten_thousand_parts_is_no_burden(stage: Place, tmp_path: Path) -> None:
    lie = parts(*(part(number) for number in range(1, 10_001)))
    told = stage.run(tmp_path, "aimed-at/ten-thousand", sealed(lie))
    assert told.error is None
    assert sum(at.operation == "UploadPart" for at in told.log) == 1


def other_destinations_accepted(found: Checkpoint | None, wanted: Wanted) -> Verdict:
    if found is not None:
        found = replace(found, destination=wanted.destination, kind=wanted.kind)
    return reconcile.judge_checkpoint(found, wanted)


def all_that_is_recorded_is_there(
    plan: Plan, recorded: Iterable[PartRecord], listed: Iterable[ListedPart], *, trusted: bool
) -> WorkList:
    there = [ListedPart(one.number, one.size, one.etag, one.crc64) for one in recorded]
    return reconcile.reconcile_parts(plan, recorded, there, trusted=trusted)


BUGS: dict[str, tuple[str, object, Fields]] = {
    "the destination is not compared": (
        "judge_checkpoint", other_destinations_accepted, LIES["lie-key-up"]
    ),
    "the kind is not compared": (
        "judge_checkpoint", other_destinations_accepted, LIES["lie-kind-download"]
    ),
    "a record is believed without a list": (
        "reconcile_parts", all_that_is_recorded_is_there, LIES["lie-etag-of-nothing"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_bug_is_noticed(
    stage: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    attribute, broken, lie = BUGS[name]
    right = stage.run(tmp_path, f"aimed-at/{name}/right", sealed(lie))
    for left in tmp_path.iterdir():
        left.unlink()
    monkeypatch.setattr(uploading, attribute, broken)
    try:
        wrong = stage.run(tmp_path, f"aimed-at/{name}/wrong", sealed(lie))
    except (AssertionError, ResumableError):
        return
    tellable = [[at.operation for at in outcome.log] for outcome in (right, wrong)]
    assert tellable[0] != tellable[1]
