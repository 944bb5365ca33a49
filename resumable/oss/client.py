"""The one road of a call: prepare, sign, send, read, and again where that may help."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from resumable.core.headers import checked_headers
from resumable.errors import ClockSkewError, NetworkError, ResumableError, ServerError
from resumable.oss.cancellation import Cancellation
from resumable.oss.credentials import Credentials
from resumable.oss.endpoint import Endpoint, check_key
from resumable.oss.hints import network_advice, server_advice
from resumable.oss.messages import CONTENT_LENGTH, Answer, Request, WireRequest
from resumable.oss.outage import Outage
from resumable.oss.refusals import refusal
from resumable.oss.renewal import AccessKeys, KeyOfACall
from resumable.oss.retry import Retry, RetryPolicy
from resumable.oss.signing import SignatureVersion, Subject, canonical_query, sign_v1, sign_v4
from resumable.oss.transport import OpenAnswer, Transport
from resumable.version import __version__

_log = logging.getLogger("resumable")
_T = TypeVar("_T")
_USER_AGENT = f"resumable/{__version__}"
# Seconds. What is nearer to the server's time is refused for another reason: OSS allows 15 minutes.
_LEAST_SKEW = 60.0


def _nothing(_: ResumableError) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Controls:
    """How a transfer holds the reins of its calls.

    Attributes:
        cancellation: Ends the calls.
        noticed: Told of each failure that is going to be tried again.
        policy: For how long the calls are tried. Default: that of the bucket.
        keeps_key: Whether the access key that was used last is to do, as long as it is not
            refused: for tidying up after a provider that failed.
    """

    cancellation: Cancellation = field(default_factory=Cancellation)
    noticed: Callable[[ResumableError], None] = _nothing
    policy: RetryPolicy | None = None
    keeps_key: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Which bucket, where, and how its requests are signed."""

    bucket: str
    endpoint: Endpoint
    region: str | None
    version: SignatureVersion


class Clock:
    """This machine's clock, put right by the server's once they were seen to disagree."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as the server counts them."""
        return time.time() + self._offset

    def correct(self, server_time: float) -> None:
        """Take over the server's time."""
        self._offset = server_time - time.time()
        _log.warning("this machine's clock is off by %.0f s; corrected for OSS", -self._offset)


class Client:
    """Carries calls to one bucket out. Shared by threads; each call stands by itself."""

    def __init__(
        self,
        target: Target,
        keys: AccessKeys,
        transport: Transport,
        policy: RetryPolicy,
    ) -> None:
        self.target = target
        self._keys = keys
        self._transport = transport
        self._policy = policy
        self._clock = Clock()
        self._outage = Outage()

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def perform(
        self,
        prepare: Callable[[], Request],
        read: Callable[[Answer], _T],
        controls: Controls,
    ) -> _T:
        """Carry a call out, trying again where that may help.

        With a renewed access key it is tried again at once, which is no try of the policy's.

        Args:
            prepare: Makes the request anew for each try, reading its body again.
            read: Reads a successful answer.
            controls: The transfer's reins.

        Raises:
            ResumableError: the last failure. Its `tries` says how many there were.
        """
        tries, what, call, began = 0, "", object(), monotonic()
        policy = controls.policy or self._policy

        def once() -> _T:
            nonlocal tries, what
            key = KeyOfACall(self._keys, keeps_last=controls.keeps_key)
            while True:
                tries += 1
                controls.cancellation.check()
                request = prepare()
                what = _name_of(request)
                now = self._clock.now()
                wire = self._signed(request, key, now)
                with self._advising():
                    answer = self._transport.send(wire, controls.cancellation)
                if _is_success(answer.status):
                    return read(answer)
                error = refusal(request, answer, self._advise)
                if isinstance(error, ClockSkewError):
                    error.retryable = self._correct_clock(error, now)
                if not key.is_renewed(error, self._clock.now()):
                    raise error

        def on_retry(retry: Retry) -> None:
            self._outage.failed(call, what, retry)
            controls.noticed(retry.error)

        succeeded = False
        try:
            result = policy.run(once, controls.cancellation.sleep, on_retry)
            succeeded = True
        except ResumableError as error:
            error.tries, error.tried_for = tries, monotonic() - began
            raise
        finally:
            self._outage.ended(call, succeeded=succeeded)
        return result

    @contextmanager
    def open(self, request: Request, controls: Controls) -> Iterator[OpenAnswer]:
        """Carry a call out whose answer's body is read by the caller.

        There is no second try, but for one with a renewed access key.
        """
        key = KeyOfACall(self._keys)
        while True:
            now = self._clock.now()
            wire = self._signed(request, key, now)
            with (
                self._advising(),
                self._transport.open(wire, controls.cancellation) as answer,
            ):
                if _is_success(answer.status):
                    yield answer
                    return
                error = refusal(request, answer.whole(), self._advise)
            if isinstance(error, ClockSkewError):
                self._correct_clock(error, now)
            if not key.is_renewed(error, self._clock.now()):
                raise error

    @contextmanager
    def _advising(self) -> Iterator[None]:
        """Say what to do next about a host that cannot be reached."""
        try:
            yield
        except NetworkError as error:
            target = self.target
            hint = network_advice(error, target.bucket, target.endpoint)
            error.advice = hint or error.advice
            raise

    def _advise(self, error: ServerError, told_bucket: str) -> str:
        target = self.target
        return server_advice(error, told_bucket, target.bucket, target.endpoint, target.region)

    def _signed(self, request: Request, key: KeyOfACall, now: float) -> WireRequest:
        if request.key is not None:
            check_key(request.key)
        headers = checked_headers(request.headers)
        if request.body is not None:
            headers[CONTENT_LENGTH] = str(request.body.size)
        bucket = self.target.bucket
        subject = Subject(request.method, bucket, request.key, request.query, headers)
        credentials = key.credentials(now)
        try:
            return self._sign(request, subject, credentials, now)
        except BaseException as error:  # noqa: BLE001 - it goes on
            # Frames further down hold the signature, and what it is made with.
            raise error.with_traceback(None) from None

    def _sign(
        self, request: Request, subject: Subject, credentials: Credentials, now: float
    ) -> WireRequest:
        target, headers = self.target, dict(subject.headers)
        query = canonical_query(request.query)
        if target.version == "v4" and target.region is not None:
            headers |= sign_v4(subject, credentials, now, target.region)
        else:
            headers |= sign_v1(subject, credentials, now)
        headers |= {"user-agent": _USER_AGENT, "accept-encoding": "identity"}
        path = target.endpoint.path(target.bucket, request.key)
        return WireRequest(
            request.method,
            target.endpoint.origin(target.bucket),
            f"{path}?{query}" if query else path,
            headers,
            request.body,
        )

    def _correct_clock(self, error: ClockSkewError, signed_at: float) -> bool:
        """Take over the server's time, unless it is what the request was signed with."""
        told = error.server_time
        if told is None or abs(told - signed_at) < _LEAST_SKEW:
            return False
        self._clock.correct(told)
        return True


def _name_of(request: Request) -> str:
    part = request.query.get("partNumber")
    return request.operation if part is None else f"{request.operation} of part {part}"


def _is_success(status: int) -> bool:
    # 203 says that the object is stored, and that the callback which was asked for failed.
    return 200 <= status < 300 and status != 203
