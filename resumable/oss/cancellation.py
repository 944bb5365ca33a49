"""Stopping calls from outside: while they wait, while they sleep, while a socket is stuck."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resumable.errors import TransferCancelledError


class Cancellation:
    """A switch that is thrown once and ends every call that was given it.

    A call registers how to interrupt it (shutting its socket down), so that even one that is
    stuck in the kernel ends at once.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._broken = False
        self._lock = threading.Lock()
        self._interrupts: set[Callable[[], None]] = set()

    @property
    def is_set(self) -> bool:
        """Whether the switch was thrown."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Throw the switch: no call begins any more, while those under way may end."""
        self._event.set()

    def interrupt(self) -> None:
        """Throw the switch, and break the calls under way."""
        self._event.set()
        self._broken = True
        with self._lock:
            interrupts = list(self._interrupts)
        for interrupt in interrupts:
            interrupt()

    @property
    def is_broken(self) -> bool:
        """Whether calls under way are to end at once."""
        return self._broken

    def check(self) -> None:
        """Raise TransferCancelledError once nothing may begin any more."""
        if self._event.is_set():
            raise TransferCancelledError("the transfer was stopped")

    def check_under_way(self) -> None:
        """Raise TransferCancelledError once what is under way must end."""
        if self._broken:
            raise TransferCancelledError("the transfer was stopped")

    def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until the switch is thrown.

        Raises:
            TransferCancelledError: it was.
        """
        if self._event.wait(seconds):
            self.check()

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Within this context `interrupt` is called when calls under way are broken."""
        with self._lock:
            self._interrupts.add(interrupt)
        try:
            self.check_under_way()
            yield
        finally:
            with self._lock:
                self._interrupts.discard(interrupt)
