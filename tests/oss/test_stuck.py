"""Servers that hang: calls end by themselves in time, and at once when they are broken off."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from resumable import Bucket, RetryPolicy
from resumable.errors import (
    ConnectionFailedError,
    NetworkError,
    RequestTimeoutError,
    TransferCancelledError,
)
from resumable.oss.cancellation import Cancellation
from resumable.oss.client import Controls
from resumable.server import LocalServer
from tests.oss.conftest import ONCE, Connect, Serve
from tests.oss.rawserver import Peer, Script, acknowledgement, answer, answering, error_answer
from tests.support import CREDENTIALS, KIB, MIB, QUICK, content, local_bucket, random_bytes

LARGE = random_bytes(32 * MIB)  # more than the socket buffers of both sides take
SHORT = 0.3
TCP_TABLE, SYN_SENT = Path("/proc/net/tcp"), "02"

Call = Callable[[Bucket], object]
CALLS: dict[str, Call] = {
    "list": lambda bucket: bucket.list_parts("k", "U"),
    "send": lambda bucket: bucket.upload_part("k", "U", 1, LARGE),
    "read": lambda bucket: content(bucket, "k"),
}


def never_answers(peer: Peer) -> None:
    peer.request()
    peer.hang()


def never_reads_the_body(peer: Peer) -> None:
    peer.head()
    peer.hang()


def stops_in_the_head(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-")
    peer.hang()


def stops_in_the_body(peer: Peer) -> None:
    peer.request()
    peer.send(answer(200, b"<ListParts", {"Content-Length": "1000"}))
    peer.hang()


STUCK: dict[str, tuple[Script, Call]] = {
    "waiting for an answer": (never_answers, CALLS["list"]),
    "waiting for an answer to a body": (never_answers, CALLS["send"]),
    "sending a body": (never_reads_the_body, CALLS["send"]),
    "in the head of an answer": (stops_in_the_head, CALLS["list"]),
    "in the body of an answer": (stops_in_the_body, CALLS["list"]),
    "in the body of an object": (stops_in_the_body, CALLS["read"]),
}
stuck = pytest.mark.parametrize(("script", "call"), STUCK.values(), ids=STUCK)


@stuck
def test_server_that_hangs_is_a_timeout_in_time(
    serve: Serve, connect: Connect, script: Script, call: Call
) -> None:
    bucket = connect(serve(script), timeout=SHORT)
    began = time.monotonic()
    with pytest.raises(RequestTimeoutError) as failed:
        call(bucket)
    assert SHORT * 0.9 <= time.monotonic() - began < SHORT + 3
    assert failed.value.retryable


@pytest.mark.parametrize("effect", [{"stall": None}, {"stall_answer": None}])
def test_server_that_hangs_once_is_asked_again(
    server: LocalServer, effect: dict[str, object]
) -> None:
    server.faults.add({"operation": "PutObject", "effect": effect})
    with local_bucket(server.endpoint, timeout=SHORT) as bucket:
        bucket.put_object("k", b"x")
        assert content(bucket, "k") == b"x"


def test_timeout_is_tried_again_as_often_as_the_policy_says(serve: Serve, connect: Connect) -> None:
    server = serve(never_answers)
    with pytest.raises(RequestTimeoutError) as failed:
        connect(server, QUICK, timeout=0.05).list_parts("k", "U")
    assert failed.value.tries == len(server.requests) == QUICK.attempts


def test_call_against_a_silent_server_ends_after_the_time_of_the_policy(
    serve: Serve, connect: Connect
) -> None:
    policy = RetryPolicy(base=0.01, longest_wait=0.02, give_up_after=4 * SHORT)
    server = serve(never_answers)
    began = time.monotonic()
    with pytest.raises(RequestTimeoutError) as failed:
        connect(server, retry=policy, timeout=SHORT).list_parts("k", "U")
    took = time.monotonic() - began
    assert failed.value.tries >= 2
    # The first try, the time from its failure on, and the last try, which began within it.
    assert took < 4 * SHORT + 2 * SHORT + 1.0
    assert took > failed.value.tries * SHORT


def test_slow_server_that_keeps_reading_is_no_timeout(serve: Serve, connect: Connect) -> None:
    data, block = LARGE[: 12 * MIB], 256 * KIB
    pause = threading.Event()

    def reads_slowly(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, block)
        peer.head()
        for _ in range(len(data) // block):
            pause.wait(0.04)  # 2 s in all, which is several timeouts
            peer.read(block)
        peer.send(acknowledgement(data))

    bucket = connect(serve(reads_slowly), timeout=0.5)
    assert bucket.upload_part("k", "U", 1, data).size == len(data)


def test_slow_server_that_keeps_writing_is_no_timeout(serve: Serve, connect: Connect) -> None:
    pause = threading.Event()

    def writes_slowly(peer: Peer) -> None:
        peer.request()
        for byte in answer(200, b"0123456789"):
            peer.send(bytes([byte]))
            pause.wait(0.025)

    # The whole answer takes longer than the timeout, each byte far less.
    assert content(connect(serve(writes_slowly), timeout=1.0), "k") == b"0123456789"


def test_answer_that_trickles_in_for_ever_is_a_timeout(serve: Serve, connect: Connect) -> None:
    pause = threading.Event()

    def trickles(peer: Peer) -> None:
        peer.request()
        peer.send(answer(200, headers={"Content-Length": "100000"}))
        for _ in range(1000):
            peer.send(b" ")
            pause.wait(0.02)

    began = time.monotonic()
    with pytest.raises(RequestTimeoutError):
        connect(serve(trickles), timeout=0.1).list_parts("k", "U")
    assert time.monotonic() - began < 5


CHUNKED = b"HTTP/1.1 200 OK\r\nx-oss-request-id: REQ\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a status line": (b"HTTP/1.1 200 ", b"x"),
    "a header": (b"HTTP/1.1 200 OK\r\nA: ", b"x"),
    "trailers": (CHUNKED + b"0\r\n", b"A: b\r\n"),
    "the size of a chunk": (CHUNKED, b"0"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_lines_of_an_answer_that_trickle_in_for_ever_are_a_timeout(
    serve: Serve, connect: Connect, what: str
) -> None:
    begin, again = ENDLESS[what]
    pause = threading.Event()

    def trickles(peer: Peer) -> None:
        peer.request()
        peer.send(begin)
        for _ in range(1000):
            peer.send(again)
            pause.wait(0.02)

    began = time.monotonic()
    with pytest.raises(NetworkError) as failed:
        connect(serve(trickles), timeout=0.1).list_parts("k", "U")
    assert failed.value.retryable
    assert time.monotonic() - began < 5


def test_refused_connection_is_told_as_one(serve: Serve, connect: Connect) -> None:
    server = serve(never_answers)
    server.close()
    with pytest.raises(ConnectionFailedError, match="refused") as failed:
        connect(server, QUICK).list_parts("k", "U")
    assert failed.value.tries == QUICK.attempts


@pytest.mark.skipif(not TCP_TABLE.exists(), reason="only Linux lets a queue be filled so")
def test_connection_that_is_never_made_is_told_as_one_in_time() -> None:
    with full_listener() as port, bucket_with_short_patience(f"http://127.0.0.1:{port}") as bucket:
        began = time.monotonic()
        with pytest.raises(NetworkError, match="time"):
            bucket.list_parts("k", "U")
    assert 2.5 < time.monotonic() - began < 6


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".localhost", "a" * 250 + ".localhost", "a..localhost"]
)
def test_host_that_cannot_be_looked_up_is_a_typed_error(host: str) -> None:
    with bucket_with_short_patience(host) as bucket, pytest.raises(NetworkError):
        bucket.list_parts("k", "U")


class Running:
    """A call in a thread of its own, which can be broken off."""

    def __init__(self, bucket: Bucket, call: Call) -> None:
        self.raised: BaseException | None = None
        self.failed_once = threading.Event()
        self._cancellation = Cancellation()
        controls = Controls(self._cancellation, noticed=lambda _: self.failed_once.set())
        self._view = bucket.under(controls)
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def break_off(self, then: Callable[[], None] = lambda: None) -> float:
        """Break the call off, and tell how long it took to end."""
        began = time.monotonic()
        self._cancellation.interrupt()
        then()
        self._thread.join(20)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def _run(self) -> None:
        try:
            self._call(self._view)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.raised = error


@stuck
def test_call_that_is_stuck_can_be_broken_off_at_once(
    serve: Serve, connect: Connect, script: Script, call: Call
) -> None:
    server = serve(script)
    running = Running(connect(server, QUICK), call)
    assert server.hanging.acquire(timeout=10)
    assert running.break_off() < 1.0
    assert isinstance(running.raised, TransferCancelledError)


def test_call_on_a_connection_kept_open_can_be_broken_off_at_once(
    serve: Serve, connect: Connect
) -> None:
    def answers_once(peer: Peer) -> None:
        peer.request()
        peer.send(acknowledgement(b"x"))
        peer.request()
        peer.hang()

    server = serve(answers_once)
    bucket = connect(server)
    bucket.put_object("k", b"x")
    running = Running(bucket, CALLS["list"])
    assert server.hanging.acquire(timeout=10)
    assert running.break_off() < 1.0
    assert server.connections == 1


def test_call_that_looks_a_name_up_ends_once_it_is_found(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, found, look_up = threading.Event(), threading.Event(), socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - handed through
        looking.set()
        found.wait(10)
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    running = Running(connect(serve(never_answers)), CALLS["list"])
    assert looking.wait(10)
    assert running.break_off(then=found.set) < 1.0
    assert isinstance(running.raised, TransferCancelledError)


@pytest.mark.parametrize("moment", ["once all of them hang", "once one of them hangs"])
def test_all_calls_that_share_a_cancellation_end_together(
    serve: Serve, connect: Connect, moment: str
) -> None:
    server = serve(never_answers)
    cancellation, raised = Cancellation(), []
    view = connect(server).under(Controls(cancellation))

    def run() -> None:
        with pytest.raises(TransferCancelledError) as failed:
            view.list_parts("k", "U")
        raised.append(failed.value)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(16)]
    for thread in threads:
        thread.start()
    for _ in threads if moment == "once all of them hang" else threads[:1]:
        assert server.hanging.acquire(timeout=10)
    cancellation.interrupt()
    deadline = time.monotonic() + 1.0
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert len(raised) == len(threads)


def test_wait_for_the_next_try_can_be_broken_off_at_once(serve: Serve, connect: Connect) -> None:
    server = serve(answering(error_answer(503, "SlowDown", {"Retry-After": "60"})))
    running = Running(connect(server, RetryPolicy()), CALLS["list"])
    assert running.failed_once.wait(10)
    assert running.break_off() < 1.0
    assert isinstance(running.raised, TransferCancelledError)
    assert len(server.requests) == 1


def test_no_call_begins_after_it_was_broken_off(serve: Serve, connect: Connect) -> None:
    server = serve(never_answers)
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(TransferCancelledError):
        connect(server).under(Controls(cancellation)).list_parts("k", "U")
    assert server.connections == 0


def test_other_calls_of_the_bucket_go_on(serve: Serve, connect: Connect) -> None:
    server = serve(answering(acknowledgement(b"x")))
    bucket, cancellation = connect(server), Cancellation()
    cancellation.interrupt()
    with pytest.raises(TransferCancelledError):
        bucket.under(Controls(cancellation)).put_object("k", b"x")
    assert bucket.put_object("k", b"x").etag == "opaque"


def bucket_with_short_patience(endpoint: str) -> Bucket:
    return Bucket(
        "examplebucket",
        endpoint=endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retry=ONCE,
        connect_timeout=3.0,
        timeout=3.0,
    )


@contextmanager
def full_listener() -> Iterator[int]:
    """A port whose queue of new connections is full, so that making one takes for ever."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port


def connections_being_made(port: int) -> int:
    rows = [line.split() for line in TCP_TABLE.read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == SYN_SENT for row in rows)
