"""Exceptions that are no errors of ours, wherever they come from: each ends the run as it is."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    Credentials,
    CredentialsError,
    Progress,
    upload_file,
)
from resumable.server import LocalServer
from tests.support import CREDENTIALS, PART, QUICK, make_file

from .steps import (
    KEY,
    SIZE,
    beside,
    checkpoint_path,
    fault,
    gate,
    load,
    meanwhile,
    open_uploads,
    press_ctrl_c,
    recorded,
    refused,
    upload,
)

EXCEPTIONS = [SystemExit("no key"), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()]


class Provider:
    """Gives the access key so often, and then raises."""

    def __init__(self, error: BaseException, times: int) -> None:
        self.left = times
        self.error = error

    def __call__(self) -> Credentials:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return CREDENTIALS


def bucket_of(server: LocalServer, provider: Callable[[], Credentials]) -> Bucket:
    return Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=provider,
        retry=QUICK,
    )


def ends(call: Callable[[], object], error: BaseException) -> list[str]:
    """The notes on the exception, which must come soon and be the very one that was raised."""
    began = time.monotonic()
    with pytest.raises(type(error)) as raised:
        call()
    assert raised.value is error
    assert time.monotonic() - began < 3
    return list(getattr(error, "__notes__", []))


@pytest.fixture(autouse=True)
def no_notes_from_before() -> None:
    for error in EXCEPTIONS:
        if hasattr(error, "__notes__"):
            del error.__notes__


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("times", [0, 1, 2, 4], ids=["first", "initiated", "a-part", "parts"])
def test_provider_that_raises_it_leaves_nothing(
    server: LocalServer, bucket: Bucket, folder: Path, error: BaseException, times: int
) -> None:
    """The upload is aborted with the access key that was good a moment ago."""
    file = make_file(folder, SIZE)
    with bucket_of(server, Provider(error, times)) as failing:
        notes = ends(lambda: upload(failing, file, enable_checkpoint=False), error)
    assert open_uploads(bucket) == []
    assert notes == (["Nothing is kept: the upload was aborted"] if times else [])


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("times", [1, 2, 4], ids=["initiated", "a-part", "parts"])
def test_provider_that_raises_it_after_a_key_that_is_refused_leaves_an_upload_that_is_named(
    server: LocalServer,
    bucket: Bucket,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    times: int,
) -> None:
    file = make_file(folder, SIZE)
    expired = refused(403, "SecurityTokenExpired")
    server.faults.add(fault("AbortMultipartUpload", expired, times=None))
    with bucket_of(server, Provider(error, times)) as failing:
        notes = ends(lambda: upload(failing, file, enable_checkpoint=False), error)
    (upload_id,) = open_uploads(bucket)
    assert any(upload_id in note and "abort_upload" in note for note in notes)
    assert f"upload {upload_id} of oss://examplebucket/{KEY} is left" in caplog.text


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("times", [1, 2, 4])
def test_provider_that_raises_it_leaves_a_checkpoint_to_resume(
    server: LocalServer, bucket: Bucket, folder: Path, error: BaseException, times: int
) -> None:
    file = make_file(folder, SIZE)
    with bucket_of(server, Provider(error, times)) as failing:
        notes = ends(lambda: upload(failing, file), error)
    (upload_id,) = open_uploads(bucket)
    assert load(checkpoint_path(file)).upload_id == upload_id
    count = len(recorded(file))
    assert any(f"{count} of 5 parts are at the server and recorded" in note for note in notes)
    assert upload(bucket, file).parts_reused == count
    assert open_uploads(bucket) == []


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("enable_checkpoint", [True, False])
def test_progress_callback_that_raises_it_ends_the_run(
    bucket: Bucket, folder: Path, error: BaseException, enable_checkpoint: bool
) -> None:
    file = make_file(folder, SIZE)

    def raising(progress: Progress) -> None:
        if progress.bytes_done:
            raise error

    def call() -> object:
        return upload(bucket, file, progress=raising, enable_checkpoint=enable_checkpoint)

    notes = ends(call, error)
    if enable_checkpoint:
        assert any("make the same call again" in note for note in notes)
        upload(bucket, file)
    else:
        assert notes == ["Nothing is kept: the upload was aborted"]
    assert open_uploads(bucket) == []
    assert beside(file) == set()


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
def test_small_file_of_which_nothing_was_sent_has_no_note(
    server: LocalServer, folder: Path, error: BaseException
) -> None:
    file = make_file(folder, PART)
    with bucket_of(server, Provider(error, 0)) as failing:
        ends(lambda: upload_file(failing, KEY, file), error)
    assert len(server.log) == 0


def test_ctrl_c_while_an_upload_is_aborted_ends_it_and_names_the_upload(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", refused(), part_number=3))
    server.faults.add(fault("AbortMultipartUpload", gate("abort"), times=None))
    pressed: list[float] = []

    def act() -> None:
        server.faults.wait_reached("abort")
        pressed.append(press_ctrl_c())

    with meanwhile(act), pytest.raises(KeyboardInterrupt) as raised:
        upload(bucket, file, enable_checkpoint=False)
    assert time.monotonic() - pressed[0] < 1.5
    assert isinstance(raised.value.__context__, AccessDeniedError)
    (left,) = open_uploads(bucket)
    server.faults.clear()
    assert any(left in note for note in raised.value.__notes__)
    assert f"upload {left} of oss://examplebucket/{KEY} is left on the server" in caplog.text


def test_ctrl_c_while_an_old_upload_is_aborted_keeps_its_checkpoint(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, SIZE)
    server.faults.add(fault("UploadPart", refused(), part_number=3))
    with pytest.raises(AccessDeniedError):
        upload(bucket, file)
    server.faults.add(fault("AbortMultipartUpload", gate("abort"), times=None))

    def act() -> None:
        server.faults.wait_reached("abort")
        press_ctrl_c()

    with meanwhile(act), pytest.raises(KeyboardInterrupt):
        upload(bucket, file, metadata={"a": "b"})
    assert checkpoint_path(file).exists()
    server.faults.clear()
    upload(bucket, file, metadata={"a": "b"})
    assert open_uploads(bucket) == []


def test_provider_that_uses_its_own_bucket_is_an_error_and_no_deadlock(
    server: LocalServer, folder: Path
) -> None:
    buckets: list[Bucket] = []

    def circular() -> Credentials:
        buckets[0].head_object("where the keys are")
        return CREDENTIALS

    with bucket_of(server, circular) as bucket:
        buckets.append(bucket)
        began = time.monotonic()
        with pytest.raises(CredentialsError) as raised:
            upload(bucket, make_file(folder, SIZE))
        assert time.monotonic() - began < 3
    assert "Bucket" in raised.value.advice
    assert len(server.log) == 0
