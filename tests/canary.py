"""Watches over the secrets of the tests: what is logged, recorded and sent holds none.

Put into a process once; from then on every log record at DEBUG (with its traceback), every
checkpoint and every request is looked through, and every connection must go where the request was
meant to go.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from resumable.oss import connections, transport
from resumable.oss.cancellation import Cancellation
from resumable.oss.messages import SECURITY_TOKEN, WireRequest
from resumable.transfer import checkpoints, files
from tests.support import CREDENTIALS

SECRETS = (CREDENTIALS.access_key_secret, "CanarySecretDoNotShow", "CanaryTokenDoNotShow")
_LOGGERS = ("resumable", "filelock")
_TOLD = 97
PORTS = {"http": 80, "https": 443}

_under_way = threading.local()


def die(what: str) -> None:
    """End the process at once, so that whoever started it sees a crash."""
    os.write(2, f"{what}\n".encode())
    os._exit(_TOLD)


class _Listener(logging.Handler):
    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__(logging.DEBUG)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if _holds_secret(text):
            self._tell(f"a secret in the log: {text}")


def watch(tell: Callable[[str], object] = die) -> None:
    """Have `tell` called with each secret that is told, and each connection that goes astray."""
    listener = _Listener(tell)
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(listener)
        logging.getLogger(name).setLevel(logging.DEBUG)
    _watch_checkpoints(tell)
    _watch_requests(tell)


def _watch_checkpoints(tell: Callable[[str], object]) -> None:
    write = files.write_durably

    def write_durably(path: str, data: bytes) -> str:
        if _holds_secret(data.decode("ascii")):
            tell(f"a secret in {path}")
        return write(path, data)

    vars(checkpoints)["write_durably"] = write_durably


def _watch_requests(tell: Callable[[str], object]) -> None:
    begin, connect = transport.RequestsTransport.open, connections.Connection.connect

    @contextmanager
    def open_watched(
        self: transport.RequestsTransport, request: WireRequest, cancellation: Cancellation
    ) -> Iterator[transport.OpenAnswer]:
        if _tells_secret(request):
            tell(f"a secret in {request.method} {request.target}")
        _under_way.origin = urlsplit(request.origin)
        try:
            with begin(self, request, cancellation) as answer:
                yield answer
        finally:
            _under_way.origin = None

    def connect_watched(self: connections.Connection) -> None:
        origin = getattr(_under_way, "origin", None)  # none where a test makes a connection
        meant = origin and (origin.hostname, origin.port or PORTS[origin.scheme])
        if self.proxy is not None:
            meant = self.proxy.host, self.proxy.port
        if origin and (self.host, self.port) != meant:
            tell(f"a connection to {self.host}:{self.port} for a request to {origin.geturl()}")
        connect(self)

    transport.RequestsTransport.open = open_watched  # type: ignore[method-assign]
    connections.Connection.connect = connect_watched  # type: ignore[method-assign]


def _tells_secret(request: WireRequest) -> bool:
    told = {name: text for name, text in request.headers.items() if name != SECURITY_TOKEN}
    return _holds_secret(f"{request.origin}{request.target}{told}")


def _holds_secret(text: str) -> bool:
    return any(secret in text for secret in SECRETS)
