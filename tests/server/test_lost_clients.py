"""Clients that are reset, leave while the server stops, or never end: nobody else notices."""

import base64
import contextlib
import errno
import itertools
import json
import logging
import os
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resumable.server import Exchange, LocalServer, wire
from resumable.server import server as serving
from resumable.server.wire import Connection
from tests.callbacks import CallbackReceiver

from .conftest import ServerProcess
from .raw import RawClient

LARGE = b"x" * 20_000_000


def reset(client: socket.socket) -> None:
    """Close so that the other side sees a connection reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.fixture(autouse=True)
def nothing_unexpected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.ERROR, "resumable.server")
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


def in_a_head(client: RawClient) -> None:
    client.socket.sendall(b"PUT /bucket/key HT")


def begin_body(client: RawClient, framing: dict[str, str]) -> None:
    """Send a head; once the server says to continue it has read it and waits for the body."""
    client.socket.sendall(client.head("PUT", "/key", framing | {"Expect": "100-continue"}))
    assert client.reply().status == 100


def in_a_body(client: RawClient) -> None:
    begin_body(client, {"Content-Length": "1000000"})
    client.socket.sendall(b"x" * 1000)


def in_a_chunk(client: RawClient) -> None:
    begin_body(client, {"Transfer-Encoding": "chunked"})
    client.socket.sendall(b"3e8\r\nxxx")


def in_an_answer(client: RawClient) -> None:
    client.send("GET", "/large")
    assert client.socket.recv(1)


@pytest.mark.parametrize(
    ("begin", "noted"),
    [
        pytest.param(in_a_head, None, id="in a head"),
        pytest.param(in_a_body, ("PutObject", None), id="in a body"),
        pytest.param(in_a_chunk, ("PutObject", None), id="in a chunk"),
        pytest.param(in_an_answer, ("GetObject", 200), id="in an answer"),
    ],
)
def test_client_is_reset(
    tmp_path: Path, begin: Callable[[RawClient], None], noted: tuple[str, int | None] | None
) -> None:
    server = LocalServer(tmp_path)
    with server, RawClient(server.port) as other:
        assert other.call("PUT", "/large", LARGE).status == 200
        with RawClient(server.port) as client:
            begin(client)
            reset(client.socket)
        assert other.call("HEAD", "/key").status == 404
    # It has stopped: all it had to say of the connection is in the log.
    told = [entry for entry in server.log if (entry.operation, entry.key) != ("PutObject", "large")]
    mine = [(entry.operation, entry.status) for entry in told if entry.operation != "HeadObject"]
    assert mine == ([] if noted is None else [noted])


def test_address_of_a_client_that_was_reset_is_not_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with contextlib.closing(Connection(accepted, 10.0)) as connection:
            assert connection.client_ip == "127.0.0.1"
            reset(client)
            with pytest.raises(ConnectionResetError):
                accepted.recv(1)
            assert connection.client_ip == ""


def test_client_that_cannot_be_set_up_keeps_nobody_waiting(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems refuse options to a connection whose client has left already."""

    def refuse(_: socket.socket, __: float) -> Connection:
        raise OSError(errno.EINVAL, "Invalid argument")

    with monkeypatch.context() as patched:
        patched.setattr(serving, "Connection", refuse)
        with RawClient(server.port) as client:
            assert client.is_closed()
    with RawClient(server.port) as client:
        assert client.call("PUT", "/key", b"x").status == 200


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits others")
def test_clients_wait_while_there_is_no_free_descriptor(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = launch(tmp_path)
    pid, limit = server.process.pid, resource.RLIMIT_NOFILE
    with RawClient(server.port) as client:
        assert client.call("PUT", "/key", b"x").status == 200
        before = resource.prlimit(pid, limit)
        used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        free = next(number for number in itertools.count() if number not in used)
        resource.prlimit(pid, limit, (free, before[1]))
        # A descriptor for the next one may be reserved already.
        with RawClient(server.port), RawClient(server.port) as late:
            late.send("HEAD", "/key")
            late.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.socket.recv(1)
            assert client.call("HEAD", "/key").status == 200
            resource.prlimit(pid, limit, before)
            late.socket.settimeout(20)
            assert late.reply(has_body=False).status == 200
    assert server.end(signal.SIGTERM) == (0, "")


def test_client_that_comes_while_the_server_stops_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, accepted = LocalServer(tmp_path), threading.Event()
    server.start()
    running = server._running
    assert running is not None
    accept = Connection

    def at_the_end(client: socket.socket, read_timeout: float) -> Connection:
        accepted.set()
        assert running._stopping.wait(10)
        return accept(client, read_timeout)

    monkeypatch.setattr(serving, "Connection", at_the_end)
    with ThreadPoolExecutor(1) as pool, RawClient(server.port) as client:
        assert accepted.wait(10)
        pool.submit(server.stop).result(10)
        assert client.is_closed()
    assert len(server.log) == 0


def test_client_that_never_ends_is_not_waited_for_for_ever(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a refusal it gets a moment to read it, however much it goes on sending."""
    monkeypatch.setattr(wire, "_LINGER_SECONDS", 0.2)
    began = time.monotonic()
    with RawClient(server.port) as client:
        client.socket.sendall(b"nonsense\r\n\r\n")
        assert client.reply().status == 400

        def go_on() -> None:
            while time.monotonic() < began + 10:
                client.socket.sendall(b"x" * 1000)

        with pytest.raises(ConnectionError):
            go_on()
    assert time.monotonic() - began < 5


def test_connection_that_fails_for_a_reason_of_the_server_is_told_in_its_log(
    server: LocalServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Exchange) -> None:
        raise RuntimeError("the log is broken")

    with monkeypatch.context() as patched:
        patched.setattr(server.log, "append", fail)
        with RawClient(server.port) as client:
            client.send("PUT", "/key", b"x")
            assert client.is_closed()
    with RawClient(server.port) as client:
        assert client.call("GET", "/key").body == b"x"
    assert "a connection failed" in caplog.text
    assert "the log is broken" in caplog.text
    caplog.clear()


def test_callback_that_is_connected_while_the_server_stops_is_not_sent(
    server: LocalServer,
) -> None:
    with CallbackReceiver() as receiver, RawClient(server.port) as client:
        server._callbacks.close()
        callback = json.dumps({"callbackUrl": receiver.url, "callbackBody": "x"})
        headers = {"x-oss-callback": base64.b64encode(callback.encode()).decode()}
        reply = client.call("PUT", "/key", b"x", headers)
        assert (reply.status, reply.code) == (203, "CallbackFailed")
        assert "The server stops" in reply.find("Message")
        assert receiver.received == []
        assert client.call("GET", "/key").body == b"x"
