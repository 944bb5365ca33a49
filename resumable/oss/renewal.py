"""Access keys that end: asked for anew in good time, once for all threads, or when refused."""

import logging
import threading
from dataclasses import dataclass, replace

from resumable.errors import CredentialsError, ResumableError, ServerError
from resumable.oss.credentials import Credentials, CredentialsProvider, expiry_of

_log = logging.getLogger("resumable")

# Refusals that another access key may cure: OSS says each of them of a token that has expired.
_CURABLE = frozenset({"SecurityTokenExpired", "InvalidSecurityToken", "InvalidAccessKeyId"})
# A new key is asked for so long before the old one ends, or a share of its life before.
_MARGIN = 300.0
_SHARE = 5
# The least and the most time between two questions for a key that is still good.
_LEAST_PAUSE, _MOST_PAUSE = 1.0, 30.0
# A call that was refused with so many keys is not tried with another.
_MOST_KEYS = 4


@dataclass(frozen=True, slots=True)
class _Held:
    """The newest credentials, and when to ask for others (None: before each request)."""

    credentials: Credentials
    ends: float | None
    ask_at: float | None

    @classmethod
    def since(cls, now: float, credentials: Credentials, *, kept: bool) -> "_Held":
        ends = expiry_of(credentials)
        if ends is None:
            return cls(credentials, None, float("inf") if kept else None)
        early = min(_MARGIN, (ends - now) / _SHARE)
        return cls(credentials, ends, max(ends - early, now + _LEAST_PAUSE))

    def is_good(self, now: float) -> bool:
        return self.ends is not None and now < self.ends

    def later(self, now: float) -> "_Held":
        """The same after a question that failed."""
        if self.ends is None:
            return replace(self, ask_at=now + _LEAST_PAUSE)
        pause = min(_MOST_PAUSE, max(_LEAST_PAUSE, (self.ends - now) / _SHARE))
        return replace(self, ask_at=min(now + pause, self.ends))


class AccessKeys:
    """Gives a client the access key to sign with. Shared by threads.

    Credentials with an expiry are kept until some minutes before it. Then one thread asks the
    provider while the others go on with what there is. If it fails, the old ones are used as
    long as they are good, and the provider is asked again a little later.

    Args:
        provider: Asked for credentials. One that never gives an expiry is asked before each
            request, by several threads at once.
        kept: Credentials without an expiry are kept as well, until they are refused.
        first: What the provider said already.
    """

    def __init__(
        self,
        provider: CredentialsProvider,
        *,
        kept: bool = False,
        first: Credentials | None = None,
    ) -> None:
        self._provider = provider
        self._kept = kept
        self._held = None if first is None else _Held.since(0.0, first, kept=kept)
        self._asking = threading.Lock()
        # Of each thread: whether it is asking the provider further up.
        self._thread = threading.local()

    @classmethod
    def fixed(cls, credentials: Credentials) -> "AccessKeys":
        """Always the same: there is nobody to ask for others."""
        held = replace(credentials, expires_at=None)
        return cls(lambda: held, kept=True, first=held)

    def current(self, now: float) -> Credentials:
        """The credentials to sign a request with.

        Raises:
            CredentialsError: the provider failed, and there are none that are still good.
            ResumableError: the provider raised it.
        """
        held = self._held
        if self._asks_itself:
            return self._while_asking(held, now)
        if held is None:
            with self._asking:
                return self._ask(now) if self._held is None else self._held.credentials
        if held.ask_at is None:
            return self._ask(now)
        if now < held.ask_at or not self._asking.acquire(blocking=not held.is_good(now)):
            return held.credentials
        try:
            if self._held is not None and self._held is not held:
                return self._held.credentials  # another thread has asked meanwhile
            return self._ask_in_good_time(held, now)
        finally:
            self._asking.release()

    def last(self, now: float) -> Credentials:
        """The credentials that were used last, unless they have ended; raises as `current` does."""
        held = self._held
        if held is not None and (held.ends is None or held.is_good(now)):
            return held.credentials
        return self.current(now)

    def renewed(self, refused: Credentials, now: float) -> Credentials | None:
        """Other credentials than those that were refused; None if there are none.

        Raises:
            CredentialsError: the provider failed.
            ResumableError: the provider raised it.
        """
        if self._asks_itself:
            return None
        with self._asking:
            found = self._held.credentials if self._held is not None else refused
            if found == refused:
                found = self._ask(now)
        return None if found == refused else found

    def _ask_in_good_time(self, held: _Held, now: float) -> Credentials:
        try:
            return self._ask(now)
        except ResumableError as error:
            if not held.is_good(now):
                raise
            self._held = held.later(now)
            _log.warning("no new access key yet, the old one is still good: %s", error)
            return held.credentials

    @property
    def _asks_itself(self) -> bool:
        """Whether the provider, asked by this thread, makes a call that asks it again."""
        return getattr(self._thread, "asks", False)

    def _while_asking(self, held: _Held | None, now: float) -> Credentials:
        if held is not None and held.is_good(now):
            return held.credentials
        raise CredentialsError(
            "the provider of credentials makes a call of the Bucket that asks it for them",
            advice="Let it use a Bucket with credentials of its own",
        )

    def _ask(self, now: float) -> Credentials:
        self._thread.asks = True
        try:
            found = _asked(self._provider)
        finally:
            self._thread.asks = False
        self._held = _Held.since(now, found, kept=self._kept)
        if self._held.ends is not None and self._held.ends <= now:
            _log.warning(
                "the access key %s was given %.0f s after its expiry, by this machine's clock",
                found.access_key_id,
                now - self._held.ends,
            )
        return found


class KeyOfACall:
    """The access key that one call signs with, and another after it was refused.

    Args:
        keys: Where it comes from.
        keeps_last: Whether the one that was used last is to do.
    """

    def __init__(self, keys: AccessKeys, *, keeps_last: bool = False) -> None:
        self._keys = keys
        self._keeps_last = keeps_last
        self._refused: list[Credentials] = []
        self._used: Credentials | None = None

    def credentials(self, now: float) -> Credentials:
        """What to sign with.

        Raises:
            CredentialsError: the provider failed.
            ResumableError: the provider raised it.
        """
        if self._used is None:
            self._used = self._keys.last(now) if self._keeps_last else self._keys.current(now)
        return self._used

    def is_renewed(self, error: ServerError, now: float) -> bool:
        """Whether there is another key to try after this refusal; it is taken then.

        Raises:
            CredentialsError: the provider failed.
            ResumableError: the provider raised it.
        """
        used = self.credentials(now)
        self._refused.append(used)
        if error.code not in _CURABLE or len(self._refused) >= _MOST_KEYS:
            return False
        other = self._keys.renewed(used, now)
        if other is None or other in self._refused:
            return False
        _log.info(
            "the access key %s was refused (%s), going on with %s",
            used.access_key_id,
            error.code,
            other.access_key_id,
        )
        self._used = other
        return True


def _asked(provider: CredentialsProvider) -> Credentials:
    try:
        found: object = provider()
    except ResumableError:
        raise
    except Exception as error:
        raise CredentialsError(
            f"the provider of credentials failed with {type(error).__name__}",
            advice="What it raised is the cause of this error",
        ) from error
    if isinstance(found, Credentials):
        return found
    kind = type(found).__name__
    del found  # it may hold a secret, and this is a frame of the traceback
    raise CredentialsError(f"the provider of credentials gave {kind}, not Credentials")
