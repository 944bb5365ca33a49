"""The state machine for some seconds, and proof that it notices what it is there to notice."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable import Bucket, PartNotSequentialError
from resumable.server import LocalServer
from tests.faults.state_machine import campaign
from tests.faults.state_machine_bugs import BUGS, Bug
from tests.faults.state_machine_stage import Stage, folder_in_memory
from tests.support import PART, make_file, random_bytes
from tests.transfer.steps import KEY, SIZE, fault, open_uploads, refused, upload

# Whichever comes first.
_STEPS, _SECONDS = 500, 10.0
_FEWEST = 20
_MOST_UNNOTICED = 2_000
_STORIES = 4


@pytest.fixture
def stage() -> Iterator[Stage]:
    with folder_in_memory() as folder, Stage(Path(folder)) as open_stage:
        yield open_stage


def test_no_promise_is_broken_whatever_happens(stage: Stage) -> None:
    told: list[str] = []
    first = random.randrange(1_000_000_000)
    violations = campaign(stage, _STEPS, first, told.append, seconds=_SECONDS, stories=_STORIES)
    assert violations == 0, "\n".join(told)
    assert stage.tally.done >= _FEWEST


@pytest.mark.parametrize(
    ("bug", "promise"), [pytest.param(*row, id=row[0].__name__) for row in BUGS.items()]
)
def test_broken_package_is_noticed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, bug: Bug, promise: str
) -> None:
    bug(monkeypatch)
    told: list[str] = []
    number = 1_000
    while promise not in "".join(told):
        assert stage.tally.done < _MOST_UNNOTICED, "nothing was noticed"
        campaign(stage, stage.tally.done + 1, number, told.append)
        number += 1


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
