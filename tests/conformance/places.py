"""Where the suite runs: on a local server of its own, and on a bucket that variables name.

    RESUMABLE_TEST_ENDPOINT, RESUMABLE_TEST_REGION, RESUMABLE_TEST_BUCKET,
    RESUMABLE_TEST_ACCESS_KEY_ID, RESUMABLE_TEST_ACCESS_KEY_SECRET
    and, if wanted, RESUMABLE_TEST_SESSION_TOKEN, RESUMABLE_TEST_CALLBACK_URL

docs/how-to/test-against-real-oss.md tells what a run there costs.
"""

import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

import pytest

from resumable import Credentials
from resumable.server import LocalServer
from tests.support import CREDENTIALS

Kind = Literal["local", "real"]

_VARIABLE = "RESUMABLE_TEST_"
_NEEDED = ("ENDPOINT", "REGION", "BUCKET", "ACCESS_KEY_ID", "ACCESS_KEY_SECRET")
_MAX_KEY_BYTES = 1023
_HERE = ["127.0.0.1", "::1", "localhost"]


@dataclass(frozen=True)
class Place:
    """A bucket, the credentials to use it, and the prefix under which a test may do so.

    Attributes:
        server: The local server, for tests that look into it; a real bucket has none.
        many: How many rows make several pages of 1,000 here in a bearable time.
        callback_url: Where callbacks can be sent to, if that is known beforehand.
    """

    endpoint: str
    region: str
    bucket: str
    credentials: Credentials
    prefix: str = ""
    server: LocalServer | None = None
    many: int = 2500
    callback_url: str = ""

    def key(self, text: str = "exampledir/exampleobject.bin") -> str:
        """The key a test means, below the prefix, and cut where it would get too long there."""
        return (self.prefix + text).encode()[:_MAX_KEY_BYTES].decode(errors="ignore")

    def assert_saw_only(self, keys: Collection[str]) -> None:
        """The server, where it can be looked into, was asked for these keys and no others."""
        if self.server is not None:
            assert {exchange.key for exchange in self.server.log} == set(keys)


def missing() -> list[str]:
    """The variables without which there is no real bucket to run on."""
    return [_VARIABLE + name for name in _NEEDED if not os.environ.get(_VARIABLE + name)]


def kinds() -> list[object]:
    """The kinds of places there are, as parameters; the real one may be connected to.

    Raises:
        pytest.UsageError: some of the variables are set, but not all.
    """
    absent = missing()
    if len(absent) == len(_NEEDED):
        return ["local"]
    if absent:
        raise pytest.UsageError(f"to run on a real bucket, set {', '.join(absent)} as well")
    host = urlsplit(os.environ[_VARIABLE + "ENDPOINT"]).hostname or ""
    hosts = [*_HERE, host, f"{os.environ[_VARIABLE + 'BUCKET']}.{host}"]
    return ["local", pytest.param("real", marks=pytest.mark.allow_hosts(hosts))]


def place_on(server: LocalServer) -> Place:
    """A bucket on a local server of this process."""
    return replace(place_at(server.endpoint), server=server)


def place_at(endpoint: str) -> Place:
    """A bucket on a local server, wherever it runs."""
    return Place(endpoint, "cn-hangzhou", "examplebucket", CREDENTIALS)


def real_place() -> Place:
    """The bucket the variables name, below a prefix nobody else has."""
    said = {name: os.environ[_VARIABLE + name] for name in _NEEDED}
    return Place(
        said["ENDPOINT"],
        said["REGION"],
        said["BUCKET"],
        Credentials(
            said["ACCESS_KEY_ID"],
            said["ACCESS_KEY_SECRET"],
            os.environ.get(_VARIABLE + "SESSION_TOKEN") or None,
        ),
        prefix=f"resumable-test-{secrets.token_hex(8)}/",
        many=1200,
        callback_url=os.environ.get(_VARIABLE + "CALLBACK_URL", ""),
    )
