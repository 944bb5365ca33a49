"""How far a transfer is, counted by the workers and told by the caller's own thread."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is.

    Attributes:
        bytes_done: Bytes at the server or handed to the network, those reused included.
        bytes_total: The size of the file.
        bytes_reused: Bytes that were at the server before this run and are not sent again.
    """

    bytes_done: int
    bytes_total: int
    bytes_reused: int


ProgressCallback = Callable[[Progress], None]


class Meter:
    """Adds up what the workers do.

    A part that is sent again would make the count step back; it stands still instead until the
    part has caught up.
    """

    def __init__(self, total: int, callback: ProgressCallback | None) -> None:
        self._total = total
        self._callback = callback
        self._lock = threading.Lock()
        self._in_flight: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        self._reused: dict[int, int] = {}
        self._shown: Progress | None = None
        self._known = False
        self.bytes_sent = 0
        self.bytes_reused = 0

    @property
    def parts_reused(self) -> int:
        """How many parts need not be sent."""
        return len(self._reused)

    def begin(self) -> None:
        """What is reused is counted: there is something to tell from now on."""
        self._known = True

    def reused(self, number: int, size: int) -> None:
        """A part need not be sent."""
        with self._lock:
            self._strike(number)
            self._reused[number] = size
            self.bytes_reused += size

    def already_there(self, number: int, size: int) -> None:
        """A part is in the object; unless this run brought it there, it need not be sent."""
        if number not in self._sent:
            self.reused(number, size)

    def begins(self, number: int) -> None:
        """A part is sent from its first byte (again)."""
        with self._lock:
            self._strike(number)
            self._in_flight[number] = 0

    def moved(self, number: int, size: int) -> None:
        """So many more bytes of a part in flight went out."""
        self._in_flight[number] += size

    def sent(self, number: int, size: int) -> None:
        """The server has acknowledged a part."""
        with self._lock:
            self._strike(number)
            self._sent[number] = size
            self.bytes_sent += size

    def reset(self) -> None:
        """Begin anew: what was counted belongs to an upload that is gone."""
        with self._lock:
            for counted in (self._in_flight, self._sent, self._reused):
                counted.clear()
            self.bytes_sent = self.bytes_reused = 0

    def show(self) -> None:
        """Call the caller's callback if there is news. Only ever called from one thread."""
        if self._callback is None or not self._known:
            return
        with self._lock:
            in_flight = sum(list(self._in_flight.values()))
            done = self.bytes_reused + self.bytes_sent + in_flight
            reused = self.bytes_reused
        if self._shown is not None:
            done = max(done, self._shown.bytes_done)
        news = Progress(min(done, self._total), self._total, reused)
        if news != self._shown:
            self._shown = news
            self._callback(news)

    def _strike(self, number: int) -> None:
        self._in_flight.pop(number, None)
        self.bytes_sent -= self._sent.pop(number, 0)
        self.bytes_reused -= self._reused.pop(number, 0)
