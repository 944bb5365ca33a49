"""Connections under odd circumstances: other systems, forks, sockets that are gone, odd answers."""

import errno
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
from queue import SimpleQueue
from typing import Any, ClassVar

import pytest

from resumable import Bucket, InvalidArgumentError
from resumable.core.integrity import crc64
from resumable.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    SourceChangedError,
    TransferCancelledError,
)
from resumable.oss.cancellation import Cancellation
from resumable.oss.connections import Connection, Exchange, Pool
from resumable.oss.messages import BytesPayload, WireRequest
from resumable.oss.transport import Transport
from resumable.server import LocalServer
from tests.support import MIB, local_bucket

from .conftest import Connect, Serve
from .rawserver import Peer, acknowledgement, answer, answering, error_answer

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
    assert "in _send_head" in shown[-1]
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
        assert connection.sock.fileno() == -1


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

    server = serve(says_too_much)
    bucket = connect(server)
    bucket.head_object("k")
    with bucket.get_object("k") as body:
        assert b"".join(body.blocks()) != b"another's"
    assert server.connections == 2


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


def test_address_of_a_kind_that_the_system_does_not_know_is_passed_over(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def with_another(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - handed through
        return [(999, socket.SOCK_STREAM, 6, "", ("nowhere", 1)), *look_up(*args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", with_another)
    assert connect(serve(answering(acknowledgement(b"x")))).put_object("k", b"x").etag == "opaque"


def test_option_that_the_kernel_does_not_know_is_done_without(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    server = serve(answering(acknowledgement(b"x")))
    monkeypatch.setattr(socket.socket, "setsockopt", refuse)
    assert connect(server).put_object("k", b"x").etag == "opaque"


def test_first_of_several_failures_is_told(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def with_another(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - handed through
        return [*look_up(*args, **kwargs), (999, socket.SOCK_STREAM, 6, "", ("nowhere", 1))]

    server = serve(answering(acknowledgement(b"x")))
    server.close()
    monkeypatch.setattr(socket, "getaddrinfo", with_another)
    with pytest.raises(ConnectionFailedError, match="refused"):
        connect(server).put_object("k", b"x")


def test_call_that_was_broken_off_while_it_connected_sends_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, cancellation = serve(answering(answer(200))), Cancellation()

    class Unstoppable(socket.socket):
        """As on systems where what is being connected cannot be shut down."""

        def connect(self, address: Any) -> None:  # noqa: ANN401 - as a socket's
            cancellation.interrupt()
            super().connect(address)

        def shutdown(self, _how: int, /) -> None:
            raise OSError(errno.ENOTCONN, "Socket is not connected")

    monkeypatch.setattr(socket, "socket", Unstoppable)
    request = WireRequest("GET", server.endpoint, "/k", {}, None)
    transport = Transport(5, 5, tls=False, ca_bundle=None)
    with closing(transport), pytest.raises(TransferCancelledError):
        transport.send(request, cancellation)
    monkeypatch.undo()
    server.close()
    assert server.requests == []


def test_refusal_of_a_server_that_neither_reads_on_nor_closes_is_understood(
    serve: Serve, connect: Connect
) -> None:
    def refuses_and_hangs(peer: Peer) -> None:
        peer.head()
        peer.send(error_answer(403, "AccessDenied"))
        peer.hang()

    with pytest.raises(AccessDeniedError):
        connect(serve(refuses_and_hangs), timeout=0.3).upload_part("k", "U", 1, bytes(32 * MIB))


def test_stop_that_comes_late_leaves_the_connection_to_others() -> None:
    exchange = Exchange()
    with pair() as (connection, theirs):
        exchange.attach(connection.sock)
        exchange.detach()
        exchange.break_off()
        connection.sock.sendall(b"x")
        assert theirs.recv(1) == b"x"


def test_stop_as_a_call_ends_leaves_the_connection_to_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, cancellation, keep = serve(answering(answer(200))), Cancellation(), Pool.keep

    def keep_and_stop(self: Pool, connection: Connection) -> None:
        keep(self, connection)
        cancellation.interrupt()

    monkeypatch.setattr(Pool, "keep", keep_and_stop)
    request = WireRequest("GET", server.endpoint, "/k", {}, None)
    with closing(Transport(5, 5, tls=False, ca_bundle=None)) as transport:
        for each in (cancellation, Cancellation()):
            assert transport.send(request, each).status == 200
    assert server.connections == 1


def test_little_is_given_to_the_system_at_once() -> None:
    class Recording(socket.socket):
        sizes: ClassVar[list[int]] = []

        def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401, ARG002 - as a socket's
            self.sizes.append(len(data))
            return len(data)

    request = WireRequest("PUT", "http://h", "/k", {}, BytesPayload(bytes(1_000_000)))
    with Recording() as sock:
        Connection("http://h", sock, 5.0).send(request)
    assert max(Recording.sizes) == 64 * 1024
    assert sum(Recording.sizes) > 1_000_000


def test_zone_of_an_address_stays_on_this_machine() -> None:
    request = WireRequest("GET", "http://[fe80::1%eth0]:8080", "/k", {}, None)
    with pair() as (connection, theirs):
        connection.send(request)
        assert theirs.recv(1000) == b"GET /k HTTP/1.1\r\nhost: [fe80::1]:8080\r\n\r\n"


def test_timeout_beyond_what_a_socket_knows_is_a_long_one(serve: Serve) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server = serve(answering(answer(200)))
    with ExitStack() as opened:
        kept = opened.enter_context(closing(Pool((2.0**32 / 1000,) * 2, context)))
        connection = opened.enter_context(closing(kept.take(server.endpoint, Exchange())))
        assert connection.sock.gettimeout() == 86_400


def test_port_0_is_no_other_port() -> None:
    with pool() as kept, pytest.raises(OSError, match=r"refused|assign|valid"):
        kept.take("http://127.0.0.1:0", Exchange())
