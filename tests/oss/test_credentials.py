"""Access keys: where they come from, what is refused, and that they stay out of sight."""

import pickle
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from resumable import Bucket
from resumable.errors import CredentialsError
from resumable.oss.credentials import Credentials, credentials_from_environment, expiry_of

ID, SECRET, TOKEN = "LTAIexample", "topsecret", "ststoken"
KEY = {"OSS_ACCESS_KEY_ID": ID, "OSS_ACCESS_KEY_SECRET": SECRET}


@pytest.mark.parametrize(
    ("environ", "token"),
    [
        (KEY, None),
        (KEY | {"OSS_SESSION_TOKEN": TOKEN}, TOKEN),
        (KEY | {"OSS_SESSION_TOKEN": ""}, None),
    ],
    ids=["permanent", "temporary", "empty token"],
)
def test_access_key_is_read_from_the_environment(
    environ: Mapping[str, str], token: str | None
) -> None:
    assert credentials_from_environment(environ) == Credentials(ID, SECRET, token)


@pytest.mark.parametrize(
    "environ",
    [{}, dict.fromkeys(KEY, ""), {"ACCESS_KEY_ID": ID, "ACCESS_KEY_SECRET": SECRET}],
    ids=["nothing", "empty", "other names"],
)
def test_environment_without_an_access_key_has_none(environ: Mapping[str, str]) -> None:
    assert credentials_from_environment(environ) is None


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OSS_ACCESS_KEY_ID": ID}, ": OSS_ACCESS_KEY_SECRET not set"),
        ({"OSS_ACCESS_KEY_SECRET": SECRET}, ": OSS_ACCESS_KEY_ID not set"),
        ({"OSS_ACCESS_KEY_ID": "", "OSS_ACCESS_KEY_SECRET": SECRET}, ": OSS_ACCESS_KEY_ID not set"),
        ({"OSS_SESSION_TOKEN": TOKEN}, ": OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET not set"),
    ],
)
def test_half_an_access_key_is_an_error_that_names_what_is_missing(
    environ: Mapping[str, str], named: str
) -> None:
    with pytest.raises(CredentialsError) as refused:
        credentials_from_environment(environ)
    assert named in str(refused.value)
    assert "credentials=" in refused.value.advice
    assert SECRET not in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_bucket_without_an_access_key_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CredentialsError, match="OSS_ACCESS_KEY_ID") as refused:
        Bucket("examplebucket", endpoint="oss-cn-hangzhou.aliyuncs.com")
    for place in ("~/.ossutilconfig", "~/.aliyun/config.json", "credentials="):
        assert place in str(refused.value)


NOON = 1893499200.0  # 2030-01-01T12:00:00Z


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, None),
        (NOON, NOON),
        (int(NOON), NOON),
        (datetime(2030, 1, 1, 12, tzinfo=UTC), NOON),
        (datetime(2030, 1, 1, 20, tzinfo=timezone(timedelta(hours=8))), NOON),
        (datetime.fromisoformat("2030-01-01T12:00:00Z"), NOON),
    ],
    ids=str,
)
def test_expiry_is_kept_as_seconds(given: float | datetime | None, seconds: float | None) -> None:
    credentials = Credentials(ID, SECRET, TOKEN, expires_at=given)
    assert credentials.expires_at == expiry_of(credentials) == seconds


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (datetime(2030, 1, 1), "time zone"),  # noqa: DTZ001 - what is refused
        (NOON * 1000, "not milliseconds"),
        (float("nan"), "no moment"),
        (float("inf"), "no moment"),
        ("2030-01-01T12:00:00Z", "no number of seconds"),
        (True, "no number of seconds"),
    ],
    ids=str,
)
def test_expiry_that_is_no_moment_is_refused(wrong: Any, told: str) -> None:  # noqa: ANN401
    with pytest.raises(CredentialsError) as refused:
        Credentials(ID, SECRET, TOKEN, expires_at=wrong)
    assert told in str(refused.value)


def test_credentials_are_the_same_whenever_they_expire() -> None:
    assert Credentials(ID, SECRET, TOKEN, 1.0) == Credentials(ID, SECRET, TOKEN, 2.0)


@pytest.mark.parametrize("place", ["access key id", "access key secret", "security token"])
@pytest.mark.parametrize(
    "wrong",
    ["", " ", "topsecret ", " topsecret", "topsecret\n", "topsecret\r\n", "top secret",
     "topsecret\x00", "topsecret\t", "topsecret\u200b", "topsecret\xa0", "\uff54opsecret"],
    ids=repr,
)  # fmt: skip
def test_value_that_no_key_has_is_refused_and_not_repeated(place: str, wrong: str) -> None:
    values = {"access key id": ID, "access key secret": SECRET, "security token": TOKEN}
    key_id, secret, token = (values | {place: wrong}).values()
    with pytest.raises(CredentialsError) as refused:
        Credentials(key_id, secret, token)
    assert place in str(refused.value)
    assert "white space" in refused.value.advice
    assert "opsecret" not in str(refused.value)


@pytest.mark.parametrize("show", [repr, str, "{}".format, ascii])
def test_secrets_are_not_shown(show: Callable[[object], str]) -> None:
    shown = show(Credentials(ID, SECRET, TOKEN))
    assert ID in shown
    assert SECRET not in shown
    assert TOKEN not in shown


def test_secrets_are_not_in_a_traceback_with_local_variables() -> None:
    def fails(credentials: Credentials) -> None:
        raise ValueError(f"cannot use {credentials}")

    with pytest.raises(ValueError, match=ID) as failed:
        fails(Credentials(ID, SECRET, TOKEN))
    told = traceback.TracebackException.from_exception(failed.value, capture_locals=True)
    innermost = told.stack.format()[-1]
    assert ID in innermost
    assert SECRET not in innermost


def test_credentials_are_values() -> None:
    one = Credentials(ID, SECRET, TOKEN)
    assert one == Credentials(ID, SECRET, TOKEN) == pickle.loads(pickle.dumps(one))
    assert one != Credentials(ID, SECRET, "other")
    with pytest.raises(AttributeError):
        one.access_key_id = "other"  # type: ignore[misc]


def test_repr_of_a_bucket_shows_no_credentials() -> None:
    bucket = Bucket(
        "examplebucket", endpoint="http://127.0.0.1:1", credentials=Credentials(ID, SECRET, TOKEN)
    )
    assert repr(bucket) == "Bucket('examplebucket', endpoint='http://127.0.0.1:1')"
