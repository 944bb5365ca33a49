"""What the stories of the state machine share, and the values in which they are told."""

import os
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from resumable import RetryPolicy
from resumable.server import LocalServer
from tests.faults.several import WarmParent
from tests.faults.state_machine_shelf import Shelf
from tests.support import PART, local_bucket

# Far beyond any call here, the waits between its retries included: who takes longer is stuck.
LONGEST_CALL = 30.0
_HASTY = RetryPolicy(attempts=3, base=0.002, longest_wait=0.005, longest_retry_after=0.01)
SHORT_TIMEOUT = 0.2
# Longer than any stall: a request that was given up has been acted on by then, or never is.
_LONGEST_SETTLING = 3.0
_MEMORY = "/dev/shm"


class Violation(AssertionError):  # noqa: N818 - it is what is counted
    """A promise was broken."""


@dataclass(frozen=True, slots=True)
class How:
    """The arguments of a call."""

    thread_num: int = 1
    part_size: int = PART
    enable_checkpoint: bool = True
    content_md5: bool = True
    sequential: bool = False
    upload_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes on beside a call, and so what may come of it.

    Attributes:
        errors: Errors that it may end with, besides those that its situation explains.
        any_error: It may end with any error of the package.
        lost_begins: So many uploads may have been begun without anybody knowing their ids.
        lies: The server says that uploads are gone which are not, whatever it is asked. Whoever
            believes it has to name them.
        short_timeout: The server is stalled, and is not to be waited for long.
        rules: Faults of the server while the call runs.
        contents: What the object may be, besides the file as it is in the end.
    """

    errors: frozenset[str] = frozenset()
    any_error: bool = False
    lost_begins: int = 0
    lies: bool = False
    short_timeout: bool = False
    rules: tuple[Mapping[str, object], ...] = ()
    contents: tuple[bytes, ...] = ()


CALM = Trouble()
# What a faulty server tells for an ETag, be it on the record then.
WRONG_ETAG = "0123456789ABCDEF0123456789ABCDEF"
IDLE = "idle"


def refusing(operation: str, skip: int = 0) -> Trouble:
    """The server refuses such requests for good, after the first `skip` of them."""
    effect = {"status": 403, "code": "AccessDenied"}
    rule = {"operation": operation, "effect": effect, "skip": skip, "times": None}
    return Trouble(any_error=True, rules=(rule,))


@dataclass(slots=True)
class Tally:
    """What has been done so far.

    Attributes:
        steps: How often each kind of step was taken.
        seconds: How long the steps of each kind took together, the looks after them included.
        calls: How the calls ended.
        broken: Each broken promise, with the steps that led to it.
    """

    steps: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    stories: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """The steps that found something to act on."""
        return self.steps.total() - self.steps[IDLE]

    def took(self, step: str, seconds: float) -> None:
        """A step is over."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds

    def add(self, other: "Tally") -> None:
        """Count what somebody else has done as well."""
        self.steps += other.steps
        self.calls += other.calls
        self.stories += other.stories
        self.broken += other.broken
        for step, seconds in other.seconds.items():
            self.took(step, seconds)


@contextmanager
def folder_in_memory() -> Iterator[str]:
    """A folder where syncing costs nothing, if there is one and nobody asks for another."""
    place = os.environ.get("TMPDIR") or (_MEMORY if os.access(_MEMORY, os.W_OK) else None)
    with tempfile.TemporaryDirectory(prefix="state-machine-", dir=place) as folder:
        yield folder


class Stage:
    """What the stories share: a server, buckets on it, and a parent of processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tally = Tally()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            server = LocalServer(self.folder / "server", log_limit=1_000)
            self.server = stack.enter_context(server)
            self.shelf = Shelf(server)
            endpoint = self.server.endpoint
            self.bucket = stack.enter_context(local_bucket(endpoint, retry=_HASTY))
            self.hurried = stack.enter_context(
                local_bucket(endpoint, retry=_HASTY, timeout=SHORT_TIMEOUT)
            )
            self.parent = stack.enter_context(WarmParent())
            self._undo = stack.pop_all()
        # The local server makes a bucket with its first object.
        self.bucket.put_object("there", b"")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def connections(self) -> set[threading.Thread]:
        """The threads in which the server serves a connection each."""
        return {thread for thread in threading.enumerate() if thread.name == "oss-connection"}

    def settle(self, before: set[threading.Thread]) -> None:
        """Wait until the server has done with all later connections, those of the dead too."""
        self.hurried.close()
        # It takes connections in their order: after this one it has a thread for each of theirs.
        with socket.create_connection((self.server.host, self.server.port)) as last:
            last.settimeout(_LONGEST_SETTLING)
            last.sendall(b"GET / HTTP/1.1\r\nhost: settling\r\nconnection: close\r\n\r\n")
            with suppress(OSError):
                while last.recv(4096):
                    continue
        deadline = time.monotonic() + _LONGEST_SETTLING
        while (later := self.connections() - before) and time.monotonic() < deadline:
            for thread in later:
                if thread.ident is not None:  # not in the moment in which it is being started
                    thread.join(max(0.0, deadline - time.monotonic()))
