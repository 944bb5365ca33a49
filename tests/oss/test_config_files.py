"""The configuration files of other programs: what is read, what is refused, what is never told."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resumable import Credentials
from resumable.errors import CredentialsError, InvalidArgumentError
from resumable.oss.configfiles import Profile, profiles
from resumable.oss.settings import Wishes, settle
from tests.oss.homes import Home

ID, SECRET, TOKEN = "LTAIexample", "TopSecretValue", "TopSecretToken"
posix = pytest.mark.skipif(os.name != "posix", reason="permissions and pipes of POSIX")


def only() -> Profile:
    (found,) = profiles()
    return found


def found_key() -> Credentials | None:
    return only().credentials()


SOMEWHERE = Wishes("oss-cn-hangzhou.aliyuncs.com")
KEY = Credentials(ID, SECRET)
STS = Credentials(ID, SECRET, TOKEN)

OSSUTIL_KEYS: dict[str, tuple[str, Credentials]] = {
    "of ossutil 1": (
        f"[Credentials]\nlanguage=EN\naccessKeyID={ID}\naccessKeySecret={SECRET}\nstsToken=\n", KEY
    ),
    "of ossutil 1, temporary": (
        f"[Credentials]\naccessKeyID={ID}\naccessKeySecret={SECRET}\nstsToken={TOKEN}\n", STS
    ),
    "default": (f"[default]\naccessKeyID = {ID}\naccessKeySecret = {SECRET}\n", KEY),
    "default in full": (f"[profile default]\naccessKeyID={ID}\naccessKeySecret={SECRET}", KEY),
    "capitals": (f"[DEFAULT]\nACCESSKEYID={ID}\nAccessKeySecret={SECRET}", KEY),
    "hyphens": (f"[default]\naccess-key-id={ID}\naccess-key-secret={SECRET}", KEY),
    "underscores": (
        f"[default]\naccess_key_id={ID}\naccess_key_secret={SECRET}\nsts_token={TOKEN}", STS
    ),
    "quoted": (f'[default]\naccessKeyID="{ID}"\naccessKeySecret="{SECRET}"', KEY),
    "comments, blanks, CRLF, BOM": (
        f"\ufeff# a\r\n\r\n[default]\r\n# b\r\n accessKeyID={ID}\r\n accessKeySecret={SECRET}\r\n",
        KEY,
    ),
    "mode AK": (
        f"[default]\nmode=AK\naccessKeyID={ID}\naccessKeySecret={SECRET}\nstsToken={TOKEN}", KEY
    ),
    "mode StsToken": (
        f"[default]\nmode=ststoken\naccessKeyID={ID}\naccessKeySecret={SECRET}\nstsToken={TOKEN}",
        STS,
    ),
    "default before that of ossutil 1": (
        f"[Credentials]\naccessKeyID=x\n[default]\naccessKeyID={ID}\naccessKeySecret={SECRET}", KEY
    ),
    "from another profile": (
        f"[default]\nsource_profile=B\naccessKeyID={ID}\n[profile b]\naccessKeySecret={SECRET}", KEY
    ),
    "what belongs to a bucket is left out": (
        f"[default]\naccessKeyID={ID}\naccessKeySecret={SECRET}\nbuckets=\n b=\n  endpoint=x\n",
        KEY,
    ),
    "percent, equals sign and colon": (
        f"[default]\naccessKeyID={ID}\naccessKeySecret=a%b=c:d\n", Credentials(ID, "a%b=c:d")
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "key"), OSSUTIL_KEYS.values(), ids=OSSUTIL_KEYS)
def test_key_is_read_from_the_file_of_ossutil(home: Home, text: str, key: Credentials) -> None:
    home.ossutil(text)
    assert found_key() == key
    assert only().endpoint is None


BOTH = {"access_key_id": ID, "access_key_secret": SECRET}
ALIYUN_KEYS: dict[str, tuple[Mapping[str, object], Credentials]] = {
    "AK": ({"mode": "AK", **BOTH, "sts_token": "", "region_id": "cn-hangzhou"}, KEY),
    "AK with a token that was left": ({"mode": "AK", **BOTH, "sts_token": TOKEN}, KEY),
    "StsToken": ({"mode": "StsToken", **BOTH, "sts_token": TOKEN}, STS),
    "no mode": ({**BOTH, "sts_token": None, "expired_seconds": 900}, KEY),
}


@pytest.mark.parametrize(("values", "key"), ALIYUN_KEYS.values(), ids=ALIYUN_KEYS)
def test_key_is_read_from_the_file_of_the_alibaba_cloud_cli(
    home: Home, values: Mapping[str, object], key: Credentials
) -> None:
    home.profile(**values)
    assert found_key() == key


def test_profile_is_the_current_one_or_the_one_that_is_wanted(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [
        {"name": name, "mode": "AK", "access_key_id": f"LTAI{name}", "access_key_secret": SECRET}
        for name in ("default", "work")
    ]
    home.aliyun({"current": "work", "profiles": listed})
    assert found_key() == Credentials("LTAIwork", SECRET)
    monkeypatch.setenv("ALIBABA_CLOUD_PROFILE", "default")
    assert found_key() == Credentials("LTAIdefault", SECRET)


def test_profile_of_ossutil_is_the_one_that_is_wanted(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.ossutil(
        f"[default]\naccessKeyID=other\naccessKeySecret=other\n"
        f"[profile Work]\naccessKeyID={ID}\naccessKeySecret={SECRET}\n"
    )
    monkeypatch.setenv("OSSUTIL_PROFILE", "work")
    assert found_key() == KEY


@pytest.mark.parametrize("variable", ["OSSUTIL_CONFIG_FILE", "ALIBABA_CLOUD_CONFIG_FILE"])
def test_file_can_be_elsewhere_and_must_be_there_then(
    home: Home, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    path = home.ossutil(f"[default]\naccessKeyID={ID}\naccessKeySecret={SECRET}")
    if variable.startswith("ALIBABA"):
        path.unlink()
        path = home.profile(**BOTH)
    moved = path.rename(home.folder / "elsewhere")
    monkeypatch.setenv(variable, str(moved))
    assert found_key() == KEY
    moved.unlink()
    with pytest.raises(CredentialsError, match=f"{variable} names .*elsewhere.* not there"):
        list(profiles())


UNUSABLE: dict[str, tuple[str, str]] = {
    "no INI": (f"accessKeySecret={SECRET}\n", "no INI file"),
    "torn": (f"[default]\naccessKeyID={ID}\n{SECRET}\n", "no INI file"),
    "key twice": (f"[default]\naccessKeySecret=x\naccess-key-secret={SECRET}\n", "no INI file"),
    "section twice": ("[default]\na=b\n[Default]\na=c\n", "no INI file"),
    "source that is not there": (
        f"[default]\nsource_profile=base\naccessKeySecret={SECRET}\n", "source_profile"
    ),
    "sources in a circle": (
        "[default]\nsource_profile=a\n[profile a]\nsource_profile=default\n", "without end"
    ),
    "only an id": (f"[default]\naccessKeyID={ID}\n", "holds no access key secret"),
    "only a secret": (f"[default]\naccessKeySecret={SECRET}\n", "holds no access key id"),
    "StsToken without one": (
        f"[default]\nmode=StsToken\naccessKeyID={ID}\naccessKeySecret={SECRET}\n",
        "holds no STS token",
    ),
    "control character": (
        f"[default]\naccessKeyID={ID}\naccessKeySecret={SECRET}\x00\n", "a character that no key"
    ),
    "role without a key": (
        f"[Credentials]\nramRoleArn=acs:ram::1:role/x\naccessKeySecret={SECRET}\n", "RamRoleArn"
    ),
    "mode that only the CLI has": (
        f"[default]\nmode = CloudSSO\naccessKeySecret={SECRET}\n",
        "CloudSSO, which is not supported",
    ),
    "unknown mode": (f"[default]\nmode = {SECRET}\n", "a mode that is not known"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), UNUSABLE.values(), ids=UNUSABLE)
def test_file_of_ossutil_that_cannot_be_used_is_named_and_not_quoted(
    home: Home, text: str, told: str
) -> None:
    path = home.ossutil(text)
    check_refusal(path, told)


UNUSABLE_JSON: dict[str, tuple[object, str]] = {
    "a list": ([SECRET], "no JSON file"),
    "no list of profiles": ({"profiles": {"default": SECRET}}, "no JSON file"),
    "current is not there": (
        {"current": "work", "profiles": [{"name": "default", **BOTH}]}, "stands there as current"
    ),
    "secret that is no text": (
        {"profiles": [{"name": "default", "access_key_id": ID, "access_key_secret": [SECRET]}]},
        "holds no access key secret",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "told"), UNUSABLE_JSON.values(), ids=UNUSABLE_JSON)
def test_file_of_the_cli_that_cannot_be_used_is_named_and_not_quoted(
    home: Home, content: object, told: str
) -> None:
    check_refusal(home.aliyun(content), told)


@pytest.mark.parametrize(
    "content",
    [f'{{"access_key_secret": "{SECRET}"'.encode(), b"[" * 100_000, b"\xff\xfe", SECRET.encode()],
    ids=["torn", "deep", "no UTF-8", "no JSON"],
)
def test_file_that_is_no_json_is_named_and_not_quoted(home: Home, content: bytes) -> None:
    path = home.aliyun({})
    path.write_bytes(content)
    check_refusal(path, "is no")


def check_refusal(path: Path, told: str) -> None:
    """Whoever is to get a key from there is refused, and the secret is told nowhere."""
    with pytest.raises(CredentialsError) as refused:
        settle(SOMEWHERE)
    error = refused.value
    assert told in str(error)
    assert str(path) in str(error)
    assert error.advice
    for link in chain(error):
        shown = traceback.TracebackException.from_exception(link, capture_locals=True)
        everything = "".join(shown.stack.format()) + repr(link) + repr(vars(link)) + str(link)
        assert SECRET not in everything


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it, also what is not shown."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_profile_that_is_wanted_and_not_there_is_an_error(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home.ossutil(f"[default]\naccessKeyID={ID}\naccessKeySecret={SECRET}")
    monkeypatch.setenv("OSSUTIL_PROFILE", "work")
    check_refusal(path, "OSSUTIL_PROFILE")
    path.unlink()
    path = home.profile(**BOTH)
    monkeypatch.setenv("ALIBABA_CLOUD_PROFILE", "work")
    check_refusal(path, "ALIBABA_CLOUD_PROFILE")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "[Bucket-Endpoint]\nexamplebucket=oss.example.com\n", "[default]\n"]
)
def test_file_without_a_key_leaves_it_to_the_next(home: Home, text: str) -> None:
    home.ossutil(text)
    home.aliyun({"current": "", "profiles": []})
    with pytest.raises(CredentialsError, match="no access key"):
        settle(SOMEWHERE)
    home.profile(**BOTH)
    assert settle(SOMEWHERE).keys.current(0.0) == KEY


@posix
@pytest.mark.parametrize("kind", ["folder", "pipe", "large", "loop", "unreadable"])
def test_file_that_is_none_is_an_error_and_keeps_nobody_waiting(home: Home, kind: str) -> None:
    path = home.folder / ".ossutilconfig"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "large":
        home.ossutil("#" * (1024 * 1024 + 1))
    else:
        home.ossutil("").chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("root may read everything")
    told = {"large": "larger than any", "loop": "cannot be", "unreadable": "cannot be opened"}
    check_refusal(path, told.get(kind, "not a regular file"))


@pytest.mark.skipif(sys.platform != "linux", reason="a file of Linux that fails to be read")
def test_file_that_fails_while_it_is_read_is_an_error(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSSUTIL_CONFIG_FILE", "/proc/self/mem")
    check_refusal(Path("/proc/self/mem"), "cannot be read")


@posix
@pytest.mark.parametrize(
    ("mode", "is_told"),
    [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o620, True), (0o644, True)],
    ids=oct,
)
def test_file_that_others_may_read_or_change_is_told_in_the_log(
    home: Home, caplog: pytest.LogCaptureFixture, mode: int, is_told: bool
) -> None:
    path = home.ossutil(f"[default]\naccessKeyID={ID}\naccessKeySecret={SECRET}")
    path.chmod(mode)
    with caplog.at_level(logging.WARNING, "resumable"):
        assert settle(SOMEWHERE).keys.current(0.0) == KEY
    told = [f"{str(path)!r} is open to other users of this machine: chmod 600 it"]
    assert [record.getMessage() for record in caplog.records] == (told if is_told else [])


def test_file_may_be_a_link(home: Home) -> None:
    path = home.ossutil(f"[default]\naccessKeyID={ID}\naccessKeySecret={SECRET}")
    kept = path.rename(home.folder / "dotfiles")
    path.symlink_to(kept)
    assert found_key() == KEY


@pytest.mark.skipif(sys.platform == "win32", reason="Windows always knows a home")
def test_machine_without_a_home_has_no_files(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / ".ossutilconfig").write_text("no INI file")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert list(profiles()) == []


def test_profile_shows_no_secret(home: Home) -> None:
    home.ossutil(f"[default]\naccessKeyID={ID}\naccessKeySecret={SECRET}\nstsToken={TOKEN}")
    shown = repr(only()) + repr(settle(SOMEWHERE).keys.__dict__)
    assert SECRET not in shown
    assert TOKEN not in shown


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.text(st.sampled_from('[]=#;"\n \t\\aA:-\x00\ud7ff'), max_size=60))
def test_any_text_is_a_file_or_a_typed_refusal(home: Home, text: str) -> None:
    home.ossutil(text)
    try:
        key = only().credentials()
    except CredentialsError:
        return
    assert isinstance(key, Credentials | None)


UNREADABLE = {
    "a folder": lambda home: (home.folder / ".ossutilconfig").mkdir(),
    "no INI file": lambda home: home.ossutil("what is this"),
    "no JSON file": lambda home: home.aliyun("text"),
    "half a key": lambda home: home.ossutil(f"[default]\naccessKeySecret={SECRET}"),
}


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize(
    ("wishes", "host"),
    [
        (Wishes(region="cn-hangzhou", credentials=KEY), "oss-cn-hangzhou.aliyuncs.com"),
        (Wishes(accelerate=True, credentials=KEY), "oss-accelerate.aliyuncs.com"),
        (Wishes("http://oss.example:1", credentials=KEY), "oss.example"),
    ],
    ids=["region", "accelerate", "endpoint"],
)
def test_file_that_cannot_be_used_does_not_matter_where_all_is_given(
    home: Home, spoil: Callable[[Home], object], wishes: Wishes, host: str
) -> None:
    spoil(home)
    assert settle(wishes).endpoint.host == host


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
def test_file_that_cannot_be_used_is_named_where_the_key_is_missing(
    home: Home, spoil: Callable[[Home], object]
) -> None:
    spoil(home)
    with pytest.raises(CredentialsError, match=str(home.folder)):
        settle(Wishes(region="cn-hangzhou"))


def test_file_that_cannot_be_used_is_named_where_the_region_is_missing(home: Home) -> None:
    home.ossutil("what is this")
    with pytest.raises(CredentialsError, match=str(home.folder)):
        settle(Wishes(credentials=KEY))


def test_endpoint_in_a_file_that_cannot_be_used_does_not_matter_where_the_region_is_given(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.ossutil("[default]\nendpoint=ftp://x\n")
    found = settle(Wishes(region="cn-hangzhou", credentials=KEY))
    assert found.endpoint.host == "oss-cn-hangzhou.aliyuncs.com"
    assert str(home.folder) in caplog.text


def test_endpoint_in_a_file_that_cannot_be_used_is_named_where_it_is_needed(home: Home) -> None:
    home.ossutil("[default]\nendpoint=ftp://x\n")
    with pytest.raises(InvalidArgumentError, match=str(home.folder)):
        settle(Wishes(credentials=KEY))


def test_profile_that_the_variable_names_stands_in_one_of_two_files(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.profile(name="cli", **BOTH, region_id="cn-beijing")
    home.sdk(f"[sdk]\naccess_key_id=LTAIsdk\naccess_key_secret={SECRET}\n")
    monkeypatch.setenv("ALIBABA_CLOUD_PROFILE", "cli")
    found = settle(Wishes())
    assert (found.region, found.keys.current(0.0)) == ("cn-beijing", KEY)
    monkeypatch.setenv("ALIBABA_CLOUD_PROFILE", "sdk")
    assert settle(SOMEWHERE).keys.current(0.0).access_key_id == "LTAIsdk"
    monkeypatch.setenv("ALIBABA_CLOUD_PROFILE", "none")
    with pytest.raises(CredentialsError, match="ALIBABA_CLOUD_PROFILE"):
        settle(SOMEWHERE)


def test_profile_that_ossutil_lacks_is_not_looked_for_under_another_identity(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.ossutil("[default]\n")
    home.profile(**BOTH)
    monkeypatch.setenv("OSSUTIL_PROFILE", "work")
    with pytest.raises(CredentialsError, match="OSSUTIL_PROFILE"):
        settle(SOMEWHERE)
