"""What a service that gives credentials answers: kept, renewed, refused, and never told."""

import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator

import pytest

from resumable import Bucket, Credentials, CredentialsError
from resumable.oss.renewal import AccessKeys
from resumable.oss.settings import Wishes, settle
from tests.oss.conftest import ONCE, Serve
from tests.oss.homes import Home
from tests.oss.rawserver import Peer, RawServer, Script, answer

SECRET, TOKEN = "CanarySecretDoNotShow", "CanaryTokenDoNotShow"
SOMEWHERE = "http://127.0.0.1:1"
VARIABLE = "ALIBABA_CLOUD_CREDENTIALS_URI"
Ask = Callable[[Script], tuple[AccessKeys, RawServer]]


def given(number: int = 1, life: float = 3600.0, **other: object) -> bytes:
    """The answer with a key."""
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + life))
    key = {"AccessKeyId": f"STS.{number}", "AccessKeySecret": SECRET, "SecurityToken": TOKEN}
    return answer(200, json.dumps({"Code": "Success", **key, "Expiration": ends, **other}).encode())


def in_turn(*answers: bytes) -> Script:
    """The answers in turn, each on a connection of its own; then the connection is dropped."""
    left = list(answers)

    def script(peer: Peer) -> None:
        if peer.request() is not None and left:
            peer.send(left.pop(0).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        peer.close()

    return script


@pytest.fixture
def ask(serve: Serve, home: Home, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The keys of a service that does what a script says."""

    def start(script: Script) -> tuple[AccessKeys, RawServer]:
        server = serve(script)
        # Such a URL is a secret as well.
        monkeypatch.setenv(VARIABLE, f"{server.endpoint}/credentials?key={SECRET}")
        return settle(Wishes(SOMEWHERE)).keys, server

    return start


def test_key_is_kept_until_shortly_before_its_end(ask: Ask) -> None:
    keys, server = ask(in_turn(given(1), given(2)))
    now = time.time()
    assert [keys.current(now + t).access_key_id for t in (0, 10, 3200)] == ["STS.1"] * 3
    assert len(server.requests) == 1
    assert keys.current(now + 3400).access_key_id == "STS.2"


def test_key_that_is_refused_long_before_its_end_is_replaced(ask: Ask) -> None:
    keys, _ = ask(in_turn(given(1), given(2)))
    now = time.time()
    first = keys.current(now)
    other = keys.renewed(first, now)
    assert other is not None
    assert other.access_key_id == "STS.2"


def test_key_that_is_good_outlives_a_service_that_fails(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    keys, _ = ask(in_turn(given(1), answer(500), given(2)))
    now = time.time()
    keys.current(now)
    assert keys.current(now + 3400).access_key_id == "STS.1"
    assert "still good" in caplog.text
    assert keys.current(now + 3500).access_key_id == "STS.2"


NO_ANSWER = answer(200, b"")
HTML = answer(200, f"<html>{SECRET}</html>".encode())
BAD: dict[str, tuple[bytes, str, bool]] = {
    "not found": (answer(404, SECRET.encode()), "HTTP 404", False),
    "refused with a code": (
        answer(403, json.dumps({"Code": "NoPermission", "Message": SECRET}).encode()),
        "HTTP 403 NoPermission", False,
    ),
    "broken": (answer(500, SECRET.encode()), "HTTP 500", True),
    "too busy": (answer(429, SECRET.encode()), "HTTP 429", True),
    "empty": (NO_ANSWER, "JSONDecodeError", False),
    "HTML": (HTML, "JSONDecodeError", False),
    "no key": (answer(200, json.dumps({"Code": SECRET, "Other": TOKEN}).encode()), "", False),
    "no expiry": (given(Expiration=None), "TypeError", False),
    "expiry that is none": (given(Expiration=TOKEN), "ValueError", False),
    "secret with a line break": (given(AccessKeySecret=f"{SECRET}\n"), "access key secret", False),
    "token that is no text": (given(SecurityToken=[TOKEN]), "security token", False),
    "secret as the id": (given(AccessKeyId=f"{SECRET} "), "access key id", False),
    "dropped": (b"", "no answer", True),
    "no HTTP": (f"SSH-2.0 {SECRET}\r\n".encode(), "no answer", True),
}  # fmt: skip
bad = pytest.mark.parametrize(("answered", "told", "passes"), BAD.values(), ids=BAD)


def shown(error: BaseException | None) -> Iterator[str]:
    """All that an error, those it came of, and the frames of all of them would show."""
    while error is not None:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        yield from (str(error), repr(error), repr(vars(error)))
        for frame in told.stack:
            if frame.filename != __file__:
                yield from (f"{frame.name}: {k}={v}" for k, v in (frame.locals or {}).items())
        error = error.__cause__ or error.__context__


def leaks(texts: Iterator[str] | list[str]) -> list[str]:
    return [text for text in texts if SECRET in text or TOKEN in text]


@pytest.fixture
def written(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], list[str]]]:
    """What is logged at DEBUG, by anybody, and what is printed."""
    monkeypatch.setenv("DEBUG", "sdk")  # the library logs its requests then
    with caplog.at_level(logging.DEBUG):
        yield lambda: [caplog.text, *capfd.readouterr()]


@bad
def test_failure_names_the_source_and_no_secret(
    ask: Ask, written: Callable[[], list[str]], answered: bytes, told: str, passes: bool
) -> None:
    keys, _ = ask(in_turn(answered))
    with pytest.raises(CredentialsError) as refused:
        keys.current(time.time())
    assert VARIABLE in str(refused.value)
    assert told in str(refused.value)
    assert not refused.value.retryable
    assert leaks(shown(refused.value)) == []
    assert leaks(written()) == []


@bad
def test_failure_after_a_success_is_worth_another_try_where_it_can_pass(
    ask: Ask, answered: bytes, told: str, passes: bool
) -> None:
    keys, _ = ask(in_turn(given(1, life=60), answered))
    keys.current(time.time())
    with pytest.raises(CredentialsError) as refused:
        keys.current(time.time() + 61)
    assert refused.value.retryable is passes


def test_secret_is_in_no_log_of_a_success(ask: Ask, written: Callable[[], list[str]]) -> None:
    keys, server = ask(in_turn(given()))
    keys.current(time.time())
    logging.getLogger("credentials").warning("of somebody else")
    assert SECRET in server.requests[0].target
    told = written()
    assert leaks(told) == []
    assert "of somebody else" in told[0]


def test_stop_while_a_service_is_asked_shows_no_secret(ask: Ask) -> None:
    def stops(peer: Peer) -> None:
        peer.request()
        os.kill(os.getpid(), signal.SIGINT)
        peer.hang()

    keys, _ = ask(stops)
    with pytest.raises(KeyboardInterrupt) as stopped:
        keys.current(time.time())
    assert leaks(shown(stopped.value)) == []


def test_service_that_is_not_there_is_told_with_its_address(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:1/credentials?key={SECRET}")
    bucket = Bucket("examplebucket", endpoint=SOMEWHERE, retry=ONCE)
    with bucket, pytest.raises(CredentialsError, match=r"127\.0\.0\.1:1: connection refused") as no:
        bucket.head_object("k")
    assert leaks(shown(no.value)) == []


@pytest.mark.parametrize(
    "named",
    [
        {VARIABLE: f"https://example.com/?key={SECRET}"},
        {"ALIBABA_CLOUD_ECS_METADATA": "role"},
        {
            "ALIBABA_CLOUD_ROLE_ARN": "role",
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "provider",
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/token",
        },
        {"OSSUTIL_CONFIG_FILE": "role"},
    ],
    ids=["service", "instance", "OIDC", "profile"],
)
def test_library_that_is_missing_shows_no_secret(
    home: Home, monkeypatch: pytest.MonkeyPatch, named: dict[str, str]
) -> None:
    monkeypatch.setitem(sys.modules, "alibabacloud_credentials", None)
    key = f"accessKeyID=id\naccessKeySecret={SECRET}\nstsToken={TOKEN}"
    path = home.ossutil(f"[default]\nmode=RamRoleArn\n{key}\nroleArn=role\n")
    if "OSSUTIL_CONFIG_FILE" not in named:
        path.unlink()
    monkeypatch.setenv("PASSWORD_OF_ANOTHER_PROGRAM", SECRET)
    for name, value in named.items():
        monkeypatch.setenv(name, value.replace("role", str(path)) if "FILE" in name else value)
    with pytest.raises(CredentialsError, match="not installed") as refused:
        settle(Wishes(SOMEWHERE))
    assert leaks(shown(refused.value)) == []


PROCESS = """
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
number = len(path.read_bytes()) + 1 if path.exists() else 1
path.write_bytes(b"x" * number)
print(json.dumps({
    "mode": "StsToken", "access_key_id": f"STS.{number}", "access_key_secret": sys.argv[2],
    "sts_token": "token", "expiration": "2099-01-01T00:00:00Z",
}))
"""


def external(home: Home, command: str) -> AccessKeys:
    """A profile whose key a program prints."""
    home.profile(mode="External", process_command=command)
    return settle(Wishes(SOMEWHERE)).keys


def test_key_that_a_program_prints_is_kept_until_it_is_refused(home: Home) -> None:
    script = home.folder / "print_key.py"
    script.write_text(PROCESS)
    keys = external(home, f"{sys.executable} {script} {home.folder / 'count'} secret")
    now = time.time()
    first = keys.current(now)
    assert first == Credentials("STS.1", "secret", "token")
    assert keys.current(now + 7200) == first
    assert keys.renewed(first, now) == Credentials("STS.2", "secret", "token")


def test_program_that_fails_is_told_by_its_exit_status(home: Home) -> None:
    code = f"import sys; sys.stderr.write({SECRET!r}); sys.exit(3)"
    keys = external(home, f'{sys.executable} -c "{code}"')
    with pytest.raises(CredentialsError, match="exit status 3") as refused:
        keys.current(time.time())
    assert leaks(shown(refused.value)) == []


def test_sentence_of_the_library_is_told(home: Home) -> None:
    home.profile(
        mode="CloudSSO",
        cloud_sso_sign_in_url="https://example.com",
        cloud_sso_account_id="1",
        cloud_sso_access_config="ac",
        access_token=TOKEN,
        cloud_sso_access_token_expire=1,
    )
    keys = settle(Wishes(SOMEWHERE)).keys
    with pytest.raises(CredentialsError, match="please re-login with cli") as refused:
        keys.current(time.time())
    assert leaks(shown(refused.value)) == []
