"""How many connections a server takes at a time, and what becomes of those beyond."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from resumable.server import LocalServer
from tests.support import local_bucket

from .raw import RawClient

MOST = 3


@pytest.fixture
def small(tmp_path: Path) -> Iterator[LocalServer]:
    with LocalServer(tmp_path / "small", max_connections=MOST) as running:
        yield running


def test_a_connection_too_many_is_told_so_and_closed(small: LocalServer) -> None:
    with ExitStack() as stack:
        taken = [stack.enter_context(RawClient(small.port)) for _ in range(MOST)]
        for client in taken:
            assert client.call("PUT", "/key", b"x").status == 200
        with RawClient(small.port) as late:
            reply = late.reply()
            assert (reply.status, reply.code) == (503, "ServiceUnavailable")
            assert reply.headers["retry-after"] == "1"
            assert len(reply.headers["x-oss-request-id"]) == 24
            assert late.is_closed()
        assert [client.call("GET", "/key").body for client in taken] == [b"x"] * MOST


def test_there_is_room_again_once_a_client_has_left(small: LocalServer) -> None:
    came_through = 0
    while came_through < 3 * MOST:  # or the time of the test is over
        with RawClient(small.port) as client:
            status = client.call("PUT", "/key", b"x", {"Connection": "close"}).status
            assert client.is_closed()
        # The client may see the end before the server has counted it.
        assert status in (200, 503)
        came_through += status == 200


def test_uploads_beyond_the_limit_end_well(small: LocalServer) -> None:
    failed: list[Exception] = []

    def put(number: int) -> None:
        try:
            with local_bucket(small.endpoint) as bucket:
                bucket.put_object(f"key-{number}", b"x")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is shown below
            failed.append(error)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(MOST)]
    with RawClient(small.port) as first:
        assert first.call("PUT", "/key", b"x").status == 200
        for thread in threads:
            thread.start()
        first.close()
        for thread in threads:
            thread.join(30)
    assert failed == []


def test_a_client_that_says_nothing_makes_room_in_time(tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path, max_connections=1, read_timeout=0.2) as server,
        RawClient(server.port) as silent,
    ):
        assert silent.is_closed()
        with RawClient(server.port) as client:
            assert client.call("PUT", "/key", b"x").status == 200


@pytest.mark.parametrize("wrong", [{"max_connections": 0}, {"port": -1}, {"port": 65_536}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LocalServer(
            tmp_path, max_connections=wrong.get("max_connections", 1), port=wrong.get("port", 0)
        )
