"""Where a bucket is and who asks: arguments, then the environment, then the files."""

from dataclasses import dataclass

import pytest

from resumable import Credentials
from resumable.errors import CredentialsError, InvalidArgumentError, ResumableError
from resumable.oss.settings import Wishes, settle
from tests.oss.homes import Home

ID, SECRET = "LTAIexample", "TopSecretValue"
FILE = "[default]\naccessKeyID=LTAIfile\naccessKeySecret=x\n"


@dataclass(frozen=True)
class Case:
    """What is said where, and what must come of it."""

    wishes: Wishes
    endpoint: str
    region: str | None
    key: str = "LTAIfile"
    environ: str = ""
    ossutil: str = ""
    aliyun: str = ""


HANGZHOU = "https://oss-cn-hangzhou.aliyuncs.com"
PLACES: dict[str, Case] = {
    "all by arguments": Case(
        Wishes(HANGZHOU, "cn-beijing", credentials=Credentials("LTAIargument", "x")),
        HANGZHOU, "cn-beijing", "LTAIargument",
        environ="OSS_ACCESS_KEY_ID=a OSS_ACCESS_KEY_SECRET=b OSS_ENDPOINT=c OSS_REGION=d",
        ossutil="not even read",
    ),
    "all from the environment": Case(
        Wishes(), "https://oss.example.com", "cn-beijing", "LTAIenvironment",
        environ="OSS_ACCESS_KEY_ID=LTAIenvironment OSS_ACCESS_KEY_SECRET=x "
        "OSS_ENDPOINT=oss.example.com OSS_REGION=cn-beijing",
        ossutil="not even read",
    ),
    "all from the file of ossutil": Case(
        Wishes(), "https://oss.example.com", "cn-beijing",
        ossutil="endpoint=oss.example.com\nregion=cn-beijing", aliyun="cn-shanghai",
    ),
    "endpoint from the region of ossutil": Case(
        Wishes(), "https://oss-cn-beijing.aliyuncs.com", "cn-beijing", ossutil="region=cn-beijing"
    ),
    "endpoint from the region of the CLI": Case(
        Wishes(), "https://oss-cn-shanghai.aliyuncs.com", "cn-shanghai", "LTAIcli",
        aliyun="cn-shanghai",
    ),
    "region that the endpoint tells": Case(
        Wishes(), HANGZHOU, "cn-hangzhou", ossutil="endpoint=oss-cn-hangzhou.aliyuncs.com"
    ),
    "key from ossutil, region from the CLI": Case(
        Wishes(), "https://oss-cn-shanghai.aliyuncs.com", "cn-shanghai", ossutil="language=EN",
        aliyun="cn-shanghai",
    ),
    "endpoint of the argument, region of the file with the key": Case(
        Wishes("files.example.com"), "https://files.example.com", "cn-beijing",
        ossutil="endpoint=oss.example.com\nregion=cn-beijing",
    ),
    "endpoint's own region before that of the file": Case(
        Wishes("oss-us-west-1.aliyuncs.com"), "https://oss-us-west-1.aliyuncs.com", "us-west-1",
        ossutil="region=cn-beijing",
    ),
    "region of the environment before that of the endpoint": Case(
        Wishes(HANGZHOU), HANGZHOU, "cn-beijing", environ="OSS_REGION=cn-beijing", ossutil="a=b"
    ),
    "region that is asked for before an endpoint of another": Case(
        Wishes(region="us-west-1"), "https://oss-us-west-1.aliyuncs.com", "us-west-1",
        ossutil="endpoint=oss-cn-hangzhou.aliyuncs.com",
    ),
    "endpoint of the file that fits the region": Case(
        Wishes(region="cn-hangzhou"), "https://oss-cn-hangzhou-internal.aliyuncs.com",
        "cn-hangzhou", ossutil="endpoint=oss-cn-hangzhou-internal.aliyuncs.com",
    ),
    "endpoint of the environment before that of the file": Case(
        Wishes(), "https://oss.example.com", "cn-beijing", environ="OSS_ENDPOINT=oss.example.com",
        ossutil="endpoint=oss-cn-hangzhou.aliyuncs.com\nregion=cn-beijing",
    ),
    "internal before the environment, which tells the region": Case(
        Wishes(internal=True), "https://oss-cn-hangzhou-internal.aliyuncs.com", "cn-hangzhou",
        environ="OSS_ENDPOINT=oss-cn-hangzhou.aliyuncs.com",
        ossutil="endpoint=oss.example.com\nregion=cn-beijing",
    ),
    "internal in the region of the file's endpoint": Case(
        Wishes(internal=True), "https://oss-cn-hangzhou-internal.aliyuncs.com", "cn-hangzhou",
        ossutil="endpoint=oss-cn-hangzhou.aliyuncs.com",
    ),
    "accelerated": Case(
        Wishes(accelerate=True), "https://oss-accelerate.aliyuncs.com", "cn-beijing",
        environ="OSS_ENDPOINT=oss.example.com", ossutil="region=cn-beijing",
    ),
    "accelerated overseas": Case(
        Wishes(region="oss-us-west-1", accelerate="overseas"),
        "https://oss-accelerate-overseas.aliyuncs.com", "us-west-1", ossutil="a=b",
    ),
    "region with the prefix of other programs": Case(
        Wishes(), HANGZHOU, "cn-hangzhou", ossutil="region=oss-cn-hangzhou"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES.values(), ids=PLACES)
def test_each_setting_comes_from_the_nearest_place(
    home: Home, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    for assignment in case.environ.split():
        monkeypatch.setenv(*assignment.split("=", 1))
    if case.ossutil:
        home.ossutil(FILE + case.ossutil if "=" in case.ossutil else case.ossutil)
    if case.aliyun:
        values = {"access_key_id": "LTAIcli", "access_key_secret": "x", "region_id": case.aliyun}
        home.profile(mode="AK", **values)
    found = settle(case.wishes)
    assert (str(found.endpoint), found.region) == (case.endpoint, case.region)
    assert found.keys.current(0.0).access_key_id == case.key


CONTRADICTIONS: dict[str, Wishes] = {
    "endpoint and internal": Wishes(HANGZHOU, internal=True),
    "endpoint and accelerate": Wishes(HANGZHOU, accelerate=True),
    "internal and accelerate": Wishes(region="cn-hangzhou", internal=True, accelerate=True),
    "internal nowhere": Wishes(internal=True),
    "nothing at all": Wishes(),
    "unknown acceleration": Wishes(region="cn-hangzhou", accelerate="far"),  # type: ignore[arg-type]
    "cname of the region": Wishes(region="cn-hangzhou", style="cname"),
    "path of the region": Wishes(region="cn-hangzhou", style="path"),
    "bad region": Wishes(region="cn hangzhou"),
}


@pytest.mark.parametrize("wishes", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_wishes_that_contradict_each_other_are_refused(home: Home, wishes: Wishes) -> None:
    with pytest.raises(InvalidArgumentError):
        settle(wishes)


@pytest.mark.parametrize("line", [f"endpoint=https://{SECRET}@host", f"region={SECRET}"])
def test_bad_place_in_a_file_is_refused_and_not_quoted(home: Home, line: str) -> None:
    path = home.ossutil(FILE + line)
    with pytest.raises(ResumableError) as refused:
        settle(Wishes())
    assert str(path) in str(refused.value)
    assert SECRET not in str(refused.value)


def test_half_a_key_in_the_environment_is_not_made_whole_from_a_file(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.ossutil(FILE)
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", ID)
    with pytest.raises(CredentialsError, match="OSS_ACCESS_KEY_SECRET not set"):
        settle(Wishes(HANGZHOU))
