"""Connections under odd circumstances: other systems, forks, sockets that are gone, odd answers."""

import gc
import os
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from resumable import Bucket, InvalidArgumentError
from resumable.core.integrity import crc64
from resumable.oss.cancellation import Cancellation
from resumable.oss.connections import Connection, Exchange, Pool
from resumable.oss.messages import BytesPayload, WireRequest
from resumable.oss.transport import Transport
from resumable.server import LocalServer
from tests.support import local_bucket

from .conftest import Connect, Serve
from .rawserver import Peer, acknowledgement, answer, answering

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


def test_lack_of_descriptors_is_told_as_one_of_this_machine(server: LocalServer) -> None:
    told = run(WITHOUT_A_DESCRIPTOR, server.endpoint)
    assert told == "False Let the process have more open files (ulimit -n)\n"
    assert len(server.log) == 0


def test_breaking_off_what_is_over_already_does_no_harm() -> None:
    ours, theirs = socket.socketpair()
    exchange = Exchange()
    exchange.attach(ours)
    ours.close()
    theirs.close()
    exchange.break_off()
    with pytest.raises(ConnectionAbortedError), socket.socket() as another:
        exchange.attach(another)


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


def test_line_break_in_a_head_is_never_sent(serve: Serve) -> None:
    server = serve(answering(answer(200)))
    headers = {"authorization": "TopSecretSignature", "x-oss-meta-a": "1\r\nhost: another"}
    request = WireRequest("GET", server.endpoint, "/k", headers, None)
    with closing(Transport(5, 5, tls=False, ca_bundle=None)) as transport:
        with pytest.raises(InvalidArgumentError, match="line break") as failed:
            transport.send(request, Cancellation())
        told = traceback.TracebackException.from_exception(failed.value, capture_locals=True)
    shown = [frame for frame in told.stack.format() if __file__ not in frame]
    assert "_head" in shown[-1]
    assert not [frame for frame in shown if "TopSecret" in frame]
    assert server.requests == []


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


@contextmanager
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        yield Connection("http://h", ours, 5.0), theirs


@contextmanager
def pool() -> Iterator[Pool]:
    with closing(Pool((5.0, 5.0), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))) as made:
        yield made


def test_connection_kept_open_is_used_again() -> None:
    with pair() as (connection, _), pool() as kept:
        kept.keep(connection)
        assert kept.take("http://h", Exchange()) is connection


def test_connection_that_did_not_take_a_whole_request_carries_no_other() -> None:
    request = WireRequest("PUT", "http://h", "/k", {"content-length": "1"}, BytesPayload(b"x"))
    with pair() as (connection, theirs):
        connection.sock.shutdown(socket.SHUT_WR)
        theirs.sendall(answer(403))
        connection.send(request)
        refused = connection.receive(request)
        assert (refused.status, refused.is_over, refused.closes) == (403, True, False)
        assert not connection.can_go_on


def test_connection_kept_open_for_a_call_that_is_broken_off_is_no_error() -> None:
    exchange = Exchange()
    exchange.break_off()
    with pair() as (connection, _), pool() as kept:
        kept.keep(connection)
        with pytest.raises(ConnectionAbortedError):
            kept.take("http://h", exchange)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 408 Request Timeout\r\n"])
def test_connection_that_spoke_unasked_is_not_used_again(server: LocalServer, data: bytes) -> None:
    with pair() as (connection, theirs), pool() as kept:
        connection.origin = server.endpoint
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        kept.keep(connection)
        with closing(kept.take(server.endpoint, Exchange())) as taken:
            assert taken is not connection
        assert connection.sock.fileno() == -1


def test_connection_to_another_origin_is_not_used(server: LocalServer) -> None:
    with pair() as (connection, _), pool() as kept:
        kept.keep(connection)
        with closing(kept.take(server.endpoint, Exchange())) as taken:
            assert taken is not connection


def test_no_more_connections_are_kept_than_threads_can_use() -> None:
    with pool() as kept, ExitStack() as opened:
        made = [opened.enter_context(pair())[0] for _ in range(257)]
        for connection in made:
            kept.keep(connection)
        assert [connection.sock.fileno() == -1 for connection in made] == [False] * 256 + [True]
