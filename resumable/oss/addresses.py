"""In which order the addresses of a host are tried, and how long each; what is known is kept.

A host has several addresses, and some may be dead: IPv6 that leads nowhere takes the whole time to
connect before it fails. The first pass gives each address a short time, the second what is left.
An address that was too slow where another worked is tried last for some minutes, so the wait is
paid once and not once a connection. Names are looked up for each connection: nothing is kept of
them.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest

# Seconds for an address of which nothing is known, while there are others to try.
FIRST_WAIT = 0.25
# Seconds for which an address is remembered.
REMEMBERED = 600.0
_LEAST = 0.001
_MOST_REMEMBERED = 1000

Place = tuple[str, int]


def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order of the system's preference.

    Raises:
        OSError: the name is not known (`socket.gaierror`).
        UnicodeError: the name cannot be one.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(_with_zone(place) for *_, place in found))


def _with_zone(place: tuple[object, ...]) -> str:
    """The address of a socket; one of a single link only means something with its zone."""
    address = str(place[0])
    zone = place[3] if len(place) > 3 else 0
    return f"{address}%{zone}" if zone and "%" not in address else address


def is_address(host: str) -> bool:
    """Whether a host is an address, so that there is nothing to look up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def interleave(addresses: Sequence[str]) -> list[str]:
    """IPv6 and IPv4 in turn, beginning with the kind that comes first."""
    first = [each for each in addresses if (":" in each) == (":" in addresses[0])]
    other = [each for each in addresses if each not in first]
    pairs = chain.from_iterable(zip_longest(first, other))
    return [address for address in pairs if address is not None]


class Addresses:
    """Connects to one of several addresses, and remembers which of them work. Safe for threads.

    Args:
        refused: Exceptions that say at once that there is no connection to an address.
        timed_out: Exceptions that say so after the time to wait. One that is both was refused.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        refused: tuple[type[Exception], ...],
        timed_out: tuple[type[Exception], ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._refused = refused
        self._timed_out = timed_out
        self._clock = clock
        # Until when each is taken to be alive or dead.
        self._alive: dict[Place, float] = {}
        self._dead: dict[Place, float] = {}

    def connect(
        self,
        addresses: Sequence[str],
        port: int,
        timeout: float,
        attempt: Callable[[str, float], None],
    ) -> None:
        """Make attempts until one succeeds. All of them together take about `timeout`.

        Args:
            addresses: Of one host, one or more.
            port: The port there.
            timeout: Seconds for all attempts.
            attempt: Connects to an address within so many seconds, or raises.

        Raises:
            Exception: what the last attempt raised, or one that says more than the address is
                not to be had.
        """
        deadline = self._clock() + timeout
        left = self.order(addresses, port)
        slow: list[str] = []
        error: Exception = OSError("the host has no address")
        for is_second in (False, True):
            addresses = list(left)
            for number, address in enumerate(addresses):
                remaining = max(_LEAST, deadline - self._clock())
                to_try = len(addresses) - number if is_second else len(left)
                seconds = self._wait(address, port, remaining, to_try, is_second=is_second)
                try:
                    attempt(address, seconds)
                except self._refused as failed:
                    left.remove(address)
                    error = failed
                except self._timed_out as failed:
                    slow.append(address)
                    error = failed
                else:
                    self._note(address, port, slow)
                    return
        for address in slow:
            self._alive.pop((address, port), None)
        raise error

    def order(self, addresses: Sequence[str], port: int) -> list[str]:
        """The addresses as they are to be tried: those taken for dead come last."""
        now = self._clock()
        dead = {each for each in addresses if self._dead.get((each, port), 0.0) > now}
        return sorted(interleave(addresses), key=lambda address: address in dead)

    def _wait(
        self, address: str, port: int, remaining: float, to_try: int, *, is_second: bool
    ) -> float:
        """Seconds for an attempt, of those that remain for all that are to be tried."""
        if to_try <= 1:
            return remaining
        if is_second:
            return remaining / to_try
        if self._alive.get((address, port), 0.0) > self._clock():
            return remaining / 2
        return min(FIRST_WAIT, remaining / (to_try + 1))

    def _note(self, address: str, port: int, slow: Sequence[str]) -> None:
        until = self._clock() + REMEMBERED
        for memory in (self._alive, self._dead):
            if len(memory) > _MOST_REMEMBERED:
                memory.clear()
        for each in slow:
            self._alive.pop((each, port), None)
            if each != address:
                self._dead[each, port] = until
        self._dead.pop((address, port), None)
        self._alive[address, port] = until
