"""Which of the caller's headers goes to which call of a multipart upload.

With PutObject all headers go with the one request. With a multipart upload they must be spread:
a callback that is only given to Initiate is never called, and a forbid-overwrite that is only
given to Initiate does not hold at Complete.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FORBID_OVERWRITE = "x-oss-forbid-overwrite"
REQUEST_PAYER = "x-oss-request-payer"
TRAFFIC_LIMIT = "x-oss-traffic-limit"
CALLBACK = "x-oss-callback"

_AT_COMPLETE = {FORBID_OVERWRITE, CALLBACK, "x-oss-callback-var", "x-oss-object-acl"}
_NOT_AT_INITIATE = _AT_COMPLETE - {FORBID_OVERWRITE} | {TRAFFIC_LIMIT}


@dataclass(frozen=True, slots=True)
class RoutedHeaders:
    """The caller's headers by the call that needs them.

    Attributes:
        put: For PutObject: all of them.
        initiate: Those that belong to the upload id.
        part: Those of each data request.
        complete: Those that take effect when the object appears.
        every: Those of all other calls (list, head, abort).
    """

    put: Mapping[str, str]
    initiate: Mapping[str, str]
    part: Mapping[str, str]
    complete: Mapping[str, str]
    every: Mapping[str, str]


def route_headers(headers: Mapping[str, str]) -> RoutedHeaders:
    """Spread the caller's headers over the calls of an upload. Names come back in lower case."""
    lowered = {name.lower(): value for name, value in headers.items()}

    def only(names: set[str]) -> dict[str, str]:
        return {name: value for name, value in lowered.items() if name in names}

    return RoutedHeaders(
        put=lowered,
        initiate=only(set(lowered) - _NOT_AT_INITIATE),
        part=only({REQUEST_PAYER, TRAFFIC_LIMIT}),
        complete=only(_AT_COMPLETE | {REQUEST_PAYER}),
        every=only({REQUEST_PAYER}),
    )
