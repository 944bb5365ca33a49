"""What is no bucket, callback or option is refused with what was expected, before all else."""

import inspect
import io
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oss2
import pytest

import resumable
from resumable import (
    Bucket,
    Callback,
    Credentials,
    FileSlice,
    InvalidArgumentError,
    ResumableError,
    RetryPolicy,
    abort_checkpoint,
    abort_upload,
    upload_file,
)
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


WRONG_NAMES: dict[str, tuple[Callable[[Bucket], object], str]] = {
    "Bucket": (lambda _: Bucket("examplebucket", endpiont="http://h"), "endpoint"),  # type: ignore[call-arg]
    "Bucket, as of oss2": (lambda _: Bucket("examplebucket", auth=("id", "s")), "credentials"),  # type: ignore[call-arg]
    "RetryPolicy": (lambda _: RetryPolicy(attemps=3), "attempts"),  # type: ignore[call-arg]
    "RetryPolicy, as of others": (lambda _: RetryPolicy(max_retries=3), "attempts"),  # type: ignore[call-arg]
    "Credentials": (lambda _: Credentials("id", acess_key_secret="s"), "access_key_secret"),  # type: ignore[call-arg]
    "Callback": (lambda _: Callback(urls="http://h", body="b"), "url"),  # type: ignore[call-arg]
    "FileSlice": (lambda _: FileSlice(io.BytesIO(), ofset=0), "offset"),  # type: ignore[call-arg]
    "put_object": (lambda b: b.put_object("k", b"", contentmd5=True), "content_md5"),  # type: ignore[call-arg]
    "get_object": (lambda b: b.get_object("k", byterange=(0, 1)), "byte_range"),  # type: ignore[call-arg]
    "upload_part": (lambda b: b.upload_part("k", "U", 1, b"", traffic_limits=1), "traffic_limit"),  # type: ignore[call-arg]
    "iter_parts": (lambda b: b.iter_parts("k", "U", requestpayer="x"), "request_payer"),  # type: ignore[call-arg]
    "abort_checkpoint": (lambda b: abort_checkpoint(b, "f", checkpointpath="c"), "checkpoint_path"),  # type: ignore[call-arg]
    "abort_upload": (lambda b: abort_upload(b, "k", "U", requestpayer="x"), "request_payer"),  # type: ignore[call-arg]
    "read_checkpoint": (
        lambda _: resumable.read_checkpoint("f", checkpointpath="c"), "checkpoint_path"  # type: ignore[call-arg]
    ),
    "endpoint_for": (lambda _: resumable.endpoint_for("cn-hangzhou", intern=True), "internal"),  # type: ignore[call-arg]
    "split_by_part_size": (lambda _: resumable.split_by_part_size(1, partsize=1), "part_size"),  # type: ignore[call-arg]
    "determine_part_size": (
        lambda _: resumable.determine_part_size(1, prefered_size=1), "preferred_size"  # type: ignore[call-arg]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "meant"), WRONG_NAMES.values(), ids=WRONG_NAMES)
def test_every_call_names_the_option_that_was_meant(
    bucket: Bucket, server: LocalServer, call: Callable[[Bucket], object], meant: str
) -> None:
    with pytest.raises(TypeError) as refused:
        call(bucket)
    assert f"did you mean {meant!r}?" in str(refused.value)
    assert not server.log


PUBLIC = [getattr(resumable, name) for name in resumable.__all__ if name != "__version__"]
METHODS = [
    method
    for name, method in inspect.getmembers(Bucket, inspect.isfunction)
    if not name.startswith("_") and name not in {"close", "under"}
]
CONSTRUCTORS: list[Callable[..., object]] = [
    Bucket.__init__,
    RetryPolicy.__init__,
    Credentials.__init__,
]
FUNCTIONS = [call for call in PUBLIC if inspect.isfunction(call)]


@pytest.mark.parametrize(
    "call", [*METHODS, *CONSTRUCTORS, *FUNCTIONS], ids=lambda call: call.__qualname__
)
def test_every_public_call_refuses_a_keyword_in_the_same_words(call: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="no option 'zzz'"):
        call(zzz=1)


WRONG_VALUES: dict[str, Callable[[Bucket], object]] = {
    "internal": lambda _: Bucket("examplebucket", region="cn-hangzhou", internal="no"),  # type: ignore[arg-type]
    "parts": lambda b: b.complete_multipart_upload("k", "U", 5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_value_of_a_wrong_type_is_refused_by_name(
    bucket: Bucket, server: LocalServer, name: str
) -> None:
    with pytest.raises(TypeError, match=f"^{name} is to be"):
        WRONG_VALUES[name](bucket)
    assert not server.log


WRONG_ARGUMENTS: dict[str, Callable[[Bucket], object]] = {
    "key of init_multipart_upload": lambda b: b.init_multipart_upload(5),  # type: ignore[arg-type]
    "key of put_object": lambda b: b.put_object(5, b""),  # type: ignore[arg-type]
    "attempts": lambda _: RetryPolicy(attempts=True),
}


@pytest.mark.parametrize("call", WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_value_that_cannot_be_one_is_an_invalid_argument(
    bucket: Bucket, server: LocalServer, call: Callable[[Bucket], object]
) -> None:
    with pytest.raises(InvalidArgumentError):
        call(bucket)
    assert not server.log


def test_call_through_the_check_shows_no_argument_in_a_traceback() -> None:
    secret = "CanarySecretDoNotShow"
    with pytest.raises(ResumableError) as refused:
        Bucket("examplebucket", endpoint="ftp://h", credentials=Credentials("id", secret))
    told = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    assert [frame.name for frame in told.stack][1:3] == ["checked", "__init__"]
    (checked,) = [frame for frame in told.stack if frame.name == "checked"]
    assert (checked.locals or {})["given"] == "[]"


def test_names_of_other_libraries_lead_to_names_that_there_are() -> None:
    calls: list[Callable[..., object]] = [upload_file, *CONSTRUCTORS]
    names = {name for call in calls for name in inspect.signature(call).parameters}
    there = {*names, *resumable.PutOptions.__annotations__} - {"options"}
    assert set(OF_OTHER_LIBRARIES.values()) <= there
    of_upload = {*inspect.signature(upload_file).parameters, *resumable.PutOptions.__annotations__}
    assert not set(OF_OTHER_LIBRARIES) & of_upload
