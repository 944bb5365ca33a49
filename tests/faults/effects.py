"""The durable and the network effects of an upload, one by one, and what can be put around them.

An effect is what outlives the process: a call that changes files, or a request. All of them go
through the modules `files` and `checkpoints`, the library that takes the lock, and the transport.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from urllib3 import HTTPResponse

from resumable.oss.cancellation import Cancellation
from resumable.oss.connections import Connection
from resumable.oss.messages import Answer, WireRequest
from resumable.oss.transport import RequestsTransport
from resumable.transfer import checkpoints, files
from tests.crash.uploader import KillPoint, operation_of
from tests.faults.lock_calls import Saved, restore_lock_calls, wrap_lock_calls

# In a `KillPoint`: whichever effect is the n-th.
ANY = "*"

_CALLS = ("open", "write", "fsync", "ftruncate", "replace", "unlink")
_SEES_OS = (files, checkpoints)


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect that is about to happen.

    Attributes:
        name: A system call, such as `os.replace`, or an operation, such as `UploadPart`.
        arguments: Of the system call, or the one request.
        half: Makes it happen by half, where that is possible.
    """

    name: str
    arguments: tuple[Any, ...]
    half: Callable[[], object] | None = None


Around = Callable[[Effect, Callable[[], Any]], Any]


def put_around(around: Around) -> None:
    """From now on each effect of this process is handed to `around`, to be made to happen."""
    _put_around_system_calls(around)
    _put_around_requests(around)


@contextmanager
def put_around_meanwhile(around: Around) -> Iterator[None]:
    """The same until the context ends."""
    seen = [vars(module)["os"] for module in _SEES_OS]
    send, receive = RequestsTransport.send, Connection.getresponse
    lock_calls = _put_around_system_calls(around)
    _put_around_requests(around)
    try:
        yield
    finally:
        restore_lock_calls(lock_calls)
        for module, before in zip(_SEES_OS, seen, strict=True):
            vars(module)["os"] = before
        RequestsTransport.send = send  # type: ignore[method-assign]
        Connection.getresponse = receive  # type: ignore[method-assign]


def _put_around_system_calls(around: Around) -> Saved:
    for module in _SEES_OS:
        seen = vars(vars(module)["os"])
        calls = {name: _around_call(name, seen[name], around) for name in _CALLS}
        vars(module)["os"] = SimpleNamespace(**{**seen, **calls})
    return wrap_lock_calls(_CALLS, lambda name, real: _around_call(name, real, around))


def _around_call(name: str, real: Callable[..., Any], around: Around) -> Callable[..., Any]:
    def call(*arguments: object, **named: object) -> object:
        if name == "open" and not cast(int, arguments[1]) & os.O_CREAT:
            return real(*arguments, **named)
        half = partial(_write_half, real, *arguments) if name == "write" else None
        return around(Effect(f"os.{name}", arguments, half), lambda: real(*arguments, **named))

    return call


def _write_half(write: Callable[..., object], descriptor: object, data: object) -> object:
    assert isinstance(data, memoryview)
    return write(descriptor, data[: len(data) // 2])


def _put_around_requests(around: Around) -> None:
    real_send, real_receive = RequestsTransport.send, Connection.getresponse
    thread = threading.local()

    def send(self: RequestsTransport, request: WireRequest, cancellation: Cancellation) -> Answer:
        def do() -> Answer:
            return real_send(self, request, cancellation)

        def half() -> None:
            thread.dies = True
            do()

        return cast(Answer, around(Effect(operation_of(request), (request,), half), do))

    def receive(self: Connection) -> HTTPResponse:
        if getattr(thread, "dies", False):  # all of it is out, and nobody waits for the answer
            die()
        return real_receive(self)

    RequestsTransport.send = send  # type: ignore[method-assign]
    Connection.getresponse = receive  # type: ignore[method-assign]


def dying_at(point: KillPoint) -> Around:
    """Ends the process around the n-th effect, and tells on standard error which one that is.

    `sent` stands for half-way: a request is out and unanswered, or half of the bytes are written.
    """
    numbers = count(1)

    def around(effect: Effect, do: Callable[[], object]) -> object:
        if next(numbers) != point.nth:
            return do()
        sys.stderr.write(f"{effect.name}\n")
        sys.stderr.flush()
        try:
            if point.moment == "sent" and effect.half is not None:
                effect.half()
            elif point.moment != "before":
                do()
        finally:  # a call that failed has an after, too
            die()

    return around


def die() -> NoReturn:
    """End this process as kill -9 does: nothing is tidied up, no other thread gets any further."""
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)
