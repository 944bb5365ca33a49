"""Faults: each effect, how rules are counted, and what is no rule."""

import email.utils
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from resumable.server import Fault, Faults, LocalServer
from resumable.server.effects import AnswerInstead, Drop

from .raw import RawClient, md5_header


def put(client: RawClient, data: bytes = b"data") -> tuple[int, str]:
    reply = client.call("PUT", "/key", data)
    return reply.status, reply.code


def test_answer_instead_of_acting(server: LocalServer, client: RawClient) -> None:
    effect = {"status": 503, "code": "ServiceUnavailable", "headers": {"Retry-After": "1"}}
    server.faults.add({"effect": effect})
    reply = client.call("PUT", "/key", b"x" * 1_000_000)
    assert (reply.status, reply.code) == (503, "ServiceUnavailable")
    assert reply.headers["retry-after"] == "1"
    assert (server.log[-1].body_bytes, server.log[-1].code) == (1_000_000, "ServiceUnavailable")
    assert client.call("GET", "/key").status == 404


@pytest.mark.parametrize(("body", "sent"), [("none", b""), ("<html>no", b"<html>no")])
def test_answer_with_another_body(
    server: LocalServer, client: RawClient, body: str, sent: bytes
) -> None:
    server.faults.add({"effect": {"status": 502, "body": body}})
    reply = client.call("PUT", "/key", b"x")
    assert (reply.status, reply.body) == (502, sent)


def test_early_answer_does_not_wait_for_the_body(server: LocalServer, client: RawClient) -> None:
    server.faults.add({"effect": {"status": 503, "code": "SlowDown", "early": True}})
    client.socket.sendall(client.head("PUT", "/key", {"Content-Length": "1000000"}))
    reply = client.reply()
    assert (reply.status, reply.headers["connection"]) == (503, "close")
    assert client.is_closed()
    assert server.log[-1].body_bytes == 0


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    ("at", "stored", "received"),
    [
        ("before", False, range(1)),
        ("during_body", False, range(1, 4_000_000)),
        ("after_body", False, range(4_000_000, 4_000_001)),
        ("after_success", True, range(4_000_000, 4_000_001)),
        ("during_answer", True, range(4_000_000, 4_000_001)),
    ],
)
def test_drop(
    server: LocalServer,
    connect: Callable[[], RawClient],
    at: str,
    stored: bool,
    received: range,
    reset: bool,
) -> None:
    server.faults.add({"effect": {"drop": at, "reset": reset}, "operation": "PutObject"})
    client = connect()
    with pytest.raises(ConnectionError):
        client.call("PUT", "/key", b"x" * 4_000_000)
    entry = server.log[-1]
    assert (entry.operation, entry.status, entry.code) == ("PutObject", None, None)
    assert entry.body_bytes in received
    assert (connect().call("HEAD", "/key").status == 200) == stored


def test_half_of_a_large_answer(server: LocalServer, connect: Callable[[], RawClient]) -> None:
    client = connect()
    client.call("PUT", "/key", b"x" * 1_000_000)
    server.faults.add({"effect": {"drop": "during_answer"}})
    client.send("GET", "/key")
    received = b"".join(iter(lambda: client.socket.recv(1 << 20), b""))
    assert 500_000 <= len(received) < 501_000


def test_half_of_an_answer_of_several_blobs_ends_between_them(
    server: LocalServer, connect: Callable[[], RawClient]
) -> None:
    client = connect()
    upload_id = client.initiate()
    parts = [(n, client.put_part(upload_id, n, bytes([n]) * 102_400)) for n in range(1, 9)]
    assert client.complete(upload_id, parts).status == 200
    server.faults.add({"effect": {"drop": "during_answer"}})
    client.send("GET", "/key")
    received = b"".join(iter(lambda: client.socket.recv(1 << 20), b""))
    content = b"".join(bytes([n]) * 102_400 for n in range(1, 9))
    assert content.startswith(received.partition(b"\r\n\r\n")[2])
    assert 4 * 102_400 <= len(received) < 4 * 102_400 + 1000


def test_body_of_a_request_that_has_none_is_dropped_at_its_end(
    server: LocalServer, connect: Callable[[], RawClient]
) -> None:
    server.faults.add({"effect": {"drop": "during_body"}})
    with pytest.raises(ConnectionError):
        connect().call("GET", "/key")
    assert (server.log[-1].operation, server.log[-1].status) == ("GetObject", None)


def test_status_that_no_standard_knows(server: LocalServer, client: RawClient) -> None:
    server.faults.add({"effect": {"status": 599, "body": "none"}})
    client.send("GET", "/key")
    assert client.socket.recv(1000).startswith(b"HTTP/1.1 599 Unknown\r\n")


def test_only_one_bit_of_a_long_body_is_corrupted(server: LocalServer, client: RawClient) -> None:
    data = bytes(2_000_000)
    server.faults.add({"effect": {"corrupt_body": True}, "operation": "PutObject"})
    assert client.call("PUT", "/key", data).status == 200
    stored = client.call("GET", "/key").body
    assert len(stored) == len(data)
    assert sum(byte.bit_count() for byte in stored) == 1


def test_stall_before_and_after(server: LocalServer, client: RawClient) -> None:
    server.faults.add({"effect": {"stall": 0.02}})
    server.faults.add({"effect": {"stall_answer": 0.02}})
    begun = time.perf_counter()
    assert put(client) == (200, "")
    assert time.perf_counter() - begun >= 0.04


@pytest.mark.parametrize(
    "effect", [{"stall": None}, {"stall_answer": None}, {"gate": "g"}, {"gate": "g", "at": "after"}]
)
def test_endless_wait_ends_with_the_server(tmp_path: Path, effect: dict[str, object]) -> None:
    server = LocalServer(tmp_path, faults=Faults({"effect": effect}))
    server.start()
    with RawClient(server.port) as client:
        client.send("PUT", "/key", b"data")
        server.faults.wait_fired(0)
        server.stop()
        with pytest.raises(ConnectionError):
            client.reply()


def test_changed_answer_of_a_real_success(server: LocalServer, client: RawClient) -> None:
    change = {"etag": '"WRONG"', "x-oss-hash-crc64ecma": None, "X-New": "1"}
    server.faults.add({"effect": {"answer": {"headers": change}}})
    reply = client.call("PUT", "/key", b"data")
    assert (reply.status, reply.headers["etag"]) == (200, '"WRONG"')
    assert "x-oss-hash-crc64ecma" not in reply.headers
    assert reply.headers["x-new"] == "1"
    assert client.call("GET", "/key").body == b"data"


def test_changed_status_and_body(server: LocalServer, client: RawClient) -> None:
    answer = {"status": 203, "body": "<Error><Code>CallbackFailed</Code></Error>"}
    server.faults.add({"effect": {"answer": answer}, "times": 2})
    reply = client.call("PUT", "/key", b"data")
    assert (reply.status, reply.code) == (203, "CallbackFailed")
    assert client.call("GET", "/key").code == "CallbackFailed"
    assert client.call("GET", "/key").body == b"data"


@pytest.mark.parametrize("chunked", [True, False])
def test_corrupted_body_is_what_was_received(
    server: LocalServer, client: RawClient, *, chunked: bool
) -> None:
    server.faults.add({"effect": {"corrupt_body": True}, "operation": "PutObject", "times": 2})
    if chunked:
        head = client.head("PUT", "/key", {"Transfer-Encoding": "chunked"})
        client.socket.sendall(head + b"4\r\ndata\r\n0\r\n\r\n")
        reply = client.reply()
    else:
        reply = client.call("PUT", "/key", b"data")
    found = client.call("GET", "/key")
    assert len(found.body) == 4
    assert found.body != b"data"
    assert found.headers["etag"] == reply.headers["etag"]
    guarded = client.call("PUT", "/key", b"data", {"Content-MD5": md5_header(b"data")})
    assert (guarded.status, guarded.code) == (400, "InvalidDigest")


def test_skewed_clock(server: LocalServer, client: RawClient) -> None:
    server.faults.add({"effect": {"skew": 3600}, "times": None})
    reply = client.call("PUT", "/key", b"data")
    assert reply.code == "RequestTimeTooSkewed"
    moment = email.utils.parsedate_to_datetime(reply.headers["date"]).timestamp()
    assert moment == pytest.approx(time.time() + 3600, abs=10)
    assert client.call("PUT", "/key", b"data", {"Date": reply.headers["date"]}).status == 200


@pytest.mark.parametrize(("at", "stored"), [("before", 404), ("after", 200)])
def test_gate_stops_the_world(
    server: LocalServer, connect: Callable[[], RawClient], at: str, stored: int
) -> None:
    first, second = connect(), connect()
    second.call("PUT", "/other", b"x")
    effect = {"gate": "here", "at": at}
    server.faults.add({"operation": "PutObject", "effect": effect, "times": None})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(put, first)
        assert server.faults.wait_reached("here", 10) == 1
        assert second.call("HEAD", "/key").status == stored
        server.faults.release("here")
        assert waiting.result(10) == (200, "")
    assert put(first) == (200, "")


def test_unreached_gate_times_out() -> None:
    with pytest.raises(TimeoutError, match="nowhere"):
        Faults().wait_reached("nowhere", 0)


def test_rule_that_does_not_fire_times_out() -> None:
    with pytest.raises(TimeoutError, match="rule 0 did not fire 2 times"):
        Faults({"effect": {"status": 503}}).wait_fired(0, 0, count=2)


def test_rule_counts_what_it_matches(server: LocalServer, client: RawClient) -> None:
    upload_id = client.initiate()
    server.faults.add(
        Fault(
            AnswerInstead(503, "SlowDown"), operation="UploadPart", part_number=2, skip=1, times=2
        )
    )

    def part(number: int) -> int:
        target = f"/key?partNumber={number}&uploadId={upload_id}"
        return client.call("PUT", target, b"x").status

    assert [part(number) for number in (2, 1, 2, 2, 1, 2)] == [200, 200, 503, 503, 200, 200]
    assert server.faults.fired == (2,)
    server.faults.clear()
    assert len(server.faults.fired) == 0


def test_rules_of_one_kind_take_turns_and_others_combine(
    server: LocalServer, client: RawClient
) -> None:
    server.faults.add({"effect": {"status": 500, "code": "A"}})
    server.faults.add({"effect": {"status": 503, "code": "B"}})
    server.faults.add({"effect": {"answer": {"headers": {"X-Also": "1"}}}})
    first = client.call("PUT", "/key", b"x")
    assert (first.code, first.headers["x-also"]) == ("A", "1")
    assert [put(client)[1], put(client)[1]] == ["B", ""]


def test_rules_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    rules: list[dict[str, Any]] = [
        {"operation": "UploadPart", "part_number": 3, "skip": 1, "times": None, "effect": e}
        for e in ({"status": 503}, {"drop": "before", "reset": True})
    ]
    path.write_text(json.dumps(rules))
    assert Faults.load(path).fired == (0, 0)
    assert Fault.from_json(rules[1]) == Fault(
        Drop("before", reset=True), "UploadPart", part_number=3, skip=1, times=None
    )
    path.write_text("{}")
    with pytest.raises(ValueError, match="list of faults"):
        Faults.load(path)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"effect": {}},
        {"effect": "drop"},
        {"effect": {"drop": "sometimes"}},
        {"effect": {"drop": "before", "status": 503}},
        {"effect": {"drop": "before", "loud": True}},
        {"effect": {"status": "503"}},
        {"effect": {"status": 99}},
        {"effect": {"status": True}},
        {"effect": {"status": 503, "headers": {"a": 1}}},
        {"effect": {"status": 503, "early": 1}},
        {"effect": {"stall": -1}},
        {"effect": {"stall": "1"}},
        {"effect": {"answer": {"header": {}}}},
        {"effect": {"answer": []}},
        {"effect": {"corrupt_body": False}},
        {"effect": {"gate": 1}},
        {"effect": {"gate": "g", "at": "sometimes"}},
        {"effect": {"skew": None}},
        {"effect": {"drop": "before"}, "colour": "red"},
        {"effect": {"drop": "before"}, "skip": -1},
        {"effect": {"drop": "before"}, "skip": None},
        {"effect": {"drop": "before"}, "times": 1.5},
        {"effect": {"drop": "before"}, "part_number": "1"},
        {"effect": {"drop": "before"}, "operation": None},
        {"effect": {"drop": "before"}, "operation": "UploadParts"},
    ],
)
def test_what_is_no_rule_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Faults(rule)
