"""The witnesses: every client the suite runs for, each with both signatures."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial

import pytest

from resumable import Credentials
from resumable.server import LocalServer
from tests.conformance.classic import Classic
from tests.conformance.modern import Modern
from tests.conformance.ours import Ours
from tests.conformance.witness import Sdk, Witness
from tests.support import CREDENTIALS

SDKS: Mapping[str, Callable[[str, Credentials], Sdk]] = {
    "oss2-v1": partial(Classic, version="v1"),
    "oss2-v4": partial(Classic, version="v4"),
    "oss_v2-v1": partial(Modern, version="v1"),
    "oss_v2-v4": partial(Modern, version="v4"),
}
WITNESSES: Mapping[str, Callable[[str, Credentials], Witness]] = {
    **SDKS,
    "resumable-v1": partial(Ours, version="v1"),
    "resumable-v4": partial(Ours, version="v4"),
}


@pytest.fixture(params=WITNESSES)
def connect(
    request: pytest.FixtureRequest, server: LocalServer
) -> Iterator[Callable[[Credentials], Witness]]:
    """Makes witnesses of one kind, with any credentials."""
    with ExitStack() as opened:

        def made(credentials: Credentials) -> Witness:
            witness = WITNESSES[request.param](server.endpoint, credentials)
            return opened.enter_context(closing(witness))

        yield made


@pytest.fixture
def witness(connect: Callable[[Credentials], Witness]) -> Witness:
    """Each of the witnesses in turn."""
    return connect(CREDENTIALS)


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest, server: LocalServer) -> Iterator[Sdk]:
    """Each of the public SDKs in turn."""
    with closing(SDKS[request.param](server.endpoint, CREDENTIALS)) as made:
        yield made
