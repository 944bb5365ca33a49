"""Bodies out of file objects and slices of them."""

import io
import mmap
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from resumable import (
    Bucket,
    FileSlice,
    InvalidArgumentError,
    InvalidDigestError,
    LocalFileError,
    SourceChangedError,
    UploadedPart,
)
from resumable.server import LocalServer
from tests.support import PART, content, random_bytes

KEY = "k"
DATA = random_bytes(3 * 262_144 + 17)


def in_memory() -> IO[bytes]:
    return io.BytesIO(DATA)


def on_disk() -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the test closes it
    file.write(DATA)
    file.seek(0)
    return file


def unbuffered() -> IO[bytes]:
    descriptor, path = tempfile.mkstemp()
    os.write(descriptor, DATA)
    os.close(descriptor)
    file = open(path, "rb", buffering=0)  # noqa: SIM115 - the test closes it
    os.unlink(path)
    return file


KINDS = [in_memory, on_disk, unbuffered]
Kind = Callable[[], IO[bytes]]


@pytest.mark.parametrize("open_one", KINDS)
@pytest.mark.parametrize("content_md5", [True, False])
def test_file_object_is_sent_from_its_position_on(
    bucket: Bucket, open_one: Kind, content_md5: bool
) -> None:
    with open_one() as file:
        file.seek(1000)
        bucket.put_object(KEY, file, content_md5=content_md5)
    assert content(bucket, KEY) == DATA[1000:]


@pytest.mark.parametrize("open_one", KINDS)
def test_slices_of_one_file_object_can_be_sent_by_several_threads(
    bucket: Bucket, open_one: Kind
) -> None:
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    offsets = range(0, len(DATA), PART)
    with open_one() as file, ThreadPoolExecutor(4) as pool:

        def send(number: int, offset: int) -> UploadedPart:
            size = min(PART, len(DATA) - offset)
            return bucket.upload_part(KEY, upload_id, number, FileSlice(file, offset, size))

        parts = list(pool.map(send, range(1, len(offsets) + 1), offsets))
    bucket.complete_multipart_upload(KEY, upload_id, parts)
    assert content(bucket, KEY) == DATA


class Odd:
    """A file object that weak references cannot tell, and that lets others in between."""

    __slots__ = ("_file",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def seek(self, offset: int, whence: int = 0, /) -> int:
        place = self._file.seek(offset, whence)
        time.sleep(0)
        return place

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)


def test_slices_of_a_file_object_of_any_kind_do_not_mix(bucket: Bucket) -> None:
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    with io.BytesIO(DATA * 4) as file, ThreadPoolExecutor(6) as pool:

        def send(number: int) -> UploadedPart:
            some = FileSlice(Odd(file), number * PART, PART)
            return bucket.upload_part(KEY, upload_id, number + 1, some, content_md5=False)

        parts = list(pool.map(send, range(len(DATA) * 4 // PART)))
    bucket.complete_multipart_upload(KEY, upload_id, parts)
    assert content(bucket, KEY) == (DATA * 4)[: len(parts) * PART]


def test_mmap_is_a_file_object(bucket: Bucket) -> None:
    with on_disk() as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        bucket.put_object(KEY, FileSlice(mapped, 3, 500_000))  # type: ignore[arg-type]
    assert content(bucket, KEY) == DATA[3:500_003]


def test_memoryview_with_gaps_is_refused(bucket: Bucket) -> None:
    with pytest.raises(InvalidArgumentError, match="in a row"):
        bucket.put_object(KEY, memoryview(DATA)[::2])


def test_file_that_is_closed_before_it_is_sent_is_refused(bucket: Bucket) -> None:
    file = io.BytesIO(DATA)
    some = FileSlice(file)
    file.close()
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        bucket.put_object(KEY, some)


@pytest.mark.parametrize(("offset", "size"), [(0.5, 2), (0, 2.0), (True, 1), ("0", 1)])
def test_slice_in_other_than_whole_bytes_is_refused(offset: int, size: int) -> None:
    with pytest.raises(InvalidArgumentError):
        FileSlice(io.BytesIO(DATA), offset, size)


@pytest.mark.parametrize("content_md5", [True, False])
def test_slice_is_read_again_for_another_try(
    server: LocalServer, bucket: Bucket, content_md5: bool
) -> None:
    server.faults.add({"operation": "PutObject", "effect": {"status": 500}})
    server.faults.add({"operation": "PutObject", "effect": {"drop": "during_body"}, "skip": 1})
    bucket.put_object(KEY, FileSlice(io.BytesIO(DATA), 5, 300_000), content_md5=content_md5)
    assert content(bucket, KEY) == DATA[5:300_005]
    assert len(server.log) == 4


@pytest.mark.parametrize("size", [0, len(DATA) - 7])
def test_slice_ends_where_it_is_told_or_at_the_end(bucket: Bucket, size: int) -> None:
    file = io.BytesIO(DATA)
    file.seek(7)
    bucket.put_object(KEY, FileSlice(file, size=size))
    assert content(bucket, KEY) == DATA[7 : 7 + size]
    bucket.put_object(KEY, FileSlice(file, 7))
    assert content(bucket, KEY) == DATA[7:]


@pytest.mark.parametrize(
    ("offset", "size"),
    [(-1, 1), (0, len(DATA) + 1), (len(DATA), 1), (len(DATA) + 1, None), (0, -1)],
)
def test_slice_that_the_file_does_not_have_is_refused(offset: int, size: int | None) -> None:
    with pytest.raises(InvalidArgumentError, match=f"the file has {len(DATA)} bytes"):
        FileSlice(io.BytesIO(DATA), offset, size)


def a_pipe() -> IO[bytes]:
    reader, writer = os.pipe()
    os.close(writer)
    return open(reader, "rb")


def in_text_mode() -> IO[str]:
    return open(__file__, encoding="utf-8")


@pytest.mark.parametrize("open_one", [a_pipe, in_text_mode])
def test_file_object_that_cannot_serve_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, open_one: Callable[[], IO[bytes]]
) -> None:
    with open_one() as file, pytest.raises(InvalidArgumentError):
        bucket.put_object(KEY, file)
    assert len(server.log) == 0


@pytest.mark.parametrize("data", [None, 5, "text", ["a"], Path("a")])
def test_what_is_no_data_is_refused_before_any_request(
    server: LocalServer, bucket: Bucket, data: object
) -> None:
    with pytest.raises(InvalidArgumentError, match="neither bytes nor a binary file"):
        bucket.put_object(KEY, data)  # type: ignore[arg-type]
    assert len(server.log) == 0


def test_closed_file_is_refused() -> None:
    file = io.BytesIO(DATA)
    file.close()
    with pytest.raises(InvalidArgumentError):
        FileSlice(file)


class Changing(io.BytesIO):
    """A file whose bytes are others each time they are read."""

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self.getbuffer()[0] = (self.getbuffer()[0] + 1) % 256
        return block


def test_bytes_that_change_between_digest_and_sending_do_not_become_an_object(
    bucket: Bucket,
) -> None:
    with pytest.raises((SourceChangedError, InvalidDigestError)):
        bucket.put_object(KEY, Changing(DATA))


class Shrinking(io.BytesIO):
    """A file that is cut while it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 0:
            self.truncate(self.tell())
        return super().read(size)


def test_file_that_ends_early_is_told_and_makes_no_object(
    server: LocalServer, bucket: Bucket
) -> None:
    with pytest.raises(SourceChangedError, match="ended before"):
        bucket.put_object(KEY, Shrinking(DATA))
    assert all(exchange.status != 200 for exchange in server.log)


class Broken(io.BytesIO):
    """A file on a disk that fails."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size:
            raise OSError(5, "Input/output error")
        return b""


def test_file_that_cannot_be_read_is_a_local_error(server: LocalServer, bucket: Bucket) -> None:
    with pytest.raises(LocalFileError, match="Input/output error"):
        bucket.put_object(KEY, Broken(DATA))
    assert len(server.log) == 0
