"""A server of raw sockets that does what a script says: also what no server would do."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from resumable.core.integrity import crc64
from resumable.oss.messages import CRC64


@dataclass(frozen=True)
class RawRequest:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


class Peer:
    """The server's end of one connection.

    Attributes:
        hang: does nothing, not even read, for as long as the server runs.
    """

    def __init__(
        self, connection: socket.socket, requests: list[RawRequest], hang: Callable[[], None]
    ) -> None:
        self.socket = connection
        self.hang = hang
        self._file = connection.makefile("rb")
        self._requests = requests

    def head(self) -> RawRequest | None:
        """Read a head and leave its body; None when the client is gone."""
        line = self._file.readline().decode()
        if not line:
            return None
        method, target, _ = line.split(" ")
        headers: dict[str, str] = {}
        while (line := self._file.readline().decode("latin-1")) != "\r\n":
            name, _, value = line.rstrip("\r\n").partition(": ")
            assert name.lower() not in headers, f"{name} was sent twice"
            headers[name.lower()] = value
        self._requests.append(RawRequest(method, target, headers))
        return self._requests[-1]

    def request(self) -> RawRequest | None:
        """Read a head and its whole body."""
        head = self.head()
        if head is None:
            return None
        body = self._file.read(int(head.headers.get("content-length", "0")))
        whole = RawRequest(head.method, head.target, head.headers, body)
        self._requests[self._requests.index(head)] = whole
        return whole

    def read(self, size: int) -> bytes:
        """Read so many bytes, or all there are."""
        return self._file.read(size)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def wait_until_gone(self) -> None:
        """Read on until the client closes."""
        while self._file.read1(1 << 16):
            pass

    def stop_sending(self) -> None:
        """Let the client see the end of what was sent, and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the connection, whatever another thread is waiting for on it."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        self._file.close()
        self.socket.close()


Script = Callable[[Peer], None]


class RawServer:
    """Runs a script for each connection, in a thread of its own.

    Attributes:
        requests: the requests whose heads were read, in order.
        connections: how many connections were made.
        hanging: released each time a script begins to hang.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[RawRequest] = []
        self.connections = 0
        self.hanging = threading.Semaphore(0)
        self._script = script
        self._tls = tls
        self._end = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port: int = self._listener.getsockname()[1]
        self._handles: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def endpoint(self) -> str:
        """The URL to give to a client."""
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """End everything."""
        self._end.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(5)
        for handle in self._handles:
            with handle, contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(5)

    def _hang(self) -> None:
        self.hanging.release()
        self._end.wait()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            # A second handle, since TLS takes the first one over.
            handle = connection.dup()
            self._handles.append(handle)
            self._threads.append(
                threading.Thread(target=self._serve, args=(connection, handle), daemon=True)
            )
            self._threads[-1].start()

    def _serve(self, connection: socket.socket, handle: socket.socket) -> None:
        # A client that leaves in the middle, or does not trust the certificate, is a test's aim.
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            peer = Peer(connection, self.requests, self._hang)
            try:
                self._script(peer)
            finally:
                peer.close()
        connection.close()
        handle.close()


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of an answer; a Content-Length is added where none is given."""
    fields = {"Content-Length": str(len(body)), "x-oss-request-id": "REQ"} | dict(headers or {})
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def error_answer(status: int, code: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a refusal."""
    body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
    return answer(status, body, headers)


def acknowledgement(data: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """The answer to a part or an object of these bytes."""
    digests = {"ETag": '"opaque"', CRC64: str(crc64(data))}
    return answer(200, b"", digests | dict(headers or {}))


def answering(*answers: bytes) -> Script:
    """A script that reads whole requests and gives these answers, the last one over and over.

    They are given in turn, whichever connection a request comes on.
    """
    left = list(answers)

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(left.pop(0) if len(left) > 1 else left[0])

    return script
