"""The content type of an object whose caller gives none."""

import mimetypes
from collections.abc import Mapping
from functools import cache

from resumable.oss.messages import CONTENT_TYPE

UNKNOWN = "application/octet-stream"

# What the content is once compressed; without Content-Encoding nobody would unpack it.
_COMPRESSED = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}


def guess_content_type(*names: str) -> str:
    """The content type by the first of these names whose ending tells one.

    Only Python's own table is asked, so that the answer does not depend on the machine.
    """
    for name in names:
        # As a path: a key is no URL, whatever it looks like.
        kind, encoding = _table().guess_type("./" + name.rpartition("/")[2])
        if encoding is not None:
            return _COMPRESSED.get(encoding, UNKNOWN)
        if kind is not None:
            return kind
    return UNKNOWN


def with_content_type(headers: Mapping[str, str], *names: str) -> Mapping[str, str]:
    """The headers, with a content type by the names unless they have one."""
    if CONTENT_TYPE in headers:
        return headers
    return {**headers, CONTENT_TYPE: guess_content_type(*names)}


@cache
def _table() -> mimetypes.MimeTypes:
    try:
        return mimetypes.MimeTypes()
    except (OSError, ValueError):
        # The first one has the machine's tables read as well, for others; they cannot be read.
        return mimetypes.MimeTypes()
