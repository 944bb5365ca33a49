"""An upload on a system that gives no more threads."""

import threading
from pathlib import Path

import pytest

from resumable import AccessDeniedError, Bucket
from resumable.server import LocalServer
from tests.support import content, make_file

from .steps import KEY, SIZE, beside, open_uploads, upload


def give_threads(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the transfer start so many threads, and no more."""
    start, left = threading.Thread.start, iter(range(count))

    def limited(thread: threading.Thread) -> None:
        ours = thread.name.startswith("resumable-") or thread.name == "checkpoint"
        if (ours or isinstance(thread, threading.Timer)) and next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


@pytest.mark.parametrize("enable_checkpoint", [True, False])
@pytest.mark.parametrize("count", range(8))
def test_upload_does_with_as_many_threads_as_there_are(
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    *,
    enable_checkpoint: bool,
) -> None:
    file = make_file(folder, SIZE)
    give_threads(count, monkeypatch)
    upload(bucket, file, thread_num=2, enable_checkpoint=enable_checkpoint)
    assert content(bucket, KEY) == file.read_bytes()
    assert open_uploads(bucket) == []
    assert beside(file) == set()


@pytest.mark.parametrize("count", range(4))
def test_upload_that_fails_where_no_thread_can_be_had_is_aborted(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    file = make_file(folder, SIZE)
    refused = {"status": 403, "code": "AccessDenied"}
    server.faults.add({"operation": "UploadPart", "effect": refused, "times": 100})
    give_threads(count, monkeypatch)
    with pytest.raises(AccessDeniedError):
        upload(bucket, file, thread_num=2, enable_checkpoint=False)
    assert open_uploads(bucket) == []
