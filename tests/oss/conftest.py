"""Servers of raw sockets, and buckets on them."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from resumable import Bucket, RetryPolicy
from tests.oss.homes import Home
from tests.oss.rawserver import RawServer, Script
from tests.support import local_bucket

KEYS = Path(__file__).parents[2] / "fixtures" / "keys"
ONCE = RetryPolicy(attempts=1)

# A slow machine is no failure of a property, and each test has a timeout anyway.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

VARIABLES = (
    "OSS_ACCESS_KEY_ID OSS_ACCESS_KEY_SECRET OSS_SESSION_TOKEN OSS_ENDPOINT OSS_REGION "
    "OSSUTIL_CONFIG_FILE OSSUTIL_PROFILE ALIBABA_CLOUD_CONFIG_FILE ALIBABA_CLOUD_PROFILE "
    "ALIBABA_CLOUD_ACCESS_KEY_ID ALIBABA_CLOUD_ACCESS_KEY_SECRET ALIBABA_CLOUD_SECURITY_TOKEN "
    "ALIBABA_CLOUD_CREDENTIALS_FILE ALIBABA_CLOUD_CREDENTIALS_URI ALIBABA_CLOUD_ECS_METADATA "
    "ALIBABA_CLOUD_ECS_METADATA_DISABLED ALIBABA_CLOUD_OIDC_PROVIDER_ARN "
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE ALIBABA_CLOUD_ROLE_ARN HTTP_PROXY http_proxy"
).split()

Serve = Callable[..., RawServer]
Connect = Callable[..., Bucket]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts raw servers, which end with the test."""
    started: list[RawServer] = []

    def start(script: Script, tls: ssl.SSLContext | None = None) -> RawServer:
        started.append(RawServer(script, tls))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes buckets on raw servers; without retries unless a policy is given."""
    made: list[Bucket] = []

    def make(server: RawServer, retry: RetryPolicy = ONCE, timeout: float = 20.0) -> Bucket:
        made.append(local_bucket(server.endpoint, retry=retry, timeout=timeout))
        return made[-1]

    yield make
    for bucket in made:
        bucket.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of this test's own, and no variable set that says where a bucket is and who asks."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return Home(folder)
