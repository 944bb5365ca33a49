"""How a bucket is addressed, seen from the other end: the name looked up, the Host, the target."""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from resumable import Bucket
from resumable.errors import ConnectionFailedError
from resumable.oss.endpoint import Style
from tests.oss.conftest import ONCE, Serve
from tests.oss.homes import Home
from tests.oss.rawserver import acknowledgement, answering
from tests.oss.test_tls import TRUSTED, tls
from tests.support import CREDENTIALS

__all__ = ["tls"]

Lead = Callable[[int | None], list[str]]


@pytest.fixture
def lead_here(monkeypatch: pytest.MonkeyPatch) -> Lead:
    """Makes every name one of this machine, at a port if one is given; tells who was looked up."""
    real, looked_up = socket.getaddrinfo, list[str]()

    def begin(port: int | None = None) -> list[str]:
        def look_up(host: str, wanted: int, *rest: Any, **more: Any) -> list[Any]:  # noqa: ANN401
            if host != "127.0.0.1" or not looked_up:  # else it is what a name led to
                looked_up.append(host)
            return real("127.0.0.1", port or wanted, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return looked_up

    return begin


@dataclass(frozen=True)
class Address:
    """An endpoint, and what must be seen at the other end."""

    endpoint: str
    style: Style | None
    host: str
    target: str


ADDRESSES = [
    Address("oss-cn-hangzhou.aliyuncs.com", None,
            "examplebucket.oss-cn-hangzhou.aliyuncs.com", "/a%20b"),
    Address("oss-cn-hangzhou-internal.aliyuncs.com", None,
            "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com", "/a%20b"),
    Address("oss-accelerate.aliyuncs.com", None,
            "examplebucket.oss-accelerate.aliyuncs.com", "/a%20b"),
    Address("files.example.com", "cname", "files.example.com", "/a%20b"),
    Address("files.example.com", "path", "files.example.com", "/examplebucket/a%20b"),
    Address("127.0.0.1", None, "127.0.0.1", "/examplebucket/a%20b"),
    Address("127.0.0.1", "cname", "127.0.0.1", "/a%20b"),
    Address("localhost", "virtual", "examplebucket.localhost", "/a%20b"),
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda one: f"{one.endpoint}-{one.style}")
def test_request_goes_to_the_host_of_its_endpoint_and_style(
    serve: Serve, lead_here: Lead, address: Address
) -> None:
    server = serve(answering(acknowledgement(b"x")))
    looked_up = lead_here(None)
    bucket = Bucket(
        "examplebucket",
        endpoint=f"http://{address.endpoint}:{server.port}",
        style=address.style,
        credentials=CREDENTIALS,
        retry=ONCE,
    )
    with bucket:
        bucket.put_object("a b", b"x")
    (request,) = server.requests
    assert (request.headers["host"], request.target) == (
        f"{address.host}:{server.port}", address.target
    )  # fmt: skip
    assert looked_up == [address.host]


def test_own_name_of_a_bucket_is_used_over_tls(serve: Serve, tls: ssl.SSLContext) -> None:
    server = serve(answering(acknowledgement(b"x")), tls)
    bucket = Bucket(
        "examplebucket",
        endpoint=f"localhost:{server.port}",
        style="cname",
        credentials=CREDENTIALS,
        retry=ONCE,
        ca_bundle=TRUSTED,
    )
    with bucket:
        bucket.put_object("k", b"x")
    assert [request.target for request in server.requests] == ["/k"]


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({}, "oss-cn-hangzhou.aliyuncs.com"),
        ({"internal": True}, "oss-cn-hangzhou-internal.aliyuncs.com"),
        ({"accelerate": True}, "oss-accelerate.aliyuncs.com"),
        ({"accelerate": "overseas"}, "oss-accelerate-overseas.aliyuncs.com"),
    ],
    ids=str,
)
def test_endpoint_of_a_region_is_asked_for_its_certificate(
    serve: Serve,
    tls: ssl.SSLContext,
    lead_here: Lead,
    home: Home,
    settings: dict[str, Any],
    host: str,
) -> None:
    """Whoever answers in its place gets no request."""
    server = serve(answering(acknowledgement(b"x")), tls)
    looked_up = lead_here(server.port)
    bucket = Bucket(
        "examplebucket", region="oss-cn-hangzhou", credentials=CREDENTIALS, retry=ONCE, **settings
    )
    with bucket, pytest.raises(ConnectionFailedError, match="certificate"):
        bucket.put_object("k", b"x")
    assert bucket.endpoint == f"https://{host}"
    assert looked_up == [f"examplebucket.{host}"]
    assert server.connections == 1
    assert server.requests == []
