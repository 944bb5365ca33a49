"""Connections that were cut off while they were kept: nobody is told, until one is used again."""

import socket
from contextlib import ExitStack
from typing import Any

import pytest

from resumable import Bucket, RetryPolicy
from resumable.errors import ConnectionFailedError
from tests.oss.conftest import ONCE, Connect, Serve
from tests.oss.rawserver import Peer, RawServer, acknowledgement
from tests.oss.test_stuck import SHORT, Running

KEPT = 5
TWICE = RetryPolicy(attempts=2, base=0.01)


@pytest.fixture
def server(serve: Serve, then: str) -> RawServer:
    """Each of the first connections carries one request; the next one on it is lost."""

    def script(peer: Peer) -> None:
        is_lost = made.connections <= KEPT
        while (request := peer.request()) is not None:
            peer.send(acknowledgement(request.body))
            if is_lost and peer.head() is not None:
                if then == "hangs":
                    peer.hang()
                if then == "begins to answer":
                    peer.send(b"HTTP/1.1 200")
                return

    made = serve(script)
    return made


def fill(bucket: Bucket) -> None:
    """Have as many connections made and kept."""
    with ExitStack() as opened:
        answers = [opened.enter_context(bucket.get_object("k")) for _ in range(KEPT)]
        assert [list(each.blocks()) for each in answers] == [[]] * KEPT


@pytest.mark.parametrize("then", ["closes", "hangs"])
def test_next_try_does_not_go_over_another_one_that_was_kept(
    server: RawServer, connect: Connect
) -> None:
    bucket = connect(server, retry=TWICE, timeout=SHORT)
    fill(bucket)
    bucket.put_object("k", b"x")
    assert server.connections == KEPT + 1
    bucket.put_object("k", b"x")
    assert server.connections == KEPT + 1


@pytest.mark.parametrize("then", ["closes"])
def test_reading_goes_over_another_one_at_once(server: RawServer, connect: Connect) -> None:
    bucket = connect(server, retry=ONCE)
    fill(bucket)
    with bucket.get_object("k") as answer:
        assert list(answer.blocks()) == []
    assert server.connections == KEPT + 1


@pytest.mark.parametrize("then", ["closes"])
def test_what_may_have_been_done_is_not_asked_for_again(
    server: RawServer, connect: Connect
) -> None:
    bucket = connect(server, retry=ONCE)
    fill(bucket)
    with pytest.raises(ConnectionFailedError):
        bucket.init_multipart_upload("k")
    assert [request.method for request in server.requests[KEPT:]] == ["POST"]


@pytest.mark.parametrize("then", ["begins to answer"])
def test_answer_that_has_begun_is_not_asked_for_again(server: RawServer, connect: Connect) -> None:
    bucket = connect(server, retry=ONCE)
    fill(bucket)
    with pytest.raises(ConnectionFailedError):
        bucket.head_object("k")
    assert server.connections == KEPT


@pytest.mark.parametrize("then", ["hangs"])
def test_stop_looks_no_name_up(
    server: RawServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, look_up = list[object](), socket.getaddrinfo

    def counted(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - as of the module
        names.append(given)
        return look_up(*given, **more)

    bucket = connect(server, retry=ONCE)
    fill(bucket)
    monkeypatch.setattr(socket, "getaddrinfo", counted)
    running = Running(bucket, lambda view: view.head_object("k"))
    assert server.hanging.acquire(timeout=10)
    running.break_off()
    assert names == []


def test_reading_over_a_new_one_is_tried_once(serve: Serve, connect: Connect) -> None:
    def closes(peer: Peer) -> None:
        peer.head()

    server = serve(closes)
    with pytest.raises(ConnectionFailedError):
        connect(server, retry=ONCE).head_object("k")
    assert server.connections == 1
