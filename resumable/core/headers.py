"""The caller's headers: what may travel in one, and which goes to which call of an upload.

Values travel as UTF-8, whatever the header: metadata may hold any Unicode text, and what other
clients of OSS read is the same text.

With PutObject all headers go with the one request. With a multipart upload they must be spread: a
callback that is only given to Initiate is never called, and a forbid-overwrite that is only given
to Initiate does not hold at Complete.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from resumable.errors import InvalidArgumentError

ACL = "x-oss-object-acl"
FORBID_OVERWRITE = "x-oss-forbid-overwrite"
REQUEST_PAYER = "x-oss-request-payer"
TRAFFIC_LIMIT = "x-oss-traffic-limit"
CALLBACK = "x-oss-callback"
CALLBACK_VARIABLES = "x-oss-callback-var"
COMPLETE_ALL = "x-oss-complete-all"
META_PREFIX = "x-oss-meta-"

_AT_COMPLETE = {FORBID_OVERWRITE, CALLBACK, CALLBACK_VARIABLES, ACL}
_NOT_AT_INITIATE = _AT_COMPLETE - {FORBID_OVERWRITE} | {TRAFFIC_LIMIT}


@dataclass(frozen=True, slots=True)
class RoutedHeaders:
    """The caller's headers by the call that needs them.

    Attributes:
        put: For PutObject: all of them.
        initiate: For Initiate.
        owned: Those of them that the object will have, and so belong to the upload id.
        part: Those of each data request.
        complete: Those that take effect when the object appears.
        every: Those of all other calls (list, head, abort).
    """

    put: Mapping[str, str]
    initiate: Mapping[str, str]
    owned: Mapping[str, str]
    part: Mapping[str, str]
    complete: Mapping[str, str]
    every: Mapping[str, str]


# They would make another call of one (a copy, a Complete of whatever is there), or are conditions
# that no upload heeds.
_OF_OTHER_CALLS = (COMPLETE_ALL, "x-oss-copy-source", "range", "if-")


def route_headers(headers: Mapping[str, str]) -> RoutedHeaders:
    """Spread the caller's headers over the calls of an upload. Names come back in lower case.

    Raises:
        InvalidArgumentError: one of them has no place in an upload.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    for name in lowered:
        if name.startswith(_OF_OTHER_CALLS):
            raise InvalidArgumentError(f"the header {name} has no place in an upload of a file")

    def only(names: set[str]) -> dict[str, str]:
        return {name: value for name, value in lowered.items() if name in names}

    return RoutedHeaders(
        put=lowered,
        initiate=only(set(lowered) - _NOT_AT_INITIATE),
        owned=only(set(lowered) - _NOT_AT_INITIATE - {FORBID_OVERWRITE, REQUEST_PAYER}),
        part=only({REQUEST_PAYER, TRAFFIC_LIMIT}),
        complete=only(_AT_COMPLETE | {REQUEST_PAYER}),
        every=only({REQUEST_PAYER}),
    )


_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# C0, DEL, C1 and what is no Unicode at all.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# What frames, addresses and signs a request.
_OURS = frozenset(
    "authorization connection content-length date expect host te trailer transfer-encoding "
    "upgrade x-oss-content-sha256 x-oss-date x-oss-security-token".split()
)


def is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8: a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Lower the names of headers, strip the values, and refuse what cannot travel in one.

    Raises:
        InvalidArgumentError: a name is no token or one this library sets itself, or a value
            holds control characters.
    """
    checked: dict[str, str] = {}
    if not isinstance(headers, Mapping):
        raise InvalidArgumentError("headers are not a mapping of names to values")
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise InvalidArgumentError(f"{name!r} is not a header name")
        if name.lower() in _OURS:
            raise InvalidArgumentError(f"the header {name} is set by this library alone")
        if not isinstance(value, str) or _UNFIT.search(value):
            raise InvalidArgumentError(
                f"the header {name} holds a character that cannot travel in one",
                advice="Percent-encode control characters",
            )
        if name.lower() in checked:
            raise InvalidArgumentError(f"the header {name} is given twice: case does not count")
        # A server strips the spaces around a value before it checks the signature.
        checked[name.lower()] = value.strip(" ")
    return checked
