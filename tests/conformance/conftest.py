"""The places the suite runs on, and the witnesses: every client, each with both signatures.

A test that asks for `place`, or for a witness, runs on a local server, and on a real bucket as well
where variables name one (places.py). One that asks for `server` looks into it, and so runs locally
only.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from resumable import Bucket, Credentials
from tests.conformance.classic import Classic
from tests.conformance.clients import SDKS, WITNESSES, cleaned
from tests.conformance.ours import our_bucket
from tests.conformance.places import Place, kinds, place_on, real_place
from tests.conformance.witness import Connect, Sdk, Witness


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        looks_inside = "server" in metafunc.fixturenames
        metafunc.parametrize("place", ["local"] if looks_inside else kinds(), indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Each of the places in turn; a real one is left as it was found."""
    if request.param == "local":
        yield place_on(request.getfixturevalue("server"))
    else:
        with cleaned(real_place()) as made:
            yield made


@pytest.fixture(params=WITNESSES)
def connect(request: pytest.FixtureRequest, place: Place) -> Iterator[Connect]:
    """Makes witnesses of one kind, with any credentials."""
    with ExitStack() as opened:

        def made(credentials: Credentials) -> Witness:
            witness = WITNESSES[request.param](replace(place, credentials=credentials))
            return opened.enter_context(closing(witness))

        yield made


@pytest.fixture
def witness(connect: Connect, place: Place) -> Witness:
    """Each of the witnesses in turn."""
    return connect(place.credentials)


@pytest.fixture
def others(place: Place) -> Iterator[list[Witness]]:
    """All witnesses at once."""
    with ExitStack() as opened:
        yield [opened.enter_context(closing(made(place))) for made in WITNESSES.values()]


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest, place: Place) -> Iterator[Sdk]:
    """Each of the public SDKs in turn."""
    with closing(SDKS[request.param](place)) as made:
        yield made


@pytest.fixture
def reader(place: Place) -> Iterator[Sdk]:
    """One SDK, for what not every witness can read."""
    with closing(Classic(place, "v4")) as made:
        yield made


@pytest.fixture
def bucket(place: Place) -> Iterator[Bucket]:
    """Our bucket at the place, whose retries do not keep a test waiting."""
    with our_bucket(place) as made:
        yield made


@pytest.fixture
def key(place: Place) -> str:
    """A key for the one object a test is about."""
    return place.key()
