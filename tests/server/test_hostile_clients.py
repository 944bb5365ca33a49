"""Clients that mean harm: the server refuses or hangs up, stays inside its folder, and lives on."""

import logging
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from resumable.server import LocalServer

from .raw import RawClient, complete_body

KIB = 1024
ESCAPES = (
    "/../../../outside", "/..", "/.", "/./x", "/a/../../x", "/%2e%2e/%2e%2e/outside",
    "/..%2f..%2fx", "/%2e%2e%2f%2e%2e%2foutside", "/..%5c..%5coutside", "/%5coutside",
    "/%2foutside", "//outside",
    "/a%00b", "/%00", "/a%0d%0aHost:%20evil", "/C:%5coutside", "/~root", "/a;b", "/a%3fb", "/a%23b",
    "/%c0%ae%c0%ae/x", "/%ed%a0%80", "/%ff", "/%", "/%zz", "/%252e%252e/x", "/%e2%80%ae",
    "/" + "a/" * 500 + "x", "/" + "%f4%8f%bf%bf" * 255, "/" + "..%2f" * 300, "/blobs/x",
)  # fmt: skip
NUMBERS = (
    "0", "-1", "10001", "1e3", "+1", "0x1", "%D9%A3", "1.0", "", "NaN", "9" * 5000, "9" * 400,
    "%00",
)  # fmt: skip
LENGTHS = ("1e3", "+5", "0x5", "5,6", "5 5", "", "%35", "9" * 5000, "1" * 21)


@pytest.fixture(autouse=True)
def nothing_unexpected(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, server: LocalServer
) -> Iterator[None]:
    """After each of these the server answers, nothing failed inside, and nothing is outside."""
    caplog.set_level(logging.ERROR, "resumable.server")
    yield
    with RawClient(server.port) as client:
        assert client.call("PUT", "/still-there", b"yes").status == 200
    assert [record.getMessage() for record in caplog.get_records("call")] == []
    assert os.listdir(tmp_path) == ["root"]
    blobs = tmp_path / "root" / "blobs"
    assert all(path.is_file() and len(path.name) == 32 for path in blobs.iterdir())


@pytest.mark.parametrize("target", ESCAPES)
def test_path_that_climbs_is_a_key_like_any_other_or_refused(
    client: RawClient, tmp_path: Path, target: str
) -> None:
    put = client.call("PUT", target, b"content")
    assert put.status in (200, 400, 403)
    got = client.call("GET", target)
    assert (got.status, got.body) == (200, b"content") if put.status == 200 else got.status >= 400
    upload = client.call("POST", f"{target}?uploads")
    assert upload.status in (200, 400, 403)


@pytest.mark.parametrize("target", ESCAPES)
def test_copy_source_that_climbs_reads_nothing(client: RawClient, target: str) -> None:
    source = f"/{client.bucket}{target}"
    reply = client.call("PUT", "/copy", headers={"x-oss-copy-source": source})
    assert 400 <= reply.status < 500
    assert client.call("HEAD", "/copy").status == 404


@pytest.mark.parametrize("upload_id", [quote(path[1:200], safe="") for path in ESCAPES])
def test_upload_id_that_climbs_is_unknown(client: RawClient, upload_id: str) -> None:
    for method, body in (("PUT", b"x"), ("GET", b""), ("DELETE", b"")):
        reply = client.call(method, f"/key?partNumber=1&uploadId={upload_id}", body)
        assert 400 <= reply.status < 500, (method, reply)


@pytest.mark.parametrize("number", NUMBERS)
def test_number_that_is_none_is_refused(client: RawClient, number: str) -> None:
    upload_id = client.initiate()
    reply = client.call("PUT", f"/key?partNumber={number}&uploadId={upload_id}", b"x")
    assert 400 <= reply.status < 500
    for query in ("part-number-marker", "max-parts"):
        assert client.call("GET", f"/key?{query}={number}&uploadId={upload_id}").status in (
            200,
            400,
        )
    assert client.call("GET", f"/?uploads&max-uploads={number}").status in (200, 400)
    reply = client.complete(upload_id, [(1, number)])
    assert 400 <= reply.status < 500


@pytest.mark.parametrize("length", LENGTHS)
def test_length_that_is_no_number_is_refused(
    client: RawClient, blobs: Callable[[], int], length: str
) -> None:
    client.socket.sendall(client.head("PUT", "/key", {"Content-Length": length}) + b"12345")
    reply = client.reply()
    assert reply.status in (400, 411)
    assert client.is_closed()
    assert blobs() == 0


@pytest.mark.parametrize(
    "chunk",
    [
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFFFFFFF\r\nhello",
        b"5\r\nhello, world\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"0\r\n" + b"Trailer: x\r\n" * 20_000 + b"\r\n",
    ],
)
def test_chunk_that_lies_is_refused(
    client: RawClient, blobs: Callable[[], int], chunk: bytes
) -> None:
    client.socket.sendall(client.head("PUT", "/key", {"Transfer-Encoding": "chunked"}))
    _send_what_is_taken(client.socket, chunk)
    client.socket.shutdown(socket.SHUT_WR)
    assert _status_or_closed(client) in (400, None)
    assert blobs() == 0


@pytest.mark.parametrize("more", [b"garbage\r\n\r\n", b"\0" * 1000, b"\xff" * 70_000, b"PUT / HT"])
def test_body_longer_than_declared_ends_where_it_was_said_to(
    connect: Callable[[], RawClient], more: bytes
) -> None:
    client = connect()
    _send_what_is_taken(
        client.socket, client.head("PUT", "/key", {"Content-Length": "3"}) + b"abc" + more
    )
    assert client.reply().status == 200
    client.socket.shutdown(socket.SHUT_WR)
    assert _status_or_closed(client) in (400, None)
    assert connect().call("GET", "/key").body == b"abc"


@pytest.mark.parametrize(
    "headers",
    [
        {f"x-oss-meta-{n}": "v" for n in range(2000)},
        {"x-oss-meta-a": "v" * 50_000},
        {"x-oss-tagging": "a=b&" * 10_000},
        {"Range": "bytes=" + "0-1," * 10_000},
        {"Authorization": "OSS " + ":" * 50_000},
        {"Authorization": "OSS4-HMAC-SHA256 " + "Credential=a/b," * 3000},
        {"Date": "(" * 50_000},
        {"Content-MD5": "=" * 50_000},
        {"x-oss-callback": "A" * 50_000},
        {"Expect": "100-continue," * 3000},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_flood_within_the_bound_of_a_head_is_answered_soon(
    client: RawClient, headers: dict[str, str]
) -> None:
    began = time.monotonic()
    client.send("PUT", "/key", b"x", headers)
    assert client.reply().status < 500
    assert time.monotonic() - began < 5


def test_authorization_of_blanks_is_answered_soon(client: RawClient) -> None:
    began = time.monotonic()
    blanks = "OSS4-HMAC-SHA256 x" + " " * (8 * KIB) + "x"
    assert client.call("PUT", "/key", b"x", {"Authorization": blanks}).status == 403
    assert time.monotonic() - began < 0.3


def test_head_that_drips_is_cut_off_though_it_never_pauses(tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path / "root" / "other", read_timeout=0.3) as server,
        RawClient(server.port) as client,
    ):
        deadline = time.monotonic() + 10
        client.socket.settimeout(0.02)
        reply = b""
        while not reply and time.monotonic() < deadline:
            client.socket.sendall(b"a")
            try:
                reply = client.socket.recv(100)
            except TimeoutError:
                continue
        assert reply.startswith(b"HTTP/1.1 400")


def test_many_that_say_nothing_keep_nobody_waiting(
    connect: Callable[[], RawClient], server: LocalServer
) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(150)]
    try:
        for half in silent[::2]:
            half.sendall(b"PUT /bucket/key HTTP/1.1\r\nContent-Length: 1000000\r\n")
        began = time.monotonic()
        assert connect().call("PUT", "/key", b"x").status == 200
        assert time.monotonic() - began < 5
    finally:
        for one in silent:
            one.close()


DEEP = b"<a>" * 100_000 + b"</a>" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 1000,
        DEEP,
        b"<CompleteMultipartUpload>" + b"<Part/>" * 100_000 + b"</CompleteMultipartUpload>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><CompleteMultipartUpload>&b;</CompleteMultipartUpload>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><CompleteMultipartUpload/>',
        "<CompleteMultipartUpload/>".encode("utf-16"),
        complete_body([(10**400, "E")]),
        complete_body([(1, "E" * 100_000)]),
        complete_body([(1, "</ETag>")]),
        complete_body((1, "E") for _ in range(20_000)),
        b"<?xml version='1.0' encoding='foo'?><CompleteMultipartUpload/>",
    ],
    ids=range(12),
)
def test_hostile_part_list_is_refused(client: RawClient, body: bytes) -> None:
    upload_id = client.initiate()
    reply = client.call("POST", f"/key?uploadId={upload_id}", body)
    assert 400 <= reply.status < 500
    assert client.call("HEAD", "/key").status == 404


@pytest.mark.parametrize("seed", range(4))
def test_garbage_is_answered_or_hung_up_on(
    connect: Callable[[], RawClient], server: LocalServer, seed: int
) -> None:
    rng, client = random.Random(seed), connect()
    seeds = [
        client.head("PUT", "/key", {"Content-Length": "5"}) + b"hello",
        client.head("GET", "/key?uploadId=U&max-parts=7"),
        client.head("POST", "/key?uploads", {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n0",
    ]
    for _ in range(60):
        with RawClient(server.port) as hostile:
            _send_what_is_taken(hostile.socket, _spoilt(rng, rng.choice(seeds)))
            try:
                hostile.socket.shutdown(socket.SHUT_WR)
            except OSError:
                continue  # it has hung up already
            status = _status_or_closed(hostile)
            assert status is None or 100 <= status < 500


def _spoilt(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.randint(1, 6)):
        at, to = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        data = rng.choice(
            (
                data[:at] + rng.randbytes(rng.randint(1, 3)) + data[at + 1 :],
                data[:at] + data[to:],
                data[:to] + data[at:to] * rng.randint(1, 50) + data[to:],
                data[:at] + rng.choice((b"\r\n", b"\n", b"\0", b": ", b"%", b"?")) + data[at:],
                data + data[at:],
            )
        )[: 100 * KIB]
    return data


def _send_what_is_taken(to: socket.socket, data: bytes) -> None:
    try:
        to.sendall(data)
    except ConnectionError:
        return  # it was refused before all of it was sent


def _status_or_closed(client: RawClient) -> int | None:
    """The status of the next answer; None if the connection was closed without one."""
    try:
        return client.reply().status
    except (ConnectionError, IndexError):
        return None
