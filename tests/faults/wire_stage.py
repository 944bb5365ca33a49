"""Where the cells are played: a server, another host that must not be met, and all that is said."""

import logging
import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Self, TypeVar

from resumable import Bucket, Credentials
from resumable.server import (
    DEFAULT_ACCESS_KEY_ID,
    DEFAULT_ACCESS_KEY_SECRET,
    AccessKey,
    Exchange,
    LocalServer,
)
from tests.support import QUICK, local_bucket

KEY_ID, SECRET, TOKEN = "canary", "CanarySecretDoNotShow", "CanaryTokenDoNotShow"
_SIGNATURE = re.compile(rf"OSS4?(-HMAC-SHA256)? (Credential=)?{KEY_ID}")

# Stalled cells wait for it, and no others: on a busy machine a second can pass without a fault.
_SHORT, _LONG = 0.3, 20.0
_GIVING_UP = 10.0

_T = TypeVar("_T")


class StuckError(AssertionError):
    """What should have ended long ago still runs."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[_T]):
    """What came of a call."""

    value: _T | None
    error: Exception | None
    seconds: float

    @property
    def how(self) -> str:
        """`done`, or the name of the error."""
        return "done" if self.error is None else type(self.error).__name__


def ended_within(seconds: float, call: Callable[[], _T], give_up: Callable[[], None]) -> Ended[_T]:
    """Make a call and wait until it ends, but no longer than this.

    One that does not end is given up: it would meet the faults of those that come after it.

    Raises:
        StuckError: it does not end.
    """
    ended: list[Ended[_T]] = []
    began = time.monotonic()

    def run() -> None:
        value: _T | None = None
        error: Exception | None = None
        try:
            value = call()
        except Exception as raised:  # noqa: BLE001 - any error is an outcome to be judged
            error = raised
        ended.append(Ended(value, error, time.monotonic() - began))

    thread = threading.Thread(target=run, name="cell", daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        give_up()
        thread.join(_GIVING_UP)
        raise StuckError(f"still running after {seconds} s")
    return ended[0]


@dataclass(slots=True)
class Said:
    """All that a user of the library could come to read."""

    texts: list[str] = field(default_factory=list)

    def error(self, error: Exception) -> None:
        """Take in an error with its traceback."""
        told = "".join(traceback.format_exception(error))
        self.texts += [repr(error), str(error), repr(vars(error)), told]

    @property
    def whole(self) -> str:
        """Everything."""
        return "\n".join(self.texts)

    def secrets(self) -> list[str]:
        """What of it must not be there."""
        whole = self.whole
        found = [secret for secret in (SECRET, TOKEN) if secret in whole]
        return found + [match.group() for match in _SIGNATURE.finditer(whole)]


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said = Said()
        self.on_refusal: Callable[[], None] = lambda: None

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.said.texts += [text, repr(vars(record))]
        if "Connection refused" in text:
            self.on_refusal()


class Stage:
    """A server with canary keys, and beside it a host to which no request may go.

    Attributes:
        heard: What was logged since `forget`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        keys = {
            KEY_ID: AccessKey(SECRET, security_token=TOKEN),
            DEFAULT_ACCESS_KEY_ID: AccessKey(DEFAULT_ACCESS_KEY_SECRET),
        }
        self.server = LocalServer(folder / "server-root", access_keys=keys)
        self._listener = _Listener()
        self._level = logging.WARNING

    def __enter__(self) -> Self:
        self._other = socket.create_server(("127.0.0.1", 0))
        self._other.setblocking(False)
        self.server.start()
        self.witness = local_bucket(self.server.endpoint)
        self.witness.put_object("first", b"")  # now there is a bucket, and a list of its uploads
        root = logging.getLogger()
        self._level = root.level
        root.addHandler(self._listener)
        root.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self._listener)
        root.setLevel(self._level)
        self.witness.close()
        self.server.stop()
        self._other.close()

    @property
    def other_host(self) -> str:
        """A URL that an answer may name and nobody may follow."""
        return f"http://127.0.0.1:{self._other.getsockname()[1]}/other"

    @property
    def said(self) -> Said:
        """What was logged since `forget`."""
        return self._listener.said

    def forget(self) -> None:
        """Begin anew: no faults, nothing logged, nothing said."""
        self.server.faults.clear()
        self.server.log.clear()
        self._listener.said = Said()

    def bucket(self, *, impatient: bool = False) -> Bucket:
        """A bucket as a user's process has it, which has seen nothing yet."""
        return Bucket(
            "examplebucket",
            endpoint=self.server.endpoint,
            region="cn-hangzhou",
            credentials=Credentials(KEY_ID, SECRET, TOKEN),
            retry=QUICK,
            timeout=_SHORT if impatient else _LONG,
        )

    def strangers_met(self) -> int:
        """How many connections were made to the other host since the last time."""
        met = 0
        with suppress(BlockingIOError):
            while True:
                self._other.accept()[0].close()
                met += 1
        return met

    def exchanges(self, key: str) -> list[Exchange]:
        """The requests that were about a key."""
        return [exchange for exchange in self.server.log if exchange.key == key]

    def open_uploads(self, key: str) -> dict[str, int]:
        """The uploads of a key that are open, and how many parts each has."""
        found = self.witness.iter_multipart_uploads(prefix=key)
        ids = [upload.upload_id for upload in found]
        return {each: sum(1 for _ in self.witness.iter_parts(key, each)) for each in ids}

    @contextmanager
    def refusing(self, gate: str, *, times: int | None) -> Iterator[None]:
        """Once a request reaches the gate, be a machine on which no server listens.

        It listens again when somebody has been refused, or else at the end of the context.
        """
        over = threading.Event()
        back = threading.Lock()
        stopped: list[bool] = []

        def go() -> None:
            with suppress(TimeoutError):
                self.server.faults.wait_reached(gate, 5.0)
                with back:
                    if not over.is_set():
                        self.server.stop()
                        stopped.append(True)

        def come_back() -> None:
            with back:
                if stopped.pop() if stopped else False:
                    self.server.faults.clear()
                    self.server.start()

        if times is not None:
            self._listener.on_refusal = come_back
        thread = threading.Thread(target=go, name="stopper", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._listener.on_refusal = lambda: None
            with back:
                over.set()
            thread.join(10)
            come_back()
