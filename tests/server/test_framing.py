"""HTTP as it really comes: chunks, Expect, slow and broken clients, floods."""

import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resumable.server import LocalServer, service, uploads
from resumable.server.checksums import Digester

from .raw import RawClient

CHUNKED = b"5\r\nhello\r\n1;ext=1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n"


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "5"}, {"Content-Length": "9999"}])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_chunked_body(
    server: LocalServer, client: RawClient, headers: dict[str, str], step: int
) -> None:
    head = client.head("PUT", "/key", headers | {"Transfer-Encoding": "chunked"})
    client.socket.sendall(head)
    for at in range(0, len(CHUNKED), step):
        client.socket.sendall(CHUNKED[at : at + step])
    assert client.reply().status == 200
    assert client.call("GET", "/key").body == b"hello world"
    assert server.log[0].body_bytes == 11


@pytest.mark.parametrize("chunked", [True, False])
def test_client_is_told_to_continue(client: RawClient, *, chunked: bool) -> None:
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "11"}
    client.socket.sendall(client.head("PUT", "/key", framing | {"Expect": "100-continue"}))
    assert client.reply().status == 100
    client.socket.sendall(CHUNKED if chunked else b"hello world")
    assert client.reply().status == 200
    assert client.call("GET", "/key").body == b"hello world"


@pytest.mark.parametrize("chunked", [True, False])
def test_client_that_asks_first_is_refused_at_once(client: RawClient, *, chunked: bool) -> None:
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "11"}
    headers = framing | {"Expect": "100-continue", "Authorization": "OSS localkey:wrong"}
    client.socket.sendall(client.head("PUT", "/key", headers))
    reply = client.reply()
    assert (reply.code, reply.headers["connection"]) == ("SignatureDoesNotMatch", "close")
    assert client.is_closed()


def test_refused_body_is_read_and_the_connection_goes_on(client: RawClient) -> None:
    refused = client.call("PUT", "/key", b"x" * 3_000_000, {"Authorization": "OSS a:b"})
    assert refused.code == "InvalidAccessKeyId"
    assert client.call("PUT", "/key", b"x").status == 200


def test_pipelined_requests_are_answered_in_order(client: RawClient) -> None:
    first = client.head("PUT", "/one", {"Content-Length": "3"}) + b"one"
    second = client.head("PUT", "/two", {"Transfer-Encoding": "chunked"}) + CHUNKED
    client.socket.sendall(first + second + client.head("GET", "/one"))
    assert [client.reply().body for _ in range(3)] == [b"", b"", b"one"]


def test_large_body_arrives_whole(client: RawClient) -> None:
    data = bytes(range(256)) * 20_000
    digester = Digester()
    digester.update(data)
    reply = client.call("PUT", "/key", data)
    assert reply.headers["x-oss-hash-crc64ecma"] == str(digester.digest().crc64)
    assert client.call("GET", "/key").body == data


def test_missing_length_is_refused(client: RawClient) -> None:
    client.socket.sendall(client.head("PUT", "/key"))
    reply = client.reply()
    assert (reply.status, reply.code) == (411, "MissingContentLength")


def test_part_over_five_gigabytes_is_refused_unread(client: RawClient) -> None:
    upload_id = client.initiate()
    size = {"Content-Length": str(5 * 1024**3 + 1)}
    client.socket.sendall(client.head("PUT", f"/key?partNumber=1&uploadId={upload_id}", size))
    reply = client.reply()
    assert (reply.status, reply.code) == (400, "EntityTooLarge")
    assert client.is_closed()


def test_chunks_over_the_bound_are_refused(
    client: RawClient, blobs: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long a body in chunks becomes shows only while it is read."""
    monkeypatch.setattr(uploads, "MAX_PART_SIZE", 10)
    monkeypatch.setattr(service, "MAX_PART_SIZE", 10)
    client.socket.sendall(client.head("PUT", "/key", {"Transfer-Encoding": "chunked"}) + CHUNKED)
    reply = client.reply()
    assert (reply.status, reply.code) == (400, "EntityTooLarge")
    assert blobs() == 0


@pytest.mark.parametrize("early", [True, False])
def test_connection_on_which_chunks_are_left_unread_is_closed(
    server: LocalServer, client: RawClient, monkeypatch: pytest.MonkeyPatch, *, early: bool
) -> None:
    monkeypatch.setattr(service, "MAX_PART_SIZE", 10)
    headers = {"Transfer-Encoding": "chunked", "Authorization": "OSS localkey:wrong"}
    if early:
        effect = {"status": 403, "code": "SignatureDoesNotMatch", "early": True}
        server.faults.add({"effect": effect})
    # More is to come when it is refused: the chunk of no bytes, which ends the body, is missing.
    begun = CHUNKED.partition(b"0\r\n")[0]
    client.socket.sendall(client.head("PUT", "/key", headers) + begun)
    reply = client.reply()
    assert (reply.code, reply.headers["connection"]) == ("SignatureDoesNotMatch", "close")
    assert client.is_closed()


@pytest.mark.parametrize("target", ["/key", "/key?partNumber=1&uploadId={}"])
def test_body_that_ends_early_stores_nothing(
    server: LocalServer, connect: Callable[[], RawClient], blobs: Callable[[], int], target: str
) -> None:
    client = connect()
    upload_id = client.initiate()
    size = {"Content-Length": "1000"}
    client.socket.sendall(client.head("PUT", target.format(upload_id), size) + b"x" * 999)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.is_closed()
    assert (server.log[-1].status, server.log[-1].body_bytes) == (None, 999)
    assert blobs() == 0
    assert connect().call("HEAD", "/key").status == 404


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x: y\r\n" * 20_000,
        b"PUT /b/k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(server: LocalServer, client: RawClient, data: bytes) -> None:
    client.socket.sendall(data)
    reply = client.reply()
    assert (reply.status, reply.code) == (400, "BadRequest")
    assert client.is_closed()
    assert [exchange.operation for exchange in server.log] == ["BadRequest"]


def test_broken_chunk_is_refused(client: RawClient, blobs: Callable[[], int]) -> None:
    head = client.head("PUT", "/key", {"Transfer-Encoding": "chunked"})
    client.socket.sendall(head + b"5\r\nhello\r\nzz\r\n")
    reply = client.reply()
    assert (reply.status, reply.code, blobs()) == (400, "BadRequest", 0)


def test_target_that_is_no_path_is_refused(client: RawClient) -> None:
    client.socket.sendall(b"GET http://127.0.0.1/b/k HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert client.reply().code == "InvalidArgument"


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[RawClient]:
    """A client of a server that does not wait."""
    with LocalServer(tmp_path, read_timeout=0.05) as server, RawClient(server.port) as client:
        yield client


def test_slow_head_times_out(hasty: RawClient) -> None:
    hasty.socket.sendall(b"GET / HT")
    reply = hasty.reply()
    assert (reply.status, reply.code) == (400, "RequestTimeout")
    assert hasty.is_closed()


def test_slow_body_times_out(hasty: RawClient) -> None:
    hasty.socket.sendall(hasty.head("PUT", "/key", {"Content-Length": "10"}) + b"12345")
    reply = hasty.reply()
    assert (reply.status, reply.code) == (400, "RequestTimeout")
    assert hasty.is_closed()


def test_idle_connection_is_closed_without_a_word(hasty: RawClient) -> None:
    assert hasty.is_closed()


@pytest.mark.parametrize("http_1_0", [True, False])
def test_connection_is_closed_when_the_client_wants_it(
    client: RawClient, *, http_1_0: bool
) -> None:
    head = client.head("PUT", "/key", {"Content-Length": "1", "Connection": "close"})
    if http_1_0:
        head = head.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Connection: close\r\n", b"")
    client.socket.sendall(head + b"x")
    reply = client.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert client.is_closed()


def test_unexpected_failure_is_an_internal_error(
    server: LocalServer,
    client: RawClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert server._running is not None
    monkeypatch.setattr(server._running._store, "find_object", None)
    with caplog.at_level(logging.ERROR, "resumable.server"):
        reply = client.call("HEAD", "/key")
    assert (reply.status, reply.code) == (500, "InternalError")
    assert "Traceback" in caplog.text
    assert reply.headers["x-oss-request-id"] in caplog.text
