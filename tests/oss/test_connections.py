"""Connections under odd circumstances: other systems, forks, sockets that are gone, odd answers."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from resumable import Bucket, InvalidArgumentError
from resumable.core.integrity import crc64
from resumable.oss.connections import Exchange
from resumable.server import LocalServer

from .conftest import Connect, Serve
from .rawserver import acknowledgement, answer, answering

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
