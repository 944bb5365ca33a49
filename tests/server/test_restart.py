"""What was acknowledged survives the death of the server; what was not leaves no trace."""

import contextlib
import os
import re
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.server import LocalServer, RootInUseError

from .conftest import ServerProcess
from .raw import RawClient


def test_killed_in_mid_body_and_started_again(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    first = launch(tmp_path)
    with RawClient(first.port) as client:
        client.call("PUT", "/object", b"whole")
        upload_id = client.initiate(headers={"x-oss-meta-a": "b"})
        etag = client.put_part(upload_id, 1, b"x" * 200_000)
        head = client.head(
            "PUT", f"/key?partNumber=2&uploadId={upload_id}", {"Content-Length": "9000000"}
        )
        client.socket.sendall(head + b"y" * 5_000_000)
        code, errors = first.end(signal.SIGKILL)
    assert (code, errors) == (-signal.SIGKILL, "")
    second = launch(tmp_path)
    with RawClient(second.port) as client:
        assert len(os.listdir(tmp_path / "blobs")) == 2
        assert client.call("GET", "/object").body == b"whole"
        assert client.call("GET", f"/key?uploadId={upload_id}").all("PartNumber") == ["1"]
        last = client.put_part(upload_id, 2, b"z")
        assert client.complete(upload_id, [(1, etag), (2, last)]).status == 200
        found = client.call("GET", "/key")
    assert found.body == b"x" * 200_000 + b"z"
    assert found.headers["x-oss-meta-a"] == "b"


def test_root_is_used_by_one_server_only(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    with LocalServer(tmp_path) as server:
        with pytest.raises(RootInUseError, match="another server"):
            LocalServer(tmp_path).start()
        other = launch(tmp_path)
        code, errors = other.end(signal.SIGTERM)
        assert (code, other.first_line) == (1, "")
        assert "another server" in errors
        assert server.port
    with LocalServer(tmp_path):
        pass


def test_restart_keeps_the_port_and_the_data(tmp_path: Path) -> None:
    server = LocalServer(tmp_path)
    with server:
        port = server.port
        with RawClient(port) as client:
            client.call("PUT", "/key", b"x")
    with server, RawClient(port) as client:
        assert client.call("GET", "/key").body == b"x"
        with pytest.raises(RuntimeError, match="already running"):
            server.start()
    server.stop()


def test_stop_ends_open_connections(tmp_path: Path) -> None:
    server = LocalServer(tmp_path)
    with server:
        client = RawClient(server.port)
        client.call("PUT", "/key", b"x")
        client.socket.sendall(client.head("PUT", "/key", {"Content-Length": "10"}))
    with client, pytest.raises(ConnectionError):
        client.reply()


def test_taken_port_is_an_error_that_holds_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = LocalServer(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            server.start()
    with LocalServer(tmp_path):
        pass


def test_uploads_of_an_earlier_version_go_on(tmp_path: Path) -> None:
    """The table of uploads had no column for `sequential` at first."""
    with LocalServer(tmp_path) as server, RawClient(server.port) as client:
        upload_id = client.initiate()
        etag = client.put_part(upload_id, 1, b"x")
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as database:
        database.execute("ALTER TABLE uploads DROP COLUMN sequential")
    with LocalServer(tmp_path) as server, RawClient(server.port) as client:
        assert client.complete(upload_id, [(1, etag)]).status == 200
        client.call("POST", "/key?uploads&sequential")


def test_blob_that_belongs_to_nothing_is_removed(tmp_path: Path) -> None:
    """A server that was killed between writing it and recording it leaves one."""
    with LocalServer(tmp_path) as server, RawClient(server.port) as client:
        client.call("PUT", "/key", b"x")
    blobs = tmp_path / "blobs"
    (kept,) = blobs.iterdir()
    (blobs / kept.name[::-1]).write_bytes(b"stray")
    with LocalServer(tmp_path) as server, RawClient(server.port) as client:
        assert client.call("GET", "/key").body == b"x"
    assert list(blobs.iterdir()) == [kept]


def test_database_that_cannot_be_opened_is_told_as_it_is(tmp_path: Path) -> None:
    """It must not be taken for one that another server holds."""
    with LocalServer(tmp_path):
        pass
    (tmp_path / "store.sqlite-wal").mkdir()
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        LocalServer(tmp_path).start()
