"""An upload on a system that gives no more threads."""

import threading
from pathlib import Path

import pytest

from resumable import Bucket, LocalFileError, UploadResult
from tests.support import make_file

from .steps import SIZE, beside, open_uploads, upload


def give_threads(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the transfer start so many threads, and no more."""
    start, left = threading.Thread.start, iter(range(count))

    def limited(thread: threading.Thread) -> None:
        ours = thread.name.startswith("resumable-") or thread.name == "checkpoint"
        if (ours or isinstance(thread, threading.Timer)) and next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


def outcome(bucket: Bucket, file: Path, *, enable_checkpoint: bool) -> UploadResult | None:
    try:
        return upload(bucket, file, thread_num=2, enable_checkpoint=enable_checkpoint)
    except LocalFileError:
        return None


@pytest.mark.parametrize("enable_checkpoint", [True, False])
@pytest.mark.parametrize("count", range(8))
def test_upload_ends_well_or_leaves_nothing_that_is_not_told(
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    *,
    enable_checkpoint: bool,
) -> None:
    file = make_file(folder, SIZE)
    with monkeypatch.context() as meanwhile:
        give_threads(count, meanwhile)
        result = outcome(bucket, file, enable_checkpoint=enable_checkpoint)
    left = open_uploads(bucket)
    if result is None and enable_checkpoint:
        assert upload(bucket, file).size == SIZE
    elif result is None:
        assert left == []
    assert open_uploads(bucket) == []
    assert beside(file) == set()
