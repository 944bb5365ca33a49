"""Access keys: where they come from, what is refused, and that they stay out of sight."""

import pickle
import traceback
from collections.abc import Callable, Mapping

import pytest

from resumable import Bucket
from resumable.errors import CredentialsError
from resumable.oss.credentials import Credentials, credentials_from_environment, provider_of

ID, SECRET, TOKEN = "LTAIexample", "topsecret", "ststoken"


def test_access_key_is_read_from_the_environment() -> None:
    found = credentials_from_environment({"OSS_ACCESS_KEY_ID": ID, "OSS_ACCESS_KEY_SECRET": SECRET})
    assert found == Credentials(ID, SECRET, None)


def test_temporary_access_key_is_read_from_the_environment() -> None:
    environ = {
        "OSS_ACCESS_KEY_ID": ID,
        "OSS_ACCESS_KEY_SECRET": SECRET,
        "OSS_SESSION_TOKEN": TOKEN,
    }
    assert credentials_from_environment(environ) == Credentials(ID, SECRET, TOKEN)


def test_empty_token_is_none() -> None:
    environ = {"OSS_ACCESS_KEY_ID": ID, "OSS_ACCESS_KEY_SECRET": SECRET, "OSS_SESSION_TOKEN": ""}
    assert credentials_from_environment(environ).security_token is None


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET not set"),
        ({"OSS_ACCESS_KEY_ID": ID}, ": OSS_ACCESS_KEY_SECRET not set"),
        ({"OSS_ACCESS_KEY_SECRET": SECRET}, ": OSS_ACCESS_KEY_ID not set"),
        ({"OSS_ACCESS_KEY_ID": "", "OSS_ACCESS_KEY_SECRET": SECRET}, ": OSS_ACCESS_KEY_ID not set"),
        ({"ACCESS_KEY_ID": ID, "ACCESS_KEY_SECRET": SECRET}, "OSS_ACCESS_KEY_ID and"),
    ],
)
def test_missing_access_key_is_named(environ: Mapping[str, str], named: str) -> None:
    with pytest.raises(CredentialsError) as refused:
        credentials_from_environment(environ)
    assert named in str(refused.value)
    assert "credentials=" in refused.value.advice
    assert SECRET not in str(refused.value)


def test_bucket_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", SECRET)
    monkeypatch.delenv("OSS_SESSION_TOKEN", raising=False)
    assert provider_of(None)() == Credentials(ID, SECRET)


def test_bucket_without_an_access_key_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CredentialsError, match="OSS_ACCESS_KEY_ID"):
        Bucket("examplebucket", endpoint="oss-cn-hangzhou.aliyuncs.com")


def test_callable_is_asked_each_time() -> None:
    asked = iter([Credentials(ID, SECRET, "1"), Credentials(ID, SECRET, "2")])
    provider = provider_of(lambda: next(asked))
    assert [provider().security_token, provider().security_token] == ["1", "2"]


@pytest.mark.parametrize("place", ["access key id", "access key secret", "security token"])
@pytest.mark.parametrize(
    "wrong",
    ["", " ", "topsecret ", " topsecret", "topsecret\n", "topsecret\r\n", "top secret",
     "topsecret\x00", "topsecret\t", "topsecret\u200b", "topsecret\xa0", "\uff54opsecret"],
    ids=repr,
)  # fmt: skip
def test_value_that_no_key_has_is_refused_and_not_repeated(place: str, wrong: str) -> None:
    values = {"access key id": ID, "access key secret": SECRET, "security token": TOKEN}
    with pytest.raises(CredentialsError) as refused:
        Credentials(*(values | {place: wrong}).values())
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
