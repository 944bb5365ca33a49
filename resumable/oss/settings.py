"""Where a bucket's settings come from: arguments, then the environment, then the files."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from resumable.errors import CredentialsError, InvalidArgumentError
from resumable.oss.cloud import CloudProvider, instance_role, oidc_role, service
from resumable.oss.configfiles import Profile, is_ecs_instance, profiles
from resumable.oss.credentials import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Credentials,
    Provider,
    credentials_from_environment,
)
from resumable.oss.endpoint import (
    Acceleration,
    Endpoint,
    Style,
    check_region,
    endpoint_for,
    read_endpoint,
)
from resumable.oss.proxies import Proxy, ProxyChoice
from resumable.oss.renewal import AccessKeys

# Which authorities to trust: the first that is set, as requests and OpenSSL read them.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
ENDPOINT = "OSS_ENDPOINT"
REGION = "OSS_REGION"

_log = logging.getLogger("resumable")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller said of where a bucket is and who asks; None where nothing was said."""

    endpoint: Endpoint | InvalidArgumentError | str | None = None
    region: str | None = None
    style: Style | None = None
    internal: bool = False
    accelerate: Acceleration = False
    credentials: Credentials | Provider | CredentialsError | None = None
    profile: str | None = None
    proxy: ProxyChoice | InvalidArgumentError = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What came of it."""

    endpoint: Endpoint
    region: str | None
    keys: AccessKeys


class _Files:
    """The configuration files, each read at most once, and only if something is missing."""

    def __init__(self, profile: str | None = None) -> None:
        self._left = profiles(profile)
        self._failure: CredentialsError | None = None
        self.seen: list[Profile] = []

    def __iter__(self) -> Iterator[Profile]:
        yield from list(self.seen)
        if self._failure is not None:
            raise self._failure
        try:
            for profile in self._left:
                self.seen.append(profile)
                yield profile
        except CredentialsError as error:
            self._failure = error
            raise

    def region(self) -> str | None:
        """The first region that one of them tells."""
        return _first_region(self)


def settle(wishes: Wishes) -> Settings:
    """Find endpoint, region and access key.

    The files are read if the access key or the endpoint is to come from them. A program that is
    given both touches none of them; so their region, too, counts only where they are read. One
    that cannot be used matters only if something is missing without it.

    Raises:
        InvalidArgumentError: there is no endpoint, or one that cannot be used.
        CredentialsError: there is no access key, or a file cannot be used.
    """
    files = _Files(wishes.profile)
    if wishes.profile is not None:
        wishes = _with_profile(wishes, files)
    named = wishes.region or os.environ.get(REGION)
    region = check_region(named) if named else None
    endpoint = _endpoint(wishes, region, files)
    keys = _keys(wishes, files)
    return Settings(endpoint, region or endpoint.region or _first_region(files.seen), keys)


def authorities(given: str | os.PathLike[str] | None) -> tuple[str | None, str]:
    """Which certificate authorities to trust, and which setting says so.

    Args:
        given: The caller's path; it comes before the environment.

    Returns:
        The path as it was given, None for the usual ones; and the name of the setting.

    Raises:
        InvalidArgumentError: it is no path.
    """
    if given is not None:
        try:
            return os.fsdecode(given), "ca_bundle"
        except TypeError:
            raise InvalidArgumentError(f"ca_bundle {given!r} is not a path") from None
    for name in CA_VARIABLES:
        if path := os.environ.get(name):
            return path, name
    return None, ""


def _endpoint(wishes: Wishes, region: str | None, files: _Files) -> Endpoint:
    chosen = wishes.internal or wishes.accelerate
    given = read_endpoint(wishes.endpoint, wishes.style)
    if given is not None:
        if chosen:
            raise InvalidArgumentError("endpoint= contradicts internal= and accelerate=")
        return _raised(given)
    set_there = read_endpoint(os.environ.get(ENDPOINT), wishes.style)
    if not chosen:
        found = None if set_there is None else _raised(set_there)
        if found is None:
            with _optional(is_needed=region is None):
                found = _endpoint_of_files(files, region, wishes)
        if found is not None:
            return found
    region = region or (set_there.region if isinstance(set_there, Endpoint) else None)
    if not region:
        with _optional(is_needed=not wishes.accelerate):
            region = files.region()
    if not region and not wishes.accelerate:
        raise InvalidArgumentError(
            f"no endpoint: give endpoint= or region=, or set {ENDPOINT} or {REGION}"
        )
    derived = endpoint_for(region, internal=wishes.internal, accelerate=wishes.accelerate)
    if wishes.style not in (None, "virtual"):
        raise InvalidArgumentError(f"the style {wishes.style!r} needs endpoint= or {ENDPOINT}")
    return Endpoint.parse(derived)


def _raised(found: Endpoint | InvalidArgumentError) -> Endpoint:
    if isinstance(found, InvalidArgumentError):
        raise found
    return found


def _endpoint_of_files(files: _Files, region: str | None, wishes: Wishes) -> Endpoint | None:
    """The first endpoint in a file, but none of another region than was asked for.

    One that tells no region serves, unless a region was given as an argument: that says more than
    a file.
    """
    read = partial(Endpoint.parse, style=wishes.style)
    fitting = {region} if wishes.region else {region, None}
    for profile in files:
        if profile.endpoint is None:
            continue
        found = _usable(profile, "endpoint", profile.endpoint, read)
        if region is None or found.region in fitting:
            return found
    return None


@contextmanager
def _optional(*, is_needed: bool) -> Iterator[None]:
    """Go on without a file, or a value in one, that cannot be used, if nothing needs it."""
    try:
        yield
    except (CredentialsError, InvalidArgumentError) as error:
        if is_needed:
            raise
        _log.warning("going on without a configuration file: %s", error.message)


def _first_region(files: "_Files | list[Profile]") -> str | None:
    for profile in files:
        if (region := profile.region) is not None:
            return _usable(profile, "region", region, check_region)
    return None


def _usable(profile: Profile, what: str, text: str, read: Callable[[str], _T]) -> _T:
    try:
        return read(text)
    except InvalidArgumentError:
        told = f"the {what} in {profile.path!r} cannot be used"
    del text  # it may hold a password, and this is a frame of the traceback
    raise InvalidArgumentError(told, advice="Correct it there, or give it as an argument")


def _with_profile(wishes: Wishes, files: _Files) -> Wishes:
    """What was said, and what the profile that was named says: both come before the environment."""
    if not wishes.profile or not isinstance(wishes.profile, str):
        raise InvalidArgumentError("profile= is the name of a profile in a configuration file")
    if wishes.credentials is not None:
        raise InvalidArgumentError("profile= contradicts credentials=: both say who asks")
    region = wishes.region or files.region()
    if wishes.endpoint or wishes.internal or wishes.accelerate:
        return replace(wishes, region=region)
    fitting = replace(wishes, region=wishes.region)
    found = _endpoint_of_files(files, check_region(region) if region else None, fitting)
    return replace(wishes, region=region, endpoint=found)


def _keys(wishes: Wishes, files: _Files) -> AccessKeys:
    given = wishes.credentials
    if isinstance(given, CredentialsError):
        raise given
    if isinstance(given, Credentials):
        return AccessKeys.fixed(given)
    if given is not None:
        return AccessKeys(given)
    named = wishes.profile
    proxy = wishes.proxy if isinstance(wishes.proxy, Proxy) else None
    if named is None:
        found = credentials_from_environment(os.environ)
        if found is not None:
            return AccessKeys.fixed(found)
        if (role := oidc_role(proxy)) is not None:
            return AccessKeys(role, kept=True)
    first = _source_in(files, proxy) or (None if named else _source_on_this_machine(proxy))
    if first is None:
        raise _no_key(named)
    if isinstance(first, CloudProvider):
        return AccessKeys(first, kept=True)
    return AccessKeys(lambda: _read_again(named, proxy), kept=True, first=first)


def _source_in(files: _Files, proxy: Proxy | None) -> Credentials | CloudProvider | None:
    for profile in files:
        found = profile.provider(proxy) or profile.credentials()
        if found is not None:
            return found
    return None


def _source_on_this_machine(proxy: Proxy | None) -> CloudProvider | None:
    return service(proxy) or instance_role(is_ecs=is_ecs_instance())


def _read_again(profile: str | None, proxy: Proxy | None) -> Credentials:
    """The key that the files hold by now."""
    found = _source_in(_Files(profile), proxy)
    if found is None:
        raise _no_key(profile)
    return found() if isinstance(found, CloudProvider) else found


def _no_key(profile: str | None) -> CredentialsError:
    if profile is not None:
        return CredentialsError(
            f"the profile {profile!r} holds no access key, and names no way to one",
            advice="Complete it, or leave profile= out for what the environment says",
        )
    return CredentialsError(
        f"no access key: {ACCESS_KEY_ID} and {ACCESS_KEY_SECRET} not set, and no key in "
        "~/.ossutilconfig, ~/.aliyun/config.json or ~/.alibabacloud/credentials.ini",
        advice="Set both in the environment, or give credentials= to Bucket",
    )
