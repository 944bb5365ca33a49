"""Requests that meet each other."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from resumable.server import LocalServer

from .raw import RawClient, complete_body

PART = 300_000


@pytest.mark.parametrize("ending", ["complete", "abort"])
def test_part_whose_upload_went_away_meanwhile(
    connect: Callable[[], RawClient], blobs: Callable[[], int], ending: str
) -> None:
    slow, other = connect(), connect()
    upload_id = other.initiate()
    etag = other.put_part(upload_id, 1, b"x" * PART)
    target = f"/key?partNumber=2&uploadId={upload_id}"
    head = slow.head("PUT", target, {"Content-Length": "2000000", "Expect": "100-continue"})
    slow.socket.sendall(head)
    # Once told to continue, the part has passed every check that comes before its body.
    assert slow.reply().status == 100
    slow.socket.sendall(b"y" * 1_999_999)
    if ending == "complete":
        assert other.complete(upload_id, [(1, etag)]).status == 200
    else:
        assert other.call("DELETE", f"/key?uploadId={upload_id}").status == 204
    slow.socket.sendall(b"y")
    gone = slow.reply()
    assert (gone.status, gone.code) == (404, "NoSuchUpload")
    assert blobs() == (1 if ending == "complete" else 0)


def test_complete_wins_only_once(server: LocalServer, connect: Callable[[], RawClient]) -> None:
    first, second = connect(), connect()
    upload_id = first.initiate()
    body = complete_body([(1, first.put_part(upload_id, 1, b"x"))])
    target = f"/key?uploadId={upload_id}"
    server.faults.add(
        {"operation": "CompleteMultipartUpload", "effect": {"gate": "both"}, "times": 2}
    )
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(each.call, "POST", target, body) for each in (first, second)]
        server.faults.wait_reached("both", count=2)
        server.faults.release("both")
        assert sorted(call.result(10).status for call in calls) == [200, 404]


def test_parts_arrive_in_any_order_over_many_connections(
    connect: Callable[[], RawClient],
) -> None:
    main = connect()
    upload_id = main.initiate()
    clients = [connect() for _ in range(4)]

    def send(at: int) -> list[tuple[int, str]]:
        numbers = range(16 - at, 0, -4)
        return [(n, clients[at].put_part(upload_id, n, bytes([n]) * 102_400)) for n in numbers]

    with ThreadPoolExecutor(4) as pool:
        parts = sorted(part for sent in pool.map(send, range(4)) for part in sent)
    assert main.complete(upload_id, parts).status == 200
    expected = b"".join(bytes([n]) * 102_400 for n in range(1, 17))
    assert main.call("GET", "/key").body == expected


def test_object_can_be_read_while_it_is_replaced(
    server: LocalServer, connect: Callable[[], RawClient], blobs: Callable[[], int]
) -> None:
    reader, writer = connect(), connect()
    upload_id = writer.initiate()
    parts = [(n, writer.put_part(upload_id, n, b"old" * 40_000)) for n in (1, 2, 3)]
    writer.complete(upload_id, parts)
    server.faults.add({"operation": "GetObject", "effect": {"gate": "read", "at": "after"}})
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reader.call, "GET", "/key")
        server.faults.wait_reached("read")
        assert writer.call("PUT", "/key", b"new").status == 200
        server.faults.release("read")
        assert reading.result(10).body == b"old" * 120_000
    assert reader.call("GET", "/key").body == b"new"
    assert blobs() == 1


def test_object_that_appears_while_it_is_said_not_to_be_there(
    server: LocalServer, connect: Callable[[], RawClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = connect(), connect()
    writer.call("PUT", "/other", b"x")
    assert server._running is not None
    store = server._running._store
    read_object = store.read_object

    def overtaken(bucket: str, key: str) -> object:
        found = read_object(bucket, key)
        assert writer.call("PUT", "/key", b"x").status == 200
        return found

    with monkeypatch.context() as patched:
        patched.setattr(store, "read_object", overtaken)
        missing = reader.call("GET", "/key")
    assert (missing.status, missing.code) == (404, "NoSuchKey")
    assert reader.call("GET", "/key").body == b"x"
