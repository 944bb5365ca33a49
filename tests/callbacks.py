"""A receiver of callbacks: the application server that a test asks the storage to tell.

with CallbackReceiver() as receiver:
    ...  # an upload whose callback goes to `receiver.url`
    assert receiver.wait(1)[0].body == b"..."
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class ReceivedCallback:
    """A request that arrived; the names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a body that is a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))


@dataclass(frozen=True)
class CallbackAnswer:
    """What the receiver answers.

    A header with the value None is left out, also those that are sent unasked. With `close` the
    connection is closed without an answer.
    """

    status: int = 200
    body: bytes = b'{"Status": "OK"}'
    headers: Mapping[str, str | None] = field(default_factory=dict)
    close: bool = False


class CallbackReceiver:
    """An HTTP server on a loopback address and a port of its own, for as long as a `with` lasts.

    Attributes:
        answer: what to answer; may be set at any time. A function is asked for each request, in
            the thread of its connection: it may wait for something first.
    """

    def __init__(
        self,
        answer: CallbackAnswer | Callable[[ReceivedCallback], CallbackAnswer] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = CallbackAnswer() if answer is None else answer
        self._changed = threading.Condition()
        self._received: list[ReceivedCallback] = []
        self._server = _Server(self)
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            # The handshake is left to the thread of the connection, that it may fail there alone.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="callback-receiver", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The URL to give as callbackUrl."""
        host = "127.0.0.1" if self._scheme == "http" else "localhost"
        return f"{self._scheme}://{host}:{self.port}/callback"

    @property
    def received(self) -> list[ReceivedCallback]:
        """The requests that have arrived so far, in their order."""
        with self._changed:
            return list(self._received)

    def wait(self, count: int, timeout: float = 10.0) -> list[ReceivedCallback]:
        """Wait until so many requests have arrived; TimeoutError when they do not."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._received) >= count, timeout):
                raise TimeoutError(f"{len(self._received)} of {count} callbacks in {timeout} s")
            return list(self._received)

    def take(self, callback: ReceivedCallback) -> CallbackAnswer:
        """Record a request and tell what to answer."""
        with self._changed:
            self._received.append(callback)
            self._changed.notify_all()
        return self.answer if isinstance(self.answer, CallbackAnswer) else self.answer(callback)

    def __enter__(self) -> CallbackReceiver:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    # A connection that a test leaves hanging must not keep the test from ending.
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that leaves early is what some tests are about."""

    def __init__(self, receiver: CallbackReceiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._respond()

    def do_GET(self) -> None:
        self._respond()

    def _respond(self) -> None:
        assert isinstance(self.server, _Server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        answer = self.server.receiver.take(ReceivedCallback(self.command, self.path, headers, body))
        self.close_connection = True
        if answer.close:
            return
        self.send_response_only(answer.status)
        fields = {"Content-Type": "application/json", "Content-Length": str(len(answer.body))}
        for name, value in (fields | dict(answer.headers)).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing: the test looks at what was received."""
