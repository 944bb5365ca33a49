"""Whatever is wrong with credentials, no frame of the error's traceback has a secret in a variable.

Error trackers and pretty tracebacks show the local variables of every frame, and send them away.
"""

import functools
import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resumable import AccessDeniedError, Bucket, Credentials, CredentialsError, ResumableError
from resumable.oss.signing import SignatureVersion
from resumable.server import AccessKey, LocalServer
from tests.oss.conftest import ONCE

SECRET, TOKEN, PASSWORD = "CanarySecretDoNotShow", "CanaryTokenDoNotShow", "CanaryPassword"
NOWHERE = "http://127.0.0.1:1"
Set = Callable[[str, str], None]
Way = Callable[[Set, Path], object]


def bucket(**options: object) -> Bucket:
    return Bucket("examplebucket", **{"endpoint": NOWHERE, "retry": ONCE, **options})  # type: ignore[arg-type]


def asked(given: object) -> object:
    """What becomes of a bucket whose provider says this."""
    return bucket(credentials=lambda: given).head_object("k")


def ini(text: str) -> Way:
    def way(set_variable: Set, folder: Path) -> object:
        path = folder / "ossutil"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        set_variable("OSSUTIL_CONFIG_FILE", str(path))
        return bucket(endpoint=None)

    return way


def cli_file(content: object) -> Way:
    def way(set_variable: Set, folder: Path) -> object:
        path = folder / "config.json"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        set_variable("ALIBABA_CLOUD_CONFIG_FILE", str(path))
        return bucket().head_object("k")

    return way


def variables(**named: str) -> Way:
    def way(set_variable: Set, _: Path) -> object:
        for name, value in named.items():
            set_variable(name, value)
        return bucket(endpoint=None if "OSS_ENDPOINT" in named else NOWHERE)

    return way


def by_region(**named: str) -> Way:
    """The region is missing, and what is in the environment does not tell it."""

    def way(set_variable: Set, _: Path) -> object:
        for name, value in named.items():
            set_variable(name, value)
        return bucket(endpoint=None, internal=True)

    return way


def beside(fails: Callable[[], object]) -> Way:
    """Something else is wrong while whole secrets are in the environment."""

    def way(set_variable: Set, _: Path) -> object:
        set_variable("OSS_ACCESS_KEY_ID", "id")
        set_variable("OSS_ACCESS_KEY_SECRET", SECRET)
        set_variable("OSS_SESSION_TOKEN", TOKEN)
        return fails()

    return way


BLOTS = {"space": " ", "newline": "\n", "nul": "\0", "not ascii": "ü", "surrogate": "\udc80"}
PROFILE = {"name": "default", "mode": "StsToken", "access_key_id": "id"}
WAYS: dict[str, Way] = {
    **{f"id with {n}": lambda *_, b=b: Credentials(SECRET + b, SECRET) for n, b in BLOTS.items()},
    **{f"secret with {n}": lambda *_, b=b: Credentials("id", SECRET + b) for n, b in BLOTS.items()},
    **{
        f"token with {n}": lambda *_, b=b: Credentials("id", SECRET, TOKEN + b)
        for n, b in BLOTS.items()
    },
    "secret of bytes": lambda *_: Credentials("id", SECRET.encode()),  # type: ignore[arg-type]
    "token that is a list": lambda *_: Credentials("id", SECRET, [TOKEN]),  # type: ignore[arg-type]
    "secret in the place of the id": lambda *_: Credentials(f"{SECRET}\n", "id"),
    "no id": lambda *_: Credentials("", SECRET, TOKEN),
    "no secret": lambda *_: Credentials(SECRET, ""),
    "expiry that is none": lambda *_: Credentials("id", SECRET, TOKEN, 1e15),
    "expiry of text": lambda *_: Credentials("id", SECRET, TOKEN, TOKEN),  # type: ignore[arg-type]
    "a pair": lambda *_: bucket(credentials=("id", SECRET)),
    "a dict": lambda *_: bucket(credentials={"access_key_secret": SECRET}),
    "a text": lambda *_: bucket(credentials=SECRET),
    "provider of a pair": lambda *_: asked(("id", SECRET)),
    "provider of a text": lambda *_: asked(SECRET),
    "provider of nothing": lambda *_: asked(None),
    "provider that knows a secret": lambda *_: bucket(
        credentials=functools.partial(lambda _: None, SECRET)
    ).head_object("k"),
    "provider beside a bad endpoint": lambda *_: bucket(
        endpoint="ftp://x", credentials=functools.partial(print, SECRET)
    ),
    "environment: secret with a space": variables(
        OSS_ACCESS_KEY_ID="id", OSS_ACCESS_KEY_SECRET=f"{SECRET} "
    ),
    "environment: token with a newline": variables(
        OSS_ACCESS_KEY_ID="id", OSS_ACCESS_KEY_SECRET=SECRET, OSS_SESSION_TOKEN=f"{TOKEN}\n"
    ),
    "environment: no id": variables(OSS_ACCESS_KEY_SECRET=SECRET, OSS_SESSION_TOKEN=TOKEN),
    "environment: no secret": variables(OSS_ACCESS_KEY_ID=SECRET),
    "environment: proxy": variables(
        OSS_ACCESS_KEY_ID="id",
        OSS_ACCESS_KEY_SECRET=SECRET,
        HTTP_PROXY=f"gopher://u:{PASSWORD}@h",
        OSS_ENDPOINT="http://example.com",
    ),
    "ini: no section": ini(f"accessKeySecret = {SECRET}\n"),
    "ini: twice": ini(f"[default]\naccessKeySecret={SECRET}\naccessKeySecret={SECRET}\n"),
    "ini: half a key": ini(f"[default]\naccessKeySecret={SECRET}\nstsToken={TOKEN}\n"),
    "ini: blot": ini(f"[default]\naccessKeyID=id\naccessKeySecret={SECRET} ü\nstsToken={TOKEN}\n"),
    "ini: mode": ini(f"[default]\nmode=RamRoleArn\naccessKeyID=id\naccessKeySecret={SECRET}\n"),
    "ini: endpoint": ini(
        f"[default]\nendpoint=ftp://u:{PASSWORD}@h\naccessKeyID=id\naccessKeySecret={SECRET}\n"
    ),
    "json: cut off": cli_file(json.dumps({"profiles": [{"access_key_secret": SECRET}]})[:-3]),
    "json: a list": cli_file([SECRET]),
    "json: half a key": cli_file({"profiles": [PROFILE | {"sts_token": TOKEN}]}),
    "json: blot": cli_file(
        {"profiles": [PROFILE | {"access_key_secret": f"{SECRET}\t", "sts_token": TOKEN}]}
    ),
    "json: role": cli_file(
        {"profiles": [PROFILE | {"mode": "RamRoleArn", "access_key_secret": SECRET}]}
    ),
    "ini: role": ini(f"[default]\nroleArn=x\naccessKeySecret={SECRET}\n"),
    "json: mode": cli_file(
        {"profiles": [PROFILE | {"mode": "External", "access_key_secret": SECRET}]}
    ),
    "proxy: scheme": lambda *_: bucket(proxy=f"gopher://u:{PASSWORD}@h"),
    "proxy: port": lambda *_: bucket(proxy=f"http://u:{PASSWORD}@h:port"),
    "proxy: not a text": lambda *_: bucket(proxy=("u", PASSWORD)),
    "endpoint: with a password": lambda *_: bucket(endpoint=f"http://u:{PASSWORD}@h"),
    "endpoint: a signed URL": lambda *_: bucket(endpoint=f"http://h/k?Signature={SECRET}"),
    "environment: endpoint with a password": variables(
        OSS_ACCESS_KEY_ID="id", OSS_ACCESS_KEY_SECRET=SECRET, OSS_ENDPOINT=f"http://u:{PASSWORD}@h"
    ),
    "environment: endpoint with a password, unused": by_region(OSS_ENDPOINT=f"h/?key={PASSWORD}"),
    "beside a bad region": beside(lambda: bucket(region="x y")),
    "beside a bad endpoint": beside(lambda: bucket(endpoint="ftp://x")),
    "beside a bad name": beside(lambda: Bucket("No Bucket", endpoint=NOWHERE)),
    "beside authorities that are not there": beside(lambda: bucket(ca_bundle="/nowhere.pem")),
    "beside a bad timeout": beside(lambda: bucket(timeout=-1)),
    "beside a bad policy": beside(lambda: bucket(retry="often").head_object("k")),
    "beside a bad key": beside(lambda: bucket().put_object("\0" * 2000, b"")),
    "beside a bad header": beside(
        lambda: bucket().put_object("k", b"", headers={"x-oss-meta-a": "\ud800"})
    ),
    "beside a server that is not there": beside(lambda: bucket().head_object("k")),
}  # fmt: skip


@pytest.fixture
def set_variable(monkeypatch: pytest.MonkeyPatch) -> Set:
    for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def set_(name: str, value: str) -> None:
        if name == "OSS_ENDPOINT":
            monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv(name, value)

    return set_


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those it came of, shown or not."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_frame_of_an_error_holds_a_secret(way: Way, set_variable: Set, tmp_path: Path) -> None:
    with pytest.raises((ResumableError, TypeError)) as failed:
        way(set_variable, tmp_path)
    seen = 0
    for error in chain(failed.value):
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        # The frames of this file hold what the caller wrote.
        frames = [frame for frame in told.stack if frame.filename != __file__]
        seen += len(frames)
        shown = [str(error), repr(error), repr(vars(error)), *error.args]
        shown += [f"{name}: {text}" for f in frames for name, text in (f.locals or {}).items()]
        leaks = [text for text in shown if any(s in str(text) for s in (SECRET, TOKEN, PASSWORD))]
        assert leaks == []
    assert seen


def test_what_is_looked_for_would_be_found() -> None:
    def holds(secret: str) -> None:
        raise CredentialsError(f"no use: {len(secret)}")

    with pytest.raises(CredentialsError) as failed:
        holds(SECRET)
    told = traceback.TracebackException.from_exception(failed.value, capture_locals=True)
    assert any(SECRET in text for frame in told.stack for text in (frame.locals or {}).values())


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_refused_signature_shows_nothing_of_what_was_signed(
    tmp_path: Path, version: SignatureVersion
) -> None:
    """The answer repeats what was to be signed, and with that the token."""
    keys = {"id": AccessKey("another", security_token=TOKEN)}
    key = Credentials("id", SECRET, TOKEN)
    with LocalServer(tmp_path / "root", access_keys=keys) as server:
        signing = {"region": "cn-hangzhou", "signature_version": version, "credentials": key}
        refusing = bucket(endpoint=server.endpoint, **signing)
        with refusing, pytest.raises(AccessDeniedError) as refused:
            refusing.put_object("k", b"x")
    assert refused.value.code == "SignatureDoesNotMatch"
    for error in chain(refused.value):
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        frames = [frame for frame in told.stack if frame.filename != __file__]
        shown = [text for frame in frames for text in (frame.locals or {}).values()]
        shown += [str(error), repr(vars(error))]
        for secret in (SECRET, TOKEN, "OSS4-HMAC", "x-oss-security-token", "StringToSign"):
            assert not [text for text in shown if secret in text]
