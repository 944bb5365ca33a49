"""Sending callbacks: one POST, no redirects, no proxies, and a bounded time to answer."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult

from resumable.server.callbacks import Callback, callback_headers, filled_body
from resumable.server.errors import OssError
from resumable.server.messages import Request
from resumable.server.records import ObjectRecord

MAX_ANSWER = 1024 * 1024


class _CallbackError(Exception):
    """A callback was not taken; the text says why."""


class CallbackSender:
    """Posts callbacks until it is closed.

    Args:
        timeout: how many seconds the receiver has to take a callback and to answer it.
        allow_remote: send to other machines, too.
    """

    def __init__(self, timeout: float, *, allow_remote: bool) -> None:
        self._timeout = timeout
        self._allow_remote = allow_remote
        self._lock = threading.Lock()
        self._closed = False
        self._sockets: set[socket.socket] = set()

    def open(self) -> None:
        """Send again after a close."""
        with self._lock:
            self._closed = False

    def close(self) -> None:
        """Break off the callbacks under way and refuse those to come."""
        with self._lock:
            self._closed = True
            for each in self._sockets:
                _shut(each)

    def deliver(self, callback: Callback, request: Request, record: ObjectRecord) -> bytes:
        """Send a callback to the first of its URLs that takes it; return the JSON it answers.

        Raises:
            OssError: CallbackFailed when none takes it.
        """
        body = filled_body(callback, request, record)
        message = ""
        for url in callback.urls:
            headers = callback_headers(callback, url, request)
            try:
                return self._post(url, headers | {"Content-Length": str(len(body))}, body)
            except _CallbackError as problem:
                message = str(problem)
        raise OssError("CallbackFailed", message)

    def _post(self, url: SplitResult, headers: Mapping[str, str], body: bytes) -> bytes:
        deadline = time.monotonic() + self._timeout
        try:
            with self._connected(url, deadline) as connection:
                return _exchange(connection, url, headers, body)
        except (_CallbackError, OSError, http.client.HTTPException, ValueError) as problem:
            if time.monotonic() >= deadline:
                raise _CallbackError("The receiver took too long.") from problem
            if isinstance(problem, _CallbackError):
                raise
            raise _CallbackError(f"The receiver cannot be talked to: {problem}.") from problem

    @contextlib.contextmanager
    def _connected(self, url: SplitResult, deadline: float) -> Iterator[http.client.HTTPConnection]:
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        with contextlib.ExitStack() as cleanup:
            each = cleanup.enter_context(self._connect(host, port, deadline))
            if url.scheme == "https":
                each = cleanup.enter_context(_wrapped(each, host))
            cleanup.enter_context(self._watched(each, deadline))
            if isinstance(each, ssl.SSLSocket):
                each.do_handshake()
            connection = http.client.HTTPConnection(host, port)
            cleanup.callback(connection.close)
            # Given a socket, it opens none of its own: this is the address that was checked.
            connection.sock = each
            yield connection

    def _connect(self, host: str, port: int, deadline: float) -> socket.socket:
        reason: Exception = _CallbackError(f"{host} is no loopback address: see remote_callbacks.")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            if not self._allow_remote and not ipaddress.ip_address(address[0]).is_loopback:
                continue
            candidate = socket.socket(family, kind, protocol)
            try:
                candidate.settimeout(max(deadline - time.monotonic(), 0.001))
                candidate.connect(address)
            except OSError as failure:
                candidate.close()
                reason = failure
            else:
                return candidate
        raise reason

    @contextlib.contextmanager
    def _watched(self, each: socket.socket, deadline: float) -> Iterator[None]:
        # A timeout of the socket starts anew with each byte; this one does not.
        timer = threading.Timer(deadline - time.monotonic(), _shut, (each,))
        timer.daemon = True
        with self._lock:
            if self._closed:
                raise _CallbackError("The server stops.")
            self._sockets.add(each)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._sockets.discard(each)


def _wrapped(raw: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    return context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)


def _exchange(
    connection: http.client.HTTPConnection,
    url: SplitResult,
    headers: Mapping[str, str],
    body: bytes,
) -> bytes:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection.putrequest("POST", target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    with connection.getresponse() as response:
        if response.status != 200:
            raise _CallbackError(f"Error status : {response.status}.")
        return _checked_answer(response)


def _checked_answer(response: http.client.HTTPResponse) -> bytes:
    if response.length is None:
        raise _CallbackError("The answer has no Content-Length.")
    if response.length > MAX_ANSWER:
        raise _CallbackError(f"The answer has more than {MAX_ANSWER} bytes.")
    body = response.read()
    try:
        json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise _CallbackError("The answer is not valid JSON.") from problem
    return body


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Below TLS, whose own shutdown another thread would be in the middle of.
        socket.socket.shutdown(each, socket.SHUT_RDWR)
