"""Credentials that Alibaba Cloud's own library fetches: roles, OIDC, and profiles of these.

Needs alibabacloud-credentials, which the extra `credentials` installs. It is loaded when one of
these is asked for. It keeps what it fetched until shortly before the end, and then fetches anew.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from resumable.errors import CredentialsError
from resumable.oss.credentials import Credentials

ECS_METADATA = "ALIBABA_CLOUD_ECS_METADATA"
ECS_METADATA_DISABLED = "ALIBABA_CLOUD_ECS_METADATA_DISABLED"
CREDENTIALS_URI = "ALIBABA_CLOUD_CREDENTIALS_URI"
OIDC = {
    "role_arn": "ALIBABA_CLOUD_ROLE_ARN",
    "oidc_provider_arn": "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
    "oidc_token_file_path": "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
}
# What a refusal may quote of an answer that was a success after all.
_SECRETS = re.compile(r"(Secret|Token|Signature)(\W+)[^\s\"',}&]+", re.IGNORECASE)
_MOST_TOLD = 300
_ADVICE = "Correct what is set there, or set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET"


class CloudProvider:
    """A provider of the library as one of this package. Its `repr` and its errors show no secret.

    Args:
        name: The class of the library.
        source: How to call it in an error.
        options: What the class is made with.

    Raises:
        CredentialsError: the library is not installed, or refuses the options.
    """

    def __init__(self, name: str, source: str, **options: str | bool | None) -> None:
        self._source = source
        kind, failure = _library(name, source), ""
        try:
            self._provider: Any = kind(**options)
        except Exception as error:  # noqa: BLE001 - the library raises all kinds
            failure = _told(error)
        if failure:
            del options  # one may be a secret, and this is a frame of the traceback
            raise CredentialsError(f"{source} cannot be used: {failure}", advice=_ADVICE)

    def __call__(self) -> Credentials:
        """The credentials as they are now.

        Raises:
            CredentialsError: there are none, or they cannot be fetched.
        """
        found = self._asked()
        if isinstance(found, str):
            # Raised here, without the frames that hold what the service answered.
            raise CredentialsError(f"{self._source} gave no access key: {found}", advice=_ADVICE)
        return found

    def _asked(self) -> Credentials | str:
        try:
            got = self._provider.get_credentials()
            return Credentials(
                got.get_access_key_id(),
                got.get_access_key_secret(),
                got.get_security_token() or None,
            )
        except Exception as error:  # noqa: BLE001 - the library raises all kinds
            return _told(error)


def oidc_of(environ: Mapping[str, str]) -> CloudProvider | None:
    """A role by an OIDC token (RRSA in ACK), if the environment names all it takes."""
    named = {option: environ.get(name) for option, name in OIDC.items()}
    if not all(named.values()):
        return None
    named["role_session_name"] = environ.get("ALIBABA_CLOUD_ROLE_SESSION_NAME")
    named["sts_region_id"] = environ.get("ALIBABA_CLOUD_STS_REGION")
    source = f"the role {named['role_arn']} by OIDC"
    return CloudProvider("OIDCRoleArnCredentialsProvider", source, **named)


def ecs_role_of(environ: Mapping[str, str], *, is_ecs: bool) -> CloudProvider | None:
    """The RAM role of this ECS instance, if it is one or the environment names the role."""
    named = environ.get(ECS_METADATA)
    if environ.get(ECS_METADATA_DISABLED, "").lower() == "true" or not (named or is_ecs):
        return None
    source = f"the RAM role {named} of this instance" if named else "this instance's RAM role"
    return ecs_role(named, source, environ)


def ecs_role(name: str | None, source: str, environ: Mapping[str, str]) -> CloudProvider:
    """A RAM role of this ECS instance.

    Args:
        name: Of the role. Default: the one that the instance has.
        source: How to call it in an error.
        environ: The environment.

    Raises:
        CredentialsError: the library would send the role's key through a proxy.
    """
    _check_route(source, environ)
    kind = "EcsRamRoleCredentialsProvider"
    return CloudProvider(kind, source, role_name=name, async_update_enabled=False)


def service_of(environ: Mapping[str, str]) -> CloudProvider | None:
    """The service that the environment names as giving credentials."""
    uri = environ.get(CREDENTIALS_URI)
    if not uri:
        return None
    source = f"the service that {CREDENTIALS_URI} names"
    if uri.startswith("http:"):
        _check_route(source, environ)
    return CloudProvider("URLCredentialsProvider", source, uri=uri)


def _check_route(source: str, environ: Mapping[str, str]) -> None:
    """Make sure that no proxy reads a key; the library does not heed NO_PROXY."""
    is_proxied = any(environ.get(name) for name in ("HTTP_PROXY", "http_proxy"))
    del environ  # it may hold a secret, and this is a frame of the traceback
    if is_proxied:
        raise CredentialsError(
            f"{source} would be asked through the proxy that HTTP_PROXY names",
            advice="Unset HTTP_PROXY, and give the proxy by proxy= or --proxy",
        )


def _library(name: str, source: str) -> Any:  # noqa: ANN401 - the library has no types
    try:
        from alibabacloud_credentials import (  # noqa: PLC0415 - only who uses it has it installed
            provider,
        )
    except ImportError:
        pass
    else:
        # It prints tracebacks with whole URLs, tokens included. What fails is raised here anyway.
        logging.getLogger("credentials").setLevel(logging.CRITICAL)
        return getattr(provider, name)
    raise CredentialsError(
        f"{source} needs alibabacloud-credentials, which is not installed",
        advice="Install it: pip install 'oss-resumable[credentials]'",
    )


def _told(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return _SECRETS.sub(r"\1\2***", text)[:_MOST_TOLD]
