"""Proxies of the tests: HTTP (CONNECT and absolute form), SOCKS5, and one that only adds TLS.

They carry bytes and note what they were asked for. Names are resolved by the proxy, to this
machine: no test has to know a name that exists.
"""

import base64
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HERE = "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """What a proxy was asked for.

    Attributes:
        method: `CONNECT`, another method in absolute form, or `SOCKS`.
        target: What to connect to, or the URL, as it was written.
        headers: The headers that came along; the names in lower case.
    """

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)


class Proxy:
    """Listens on this machine and serves each connection in a thread of its own.

    Attributes:
        port: Where it listens.
        asked: What it was asked for, in order.
        authorizations: What came as `Proxy-Authorization`, or as a SOCKS login.
    """

    scheme = "http"

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.authorizations: list[str] = []
        self._tls = tls
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((HERE, port), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self, login: str = "") -> str:
        """Its URL, with `user:password` if that is given."""
        host = "localhost" if self._tls else HERE
        return (
            f"{self.scheme}{'s' if self._tls else ''}://{login and login + '@'}{host}:{self.port}"
        )

    def close(self) -> None:
        """Stop listening and end every connection at once, as a kill does."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(5)
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
        for thread in self._threads[1:]:
            thread.join(5)

    def serve(self, client: socket.socket) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def connect(self, port: int) -> socket.socket:
        """Connect to a place by its port alone: every name is this machine."""
        made = socket.create_connection((HERE, port), timeout=20)
        made.settimeout(None)
        self._keep(made)
        return made

    def _keep(self, made: socket.socket) -> socket.socket:
        # A second handle: the first belongs to TLS, or to the thread that uses it.
        with self._lock:
            self._open.append(made.dup())
            return self._open[-1]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            run = threading.Thread(target=self._run, args=(client, self._keep(client)), daemon=True)
            self._threads.append(run)
            run.start()

    def _run(self, client: socket.socket, handle: socket.socket) -> None:
        with contextlib.ExitStack() as ended, contextlib.suppress(OSError):
            ended.callback(client.close)
            ended.callback(_end, handle)
            with contextlib.suppress(OSError, EOFError):
                if self._tls is not None:
                    client = self._tls.wrap_socket(client, server_side=True)
                    ended.callback(client.close)
                self.serve(client)


class HttpProxy(Proxy):
    """A proxy that speaks HTTP.

    Args:
        login: `user:password` that it wants; without one it answers 407.
        answer: Makes an answer of its own to a request, or None to carry it.
    """

    def __init__(
        self,
        *,
        login: str | None = None,
        answer: Callable[[Asked], bytes | None] = lambda _: None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._login = login
        self._answer = answer
        super().__init__(port=port, tls=tls)

    def serve(self, client: socket.socket) -> None:
        """Carry out CONNECT, or requests in absolute form."""
        while (head := _head(client)) is not None:
            asked, lines = head
            if (given := asked.headers.get("proxy-authorization")) is not None:
                self.authorizations.append(given)
            self.asked.append(asked)
            own = self._answer(asked)
            if own is None and self._login is not None and given != basic(self._login):
                own = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
            if own is not None:
                client.sendall(own)
                return
            if asked.method == "CONNECT":
                port = asked.target.rpartition(":")[2]
                with self.connect(int(port)) as server:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    carry(client, server)
                return
            self._forward(client, asked, lines)
            return  # one request a connection: the server's `Connection: close` says so

    def _forward(self, client: socket.socket, asked: Asked, lines: list[bytes]) -> None:
        url = urlsplit(asked.target)
        target = asked.target.partition("://")[2]
        path = target[len(url.netloc) :] or "/"
        kept = [line for line in lines if not line.lower().startswith((b"proxy-", b"connection:"))]
        head = [f"{asked.method} {path} HTTP/1.1".encode(), *kept, b"Connection: close", b"", b""]
        with self.connect(url.port or 80) as server:
            server.sendall(b"\r\n".join(head))
            carry(client, server)


class SocksProxy(Proxy):
    """A SOCKS5 server: CONNECT only, to names and addresses."""

    scheme = "socks5h"

    def __init__(self, *, login: str | None = None) -> None:
        self._login = login
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        """Greet, check the login, connect and carry."""
        (count,) = _read(client, 2)[1:]
        offered = _read(client, count)
        wanted = 2 if self._login is not None else 0
        if wanted not in offered:
            client.sendall(b"\x05\xff")
            return
        client.sendall(bytes([5, wanted]))
        if wanted == 2:
            user = _read(client, _read(client, 2)[1]).decode()
            password = _read(client, _read(client, 1)[0]).decode()
            self.authorizations.append(f"{user}:{password}")
            is_right = f"{user}:{password}" == self._login
            client.sendall(b"\x01\x00" if is_right else b"\x01\x01")
            if not is_right:
                return
        kind = _read(client, 4)[3]
        if kind == 3:
            host = _read(client, _read(client, 1)[0]).decode()
        else:
            host = socket.inet_ntop(
                socket.AF_INET if kind == 1 else socket.AF_INET6,
                _read(client, 4 if kind == 1 else 16),
            )
        (port,) = struct.unpack("!H", _read(client, 2))
        self.asked.append(Asked("SOCKS", f"{host}:{port}"))
        try:
            server = self.connect(port)
        except OSError:
            client.sendall(b"\x05\x05\x00\x01" + bytes(6))
            return
        with server:
            client.sendall(b"\x05\x00\x00\x01" + bytes(6))
            carry(client, server)


class TlsFront(Proxy):
    """TLS in front of a server on this machine that speaks none."""

    scheme = "http"

    def __init__(self, tls: ssl.SSLContext, server_port: int) -> None:
        self._server_port = server_port
        super().__init__(tls=tls)

    @property
    def endpoint(self) -> str:
        """The URL to give to a client."""
        return f"https://localhost:{self.port}"

    def serve(self, client: socket.socket) -> None:
        """Carry the bytes."""
        with self.connect(self._server_port) as server:
            carry(client, server)


def basic(login: str) -> str:
    """The header of a login."""
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both ends are done or one is gone."""
    back = threading.Thread(target=_carry_one_way, args=(other, one), daemon=True)
    back.start()
    _carry_one_way(one, other)
    back.join()


def _end(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


def _carry_one_way(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _head(client: socket.socket) -> tuple[Asked, list[bytes]] | None:
    """The head of a request, byte by byte so that nothing behind it is taken; and its lines."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        if not byte:
            return None
        data += byte
    first, *lines = data[:-4].split(b"\r\n")
    method, target, _ = first.decode().split(" ")
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return Asked(method, target, {name.lower(): value.strip() for name, _, value in pairs}), lines


def _read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
