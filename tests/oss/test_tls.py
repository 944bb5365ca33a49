"""TLS: whom to trust is decided before a byte of a request is sent.

The key was made for these tests and guards nothing:
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout k.pem -out c.pem
"""

import os
import socket
import ssl
import subprocess
import threading
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar, cast

import pytest

from resumable import Bucket
from resumable.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    InvalidArgumentError,
    LocalFileError,
    ResumableError,
)
from resumable.oss.authorities import usual_context
from resumable.oss.cancellation import Cancellation
from resumable.oss.messages import WireRequest
from resumable.oss.settings import CA_VARIABLES
from resumable.oss.transport import RequestsTransport
from tests.oss.conftest import KEYS, Serve
from tests.oss.rawserver import Peer, Script, acknowledgement, answer, answering, error_answer
from tests.oss.test_stuck import SHORT, Running
from tests.support import CREDENTIALS, MIB, QUICK, random_bytes

_T = TypeVar("_T")
TRUSTED = str(KEYS / "localhost.pem")
LARGE = random_bytes(32 * MIB)


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TRUSTED)
    return context


def bucket_at(endpoint: str, ca_bundle: str | None = None, timeout: float = 20.0) -> Bucket:
    return Bucket(
        "examplebucket",
        endpoint=endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retry=QUICK,
        ca_bundle=ca_bundle,
        timeout=timeout,
    )


def refuses_early(then: str) -> Script:
    def script(peer: Peer) -> None:
        peer.head()
        peer.read(MIB)
        peer.send(error_answer(403, "AccessDenied"))
        if then == "says so and closes":
            cast(ssl.SSLSocket, peer.socket).unwrap()
        if then == "closes one way":
            socket.socket.shutdown(peer.socket, socket.SHUT_WR)
            peer.hang()

    return script


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("then", ["closes", "says so and closes", "closes one way"])
def test_early_refusal_is_understood(
    serve: Serve, tls: ssl.SSLContext, then: str, version: ssl.TLSVersion
) -> None:
    tls.minimum_version = tls.maximum_version = version
    server = serve(refuses_early(then), tls)
    bucket = bucket_at(server.endpoint, TRUSTED, timeout=SHORT)
    with bucket, pytest.raises(AccessDeniedError) as refused:
        bucket.upload_part("k", "U", 1, LARGE)
    assert refused.value.tries == 1


def test_certificate_of_a_trusted_authority_is_accepted(serve: Serve, tls: ssl.SSLContext) -> None:
    server = serve(answering(acknowledgement(LARGE)), tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        for number in (1, 2):
            bucket.upload_part("k", "U", number, LARGE)
    assert [request.body == LARGE for request in server.requests] == [True, True]
    assert server.connections == 1


def test_key_goes_out_as_it_is_signed_over_tls_too(serve: Serve, tls: ssl.SSLContext) -> None:
    server = serve(answering(acknowledgement(b"x")), tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        bucket.put_object("a/../b %2E", b"x")
    assert server.requests[0].target == "/examplebucket/a/../b%20%252E"


def unknown_authority(port: int) -> Bucket:
    return bucket_at(f"https://localhost:{port}")


def another_name(port: int) -> Bucket:
    return bucket_at(f"https://127.0.0.1:{port}", TRUSTED)


@pytest.mark.parametrize("make", [unknown_authority, another_name])
def test_certificate_that_cannot_be_trusted_ends_it_before_any_request(
    serve: Serve, tls: ssl.SSLContext, make: Callable[[int], Bucket]
) -> None:
    server = serve(answering(acknowledgement(b"x")), tls)
    with make(server.port) as bucket, pytest.raises(ConnectionFailedError) as failed:
        bucket.put_object("k", b"x")
    assert "certificate" in str(failed.value)
    assert "ca_bundle" in failed.value.advice
    assert (failed.value.retryable, failed.value.tries) == (False, 1)
    assert server.requests == []


@pytest.fixture(autouse=True)
def usual_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", CA_VARIABLES)
def test_authorities_of_the_environment_are_trusted(
    serve: Serve, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, TRUSTED)
    server = serve(answering(acknowledgement(b"x")), tls)
    with unknown_authority(server.port) as bucket:
        bucket.put_object("k", b"x")
    assert len(server.requests) == 1


def test_argument_comes_before_the_environment(
    serve: Serve, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(KEYS / "common-name-only.pem"))
    server = serve(answering(acknowledgement(b"x")), tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        bucket.put_object("k", b"x")
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", CA_VARIABLES)
def test_authorities_of_the_environment_that_are_not_there_name_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "gone.pem"))
    with pytest.raises(InvalidArgumentError) as failed:
        unknown_authority(1)
    assert name in str(failed.value)
    assert "gone.pem" in str(failed.value)
    bucket_at("http://127.0.0.1:1").close()  # nobody is to be trusted without TLS


@pytest.mark.parametrize("is_relative", [False, True])
def test_folder_of_authorities_is_trusted(
    serve: Serve,
    tls: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_relative: bool,
) -> None:
    name = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", TRUSTED],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (tmp_path / f"{name}.0").write_bytes(Path(TRUSTED).read_bytes())
    server = serve(answering(acknowledgement(b"x")), tls)
    monkeypatch.chdir(tmp_path.parent)
    with bucket_at(server.endpoint, tmp_path.name if is_relative else str(tmp_path)) as bucket:
        monkeypatch.chdir("/")
        bucket.put_object("k", b"x")
    assert len(server.requests) == 1


def test_path_of_the_authorities_is_opened_as_it_is_given(
    serve: Serve, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """`link/../ca.pem` is beside what the link leads to, and not beside the link."""
    (tmp_path / "there" / "below").mkdir(parents=True)
    (tmp_path / "there" / "ca.pem").write_bytes(Path(TRUSTED).read_bytes())
    (tmp_path / "ca.pem").write_bytes((KEYS / "common-name-only.pem").read_bytes())
    (tmp_path / "link").symlink_to(tmp_path / "there" / "below")
    server = serve(answering(acknowledgement(b"x")), tls)
    with bucket_at(server.endpoint, f"{tmp_path}/link/../ca.pem") as bucket:
        bucket.put_object("k", b"x")
    assert len(server.requests) == 1


def test_server_without_tls_is_a_typed_error(serve: Serve) -> None:
    def plain(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with unknown_authority(serve(plain).port) as bucket, pytest.raises(ConnectionFailedError):
        bucket.put_object("k", b"x")


@pytest.mark.parametrize("name", ["missing.pem", "empty.pem", "garbage.pem"])
def test_unusable_ca_bundle_is_a_typed_error_at_once(
    serve: Serve, tls: ssl.SSLContext, tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "garbage.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\ngarbage")
    server = serve(answering(acknowledgement(b"x")), tls)
    with pytest.raises(ResumableError) as failed:
        bucket_at(server.endpoint, str(tmp_path / name)).put_object("k", b"x")
    assert (failed.value.retryable, failed.value.tries) == (False, 1)


def test_call_that_is_stuck_in_tls_can_be_broken_off_at_once(
    serve: Serve, tls: ssl.SSLContext
) -> None:
    def never_reads(peer: Peer) -> None:
        peer.head()
        peer.hang()

    server = serve(never_reads, tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        running = Running(bucket, lambda view: view.upload_part("k", "U", 1, LARGE))
        assert server.hanging.acquire(timeout=10)
        assert running.break_off() < 1.0


def alert(what: int) -> bytes:
    """A record that ends a connection, saying why."""
    return b"\x15\x03\x03\x00\x02\x02" + bytes([what])


INTERNAL_ERROR = 80
HANDSHAKE_FAILURE, BAD_CERTIFICATE, UNKNOWN_CA, ACCESS_DENIED = 40, 42, 48, 49


def hangs_up(_peer: Peer) -> None:
    """Ends it before a word was said."""


def gives_up(peer: Peer) -> None:
    peer.socket.recv(1)
    peer.send(alert(INTERNAL_ERROR))
    peer.wait_until_gone()


@pytest.mark.parametrize("fails", [hangs_up, gives_up])
def test_handshake_that_failed_on_the_way_is_tried_again(
    serve: Serve, tls: ssl.SSLContext, fails: Script
) -> None:
    def fails_once(peer: Peer) -> None:
        if server.connections == 1:
            fails(peer)
        else:
            peer.socket = tls.wrap_socket(peer.socket, server_side=True)
            again(Peer(peer.socket, server.requests, peer.hang))

    again = answering(acknowledgement(b"x"))
    server = serve(fails_once)
    with bucket_at(f"https://localhost:{server.port}", TRUSTED) as bucket:
        bucket.put_object("k", b"x")
    assert (server.connections, [request.body for request in server.requests]) == (2, [b"x"])


@pytest.mark.parametrize("why", [HANDSHAKE_FAILURE, BAD_CERTIFICATE, UNKNOWN_CA, ACCESS_DENIED])
def test_handshake_that_was_refused_is_not(serve: Serve, why: int) -> None:
    def refuses(peer: Peer) -> None:
        peer.socket.recv(1)
        peer.send(alert(why))
        peer.wait_until_gone()

    server = serve(refuses)
    bucket = bucket_at(f"https://localhost:{server.port}", TRUSTED)
    with bucket, pytest.raises(ConnectionFailedError, match="was not accepted") as failed:
        bucket.put_object("k", b"x")
    assert (failed.value.retryable, server.connections) == (False, 1)


def test_tickets_of_tls_are_no_answer(serve: Serve, tls: ssl.SSLContext) -> None:
    """They are there to be read while the body is sent to a server that pauses."""
    paused = threading.Event()

    def pauses(peer: Peer) -> None:
        head = peer.head()
        assert head is not None
        paused.wait(10)
        peer.read(int(head.headers["content-length"]))
        peer.send(acknowledgement(LARGE))
        peer.wait_until_gone()

    server = serve(pauses, tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        sent = threading.Thread(target=bucket.upload_part, args=("k", "U", 1, LARGE))
        sent.start()
        sent.join(0.5)
        assert sent.is_alive()
        paused.set()
        sent.join(20)
        assert not sent.is_alive()
    assert server.connections == 1


def test_record_that_was_damaged_on_the_way_is_asked_for_again(
    serve: Serve, tls: ssl.SSLContext
) -> None:
    def damages_the_first(peer: Peer) -> None:
        while peer.request() is not None:
            if server.connections == 1:
                os.write(peer.socket.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
            else:
                peer.send(acknowledgement(b"x"))

    server = serve(damages_the_first, tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        bucket.put_object("k", b"x")
    assert (server.connections, [request.body for request in server.requests]) == (2, [b"x", b"x"])


def test_transport_that_is_made_without_tls_trusts_nobody(
    serve: Serve, tls: ssl.SSLContext
) -> None:
    server = serve(answering(answer(200)), tls)
    request = WireRequest("GET", server.endpoint, "/k", {}, None)
    transport = RequestsTransport(5, 5, tls=False)
    with closing(transport), pytest.raises(ConnectionFailedError, match="certificate"):
        transport.send(request, Cancellation())
    assert server.requests == []


def test_name_outside_the_alternative_ones_is_none(serve: Serve) -> None:
    bundle = str(KEYS / "common-name-only.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    server = serve(answering(answer(200)), context)
    with bucket_at(server.endpoint, bundle) as bucket, pytest.raises(ConnectionFailedError):
        bucket.put_object("k", b"x")
    assert server.requests == []


def test_what_follows_an_answer_unasked_is_not_the_next_one(
    serve: Serve, tls: ssl.SSLContext
) -> None:
    def says_too_much(peer: Peer) -> None:
        peer.request()
        peer.send(answer(200, headers={"Content-Length": "1"}))
        peer.send(b"x" + answer(200, b"another's"))  # in one record, of which one byte is read
        peer.wait_until_gone()

    server = serve(says_too_much, tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        for _ in range(2):
            with bucket.get_object("k") as body:
                assert b"".join(body.blocks()) == b"x"
    assert server.connections == 2


def test_download_that_is_cut_off_is_not_taken_for_whole(serve: Serve, tls: ssl.SSLContext) -> None:
    def cuts_off(peer: Peer) -> None:
        peer.request()
        peer.send(
            b"HTTP/1.1 200 OK\r\nx-oss-request-id: REQ\r\nContent-Length: 99\r\n\r\nhalf of it"
        )

    bucket = bucket_at(serve(cuts_off, tls).endpoint, TRUSTED)
    with bucket, bucket.get_object("k") as body, pytest.raises(ConnectionFailedError):
        list(body.blocks())


def test_authorities_that_are_not_there_are_a_local_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual_context.cache_clear()
    monkeypatch.setattr("certifi.where", lambda: str(tmp_path / "cacert.pem"))
    with pytest.raises(LocalFileError, match=r"cacert\.pem"):
        bucket_at("https://localhost")


def test_stop_in_the_middle_of_sending_shows_no_signature(
    serve: Serve, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(sock: ssl.SSLSocket, data: bytes) -> int:
        raise KeyboardInterrupt

    server = serve(answering(answer(200)), tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        monkeypatch.setattr(ssl.SSLSocket, "send", stop)
        with pytest.raises(KeyboardInterrupt) as stopped:
            bucket.put_object("k", b"x")
    told = traceback.TracebackException.from_exception(stopped.value, capture_locals=True)
    shown = [frame for frame in told.stack.format() if __file__ not in frame]
    assert not [frame for frame in shown if "Signature=" in frame]


def test_keys_of_a_connection_are_not_written_where_a_variable_says(
    serve: Serve, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    server = serve(answering(acknowledgement(b"x")), tls)
    with bucket_at(server.endpoint, TRUSTED) as bucket:
        bucket.put_object("k", b"x")
    assert not (tmp_path / "keys").exists()


def test_authorities_are_read_once(serve: Serve, tls: ssl.SSLContext, tmp_path: Path) -> None:
    def answers_once(peer: Peer) -> None:
        peer.request()
        peer.send(acknowledgement(b"x", {"Connection": "close"}))

    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Path(TRUSTED).read_bytes())
    server = serve(answers_once, tls)
    with bucket_at(server.endpoint, str(bundle)) as bucket:
        bucket.put_object("k", b"x")
        bundle.unlink()
        bucket.put_object("k", b"x")
    assert server.connections == 2
