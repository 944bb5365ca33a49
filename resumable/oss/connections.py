"""Sockets: the only module that opens them, as connections kept open between requests.

There are no redirects, cookies, proxies or passwords of ~/.netrc here: where a request goes is the
caller's.
"""

import errno
import selectors
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from resumable.oss.endpoint import DEFAULT_PORTS
from resumable.oss.incoming import IncomingAnswer, Stream
from resumable.oss.messages import WireRequest
from resumable.oss.outgoing import is_ready, send_request, without_zone

# The head of an answer, and a body that is read as a whole, may each take this many timeouts,
# however they trickle in.
PATIENCE = 5
_LONGEST_WAIT = 86_400.0  # seconds: what the system is asked to wait must not be too much for it
_POOL_SIZE = 256  # as many as a transfer may have threads

_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
if hasattr(socket, "TCP_NOTSENT_LOWAT"):
    # What the kernel holds but has not sent is little: otherwise, on a slow line, the wait for an
    # answer would begin while megabytes of the body are still to be sent.
    _SOCKET_OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 256 * 1024))

# How it shows that the other end is gone, or does not read on.
LOST = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
# Why TLS cannot be agreed on, however often it is tried; what else goes wrong may be damage.
_DISAGREEMENTS = frozenset(
    {
        "HTTP_REQUEST",
        "RECORD_LAYER_FAILURE",  # how newer versions of OpenSSL call what is no TLS at all
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV13_ALERT_MISSING_EXTENSION",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_INAPPROPRIATE_FALLBACK",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_UNRECOGNIZED_NAME",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)


class HandshakeError(Exception):
    """TLS could not be agreed on; the cause tells why."""


class Exchange:
    """A request under way, as another thread can break it off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._broken = False

    def attach(self, sock: socket.socket) -> None:
        """Take note of the socket, also while it is being connected."""
        with self._lock:
            self._socket = sock
            broken = self._broken
        if broken:  # perhaps before, while it was connected: not every system lets that be stopped
            raise ConnectionAbortedError(errno.ECONNABORTED, "broken off")

    def detach(self) -> None:
        """Let go of the socket: from now on it may be another request's."""
        with self._lock:
            self._socket = None

    @contextmanager
    def holding(self, sock: socket.socket) -> Iterator[None]:
        """Take note of the socket, and close it if the context does not end well."""
        try:
            self.attach(sock)
            yield
        except BaseException:
            self.detach()  # its descriptor may be another one's from now on
            sock.close()
            raise

    @property
    def is_broken(self) -> bool:
        """Whether it was broken off."""
        return self._broken

    def break_off(self) -> None:
        """Let whatever the request waits for fail."""
        with self._lock:
            self._broken = True
            sock = self._socket
            if sock is None:
                return
            try:
                # Not the method of the TLS socket, which would tear its state down under the
                # thread that is using it.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:  # it is gone already, which is what was wanted
                return


class Connection:
    """A connection that carries one request after another.

    Args:
        origin: Where it leads.
        sock: The socket, connected.
        timeout: Seconds for a byte to move.
    """

    def __init__(self, origin: str, sock: socket.socket, timeout: float) -> None:
        self.origin = origin
        self.sock = sock
        self._timeout = timeout
        self._stream = Stream(sock)
        self._is_in_step = True
        self._received_before = 0
        self._answer: IncomingAnswer | None = None

    @property
    def was_used(self) -> bool:
        """Whether it has carried a request before, and may have been cut off while it waited."""
        return self._answer is not None

    @property
    def is_unanswered(self) -> bool:
        """Whether not a byte has come since the last request was begun."""
        return self._stream.received == self._received_before

    @property
    def can_go_on(self) -> bool:
        """Whether another request may follow: the last one was taken, and answered, as a whole."""
        answer = self._answer
        return self._is_in_step and (answer is None or (answer.is_over and not answer.closes))

    @property
    def is_silent(self) -> bool:
        """Whether it is open, and the server has said nothing that was not asked for."""
        return (
            self._stream.is_empty
            and not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending())
            and not is_ready(self.sock, selectors.EVENT_READ, 0)
        )

    def send(self, request: WireRequest) -> None:
        """Send a whole request, unless the server does not read on: it may have answered then.

        Raises:
            BodyFailedError: the body could not be read, or has another size than was told.
            OSError: the connection failed.
        """
        self._is_in_step = False
        self._received_before = self._stream.received
        try:
            send_request(self.sock, request, self._timeout)
            self._is_in_step = True
        except TimeoutError:
            if not self._has_answered():
                raise
        except LOST:
            return  # it may have said why
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:  # macOS, while the connection is taken down
                raise

    def receive(self, request: WireRequest) -> IncomingAnswer:
        """Read the head of the answer; its body must be read before the next request.

        Raises:
            OSError: the connection failed.
            BrokenAnswerError: what came is no head.
        """
        answer = IncomingAnswer(self._stream, request.method, PATIENCE * self._timeout)
        if answer.status < 300 and not self._is_in_step:
            # Whatever it says was done, it was not done with the whole body.
            raise ConnectionResetError(errno.ECONNRESET, "the request was not read to its end")
        if request.body is not None and request.body.size and answer.status >= 300:
            # Whoever refuses a body may not have read it, and take it for the next request.
            self._is_in_step = False
        self._answer = answer
        return answer

    def close(self) -> None:
        """Close it."""
        self.sock.close()

    def _has_answered(self) -> bool:
        """Whether an answer, or the end, has come before it was waited for."""
        if not isinstance(self.sock, ssl.SSLSocket):
            return not self.is_silent
        # What can be read may be TLS's own. To look may tear a record in two, so nothing else may
        # follow on this connection.
        self.sock.settimeout(0)
        try:
            self._stream.receive()
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(self._timeout)
        return True


class Pool:
    """Connections that are kept open between requests.

    Args:
        timeouts: Seconds to wait for a connection, and for a byte to move.
        context: For TLS connections; it knows whom to trust.
    """

    def __init__(self, timeouts: tuple[float, float], context: ssl.SSLContext) -> None:
        self._connect_timeout, self._timeout = (min(each, _LONGEST_WAIT) for each in timeouts)
        self._context = context
        self._idle: list[Connection] = []
        weakref.finalize(self, _close_all, self._idle)

    def take(self, origin: str, exchange: Exchange) -> Connection:
        """Give a connection that nothing else uses: an idle one, or a new one.

        Raises:
            OSError: there is none to be had.
            HandshakeError: TLS could not be agreed on.
        """
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread has it
                break
            if connection.origin == origin and connection.is_silent:
                with exchange.holding(connection.sock):
                    return connection
            connection.close()
        return self.connect(origin, exchange)

    def connect(self, origin: str, exchange: Exchange) -> Connection:
        """Make a connection, whatever is idle; raises as `take` does."""
        sock = self._connected(origin, exchange)
        sock.settimeout(self._timeout)
        return Connection(origin, sock, self._timeout)

    def keep(self, connection: Connection) -> None:
        """Take a connection back, and close it if no other request can follow."""
        if len(self._idle) < _POOL_SIZE and connection.can_go_on:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close the connections that are idle."""
        _close_all(self._idle)

    def _connected(self, origin: str, exchange: Exchange) -> socket.socket:
        url = urlsplit(origin)
        host, port = url.hostname or "", DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        sock = _dial(host, port, self._connect_timeout, exchange)
        if url.scheme == "http":
            return sock
        try:
            with exchange.holding(sock):
                secured = self._context.wrap_socket(
                    sock,
                    server_hostname=without_zone(host),
                    do_handshake_on_connect=False,
                    suppress_ragged_eofs=False,
                )
            with exchange.holding(secured):
                secured.do_handshake()
        except ssl.SSLError as error:
            if _is_final(error):
                raise HandshakeError from error
            raise
        return secured


def _dial(host: str, port: int, timeout: float, exchange: Exchange) -> socket.socket:
    """Connect to the first address of a host that can be reached."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, "it cannot be a host") from error
    failed: OSError | None = None
    for family, kind, protocol, _, address in found:
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # the system may know no addresses of this kind
            failed = failed or error
            continue
        try:
            with exchange.holding(sock):
                _set_options(sock)
                sock.settimeout(timeout)
                sock.connect(address)
                return sock
        except OSError as error:
            failed = failed or error
    raise failed or OSError(errno.EADDRNOTAVAIL, "the host has no address")


def _is_final(error: ssl.SSLError) -> bool:
    # What OpenSSL tells may be too new to have a name in this Python; its words are in the text.
    reason = getattr(error, "reason", None) or str(error).upper().replace(" ", "_")
    told = any(each in reason for each in _DISAGREEMENTS)
    return told or isinstance(error, ssl.SSLCertVerificationError)


def _set_options(sock: socket.socket) -> None:
    for option in _SOCKET_OPTIONS:
        with suppress(OSError):  # not every kernel has each of them
            sock.setsockopt(*option)


def _close_all(connections: list[Connection]) -> None:
    while connections:
        try:
            connections.pop().close()
        except IndexError:  # another thread has it
            break
