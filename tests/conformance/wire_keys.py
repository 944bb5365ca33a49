"""Generated keys on the wire: the path is byte for byte what was signed, and names the key meant.

    python -m tests.conformance.wire_keys --keys 100000

Each key goes through real sockets: as the path and in the query to a server that records the bytes,
and as the path to the local server, which verifies the signature by its own reading of the protocol
and tells which key it saw; one in five is also begun there and found again by prefix and markers.
Signatures and styles of address are mixed. It prints how many keys were sent, no key counted
twice, and its exit code is 1 if one of them went wrong.
"""

import argparse
import contextlib
import itertools
import socket
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from resumable import Bucket, NoSuchKeyError, RetryPolicy
from resumable.oss.endpoint import Style
from resumable.oss.signing import SignatureVersion
from resumable.server import LocalServer
from tests.conformance.raw_signatures import is_signed
from tests.support import CREDENTIALS, local_bucket

MAX_BYTES = 1023
BUCKET = "examplebucket"
VERSIONS: Sequence[SignatureVersion] = ("v1", "v4")
STYLES: Sequence[Style] = ("path", "virtual", "cname")
WAYS = list(itertools.product(VERSIONS, STYLES))
_LISTED = 5  # of so many keys, one is begun, listed and aborted as well
_ROUND = 5_000  # keys that hypothesis draws in one go: it remembers them all
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")

NASTY = (
    *(
        ".. . / // /./ /../ %2F %2f %2E%2E %2e %25 %252F %00 %0d%0a %zz % ? ?uploads ?acl # ## + "
        "++ %20 & && = ; : :// @ \\ ~ ~/ * ' \" < > [ ] { } | ^ ` $ ! ( ) , &amp; &lt; ]]> "
        "http:// //host/ 中 文件 é e\u0301 \u0301 \u200d \u200f \u202e\u05d0\u05d1 \u0627\u0644 "
        "\ufeff \u2028 \u2029 \xa0 \xad \ufffd \ufffe \uffff \U0001f389 \U0010ffff "
        "\U0001f469\u200d\U0001f467 ... ./ ../ /. /.. a b Z 0 - _ examplebucket examplebucket/"
    ).split(" "),
    " ",
    "  ",
    "\u3000",
)

_characters = st.characters(exclude_categories=("Cs", "Cc"))
_pieces = st.one_of(
    st.sampled_from(NASTY),
    st.sampled_from(NASTY),
    st.text(_characters, min_size=1, max_size=6),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=6),
)


def _cut(text: str) -> str:
    """The text as a key: no slash of either kind in front, and not too long."""
    return text.lstrip("/\\").encode()[:MAX_BYTES].decode(errors="ignore")


def _stretched(piece: str, tail: str) -> str:
    """A key as long as can be, or nearly so, of the same piece over and over."""
    return _cut(piece * (MAX_BYTES // len(piece.encode()) + 1))[: MAX_BYTES - len(tail)] + tail


# Valid OSS keys over all of Unicode but surrogates and controls, the nasty ones above all.
keys: st.SearchStrategy[str] = st.one_of(
    st.lists(_pieces, min_size=1, max_size=8).map("".join).map(_cut).filter(bool),
    st.lists(_pieces, min_size=1, max_size=8).map("/".join).map(_cut).filter(bool),
    st.builds(_stretched, _pieces, st.sampled_from(NASTY)).map(_cut).filter(bool),
)


def encoded(text: str, *, slash: bool = False) -> bytes:
    """Percent-encoded, as a path if the slash stays: written again, from the rule alone."""
    keep = _UNRESERVED | {0x2F} if slash else _UNRESERVED
    return b"".join(bytes((byte,)) if byte in keep else b"%%%02X" % byte for byte in text.encode())


@dataclass(frozen=True)
class Received:
    """A request as its bytes came over the wire; names of headers in lower case."""

    line: bytes
    headers: Mapping[bytes, bytes]

    @property
    def path(self) -> bytes:
        return self.line.split(b" ")[1].partition(b"?")[0]

    @property
    def query(self) -> list[bytes]:
        return self.line.split(b" ")[1].partition(b"?")[2].split(b"&")


class Recorder:
    """A server that answers whatever comes with success, and keeps the bytes of the last request.

    Attributes:
        last: What was received last; it is there before the answer is on the wire.
        connections: How many connections were made.
    """

    _LIST = (
        b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
    )

    def __init__(self) -> None:
        self.last = Received(b"", {})
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file, contextlib.suppress(OSError):
            while line := file.readline():
                headers: dict[bytes, bytes] = {}
                while (header := file.readline()) != b"\r\n":
                    name, _, value = header.rstrip(b"\r\n").partition(b": ")
                    headers[name.lower()] = value
                self.last = Received(line.rstrip(b"\r\n"), headers)
                body = b"" if line.startswith(b"HEAD ") else self._LIST
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nx-oss-request-id: R\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body)
                )


@contextmanager
def local_names() -> Iterator[None]:
    """Within this context the names below `localhost` are this machine, as RFC 6761 has it."""
    resolve = socket.getaddrinfo

    def local(host: str, *args: object, **kwargs: object) -> object:
        here = "127.0.0.1" if host.endswith(".localhost") else host
        return resolve(here, *args, **kwargs)  # type: ignore[arg-type]

    with mock.patch.object(socket, "getaddrinfo", local):
        yield


@dataclass
class Tally:
    """What was sent.

    Attributes:
        keys: The keys, each once.
        ways: How many went by each signature and style.
        requests: How many requests were made.
    """

    keys: set[str] = field(default_factory=set)
    ways: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def add(self, other: "Tally") -> None:
        self.keys |= other.keys
        self.ways += other.ways
        self.requests += other.requests


class Wire:
    """Sends keys to both servers, by all signatures and styles, and checks what arrived."""

    def __init__(self, recorder: Recorder, server: LocalServer) -> None:
        self.tally = Tally()
        self._recorder, self._server = recorder, server
        self._buckets: dict[tuple[int, str, str], Bucket] = {}

    def close(self) -> None:
        for bucket in self._buckets.values():
            bucket.close()

    def check(self, key: str) -> None:
        """Send a key, unless it was sent before, and raise AssertionError if it goes wrong."""
        if key in self.tally.keys:
            return
        draw = zlib.crc32(key.encode(), 1)  # the same each time: a failure is tried again
        version, style = WAYS[draw % len(WAYS)]
        self._check_raw(self._bucket(self._recorder.port, version, style), style, key)
        served = self._bucket(self._server.port, version, style)
        self._check_served(served, version, key)
        if draw // len(WAYS) % _LISTED == 0:
            self._check_listed(served, key)
        self.tally.keys.add(key)
        self.tally.ways[f"{version} {style}"] += 1

    def _bucket(self, port: int, version: SignatureVersion, style: Style) -> Bucket:
        made = self._buckets.get((port, version, style))
        if made is None:
            made = self._buckets[port, version, style] = Bucket(
                BUCKET,
                endpoint=f"http://{_HOSTS[style]}:{port}",
                style=style,
                region="cn-hangzhou",
                credentials=CREDENTIALS,
                signature_version=version,
                retry=RetryPolicy(attempts=1),
            )
        return made

    def _check_raw(self, bucket: Bucket, style: Style, key: str) -> None:
        front = f"/{BUCKET}/".encode() if style == "path" else b"/"
        bucket.head_object(key)
        self._assert_signed(style)
        assert self._recorder.last.path == front + encoded(key, slash=True)
        marker = _cut("m" + key[::-1])
        bucket.list_multipart_uploads(
            prefix=key, delimiter=key[:5], key_marker=marker, upload_id_marker=key[-5:]
        )
        self._assert_signed(style)
        assert self._recorder.last.path == front
        query = self._recorder.last.query
        for name, text in (
            (b"prefix=", key),
            (b"delimiter=", key[:5]),
            (b"key-marker=", marker),
            (b"upload-id-marker=", key[-5:]),
        ):
            assert [field for field in query if field.startswith(name)] == [name + encoded(text)]
        self.tally.requests += 2

    def _assert_signed(self, style: Style) -> None:
        last = self._recorder.last
        host = f"{BUCKET}." * (style == "virtual") + f"{_HOSTS[style]}:{self._recorder.port}"
        assert last.headers[b"host"] == host.encode()
        secret = CREDENTIALS.access_key_secret
        assert is_signed(last.line, last.headers, secret, BUCKET, path_style=style == "path")

    def _check_served(self, bucket: Bucket, version: SignatureVersion, key: str) -> None:
        with contextlib.suppress(NoSuchKeyError):
            bucket.head_object(key)
        seen = self._server.log[-1]
        assert (seen.bucket, seen.key, seen.signature) == (BUCKET, key, version)
        assert seen.code in (None, "NoSuchKey")  # it has verified the signature by then
        self.tally.requests += 1

    def _check_listed(self, bucket: Bucket, key: str) -> None:
        upload_id = bucket.init_multipart_upload(key).upload_id
        (row,) = bucket.list_multipart_uploads(prefix=key).uploads
        assert (row.key, row.upload_id) == (key, upload_id)
        after = bucket.list_multipart_uploads(
            prefix=key, key_marker=key, upload_id_marker=upload_id
        )
        assert after.uploads == ()
        bucket.abort_multipart_upload(key, upload_id)
        self.tally.requests += 4


_HOSTS: Mapping[Style, str] = {
    "path": "127.0.0.1",
    "virtual": "localhost",
    "cname": f"{BUCKET}.localhost",
}


def send_keys(count: int, seed_: int, root: Path, *, share: int = 0, shares: int = 1) -> Tally:
    """Send so many keys, none twice, of those that fall to this share.

    Raises:
        AssertionError: one went wrong; it is the simplest that could be found.
    """
    with ExitStack() as opened:
        recorder = opened.enter_context(closing(Recorder()))
        server = opened.enter_context(LocalServer(root, log_limit=4))
        opened.enter_context(local_names())
        wire = opened.enter_context(closing(Wire(recorder, server)))
        with local_bucket(server.endpoint) as bucket:
            bucket.put_object("so that the bucket is there", b"")
        for number in itertools.count():
            missing = count - len(wire.tally.keys)
            if missing <= 0:
                break
            # A round begins with the simplest keys, which were sent before: it must not be short.
            examples = max(500, min(_ROUND, missing * shares))
            _send_round(wire, count, examples, seed_ + number, (share, shares))
        # Kept open from one request to the next: one connection for each way.
        assert recorder.connections <= len(WAYS)
        return wire.tally


def _send_round(wire: Wire, count: int, examples: int, seed_: int, share: tuple[int, int]) -> None:
    @seed(seed_)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(keys)
    def sent(key: str) -> None:
        mine = zlib.crc32(key.encode()) % share[1] == share[0]
        if mine and len(wire.tally.keys) < count:
            wire.check(key)

    sent()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    started = time.monotonic()
    shares = options.processes
    each = -(-options.keys // shares)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(shares) as pool:
        running = [
            pool.submit(
                send_keys, each, options.seed, Path(folder, str(share)), share=share, shares=shares
            )
            for share in range(shares)
        ]
        for done in running:
            tally.add(done.result())
    seconds = time.monotonic() - started
    longest = max(len(key.encode()) for key in tally.keys)
    print(f"{len(tally.keys)} different keys of up to {longest} bytes, {tally.requests} requests")
    print(", ".join(f"{way} {count}" for way, count in sorted(tally.ways.items())))
    print(f"each was on the wire as it was signed, and seen as it was meant: {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
