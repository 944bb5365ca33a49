"""What a bucket is made of: its settings, where they come from, and which are refused."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from resumable import Bucket, RetryPolicy
from resumable.errors import CredentialsError, InvalidArgumentError
from resumable.server import LocalServer
from tests.support import CREDENTIALS


def made(**settings: Any) -> Bucket:  # noqa: ANN401 - handed through
    usual: dict[str, Any] = {"credentials": CREDENTIALS, "endpoint": "oss-cn-hangzhou.aliyuncs.com"}
    return Bucket("examplebucket", **usual | settings)


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("OSS_ENDPOINT", "OSS_REGION"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_bucket_tells_what_it_is(no_settings: pytest.MonkeyPatch) -> None:
    bucket = made()
    assert (bucket.name, bucket.endpoint) == (
        "examplebucket",
        "https://oss-cn-hangzhou.aliyuncs.com",
    )


def test_endpoint_and_region_come_from_the_environment(
    tmp_path: Path, no_settings: pytest.MonkeyPatch
) -> None:
    with LocalServer(tmp_path, region="cn-beijing") as server:
        no_settings.setenv("OSS_ENDPOINT", server.endpoint)
        no_settings.setenv("OSS_REGION", "cn-beijing")
        with Bucket("examplebucket", credentials=CREDENTIALS) as bucket:
            bucket.put_object("k", b"x")
        assert server.log[0].signature == "v4"


@pytest.mark.parametrize("endpoint", [None, ""])
def test_bucket_without_an_endpoint_is_refused(
    no_settings: pytest.MonkeyPatch, endpoint: str | None
) -> None:
    with pytest.raises(InvalidArgumentError, match="OSS_ENDPOINT"):
        made(endpoint=endpoint)


BAD_SETTINGS: dict[str, dict[str, Any]] = {
    "V4 without a region": {"endpoint": "http://127.0.0.1", "signature_version": "v4"},
    "unknown signature": {"signature_version": "v2"},
    "bad endpoint": {"endpoint": "ftp://host"},
    "unknown style": {"style": "sideways"},
    "endpoint that is no text": {"endpoint": 7},
    "no time to connect": {"connect_timeout": 0},
    "negative timeout": {"timeout": -1.0},
    "endless timeout": {"timeout": float("inf")},
    "timeout that is no number": {"timeout": "60"},
    "timeout of nan": {"timeout": float("nan")},
    "no timeout": {"timeout": None},
    "virtual-hosted on an address": {"endpoint": "http://127.0.0.1", "style": "virtual"},
}


@pytest.mark.parametrize("settings", BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_setting_is_refused_at_once(
    no_settings: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError):
        made(**settings)


def test_credentials_that_are_none_are_refused_at_once() -> None:
    with pytest.raises(CredentialsError):
        made(credentials=("id", "secret"))


@pytest.mark.parametrize(
    "policy",
    [
        {"attempts": 0}, {"attempts": -1}, {"attempts": 1.5}, {"attempts": "8"},
        {"base": -0.1}, {"base": "1"}, {"longest_wait": -1}, {"longest_retry_after": None},
        {"give_up_after": -1}, {"give_up_after": float("nan")},
    ],
    ids=str,
)  # fmt: skip
def test_policy_that_cannot_be_kept_is_refused_at_once(policy: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        RetryPolicy(**policy)


@pytest.mark.parametrize(
    ("settings", "version"),
    [({}, "v1"), ({"region": "cn-hangzhou"}, "v4"),
     ({"region": "cn-hangzhou", "signature_version": "v1"}, "v1")],
)  # fmt: skip
def test_v4_is_used_where_the_region_is_known(
    server: LocalServer,
    no_settings: pytest.MonkeyPatch,
    settings: dict[str, Any],
    version: str,
) -> None:
    with made(endpoint=server.endpoint, **settings) as bucket:
        bucket.put_object("k", b"x")
    assert server.log[0].signature == version


@pytest.mark.parametrize("region", ["cn-hangzhou\n", "cn-hangzhou ", "cn\r\nx-evil: 1", "中国"])
def test_region_that_cannot_be_one_is_refused_at_once(region: str) -> None:
    with pytest.raises(InvalidArgumentError, match="region"):
        made(region=region)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_local_server_is_reached_by_each_of_its_names(tmp_path: Path, host: str) -> None:
    with ExitStack() as running:
        try:
            server = running.enter_context(LocalServer(tmp_path, host=host))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        bucket = running.enter_context(made(endpoint=server.endpoint, region="cn-hangzhou"))
        bucket.put_object("a b", b"x")
        assert bucket.head_object("a b").size == 1


def test_name_of_several_addresses_is_tried_at_each(server: LocalServer) -> None:
    """Where localhost is ::1 as well, nobody listens there."""
    with made(endpoint=f"http://localhost:{server.port}", region="cn-hangzhou") as bucket:
        assert bucket.put_object("k", b"x").crc64
    assert len(server.log) == 1
