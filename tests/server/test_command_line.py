"""`resumable serve`, as a process."""

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.server import LocalServer, serve
from tests.support import ignoring

from .conftest import ServerProcess
from .raw import RawClient


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_a_signal(
    launch: Callable[..., ServerProcess], tmp_path: Path, number: signal.Signals
) -> None:
    server = launch(tmp_path)
    assert re.fullmatch(r"listening on http://127\.0\.0\.1:\d+", server.first_line)
    with RawClient(server.port) as client:
        assert client.call("PUT", "/key", b"x").status == 200
        assert server.end(number) == (0, "")


def test_a_signal_that_it_was_started_to_ignore_does_not_end_it(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    with ignoring(signal.SIGINT):
        server = launch(tmp_path)
    server.process.send_signal(signal.SIGINT)
    with RawClient(server.port) as client:
        assert client.call("PUT", "/key", b"x").status == 200
        assert server.end(signal.SIGTERM) == (0, "")


def test_access_keys_are_given_by_option(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = launch(tmp_path, "--access-key", "other:secret")
    with RawClient(server.port) as client:
        assert client.call("PUT", "/key", b"x").code == "InvalidAccessKeyId"


@pytest.fixture
def wrong_files(tmp_path: Path) -> Path:
    """Files that are not what the options below want."""
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / "text").write_text("no JSON")
    (folder / "latin").write_bytes(b"[\xff]")
    (folder / "object.json").write_text("{}")
    (folder / "rule.json").write_text('[{"effect": {"unknown": 1}}]')
    (folder / "root").mkdir()
    (folder / "root" / "store.sqlite").write_text("some other program's file")
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "0.0.0.0"), "other machines"),
        (("--host", "192.0.2.1", "--allow-remote"), "192.0.2.1"),
        (("--host", "no-such-host.invalid", "--allow-remote"), "no-such-host.invalid"),
        (("--host", "no-such-host.invalid"), "no-such-host.invalid"),
        (("--host", ""), "host"),
        (("--port", "65536"), "--port"),
        (("--port", "-1"), "--port"),
        (("--max-connections", "0"), "--max-connections"),
        (("--access-key", "nocolon"), "ID:SECRET"),
        (("--access-key", "id:"), "ID:SECRET"),
        (("--access-key", "id:one", "--access-key", "id:two"), "--access-key"),
        (("--bucket", "Not_A_Bucket!"), "Not_A_Bucket!"),
        (("--root", "{}/text"), "--root"),
        (("--root", "{}/text/below"), "below"),
        (("--root", "{}/root"), "root"),
        (("--faults", "/nonexistent.json"), "does not exist"),
        (("--faults", "{}/text"), "--faults"),
        (("--faults", "{}/latin"), "--faults"),
        (("--faults", "{}/object.json"), "--faults"),
        (("--faults", "{}/rule.json"), "--faults"),
        (("--access-log", "{}/none/log"), "none"),
    ],
)
def test_senseless_options_are_refused(
    launch: Callable[..., ServerProcess],
    tmp_path: Path,
    wrong_files: Path,
    options: tuple[str, ...],
    message: str,
) -> None:
    server = launch(tmp_path, *(option.format(wrong_files) for option in options))
    code, errors = server.end(signal.SIGKILL)
    assert code == 2
    assert message in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert server.first_line == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every folder")
def test_root_that_cannot_be_written_is_refused(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    server = launch(tmp_path / "below")
    code, errors = server.end(signal.SIGKILL)
    tmp_path.chmod(0o700)
    assert code == 2
    assert "below" in errors.splitlines()[-1]


def test_a_port_that_is_taken_is_no_wrong_call(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    first = launch(tmp_path / "first")
    second = launch(tmp_path / "second", "--port", str(first.port))
    code, errors = second.end(signal.SIGKILL)
    assert code == 1
    assert f"127.0.0.1:{first.port}" in errors


def test_an_access_key_that_is_wrong_is_not_repeated(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = launch(tmp_path, "--access-key", "id:dearsecret", "--access-key", "id:another")
    assert "dearsecret" not in server.end(signal.SIGKILL)[1]


def test_remote_address_has_to_be_allowed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="other machines"):
        serve(LocalServer(tmp_path, host="192.0.2.1"))


def test_an_address_of_ipv6_is_served(launch: Callable[..., ServerProcess], tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = launch(tmp_path, "--host", "::1")
    assert server.first_line.startswith("listening on http://[::1]:")


def test_name_of_this_machine_need_not_be_allowed(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        server = LocalServer(tmp_path, host="localhost", port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            serve(server)
