"""Callbacks: whom OSS tells of an object once it is stored, and what it says."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from resumable.core.arguments import suggesting_fields
from resumable.core.headers import is_unicode
from resumable.errors import InvalidArgumentError

BodyType = Literal["application/x-www-form-urlencoded", "application/json"]

_MOST_URLS = 5
_VARIABLE = re.compile(r"(?:x:)?([a-z0-9_.-]+)")


@suggesting_fields
@dataclass(frozen=True, slots=True)
class Callback:
    """A POST that OSS sends to a server of yours when the object is stored.

    The server's answer comes back as `callback_body` of the result. Where it does not answer with
    200 within 5 seconds, CallbackFailedError says so: the object is stored all the same.

    Attributes:
        url: Where to, or up to 5 of them, of which OSS tries one after the other.
        body: What is sent. `${bucket}`, `${object}`, `${etag}`, `${size}`, `${mimeType}`,
            `${crc64}` and `${x:name}` for a variable of yours are filled in by OSS.
        host: The Host header, if not the URL's.
        body_type: Content-Type of the body.
        sni: Whether OSS names the host in TLS.
        variables: Your own, by name in lower case, with or without the `x:` before it.

    Raises:
        InvalidArgumentError: a URL, a name or the body cannot be used.
    """

    url: str | Sequence[str]
    body: str
    host: str | None = None
    body_type: BodyType = "application/x-www-form-urlencoded"
    sni: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        urls = self._urls
        if not 1 <= len(urls) <= _MOST_URLS or not all(map(_is_url, urls)):
            raise InvalidArgumentError(
                f"a callback goes to 1 to {_MOST_URLS} URLs, each as http://host/path"
            )
        if not _is_text(self.body):
            raise InvalidArgumentError("a callback needs a body, which is Unicode text")
        if self.host is not None and not (_is_text(self.host) and self.host.isprintable()):
            raise InvalidArgumentError(f"{self.host!r} is not a host")
        if self.body_type not in get_args(BodyType):
            raise InvalidArgumentError(
                f"the body of a callback is {' or '.join(get_args(BodyType))}"
            )
        if not isinstance(self.variables, Mapping):
            raise InvalidArgumentError("the variables of a callback are not a mapping")
        for name, value in self.variables.items():
            known = isinstance(name, str) and _VARIABLE.fullmatch(name)
            if not known or not (value == "" or _is_text(value)):
                raise InvalidArgumentError(
                    f"{name!r} is not a callback variable: lower-case letters, digits and _ to text"
                )
            if not name.startswith("x:") and f"x:{name}" in self.variables:
                raise InvalidArgumentError(f"the callback variable {name!r} is given twice")

    @property
    def encoded(self) -> str:
        """The value of `x-oss-callback`."""
        fields: dict[str, object] = {
            "callbackUrl": ";".join(self._urls),
            "callbackBody": self.body,
            "callbackBodyType": self.body_type,
        }
        if self.host is not None:
            fields["callbackHost"] = self.host
        if self.sni:
            fields["callbackSNI"] = True
        return _encode(fields)

    @property
    def encoded_variables(self) -> str:
        """The value of `x-oss-callback-var`."""
        return _encode(
            {f"x:{name.removeprefix('x:')}": value for name, value in self.variables.items()}
        )

    @property
    def _urls(self) -> tuple[str, ...]:
        urls = [self.url] if isinstance(self.url, str) else self.url
        return tuple(urls) if isinstance(urls, Sequence) else ()


def _encode(fields: Mapping[str, object]) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


def _is_text(value: object) -> bool:
    """Whether it is text, not empty, that can be written as UTF-8."""
    return isinstance(value, str) and bool(value) and is_unicode(value)


def _is_url(text: object) -> bool:
    if not isinstance(text, str) or not text.isprintable() or " " in text or ";" in text:
        return False
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname)
