"""Answers as OSS, and what stands between it and us, give them: each read as declared.

The files under fixtures/wire hold a head and a body. Their lines end with LF; on the wire those of
the head end with CRLF, and a Content-Length is added where there is none.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import resumable
from resumable import Bucket, UploadedPart
from tests.oss.conftest import Connect, Serve
from tests.oss.rawserver import answering

FOLDER = Path(__file__).parents[2] / "fixtures" / "wire"
OUTCOMES: dict[str, dict[str, Any]] = json.loads((FOLDER / "outcomes.json").read_text())
DATA = b"123456789"

CALLS: dict[str, Callable[[Bucket], object]] = {
    "init_multipart_upload": lambda bucket: bucket.init_multipart_upload("k"),
    "upload_part": lambda bucket: bucket.upload_part("k", "U", 7, DATA),
    "list_parts": lambda bucket: bucket.list_parts("k", "U"),
    "complete_multipart_upload": lambda bucket: bucket.complete_multipart_upload(
        "k", "U", [UploadedPart(1, 9, "E", 0)]
    ),
    "abort_multipart_upload": lambda bucket: bucket.abort_multipart_upload("k", "U"),
    "put_object": lambda bucket: bucket.put_object("k", DATA),
    "head_object": lambda bucket: bucket.head_object("k"),
    "delete_object": lambda bucket: bucket.delete_object("k"),
}


def on_the_wire(name: str) -> bytes:
    head, _, body = (FOLDER / name).read_bytes().partition(b"\n\n")
    if b"Content-Length" not in head:
        head += b"\nContent-Length: %d" % len(body)
    return head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body


def told(outcome: object, names: Iterable[str]) -> dict[str, object]:
    """The attributes of these names; `numbers` are the part numbers of a page."""
    pages = {"numbers": [part.number for part in getattr(outcome, "parts", ())]}
    return {name: pages[name] if name in pages else getattr(outcome, name) for name in names}


@pytest.mark.parametrize("name", [name for name in OUTCOMES if "raises" not in OUTCOMES[name]])
def test_success_is_read_as_declared(serve: Serve, connect: Connect, name: str) -> None:
    expected = OUTCOMES[name]
    result = CALLS[expected["call"]](connect(serve(answering(on_the_wire(name)))))
    assert told(result, expected["attributes"]) == expected["attributes"]


@pytest.mark.parametrize("name", [name for name in OUTCOMES if "raises" in OUTCOMES[name]])
def test_refusal_is_read_as_declared(serve: Serve, connect: Connect, name: str) -> None:
    expected = OUTCOMES[name]
    bucket = connect(serve(answering(on_the_wire(name))))
    with pytest.raises(resumable.ResumableError) as refused:
        CALLS[expected["call"]](bucket)
    assert type(refused.value).__name__ == expected["raises"]
    assert told(refused.value, expected["attributes"]) == expected["attributes"]


def test_every_sample_is_declared_and_there() -> None:
    assert {path.name for path in FOLDER.glob("*.http")} == set(OUTCOMES)


def test_every_call_has_a_sample() -> None:
    assert {expected["call"] for expected in OUTCOMES.values()} == set(CALLS)
