"""Access keys: who may sign a request, and with which security token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_ACCESS_KEY_ID = "localkey"
DEFAULT_REGION = "cn-hangzhou"
DEFAULT_ACCESS_KEY_SECRET = "localsecret"  # noqa: S105 - published on purpose, it guards nothing


@dataclass(frozen=True, slots=True)
class AccessKey:
    """The secret half of an access key.

    Attributes:
        secret: signs the requests.
        security_token: the token every request must carry; None accepts any or none.
        expires_at: seconds since the epoch after which the token has expired.
    """

    secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None


def normalise_access_keys(keys: Mapping[str, str | AccessKey] | None) -> dict[str, AccessKey]:
    """Return access keys by id; plain secrets are wrapped, None is the default key."""
    if keys is None:
        keys = {DEFAULT_ACCESS_KEY_ID: DEFAULT_ACCESS_KEY_SECRET}
    return {
        key_id: value if isinstance(value, AccessKey) else AccessKey(value)
        for key_id, value in keys.items()
    }


@dataclass(frozen=True, slots=True)
class Access:
    """Who may sign requests, and for what.

    Attributes:
        keys: By access key id.
        region: The one that a V4 signature has to be for.
        domains: Host names of the server, below which buckets are host names.
    """

    keys: Mapping[str, AccessKey]
    region: str = DEFAULT_REGION
    domains: tuple[str, ...] = ()
