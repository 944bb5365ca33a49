"""Secrets stay inside: not in errors, their chains and tracebacks, nor in the log."""

import logging
import re
import traceback
from collections.abc import Callable, Iterator

import pytest
from requests import PreparedRequest
from urllib3 import HTTPResponse

from resumable import Bucket, Credentials, RetryPolicy
from resumable.errors import CredentialsError, LocalFileError
from resumable.oss.connections import Connection
from resumable.oss.messages import BytesPayload, WireRequest
from resumable.oss.signing import SignatureVersion
from tests.oss.conftest import ONCE, Serve
from tests.oss.rawserver import Peer, Script, answer, answering, error_answer
from tests.support import MIB

SECRET, TOKEN = "TopSecretAccessKey", "TopSecretToken"
KEY = Credentials("LTAIexample", SECRET, TOKEN)


class Unreadable(BytesPayload):
    """A body that fails in the middle."""

    def blocks(self) -> Iterator[memoryview]:
        yield memoryview(b"x" * MIB)
        raise LocalFileError("reading failed")


def hangs_up(peer: Peer) -> None:
    peer.request()


def hangs(peer: Peer) -> None:
    peer.request()
    peer.hang()


def torn(peer: Peer) -> None:
    peer.request()
    peer.send(answer(200, b"<", {"Content-Length": "100"}))


Call = Callable[[Bucket], object]
PUT: Call = lambda bucket: bucket.put_object("k", b"x" * MIB)  # noqa: E731 - a row of the table

FAILURES: dict[str, tuple[Script, Call]] = {
    "access denied": (answering(error_answer(403, "AccessDenied")), PUT),
    "server error": (answering(error_answer(500, "InternalError")), PUT),
    "redirect": (answering(answer(307, headers={"Location": "http://127.0.0.1:1/"})), PUT),
    "foreign answer": (answering(answer(200, b"<html/>")), lambda b: b.list_parts("k", "U")),
    "damaged": (answering(answer(200, headers={"ETag": "0" * 32})), PUT),
    "lost connection": (hangs_up, PUT),
    "timeout": (hangs, PUT),
    "torn answer": (torn, lambda bucket: bucket.list_parts("k", "U")),
    "no HTTP": (answering(b"SSH-2.0\r\n"), PUT),
    "unreadable body": (hangs_up, lambda bucket: bucket.put_object("k", Unreadable(b"x" * 9))),
    "bad header": (hangs_up, lambda bucket: bucket.put_object("k", b"", headers={"a": "\n"})),
}
failures = pytest.mark.parametrize(("script", "call"), FAILURES.values(), ids=FAILURES)
versions = pytest.mark.parametrize("version", ["v1", "v4"])


@pytest.fixture
def failed(
    serve: Serve, script: Script, call: Call, version: SignatureVersion
) -> tuple[BaseException, list[str]]:
    """The error of a call that failed, and the secrets that went over the wire in it."""
    server = serve(script)
    bucket = Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=KEY,
        signature_version=version,
        retry=RetryPolicy(attempts=2, base=0.001),
        timeout=0.2,
    )
    with bucket, pytest.raises(Exception) as raised:  # noqa: PT011 - of all kinds
        call(bucket)
    signatures = [request.headers["authorization"] for request in server.requests]
    return raised.value, [SECRET, TOKEN, *(re.split("Signature=|:", one)[1] for one in signatures)]


@failures
@versions
def test_secret_is_in_no_error(failed: tuple[BaseException, list[str]]) -> None:
    error, secrets = failed
    told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert not [secret for secret in secrets if secret in told]


@failures
@versions
def test_secret_is_in_no_traceback_with_local_variables(
    failed: tuple[BaseException, list[str]],
) -> None:
    """As error trackers and pretty tracebacks make them."""
    error, secrets = failed
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    lines = "".join(frame for frame in told.stack.format() if __file__ not in frame)
    assert lines
    assert not [secret for secret in secrets if secret in lines]


@failures
@versions
def test_chain_of_an_error_carries_no_request(failed: tuple[BaseException, list[str]]) -> None:
    for error in chain(failed[0]):
        held = [*vars(error).values(), *error.args]
        kinds = PreparedRequest | HTTPResponse | Connection | WireRequest
        assert not [value for value in held if isinstance(value, kinds)]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it, also what is not shown."""
    seen: list[BaseException] = []
    open_ends: list[BaseException | None] = [error]
    while open_ends:
        link = open_ends.pop()
        if link is not None and link not in seen:
            seen.append(link)
            open_ends += [link.__cause__, link.__context__]
    return iter(seen)


@failures
@versions
def test_secret_is_in_no_log_of_any_library(
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    script: Script,
    call: Call,
    version: SignatureVersion,
    request: pytest.FixtureRequest,
) -> None:
    with caplog.at_level(logging.DEBUG):
        _, secrets = request.getfixturevalue("failed")
    told = caplog.text + repr([vars(record) for record in caplog.records])
    assert not [secret for secret in secrets if secret in told]


@versions
def test_secret_is_in_no_log_of_a_call_that_succeeds(
    serve: Serve, caplog: pytest.LogCaptureFixture, version: SignatureVersion
) -> None:
    server = serve(answering(answer(204)))
    with caplog.at_level(logging.DEBUG):
        bucket = Bucket(
            "examplebucket",
            endpoint=server.endpoint,
            region="cn-hangzhou",
            credentials=KEY,
            signature_version=version,
            retry=ONCE,
        )
        with bucket:
            bucket.delete_object("k")
    assert f"DELETE {server.endpoint}/examplebucket/k: 204, request id" in caplog.text
    secrets = [SECRET, TOKEN, server.requests[0].headers["authorization"]]
    assert not [secret for secret in secrets if secret in caplog.text]


@versions
def test_stop_in_the_middle_of_signing_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, version: SignatureVersion
) -> None:
    def stop(*_: object) -> WireRequest:
        raise KeyboardInterrupt

    monkeypatch.setattr("resumable.oss.client.WireRequest", stop)
    bucket = Bucket(
        "examplebucket",
        endpoint="http://127.0.0.1:1",
        region="cn-hangzhou",
        credentials=KEY,
        signature_version=version,
    )
    with bucket, pytest.raises(KeyboardInterrupt) as stopped:
        bucket.head_object("k")
    told = traceback.TracebackException.from_exception(stopped.value, capture_locals=True)
    shown = [frame for frame in told.stack.format() if __file__ not in frame]
    assert "in _signed" in shown[-1]
    assert not [frame for frame in shown if TOKEN in frame or "authorization" in frame]


def test_failure_of_the_caller_s_own_credentials_keeps_its_traceback() -> None:
    def provider() -> Credentials:
        raise CredentialsError("the safe is locked")

    bucket = Bucket("examplebucket", endpoint="http://127.0.0.1:1", credentials=provider)
    with bucket, pytest.raises(CredentialsError) as failed:
        bucket.head_object("k")
    assert "in provider" in "".join(traceback.format_exception(failed.value))


def test_repr_of_a_signed_request_shows_no_secret() -> None:
    headers = {"authorization": SECRET, "x-oss-security-token": TOKEN}
    shown = repr(WireRequest("PUT", "http://h", "/k", headers, None))
    assert SECRET not in shown
    assert TOKEN not in shown
