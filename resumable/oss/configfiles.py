"""The configuration files of ossutil, the Alibaba Cloud CLI and SDKs, as far as they matter here.

The only module of this layer that reads files. What stands in them is in no message and no
traceback: files of keys are what a support ticket must not quote.
"""

import configparser
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from resumable.errors import CredentialsError
from resumable.oss.cloud import CloudProvider, ProviderSpec
from resumable.oss.credentials import Credentials
from resumable.oss.endpoint import region_of
from resumable.oss.proxies import Proxy
from resumable.oss.roles import SOURCE, Values, spec_of

_log = logging.getLogger("resumable")

_MAX_SIZE = 1024 * 1024
_MOST_LINES = 10_000
_LONGEST_LINE = 2048  # a security token has about a thousand characters
_MOST_SOURCES = 8  # profiles that one takes its values from, by way of one another
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
_CONFIGURE = "Correct it, or set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET"

_USABLE_MODES = frozenset({"", "ak", "ststoken"})
_OTHER_MODES = {
    name.lower(): name
    for name in (
        "Anonymous ChainableRamRoleArn CloudSSO CredentialsURI EcsRamRole External OAuth OIDC "
        "OidcRoleArn Process RamRoleArn RamRoleArnWithEcs RsaKeyPair"
    ).split()
}

# What is read of a profile of the Alibaba Cloud CLI; an endpoint there would be another service's.
_READ = (
    "name mode access_key_id access_key_secret sts_token region_id ram_role_arn ram_role_name "
    "ram_session_name role_session_name oidc_provider_arn oidc_token_file external_id policy "
    "sts_region credentials_uri"
).split()
_READ_NUMBERS = ("expired_seconds", "enable_vpc")
# How the SDKs call the modes, and the token.
_TYPES = {
    "access_key": "ak",
    "sts": "ststoken",
    "ram_role_arn": "ramrolearn",
    "oidc_role_arn": "oidc",
    "ecs_ram_role": "ecsramrole",
    "rsa_key_pair": "rsakeypair",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What a file says under the profile that is chosen.

    Attributes:
        path: Of the file.
        values: By their names in lower case, without `-` and `_`.
        library: The class of Alibaba Cloud's library that reads such a file, if one does.
    """

    path: str
    values: Values = field(repr=False)
    library: str | None = None

    @property
    def endpoint(self) -> str | None:
        """The endpoint, if it names one."""
        return self.values.get("endpoint") or None

    @property
    def region(self) -> str | None:
        """The region, or the one that the endpoint's name tells."""
        named = self.values.get("region") or self.values.get("regionid")
        return named or region_of(self.endpoint or "")

    def credentials(self) -> Credentials | None:
        """The access key, if it holds one.

        Raises:
            CredentialsError: half a key, one that cannot be, or a way to get one that is not
                supported.
        """
        mode = self._mode()
        if mode not in _USABLE_MODES:
            named = _OTHER_MODES.get(mode)
            raise self._refusal(
                f"gives its access key by the mode {named}, which is not supported"
                if named
                else "names a mode that is not known",
                "Give Bucket a callable that fetches the key",
            )
        wanted = {"accesskeyid": "access key id", "accesskeysecret": "access key secret"}
        if mode == "ststoken":
            wanted["ststoken"] = "STS token"
        missing = [name for key, name in wanted.items() if not self.values.get(key)]
        if len(missing) == len(wanted):
            return None
        if missing:
            raise self._refusal(f"holds no {' and no '.join(missing)}")
        found = self._key(with_token=mode != "ak")
        if found is None:
            raise self._refusal("holds an access key with a character that no key has")
        return found

    def provider(self, proxy: Proxy | None = None) -> CloudProvider | None:
        """What fetches the key, where the profile names a role or the like instead of one.

        Args:
            proxy: What it asks STS through.

        Raises:
            CredentialsError: it takes a library that is not installed, or lacks something.
        """
        mode = self._mode()
        if mode in _USABLE_MODES or mode not in _OTHER_MODES:
            return None
        spec = spec_of(mode, self.values)
        if isinstance(spec, str):
            raise self._refusal(f"has the mode {_OTHER_MODES[mode]} and {spec}")
        if spec is None and self.library is not None:
            named = {"profile_file": self.path, "profile_name": self.values["name"]}
            spec = ProviderSpec(self.library, named)
        if spec is None:
            return None
        return CloudProvider(spec, f"the mode {_OTHER_MODES[mode]} of {self.path!r}", proxy)

    def _mode(self) -> str:
        named = self.values.get("mode", "").lower()
        has_role = self.values.get("ramrolearn") or self.values.get("rolearn")
        return "ramrolearn" if has_role and not named else named

    def _key(self, *, with_token: bool) -> Credentials | None:
        try:
            return Credentials(
                self.values["accesskeyid"],
                self.values["accesskeysecret"],
                (self.values.get("ststoken") or None) if with_token else None,
            )
        except CredentialsError:
            return None

    def _refusal(self, told: str, advice: str = _CONFIGURE) -> CredentialsError:
        return CredentialsError(f"{self.path!r} {told}", advice=advice)


def profiles(wanted: str | None = None) -> Iterator[Profile]:
    """The profiles of the files that there are, first ossutil's; each is read when it is asked for.

    Args:
        wanted: Only those of this name. Default: what the environment or the file chooses.

    Raises:
        CredentialsError: a file that is named or there cannot be read or understood, or none has
            the profile that is wanted.
    """
    # The last two files share a variable: what it names stands in one of them.
    seen, lacking = set[str](), None
    for format_ in (_OSSUTIL, _ALIBABA_CLOUD, _SDK):
        found = format_.profile(wanted)
        if isinstance(found, Profile):
            seen.add(format_.profile_variable)
            yield found
        elif found is not None:
            lacking = lacking or found
            if format_ is _OSSUTIL:
                raise lacking
    if lacking is not None and _PROFILE_VARIABLE not in seen:
        raise lacking
    if wanted and not seen:
        places = ", ".join(format_.default_paths[0] for format_ in (_OSSUTIL, _ALIBABA_CLOUD, _SDK))
        raise CredentialsError(
            f"there is no profile {wanted!r} in {places}", advice="Check the name of the profile"
        )


def is_ecs_instance() -> bool:
    """Whether this machine says that it is an ECS instance of Alibaba Cloud."""
    told = _read(_PRODUCT_NAME, is_private=False)
    return isinstance(told, bytes) and told.startswith(b"Alibaba Cloud ECS")


@dataclass(frozen=True, slots=True)
class _Format:
    """Where the files of a program are and how they are read.

    Attributes:
        default_paths: Of them the first that is there counts.
        parse: From the text, and the name of the profile that is wanted, to its values; to None
            if there is no such profile; or to a sentence that says what is wrong.
    """

    default_paths: tuple[str, ...]
    path_variable: str
    profile_variable: str
    parse: Callable[[str, str | None], Values | str | None]
    library: str | None = None

    def profile(self, wanted: str | None) -> Profile | CredentialsError | None:
        """The profile that is chosen; None if there is no file, or no profile that is wanted.

        An error is returned if the file lacks the one that the variable names.

        Raises:
            CredentialsError: the file cannot be read or understood, or one that is named is not
                there.
        """
        named = os.environ.get(self.path_variable)
        chosen = wanted or os.environ.get(self.profile_variable)
        for place in (named,) if named else self.default_paths:
            path = os.path.expanduser(place)
            is_there, found = self._values(path, chosen)
            if not is_there:
                continue
            if found is None and not wanted:
                told = f"{path!r} has no profile of the name that {self.profile_variable} gives"
                return CredentialsError(told, advice=_CONFIGURE)
            if isinstance(found, str):
                raise CredentialsError(f"{path!r} {found}", advice=_CONFIGURE)
            return None if found is None else Profile(path, found, self.library)
        if named:
            raise CredentialsError(f"{self.path_variable} names {named!r}, which is not there")
        return None

    def _values(self, path: str, chosen: str | None) -> tuple[bool, Values | str | None]:
        """Whether there is a file, and what it says, or what is wrong with it."""
        # Nothing may be taken from a folder called `~` where there is no home.
        content = None if path.startswith("~") else _read(path)
        if not isinstance(content, bytes):
            return content is not None, content
        try:
            return True, self.parse(content.decode("utf-8-sig"), chosen)
        except UnicodeDecodeError:
            return True, "is not UTF-8 text"


def _read(path: str, *, is_private: bool = True) -> bytes | str | None:
    """The content of a file, or what is wrong with it, or None if it is not there."""
    try:
        descriptor = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"cannot be opened: {error.strerror or error}"
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return "is not a regular file"
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(_MAX_SIZE + 1)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    finally:
        os.close(descriptor)
    if is_private and os.name == "posix" and found.st_mode & _OTHERS:
        _log.warning("%r is open to other users of this machine: chmod 600 it", path)
    return content if len(content) <= _MAX_SIZE else "is larger than any configuration file"


class _Ini(configparser.ConfigParser):
    """INI as ossutil writes it: names in several spellings, `#` for comments."""

    def __init__(self) -> None:
        super().__init__(
            interpolation=None, delimiters=("=",), comment_prefixes=("#", ";"), default_section=""
        )

    def optionxform(self, optionstr: str) -> str:
        return _plain(optionstr)


def _parse_ossutil(text: str, wanted: str | None) -> Values | str | None:
    sections = _sections(text)
    if sections is None:
        return "is no INI file that ossutil could have written"
    name = (wanted or "default").lower()
    profile = _ossutil_profile(sections, name)
    if profile is None:
        return None if wanted else sections.get("credentials", {})  # of ossutil 1
    values, source = dict(profile), profile.get("sourceprofile")
    for _ in range(_MOST_SOURCES):
        if not source:
            return values
        profile = _ossutil_profile(sections, source.lower())
        if profile is None:
            return "has no profile of the name that a source_profile gives"
        values, source = {**profile, **values}, profile.get("sourceprofile")
    return "has profiles that take their values from one another without end"


def _sections(text: str) -> dict[str, Values] | None:
    """The sections by their names in lower case; None if it is no INI file."""
    # The parser's own pattern takes quadratic time for blanks in a line.
    lines = text.splitlines()
    if len(lines) > _MOST_LINES or any(len(line) > _LONGEST_LINE for line in lines):
        return None
    parser = _Ini()
    try:
        parser.read_string(text)
    except configparser.Error:
        return None  # the error quotes the line
    found: dict[str, Values] = {
        " ".join(name.lower().split()): {key: _unquoted(value) for key, value in parser.items(name)}
        for name in parser.sections()
    }
    return found if len(found) == len(parser.sections()) else None


def _ossutil_profile(sections: Mapping[str, Values], name: str) -> Values | None:
    short = sections.get("default") if name == "default" else None
    return short if short is not None else sections.get(f"profile {name}")


def _parse_sdk(text: str, wanted: str | None) -> Values | str | None:
    sections = _sections(text)
    if sections is None:
        return "is no INI file that an SDK could have written"
    name = wanted or "default"
    found = sections.get(name.lower())
    if found is None:
        return None if wanted else {}
    values = {key: value.split("#")[0].strip() for key, value in found.items()} | {"name": name}
    kind = values.pop("type", "access_key").lower()
    values["mode"] = _TYPES.get(kind, kind)
    if "securitytoken" in values:
        values["ststoken"] = values["securitytoken"]
    return values


def _parse_alibaba_cloud(text: str, wanted: str | None) -> Values | str | None:
    found = _json(text)
    listed = found.get("profiles", []) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(listed, list):
        return "is no JSON file that the Alibaba Cloud CLI could have written"
    name = wanted or found.get("current") or "default"
    values = _profile_named(listed, name, _MOST_SOURCES)
    if values is not None or wanted:
        return values
    return "has no profile of the name that stands there as current" if listed else {}


def _profile_named(listed: list[object], name: object, depth: int) -> Values | None:
    """The values of a profile, and those of the one that it takes its key from."""
    for profile in listed:
        if not isinstance(profile, dict) or profile.get("name") != name:
            continue
        values = {_plain(key): profile[key] for key in _READ if isinstance(profile.get(key), str)}
        for key in _READ_NUMBERS:
            if isinstance(profile.get(key), int):
                values[_plain(key)] = str(profile[key])
        if depth and profile.get("source_profile"):
            source = _profile_named(listed, profile["source_profile"], depth - 1) or {}
            values |= {SOURCE + key: value for key, value in source.items()}
        return values
    return None


def _json(text: str) -> object:
    """What a JSON text holds; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None  # the error holds the whole text


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "")


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


_PRODUCT_NAME = "/sys/class/dmi/id/product_name"
_PROFILE_VARIABLE = "ALIBABA_CLOUD_PROFILE"
_OSSUTIL = _Format(("~/.ossutilconfig",), "OSSUTIL_CONFIG_FILE", "OSSUTIL_PROFILE", _parse_ossutil)
_ALIBABA_CLOUD = _Format(
    (os.path.join("~", ".aliyun", "config.json"),),
    "ALIBABA_CLOUD_CONFIG_FILE",
    _PROFILE_VARIABLE,
    _parse_alibaba_cloud,
    library="CLIProfileCredentialsProvider",
)
_SDK = _Format(
    tuple(os.path.join("~", ".alibabacloud", name) for name in ("credentials.ini", "credentials")),
    "ALIBABA_CLOUD_CREDENTIALS_FILE",
    _PROFILE_VARIABLE,
    _parse_sdk,
    library="ProfileCredentialsProvider",
)
