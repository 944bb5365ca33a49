"""A bucket is pickled without secrets, or says why not; a copy shares its connections."""

import copy
import functools
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from resumable import Bucket, Credentials, RetryPolicy
from resumable.server import DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET, LocalServer
from tests.oss.conftest import Serve
from tests.oss.homes import Home
from tests.oss.rawserver import acknowledgement, answering

SECRET = "CanarySecretDoNotShow"


def key_of_a_module() -> Credentials:
    return Credentials(DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET)


class Giver:
    @staticmethod
    def give() -> Credentials:
        return key_of_a_module()

    def __call__(self) -> Credentials:
        return key_of_a_module()


def put(bucket: Bucket, key: str) -> None:
    """In another process."""
    bucket.put_object(key, b"x")


def made(endpoint: str, **options: Any) -> Bucket:  # noqa: ANN401 - handed through
    return Bucket("examplebucket", endpoint=endpoint, region="cn-hangzhou", **options)


def by_environment(home: Home, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setenv("OSS_ACCESS_KEY_ID", DEFAULT_ACCESS_KEY_ID)
    patch.setenv("OSS_ACCESS_KEY_SECRET", DEFAULT_ACCESS_KEY_SECRET)
    return {}


def by_profile(home: Home, _: pytest.MonkeyPatch) -> dict[str, Any]:
    home.profile(
        name="work",
        access_key_id=DEFAULT_ACCESS_KEY_ID,
        access_key_secret=DEFAULT_ACCESS_KEY_SECRET,
    )
    return {"profile": "work"}


NAMED: dict[str, Callable[[Home, pytest.MonkeyPatch], dict[str, Any]]] = {
    "environment": by_environment,
    "profile": by_profile,
    "function": lambda *_: {"credentials": key_of_a_module},
    "method without an object": lambda *_: {"credentials": Giver.give},
}


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
def test_bucket_with_a_named_source_works_in_another_process(
    server: LocalServer,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    named: Callable[[Home, pytest.MonkeyPatch], dict[str, Any]],
) -> None:
    bucket = made(server.endpoint, **named(home, monkeypatch))
    assert DEFAULT_ACCESS_KEY_SECRET.encode() not in pickle.dumps(bucket)
    spawn = multiprocessing.get_context("spawn")
    with bucket, ProcessPoolExecutor(1, mp_context=spawn) as pool:
        pool.submit(put, bucket, "k").result()
        assert bucket.head_object("k").size == 1


def test_settings_survive() -> None:
    policy = RetryPolicy(attempts=3, give_up_after=7.0)
    bucket = made(
        "http://oss.example:9000",
        credentials=key_of_a_module,
        style="path",
        retry=policy,
        timeout=3.0,
        connect_timeout=2.0,
        signature_version="v1",
        proxy="http://proxy.example:3128",
    )
    again = pickle.loads(pickle.dumps(bucket))
    assert repr(again) == repr(bucket)
    assert pickle.dumps(again) == pickle.dumps(bucket)
    options = again.__reduce__()[1][1]
    assert options["style"] == "path"
    assert (options["retry"], options["timeout"], options["connect_timeout"]) == (policy, 3.0, 2.0)
    assert options["proxy"].host == "proxy.example"


UNNAMED: dict[str, Callable[[], dict[str, Any]]] = {
    "a key": lambda: {"credentials": Credentials("id", SECRET)},
    "a lambda": lambda: {"credentials": lambda: Credentials("id", SECRET)},
    "a partial": lambda: {"credentials": functools.partial(Credentials, "id", SECRET)},
    "an object": lambda: {"credentials": Giver()},
    "a bound method": lambda: {"credentials": Giver().__call__},
    "password of a proxy": lambda: {
        "credentials": key_of_a_module,
        "proxy": f"http://user:{SECRET}@proxy.example:3128",
    },
}


@pytest.mark.parametrize("options", UNNAMED.values(), ids=UNNAMED)
def test_bucket_that_may_hold_a_secret_says_why_it_is_not_pickled(
    options: Callable[[], dict[str, Any]],
) -> None:
    bucket = made("http://127.0.0.1:1", **options())
    with pytest.raises(TypeError) as refused:
        pickle.dumps(bucket)
    assert SECRET not in str(refused.value)
    assert "unpickled" in str(refused.value)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copy_shares_the_connections(serve: Serve, copied: Callable[[Bucket], Bucket]) -> None:
    server = serve(answering(acknowledgement(b"x")))
    with made(server.endpoint, credentials=key_of_a_module()) as bucket:
        bucket.put_object("k", b"x")
        other = copied(bucket)
        other.put_object("k", b"x")
        assert repr(other) == repr(bucket)
    assert (len(server.requests), server.connections) == (2, 1)
