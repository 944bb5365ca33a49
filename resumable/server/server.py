"""The server: a listening socket, a thread for each connection, and a store to serve."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from resumable.server.access import (
    DEFAULT_REGION,
    Access,
    AccessKey,
    normalise_access_keys,
)
from resumable.server.callback_sender import CallbackSender
from resumable.server.faults import Faults
from resumable.server.log import ExchangeLog
from resumable.server.routes import is_bucket_name
from resumable.server.service import Service
from resumable.server.store import Store
from resumable.server.wire import Connection, turn_away

_JOIN_SECONDS = 5.0


class LocalServer:
    """An OSS-compatible server over a folder, for trying and testing.

    Attributes:
        log: the newest exchanges, oldest first.
        faults: the rules of what goes wrong; they may be changed at any time.
        read_timeout: seconds a client may take to send a head, or to go on with a body.

    Everything that was acknowledged is still there when the process is killed and another
    server is started on the same folder; a power cut may lose it.
    """

    def __init__(  # noqa: PLR0913 - the public face: each is one choice of its own
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        access_keys: Mapping[str, str | AccessKey] | None = None,
        buckets: Collection[str] | None = None,
        faults: Faults | None = None,
        access_log: Path | None = None,
        log_limit: int = 100_000,
        read_timeout: float = 60.0,
        callback_timeout: float = 5.0,
        remote_callbacks: bool = False,
        region: str = DEFAULT_REGION,
        domains: Collection[str] = (),
        max_connections: int = 1000,
    ) -> None:
        if wrong := [name for name in buckets or () if not is_bucket_name(name)]:
            raise ValueError(f"no bucket can be called {wrong[0]!r}")
        if not 0 <= port <= 65535:
            raise ValueError(f"no port can be {port}: 0 to 65535")
        if max_connections < 1:
            raise ValueError(f"max_connections must be 1 or more, not {max_connections}")
        self.faults = Faults() if faults is None else faults
        # The working folder may change while the server runs.
        file = None if access_log is None else Path(access_log).absolute()
        self.log = ExchangeLog(log_limit, file)
        self.read_timeout = read_timeout
        self._root = Path(root).absolute()
        self._host = host
        self._port = port
        names = tuple(name.lower().strip(".") for name in domains)
        self._access = Access(normalise_access_keys(access_keys), region, names)
        self._max_connections = max_connections
        self._buckets = None if buckets is None else frozenset(buckets)
        self._callbacks = CallbackSender(callback_timeout, allow_remote=remote_callbacks)
        self._lock = threading.Lock()
        self._running: _Running | None = None

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._host

    @property
    def port(self) -> int:
        """The port it listens on; the one that was chosen once it has started."""
        return self._port

    @property
    def endpoint(self) -> str:
        """The URL to give to a client."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        """Open the store and start to listen; a restart keeps the port.

        Raises:
            RootInUseError: when another server holds the root folder.
            OSError: when the root or the access log cannot be written, or the address cannot be
                listened on.
            ValueError: when the root holds something else, or the host has no address.
        """
        with self._lock:
            if self._running is not None:
                raise RuntimeError("the server is already running")
            with contextlib.ExitStack() as undo:
                store = Store(self._root, self._buckets)
                undo.callback(store.close)
                self.log.open()
                undo.callback(self.log.close)
                listener = _listen(self._host, self._port)
                undo.pop_all()
            self._port = listener.getsockname()[1]
            self.faults.start()
            self._callbacks.open()
            service = Service(store, self._access, self.faults, self.log, self._callbacks)
            limits = _Limits(self._max_connections, self.read_timeout)
            self._running = _Running(listener, store, service, limits)
            self._running.start()

    def stop(self) -> None:
        """Stop listening, end every connection and let go of the root folder."""
        with self._lock:
            running, self._running = self._running, None
            if running is not None:
                self.faults.stop()
                self._callbacks.close()
                running.stop()
                self.log.close()

    def __enter__(self) -> LocalServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class _Limits:
    connections: int
    read_timeout: float


class _Running:
    """What exists only between start and stop."""

    def __init__(
        self, listener: socket.socket, store: Store, service: Service, limits: _Limits
    ) -> None:
        self._listener = listener
        self._store = store
        self._service = service
        self._limits = limits
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._connections: dict[threading.Thread, Connection] = {}
        self._acceptor = threading.Thread(target=self._accept, name="oss-accept", daemon=True)

    def start(self) -> None:
        self._acceptor.start()

    def stop(self) -> None:
        with self._lock:
            self._stopping.set()
        # Closing alone would not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(_JOIN_SECONDS)
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            connection.interrupt()
        for thread in connections:
            thread.join(_JOIN_SECONDS)
        self._store.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                # A client that left early, or no free descriptor: the others go on.
                if self._stopping.wait(0.01):
                    return
                continue
            self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        with self._lock:
            is_full = len(self._connections) >= self._limits.connections
        if is_full:
            turn_away(client)
            return
        try:
            connection = Connection(client, self._limits.read_timeout)
        except OSError:
            client.close()
            return
        thread = threading.Thread(
            target=self._serve, args=(connection,), name="oss-connection", daemon=True
        )
        with self._lock:
            if self._stopping.is_set():
                connection.close()
                return
            self._connections[thread] = connection
        try:
            thread.start()
        except RuntimeError:  # no more threads can be had; the next client may find one
            with self._lock:
                del self._connections[thread]
            turn_away(client)

    def _serve(self, connection: Connection) -> None:
        try:
            self._service.serve(connection)
        finally:
            with self._lock:
                self._connections.pop(threading.current_thread(), None)


def serve(server: LocalServer, *, allow_remote: bool = False) -> None:
    """Run a server until SIGINT or SIGTERM; call it from the main thread.

    The first line on standard output is `listening on http://HOST:PORT`. A signal that the process
    was started with as ignored, as SIGINT in a script's background job, stays ignored.

    Args:
        server: the server, not yet started.
        allow_remote: listen on an address that other machines can reach, too.

    Raises:
        ValueError: when the address is not a loopback one and `allow_remote` is not given.
        RootInUseError, OSError: as for `LocalServer.start`.
    """
    addresses = [address for _, address in _resolve(server.host, server.port)]
    if not allow_remote and not all(_is_loopback(address[0]) for address in addresses):
        raise ValueError(
            f"{server.host} can be reached from other machines, and the keys of a local server "
            "are no secret: listen on 127.0.0.1, or allow remote clients explicitly"
        )
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    heard = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, stop) for number in heard}
    try:
        with server:
            sys.stdout.write(f"listening on {server.endpoint}\n")
            sys.stdout.flush()
            stopped.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    # An IPv4 address of a name comes first: clients of tests are given it most often.
    family, address = min(_resolve(host, port), key=lambda found: found[0] != socket.AF_INET)
    return socket.create_server(address, family=family, backlog=1024)


def _resolve(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    """The families and addresses of a host.

    Raises:
        ValueError: when it has none.
    """
    if not host:
        raise ValueError("the host to listen on must not be empty")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as problem:
        raise ValueError(f"the host {host!r} has no address: {problem}") from problem
    return [(family, (str(address[0]), int(address[1]))) for family, _, _, _, address in found]


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
