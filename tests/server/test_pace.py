"""x-oss-traffic-limit: bodies pass no faster than it says, in either direction."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.server import LocalServer
from resumable.server.pace import Pace

from .raw import RawClient

LIMIT = {"x-oss-traffic-limit": "819200"}  # bit/s, the least there is: 102,400 bytes a second
DATA = b"x" * 51_200  # half a second of it, of which the last tenth is not waited for


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


@pytest.mark.parametrize("in_query", [True, False])
def test_body_of_a_request_is_read_no_faster(client: RawClient, *, in_query: bool) -> None:
    target = f"/key?partNumber=1&uploadId={client.initiate()}"
    if in_query:
        target += "&x-oss-traffic-limit=819200"
    headers = {} if in_query else LIMIT
    assert 0.35 < seconds(lambda: client.call("PUT", target, DATA, headers)) < 5
    # The limit was that of one request.
    assert seconds(lambda: client.call("PUT", "/key", DATA * 10)) < 2.5


def test_chunked_body_is_read_no_faster(client: RawClient) -> None:
    head = client.head("PUT", "/key", LIMIT | {"Transfer-Encoding": "chunked"})
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(DATA), DATA)

    def send() -> None:
        client.socket.sendall(head + chunks)
        assert client.reply().status == 200

    assert 0.35 < seconds(send) < 5


def test_object_is_sent_no_faster(client: RawClient) -> None:
    client.call("PUT", "/key", DATA)
    assert 0.35 < seconds(lambda: client.call("GET", "/key", headers=LIMIT)) < 5
    assert client.call("GET", "/key", headers=LIMIT | {"Range": "bytes=1-9"}).body == DATA[1:10]


@pytest.mark.parametrize("value", ["819199", "838860801", "0", "-819200", "fast", "81920000000000"])
@pytest.mark.parametrize("target", ["/key", "/key?partNumber=1&uploadId={}"])
def test_limit_that_is_none_is_refused(client: RawClient, target: str, value: str) -> None:
    target = target.format(client.initiate())
    for method in ("PUT", "GET"):
        reply = client.call(method, target, b"", {"x-oss-traffic-limit": value})
        assert (reply.status, reply.code) == (400, "InvalidArgument")
    refused = client.call("HEAD", f"/key?x-oss-traffic-limit={value}")
    assert refused.code == "InvalidArgument"


def test_server_that_stops_does_not_wait_for_a_slow_body(tmp_path: Path) -> None:
    with LocalServer(tmp_path) as server, RawClient(server.port) as client:
        server.faults.add({"operation": "PutObject", "effect": {"gate": "here"}})
        head = client.head("PUT", "/key", LIMIT | {"Transfer-Encoding": "chunked"})
        client.socket.sendall(head + b"80000\r\n" + b"x" * 0x80000)
        server.faults.wait_reached("here")
        server.faults.release("here")
        begun = time.perf_counter()
    # A block of 256 KiB is worth a rest of two and a half seconds.
    assert time.perf_counter() - begun < 1.5


def test_pace_gives_no_credit_for_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waits = [0.0], []

    def wait(duration: float) -> None:
        waits.append(duration)
        clock[0] += duration

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    pace = Pace(100.0, wait)
    pace.passed(100)
    assert sum(waits) == pytest.approx(1.0)
    clock[0] += 50.0
    for _ in range(3):
        pace.passed(100)
    # The first hundred bytes may have come during the pause; the others may not.
    assert sum(waits) == pytest.approx(3.0)
    assert pace.step == 10
