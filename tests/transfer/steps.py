"""The steps in which the stories of an upload are told.

Every upload in these tests goes through `upload`, so that every success is held to the same: the
object is the file, and what was sent and what was reused add up to its size.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, Unpack

import oss2
import pytest

from resumable import (
    AccessDeniedError,
    Bucket,
    ListedPart,
    NoSuchUploadError,
    Progress,
    PutOptions,
    ServerError,
    UploadResult,
    upload_file,
)
from resumable.core.checkpoint import Checkpoint, encode
from resumable.core.checkpoint_reading import decode
from resumable.core.source_check import SourceCheck
from resumable.server import LocalServer
from resumable.transfer.checkpoints import checkpoint_path_of
from tests.support import CREDENTIALS, KIB, PART

KEY = "exampledir/exampleobject.txt"
PARTS = 5
SIZE = 4 * PART + 10 * KIB
ALL = [1, 2, 3, 4, 5]

_T = TypeVar("_T")


class Options(PutOptions, total=False):
    """The options of `upload_file`."""

    key: str
    thread_num: int
    part_size: int | str | None
    enable_checkpoint: bool
    checkpoint_path: str | Path | None
    upload_id: str | None
    sequential: bool
    headers: Mapping[str, str] | None
    progress: Callable[[Progress], None] | None
    content_md5: bool
    source_check: SourceCheck
    cancel: threading.Event | None


def upload(bucket: Bucket, file: Path, **options: Unpack[Options]) -> UploadResult:
    """Upload in the smallest parts, with a checkpoint, and check what holds of every success."""
    defaults: Options = {"key": KEY, "part_size": PART, "enable_checkpoint": True}
    chosen: dict[str, Any] = {**defaults, **options}
    key = chosen.pop("key")
    result = upload_file(bucket, key, file, **chosen)
    data = file.read_bytes()
    with bucket.get_object(key) as answer:
        assert b"".join(answer.blocks()) == data
    assert result.crc64 == int(answer.headers["x-oss-hash-crc64ecma"])
    assert result.size == len(data)
    assert result.bytes_sent + result.bytes_reused == result.size
    assert (result.parts_reused == 0) == (result.bytes_reused == 0)
    return result


def interrupted(
    server: LocalServer, bucket: Bucket, file: Path, *, parts: int, **options: Unpack[Options]
) -> str:
    """Let a run end after so many parts; give the upload id that its checkpoint holds."""
    server.faults.add(fault("UploadPart", refused(), skip=parts, times=None))
    with pytest.raises(AccessDeniedError):
        upload(bucket, file, **options)
    server.faults.clear()
    server.log.clear()
    return load(Path(options.get("checkpoint_path") or checkpoint_path(file))).upload_id


def stopped_before_complete(
    server: LocalServer, bucket: Bucket, file: Path, **options: Unpack[Options]
) -> str:
    """Let a run end with all parts at the server and no Complete; give the upload id."""
    server.faults.add(fault("CompleteMultipartUpload", refused(), times=None))
    with pytest.raises(AccessDeniedError):
        upload(bucket, file, **options)
    server.faults.clear()
    server.log.clear()
    return load(checkpoint_path(file)).upload_id


def fault(operation: str, effect: Mapping[str, object], **rule: int | None) -> dict[str, object]:
    """A rule for the server's faults."""
    return {"operation": operation, "effect": effect, **rule}


def refused(status: int = 403, code: str = "AccessDenied") -> dict[str, object]:
    """The effect of a refusal; a 403 is one that is not tried again."""
    return {"status": status, "code": code}


def gate(name: str, at: str = "before") -> dict[str, object]:
    """The effect of holding a request."""
    return {"gate": name, "at": at}


def hold(server: LocalServer, operation: str, *, skip: int = 0) -> None:
    """Hold such requests at the gate `held`. When they are let go nothing comes of them."""
    server.faults.add(fault(operation, gate("held"), skip=skip, times=None))
    server.faults.add(fault(operation, refused(), skip=skip, times=None))


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Do something in another thread while this one is in the call under test."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(act)
        yield
        done.result()


def press_ctrl_c() -> float:
    """Send this process the signal of Ctrl-C; when that was."""
    pressed = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
    return pressed


@contextmanager
def under_way(server: LocalServer, call: Callable[[], _T]) -> Iterator[Future[_T]]:
    """Make a call in another thread meanwhile; in the end nobody is kept waiting by a fault."""
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(call)
        finally:
            server.faults.clear()


def checkpoint_path(file: Path) -> Path:
    """Where the checkpoint of a file is kept."""
    return Path(checkpoint_path_of(str(file), None))


def beside(file: Path) -> set[str]:
    """The names of what lies in the folder of a file beside it."""
    return {path.name for path in file.parent.iterdir()} - {file.name}


def load(path: Path) -> Checkpoint:
    """Read a checkpoint."""
    return decode(path.read_bytes())


def recorded(file: Path) -> list[int]:
    """The numbers of the parts that the checkpoint of a file records."""
    return [part.number for part in load(checkpoint_path(file)).parts]


def rewrite(file: Path, **changes: Any) -> None:  # noqa: ANN401 - of several types
    """Change fields of the checkpoint of a file."""
    path = checkpoint_path(file)
    path.write_bytes(encode(replace(load(path), **changes)))


def is_known(bucket: Bucket, upload_id: str) -> bool:
    """Whether the server still has an upload."""
    try:
        bucket.list_parts(KEY, upload_id)
    except NoSuchUploadError:
        return False
    return True


def open_uploads(bucket: Bucket) -> list[str]:
    """The ids of all uploads that the server has, begun and neither completed nor aborted."""
    try:
        return [found.upload_id for found in bucket.iter_multipart_uploads()]
    except ServerError as error:  # the local server makes a bucket with its first object
        if error.code != "NoSuchBucket":
            raise
        return []


def witness(bucket: Bucket) -> oss2.Bucket:
    """The same bucket through another client."""
    auth = oss2.Auth(CREDENTIALS.access_key_id, CREDENTIALS.access_key_secret)
    return oss2.Bucket(auth, bucket.endpoint, bucket.name)


def acl_of(bucket: Bucket, key: str = KEY) -> str:
    """The ACL of an object."""
    return str(witness(bucket).get_object_acl(key).acl)


def tags_of(bucket: Bucket, key: str = KEY) -> dict[str, str]:
    """The tags of an object."""
    return dict(witness(bucket).get_object_tagging(key).tag_set.tagging_rule)


def exists(bucket: Bucket, key: str = KEY) -> bool:
    """Whether there is an object."""
    try:
        bucket.head_object(key)
    except ServerError as error:
        if error.code not in ("NoSuchKey", "NoSuchBucket"):
            raise
        return False
    return True


def list_parts_body(parts: Iterable[ListedPart]) -> str:
    """The answer to ListParts that lists these parts."""
    rows = "".join(
        f'<Part><PartNumber>{part.number}</PartNumber><ETag>"{part.etag}"</ETag>'
        + (f"<HashCrc64ecma>{part.crc64}</HashCrc64ecma>" if part.crc64 is not None else "")
        + f"<Size>{part.size}</Size></Part>"
        for part in parts
    )
    return f"<ListPartsResult><IsTruncated>false</IsTruncated>{rows}</ListPartsResult>"


def change_byte(file: Path, offset: int) -> None:
    """Make one byte another one."""
    with file.open("r+b") as stream:
        stream.seek(offset)
        (byte,) = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte ^ 1]))
