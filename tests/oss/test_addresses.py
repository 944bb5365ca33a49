"""Hosts with several addresses: a dead one costs its wait once."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.oss.addresses import FIRST_WAIT, REMEMBERED, Addresses, interleave, look_up

SIX, SIX_TOO, FOUR, FOUR_TOO = "2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"
TIMEOUT = 10.0


class World:
    """A network of which the delays are known, and a clock that moves only while it waits.

    Attributes:
        delays: Seconds until an address answers; it refuses at once where it is not named.
        attempts: The addresses that were tried, with the time that each was given.
    """

    def __init__(self, **delays: float) -> None:
        self.delays = {globals()[name]: delay for name, delay in delays.items()}
        self.attempts: list[tuple[str, float]] = []
        self.now = 0.0
        self.book = Addresses((ConnectionRefusedError,), (TimeoutError,), lambda: self.now)

    def connect(self, *addresses: str) -> str:
        """Connect as a connection does; the address that answered."""
        self.attempts.clear()
        answered: list[str] = []

        def attempt(address: str, seconds: float) -> None:
            self.attempts.append((address, round(seconds, 3)))
            if address not in self.delays:
                raise ConnectionRefusedError(address)
            self.now += min(seconds, self.delays[address])
            if self.delays[address] > seconds:
                raise TimeoutError(address)
            answered.append(address)

        self.book.connect(addresses, 443, TIMEOUT, attempt)
        (address,) = answered
        return address

    @property
    def tried(self) -> list[str]:
        return [address for address, _ in self.attempts]


DEAD = 1000.0


def test_dead_ipv6_costs_its_wait_once() -> None:
    world = World(SIX=DEAD, FOUR=0.1)
    assert world.connect(SIX, FOUR) == FOUR
    assert world.attempts[0] == (SIX, FIRST_WAIT)
    before = world.now
    assert [world.connect(SIX, FOUR) for _ in range(5)] == [FOUR] * 5
    assert world.now - before == pytest.approx(0.5)


def test_other_addresses_that_are_dead_cost_it_once_too() -> None:
    world = World(FOUR=DEAD, FOUR_TOO=0.1, SIX=DEAD)
    assert world.connect(FOUR, FOUR_TOO, SIX) == FOUR_TOO
    assert world.connect(FOUR, FOUR_TOO, SIX) == FOUR_TOO
    assert world.tried == [FOUR_TOO]


def test_dead_address_is_tried_again_after_some_minutes() -> None:
    world = World(SIX=DEAD, FOUR=0.1)
    world.connect(SIX, FOUR)
    world.now += REMEMBERED + 1
    world.delays[SIX] = 0.1
    assert world.connect(SIX, FOUR) == SIX


def test_single_address_has_all_of_the_time() -> None:
    world = World(FOUR=9.0)
    assert world.connect(FOUR) == FOUR
    assert world.attempts == [(FOUR, TIMEOUT)]


def test_refusal_leaves_the_whole_time_to_the_other() -> None:
    world = World(FOUR=9.0)
    assert world.connect(SIX, FOUR) == FOUR
    assert world.attempts[-1] == (FOUR, TIMEOUT)


def test_slow_network_is_not_a_dead_one() -> None:
    """Each takes longer than the first wait; the second pass finds that out, and it is kept."""
    world = World(SIX=3.0, FOUR=3.0)
    assert world.connect(SIX, FOUR) == SIX
    before = world.now
    assert world.connect(SIX, FOUR) == SIX
    assert world.now - before == pytest.approx(3.0)


def test_all_attempts_together_keep_to_the_timeout() -> None:
    world = World(SIX=DEAD, FOUR=DEAD, SIX_TOO=DEAD, FOUR_TOO=DEAD)
    for _ in range(3):
        before = world.now
        with pytest.raises(TimeoutError):
            world.connect(SIX, SIX_TOO, FOUR, FOUR_TOO)
        assert world.now - before == pytest.approx(TIMEOUT, abs=0.1)


def test_address_that_dies_later_is_replaced_in_the_same_connection() -> None:
    world = World(SIX=0.1, FOUR=0.1)
    world.connect(SIX, FOUR)
    world.delays[SIX] = DEAD
    assert world.connect(SIX, FOUR) == FOUR
    before = world.now
    assert world.connect(SIX, FOUR) == FOUR
    assert world.now - before == pytest.approx(0.1)


def test_name_that_leads_elsewhere_is_followed() -> None:
    """What is remembered of addresses says nothing of the name."""
    world = World(FOUR=0.1, FOUR_TOO=0.1)
    assert world.connect(FOUR) == FOUR
    assert world.connect(FOUR_TOO) == FOUR_TOO


def test_addresses_that_all_refuse_end_with_the_refusal() -> None:
    world = World()
    with pytest.raises(ConnectionRefusedError):
        world.connect(SIX, FOUR)
    assert world.tried == [SIX, FOUR]
    assert world.now == 0.0


def test_other_errors_are_not_tried_elsewhere() -> None:
    def attempt(address: str, seconds: float) -> None:
        raise PermissionError(address)

    with pytest.raises(PermissionError, match=SIX):
        Addresses((ConnectionRefusedError,), (TimeoutError,)).connect([SIX, FOUR], 1, 1, attempt)


def test_other_ports_of_an_address_are_other_places() -> None:
    world = World(SIX=DEAD, FOUR=0.1)
    world.connect(SIX, FOUR)
    assert world.book.order([SIX, FOUR], 443) == [FOUR, SIX]
    assert world.book.order([SIX, FOUR], 80) == [SIX, FOUR]


@pytest.mark.parametrize(
    ("addresses", "ordered"),
    [
        ([SIX, SIX_TOO, FOUR, FOUR_TOO], [SIX, FOUR, SIX_TOO, FOUR_TOO]),
        ([FOUR, SIX, SIX_TOO], [FOUR, SIX, SIX_TOO]),
        ([FOUR], [FOUR]),
    ],
)
def test_kinds_take_turns_beginning_with_the_preferred(
    addresses: list[str], ordered: list[str]
) -> None:
    assert interleave(addresses) == ordered


@given(
    st.lists(st.sampled_from([SIX, SIX_TOO, FOUR, FOUR_TOO]), min_size=1, max_size=4, unique=True),
    st.dictionaries(
        st.sampled_from(["SIX", "SIX_TOO", "FOUR", "FOUR_TOO"]),
        st.sampled_from([0.1, 0.9, 2.0, DEAD]),
    ),
)
def test_an_address_that_answers_is_found_and_the_time_is_kept(
    addresses: list[str], delays: dict[str, float]
) -> None:
    world = World(**delays)
    quick = [each for each in addresses if world.delays.get(each, DEAD) <= 0.9]
    for _ in range(2):
        before = world.now
        try:
            found = world.connect(*addresses)
        except (TimeoutError, ConnectionRefusedError):
            found = ""
        assert world.now - before <= TIMEOUT + 0.1
        assert found or not quick
        assert set(world.tried) <= set(addresses)


def test_names_of_this_machine_are_looked_up() -> None:
    assert "127.0.0.1" in look_up("localhost", 80)
    assert look_up("127.0.0.1", 80) == ["127.0.0.1"]


def test_name_that_is_none_is_the_systems_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror):
        look_up("oss.invalid", 80)


def test_address_of_a_single_link_keeps_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("fe80::1", 80, 0, 7)
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", place)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert look_up("printer.local", 80) == ["fe80::1%7"]
