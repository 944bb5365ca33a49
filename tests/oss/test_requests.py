"""What goes over the wire: exactly what was signed, to the one host, and nothing of the user's."""

import contextlib
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable import Bucket, Credentials
from resumable.errors import InvalidArgumentError, NoSuchKeyError, ServerError
from resumable.oss.signing import SignatureVersion
from resumable.server import LocalServer
from tests.oss.conftest import KEYS, ONCE, Connect, Serve
from tests.oss.rawserver import RawServer, acknowledgement, answer, answering, error_answer
from tests.support import CREDENTIALS, content

ODD_KEYS: dict[str, dict[str, str]] = json.loads((KEYS / "keys.json").read_text(encoding="utf-8"))
odd_keys = pytest.mark.parametrize(
    ("key", "path"), [(row["key"], row["path"]) for row in ODD_KEYS.values()], ids=ODD_KEYS
)


@odd_keys
def test_key_goes_out_as_it_is_signed(serve: Serve, connect: Connect, key: str, path: str) -> None:
    server = serve(answering(acknowledgement(b"x")))
    connect(server).put_object(key, b"x")
    assert server.requests[0].target == f"/examplebucket/{path}"


@odd_keys
@pytest.mark.parametrize("version", ["v1", "v4"])
def test_server_finds_the_signature_and_the_key_right(
    server: LocalServer, version: SignatureVersion, key: str, path: str
) -> None:
    with bucket_on(server, version) as bucket:
        bucket.put_object(key, b"content", headers={"x-oss-meta-a": "b c"})
        assert content(bucket, key) == b"content"
    assert {(exchange.key, exchange.signature) for exchange in server.log} == {(key, version)}


def bucket_on(
    server: LocalServer | RawServer,
    version: SignatureVersion = "v4",
    credentials: Credentials = CREDENTIALS,
) -> Bucket:
    return Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=credentials,
        signature_version=version,
        retry=ONCE,
    )


def test_query_goes_out_as_it_is_signed(serve: Serve, connect: Connect) -> None:
    server = serve(answering(acknowledgement(b"x")))
    connect(server).upload_part("k", "a+b/c=d&e%20?#", 7, b"x")
    query = "partNumber=7&uploadId=a%2Bb%2Fc%3Dd%26e%2520%3F%23"
    assert server.requests[0].target == f"/examplebucket/k?{query}"


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize("token", [None, "token"])
def test_only_these_headers_go_out(
    serve: Serve, version: SignatureVersion, token: str | None
) -> None:
    server = serve(answering(acknowledgement(b"x")))
    with bucket_on(server, version, Credentials("id", "secret", token)) as bucket:
        bucket.put_object("k", b"x")
    expected = {
        "host", "user-agent", "accept-encoding", "content-length", "content-md5", "authorization",
        "content-type",
    } | ({"date"} if version == "v1" else {"x-oss-date", "x-oss-content-sha256"})  # fmt: skip
    sent = server.requests[0].headers
    assert set(sent) == expected | ({"x-oss-security-token"} if token else set())
    assert sent["accept-encoding"] == "identity"
    assert sent["user-agent"].startswith("resumable/")
    assert sent["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("size", [0, 1, 262_144, 3_000_000])
def test_body_goes_out_with_its_length_and_as_it_is(
    serve: Serve, connect: Connect, size: int
) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    server = serve(answering(acknowledgement(data[:size])))
    connect(server).upload_part("k", "U", 1, data[:size])
    assert server.requests[0].headers["content-length"] == str(size)
    assert "transfer-encoding" not in server.requests[0].headers
    assert server.requests[0].body == data[:size]


CALLS_WITHOUT_A_BODY: dict[str, Callable[[Bucket], object]] = {
    "GET": lambda bucket: bucket.list_parts("k", "U"),
    "HEAD": lambda bucket: bucket.head_object("k"),
    "DELETE": lambda bucket: bucket.delete_object("k"),
}


@pytest.mark.parametrize("method", CALLS_WITHOUT_A_BODY)
def test_call_without_a_body_announces_none(serve: Serve, connect: Connect, method: str) -> None:
    server = serve(answering(answer(404)))
    with pytest.raises(ServerError):
        CALLS_WITHOUT_A_BODY[method](connect(server))
    sent = server.requests[0]
    assert sent.method == method
    assert not {"content-length", "transfer-encoding", "content-type"} & set(sent.headers)


def test_caller_s_headers_go_out_with_their_values(serve: Serve, connect: Connect) -> None:
    server = serve(answering(acknowledgement(b"x")))
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Oss-Meta-A": "~!@#$%^&*()_+ b"}
    connect(server).put_object("k", b"x", headers=headers)
    sent = server.requests[0].headers
    assert sent["content-type"] == "text/plain; charset=utf-8"
    assert sent["x-oss-meta-a"] == "~!@#$%^&*()_+ b"


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize("value", ["", "two  spaces", " around ", "trailing "])
def test_white_space_in_a_header_does_not_break_the_signature(
    server: LocalServer, version: SignatureVersion, value: str
) -> None:
    with bucket_on(server, version) as bucket:
        bucket.put_object("k", b"x", headers={"x-oss-meta-a": value})
        assert bucket.head_object("k").headers["x-oss-meta-a"] == value.strip()


BAD_VALUES = ["a\r\nHost: evil", "a\nb", "a\rb", "a\x00b", "a\x01b", "a\x7fb", "a\tb", "a\x85b",
              "\ud800"]  # fmt: skip
BAD_NAMES = ["", " ", "a b", "a:b", "a\r\nb", "a\nb", "a\x00", "中", "a(b)", 'a"b', "x-oss-meta-é"]


@pytest.mark.parametrize("value", BAD_VALUES, ids=ascii)
def test_control_characters_in_a_header_are_refused_before_any_request(
    serve: Serve, connect: Connect, value: str
) -> None:
    server = serve(answering(acknowledgement(b"x")))
    with pytest.raises(InvalidArgumentError, match="x-oss-meta-a") as refused:
        connect(server).put_object("k", b"x", headers={"x-oss-meta-a": value})
    assert "Percent-encode" in refused.value.advice
    assert server.connections == 0


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_name_that_is_none_is_refused_before_any_request(
    serve: Serve, connect: Connect, name: str
) -> None:
    server = serve(answering(acknowledgement(b"x")))
    with pytest.raises(InvalidArgumentError, match="not a header name"):
        connect(server).put_object("k", b"x", headers={name: "v"})
    assert server.connections == 0


RESERVED = [
    "Authorization", "Connection", "Content-Length", "Date", "Expect", "Host", "TE", "Trailer",
    "Transfer-Encoding", "Upgrade", "x-oss-content-sha256", "x-oss-date", "X-Oss-Security-Token",
]  # fmt: skip


@pytest.mark.parametrize("name", RESERVED)
def test_header_that_frames_or_signs_is_not_the_caller_s_to_set(
    serve: Serve, connect: Connect, name: str
) -> None:
    server = serve(answering(acknowledgement(b"x")))
    with pytest.raises(InvalidArgumentError, match=f"{name} is set by this library alone"):
        connect(server).put_object("k", b"x", headers={name: "v"})
    assert server.connections == 0


@pytest.mark.parametrize(
    "headers", [{"a": 1}, {"a": None}, {"a": b"v"}, {1: "v"}, [("a", "v")], 7], ids=str
)
def test_headers_of_other_types_are_refused_before_any_request(
    serve: Serve, connect: Connect, headers: object
) -> None:
    server = serve(answering(acknowledgement(b"x")))
    with pytest.raises(InvalidArgumentError):
        connect(server).delete_object("k", headers=headers)  # type: ignore[arg-type]
    assert server.connections == 0


@pytest.mark.parametrize("key", ["", "/a", "\\a", "k" * 1024, "a\ud800"], ids=ascii)
def test_bad_key_is_refused_before_any_request(serve: Serve, connect: Connect, key: str) -> None:
    server = serve(answering(acknowledgement(b"x")))
    with pytest.raises(InvalidArgumentError):
        connect(server).put_object(key, b"x")
    assert server.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("elsewhere", [True, False], ids=["another host", "the same host"])
def test_redirect_is_never_followed(
    serve: Serve, connect: Connect, status: int, elsewhere: bool
) -> None:
    second = serve(answering(acknowledgement(b"secret")))
    target = f"{second.endpoint}/examplebucket/k" if elsewhere else "/examplebucket/other"
    first = serve(answering(answer(status, headers={"Location": target})))
    with pytest.raises(ServerError, match="redirects elsewhere, which is never followed") as told:
        connect(first).upload_part("k", "U", 1, b"secret")
    assert (told.value.status, told.value.tries) == (status, 1)
    assert len(first.requests) == 1
    assert second.connections == 0


def test_netrc_is_not_read(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(
        "machine 127.0.0.1 login somebody password topsecret\ndefault login a password b"
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(answering(acknowledgement(b"x")))
    connect(server).put_object("k", b"x")
    assert server.requests[0].headers["authorization"].startswith("OSS4-HMAC-SHA256 ")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_proxy_of_the_environment_is_not_used(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    proxy = serve(answering(answer(502)))
    monkeypatch.setenv(name, proxy.endpoint)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server = serve(answering(acknowledgement(b"x")))
    connect(server).put_object("k", b"x")
    assert len(server.requests) == 1
    assert proxy.connections == 0


def test_cookies_are_not_kept(serve: Serve, connect: Connect) -> None:
    server = serve(answering(acknowledgement(b"x", {"Set-Cookie": "session=1; Path=/"})))
    bucket = connect(server)
    for _ in range(2):
        bucket.put_object("k", b"x")
    assert "cookie" not in server.requests[1].headers


def test_connection_is_used_again(serve: Serve, connect: Connect) -> None:
    server = serve(answering(acknowledgement(b"x")))
    bucket = connect(server)
    for _ in range(5):
        bucket.put_object("k", b"x")
    assert (server.connections, len(server.requests)) == (1, 5)


def test_connection_is_used_again_after_a_refusal(serve: Serve, connect: Connect) -> None:
    server = serve(answering(error_answer(404, "NoSuchKey")))
    bucket = connect(server)
    for _ in range(3):
        with pytest.raises(NoSuchKeyError):
            bucket.delete_object("k")
    assert (server.connections, len(server.requests)) == (1, 3)


def test_credentials_are_asked_for_with_each_request(serve: Serve) -> None:
    server = serve(answering(acknowledgement(b"x")))
    tokens = iter(["first", "second"])
    bucket = Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=lambda: Credentials("id", "secret", next(tokens)),
    )
    with bucket:
        for _ in range(2):
            bucket.put_object("k", b"x")
    sent = [request.headers["x-oss-security-token"] for request in server.requests]
    assert sent == ["first", "second"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_child_does_not_use_its_parent_s_connections(serve: Serve, connect: Connect) -> None:
    """They would get each other's answers."""
    server = serve(answering(acknowledgement(b"x")))
    bucket = connect(server)
    bucket.put_object("k", b"x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that this process has threads
        child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            bucket.put_object("k", b"x")
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    bucket.put_object("k", b"x")
    assert (server.connections, len(server.requests)) == (2, 3)
