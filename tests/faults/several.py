"""Uploads in processes of their own, forked from a warm parent, all released at one instant.

The parent of them all has everything imported and a single thread, so that a fork takes
milliseconds and inherits no lock that somebody holds.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Literal, Self

from resumable import ResumableError
from resumable.oss import connections, transport
from resumable.transfer import checkpoints, files, source
from resumable.transfer.upload import upload_file
from tests import canary
from tests.faults.several_bugs import BUGS, takes_no_lock
from tests.faults.several_log import Heard, hear
from tests.support import PART, local_bucket

_PROJECT = Path(__file__).parents[2]
_KILLED = 9
_LONGEST_ORDER = 65536
# What a run writes to its disk, as `files` and `checkpoints` call it.
_DURABLE = ("open", "write", "fsync", "replace", "unlink", "ftruncate")

End = Literal["success", "error", "killed", "crash", "stuck"]


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to upload, and how.

    Attributes:
        locked: Whether the lock of the checkpoint holds anybody off.
        die_at: Die at this point: each effect on the disk and on the wire counts twice, before it
            happens and after. None to live.
        bug: Break the package in this way; empty to leave it as it is.
    """

    endpoint: str
    key: str
    filename: str
    thread_num: int = 1
    part_size: int = PART
    enable_checkpoint: bool = True
    content_md5: bool = True
    sequential: bool = False
    upload_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    timeout: float = 20.0
    locked: bool = True
    die_at: int | None = None
    bug: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Attributes:
        how: `crash` is an error that is not one of this package's.
        error: The name of the error's type.
        told: Its text, or the traceback of a crash.
        heard: The warnings of its log.
        seconds: How long it took once it was released.
    """

    how: End
    error: str = ""
    told: str = ""
    heard: tuple[str, ...] = ()
    seconds: float = 0.0


class Child:
    """A process that carries an order out once it is released."""

    def __init__(self, told: int, barrier: "Barrier") -> None:
        self._told = told
        self._barrier = barrier
        self._heard = b""
        self._pid = int(self._line())

    def kill(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def ended(self, bound: float) -> Ended:
        """Wait for its end; who takes longer than the bound is stuck, and is killed."""
        deadline = self._barrier.released + bound
        try:
            while self._more(max(0.0, deadline - time.monotonic())):
                continue
        except TimeoutError:
            self.kill()
            return Ended("stuck", told=f"no end within {bound} s", seconds=bound)
        finally:
            os.close(self._told)
        seconds = time.monotonic() - self._barrier.released
        if not self._heard.endswith(b"\n"):
            return Ended("killed", seconds=seconds)
        told = json.loads(self._heard)
        return Ended(told["how"], told["error"], told["told"], tuple(told["heard"]), seconds)

    def _line(self) -> bytes:
        while b"\n" not in self._heard:
            if not self._more(10.0):
                raise RuntimeError("the process died before its first word")
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def _more(self, timeout: float) -> bool:
        """Read on; False at the end of the process."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._told, selectors.EVENT_READ)
            if not selector.select(timeout):
                raise TimeoutError
        block = os.read(self._told, 65536)
        self._heard += block
        return bool(block)


class Barrier:
    """Holds processes until it is opened."""

    def __init__(self) -> None:
        self.waits, self._end = os.pipe()
        self.released = time.monotonic()

    def open(self) -> None:
        """Let all go on."""
        os.close(self.waits)
        os.close(self._end)
        self.released = time.monotonic()


class WarmParent:
    """A process that forks one for each order."""

    def __enter__(self) -> Self:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.several", str(theirs.fileno())],
            cwd=_PROJECT,
            env={**os.environ, "PYTHONPATH": str(_PROJECT)},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()
        self._process.wait(10.0)

    def begin(self, order: Order, barrier: Barrier) -> Child:
        """Have a process made, which waits at the barrier."""
        told, tells = os.pipe()
        try:
            data = json.dumps(asdict(order)).encode()
            socket.send_fds(self._channel, [data], [tells, barrier.waits])
        finally:
            os.close(tells)
        return Child(told, barrier)

    def run(self, orders: Sequence[Order], bound: float) -> list[Ended]:
        """Have orders carried out at once; how each process ended."""
        barrier = Barrier()
        children = [self.begin(order, barrier) for order in orders]
        barrier.open()
        return [child.ended(bound) for child in children]


class _Countdown:
    """Ends the process at one of the points that it is told of."""

    def __init__(self, point: int) -> None:
        self._left = point

    def pass_by(self) -> None:
        self._left -= 1
        if self._left == 0:
            os._exit(_KILLED)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with a point before it and one after it."""

        def call(*args: object, **kwargs: object) -> object:
            self.pass_by()
            outcome = function(*args, **kwargs)
            self.pass_by()
            return outcome

        return call


def _arm(point: int) -> None:
    """Let the process die at this point."""
    countdown = _Countdown(point)
    overlay = ModuleType("os")
    vars(overlay).update(vars(os))
    for name in _DURABLE:
        setattr(overlay, name, countdown.around(getattr(os, name)))
    for module in (files, source, checkpoints):
        vars(module)["os"] = overlay
    for owner, name in (
        (transport.RequestsTransport, "_start"),  # the request, up to the head of its answer
        (transport.RequestsTransport, "send"),  # its whole answer
        (connections.Connection, "send"),  # its body on the wire
    ):
        setattr(owner, name, countdown.around(getattr(owner, name)))


def carry_out(order: Order, heard: Heard) -> Ended:
    """Upload; what is not an error of this package is a crash, and told with its traceback."""
    with local_bucket(order.endpoint, timeout=order.timeout) as bucket:
        try:
            upload_file(
                bucket,
                order.key,
                order.filename,
                thread_num=order.thread_num,
                part_size=order.part_size,
                enable_checkpoint=order.enable_checkpoint,
                content_md5=order.content_md5,
                sequential=order.sequential,
                upload_id=order.upload_id,
                metadata=order.metadata,
            )
        except ResumableError as error:
            return Ended("error", type(error).__name__, str(error), heard.texts())
        except Exception as error:  # noqa: BLE001 - any other is what is looked for
            return Ended("crash", type(error).__name__, heard.traceback(error), heard.texts())
    return Ended("success", heard=heard.texts())


def _be_child(order: Order, tells: int, barrier: int) -> None:
    os.write(tells, b"%d\n" % os.getpid())
    if not order.locked:
        takes_no_lock()
    if order.bug:
        BUGS[order.bug]()
    os.read(barrier, 1)
    if order.die_at is not None:
        _arm(order.die_at)
    with hear() as heard:
        ended = carry_out(order, heard)
    os.write(tells, json.dumps(asdict(ended)).encode() + b"\n")


def main(channel_number: int) -> None:
    """Fork a process for each order until nobody gives any more."""
    canary.watch()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them
    channel = socket.socket(fileno=channel_number)
    while True:
        data, passed, _, _ = socket.recv_fds(channel, _LONGEST_ORDER, 2)
        if not data:
            return
        if os.fork() == 0:
            channel.close()
            try:
                _be_child(Order(**json.loads(data)), *passed)
            finally:
                os._exit(0)
        for descriptor in passed:
            os.close(descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]))
