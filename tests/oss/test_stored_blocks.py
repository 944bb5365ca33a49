"""Blocks that the kernel sends from the file: same bytes, same errors, same patience."""

import errno
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.core.integrity import crc64
from resumable.core.plan import Part
from resumable.errors import (
    ConnectionFailedError,
    IntegrityError,
    LocalFileError,
    RequestTimeoutError,
    SourceChangedError,
    TransferCancelledError,
)
from resumable.transfer import reading
from resumable.transfer.fileparts import FilePart, Watch
from resumable.transfer.reading import BLOCK_SIZE, SourceReader
from resumable.transfer.source import SourceFile
from tests.oss.conftest import KEYS, Connect, Serve
from tests.oss.rawserver import Peer, acknowledgement, answering
from tests.oss.test_stuck import Running
from tests.support import CREDENTIALS, KIB, MIB, QUICK, make_file

# More than the socket buffers of both sides take, and no whole number of blocks.
SIZE = 24 * MIB + 12_345
SHORT = 0.3

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the blocks are read")

both = pytest.mark.parametrize("content_md5", [True, False], ids=["md5", "crc"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return make_file(tmp_path, SIZE)


QUIET = Watch(begins=lambda: None, look=lambda: None, last=lambda: None, moved=lambda _: None)


@contextmanager
def part_of(
    file: Path, watch: Watch = QUIET, offset: int = 0, *, by_kernel: bool = True
) -> Iterator[FilePart]:
    whole = Part(1, offset, file.stat().st_size - offset)
    with SourceFile(str(file)) as source, source.reader() as reader:
        yield FilePart(reader, whole, watch, by_kernel=by_kernel)


class Kernel:
    """Stands in for the `os` of the module that reads the source: sends as it is told to."""

    def __init__(
        self, send: Callable[[Callable[[], int], int], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.calls = 0
        self._send = send
        monkeypatch.setattr(reading, "os", self)

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def sendfile(self, descriptor: int, file: int, offset: int, size: int) -> int:
        self.calls += 1
        return self._send(lambda: os.sendfile(descriptor, file, offset, size), self.calls)


def failing(error: int, at: int) -> Callable[[Callable[[], int], int], int]:
    """Fails from the n-th call on."""

    def send(go: Callable[[], int], call: int) -> int:
        if call >= at:
            raise OSError(error, os.strerror(error))
        return go()

    return send


@both
def test_bytes_of_the_file_arrive(
    serve: Serve, connect: Connect, file: Path, monkeypatch: pytest.MonkeyPatch, content_md5: bool
) -> None:
    data = file.read_bytes()[777:]
    server, kernel = (
        serve(answering(acknowledgement(data))),
        Kernel(lambda go, _: go(), monkeypatch),
    )
    with part_of(file, offset=777) as part:
        sent = connect(server).upload_part("k", "U", 1, part, content_md5=content_md5)
    assert server.requests[0].body == data
    assert (sent.size, sent.crc64) == (len(data), crc64(data))
    assert kernel.calls >= len(data) // BLOCK_SIZE


def test_nothing_vouches_for_what_was_not_read(file: Path) -> None:
    with part_of(file) as part:
        part.prepare(with_md5=False)
        blocks = iter(part.blocks())
        next(blocks)
        with pytest.raises(IntegrityError):
            part.digest()
        for _ in blocks:
            pass
        assert part.digest().crc64 == crc64(file.read_bytes())


@both
def test_bytes_of_the_file_arrive_over_tls(serve: Serve, file: Path, content_md5: bool) -> None:
    data = file.read_bytes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(KEYS / "localhost.pem")
    server = serve(answering(acknowledgement(data)), context)
    bucket = Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        ca_bundle=str(KEYS / "localhost.pem"),
    )
    with bucket, part_of(file) as part:
        bucket.upload_part("k", "U", 1, part, content_md5=content_md5)
    assert server.requests[0].body == data


@both
@pytest.mark.parametrize(
    ("error", "at"),
    [(errno.EINVAL, 1), (errno.EINVAL, 5), (errno.EPERM, 1), (errno.ENOMEM, 5), (errno.EAGAIN, 1)],
)
def test_what_the_kernel_may_not_send_is_read(  # noqa: PLR0917 - fixtures and a table
    serve: Serve,
    connect: Connect,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    content_md5: bool,
    error: int,
    at: int,
) -> None:
    data = file.read_bytes()
    server = serve(answering(acknowledgement(data)))
    kernel = Kernel(failing(error, at), monkeypatch)
    with part_of(file) as part:
        connect(server).upload_part("k", "U", 1, part, content_md5=content_md5)
    assert server.requests[0].body == data
    assert kernel.calls >= at


@both
def test_machine_without_it_reads(
    serve: Serve, connect: Connect, file: Path, monkeypatch: pytest.MonkeyPatch, content_md5: bool
) -> None:
    monkeypatch.setattr(reading, "_KERNEL_SENDS", False)
    kernel = Kernel(lambda go, _: go(), monkeypatch)
    data = file.read_bytes()
    server = serve(answering(acknowledgement(data)))
    with part_of(file) as part:
        connect(server).upload_part("k", "U", 1, part, content_md5=content_md5)
    assert server.requests[0].body == data
    assert kernel.calls == 0


@pytest.mark.parametrize("timeout", [SHORT, 1e9])
@both
def test_slow_server_that_keeps_reading_is_no_timeout(
    serve: Serve, connect: Connect, file: Path, content_md5: bool, timeout: float
) -> None:
    data, pause = file.read_bytes(), threading.Event()

    def reads_slowly(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * KIB)
        peer.head()
        left = len(data)
        for size in (*[64 * KIB] * 20, left):  # a second, which is several timeouts
            pause.wait(0.05)
            left -= len(peer.read(min(size, left)))
        peer.send(acknowledgement(data))

    with part_of(file) as part:
        bucket = connect(serve(reads_slowly), timeout=timeout)
        sent = bucket.upload_part("k", "U", 1, part, content_md5=content_md5)
    assert sent.crc64 == crc64(data)


def never_reads(peer: Peer) -> None:
    peer.head()
    peer.hang()


@both
def test_server_that_does_not_read_is_a_timeout(
    serve: Serve, connect: Connect, file: Path, content_md5: bool
) -> None:
    bucket = connect(serve(never_reads), timeout=SHORT)
    with part_of(file) as part, pytest.raises(RequestTimeoutError):
        bucket.upload_part("k", "U", 1, part, content_md5=content_md5)


@both
def test_sending_that_is_stuck_can_be_broken_off(
    serve: Serve, connect: Connect, file: Path, content_md5: bool
) -> None:
    server = serve(never_reads)
    with part_of(file) as part:
        running = Running(
            connect(server, QUICK),
            lambda view: view.upload_part("k", "U", 1, part, content_md5=content_md5),
        )
        assert server.hanging.acquire(timeout=10)
        assert running.break_off() < 1.0
    assert isinstance(running.raised, TransferCancelledError)


@both
def test_connection_that_breaks_is_tried_again(
    serve: Serve, connect: Connect, file: Path, content_md5: bool
) -> None:
    data, broken = file.read_bytes(), threading.Event()

    def breaks_once(peer: Peer) -> None:
        if not broken.is_set():
            broken.set()
            peer.head()
            peer.read(MIB)
            return
        answering(acknowledgement(data))(peer)

    server = serve(breaks_once)
    with part_of(file) as part:
        connect(server, QUICK).upload_part("k", "U", 1, part, content_md5=content_md5)
    assert sorted(len(request.body) for request in server.requests) == [0, SIZE]
    assert max(request.body for request in server.requests) == data


def test_connection_that_breaks_for_good_is_an_error_of_the_network(
    serve: Serve, connect: Connect, file: Path
) -> None:
    server = serve(lambda peer: peer.head() and None)
    with part_of(file) as part, pytest.raises(ConnectionFailedError):
        connect(server).upload_part("k", "U", 1, part)


def test_error_of_the_disk_is_a_local_one_and_not_tried_again(
    serve: Serve, connect: Connect, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answering(acknowledgement(b"")))
    blocks, reads, read = -(-SIZE // BLOCK_SIZE), count(1), SourceReader._read

    def fails(self: SourceReader, view: memoryview, offset: int) -> int:
        if next(reads) > blocks:  # the first time, for the digests, all is well
            raise LocalFileError.of(OSError(errno.EIO, "Input/output error"), "reading", "it")
        return read(self, view, offset)

    monkeypatch.setattr(SourceReader, "_read", fails)
    Kernel(failing(errno.EIO, 5), monkeypatch)
    with part_of(file) as part, pytest.raises(LocalFileError, match="Input/output error"):
        connect(server, QUICK).upload_part("k", "U", 1, part)
    assert server.connections == 1


@both
def test_body_that_must_not_change_any_more_is_in_memory_at_the_last_look(
    serve: Serve, connect: Connect, file: Path, content_md5: bool
) -> None:
    data = file.read_bytes()
    server = serve(answering(acknowledgement(data)))

    def zero() -> None:
        file.write_bytes(bytes(SIZE))

    watch = replace(QUIET, last=zero)
    with part_of(file, watch, by_kernel=False) as part:
        connect(server).upload_part("k", "U", 1, part, content_md5=content_md5)
    assert server.requests[0].body == data


@both
@pytest.mark.parametrize("is_read", [False, True], ids=["by the kernel", "read"])
def test_file_that_becomes_shorter_on_the_way_is_told(
    serve: Serve,
    connect: Connect,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    content_md5: bool,
    is_read: bool,
) -> None:
    if is_read:
        Kernel(failing(errno.EINVAL, 1), monkeypatch)
    blocks = -(-SIZE // BLOCK_SIZE)
    looks = iter(range(3 * blocks))

    def look() -> None:
        if next(looks) == (blocks if content_md5 else 0):  # the first of those that go out
            os.truncate(file, SIZE // 2)

    server = serve(answering(acknowledgement(b"")))
    shorter = pytest.raises(SourceChangedError, match="became shorter")
    with part_of(file, replace(QUIET, look=look)) as part, shorter:
        connect(server, timeout=1.0).upload_part("k", "U", 1, part, content_md5=content_md5)
    assert server.connections == 1
