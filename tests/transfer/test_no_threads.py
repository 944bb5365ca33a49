"""An upload on a system that gives no more threads."""

import threading
from pathlib import Path

import pytest

from resumable import Bucket
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
