"""The server: a listening socket, a thread for each connection, and a store to serve."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from types import FrameType, TracebackType

from resumable.server.access import AccessKey, normalise_access_keys
from resumable.server.callback_sender import CallbackSender
from resumable.server.faults import Faults
from resumable.server.log import ExchangeLog
from resumable.server.routes import is_bucket_name
from resumable.server.service import Service
from resumable.server.store import Store
from resumable.server.wire import Connection

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
    ) -> None:
        if wrong := [name for name in buckets or () if not is_bucket_name(name)]:
            raise ValueError(f"no bucket can be called {wrong[0]!r}")
        self.faults = Faults() if faults is None else faults
        self.log = ExchangeLog(log_limit, access_log)
        self.read_timeout = read_timeout
        self._root = Path(root)
        self._host = host
        self._port = port
        self._access_keys = normalise_access_keys(access_keys)
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
            OSError: when the address cannot be listened on.
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
            service = Service(store, self._access_keys, self.faults, self.log, self._callbacks)
            self._running = _Running(listener, store, service, self.read_timeout)
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


class _Running:
    """What exists only between start and stop."""

    def __init__(
        self, listener: socket.socket, store: Store, service: Service, read_timeout: float
    ) -> None:
        self._listener = listener
        self._store = store
        self._service = service
        self._read_timeout = read_timeout
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
        try:
            connection = Connection(client, self._read_timeout)
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
        thread.start()

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
    """
    if not allow_remote and not _is_loopback(server.host):
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
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
