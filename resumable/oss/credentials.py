"""Access keys: where they come from, and how they are kept out of sight."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from resumable.errors import CredentialsError

ACCESS_KEY_ID = "OSS_ACCESS_KEY_ID"
ACCESS_KEY_SECRET = "OSS_ACCESS_KEY_SECRET"  # noqa: S105 - the name of a variable
SESSION_TOKEN = "OSS_SESSION_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, with the token of a temporary one (STS). Its `repr` shows no secret.

    Raises:
        CredentialsError: a value is empty or holds characters no access key has.
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        named = {
            "access key id": self.access_key_id,
            "access key secret": self.access_key_secret,
            "security token": "-" if self.security_token is None else self.security_token,
        }
        for name, value in named.items():
            # A line break pasted along with a key would otherwise show it in a header error.
            if not value or not value.isascii() or not value.isprintable() or " " in value:
                raise CredentialsError(
                    f"the {name} is empty or holds a character that no key has",
                    advice="Look for white space that was copied along with it",
                )


CredentialsProvider = Callable[[], Credentials]


def credentials_from_environment(environ: Mapping[str, str] | None = None) -> Credentials:
    """Read OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and, for STS, OSS_SESSION_TOKEN.

    Raises:
        CredentialsError: one of the first two is not set.
    """
    environ = os.environ if environ is None else environ
    missing = [name for name in (ACCESS_KEY_ID, ACCESS_KEY_SECRET) if not environ.get(name)]
    if missing:
        raise CredentialsError(
            f"no access key: {' and '.join(missing)} not set",
            advice="Set both in the environment, or give credentials= to Bucket",
        )
    return Credentials(
        environ[ACCESS_KEY_ID],
        environ[ACCESS_KEY_SECRET],
        environ.get(SESSION_TOKEN) or None,
    )


def provider_of(given: Credentials | CredentialsProvider | None) -> CredentialsProvider:
    """Turn what the caller gave into something that can be asked before each request."""
    if isinstance(given, Credentials):
        return lambda: given
    if given is not None:
        if not callable(given):
            raise CredentialsError("credentials are neither Credentials nor callable")
        return given
    found = credentials_from_environment()
    return lambda: found
