"""What is said of an upload that ended early: one table of its states."""

from dataclasses import replace
from itertools import product

import pytest

from resumable.core.outcome import ObjectFate, Remains, UploadFate, kept_sentence

AGAIN = "make the same call again to resume"
OPEN = Remains(UploadFate.OPEN, "U1", 5)
RECORDED = OPEN.saved("/f.cp", 3)
FINDS = "it finds out whether the object is there already"
HEAD = "hether the object is there, a HEAD tells"

ROWS = {
    "nothing was begun": (Remains(), ObjectFate.ABSENT, ""),
    "PutObject was refused": (Remains(), ObjectFate.ABSENT, ""),
    "PutObject without an answer": (Remains(), ObjectFate.POSSIBLE, f"W{HEAD}"),
    "named, not listed yet": (
        replace(OPEN, named=True), ObjectFate.ABSENT, "Upload U1 was not touched",
    ),
    "named, listed": (
        replace(OPEN, named=True).counted(2, 0), ObjectFate.ABSENT,
        f"2 of 5 parts are at the server in upload U1; {AGAIN}",
    ),
    "begun without a checkpoint": (
        OPEN.counted(2, 0), ObjectFate.ABSENT, "2 of 5 parts are at the server in upload U1",
    ),
    "recorded, the server was not asked": (
        RECORDED, ObjectFate.ABSENT, f"3 of 5 parts are recorded in '/f.cp'; {AGAIN}",
    ),
    "recorded and acknowledged": (
        RECORDED.counted(3, 3), ObjectFate.ABSENT,
        f"3 of 5 parts are at the server and recorded in '/f.cp'; {AGAIN}",
    ),
    "acknowledged, and not all recorded": (
        RECORDED.counted(5, 3), ObjectFate.ABSENT,
        f"5 of 5 parts are at the server, 3 of them recorded in '/f.cp'; {AGAIN}",
    ),
    "recorded, and not all there": (
        RECORDED.counted(2, 3), ObjectFate.ABSENT,
        f"2 of 5 parts are at the server, 2 of them recorded in '/f.cp'; {AGAIN}",
    ),
    "Complete without an answer": (
        RECORDED.counted(5, 5), ObjectFate.POSSIBLE,
        f"5 of 5 parts are at the server and recorded in '/f.cp'; {AGAIN}; {FINDS}",
    ),
    "aborted": (
        OPEN.ended(UploadFate.ABORTED), ObjectFate.ABSENT,
        "Nothing is kept: the upload was aborted",
    ),
    "aborted after a Complete without an answer": (
        OPEN.ended(UploadFate.ABORTED), ObjectFate.POSSIBLE,
        "Nothing is kept: the upload was aborted",
    ),
    "gone before any Complete": (
        OPEN.ended(UploadFate.GONE), ObjectFate.ABSENT, "Upload U1 was gone already",
    ),
    "gone after a Complete": (
        OPEN.ended(UploadFate.GONE), ObjectFate.POSSIBLE, f"Upload U1 was gone already; w{HEAD}",
    ),
    "left": (
        OPEN.ended(UploadFate.LEFT), ObjectFate.ABSENT,
        ("Upload U1 could not be aborted; its parts are billed until it is aborted with "
        "abort_upload"),
    ),
    "made, and verified": (
        RECORDED.counted(5, 5), ObjectFate.VERIFIED, "The object is stored and verified",
    ),
    "made, and recorded": (
        RECORDED.counted(5, 5), ObjectFate.STORED,
        "The object is stored, but not verified; make the same call again to verify it",
    ),
    "made": (
        OPEN.counted(5, 5), ObjectFate.STORED, "The object is stored, but not verified; check it",
    ),
    "made, and wrong": (
        RECORDED.counted(5, 5), ObjectFate.WRONG, "The parts went into that object",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("remains", "made", "sentence"), ROWS.values(), ids=ROWS)
def test_state_is_said(remains: Remains, made: ObjectFate, sentence: str) -> None:
    assert kept_sentence(remains, made) == sentence


STATES = [
    Remains(fate, upload_id, 5, at_server, checkpoint, 3, named)
    for fate, upload_id, at_server, checkpoint, named in product(
        UploadFate, ["U1"], [None, 0, 4], ["", "/f.cp"], [False, True]
    )
]


@pytest.mark.parametrize("made", ObjectFate)
def test_no_state_is_said_to_be_more_than_it_is(made: ObjectFate) -> None:
    for remains in STATES:
        said = kept_sentence(remains, made)
        at_server = remains.fate is UploadFate.OPEN and remains.at_server is not None
        assert "at the server" not in said or at_server
        assert "recorded" not in said or remains.checkpoint
        assert "HEAD" not in said or made is ObjectFate.POSSIBLE
        assert "make the same call again" not in said or remains.fate is UploadFate.OPEN
        assert "aborted" not in said or remains.fate in (UploadFate.ABORTED, UploadFate.LEFT)
