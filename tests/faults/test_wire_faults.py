"""Faults on the wire: each cell of the table ends as declared, and the next run puts it right.

All cells: `python -m tests.faults.wire_campaign`. Here every operation meets every fault once, and
every third for ever, each at one of its three positions.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from resumable import Bucket, Credentials, RetryPolicy, ServerError, upload_file
from resumable.core.outcome import UploadFate
from resumable.oss import operations, retry
from resumable.oss.cancellation import Cancellation
from resumable.oss.messages import Answer, WireRequest
from resumable.oss.signing import SignatureVersion
from resumable.oss.transport import RequestsTransport
from resumable.transfer import finishing
from resumable.transfer.checkpoints import CheckpointFile
from resumable.transfer.finishing import Finisher
from tests.faults.wire import Story, play
from tests.faults.wire_stage import KEY_ID, SECRET, TOKEN, Stage
from tests.faults.wire_table import Cell, Position, load_cells
from tests.faults.wire_tap import Tap
from tests.support import PART, QUICK, make_file

_CELLS = load_cells()
_NAMES = count()


def _short() -> list[Cell]:
    """For every operation and fault one position, all of them in turn; a third also for ever."""
    kinds: dict[tuple[str, str, str], dict[Position, Cell]] = {}
    for cell in _CELLS:
        kinds.setdefault((cell.times, cell.operation, cell.fault), {})[cell.position] = cell
    positions = get_args(Position)
    chosen = []
    for turn, (kind, places) in enumerate(sorted(kinds.items())):
        cell = places[positions[turn % 3]]
        # Waiting for ever for what does not come is a matter of seconds.
        if "once" in kind or (turn % 3 == 0 and not cell.is_slow):
            chosen.append(places[positions[turn // 3 % 3]] if "once" not in kind else cell)
    return chosen


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture
def played(stage: Stage) -> Callable[[Cell], Story]:
    return lambda cell: play(stage, cell, f"cell-{next(_NAMES)}")


def test_table_has_enough_cells() -> None:
    assert len(_CELLS) >= 2_500
    assert len(_short()) >= 500


@pytest.mark.parametrize("cell", _short(), ids=str)
def test_fault_ends_as_declared_and_the_next_run_puts_it_right(
    played: Callable[[Cell], Story], cell: Cell
) -> None:
    story = played(cell)
    assert not story.problems, str(story)


@pytest.mark.parametrize("version", get_args(SignatureVersion))
def test_no_secret_is_on_the_wire_outside_the_signature_s_place(
    stage: Stage, folder: Path, version: SignatureVersion
) -> None:
    stage.forget()
    stage.server.faults.add({"operation": "UploadPart", "effect": {"drop": "after_success"}})
    with Tap(stage.server.port) as tap, tapped_bucket(tap, version) as bucket:
        upload_file(bucket, version, make_file(folder, 3 * PART), part_size=PART)
    sent = b"".join(bytes(each) for each in tap.heard)
    assert sent.count(b" HTTP/1.1\r\n") >= 6
    assert SECRET.encode() not in sent
    places = [line for line in sent.split(b"\r\n") if TOKEN.encode() in line]
    assert len(places) >= 6
    assert {line.lower() for line in places} == {f"x-oss-security-token: {TOKEN}".lower().encode()}
    named = [line for line in sent.split(b"\r\n") if KEY_ID.encode() in line.lower()]
    assert all(line.lower().startswith((b"authorization: ", b"x-oss-sec")) for line in named)


def tapped_bucket(tap: Tap, version: SignatureVersion) -> Bucket:
    return Bucket(
        "examplebucket",
        endpoint=tap.endpoint,
        region="cn-hangzhou",
        credentials=Credentials(KEY_ID, SECRET, TOKEN),
        signature_version=version,
        retry=QUICK,
    )


# The harness itself: each of these bugs must be seen.


def never_retried(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retry, "worth_retrying", lambda _: False)


def always_retried(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retry, "worth_retrying", lambda error: isinstance(error, ServerError))


def retried_without_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RetryPolicy, "_should_stop", lambda *_: False)


def digests_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(operations, "_check_digests", lambda *_: None)


def nothing_aborted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Finisher, "abandon", lambda *_: UploadFate.ABORTED)


def lost_complete_not_looked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(finishing, "_may_have_been_made", lambda _: False)
    patch.setattr(Finisher, "found", lambda *_: None)


def circles_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(operations, "pairwise", lambda _: ())


def requests_logged(patch: pytest.MonkeyPatch) -> None:
    send = RequestsTransport.send

    def loud(self: RequestsTransport, request: WireRequest, cancellation: Cancellation) -> Answer:
        logging.getLogger("resumable").debug("sending %r", request.headers)
        return send(self, request, cancellation)

    patch.setattr(RequestsTransport, "send", loud)


def redirects_followed(patch: pytest.MonkeyPatch) -> None:
    send = RequestsTransport.send

    def led_astray(
        self: RequestsTransport, request: WireRequest, cancellation: Cancellation
    ) -> Answer:
        answer = send(self, request, cancellation)
        if 300 <= answer.status < 400:
            url = urlsplit(answer.headers["location"])
            socket.create_connection((str(url.hostname), int(url.port or 0))).close()
        return answer

    patch.setattr(RequestsTransport, "send", led_astray)


def files_left_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CheckpointFile, "delete", lambda _: None)


@pytest.mark.parametrize(
    ("bug", "name", "problem"),
    [
        (never_retried, "UploadPart 500-xml middle once", "ended with ServerError, not done"),
        (always_retried, "UploadPart 403-xml first for ever", "4 times UploadPart, not 1"),
        (retried_without_end, "UploadPart before-closed last for ever", "stuck"),
        (digests_not_compared, "UploadPart wrong-crc middle for ever", "ended with done"),
        (nothing_aborted, "UploadPart no-such-upload last once", "uploads are left that nobody"),
        (
            lost_complete_not_looked_for,
            "CompleteMultipartUpload answer-lost-reset first for ever",
            "ended with ConnectionFailedError, not done",
        ),
        (circles_not_noticed, "ListParts list-duplicate first for ever", "ended with done"),
        (requests_logged, "UploadPart 500-bare first once", "secrets were told"),
        (redirects_followed, "HeadObject redirect-307 first once", "connections to another host"),
        (files_left_behind, "CompleteMultipartUpload 500-xml first once", "left beside the file"),
    ],
)
def test_harness_sees(
    played: Callable[[Cell], Story],
    monkeypatch: pytest.MonkeyPatch,
    told_secrets: list[str],
    bug: Callable[[pytest.MonkeyPatch], None],
    name: str,
    problem: str,
) -> None:
    cell = next(cell for cell in _CELLS if str(cell) == name)
    cell = replace(cell, outcome=replace(cell.outcome, seconds=3.0))
    bug(monkeypatch)
    problems = played(cell).problems
    assert any(problem in each for each in problems), problems
    # A run that was stuck must not meet the faults of the cells to come.
    assert not any(thread.name == "cell" for thread in threading.enumerate())
    assert bool(told_secrets) == (bug is requests_logged)
    told_secrets.clear()
