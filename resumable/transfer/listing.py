"""All parts that the server has of an upload, and when it said so."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from resumable.core.reconcile import ListedPart
from resumable.oss.bucket import Bucket


@dataclass(frozen=True, slots=True)
class ListedParts:
    """The parts of an upload, ascending.

    `server_time` is the server's clock when it began to list them (seconds since the epoch), None
    if it does not tell. The upload was unfinished then.
    """

    parts: list[ListedPart]
    server_time: float | None


def list_all_parts(
    bucket: Bucket, key: str, upload_id: str, headers: Mapping[str, str]
) -> ListedParts:
    """List the parts of an upload, in as many pages as it takes.

    Raises:
        NoSuchUploadError: it was completed or aborted, or never was.
    """
    page = bucket.list_parts(key, upload_id, headers=headers)
    listed = ListedParts([*page.parts], page.server_time)
    while page.is_truncated:
        page = bucket.list_parts(
            key, upload_id, part_number_marker=page.next_marker, headers=headers
        )
        listed.parts.extend(page.parts)
    return listed


def whole_seconds(server_time: float | None) -> int | None:
    """A server's time as a checkpoint records it."""
    return None if server_time is None else max(0, math.floor(server_time))
