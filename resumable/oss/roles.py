"""From the mode of a profile and its values to the provider of Alibaba Cloud's library."""

from collections.abc import Callable, Mapping

from resumable.oss.cloud import ASSUMED_ROLE, OIDC_ROLE, SERVICE, ProviderSpec, ecs_role

# What the values of the profile are called from which another one takes its key, in front.
SOURCE = "source."
_SHORTEST = 900  # seconds that STS gives a key for, at least

Values = Mapping[str, str]


def spec_of(mode: str, values: Values) -> ProviderSpec | str | None:
    """The provider for a mode.

    Args:
        mode: In lower case.
        values: By their names in lower case, without `-` and `_`.

    Returns:
        None if the mode is none of these; or what is wrong, as the end of a sentence.
    """
    make = _MODES.get(mode)
    return None if make is None else make(values)


def _key(values: Values) -> ProviderSpec | str:
    names = {"access_key_id": "accesskeyid", "access_key_secret": "accesskeysecret"}
    options = {option: values.get(name) for option, name in names.items()}
    # The library would take what is missing from the environment: another identity.
    if not all(options.values()):
        return "holds no access key to assume the role with"
    if token := values.get("ststoken"):
        return ProviderSpec("StaticSTSCredentialsProvider", {**options, "security_token": token})
    return ProviderSpec("StaticAKCredentialsProvider", options)


def _instance(values: Values) -> ProviderSpec:
    return ecs_role(_first(values, "ramrolename", "ecsrolename", "rolename"))


def _assumed(values: Values, source: ProviderSpec | str | None) -> ProviderSpec | str:
    if not isinstance(source, ProviderSpec):
        return source or "takes its key from a profile that gives none"
    role = _first(values, "ramrolearn", "rolearn")
    if role is None:
        return "names no role to assume"
    duration = _seconds(values)
    if isinstance(duration, str):
        return duration
    options = {
        "role_arn": role,
        "role_session_name": _first(values, "ramsessionname", "rolesessionname"),
        "external_id": values.get("externalid"),
        **_of_sts(values),
        **duration,
    }
    return ProviderSpec(ASSUMED_ROLE, options, source)


def _by_oidc(values: Values) -> ProviderSpec | str:
    duration = _seconds(values)
    if isinstance(duration, str):
        return duration
    options = {
        "role_arn": _first(values, "ramrolearn", "rolearn"),
        "oidc_provider_arn": values.get("oidcproviderarn"),
        "oidc_token_file_path": _first(values, "oidctokenfile", "oidctokenfilepath"),
        "role_session_name": _first(values, "rolesessionname", "ramsessionname"),
        **_of_sts(values),
        **duration,
    }
    return ProviderSpec(OIDC_ROLE, options)


def _chained(values: Values) -> ProviderSpec | str:
    inner = {
        name.removeprefix(SOURCE): value
        for name, value in values.items()
        if name.startswith(SOURCE)
    }
    if not inner:
        return "takes its key from a profile that is not there"
    mode = inner.get("mode", "").lower()
    return _assumed(values, _key(inner) if mode in ("", "ak", "ststoken") else spec_of(mode, inner))


def _service(values: Values) -> ProviderSpec | str:
    if not values.get("credentialsuri"):
        return "names no credentials_uri"
    return ProviderSpec(SERVICE, {"uri": values["credentialsuri"]})


def _of_sts(values: Values) -> dict[str, str | int | bool | None]:
    vpc = values.get("enablevpc")
    return {
        "policy": values.get("policy"),
        "sts_region_id": values.get("stsregion"),
        "enable_vpc": None if vpc is None else vpc.lower() == "true",
    }


def _seconds(values: Values) -> dict[str, int] | str:
    text = values.get("expiredseconds", "0")
    if not (text.isdecimal() and len(text) < 10):
        return "has an expired_seconds that is no number"
    if 0 < int(text) < _SHORTEST:
        return f"has an expired_seconds of less than {_SHORTEST}"
    return {"duration_seconds": int(text)} if int(text) else {}


def _first(values: Values, *names: str) -> str | None:
    return next((values[name] for name in names if values.get(name)), None)


_MODES: Mapping[str, Callable[[Values], ProviderSpec | str]] = {
    "ecsramrole": _instance,
    "ramrolearn": lambda values: _assumed(values, _key(values)),
    "ramrolearnwithecs": lambda values: _assumed(values, _instance(values)),
    "chainableramrolearn": _chained,
    "credentialsuri": _service,
    "oidc": _by_oidc,
    "oidcrolearn": _by_oidc,
}
