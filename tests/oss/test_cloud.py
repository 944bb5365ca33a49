"""Credentials of RAM roles, OIDC and profiles, by the library of Alibaba Cloud."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from resumable import Bucket, CredentialsError
from resumable.oss import configfiles
from resumable.oss.settings import Wishes, settle
from tests.oss.homes import Home

ROOT = Path(__file__).parents[2]
ROLE = "acs:ram::1:role/uploader"
SOMEWHERE = "http://127.0.0.1:1"
# The metadata service and STS are at this machine, and nothing else is reached.
NETWORK = """
set -e
ip link set lo up
ip addr add 100.100.100.200/32 dev lo
cp /etc/hosts "$1/hosts"
printf '127.0.0.1 sts.aliyuncs.com sts.cn-hangzhou.aliyuncs.com\\n' >> "$1/hosts"
mount --bind "$1/hosts" /etc/hosts
shift
exec "$@"
"""
PROFILES = {
    "current": "default",
    "profiles": [
        {"name": "default", "mode": "EcsRamRole", "ram_role_name": "cli-role"},
        {
            "name": "assumed",
            "mode": "RamRoleArn",
            "access_key_id": "long",
            "access_key_secret": "longsecret",
            "ram_role_arn": ROLE,
            "ram_session_name": "test",
        },
        {
            "name": "chained",
            "mode": "ChainableRamRoleArn",
            "source_profile": "plain",
            "ram_role_arn": ROLE,
            "ram_session_name": "test",
            "expired_seconds": 900,
            "sts_region": "cn-hangzhou",
        },
        {
            "name": "chained to the instance",
            "mode": "ChainableRamRoleArn",
            "source_profile": "default",
            "ram_role_arn": ROLE,
        },
        {
            "name": "with the instance",
            "mode": "RamRoleArnWithEcs",
            "ram_role_name": "cli-role",
            "ram_role_arn": ROLE,
        },
        {
            "name": "service",
            "mode": "CredentialsURI",
            "credentials_uri": "http://100.100.100.200:80/credentials",
        },
        {
            "name": "token",
            "mode": "OIDC",
            "ram_role_arn": ROLE,
            "oidc_provider_arn": "acs:ram::1:oidc-provider/p",
            "oidc_token_file": "@HOME@/token",
            "role_session_name": "test",
        },
        {"name": "plain", "mode": "AK", "access_key_id": "STS.1", "access_key_secret": "no"},
    ],
}
SDK = f"""
[default]
type = ecs_ram_role
role_name = sdk-role
[token]
type = oidc_role_arn
role_arn = {ROLE}
oidc_provider_arn = acs:ram::1:oidc-provider/p
oidc_token_file_path = @HOME@/token
role_session_name = test
"""


@cache
def may_make_networks() -> bool:
    if os.name != "posix" or not (shutil.which("unshare") and shutil.which("ip")):
        return False
    probe = ["unshare", "-n", "-m", "sh", "-c", "ip link set lo up"]
    return subprocess.run(probe, capture_output=True, check=False, timeout=20).returncode == 0


class Machine:
    """Runs uploads in a network of its own, from a home of its own."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home = home
        self._folder = folder
        self._script = folder / "network.sh"
        self._script.write_text(NETWORK)
        (home.folder / "token").write_text("oidc-token\n")

    def run(self, wanted: dict[str, Any], **environ: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "tests.oss.cloud_child", str(self._folder)]
        ended = subprocess.run(
            [
                *("unshare", "-n", "-m", "sh", str(self._script), str(self._folder)),
                *(*command, json.dumps(wanted)),
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        told: dict[str, Any] = json.loads(ended.stdout)
        return told | {"stderr": ended.stderr}


@pytest.fixture
def machine(home: Home, tmp_path: Path) -> Machine:
    if not may_make_networks():
        pytest.skip("needs root and network namespaces")
    return Machine(home, tmp_path)


METADATA = {"ALIBABA_CLOUD_ECS_METADATA": "named-role"}
OIDC = {
    "ALIBABA_CLOUD_ROLE_ARN": ROLE,
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1:oidc-provider/p",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "@HOME@/token",
}
SOURCES: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "role of the instance, by its name": ({}, METADATA, "metadata v2 named-role"),
    "OIDC": ({}, OIDC, f"AssumeRoleWithOIDC {ROLE} oidc-token"),
    "OIDC of a region": (
        {}, OIDC | {"ALIBABA_CLOUD_STS_REGION": "cn-hangzhou"},
        f"AssumeRoleWithOIDC {ROLE} oidc-token",
    ),
    "OIDC comes before the instance": (
        {}, OIDC | METADATA, f"AssumeRoleWithOIDC {ROLE} oidc-token"
    ),
    "service": (
        {}, {"ALIBABA_CLOUD_CREDENTIALS_URI": "http://100.100.100.200:80/credentials"}, "service"
    ),
    "current profile of the CLI": ({"cli": PROFILES}, {}, "metadata v2 cli-role"),
    "profile of the CLI by its name": (
        {"cli": PROFILES, "profile": "assumed"}, {}, f"AssumeRole {ROLE} long"
    ),
    "profile of the CLI by the environment": (
        {"cli": PROFILES}, {"ALIBABA_CLOUD_PROFILE": "assumed"}, f"AssumeRole {ROLE} long"
    ),
    "profile comes before the environment": (
        {"cli": PROFILES, "profile": "assumed"},
        {"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "secret"},
        f"AssumeRole {ROLE} long",
    ),
    "service by a profile": (
        {"cli": PROFILES, "profile": "service"}, {}, "service"
    ),
    "chained role": (
        {"cli": PROFILES, "profile": "chained"}, {}, f"AssumeRole {ROLE} STS.1"
    ),
    "OIDC by a profile of the CLI": (
        {"cli": PROFILES, "profile": "token"}, {}, f"AssumeRoleWithOIDC {ROLE} oidc-token"
    ),
    "file of the SDKs": ({"sdk": SDK}, {}, "metadata v2 sdk-role"),
    "profile of the SDKs by its name": (
        {"sdk": SDK, "profile": "token"}, {}, f"AssumeRoleWithOIDC {ROLE} oidc-token"
    ),
    "ossutil: role of the instance": (
        {"ossutil": "[default]\nmode=EcsRamRole\necsRoleName=ossutil-role\n"}, {},
        "metadata v2 ossutil-role",
    ),
    "ossutil: role": (
        {
            "ossutil": f"[default]\nmode=RamRoleArn\naccessKeyID=long\naccessKeySecret=s\n"
            f"roleArn={ROLE}\nroleSessionName=test\n"
        },
        {}, f"AssumeRole {ROLE} long",
    ),
}  # fmt: skip


def prepared(machine: Machine, files: dict[str, Any], environ: dict[str, str]) -> dict[str, str]:
    home = machine.home
    if "cli" in files:
        text = json.dumps(files["cli"]).replace("@HOME@", str(home.folder))
        home.aliyun(json.loads(text))
    if "ossutil" in files:
        home.ossutil(files["ossutil"])
    if "sdk" in files:
        home.sdk(files["sdk"].replace("@HOME@", str(home.folder)))
    return {name: text.replace("@HOME@", str(home.folder)) for name, text in environ.items()}


@pytest.mark.parametrize(("files", "environ", "asked"), SOURCES.values(), ids=SOURCES)
def test_key_is_fetched_and_renewed_in_the_middle_of_an_upload(
    machine: Machine, files: dict[str, Any], environ: dict[str, str], asked: str
) -> None:
    environ = prepared(machine, files, environ)
    bucket = {"region": "cn-hangzhou", "profile": files.get("profile")}
    told = machine.run({"bucket": bucket, "refuse": ["UploadPart"]}, **environ)
    assert told["error"] is None
    assert told["size"] == 6 * 102_400
    assert told["refused"] == 1
    # The refused key was not used again: another one was fetched.
    assert len(told["asked"]) >= 2
    assert set(told["asked"]) == {asked}


@pytest.mark.parametrize("profile", ["chained to the instance", "with the instance"])
def test_role_is_assumed_with_the_role_of_the_instance(machine: Machine, profile: str) -> None:
    machine.home.aliyun(PROFILES)
    told = machine.run({"bucket": {"region": "cn-hangzhou", "profile": profile}})
    assert told["error"] is None
    assert told["asked"] == ["metadata v2 cli-role", f"AssumeRole {ROLE} STS.1"]


@pytest.mark.parametrize("broken", [[], ["sts once later"]], ids=["", "STS fails once"])
def test_key_is_renewed_before_its_end_by_the_clock(machine: Machine, broken: list[str]) -> None:
    machine.home.aliyun(PROFILES)
    bucket = {"region": "cn-hangzhou", "profile": "assumed"}
    # The last fifth of its life, 0.8 s, has several requests.
    pace = {"lives": [4.0, 3600.0], "stall": 0.3, "parts": 18}
    told = machine.run({"bucket": bucket, "broken": broken, **pace})
    assert told["error"] is None
    assert told["refused"] == 0
    assert len(told["asked"]) == 2 + len(broken)


def test_sts_is_asked_through_the_proxy_that_was_given(machine: Machine) -> None:
    machine.home.aliyun(PROFILES)
    bucket = {"region": "cn-hangzhou", "profile": "assumed"}
    told = machine.run({"bucket": bucket, "proxy": "user:p%40ss"})
    assert told["error"] is None
    assert told["proxied"].count("sts.aliyuncs.com:443") == 1


def test_metadata_service_is_not_asked_through_the_proxy_that_was_given(machine: Machine) -> None:
    machine.home.aliyun(PROFILES)
    told = machine.run({"bucket": {"region": "cn-hangzhou"}, "proxy": "user:password"})
    assert told["error"] is None
    assert told["asked"] == ["metadata v2 cli-role"]
    assert not [target for target in told["proxied"] if "100.100.100.200" in target]


def test_role_that_nobody_named_is_found_out(machine: Machine) -> None:
    machine.home.aliyun({"profiles": [{"name": "default", "mode": "EcsRamRole"}]})
    told = machine.run({"bucket": {"region": "cn-hangzhou"}})
    assert told["error"] is None
    assert told["asked"][:2] == ["metadata v2", "metadata v2 machine-role"]


def test_command_line_takes_the_profile(machine: Machine) -> None:
    machine.home.aliyun(PROFILES)
    command = ["cp", "--region", "cn-hangzhou", "--profile", "assumed", "-q"]
    told = machine.run({"command": command})
    assert told["code"] == 0, told["error"]
    assert told["asked"][0] == f"AssumeRole {ROLE} long"


@pytest.mark.parametrize("broken", ["metadata", "sts"])
def test_service_that_fails_is_named_and_gives_no_secret_away(
    machine: Machine, broken: str
) -> None:
    machine.home.aliyun(PROFILES)
    profile = {"metadata": "default", "sts": "assumed"}[broken]
    wanted = {"bucket": {"region": "cn-hangzhou", "profile": profile}, "broken": [broken]}
    told = machine.run(wanted)
    assert told["stderr"] == ""
    assert told["error"].startswith("CredentialsError: the mode ")
    assert str(machine.home.folder) in told["error"]
    assert "secret" not in told["error"].replace("AccessKeySecret", "").replace("SECRET", "")
    assert told["operations"] == []


# What needs no service.


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alibabacloud_credentials", None)


WITHOUT: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "OIDC": ({}, {**OIDC, "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/token"}),
    "instance": ({}, METADATA),
    "service": ({}, {"ALIBABA_CLOUD_CREDENTIALS_URI": "https://example.com"}),
    "profile": ({"cli": PROFILES}, {}),
}


@pytest.mark.usefixtures("not_installed")
@pytest.mark.parametrize(("files", "environ"), WITHOUT.values(), ids=WITHOUT)
def test_without_the_library_the_error_says_what_to_install(
    home: Home, monkeypatch: pytest.MonkeyPatch, files: dict[str, Any], environ: dict[str, str]
) -> None:
    if "cli" in files:
        home.aliyun(files["cli"])
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(CredentialsError) as refused:
        settle(Wishes(SOMEWHERE))
    assert "oss-resumable[credentials]" in refused.value.advice


@pytest.mark.usefixtures("not_installed")
def test_without_the_library_keys_in_files_are_read(home: Home) -> None:
    home.sdk("[default]\ntype=sts\naccess_key_id=id\naccess_key_secret=s\nsecurity_token=t\n")
    keys = settle(Wishes(SOMEWHERE)).keys
    assert keys.current(0.0).access_key_id == "id"
    assert keys.current(0.0).security_token == "t"


def test_variables_of_alibaba_cloud_are_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"ID": "id", "SECRET": "secret"}.items():
        monkeypatch.setenv(f"ALIBABA_CLOUD_ACCESS_KEY_{name}", text)
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "token")
    found = settle(Wishes(SOMEWHERE)).keys.current(0.0)
    assert (found.access_key_id, found.security_token) == ("id", "token")
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "oss")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "secret")
    assert settle(Wishes(SOMEWHERE)).keys.current(0.0).access_key_id == "oss"


def test_machine_that_is_no_instance_asks_no_metadata_service(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    product = tmp_path / "product_name"
    monkeypatch.setattr(configfiles, "_PRODUCT_NAME", str(product))
    with pytest.raises(CredentialsError, match="no access key"):
        settle(Wishes(SOMEWHERE))
    product.write_text("Alibaba Cloud ECS\n")
    product.chmod(0o444)
    settle(Wishes(SOMEWHERE))
    assert caplog.text == ""  # everybody may read it
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
    with pytest.raises(CredentialsError, match="no access key"):
        settle(Wishes(SOMEWHERE))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_key_of_a_role_does_not_go_through_a_proxy(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA", "role")
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(CredentialsError, match="proxy"):
        settle(Wishes(SOMEWHERE))


def test_profile_that_is_in_no_file_is_an_error(home: Home) -> None:
    home.aliyun(PROFILES)
    with pytest.raises(CredentialsError, match="'nobody'"):
        Bucket("examplebucket", endpoint=SOMEWHERE, profile="nobody")


INCOMPLETE: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"mode": "AK"}, "profile 'work' holds no access key"),
    "no key for the role": ({"mode": "RamRoleArn", "ram_role_arn": ROLE}, "no access key to"),
    "no role": (
        {"mode": "RamRoleArn", "access_key_id": "id", "access_key_secret": "s"}, "no role"
    ),
    "too short": (
        {
            "mode": "RamRoleArn", "ram_role_arn": ROLE, "expired_seconds": 10,
            "access_key_id": "id", "access_key_secret": "s",
        },
        "less than 900",
    ),
    "chained to none": ({"mode": "ChainableRamRoleArn", "ram_role_arn": ROLE}, "not there"),
    "chained to itself": (
        {"mode": "ChainableRamRoleArn", "ram_role_arn": ROLE, "source_profile": "work"},
        "not there",
    ),
    "chained to one without a key": (
        {"mode": "ChainableRamRoleArn", "ram_role_arn": ROLE, "source_profile": "other"},
        "no access key to assume",
    ),
    "chained to single sign-on": (
        {"mode": "ChainableRamRoleArn", "ram_role_arn": ROLE, "source_profile": "sso"},
        "gives none",
    ),
    "no service": ({"mode": "CredentialsURI"}, "credentials_uri"),
    "no OIDC": ({"mode": "OIDC"}, "role_arn"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "told"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_profile_that_is_incomplete_is_an_error_that_says_what_is_missing(
    home: Home, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], told: str
) -> None:
    """The key in the environment is another identity's: it is not taken for the profile's."""
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "other")
    others = [{"name": "other", "mode": "AK"}, {"name": "sso", "mode": "CloudSSO"}]
    home.aliyun({"current": "other", "profiles": [{"name": "work", **values}, *others]})
    with pytest.raises(CredentialsError, match=told):
        settle(Wishes(SOMEWHERE, profile="work"))


def test_profile_gives_endpoint_and_region_before_the_environment(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.ossutil(
        "[profile work]\naccessKeyID=id\naccessKeySecret=s\nregion=cn-beijing\n"
        "endpoint=oss-cn-beijing-internal.aliyuncs.com\n"
    )
    monkeypatch.setenv("OSS_ENDPOINT", "https://oss-cn-hangzhou.aliyuncs.com")
    monkeypatch.setenv("OSS_REGION", "cn-hangzhou")
    found = settle(Wishes(profile="work"))
    assert found.endpoint.host == "oss-cn-beijing-internal.aliyuncs.com"
    assert found.region == "cn-beijing"
    found = settle(Wishes("https://oss.example.com", profile="work"))
    assert found.endpoint.host == "oss.example.com"
