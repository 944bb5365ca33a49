"""Connections of urllib3, with what an object store adds to them.

They send a request exactly as it was signed, notice an answer that comes before the body was sent,
and can be aborted from another thread.
"""

import errno
import io
import re
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3
from requests.structures import CaseInsensitiveDict

from resumable.errors import ResumableError, SourceChangedError
from resumable.oss.connecting import ResolvingConnection
from resumable.oss.messages import Block, Payload, StoredBlock, WireRequest
from resumable.oss.watchdog import watchdog

# The head of an answer, and a body that is read as a whole, may each take this many timeouts,
# however slowly the bytes arrive.
PATIENCE = 5
# TLS takes all of what it is given, or none: with little, a slow line moves within the timeout.
_AT_ONCE = 64 * 1024
LONGEST_WAIT = 86_400.0  # seconds: more than this overflows in some system calls

# Select, where there is no poll, does not know descriptors above 1,023.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# How the other end shows that it is gone, or does not read any further.
_DISCONNECTED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_INTERIM = re.compile(rb"HTTP/1\.[01] 1")
_ZONE = re.compile(r"%[^\]]*")

current = threading.local()  # `exchange`: what the calling thread sends


class BodyFailedError(Exception):
    """A body could not be read, which is no failure of the network, even if it looks like one.

    Attributes:
        error: Why.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _AnsweredEarlyError(Exception):
    """There is an answer although the body was not sent to its end."""


class Exchange:
    """A request under way, as another thread can abort it.

    Attributes:
        request: What is sent.
        timeout: Seconds for a byte to move, in either direction.
        is_sent: Whether the whole request was handed to the system.
        is_connected: Whether there was a connection for it.
        is_reused: Whether that connection had carried another request before.
        is_answered: Whether a byte of an answer has come.
        is_aborted: Whether it was aborted.
        is_overdue: Whether that was because it took too long.
    """

    def __init__(self, request: WireRequest, timeout: float) -> None:
        self.request = request
        self.timeout = min(timeout, LONGEST_WAIT)
        self.is_sent = request.body is None
        self.is_connected = False
        self.is_reused = False
        self.is_answered = False
        self.is_aborted = False
        self.is_overdue = False
        self._lock = threading.Lock()
        self._socket: Any = None

    def attach(self, sock: object, *, is_connected: bool = True) -> None:
        """Note the socket of the request; raise ConnectionAbortedError if it was aborted."""
        with self._lock:
            self._socket = sock
            self.is_connected = is_connected
        self.check()

    def check(self) -> None:
        """Raise ConnectionAbortedError if it was aborted: then the end of an answer is none."""
        if self.is_aborted:
            raise ConnectionAbortedError(errno.ECONNABORTED, "aborted")

    def detach(self) -> None:
        """Forget the socket: from now on it may be another request's."""
        with self._lock:
            self._socket = None

    def abort(self) -> None:
        """Make whatever the request waits for fail."""
        with self._lock:
            self.is_aborted = True
            if self._socket is None:
                return
            try:
                if isinstance(self._socket, socket.socket):
                    # Not the method of the TLS socket, which would tear its state down under the
                    # thread that is using it.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                else:
                    self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is gone already, which is what was wanted
                return

    @contextmanager
    def deadline(self) -> Iterator[None]:
        """Abort it unless the context ends in time, however slowly the bytes arrive."""
        with watchdog.deadline(PATIENCE * self.timeout, self._expire):
            yield

    def _expire(self) -> None:
        self.is_overdue = True
        self.abort()

    def blocks(self, body: Payload) -> Iterator[Block]:
        """Hand out the body. An error of reading it must not look like one of the network."""
        left = body.size
        try:
            for block in body.blocks():
                left -= len(block)
                if left < 0:
                    break
                yield block
        except Exception as error:
            raise BodyFailedError(error) from error
        if left:
            raise BodyFailedError(SourceChangedError(f"a body is not of its {body.size} bytes"))
        self.is_sent = True

    def head(self) -> CaseInsensitiveDict[Any]:
        """The headers as the bytes that were signed; http.client would make latin-1 of text."""
        host = _ZONE.sub("", self.request.origin.partition("://")[2])
        return _Hidden({"host": host} | {k: v.encode() for k, v in self.request.headers.items()})


class _Hidden(CaseInsensitiveDict[Any]):
    """Headers whose signature no traceback shows."""

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"

    def copy(self) -> "_Hidden":
        return _Hidden(self.items())


class Connection(ResolvingConnection):
    """A connection that sends what was signed, and notices an answer while it sends."""

    _carried = 0
    _held = b""
    _ignores_input = False
    _is_connecting = False

    def connect(self) -> None:
        self._carried, self._held, self._is_connecting = 0, b"", True
        try:
            with current.exchange.deadline():
                super().connect()
        finally:
            self._is_connecting = False

    def request(  # type: ignore[override]  # as urllib3 has it, not http.client
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        exchange: Exchange = current.exchange
        if self.sock is None:
            self.connect()
        exchange.is_reused = self._carried > 0
        self._carried += 1
        self._ignores_input = False
        exchange.attach(self.sock)
        # urllib3 has normalized the URL by now: a key with `..` would no longer be the signed one.
        wire = exchange.request
        url = wire.origin + wire.target if self.proxy_is_forwarding else wire.target
        sock: Any = self.sock
        try:
            super().request(method, url, body, headers, **options)
        except (_AnsweredEarlyError, *_DISCONNECTED):
            return  # the answer may say why
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:  # macOS, while the connection is taken down
                raise
        finally:
            sock.settimeout(exchange.timeout)

    def send(self, data: Any) -> None:
        if self._is_connecting:  # CONNECT, whose answer may not come
            current.exchange.attach(self.sock, is_connected=False)
            super().send(data)
            return
        try:
            if isinstance(self.sock, socket.socket):
                if self.sock.gettimeout() != 0:  # a system call: not for each block
                    self.sock.settimeout(0)
                self._send_as_taken(data)
            else:  # TLS within TLS, through an https proxy
                view = _view(data)
                for start in range(0, len(view), _AT_ONCE):
                    super().send(view[start : start + _AT_ONCE])
        except ResumableError as error:
            raise BodyFailedError(error) from error

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        exchange: Exchange = current.exchange
        if self.sock is None:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the connection was lost")
        sock, reader = self.sock, _Reader(self.sock, self._held, exchange)
        self.sock, self._held = _Readable(sock, reader), b""
        with exchange.deadline():
            answer = super().getresponse()
        self.sock = sock if self.sock is not None else None
        if error := _unusable(answer, reader, exchange):
            answer.close()
            raise error
        is_refused = exchange.request.body is not None and answer.status >= 300
        if self.sock is not None and (is_refused or not exchange.is_sent):
            # Whoever refuses a body may not have read it, and take it for the next request. The
            # answer keeps its own hold on the socket and can still be read.
            self.sock.close()
            self.sock = None
        return answer

    def _send_as_taken(self, data: Any) -> None:
        """Send a block piece by piece; from its file, as far as the system does that."""
        from_file = isinstance(data, StoredBlock) and not isinstance(self.sock, ssl.SSLSocket)
        view, done, has_waited = None, 0, False
        while done < len(data):
            try:
                if from_file:
                    done += data.send(self.sock.fileno(), done)
                else:
                    view = view or _view(data)
                    done += self.sock.send(view[done : done + _AT_ONCE])
                has_waited = False
            except io.UnsupportedOperation:
                from_file = False
            except _WOULD_BLOCK:
                if from_file and has_waited:  # it is not the socket that the system waits for
                    from_file = False
                else:
                    self._wait()
                    has_waited = True

    def _wait(self) -> None:
        """Wait until more can be sent.

        Raises:
            TimeoutError: nothing could be sent in time.
            _AnsweredEarlyError: there is an answer.
        """
        events = selectors.EVENT_WRITE | (0 if self._ignores_input else selectors.EVENT_READ)
        with _Selector() as selector:
            selector.register(self.sock, events)
            ready = selector.select(current.exchange.timeout)
        if not ready:
            raise TimeoutError(errno.ETIMEDOUT, "the server does not take the request")
        if ready[0][1] & selectors.EVENT_READ and self._is_answered():
            raise _AnsweredEarlyError

    def _is_answered(self) -> bool:
        """Whether what can be read is an answer, or the end, and not TLS's own or an interim."""
        try:
            if isinstance(self.sock, ssl.SSLSocket):
                self._held += (more := self.sock.recv(_AT_ONCE))
                begins = self._held if more else b""
            else:
                begins = self.sock.recv(len("HTTP/1.1 1"), socket.MSG_PEEK)
        except _WOULD_BLOCK:
            return False
        except OSError:
            return True
        self._ignores_input = bool(_INTERIM.match(begins))
        return not self._ignores_input


class _Reader(io.RawIOBase):
    """What is read from a socket, after some bytes that were read already.

    Attributes:
        has_ended: Whether there is no more.
    """

    def __init__(self, sock: socket.socket, held: bytes, exchange: Exchange) -> None:
        self._held = io.BytesIO(held)
        self._rest = sock.makefile("rb", buffering=0)
        self._exchange = exchange
        self.has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        size = self._held.readinto(buffer) or self._rest.readinto(buffer)
        self.has_ended = size == 0
        self._exchange.is_answered = self._exchange.is_answered or bool(size)
        return size

    def close(self) -> None:
        self._rest.close()
        super().close()


class _Readable:
    """A socket that is read through a reader."""

    def __init__(self, sock: socket.socket, reader: _Reader) -> None:
        self._sock = sock
        self._reader = reader

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(self._reader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class TlsConnection(Connection, urllib3.connection.HTTPSConnection):
    """The same over TLS."""

    @contextmanager
    def verifying(self, host: str) -> Iterator[None]:
        before = self.server_hostname
        if self.proxy is None:  # else it is the proxy that is connected to
            self.server_hostname = before or host
        try:
            yield
        finally:
            self.server_hostname = before

    @property
    def is_connected(self) -> bool:
        # What TLS holds already is not seen by looking at the socket: it would be taken for the
        # next answer.
        pending = self.sock.pending() if isinstance(self.sock, ssl.SSLSocket) else 0
        return not pending and super().is_connected


def _unusable(answer: urllib3.HTTPResponse, reader: _Reader, exchange: Exchange) -> OSError | None:
    """Why the head of an answer cannot be believed, if it cannot."""
    if exchange.is_aborted:
        return ConnectionAbortedError(errno.ECONNABORTED, "aborted")
    why = ""
    if reader.has_ended:  # http.client takes a head that was cut off for a whole one
        why = "the answer ended too early"
    elif not answer.headers.get("content-length", "0").isdigit():
        why = "the answer is of no length"
    elif answer.status < 200:
        why = "an interim answer that nobody asked for"
    elif answer.status < 300 and not exchange.is_sent:
        # Whatever it says was done, it was not done with the whole body.
        why = "the request was not read to its end"
    return ConnectionResetError(errno.ECONNRESET, why) if why else None


def _view(data: Any) -> memoryview:
    return data.read() if isinstance(data, StoredBlock) else memoryview(data)
