"""What is no bucket, callback or option is refused with what was expected, before all else."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oss2
import pytest

import resumable
from resumable import Bucket, abort_checkpoint, abort_upload, upload_file
from resumable.core.arguments import OF_OTHER_LIBRARIES
from resumable.server import LocalServer
from tests.support import make_file

OF_OTHERS = oss2.Bucket(oss2.Auth("id", "secret"), "http://127.0.0.1:1", "examplebucket")
NO_BUCKETS: dict[str, object] = {
    "its name": "examplebucket",
    "None": None,
    "of oss2": OF_OTHERS,
    "the class": Bucket,
    "a client": object(),
}
CALLS: dict[str, Callable[[Any, str], object]] = {
    "upload_file": lambda bucket, file: upload_file(bucket, "k", file),
    "abort_upload": lambda bucket, _: abort_upload(bucket, "k", "U"),
    "abort_checkpoint": abort_checkpoint,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("given", NO_BUCKETS.values(), ids=NO_BUCKETS)
def test_what_is_no_bucket_is_refused(
    folder: Path, given: object, call: Callable[[Any, str], object]
) -> None:
    file = make_file(folder, 10)
    with pytest.raises(TypeError) as refused:
        call(given, str(file))
    assert "resumable.Bucket" in str(refused.value)
    assert type(given).__qualname__ in str(refused.value)
    assert [path.name for path in folder.iterdir()] == [file.name]


MISSPELT = {
    "thread_nmu": "thread_num",
    "thread_number": "thread_num",
    "num_threads": "thread_num",
    "partsize": "part_size",
    "enable_checkpoints": "enable_checkpoint",
    "progress_callback": "progress",
    "metdata": "metadata",
    "store": "checkpoint_path",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_option_that_there_is_not_is_refused_with_the_one_that_was_meant(
    bucket: Bucket, server: LocalServer, folder: Path, name: str, meant: str
) -> None:
    file = make_file(folder, 10)
    with pytest.raises(TypeError) as refused:
        upload_file(bucket, "k", str(file), **{name: 1})  # type: ignore[arg-type]
    assert repr(name) in str(refused.value)
    assert repr(meant) in str(refused.value)
    assert not server.log


def test_option_like_no_other_is_refused_without_a_guess(bucket: Bucket, folder: Path) -> None:
    with pytest.raises(TypeError) as refused:
        upload_file(bucket, "k", str(make_file(folder, 10)), zzz=1)  # type: ignore[call-arg]
    assert "did you mean" not in str(refused.value)


WRONG: dict[str, object] = {
    "enable_checkpoint": "no",
    "sequential": 1,
    "content_md5": None,
    "progress": "bar",
    "cancel": True,
}


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_argument_of_a_wrong_type_is_refused(
    bucket: Bucket, server: LocalServer, folder: Path, name: str, value: object
) -> None:
    with pytest.raises(TypeError) as refused:
        upload_file(bucket, "k", str(make_file(folder, 10)), **{name: value})  # type: ignore[arg-type]
    assert name in str(refused.value)
    assert type(value).__name__ in str(refused.value)
    assert not server.log


def test_event_of_another_module_can_cancel(bucket: Bucket, folder: Path) -> None:
    class Event:
        def __init__(self) -> None:
            self.is_set, self.wait = threading.Event().is_set, threading.Event().wait

    cancel: Any = Event()
    assert upload_file(bucket, "k", str(make_file(folder, 10)), cancel=cancel).size == 10


def test_policy_of_another_type_is_refused() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="RetryPolicy"):
        Bucket("examplebucket", endpoint="http://127.0.0.1:1", retry=wrong)


def test_names_of_other_libraries_lead_to_names_that_there_are() -> None:
    there = {*(upload_file.__kwdefaults__ or ()), *resumable.PutOptions.__annotations__}
    assert set(OF_OTHER_LIBRARIES.values()) <= there
    assert not set(OF_OTHER_LIBRARIES) & there
