"""A key that is refused because it has ended: another is taken, once, or the refusal stands."""

import logging
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from resumable import Bucket, Credentials
from resumable.errors import AccessDeniedError, CredentialsError, ServerError, TokenExpiredError
from resumable.oss.credentials import CredentialsProvider
from resumable.oss.signing import SignatureVersion
from resumable.server import AccessKey, LocalServer
from tests.oss.conftest import ONCE
from tests.oss.homes import Home
from tests.support import content, random_bytes

DATA = random_bytes(300_000, 4)
OLD, NEW = (Credentials(name, f"{name}secret", f"{name}token") for name in ("old", "new"))
FORGOTTEN = Credentials("forgotten", "forgottensecret", "token")
WRONG_TOKEN = Credentials("new", "newsecret", "oldtoken")
UNSIGNED = Credentials("new", "wrongsecret", "newtoken")

Connect = Callable[..., Bucket]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    keys = {
        "old": AccessKey("oldsecret", "oldtoken", expires_at=time.time() - 60),
        "new": AccessKey("newsecret", "newtoken"),
    }
    with LocalServer(tmp_path / "server-root", access_keys=keys) as running:
        yield running


@pytest.fixture
def connect(server: LocalServer) -> Iterator[Connect]:
    """Makes buckets whose requests are tried once."""
    made: list[Bucket] = []

    def make(
        credentials: Credentials | CredentialsProvider | None,
        signature_version: SignatureVersion = "v4",
    ) -> Bucket:
        bucket = Bucket(
            "examplebucket",
            endpoint=server.endpoint,
            region="cn-hangzhou",
            credentials=credentials,
            signature_version=signature_version,
            retry=ONCE,
        )
        made.append(bucket)
        return bucket

    yield make
    for bucket in made:
        bucket.close()


def giving(*credentials: Credentials) -> CredentialsProvider:
    """A provider that gives these one after the other, and the last one ever after."""
    left = list(credentials)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def get(bucket: Bucket) -> None:
    assert content(bucket, "k") == DATA


CALLS: dict[str, Callable[[Bucket], object]] = {
    "PutObject": lambda bucket: bucket.put_object("k", DATA),
    "GetObject": get,
    "HeadObject": lambda bucket: bucket.head_object("k"),
    "InitiateMultipartUpload": lambda bucket: bucket.init_multipart_upload("k"),
}


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (OLD, "SecurityTokenExpired"),
        (WRONG_TOKEN, "InvalidSecurityToken"),
        (FORGOTTEN, "InvalidAccessKeyId"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_call_that_is_refused_with_an_old_key_is_made_again_with_a_new_one(
    server: LocalServer,
    connect: Connect,
    call: Callable[[Bucket], object],
    refused: Credentials,
    code: str,
    version: SignatureVersion,
) -> None:
    connect(NEW).put_object("k", DATA)
    server.log.clear()
    call(connect(giving(refused, NEW), version))
    assert [exchange.code for exchange in server.log] == [code, None]
    assert content(connect(NEW), "k") == DATA


def test_change_of_keys_is_told_in_the_log_without_a_secret(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "resumable"):
        connect(giving(OLD, NEW)).put_object("k", DATA)
    assert "access key old was refused (SecurityTokenExpired), going on with new" in caplog.text
    assert "oldtoken" not in caplog.text


def test_key_with_a_wrong_expiry_is_renewed_when_it_is_refused(
    server: LocalServer, connect: Connect
) -> None:
    lasting = (
        Credentials(key.access_key_id, key.access_key_secret, key.security_token, time.time() + 9e5)
        for key in (OLD, NEW)
    )
    bucket = connect(lasting.__next__)
    for _ in range(3):
        bucket.put_object("k", DATA)
    assert [exchange.status for exchange in server.log] == [403, 200, 200, 200]


@pytest.mark.parametrize("given", [OLD, giving(OLD)], ids=["fixed", "provider with nothing new"])
def test_token_that_has_expired_is_a_refusal_that_says_what_to_do(
    server: LocalServer, connect: Connect, given: Credentials | CredentialsProvider
) -> None:
    with pytest.raises(TokenExpiredError) as refused:
        connect(given).put_object("k", DATA)
    error = refused.value
    assert (error.status, error.code, error.fault) == (403, "SecurityTokenExpired", "caller")
    assert (error.retryable, error.tries, len(server.log)) == (False, 1, 1)
    assert "expired" in str(error)
    assert "callable" in error.advice


def test_token_of_the_environment_is_not_asked_for_again(
    server: LocalServer, connect: Connect, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(
        ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SESSION_TOKEN"),
        ("old", "oldsecret", "oldtoken"),
        strict=True,
    ):
        monkeypatch.setenv(f"OSS_{name}", value)
    with pytest.raises(TokenExpiredError):
        connect(None).put_object("k", DATA)
    assert len(server.log) == 1


def test_configuration_file_is_read_again(
    server: LocalServer, connect: Connect, home: Home
) -> None:
    def write(key: Credentials) -> None:
        home.profile(
            mode="StsToken",
            access_key_id=key.access_key_id,
            access_key_secret=key.access_key_secret,
            sts_token=key.security_token,
        )

    write(OLD)
    bucket = connect(None)
    with pytest.raises(TokenExpiredError):
        bucket.put_object("k", DATA)
    write(NEW)
    bucket.put_object("k", DATA)
    assert [exchange.status for exchange in server.log] == [403, 403, 200]


def test_endless_row_of_refused_keys_ends(server: LocalServer, connect: Connect) -> None:
    numbers = count()
    with pytest.raises(AccessDeniedError) as refused:
        connect(lambda: Credentials(f"k{next(numbers)}", "x", "y")).put_object("k", DATA)
    assert refused.value.code == "InvalidAccessKeyId"
    assert refused.value.tries == len(server.log) == 4


def test_no_key_is_tried_twice(server: LocalServer, connect: Connect) -> None:
    turns = count()
    with pytest.raises(ServerError):
        connect(lambda: (OLD, FORGOTTEN)[next(turns) % 2]).put_object("k", DATA)
    assert [exchange.code for exchange in server.log] == [
        "SecurityTokenExpired",
        "InvalidAccessKeyId",
    ]


def test_other_refusal_is_not_cured_by_another_key(server: LocalServer, connect: Connect) -> None:
    with pytest.raises(AccessDeniedError, match="SignatureDoesNotMatch"):
        connect(giving(UNSIGNED, NEW)).put_object("k", DATA)
    assert len(server.log) == 1


def test_provider_that_fails_when_it_is_needed_ends_the_call(
    server: LocalServer, connect: Connect
) -> None:
    given = iter([OLD])
    with pytest.raises(CredentialsError, match="failed with StopIteration"):
        connect(given.__next__).put_object("k", DATA)
    assert len(server.log) == 1


def test_bad_call_does_not_ask_the_provider(connect: Connect) -> None:
    asked = count()
    bucket = connect(lambda: Credentials(str(next(asked)), "x"))
    with pytest.raises(ValueError, match="key"):
        bucket.put_object("/k", DATA)
    assert next(asked) == 0
