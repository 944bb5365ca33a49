"""Endpoints: where a bucket is, and how its name and a key become a URL."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args
from urllib.parse import quote, urlsplit

from resumable.core.arguments import suggesting
from resumable.errors import InvalidArgumentError

Style = Literal["virtual", "path", "cname"]
Acceleration = bool | Literal["overseas"]

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_REGION_ID = re.compile(r"[a-z0-9-]{1,63}")
_REGION = re.compile(r"(?:.+\.)?oss-([a-z]{2}-[a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_KEY_BYTES = 1023
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Scheme, host and port of a service, and how a bucket is addressed there.

    The style is `virtual` (`bucket.host`), `path` (`host/bucket/key`, for an IP address and for
    localhost) or `cname` (the host is the bucket's own).
    """

    scheme: str
    host: str
    port: int | None
    style: Style

    @classmethod
    def parse(cls, text: str, *, style: Style | None = None) -> "Endpoint":
        """Read an endpoint such as `https://oss-cn-hangzhou.aliyuncs.com`.

        Without a scheme it is HTTPS. Without a style, an IP address or localhost gets the path
        style and everything else the virtual-hosted one.

        Raises:
            InvalidArgumentError: it is no endpoint, or names more than scheme, host and port.
        """
        advice = "Write it as https://oss-cn-hangzhou.aliyuncs.com"
        if not isinstance(text, str) or not text.isprintable() or " " in text:
            raise InvalidArgumentError("the endpoint is not a URL", advice=advice)
        if "@" in text:  # wherever it stands, what is before it may be a password
            raise InvalidArgumentError("the endpoint holds credentials", advice=advice)
        try:
            url = urlsplit(text if "://" in text else f"https://{text}")
            host, port = url.hostname or "", url.port
        except ValueError:
            raise InvalidArgumentError("the endpoint is not a URL", advice=advice) from None
        more = url.path not in ("", "/") or url.query or url.fragment
        named = _is_address(host) or _HOST.fullmatch(host)
        if url.scheme not in ("http", "https") or more or not named:
            # What was given is not repeated: it may be a signed URL.
            raise InvalidArgumentError("the endpoint is not http(s)://host", advice=advice)
        if style not in (None, *get_args(Style)) or (style == "virtual" and _is_address(host)):
            raise InvalidArgumentError(f"the style {style!r} does not fit the endpoint {host}")
        local = _is_address(host) or host == "localhost"
        default_port = DEFAULT_PORTS[url.scheme]
        return cls(
            url.scheme,
            host,
            None if port == default_port else port,
            style or ("path" if local else "virtual"),
        )

    @property
    def region(self) -> str | None:
        """The region this endpoint's name tells, such as `cn-hangzhou`."""
        match = _REGION.fullmatch(self.host)
        return match.group(1) if match else None

    def __str__(self) -> str:
        return f"{self.scheme}://{self._authority(self.host)}"

    def origin(self, bucket: str) -> str:
        """Scheme, host and port of a request to this bucket."""
        host = f"{bucket}.{self.host}" if self.style == "virtual" else self.host
        return f"{self.scheme}://{self._authority(host)}"

    def path(self, bucket: str, key: str | None) -> str:
        """The path of a request, percent-encoded as it is signed."""
        prefix = f"/{bucket}/" if self.style == "path" else "/"
        return prefix + encode_path(key or "")

    def _authority(self, host: str) -> str:
        bracketed = f"[{host}]" if ":" in host else host
        return bracketed if self.port is None else f"{bracketed}:{self.port}"


def read_endpoint(
    given: Endpoint | InvalidArgumentError | str | None, style: Style | None
) -> Endpoint | InvalidArgumentError | None:
    """Read the `endpoint=` of a caller or the value of a variable; None if it is empty.

    An error is returned, not raised, so that no frame of its traceback holds what was given: it
    may be a URL with a password.
    """
    if not given or isinstance(given, Endpoint | InvalidArgumentError):
        return given or None
    try:
        return Endpoint.parse(given, style=style)
    except InvalidArgumentError as error:
        return error.with_traceback(None)


@suggesting
def endpoint_for(
    region: str | None, *, internal: bool = False, accelerate: Acceleration = False
) -> str:
    """The endpoint of a region, as a URL.

    Args:
        region: `cn-hangzhou` or the like; acceleration needs none.
        internal: The one for machines inside Alibaba Cloud, in the same region.
        accelerate: The one of transfer acceleration, or with `overseas` the one for what is
            outside the Chinese mainland.

    Raises:
        InvalidArgumentError: there is no such endpoint.
    """
    if internal and accelerate:
        raise InvalidArgumentError("internal= and accelerate= contradict each other")
    if accelerate:
        if accelerate not in (True, "overseas"):
            raise InvalidArgumentError(f"accelerate={accelerate!r}; it is True or 'overseas'")
        name = "oss-accelerate-overseas" if accelerate == "overseas" else "oss-accelerate"
        return f"https://{name}.aliyuncs.com"
    if not region:
        raise InvalidArgumentError(
            "no region to derive the endpoint from", advice="Give region= or set OSS_REGION"
        )
    return f"https://oss-{check_region(region)}{'-internal' if internal else ''}.aliyuncs.com"


def check_region(region: str) -> str:
    """Check a region, and drop the `oss-` that other programs write in front of it.

    Raises:
        InvalidArgumentError: it is none.
    """
    known = region.removeprefix("oss-") if isinstance(region, str) else ""
    if not _REGION_ID.fullmatch(known):
        raise InvalidArgumentError(f"{region!r} is not a region, such as cn-hangzhou")
    return known


def region_of(endpoint: str) -> str | None:
    """The region that the name of an endpoint tells, if it is an endpoint and tells one."""
    try:
        return Endpoint.parse(endpoint).region
    except InvalidArgumentError:
        return None


@lru_cache(maxsize=256)
def encode_path(key: str) -> str:
    """Percent-encode a key: all but letters, digits, `-_.~` and `/`."""
    return quote(key, safe="/")


@lru_cache(maxsize=1024)
def encode_query(text: str) -> str:
    """Percent-encode one side of a query parameter: all but letters, digits and `-_.~`."""
    return quote(text, safe="")


def check_bucket_name(name: str) -> str:
    """Check a bucket's name against OSS's rule: 3 to 63 lower-case letters, digits and hyphens.

    Raises:
        InvalidArgumentError: it breaks the rule.
    """
    if not isinstance(name, str) or not _BUCKET.fullmatch(name):
        raise InvalidArgumentError(
            f"{name!r} is not a bucket name: 3 to 63 lower-case letters, digits and hyphens"
        )
    return name


def check_key(key: str) -> str:
    """Check a key: 1 to 1,023 bytes of UTF-8, no slash of either kind in front.

    Control characters are refused as well: XML, which lists are made of, cannot carry them.

    Raises:
        InvalidArgumentError: it breaks the rule.
    """
    if not isinstance(key, str):
        raise InvalidArgumentError(f"the key {key!r} is not text")
    if _CONTROL.search(key):
        raise InvalidArgumentError(f"the key {key!r} holds a control character")
    try:
        size = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"the key {key!r} is not Unicode text") from None
    if not 1 <= size <= _MAX_KEY_BYTES:
        raise InvalidArgumentError(f"a key of {size} bytes; OSS takes 1 to {_MAX_KEY_BYTES}")
    if key[0] in "/\\":
        raise InvalidArgumentError(f"the key {key!r} begins with {key[0]!r}, which OSS refuses")
    return key


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
