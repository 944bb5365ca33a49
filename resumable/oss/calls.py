"""What all calls of a bucket share: the client that carries them out, and their small checks."""

from collections.abc import Mapping

from resumable.core.plan import MAX_OBJECT_SIZE, is_whole
from resumable.errors import InvalidArgumentError
from resumable.oss.client import Client, Controls
from resumable.oss.messages import Payload
from resumable.oss.operations import COPY_SOURCE, content_md5


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
