"""Connections under odd circumstances: other systems, forks, sockets that are gone, odd answers."""

import gc
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import pytest

from resumable import Bucket, InvalidArgumentError
from resumable.core.integrity import crc64
from resumable.errors import (
    AccessDeniedError,
    SourceChangedError,
)
from resumable.oss.cancellation import Cancellation
from resumable.oss.connections import Exchange
from resumable.oss.messages import BytesPayload, WireRequest
from resumable.oss.transport import RequestsTransport
from resumable.server import LocalServer
from tests.support import MIB, local_bucket

from .conftest import Connect, Serve
from .rawserver import Peer, RawServer, acknowledgement, answer, answering, error_answer

PROJECT = Path(__file__).parents[2]


def run(script: str, endpoint: str) -> str:
    """What a program prints."""
    told = subprocess.run(
        [sys.executable, "-c", script, endpoint],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


WITHOUT_THE_OPTION = """
import socket, sys
if hasattr(socket, "TCP_NOTSENT_LOWAT"):
    del socket.TCP_NOTSENT_LOWAT
from tests.support import content, local_bucket
with local_bucket(sys.argv[1]) as bucket:
    bucket.put_object("k", b"x" * 1_000_000)
    print(len(content(bucket, "k")))
"""


def test_system_that_cannot_hold_little_of_what_is_sent_serves_as_well(
    server: LocalServer,
) -> None:
    assert run(WITHOUT_THE_OPTION, server.endpoint) == "1000000\n"


DAEMON = """
import os, sys, warnings
from tests.support import local_bucket
warnings.simplefilter("ignore", DeprecationWarning)  # that this process has threads
with local_bucket(sys.argv[1]) as bucket:
    bucket.put_object("k", b"x")
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(bucket.put_object("k", b"x").crc64)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_program_that_becomes_a_daemon_makes_connections_of_its_own(serve: Serve) -> None:
    server = serve(answering(acknowledgement(b"x")))
    assert run(DAEMON, server.endpoint) == f"{crc64(b'x')}\n"
    assert (server.connections, len(server.requests)) == (2, 2)


WITHOUT_A_DESCRIPTOR = """
import os, resource, sys
from resumable import LocalFileError
from tests.support import local_bucket
with local_bucket(sys.argv[1]) as bucket:
    free = os.dup(0)
    os.close(free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        bucket.head_object("k")
    except LocalFileError as error:
        print(error.retryable, error.advice)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
"""


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        pytest.param("日本".encode().decode("latin-1"), "日本", id="UTF-8"),
        pytest.param("\xff\xfe", "\xff\xfe", id="no UTF-8"),
    ],
)
def test_header_is_read_as_utf_8_where_it_is(
    serve: Serve, connect: Connect, sent: str, told: str
) -> None:
    headers = {"x-oss-meta-name": sent, "ETag": '"E"'}
    bucket = connect(serve(answering(answer(200, headers=headers))))
    assert bucket.head_object("k").headers["x-oss-meta-name"] == told


def test_bucket_that_could_not_be_made_can_be_shown_in_a_traceback() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        Bucket("No Bucket", endpoint="http://127.0.0.1")
    shown = [repr(entry.frame.f_locals.get("self")) for entry in raised.traceback]
    assert "Bucket(...)" in shown


def test_header_that_comes_several_times_is_one(serve: Serve, connect: Connect) -> None:
    head = answer(200, headers={"x-oss-meta-a": "1", "X-OSS-Meta-A": "2", "ETag": '"E"'})
    bucket = connect(serve(answering(head)))
    assert bucket.head_object("k").headers["x-oss-meta-a"] == "1, 2"


def test_bucket_that_is_not_closed_leaves_no_connection_open(serve: Serve) -> None:
    gone = threading.Event()

    def answers_once(peer: Peer) -> None:
        peer.request()
        peer.send(answer(204))
        peer.wait_until_gone()
        gone.set()

    bucket = local_bucket(serve(answers_once).endpoint)
    bucket.delete_object("k")
    del bucket
    gc.collect()  # a socket that is left to it would be a warning, and so an error
    assert gone.wait(10)


FORKED = """
import os, sys, warnings
from tests.support import local_bucket
warnings.simplefilter("ignore", DeprecationWarning)  # that this process has threads
def connection():
    return bucket.head_object("k").headers["x-oss-meta-connection"]
with local_bucket(sys.argv[1]) as bucket:
    with bucket.get_object("k") as body:
        b"".join(body.blocks())
        ours = body.headers["x-oss-meta-connection"]
        child = os.fork()
        if not child:
            connection()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(ours not in (connection(), connection()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_child_of_a_download_does_not_take_its_parent_s_connection_back(serve: Serve) -> None:
    def tells_connections(peer: Peer) -> None:
        headers = {"x-oss-meta-connection": str(peer.socket.getpeername()[1]), "ETag": '"E"'}
        while peer.request() is not None:
            peer.send(answer(200, headers=headers))

    assert run(FORKED, serve(tells_connections).endpoint) == "True\n"


@pytest.mark.parametrize("data", [b"x", answer(200, b"another's")])
def test_what_follows_an_answer_unasked_is_not_the_next_one(
    serve: Serve, connect: Connect, data: bytes
) -> None:
    def says_too_much(peer: Peer) -> None:
        peer.request()
        peer.send(answer(200, headers={"ETag": '"E"'}) + data)
        if peer.request():
            peer.send(answer(200, b"ours"))

    bucket = connect(serve(says_too_much))
    bucket.head_object("k")
    with bucket.get_object("k") as body:
        assert b"".join(body.blocks()) == b"ours"


def test_body_that_was_refused_is_not_the_next_request(serve: Serve, connect: Connect) -> None:
    def reads_no_bodies(peer: Peer) -> None:
        while head := peer.head():
            if head.method == "PUT":
                peer.send(error_answer(403, "AccessDenied"))
                continue
            if head.target == "/another":
                peer.head()  # what the client sends next is there before the answer is
            peer.send(answer(200, f"for {head.target}".encode()))

    bucket = connect(serve(reads_no_bodies))
    with pytest.raises(AccessDeniedError):
        bucket.put_object("k", b"GET /another HTTP/1.1\r\nHost: h\r\n\r\n")
    with bucket.get_object("mine") as body:
        assert b"".join(body.blocks()) == b"for /examplebucket/mine"


class OfAnotherSize(BytesPayload):
    """A body that does not have as many bytes as it says."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    @property
    def size(self) -> int:
        return self._size


@pytest.mark.parametrize("size", [2, 4])
def test_body_of_another_size_is_not_sent_on(serve: Serve, connect: Connect, size: int) -> None:
    got: SimpleQueue[bytes] = SimpleQueue()

    def reads_all(peer: Peer) -> None:
        peer.head()
        got.put(peer.read(1000))

    with pytest.raises(SourceChangedError, match=f"not of its {size} bytes"):
        connect(serve(reads_all)).put_object("k", OfAnotherSize(b"abc", size))
    assert got.get(timeout=10) == (b"" if size < 3 else b"abc")


def test_refusal_of_a_server_that_neither_reads_on_nor_closes_is_understood(
    serve: Serve, connect: Connect
) -> None:
    def refuses_and_hangs(peer: Peer) -> None:
        peer.head()
        peer.send(error_answer(403, "AccessDenied"))
        peer.hang()

    with pytest.raises(AccessDeniedError):
        connect(serve(refuses_and_hangs), timeout=0.3).upload_part("k", "U", 1, bytes(32 * MIB))


def exchange_of(server: RawServer) -> Exchange:
    return Exchange(WireRequest("GET", server.endpoint, "/k", {}, None), 5.0)


def test_abort_of_what_is_over_already_does_no_harm(serve: Serve) -> None:
    ours, theirs = socket.socketpair()
    exchange = exchange_of(serve(answering(answer(200))))
    exchange.attach(ours)
    ours.close()
    theirs.close()
    exchange.abort()
    with pytest.raises(ConnectionAbortedError), socket.socket() as another:
        exchange.attach(another)


def test_abort_that_comes_late_leaves_the_connection_to_others(serve: Serve) -> None:
    exchange = exchange_of(serve(answering(answer(200))))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange.attach(ours)
        exchange.detach()
        exchange.abort()
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_lack_of_descriptors_is_reported_as_one_of_this_machine(
    server: LocalServer, host: str
) -> None:
    shown = run(WITHOUT_A_DESCRIPTOR, server.endpoint.replace("127.0.0.1", host))
    assert shown == "False Let the process have more open files (ulimit -n)\n"
    assert len(server.log) == 0


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 408 Request Timeout\r\n"])
def test_connection_that_spoke_unasked_is_not_used_again(
    serve: Serve, connect: Connect, data: bytes
) -> None:
    spoke = threading.Event()

    def speaks(peer: Peer) -> None:
        peer.request()
        peer.send(acknowledgement(b"x"))
        if server.connections == 1:
            peer.send(data)
            peer.socket.shutdown(socket.SHUT_WR)
            spoke.set()
        peer.wait_until_gone()

    server = serve(speaks)
    bucket = connect(server)
    bucket.put_object("k", b"x")
    assert spoke.wait(10)
    bucket.put_object("k", b"x")
    assert server.connections == 2


def test_idle_connection_that_the_server_closed_is_closed_here_too(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resumable.oss.watchdog._SECONDS_BETWEEN_CHECKS", 0.05)
    gone = threading.Event()

    def closes_its_half(peer: Peer) -> None:
        peer.request()
        peer.send(acknowledgement(b"x"))
        peer.socket.shutdown(socket.SHUT_WR)
        peer.wait_until_gone()
        gone.set()

    bucket = connect(serve(closes_its_half))
    bucket.put_object("k", b"x")
    assert gone.wait(10)


def test_zone_of_an_address_stays_on_this_machine() -> None:
    request = WireRequest("GET", "http://[fe80::1%eth0]:8080", "/k", {}, None)
    assert Exchange(request, 5.0).head()["host"] == "[fe80::1]:8080"


def test_timeout_beyond_what_a_socket_knows_is_a_long_one(serve: Serve) -> None:
    server = serve(answering(answer(200)))
    request = WireRequest("GET", server.endpoint, "/k", {}, None)
    transport = RequestsTransport(2.0**32, 2.0**32, tls=False)
    with closing(transport):
        assert transport.send(request, Cancellation()).status == 200


def test_headers_of_a_request_are_in_no_repr() -> None:
    head = Exchange(WireRequest("GET", "http://h", "/k", {"authorization": "S"}, None), 5.0).head()
    for shown in (head, head.copy()):
        assert "'S'" not in repr(shown)
        assert shown["authorization"] == b"S"
