"""What the stories of the state machine share, and the values in which they are told."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from resumable import RetryPolicy
from resumable.server import LocalServer
from tests.faults.several import WarmParent
from tests.support import PART, local_bucket

# Far beyond any call here, the waits between its retries included: who takes longer is stuck.
LONGEST_CALL = 30.0
_HASTY = RetryPolicy(attempts=3, base=0.002, longest_wait=0.005, longest_retry_after=0.01)
_SHORT_TIMEOUT = 0.5
# Longer than any stall: a request that was given up has been acted on by then, or never is.
_LONGEST_SETTLING = 3.0


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
        short_timeout: The server is stalled, and is not to be waited for long.
        rules: Faults of the server while the call runs.
        contents: What the object may be, besides the file as it is in the end.
    """

    errors: frozenset[str] = frozenset()
    any_error: bool = False
    lost_begins: int = 0
    short_timeout: bool = False
    rules: tuple[Mapping[str, object], ...] = ()
    contents: tuple[bytes, ...] = ()


CALM = Trouble()
IDLE = "idle"


@dataclass(slots=True)
class Tally:
    """What has been done so far."""

    steps: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    stories: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """The steps that found something to act on."""
        return self.steps.total() - self.steps[IDLE]


class Stage:
    """What the stories share: a server, buckets on it, and a parent of processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tally = Tally()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            server = LocalServer(self.folder / "server", log_limit=1_000)
            self.server = stack.enter_context(server)
            endpoint = self.server.endpoint
            self.bucket = stack.enter_context(local_bucket(endpoint, retry=_HASTY))
            self.hurried = stack.enter_context(
                local_bucket(endpoint, retry=_HASTY, timeout=_SHORT_TIMEOUT)
            )
            self.parent = stack.enter_context(WarmParent())
            self._undo = stack.pop_all()
        self.bucket.put_object(
            "there", b""
        )  # the local server makes a bucket with its first object
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
        deadline = time.monotonic() + _LONGEST_SETTLING
        while (later := self.connections() - before) and time.monotonic() < deadline:
            for thread in later:
                if thread.ident is not None:  # not in the moment in which it is being started
                    thread.join(max(0.0, deadline - time.monotonic()))
