"""Access keys: what they are made of, and how they are kept out of sight."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from resumable.errors import CredentialsError

ACCESS_KEY_ID = "OSS_ACCESS_KEY_ID"
ACCESS_KEY_SECRET = "OSS_ACCESS_KEY_SECRET"  # noqa: S105 - the name of a variable
SESSION_TOKEN = "OSS_SESSION_TOKEN"  # noqa: S105 - the name of a variable

_LATEST = 1e11  # seconds: the year 5138; what is above counts milliseconds


@dataclass(frozen=True, slots=True)
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

    def __post_init__(self) -> None:
        if wrong := self._unusable():
            raise CredentialsError(
                f"the {wrong} is empty or holds a character that no key has",
                advice="Look for white space that was copied along with it",
            )
        object.__setattr__(self, "expires_at", _seconds(self.expires_at))

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


def expiry_of(credentials: Credentials) -> float | None:
    """When the credentials end, in seconds since the epoch."""
    return _seconds(credentials.expires_at)


def credentials_from_environment(environ: Mapping[str, str]) -> Credentials | None:
    """Read OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and, for STS, OSS_SESSION_TOKEN.

    Returns:
        None if none of them is set. An empty one counts as not set.

    Raises:
        CredentialsError: some are set and the id or the secret is not. To look elsewhere then
            would be to work under another identity than was meant.
    """
    if not any(map(environ.get, (ACCESS_KEY_ID, ACCESS_KEY_SECRET, SESSION_TOKEN))):
        return None
    missing = [name for name in (ACCESS_KEY_ID, ACCESS_KEY_SECRET) if not environ.get(name)]
    if missing:
        raise CredentialsError(
            f"half an access key in the environment: {' and '.join(missing)} not set",
            advice=f"Set {ACCESS_KEY_ID} and {ACCESS_KEY_SECRET}, or give credentials= to Bucket",
        )
    return Credentials(
        environ[ACCESS_KEY_ID],
        environ[ACCESS_KEY_SECRET],
        environ.get(SESSION_TOKEN) or None,
    )


def _seconds(moment: float | datetime | None) -> float | None:
    if moment is None:
        return None
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise CredentialsError(
                "expires_at is a datetime without a time zone",
                advice="Say which: datetime.fromisoformat understands 2030-01-01T00:00:00Z",
            )
        return moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise CredentialsError("expires_at is no number of seconds and no datetime")
    if not (math.isfinite(moment) and abs(moment) < _LATEST):
        raise CredentialsError(
            "expires_at is no moment", advice="It counts seconds since the epoch, not milliseconds"
        )
    return float(moment)
