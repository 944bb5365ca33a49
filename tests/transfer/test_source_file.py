"""A source file by itself: taking note of its state while somebody writes to it."""

import os
from pathlib import Path

import pytest

from resumable.transfer.files import SourceFile
from tests.support import make_file


def test_file_that_is_written_to_all_the_time_is_taken_as_it_was_last_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for it to settle has an end; that it changed since is noticed later."""
    file = make_file(folder, 1000)
    stat, seen = os.stat, list[int]()

    def written_to(path: str) -> os.stat_result:
        os.utime(file)
        seen.append(stat(path).st_mtime_ns)
        return stat(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", written_to)
        source = SourceFile(str(file))
    assert source.identity.mtime_ns == seen[-1]
    assert 2 < len(seen) < 20
    assert not source.was_touched()
    os.utime(file, ns=(0, seen[-1] + 1))
    assert source.was_touched()
