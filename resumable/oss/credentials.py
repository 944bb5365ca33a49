"""Access keys: what they are made of, and how they are kept out of sight."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from resumable.core.arguments import suggesting
from resumable.errors import CredentialsError

ACCESS_KEY_ID = "OSS_ACCESS_KEY_ID"
ACCESS_KEY_SECRET = "OSS_ACCESS_KEY_SECRET"  # noqa: S105 - the name of a variable
SESSION_TOKEN = "OSS_SESSION_TOKEN"  # noqa: S105 - the name of a variable
_VARIABLES = (
    (ACCESS_KEY_ID, ACCESS_KEY_SECRET, SESSION_TOKEN),
    (
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "ALIBABA_CLOUD_SECURITY_TOKEN",
    ),
)

_EXPIRY = (
    "Give seconds since the epoch, not milliseconds, or a datetime with a time zone, such as "
    "datetime.fromisoformat makes of 2030-01-01T00:00:00Z"
)
_VALUES = ("access_key_id", "access_key_secret", "security_token")
_LATEST = 1e11  # seconds: the year 5138; what is above counts milliseconds


@dataclass(frozen=True, slots=True, init=False)
class Credentials:
    """An access key, with the token of a temporary one (STS). Its `repr` shows no secret.

    Two are equal if they sign alike: `expires_at` does not count.

    Attributes:
        access_key_id: Tells who signs.
        access_key_secret: Signs.
        security_token: Goes along with a temporary key.
        expires_at: When the key ends, as seconds since the epoch or a `datetime` with a time
            zone; kept as seconds. A provider of credentials is asked again before that.

    Raises:
        CredentialsError: a value is empty or holds characters no access key has, or the expiry
            is no moment.
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    expires_at: float | datetime | None = field(default=None, repr=False, compare=False)

    @suggesting
    def __init__(
        self,
        access_key_id: str,
        access_key_secret: str,
        security_token: str | None = None,
        expires_at: float | datetime | None = None,
    ) -> None:
        seconds = _seconds(expires_at)
        values = (access_key_id, access_key_secret, security_token)
        for name, value in zip(_VALUES, values, strict=True):
            object.__setattr__(self, name, value)
        wrong = self._unusable()
        # What raises is a frame of a traceback, and tools show its local variables.
        del access_key_id, access_key_secret, security_token, expires_at, value, values
        object.__setattr__(self, "expires_at", None if isinstance(seconds, str) else seconds)
        if not wrong and not isinstance(seconds, str):
            return
        object.__setattr__(self, "access_key_id", "")  # it may be a secret in the wrong place
        if wrong:
            raise CredentialsError(
                f"the {wrong} is empty or holds a character that no key has",
                advice="Look for white space that was copied along with it",
            )
        raise CredentialsError(f"expires_at is {seconds}", advice=_EXPIRY)

    def _unusable(self) -> str:
        """The name of a value that cannot be one; the values stay out of the raising frame."""
        named = {
            "access key id": self.access_key_id,
            "access key secret": self.access_key_secret,
            "security token": "-" if self.security_token is None else self.security_token,
        }
        for name, value in named.items():
            # A line break pasted along with a key would otherwise show it in a header error.
            if not isinstance(value, str) or not value.isascii() or not value.isprintable():
                return name
            if not value or " " in value:
                return name
        return ""


CredentialsProvider = Callable[[], Credentials]


class Provider:
    """A provider of a caller, without a `repr` that could show what it was made with.

    Attributes:
        ask: The caller's own.
    """

    def __init__(self, ask: CredentialsProvider) -> None:
        self.ask = ask

    def __call__(self) -> Credentials:
        """Ask it."""
        return self.ask()


def read_credentials(given: object) -> Credentials | Provider | CredentialsError | None:
    """Read the `credentials=` of a caller.

    An error is returned, not raised, so that no frame of its traceback holds a secret.
    """
    if given is None or isinstance(given, Credentials | Provider):
        return given
    if callable(given):
        return Provider(given)
    return CredentialsError(
        f"credentials are Credentials or a callable that gives them, not {type(given).__name__}"
    )


def expiry_of(credentials: Credentials) -> float | None:
    """When the credentials end, in seconds since the epoch."""
    seconds = _seconds(credentials.expires_at)
    return None if isinstance(seconds, str) else seconds


def credentials_from_environment(environ: Mapping[str, str]) -> Credentials | None:
    """Read OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and, for STS, OSS_SESSION_TOKEN.

    If none of them is set, those that Alibaba Cloud's own tools read take their place.

    Returns:
        None if none of them is set. An empty one counts as not set.

    Raises:
        CredentialsError: some are set and the id or the secret is not. To look elsewhere then
            would be to work under another identity than was meant.
    """
    found = None
    for names in _VARIABLES:
        found = found or _found_in(environ, names)
    del environ  # what raises is a frame of a traceback, and tools show its local variables
    if isinstance(found, CredentialsError):
        raise found
    return found


def _found_in(
    environ: Mapping[str, str], names: tuple[str, str, str]
) -> Credentials | CredentialsError | None:
    if not any(map(environ.get, names)):
        return None
    missing = [name for name in names[:2] if not environ.get(name)]
    if missing:
        return CredentialsError(
            f"half an access key in the environment: {' and '.join(missing)} not set",
            advice=f"Set {names[0]} and {names[1]}, or give credentials= to Bucket",
        )
    try:
        return Credentials(environ[names[0]], environ[names[1]], environ.get(names[2]) or None)
    except CredentialsError as error:
        return CredentialsError(
            f"in the environment ({names[0]} and so on) {error.message}", advice=error.advice
        )


def _seconds(moment: object) -> float | str | None:
    """A moment as seconds since the epoch, or what is wrong with it."""
    if moment is None:
        return None
    if isinstance(moment, datetime):
        return moment.timestamp() if moment.tzinfo else "a datetime without a time zone"
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        return "no number of seconds and no datetime"
    return float(moment) if math.isfinite(moment) and abs(moment) < _LATEST else "no moment"
