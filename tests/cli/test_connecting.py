"""Where the bucket is and who asks, as the command line is told it."""

import socket
from pathlib import Path

import pytest

from resumable.server import DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET, LocalServer
from tests.cli.conftest import Run
from tests.support import make_file


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were looked up, and not found."""
    names: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> None:
        names.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


@pytest.mark.parametrize(
    ("options", "host"),
    [
        (("--internal",), "oss-cn-hangzhou-internal.aliyuncs.com"),
        (("--internal", "--region", "us-west-1"), "oss-us-west-1-internal.aliyuncs.com"),
        (("--accelerate",), "oss-accelerate.aliyuncs.com"),
        (("--endpoint", "oss.example.com"), "oss.example.com"),
    ],
    ids=" ".join,
)
def test_option_comes_before_the_endpoint_of_the_environment(
    run: Run, folder: Path, looked_up: list[str], options: tuple[str, ...], host: str
) -> None:
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", "--tries", 1, *options)
    assert outcome.code == 3
    assert set(looked_up) == {f"examplebucket.{host}"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--internal", "--accelerate"), "--internal and --accelerate"),
        (("--endpoint", "x.example.com", "--internal"), "--endpoint and --internal"),
        (("--accelerate", "--endpoint", "x.example.com"), "--endpoint and --accelerate"),
        (
            ("--internal", "--accelerate", "--endpoint", "x.example.com"),
            "--endpoint and --internal and --accelerate",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("command", [("uploads",), ("clean", "--older-than", "1d"), ("abort",)])
def test_options_that_contradict_each_other_exit_with_2(
    run: Run, command: tuple[str, ...], options: tuple[str, ...], told: str
) -> None:
    outcome = run(*command, "oss://examplebucket/k", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"Error: {told} contradict each other" in outcome.err


def test_everything_can_come_from_the_file_of_ossutil(
    run: Run,
    environment: dict[str, str],
    server: LocalServer,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in environment:
        monkeypatch.delenv(name)
    config = tmp_path / "ossutilconfig"
    monkeypatch.setenv("OSSUTIL_CONFIG_FILE", str(config))
    config.write_text(
        f"[Credentials]\naccessKeyID={DEFAULT_ACCESS_KEY_ID}\n"
        f"accessKeySecret={DEFAULT_ACCESS_KEY_SECRET}\n"
        f"endpoint={server.endpoint}\nregion=cn-hangzhou\n"
    )
    config.chmod(0o600)
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k")
    assert (outcome.code, outcome.err) == (0, "")
    assert {exchange.signature for exchange in server.log} == {"v4"}

    config.write_text("accessKeySecret=TopSecretValue\n")
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k")
    assert outcome.code == 2
    assert str(config) in outcome.err
    assert "TopSecretValue" not in outcome.err


def test_bucket_can_be_addressed_in_the_path(run: Run, folder: Path, looked_up: list[str]) -> None:
    endpoint = ("--endpoint", "http://oss:9000", "--style", "path")
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", "--tries", 1, *endpoint)
    assert outcome.code == 3
    assert set(looked_up) == {"oss"}


def test_retries_end_after_the_time_that_is_given(run: Run, folder: Path) -> None:
    options = ("--endpoint", "http://127.0.0.1:1", "--retry-time", 0.3)
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", *options)
    assert outcome.code == 3
    assert "127.0.0.1:1" in outcome.err
    assert "tries in" in outcome.err


def test_server_that_is_silent_is_waited_for_as_long_as_is_said(
    run: Run, server: LocalServer, folder: Path
) -> None:
    server.faults.add({"operation": "PutObject", "times": None, "effect": {"stall": None}})
    options = ("--timeout", 0.2, "--tries", 2)
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", *options)
    assert outcome.code == 3
    assert "2 tries" in outcome.err


@pytest.mark.parametrize("option", ["--timeout", "--connect-timeout"])
def test_timeout_of_no_time_is_a_wrong_call(run: Run, folder: Path, option: str) -> None:
    assert run("cp", make_file(folder, 10), "oss://examplebucket/k", option, 0).code == 2


def test_authorities_can_be_given(run: Run, folder: Path) -> None:
    options = ("--endpoint", "https://localhost:1", "--ca-bundle", "gone.pem")
    outcome = run("cp", make_file(folder, 10), "oss://examplebucket/k", *options)
    assert outcome.code == 2
    assert "gone.pem" in outcome.err
