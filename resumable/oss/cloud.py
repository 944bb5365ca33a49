"""Credentials that Alibaba Cloud's own library fetches: roles, OIDC, and profiles of these.

Needs alibabacloud-credentials, which the extra `credentials` installs. It is loaded when one of
these is asked for. Its providers keep what they have fetched; here each question goes to the
service, and `renewal` keeps the answer. So a key that OSS refuses is replaced, and one that is
still good is used while the service fails.
"""

import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from resumable.errors import CredentialsError
from resumable.oss.credentials import Credentials
from resumable.oss.proxies import Proxy

ECS_METADATA = "ALIBABA_CLOUD_ECS_METADATA"
ECS_METADATA_DISABLED = "ALIBABA_CLOUD_ECS_METADATA_DISABLED"
CREDENTIALS_URI = "ALIBABA_CLOUD_CREDENTIALS_URI"
OIDC = {
    "role_arn": "ALIBABA_CLOUD_ROLE_ARN",
    "oidc_provider_arn": "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
    "oidc_token_file_path": "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
}
_ADVICE = "Correct what is set there, or set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET"

ECS_ROLE = "EcsRamRoleCredentialsProvider"
ASSUMED_ROLE = "RamRoleArnCredentialsProvider"
OIDC_ROLE = "OIDCRoleArnCredentialsProvider"
SERVICE = "URLCredentialsProvider"
# Those that ask an https server, and take a proxy to do so.
_PROXIED = frozenset({ASSUMED_ROLE, OIDC_ROLE, SERVICE})

# What tells of a failure, in texts that also hold tokens, signatures and whole answers.
_STATUS = re.compile(r"(?:http_?code|status code)\W{1,3}([1-5][0-9]{2})\b", re.IGNORECASE)
_CODE = re.compile(r"\"Code\"\s*:\s*\"([A-Za-z.]{1,80})\"")
_HOST = re.compile(r"host='([A-Za-z0-9.:-]{1,253})', port=([0-9]{1,5})")
_EXIT_STATUS = re.compile(r"exit status ([0-9]{1,3})")
_PROSE = re.compile(r"[A-Za-z]{1,20}([ ,'_.-]{1,2}[A-Za-z]{1,20}){2,40}\.?")
_REASONS = {
    "timed out": "no answer in time",
    "refused": "connection refused",
    "resolve": "the name cannot be resolved",
    "Name or service": "the name cannot be resolved",
    "certificate": "its certificate is not trusted",
    "proxy": "the proxy does not connect",
}


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A provider of the library, and what it is made with. Its `repr` shows no secret.

    Attributes:
        kind: The class.
        options: Its arguments.
        source: Whose key assumes the role, where another provider gives it.
    """

    kind: str
    options: Mapping[str, str | int | bool | None] = field(repr=False)
    source: "ProviderSpec | None" = None

    @property
    def is_plain(self) -> bool:
        """Whether a key comes in plain text: from the metadata service of the instance, say."""
        if self.source is not None and self.source.is_plain:
            return True
        uri = self.options.get("uri")
        return self.kind == ECS_ROLE or (isinstance(uri, str) and not uri.startswith("https:"))


class CloudProvider:
    """A provider of the library as one of this package. Its `repr` and its errors show no secret.

    Args:
        spec: The provider.
        name: How to call it in an error.
        proxy: What requests to https servers go through, if the caller gave one.

    Raises:
        CredentialsError: the library is not installed or refuses the options, or a key would go
            through a proxy in plain text.
    """

    def __init__(self, spec: ProviderSpec, name: str, proxy: Proxy | None = None) -> None:
        self._spec = spec
        self._name = name
        self._proxy = proxy
        self._gave_one = False
        if spec.is_plain:
            _check_route(name)
        failure = self._checked()
        if failure is not None:
            raise failure

    def __call__(self) -> Credentials:
        """The credentials as they are now.

        Raises:
            CredentialsError: there are none, or they cannot be fetched. Retryable if there were
                some before and the service does not answer.
        """
        found = self._asked()
        if isinstance(found, CredentialsError):
            # Raised here, without the frames that hold what the service answered.
            found.retryable = found.retryable and self._gave_one
            raise found
        self._gave_one = True
        return found

    def _checked(self) -> CredentialsError | None:
        """What is wrong with the options."""
        try:
            self._made(self._spec)
        except CredentialsError as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - the library raises all kinds
            told, _ = _told(error)
            return CredentialsError(f"{self._name} cannot be used: {told}", advice=_ADVICE)
        return None

    def _asked(self) -> Credentials | CredentialsError:
        try:
            with _silence():
                got = self._made(self._spec).get_credentials()
            return Credentials(
                got.get_access_key_id(),
                got.get_access_key_secret(),
                got.get_security_token() or None,
                expires_at=got.get_expiration() or None,
            )
        except CredentialsError as error:
            told, can_pass = error.message, False
        except Exception as error:  # noqa: BLE001 - the library raises all kinds
            told, can_pass = _told(error)
        except BaseException as error:  # noqa: BLE001 - it goes on
            # Frames further down hold tokens, and what they were asked for with.
            raise error.with_traceback(None) from None
        failure = CredentialsError(f"{self._name} gave no access key: {told}", advice=_ADVICE)
        failure.retryable = can_pass
        return failure

    def _made(self, spec: ProviderSpec) -> Any:  # noqa: ANN401 - the library has no types
        options: dict[str, Any] = dict(spec.options)
        kind = _library(spec.kind, self._name)
        if spec.source is not None:
            options["credentials_provider"] = self._made(spec.source)
        if self._proxy is not None and spec.kind in _PROXIED:
            options["http_options"] = _http_options(self._proxy)
        return kind(**options)


def oidc_role(proxy: Proxy | None) -> CloudProvider | None:
    """A role by an OIDC token (RRSA in ACK), if the environment names all it takes."""
    named: dict[str, str | int | bool | None]
    named = {option: os.environ.get(name) for option, name in OIDC.items()}
    if not all(named.values()):
        return None
    named["role_session_name"] = os.environ.get("ALIBABA_CLOUD_ROLE_SESSION_NAME")
    named["sts_region_id"] = os.environ.get("ALIBABA_CLOUD_STS_REGION")
    name = f"the role {named['role_arn']} by OIDC"
    return CloudProvider(ProviderSpec(OIDC_ROLE, named), name, proxy)


def instance_role(*, is_ecs: bool) -> CloudProvider | None:
    """The RAM role of this ECS instance, if it is one or the environment names the role."""
    named = os.environ.get(ECS_METADATA)
    is_disabled = os.environ.get(ECS_METADATA_DISABLED, "").lower() == "true"
    if is_disabled or not (named or is_ecs):
        return None
    name = f"the RAM role {named} of this instance" if named else "this instance's RAM role"
    return CloudProvider(ecs_role(named), name)


def ecs_role(name: str | None) -> ProviderSpec:
    """A RAM role of this ECS instance; without a name, the one that it has."""
    return ProviderSpec(ECS_ROLE, {"role_name": name, "async_update_enabled": False})


def service(proxy: Proxy | None) -> CloudProvider | None:
    """The service that the environment names as giving credentials."""
    if not os.environ.get(CREDENTIALS_URI):
        return None
    name = f"the service that {CREDENTIALS_URI} names"
    return CloudProvider(ProviderSpec(SERVICE, {"uri": os.environ[CREDENTIALS_URI]}), name, proxy)


def _check_route(name: str) -> None:
    """Make sure that no proxy reads a key; the library does not heed NO_PROXY."""
    if any(os.environ.get(variable) for variable in ("HTTP_PROXY", "http_proxy")):
        raise CredentialsError(
            f"{name} would be asked through the proxy that HTTP_PROXY names",
            advice="Unset HTTP_PROXY; a proxy for OSS can be given by proxy=",
        )


def _library(kind: str, name: str) -> Any:  # noqa: ANN401 - the library has no types
    try:
        from alibabacloud_credentials import (  # noqa: PLC0415 - only who uses it has it installed
            provider,
        )
    except ImportError:
        pass
    else:
        return getattr(provider, kind)
    raise CredentialsError(
        f"{name} needs alibabacloud-credentials, which is not installed",
        advice="Install the extra oss-resumable[credentials]; in a checkout of the project: "
        "python -m pip install '.[credentials]'",
    )


def _http_options(proxy: Proxy) -> Any:  # noqa: ANN401 - the library has no types
    from alibabacloud_credentials.http import HttpOptions  # noqa: PLC0415 - as above

    login = proxy.login
    if login is None:
        return HttpOptions(proxy=proxy.url)
    named = f"://{quote(login.user, safe='')}:{quote(login.password, safe='')}@"
    return HttpOptions(proxy=proxy.url.replace("://", named, 1))


class _Silencer(logging.Filter):
    """Drops what a thread has logged while it asks: whole URLs with tokens, and tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.local()

    def filter(self, _: logging.LogRecord) -> bool:
        """Whether to let a record pass."""
        return not getattr(self.thread, "asks", False)


_silencer = _Silencer()
_LOGGERS = ("credentials", "alibabacloud-tea", "urllib3.connectionpool")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the library, and what it is built on, from logging in this thread."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_silencer)  # once, however often it is added
    _silencer.thread.asks = True
    try:
        yield
    finally:
        _silencer.thread.asks = False


def _told(error: Exception) -> tuple[str, bool]:
    """What an error of the library says that is no secret, and whether another try may help."""
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename!r}", False
    if type(error).__name__ == "RetryError":  # of the library: there was no answer
        reason = next((told for word, told in _REASONS.items() if word in text), "no answer")
        host = _HOST.search(text)
        return f"{host[1]}:{host[2]}: {reason}" if host else reason, True
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        told = f"HTTP {status[1]} {code[1]}" if code else f"HTTP {status[1]}"
        return told, status[1] == "429" or status[1][0] == "5"
    if exit_status := _EXIT_STATUS.search(text):
        return f"the command failed with exit status {exit_status[1]}", False
    # A sentence of the library; with a colon, digits or long words it would quote something.
    return text if _PROSE.fullmatch(text) else f"it failed with {type(error).__name__}", False
