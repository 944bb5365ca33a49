"""Which buckets there are: those that were named, or whatever is written to."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.server import LocalServer

from .conftest import ServerProcess
from .raw import RawClient

CALLS = [
    ("PUT", "/key"),
    ("GET", "/key"),
    ("HEAD", "/key"),
    ("DELETE", "/key"),
    ("POST", "/key?uploads"),
    ("GET", "/key?uploadId=X"),
    ("GET", "/?uploads"),
    ("GET", "/"),
    ("GET", "/?location"),
    ("PUT", "/"),
]


@pytest.mark.parametrize(("method", "target"), CALLS)
def test_other_buckets_than_the_named_ones_do_not_exist(
    tmp_path: Path, method: str, target: str
) -> None:
    with (
        LocalServer(tmp_path, buckets=["bucket", "second"]) as server,
        RawClient(server.port, bucket="other") as client,
    ):
        reply = client.call(method, target, b"")
        assert (reply.status, reply.code) == (404, "NoSuchBucket")


def test_named_buckets_exist_from_the_start(tmp_path: Path) -> None:
    with LocalServer(tmp_path, buckets=["bucket"]) as server, RawClient(server.port) as client:
        assert client.call("HEAD", "/key").code == "NoSuchKey"
        assert client.call("GET", "/?uploads").status == 200
        assert client.call("PUT", "/key", b"x").status == 200


def test_bucket_that_is_no_longer_named_is_hidden_and_not_lost(tmp_path: Path) -> None:
    with LocalServer(tmp_path) as server, RawClient(server.port) as client:
        client.call("PUT", "/key", b"x")
    with (
        LocalServer(tmp_path, buckets=["second"]) as server,
        RawClient(server.port, bucket="second") as client,
    ):
        source = {"x-oss-copy-source": "/bucket/key"}
        assert client.call("PUT", "/copy", headers=source).code == "NoSuchBucket"
    with LocalServer(tmp_path) as server, RawClient(server.port) as client:
        assert client.call("GET", "/key").body == b"x"


def test_without_names_a_bucket_comes_with_its_first_object(client: RawClient) -> None:
    assert client.call("GET", "/").code == "NoSuchBucket"
    client.call("PUT", "/key", b"x")
    assert client.call("GET", "/").all("Key") == ["key"]


def test_name_that_no_bucket_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="UPPER"):
        LocalServer(tmp_path, buckets=["bucket", "UPPER"])


def test_buckets_are_named_by_option(launch: Callable[..., ServerProcess], tmp_path: Path) -> None:
    server = launch(tmp_path, "--bucket", "bucket", "--bucket", "second")
    for bucket, status in (("bucket", 200), ("second", 200), ("third", 404)):
        with RawClient(server.port, bucket=bucket) as client:
            assert client.call("PUT", "/key", b"x").status == status
