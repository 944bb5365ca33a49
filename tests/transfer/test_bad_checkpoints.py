"""Checkpoints that cannot be used: from the future, torn, foreign, forged."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from resumable import Bucket, CheckpointError, read_checkpoint
from resumable.core.checkpoint import FIRST_BYTES, encode
from resumable.server import LocalServer
from tests.support import PART, make_file

from .steps import (
    SIZE,
    beside,
    checkpoint_path,
    interrupted,
    load,
    stopped_before_complete,
    upload,
)


def test_checkpoint_from_the_future_is_refused_and_left_alone(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    content = json.loads(checkpoint_path(file).read_bytes())
    future = json.dumps({**content, "version": 3, "news": True}).encode()
    checkpoint_path(file).write_bytes(future)
    with pytest.raises(CheckpointError, match="newer release"):
        upload(bucket, file)
    assert checkpoint_path(file).read_bytes() == future
    assert beside(file) == {"example.bin.cp"}
    assert len(server.log) == 0


BEGINS = FIRST_BYTES


def torn(checkpoint: bytes) -> bytes:
    return checkpoint[: len(checkpoint) // 2]


def forged(checkpoint: bytes) -> bytes:
    return checkpoint.replace(b'"size":102400', b'"size":102399', 1)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(torn, id="torn"),
        pytest.param(forged, id="one-digit-changed"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda checkpoint: bytes(len(checkpoint)), id="zeros"),
        pytest.param(lambda _: BEGINS + b"null}", id="json-null"),
        pytest.param(lambda _: BEGINS + b"[" * 100_000, id="deep"),
        pytest.param(lambda _: BEGINS + b'1,"version":' + b"9" * 5000 + b"}", id="endless-number"),
        pytest.param(lambda _: BEGINS + b" " * 5_000_000, id="huge"),
        pytest.param(lambda _: BEGINS + b"\xff\xfe", id="no-text"),
        pytest.param(lambda _: BEGINS[:5], id="begun"),
        pytest.param(lambda checkpoint: bytes(512) + checkpoint[512:], id="first-sector-lost"),
    ],
)
def test_unreadable_checkpoint_is_set_aside_and_the_upload_begins_anew(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    spoilt: Callable[[bytes], bytes],
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    bad = spoilt(checkpoint_path(file).read_bytes())
    checkpoint_path(file).write_bytes(bad)
    assert upload(bucket, file).bytes_sent == SIZE
    assert (folder / "example.bin.cp.bad").read_bytes() == bad
    assert beside(file) == {"example.bin.cp.bad"}
    assert "example.bin.cp.bad" in caplog.text


def test_earlier_bad_checkpoint_is_not_overwritten(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    for content in (BEGINS + b"1}", BEGINS + b"2}"):
        checkpoint_path(file).write_bytes(content)
        upload(bucket, file)
    assert {path.read_bytes() for path in folder.glob("*.bad*")} == {
        BEGINS + b"1}",
        BEGINS + b"2}",
    }


def test_hostile_checkpoint_cannot_make_a_wrong_object(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    stopped_before_complete(server, bucket, file)
    true = load(checkpoint_path(file))
    lies = [replace(part, crc64=1) for part in true.parts]
    hostile = encode(replace(true, parts=tuple(lies), part_size=2 * PART))
    checkpoint_path(file).write_bytes(hostile)
    upload(bucket, file)
    assert beside(file) == set()


def test_checkpoint_is_left_alone_where_what_reads_it_cannot_be_loaded(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    interrupted(server, bucket, file, parts=2)
    before = checkpoint_path(file).read_bytes()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "resumable.core.checkpoint_reading", None)
        with pytest.raises(CheckpointError, match="cannot be loaded"):
            upload(bucket, file)
        with pytest.raises(CheckpointError, match="cannot be loaded"):
            read_checkpoint(file)
    assert checkpoint_path(file).read_bytes() == before
    assert upload(bucket, file).parts_reused == 2
