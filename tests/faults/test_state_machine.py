"""The state machine for some seconds, and proof that it notices what it is there to notice."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resumable import Bucket, PartNotSequentialError
from resumable.core.checkpoint import PartRecord
from resumable.core.plan import Plan
from resumable.core.reconcile import ListedPart, WorkList, reconcile_parts
from resumable.server import LocalServer
from resumable.transfer import uploading
from resumable.transfer.aborting import End
from resumable.transfer.checkpoints import CheckpointFile
from resumable.transfer.finishing import Finisher
from tests.faults.state_machine import campaign
from tests.faults.state_machine_stage import Stage
from tests.support import PART, make_file, random_bytes
from tests.transfer.steps import KEY, SIZE, fault, open_uploads, refused, upload

# Whichever comes first.
_STEPS, _SECONDS = 500, 15.0
_FEWEST = 20


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as open_stage:
        yield open_stage


def _violations(stage: Stage, steps: int, seed: int) -> tuple[int, str]:
    told: list[str] = []
    violations = campaign(stage, steps, seed, told.append, seconds=_SECONDS)
    return violations, "\n".join(told)


def test_no_promise_is_broken_whatever_happens(stage: Stage) -> None:
    violations, told = _violations(stage, _STEPS, random.randrange(1_000_000_000))
    assert violations == 0, told
    assert stage.tally.done >= _FEWEST


def _trust_every_record(patch: pytest.MonkeyPatch) -> None:
    """Reuse what is recorded, without a look at the file or at the server's list."""

    def reconcile(
        plan: Plan,
        recorded: tuple[PartRecord, ...],
        listed: list[ListedPart],
        *,
        trusted: bool,
    ) -> WorkList:
        work = reconcile_parts(plan, recorded, listed, trusted=trusted)
        known = {record.number: record for record in recorded}
        reuse = tuple(known[part.number] for part in plan if part.number in known)
        send = tuple(part for part in plan if part.number not in known)
        return WorkList(reuse, (), send) if known else work

    patch.setattr(uploading, "reconcile_parts", reconcile)


def _keep_the_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """Leave the checkpoint behind after success."""
    patch.setattr(CheckpointFile, "delete", lambda *_: None)


def _never_abort(patch: pytest.MonkeyPatch) -> None:
    """Say that an upload was aborted, and do nothing."""
    patch.setattr(Finisher, "abandon", lambda *_: End.ABORTED)


@pytest.mark.parametrize(
    ("break_it", "promise"),
    [
        pytest.param(_trust_every_record, "P1: ", id="trust every record"),
        pytest.param(_keep_the_checkpoint, "P7: left beside the file", id="keep the checkpoint"),
        pytest.param(_never_abort, "P7: nobody answers", id="never abort"),
    ],
)
def test_broken_package_is_noticed(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[pytest.MonkeyPatch], None],
    promise: str,
) -> None:
    break_it(monkeypatch)
    for round_seed in range(20):
        _, told = _violations(stage, stage.tally.done + 1, round_seed * 1000)
        if promise in told:
            return
    raise AssertionError(f"{stage.tally.done} steps, and nothing was noticed")


def test_wrong_word_that_an_upload_is_gone_leaves_nothing_though_the_object_is_there(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload(bucket, file)
    server.faults.add(fault("UploadPart", refused(404, "NoSuchUpload"), skip=3))
    upload(bucket, file)
    assert open_uploads(bucket) == []


def test_advice_to_upload_without_the_upload_id_is_followed_with_success(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_id = bucket.init_multipart_upload(KEY, sequential=True).upload_id
    bucket.upload_part(KEY, upload_id, 3, random_bytes(PART, 7))
    with pytest.raises(PartNotSequentialError, match="upload without upload_id="):
        upload(bucket, file, upload_id=upload_id)
    upload(bucket, file)
