"""Advice that can be followed: the right endpoint, the right style, the right scheme."""

import pytest

from resumable import Bucket, RetryPolicy
from resumable.errors import ConnectionFailedError, ServerError
from resumable.oss.endpoint import Endpoint, Style
from resumable.oss.hints import network_advice, server_advice
from resumable.server import LocalServer
from tests.oss.conftest import ONCE, Connect, Serve
from tests.oss.rawserver import Peer, answer, answering
from tests.support import CREDENTIALS


def unresolved(host: str) -> ConnectionFailedError:
    error = ConnectionFailedError(f"cannot connect to {host}:443: not known")
    error.host, error.is_unresolved = host, True
    return error


@pytest.mark.parametrize(
    ("endpoint", "style", "words"),
    [
        ("https://b.oss-cn-hangzhou.aliyuncs.com", None, ["oss-cn-hangzhou.aliyuncs.com", "cname"]),
        ("https://oss-cn-hangzou.aliyuncs.com", None, ["endpoint", "DNS"]),
        ("http://oss:9000", None, ["style='path'"]),
        ("http://oss:9000", "path", ["endpoint"]),
        ("http://files.example.com", "cname", ["endpoint"]),
    ],
)
def test_host_that_is_not_known(endpoint: str, style: Style | None, words: list[str]) -> None:
    parsed = Endpoint.parse(endpoint, style=style)
    advice = network_advice(unresolved(f"b.{parsed.host}"), "b", parsed)
    assert [word for word in words if word not in advice] == []


def refused(code: str, status: int = 403, endpoint: str = "", request_id: str = "R") -> ServerError:
    error = ServerError("no", status=status, code=code, request_id=request_id)
    error.endpoint = endpoint
    return error


@pytest.mark.parametrize(
    ("error", "told_bucket", "style", "word"),
    [
        (refused("AccessDenied", endpoint="oss-cn-beijing.aliyuncs.com"), "b", None, "region="),
        (refused("AccessDenied", endpoint="oss-cn-beijing.aliyuncs.com"), "b", None, "beijing"),
        (refused("AccessDenied", endpoint="x\n[31m"), "b", None, ""),
        (refused("AccessDenied"), "b", None, ""),
        (refused("NoSuchBucket", 404), "k", "virtual", "style='path'"),
        (refused("NoSuchBucket", 404), "oss", "path", "style='virtual'"),
        (refused("NoSuchBucket", 404), "b", "path", ""),
        (refused("SecondLevelDomainForbidden"), "b", "path", "style='virtual'"),
        (refused("", 400, request_id=""), "", "path", "https://"),
        (refused("InvalidArgument", 400), "", "path", ""),
    ],
)
def test_request_that_is_refused(
    error: ServerError, told_bucket: str, style: Style | None, word: str
) -> None:
    endpoint = Endpoint.parse("http://oss.example.com:9000", style=style)
    advice = server_advice(error, told_bucket, "b", endpoint, "cn-hangzhou")
    assert word in advice
    assert bool(word) == bool(advice)
    assert advice.isprintable()


MOVED = (
    b"<Error><Code>AccessDenied</Code><Message>The bucket you are attempting to access must be "
    b"addressed using the specified endpoint.</Message><RequestId>R</RequestId>"
    b"<Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint></Error>"
)


def test_endpoint_that_the_answer_names_is_in_the_error(serve: Serve, connect: Connect) -> None:
    bucket = connect(serve(answering(answer(403, MOVED))))
    with pytest.raises(ServerError) as failed:
        bucket.init_multipart_upload("k")
    assert failed.value.endpoint == "oss-cn-beijing.aliyuncs.com"
    assert "endpoint='http://oss-cn-beijing.aliyuncs.com'" in str(failed.value)


def bucket_at(endpoint: str, style: Style | None = None) -> Bucket:
    return Bucket(
        "examplebucket",
        endpoint=endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retry=ONCE,
        style=style,
    )


def test_tls_that_meets_a_plain_server_says_so(serve: Serve) -> None:
    def plain(peer: Peer) -> None:
        peer.socket.recv(1)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    port = serve(plain).port
    bucket = bucket_at(f"https://127.0.0.1:{port}")
    with bucket, pytest.raises(ConnectionFailedError) as failed:
        bucket.head_object("k")
    assert failed.value.is_plain
    assert not failed.value.retryable
    assert f"http://127.0.0.1:{port}" in str(failed.value)


def test_bucket_that_stands_twice_in_the_host_is_found() -> None:
    bucket = bucket_at("http://examplebucket.oss.invalid")
    with bucket, pytest.raises(ConnectionFailedError) as failed:
        bucket.head_object("k")
    assert failed.value.is_unresolved
    assert "twice" in str(failed.value)
    assert "endpoint='oss.invalid'" in str(failed.value)


def test_error_without_a_hint_keeps_its_own_advice(server: LocalServer) -> None:
    with Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retry=RetryPolicy(attempts=1),
    ) as bucket:
        server.faults.add({"operation": "PutObject", "effect": {"status": 503, "code": "SlowDown"}})
        with pytest.raises(ServerError) as failed:
            bucket.put_object("k", b"x")
    assert "fewer threads" in failed.value.advice
