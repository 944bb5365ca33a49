"""Once it was written durably, a checkpoint that cannot be kept costs a warning and no more."""

import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resumable import AccessDeniedError, Bucket
from resumable.server import LocalServer
from tests.support import content, make_file, parts_sent

from .steps import (
    KEY,
    SIZE,
    beside,
    fault,
    gate,
    open_uploads,
    recorded,
    refused,
    under_way,
    upload,
)

ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV]
WRITING = ["open", "write", "fsync", "replace"]


class FailingDisk:
    """A disk on which calls fail from some moment on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: list[str], number: int) -> None:
        self.fails = False
        for name in calls:
            monkeypatch.setattr(os, name, self._around(getattr(os, name), number))

    @staticmethod
    def _path_of(target: int | str | os.PathLike[str]) -> str:
        if isinstance(target, int):
            target = os.readlink(f"/proc/self/fd/{target}")
        return os.fsdecode(target)

    def _around(self, real: Callable[..., Any], number: int) -> Callable[..., Any]:
        def call(target: Any, *rest: Any, **named: Any) -> Any:  # noqa: ANN401
            if self.fails and ".cp" in self._path_of(target):
                raise OSError(number, os.strerror(number))
            return real(target, *rest, **named)

        return call


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.message for one in caplog.records if one.levelno >= logging.WARNING]


def uploaded_while(
    server: LocalServer, bucket: Bucket, file: Path, strike: Callable[[], object]
) -> str:
    """The id of an upload that ends well although something strikes once it was recorded."""
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=1))
    with under_way(server, lambda: upload(bucket, file)) as run:
        server.faults.wait_reached("held")
        [upload_id] = open_uploads(bucket)
        while recorded(file) == []:  # until part 1 is recorded
            continue
        strike()
        server.faults.release("held")
        run.result(timeout=20)
    assert content(bucket, KEY) == file.read_bytes()
    assert open_uploads(bucket) == []
    return upload_id


needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="the files of descriptors are told by /proc"
)


@needs_proc
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", WRITING)
def test_disk_that_fails_costs_one_warning_that_names_the_upload(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    number: int,
    call: str,
) -> None:
    file = make_file(folder, SIZE)
    disk = FailingDisk(monkeypatch, [call], number)
    upload_id = uploaded_while(server, bucket, file, lambda: setattr(disk, "fails", True))
    assert [upload_id in told for told in warnings_in(caplog)] == [True]
    assert beside(file) == set()


@needs_proc
def test_disk_that_turns_read_only_leaves_what_the_next_run_clears_away(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = make_file(folder, SIZE)
    with monkeypatch.context() as patched:
        disk = FailingDisk(patched, [*WRITING, "unlink"], errno.EROFS)
        upload_id = uploaded_while(server, bucket, file, lambda: setattr(disk, "fails", True))
    assert [upload_id in told for told in warnings_in(caplog)].count(True) == 1
    assert "example.bin.cp" in beside(file)
    server.log.clear()
    again = upload(bucket, file)  # the object is recognised as the one that was made
    assert again.bytes_sent == 0
    assert parts_sent(server.log) == []
    assert beside(file) == set()


def test_folder_that_is_removed_costs_one_warning_that_names_the_upload(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, elsewhere = make_file(folder, SIZE), folder / "elsewhere"
    elsewhere.mkdir()
    server.faults.add(fault("UploadPart", gate("held"), skip=1, times=1))

    def call() -> None:
        upload(bucket, file, checkpoint_path=elsewhere / "x.cp")

    with under_way(server, call) as run:
        server.faults.wait_reached("held")
        [upload_id] = open_uploads(bucket)
        while elsewhere.exists():  # a state that is written just now may be in the way
            shutil.rmtree(elsewhere, ignore_errors=True)
        server.faults.release("held")
        run.result(timeout=20)
    assert [upload_id in told for told in warnings_in(caplog)] == [True]
    assert [path.name for path in folder.iterdir()] == [file.name]


@needs_proc
def test_upload_that_fails_after_its_checkpoint_did_says_what_is_recorded(
    server: LocalServer, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", refused(), part_number=4, times=None))
    with monkeypatch.context() as patched:
        disk = FailingDisk(patched, ["write"], errno.ENOSPC)
        with pytest.raises(AccessDeniedError) as raised:
            uploaded_while(server, bucket, file, lambda: setattr(disk, "fails", True))
    assert "3 of 5 parts are at the server, 1 of them recorded" in raised.value.kept
    assert recorded(file) == [1]
    server.faults.clear()
    server.log.clear()
    assert upload(bucket, file).parts_reused == 3
    assert parts_sent(server.log) == [4, 5]
