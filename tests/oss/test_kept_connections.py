"""Connections that were cut off while they were kept: nobody is told, until one is used again."""

from contextlib import ExitStack

import pytest

from resumable import Bucket, RetryPolicy
from resumable.errors import ConnectionFailedError
from tests.oss.conftest import ONCE, Connect, Serve
from tests.oss.rawserver import Peer, RawServer, acknowledgement
from tests.oss.test_stuck import SHORT

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


def test_reading_over_a_new_one_is_tried_once(serve: Serve, connect: Connect) -> None:
    def closes(peer: Peer) -> None:
        peer.head()

    server = serve(closes)
    with pytest.raises(ConnectionFailedError):
        connect(server, retry=ONCE).head_object("k")
    assert server.connections == 1
