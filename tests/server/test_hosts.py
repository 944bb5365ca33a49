"""What the host of a request says: nothing, the bucket, or the region that it is signed for."""

import email.utils
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.support import CREDENTIALS

from .raw import RawClient, Reply, v1_authorization, v4_headers


@pytest.fixture
def named(tmp_path: Path) -> Iterator[LocalServer]:
    with LocalServer(tmp_path / "named", domains=["OSS.internal."]) as running:
        yield running


def ask(client: RawClient, host: str, path: str, signed: str, version: str = "v4") -> Reply:
    headers = {"Date": email.utils.formatdate(usegmt=True)}
    if version == "v4":
        headers |= v4_headers("GET", signed, headers)
    else:
        headers["Authorization"] = v1_authorization("GET", signed, headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    client.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode())
    return client.reply()


HOSTS = [
    pytest.param("oss:9000", "/bucket/dir/key", id="service-by-path"),
    pytest.param("bucket.oss:9000", "/dir/key", id="service-by-name"),
    pytest.param("oss.example.com", "/bucket/dir/key", id="name-by-path"),
    pytest.param("bucket.oss.example.com", "/dir/key", id="name-by-name"),
    pytest.param("bucket.oss.example.com", "/bucket/dir/key", id="name-like-a-bucket-by-path"),
    pytest.param("bucket", "/dir/key", id="bucket-alone"),
    pytest.param("localhost:9000", "/bucket/dir/key", id="localhost"),
    pytest.param("bucket.localhost:9000", "/dir/key", id="localhost-by-name"),
    pytest.param("127.0.0.1", "/bucket/dir/key", id="address"),
    pytest.param("[::1]:9000", "/bucket/dir/key", id="address-6"),
]


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize(("host", "path"), HOSTS)
def test_the_signature_decides_what_the_host_leaves_open(
    client: RawClient, host: str, path: str, version: str
) -> None:
    client.call("PUT", "/dir/key", b"x")
    assert ask(client, host, path, "/bucket/dir/key", version).body == b"x"


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("oss.internal:9000", "/bucket/dir/key"),
        ("bucket.oss.internal", "/dir/key"),
        ("Bucket.OSS.Internal.", "/dir/key"),
    ],
)
def test_a_domain_decides_it_by_itself(named: LocalServer, host: str, path: str) -> None:
    with RawClient(named.port) as client:
        client.call("PUT", "/dir/key", b"x")
        assert ask(client, host, path, "/bucket/dir/key").body == b"x"


def test_a_host_below_a_domain_is_no_server(named: LocalServer) -> None:
    with RawClient(named.port) as client:
        client.call("PUT", "/dir/key", b"x")
        reply = ask(client, "other.oss.internal", "/bucket/dir/key", "/bucket/dir/key")
        assert reply.code == "SignatureDoesNotMatch"


def test_the_log_names_what_was_meant(server: LocalServer, client: RawClient) -> None:
    ask(client, "oss:9000", "/bucket/dir/key", "/bucket/dir/key")
    ask(client, "bucket.oss:9000", "/dir/key", "/bucket/dir/key")
    assert [(each.bucket, each.key) for each in server.log] == [("bucket", "dir/key")] * 2


def test_a_wrong_signature_is_judged_by_the_likeliest_reading(client: RawClient) -> None:
    reply = ask(client, "bucket.oss.example.com", "/dir/key", "/bucket/another")
    assert reply.code == "SignatureDoesNotMatch"
    assert "/bucket/dir/key" in reply.find("CanonicalRequest")


def test_the_library_reaches_it_by_name_in_path_style(server: LocalServer) -> None:
    endpoint = f"http://localhost:{server.port}"
    with Bucket(
        "examplebucket",
        endpoint=endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        style="path",
    ) as bucket:
        bucket.put_object("k", b"content")
    assert [(each.bucket, each.key) for each in server.log] == [("examplebucket", "k")]


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ("cn-beijing/oss", "region"),
        ("oss-cn-hangzhou/oss", "region"),
        ("CN-HANGZHOU/oss", "region"),
        ("cn-hangzhou/oss-cloudbox", "product"),
        ("cn-hangzhou", "product"),
    ],
)
def test_a_signature_for_another_scope_is_refused_as_oss_does(
    client: RawClient, scope: str, told: str
) -> None:
    reply = client.call("GET", "/", headers=v4_headers("GET", "/bucket/", {}, scope))
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert told in reply.find("Message")
    assert reply.find("EC") == {"region": "0002-00000226", "product": "0002-00000227"}[told]


def test_the_region_of_the_server_is_its_own(tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path, region="eu-central-1") as server,
        RawClient(server.port) as client,
    ):
        client.call("PUT", "/", b"")
        right = v4_headers("GET", "/bucket/key", {}, "eu-central-1/oss")
        wrong = v4_headers("GET", "/bucket/key", {})
        assert client.call("GET", "/key", headers=right).code == "NoSuchKey"
        assert client.call("GET", "/key", headers=wrong).code == "InvalidArgument"
        assert client.call("GET", "/?location").find("LocationConstraint") == "oss-eu-central-1"
