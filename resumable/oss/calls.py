"""What all calls of a bucket share: the client that carries them out, and their small checks."""

from collections.abc import Mapping

from resumable.errors import InvalidArgumentError
from resumable.oss.client import Client, Controls
from resumable.oss.messages import Payload
from resumable.oss.operations import content_md5

NO_HEADERS: Mapping[str, str] = {}


class Calls:
    """A group of calls to one bucket."""

    _client: Client
    _controls: Controls

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self._client.target.bucket


def is_whole(number: object, least: int, most: int) -> bool:
    """Whether it is an int from `least` to `most`."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


def range_header(name: str, wanted: tuple[int, int] | None) -> dict[str, str]:
    """A header of a byte range, both ends included.

    Raises:
        InvalidArgumentError: it is none.
    """
    if wanted is None:
        return {}
    first, last = wanted
    if not 0 <= first <= last:
        raise InvalidArgumentError(f"{wanted} is not a first and a last byte")
    return {name: f"bytes={first}-{last}"}


def with_md5(headers: Mapping[str, str], body: Payload, wanted: bool) -> Mapping[str, str]:
    """The headers of a request with this body, which is made ready for it."""
    md5 = body.prepare(with_md5=wanted)
    return {**headers, **content_md5(md5)} if md5 is not None else headers
