"""The access log, in memory and in a file."""

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from resumable.server import LocalServer

from .conftest import ServerProcess
from .raw import RawClient


def test_exchange_says_what_happened(server: LocalServer, client: RawClient) -> None:
    upload_id = client.initiate("a%20b")
    headers = {"x-oss-security-token": "sesame"}
    client.call("PUT", f"/a%20b?partNumber=3&uploadId={upload_id}", b"12345", headers)
    client.call("GET", "/absent")
    first, part, absent = server.log
    assert (first.operation, first.method) == ("InitiateMultipartUpload", "POST")
    assert (part.operation, part.bucket, part.key) == ("UploadPart", "bucket", "a b")
    assert (part.upload_id, part.part_number, part.body_bytes) == (upload_id, 3, 5)
    assert (part.status, part.code, part.signature) == (200, None, "v1")
    assert part.headers["x-oss-security-token"] == part.headers["authorization"] == "***"
    assert part.headers["content-length"] == "5"
    assert part.seconds >= 0
    assert part.started >= first.started
    assert (absent.status, absent.code) == (404, "NoSuchKey")


def test_log_is_a_bounded_sequence(tmp_path: Path) -> None:
    with LocalServer(tmp_path, log_limit=2) as server, RawClient(server.port) as client:
        for key in "abc":
            client.call("PUT", f"/{key}", b"")
        assert [exchange.key for exchange in server.log] == ["b", "c"]
        assert [exchange.key for exchange in server.log[1:]] == ["c"]
        assert (server.log[-1].key, len(server.log)) == ("c", 2)
        server.log.clear()
        assert not server.log


def test_log_file_of_a_killed_server_has_every_exchange(
    launch: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"effect": {"drop": "after_success"}, "operation": "DeleteObject"}]')
    log = tmp_path / "access.jsonl"
    server = launch(tmp_path / "root", "--access-log", str(log), "--faults", str(faults))
    with RawClient(server.port) as client:
        client.call("PUT", "/%E4%B8%AD", b"x")
        client.send("DELETE", "/%E4%B8%AD")
        assert client.is_closed()
        assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [(line["operation"], line["status"]) for line in lines] == [
        ("PutObject", 200),
        ("DeleteObject", None),
    ]
    assert lines[0]["key"] == "中"
    assert os.listdir(tmp_path / "root" / "blobs") == []


def test_log_file_has_what_is_in_memory_and_grows_from_start_to_start(tmp_path: Path) -> None:
    file = tmp_path / "access.jsonl"
    server = LocalServer(tmp_path / "root", access_log=file)
    for key in "ab":
        with server, RawClient(server.port) as client:
            client.call("PUT", f"/{key}", b"12345")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert lines == [dataclasses.asdict(exchange) for exchange in server.log]
    assert [(line["key"], line["body_bytes"]) for line in lines] == [("a", 5), ("b", 5)]
