"""What all calls of a bucket share: the client that carries them out, and their small checks."""

import re
from collections.abc import Mapping

from resumable.core.plan import MAX_OBJECT_SIZE, is_whole
from resumable.errors import InvalidArgumentError, ProtocolError
from resumable.oss.client import Client, Controls
from resumable.oss.messages import REQUEST_ID, Payload
from resumable.oss.operations import COPY_SOURCE, content_md5
from resumable.oss.transport import OpenAnswer

RANGE_BEHAVIOR = "x-oss-range-behavior"
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/(\*|[0-9]{1,19})", re.IGNORECASE)


class Calls:
    """A group of calls to one bucket."""

    _client: Client
    _controls: Controls

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self._client.target.bucket


def with_range(
    headers: Mapping[str, str], name: str, wanted: tuple[int, int] | None
) -> dict[str, str]:
    """The headers and that of a byte range, both ends included.

    Raises:
        InvalidArgumentError: it is none, or there is one already.
    """
    if wanted is None:
        return dict(headers)
    whole = isinstance(wanted, tuple) and all(is_whole(at, 0, MAX_OBJECT_SIZE) for at in wanted)
    if not whole or len(wanted) != 2 or wanted[0] > wanted[1]:
        raise InvalidArgumentError(f"{wanted!r} is not a first and a last byte")
    if name in headers:
        raise InvalidArgumentError(f"{name} is given by byte_range= and in headers=")
    return {**headers, name: f"bytes={wanted[0]}-{wanted[1]}"}


def check_range(
    answer: OpenAnswer, asked: Mapping[str, str], wanted: tuple[int, int] | None
) -> None:
    """Make sure that the bytes of an object that come are those that were asked for.

    Args:
        answer: To GetObject.
        asked: The headers of the request.
        wanted: First and last byte; None for all, unless a raw header says otherwise.

    Raises:
        ProtocolError: they are others.
    """
    told = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    if wanted is None:
        fits = answer.status != 206 or "range" in asked
    elif answer.status == 206:
        fits = told is not None and _is_range(told, wanted, answer.size)
    else:
        # All of it may be what was asked for, or what a raw header allows.
        is_all = wanted[0] == 0 and answer.size is not None and answer.size <= wanted[1] + 1
        fits = is_all or "if-range" in asked or asked.get(RANGE_BEHAVIOR) != "standard"
    if not fits:
        raise ProtocolError(
            "the server sends other bytes of the object than were asked for",
            request_id=answer.headers.get(REQUEST_ID, ""),
        )


def _is_range(told: re.Match[str], wanted: tuple[int, int], size: int | None) -> bool:
    first, last = int(told[1]), int(told[2])
    end = last if told[3] == "*" else int(told[3]) - 1
    return (
        first == wanted[0]
        and last >= first
        and last == min(wanted[1], end)
        and size in (None, last - first + 1)
    )


def not_a_copy(headers: dict[str, str]) -> dict[str, str]:
    """The headers of a call that carries data.

    Raises:
        InvalidArgumentError: the server would copy an object instead of taking the data.
    """
    if COPY_SOURCE in headers:
        raise InvalidArgumentError(
            f"{COPY_SOURCE} makes a copy of a call that carries data",
            advice="Use upload_part_copy",
        )
    return headers


def with_md5(headers: Mapping[str, str], body: Payload, wanted: bool) -> Mapping[str, str]:
    """The headers of a request with this body, which is made ready for it."""
    md5 = body.prepare(with_md5=wanted)
    return {**headers, **content_md5(md5)} if md5 is not None else headers
