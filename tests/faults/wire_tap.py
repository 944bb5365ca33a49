"""A listener on the line: passes all bytes on, and keeps those that the client sends."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class Tap:
    """Listens between a client and a server.

    Attributes:
        heard: What the client sent on each connection.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.heard: list[bytearray] = []
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for end in (self._listener, *self._ends):
            end.close()

    @property
    def endpoint(self) -> str:
        """The URL to give to a client."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _start(self, run: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=run, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [client, server]
                self.heard.append(bytearray())
                self._start(_pass_on, client, server, self.heard[-1])
                self._start(_pass_on, server, client, bytearray())


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            kept += data
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
