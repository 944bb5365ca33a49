"""Answers that are torn, oversized, early, compressed or no HTTP at all."""

import gzip
import io
import re
from contextlib import nullcontext

import pytest

from resumable import Bucket, FileSlice
from resumable.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    IntegrityError,
    NetworkError,
    NoSuchKeyError,
    ProtocolError,
    ServerError,
)
from resumable.server import LocalServer
from tests.oss.conftest import Connect, Serve
from tests.oss.rawserver import Peer, Script, acknowledgement, answer, answering, error_answer
from tests.oss.test_stuck import SHORT
from tests.support import MIB, QUICK, content, random_bytes

LIST = b"<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>"
LARGE = random_bytes(32 * MIB)  # more than the socket buffers of both sides take


def once(data: bytes) -> Script:
    """A script that answers one request with these bytes, and ends the connection."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(data)

    return script


@pytest.mark.parametrize("then", ["closes", "hangs"])
@pytest.mark.parametrize("content_md5", [True, False])
def test_success_of_a_part_that_was_not_read_is_none(
    serve: Serve, connect: Connect, then: str, content_md5: bool
) -> None:
    """As of something in between that lost the body, and takes the part for an empty one."""

    def reads_nothing(peer: Peer) -> None:
        peer.head()
        peer.send(acknowledgement(b""))
        if then == "hangs":
            peer.hang()

    body = FileSlice(io.BytesIO(LARGE), 0, len(LARGE))
    bucket = connect(serve(reads_nothing), timeout=SHORT)
    with pytest.raises(ConnectionFailedError):
        bucket.upload_part("k", "U", 1, body, content_md5=content_md5)
    if not content_md5:
        with pytest.raises(IntegrityError):
            body.digest()


LAX = {"x-oss-range-behavior": "legacy"}
RANGES: dict[str, tuple[int, str, bytes, tuple[int, int] | None, dict[str, str], bool]] = {
    "all of it": (200, "", b"123456789", (2, 3), {}, False),
    "no place": (206, "", b"34", (2, 3), {}, False),
    "another place": (206, "bytes 3-3/9", b"4", (2, 3), {}, False),
    "more": (206, "bytes 2-4/9", b"345", (2, 3), {}, False),
    "less": (206, "bytes 2-2/9", b"3", (2, 3), {}, False),
    "nothing": (206, "bytes 2-1/9", b"", (2, 3), {}, False),
    "more than it says": (206, "bytes 2-3/9", b"345", (2, 3), {}, False),
    "less than it says": (206, "bytes 2-3/9", b"3", (2, 3), {}, False),
    "too long a place": (206, f"bytes {'0' * 5000}2-3/9", b"34", (2, 3), {}, False),
    "part of it unasked": (206, "bytes 2-3/9", b"34", None, {}, False),
    "it": (206, "bytes 2-3/9", b"34", (2, 3), {}, True),
    "it, without a total": (206, "Bytes 2-3/*", b"34", (2, 3), {}, True),
    "it, up to the end": (206, "bytes 2-2/3", b"3", (2, 3), {}, True),
    "all, as asked": (200, "", b"x", None, {}, True),
    "all, which is the range": (200, "", b"123456789", (0, 8), {}, True),
    "all, as it may be": (200, "", b"123456789", (50, 60), LAX, True),
    "all, as it has changed": (200, "", b"123456789", (2, 3), {"If-Range": '"E"'}, True),
    "of a raw header": (206, "bytes 7-7/9", b"8", None, {"Range": "bytes=7-7"}, True),
}


@pytest.mark.parametrize("case", RANGES)
def test_bytes_of_an_object_are_those_that_were_asked_for(
    serve: Serve, connect: Connect, case: str
) -> None:
    status, told, data, wanted, headers, fits = RANGES[case]
    bucket = connect(serve(answering(answer(status, data, {"Content-Range": told}))))
    refused = nullcontext() if fits else pytest.raises(ProtocolError, match="other bytes")
    with refused, bucket.get_object("k", byte_range=wanted, headers=headers) as body:
        assert b"".join(body.blocks()) == data


def chunked(*chunks: bytes, end: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"HTTP/1.1 200 OK\r\nx-oss-request-id: REQ\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + body + (b"0\r\n\r\n" if end else b"")


CUT_SHORT = {
    "nothing at all": b"",
    "in the first line": b"HTTP/1.1 20",
    "in the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "between two headers": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    "before the end of the head": b"HTTP/1.1 204 No Content\r\nx-oss-request-id: R",
    "in the head after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    "before the body": answer(200, headers={"Content-Length": "10"}),
    "in the body": answer(200, LIST[:10], {"Content-Length": str(len(LIST))}),
    "before the last byte": answer(200, LIST[:-1], {"Content-Length": str(len(LIST))}),
    "in the body of an error": answer(403, b"<Error>", {"Content-Length": "100"}),
    "after a chunk": chunked(LIST[:10], end=False),
    "before the last chunk": chunked(LIST, end=False),
    "in a chunk": chunked(end=False) + b"20\r\nabc",
}


@pytest.mark.parametrize("data", CUT_SHORT.values(), ids=CUT_SHORT)
def test_answer_cut_short_is_a_lost_connection(serve: Serve, connect: Connect, data: bytes) -> None:
    with pytest.raises(ConnectionFailedError) as failed:
        connect(serve(once(data))).list_parts("k", "U")
    assert failed.value.retryable
    assert not re.search(r": \d+$", str(failed.value)), "told in words, not as a number"


NOT_HTTP = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "garbage": bytes(range(256)) * 4,
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "a status of letters": b"HTTP/1.1 ABC OK\r\n\r\n",
    "a line without end": b"HTTP/1.1 200 " + b"x" * 100_000,
    "a header without end": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a chunk of no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "a chunk of negative size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc",
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_no_http_is_a_typed_error(serve: Serve, connect: Connect, data: bytes) -> None:
    with pytest.raises((NetworkError, ProtocolError)) as failed:
        connect(serve(once(data))).list_parts("k", "U")
    assert failed.value.retryable
    assert len(str(failed.value)) < 400
    assert str(failed.value).isprintable()


def test_server_of_another_protocol_is_told_as_one(serve: Serve, connect: Connect) -> None:
    with pytest.raises(ConnectionFailedError, match="not HTTP"):
        connect(serve(once(NOT_HTTP["another protocol"]))).list_parts("k", "U")


def test_answer_in_chunks_is_understood(serve: Serve, connect: Connect) -> None:
    server = serve(answering(chunked(LIST[:10], LIST[10:])))
    bucket = connect(server)
    assert [bucket.list_parts("k", "U").parts for _ in range(2)] == [(), ()]
    assert server.connections == 1


def test_answer_that_ends_with_the_connection_is_understood(serve: Serve, connect: Connect) -> None:
    bucket = connect(serve(once(b"HTTP/1.0 200 OK\r\nx-oss-request-id: REQ\r\n\r\n" + LIST)))
    assert bucket.list_parts("k", "U").parts == ()


def test_head_of_more_than_a_hundred_lines_is_refused_at_once(
    serve: Serve, connect: Connect
) -> None:
    metadata = {f"x-oss-meta-{number}": str(number) for number in range(400)}
    bucket = connect(serve(once(answer(200, headers={"ETag": '"E"', **metadata}))))
    with pytest.raises(ConnectionFailedError, match="header") as refused:
        bucket.head_object("k")
    assert (refused.value.retryable, refused.value.tries) == (False, 1)


def test_interim_answer_is_passed_over(serve: Serve, connect: Connect) -> None:
    bucket = connect(serve(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(200, LIST))))
    assert bucket.list_parts("k", "U").parts == ()


class Endless:
    """A script whose answer ends after 256 MiB, or when the client has had enough."""

    def __init__(self, status: int, length: str) -> None:
        self.mebibytes = 0
        self._head = f"HTTP/1.1 {status} Whatever\r\n{length}\r\n".encode()

    def script(self, peer: Peer) -> None:
        peer.request()
        peer.send(self._head)
        block = b" " * MIB
        while self.mebibytes < 256:
            peer.send(block)
            self.mebibytes += 1


lengths = pytest.mark.parametrize(
    "length", [f"Content-Length: {1 << 40}\r\n", ""], ids=["announced", "until it closes"]
)


@lengths
@pytest.mark.parametrize("status", [200, 403, 500])
def test_oversized_answer_is_refused_before_it_is_whole(
    serve: Serve, connect: Connect, status: int, length: str
) -> None:
    endless = Endless(status, length)
    with pytest.raises((ProtocolError, ServerError)):
        connect(serve(endless.script)).list_parts("k", "U")
    assert endless.mebibytes < 64


@lengths
def test_oversized_refusal_of_a_download_is_refused_before_it_is_whole(
    serve: Serve, connect: Connect, length: str
) -> None:
    endless = Endless(403, length)
    bucket = connect(serve(endless.script))
    with pytest.raises((ProtocolError, ServerError)), bucket.get_object("k"):
        raise AssertionError("it was refused")
    assert endless.mebibytes < 64


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-unknown", "identity"])
def test_content_encoding_is_the_object_s_own_and_is_not_undone(
    serve: Serve, connect: Connect, encoding: str
) -> None:
    stored = gzip.compress(b"content" * 100)
    bucket = connect(serve(answering(answer(200, stored, {"Content-Encoding": encoding}))))
    assert content(bucket, "k") == stored


def test_compressed_object_comes_back_as_it_was_stored(server: LocalServer, bucket: Bucket) -> None:
    stored = gzip.compress(b"content" * 100)
    bucket.put_object("k", stored, headers={"Content-Encoding": "gzip"})
    assert content(bucket, "k") == stored
    assert bucket.head_object("k").headers["content-encoding"] == "gzip"


def test_early_refusal_is_understood_and_its_connection_not_used_again(
    server: LocalServer, bucket: Bucket
) -> None:
    upload_id = bucket.init_multipart_upload("k").upload_id
    server.faults.add(
        {
            "operation": "UploadPart",
            "effect": {"status": 403, "code": "AccessDenied", "early": True},
        }
    )
    with pytest.raises(AccessDeniedError) as refused:
        bucket.upload_part("k", upload_id, 1, LARGE)
    assert refused.value.tries == 1
    assert server.log[-1].body_bytes < len(LARGE)
    assert bucket.upload_part("k", upload_id, 1, b"x").number == 1


@pytest.mark.parametrize("then", ["reads on", "closes one way", "closes"])
def test_early_refusal_of_a_raw_server_is_understood(
    serve: Serve, connect: Connect, then: str
) -> None:
    def script(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            size = int(head.headers["content-length"])
            if size == 1:
                peer.send(acknowledgement(peer.read(1)))
                continue
            peer.read(MIB)
            peer.send(error_answer(403, "AccessDenied"))
            if then == "closes":
                return
            if then == "closes one way":
                peer.stop_sending()
            peer.read(size - MIB)

    server = serve(script)
    bucket = connect(server)
    with pytest.raises(AccessDeniedError):
        bucket.upload_part("k", "U", 1, LARGE)
    bucket.upload_part("k", "U", 2, b"x")
    assert len(server.requests) == 2


def test_server_that_hangs_up_on_a_body_is_a_lost_connection(
    serve: Serve, connect: Connect
) -> None:
    def script(peer: Peer) -> None:
        peer.head()
        peer.read(MIB)

    with pytest.raises(ConnectionFailedError):
        connect(serve(script)).upload_part("k", "U", 1, LARGE)


def test_connection_of_a_download_left_early_is_not_used_again(
    serve: Serve, connect: Connect
) -> None:
    server = serve(answering(answer(200, LARGE), answer(200, b"small")))
    bucket = connect(server)
    with bucket.get_object("k") as body:
        assert next(body.blocks())
    assert server.connections == 1
    with bucket.get_object("k") as body:
        next(body.blocks())
    assert server.connections == 2


def test_rest_of_a_download_left_early_is_not_the_next_answer(
    serve: Serve, connect: Connect
) -> None:
    def keeps_the_rest(peer: Peer) -> None:
        peer.request()
        peer.send(answer(200, b"x" * 1000, {"Content-Length": "2000"}))
        peer.request()
        peer.send(b"x" * 1000 + answer(200, b"another"))

    bucket = connect(serve(keeps_the_rest))
    for _ in range(2):
        with bucket.get_object("k") as body:
            assert next(body.blocks()) == b"x" * 1000


def test_lost_connection_is_tried_again_on_another_one(serve: Serve, connect: Connect) -> None:
    answers = [b"", b"HTTP/1.1 20", acknowledgement(b"x")]

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answers.pop(0))

    server = serve(script)
    connect(server, QUICK).put_object("k", b"x")
    assert (server.connections, [request.body for request in server.requests]) == (3, [b"x"] * 3)


def test_connection_the_server_has_closed_meanwhile_is_replaced(
    serve: Serve, connect: Connect
) -> None:
    server = serve(once(error_answer(404, "NoSuchKey")))
    bucket = connect(server, QUICK)
    for _ in range(3):
        with pytest.raises(NoSuchKeyError):
            bucket.delete_object("k")
    assert server.connections == 3


def test_body_after_a_head_answer_does_not_confuse_the_next_call(
    serve: Serve, connect: Connect
) -> None:
    server = serve(answering(answer(200, b"a body where none belongs"), acknowledgement(b"x")))
    bucket = connect(server, QUICK)
    assert bucket.head_object("k").size == 25
    assert bucket.put_object("k", b"x").etag == "opaque"
