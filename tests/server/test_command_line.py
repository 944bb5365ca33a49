"""`resumable serve`, as a process."""

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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "0.0.0.0"), "other machines"),
        (("--access-key", "nocolon"), "ID:SECRET"),
        (("--faults", "/nonexistent.json"), "does not exist"),
    ],
)
def test_senseless_options_are_refused(
    launch: Callable[..., ServerProcess], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    server = launch(tmp_path, *options)
    code, errors = server.end(signal.SIGKILL)
    assert code in (1, 2)
    assert message in errors
    assert server.first_line == ""


@pytest.mark.parametrize("host", ["192.0.2.1", "oss.example.com"])
def test_remote_address_has_to_be_allowed(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="other machines"):
        serve(LocalServer(tmp_path, host=host))


def test_name_of_this_machine_need_not_be_allowed(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        server = LocalServer(tmp_path, host="localhost", port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            serve(server)
