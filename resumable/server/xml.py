"""The documents of the protocol: written by escaping, read without entities."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from resumable.server.errors import OssError

# Of a list of 10,000 parts, with a third child that we do not read.
_MAX_TAGS = 90_000
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(name: str, *children: str) -> str:
    """Return an element around children that are XML already."""
    return f"<{name}>{''.join(children)}</{name}>"


def text(name: str, value: object) -> str:
    """Return an element that holds text; characters XML cannot carry become `?`."""
    return element(name, escape(_NOT_XML.sub("?", str(value)), {"\r": "&#13;"}))


def document(name: str, children: Iterable[str]) -> bytes:
    """Return a whole document."""
    return (_DECLARATION + element(name, *children)).encode("utf-8")


def timestamp(moment: float) -> str:
    """Return a moment as documents print it: in UTC, whole seconds, milliseconds of zero."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def name(tag: str, value: str, encoding_type: str) -> str:
    """Return an element that holds a key, under the encoding the client asked for."""
    return text(tag, quote(value, safe="-_.~/*") if encoding_type == "url" else value)


def error_document(error: OssError, request_id: str, host: str) -> bytes:
    """Return the `<Error>` document of a refusal."""
    fields = [
        text("Code", error.code),
        text("Message", error.message),
        text("RequestId", request_id),
        text("HostId", host),
        *(text(name, value) for name, value in error.details.items()),
        text("EC", error.ec),
    ]
    return document("Error", fields)


def parse_part_list(body: bytes) -> list[tuple[int, str]]:
    """Return the `(part number, ETag without quotes)` pairs of a Complete request.

    Raises:
        OssError: MalformedXML when the document is not one, or names no part.
    """
    if body.count(b"<") > _MAX_TAGS:
        raise OssError("MalformedXML")
    try:
        root = defusedxml.ElementTree.fromstring(body)
        parts = [
            (int(part.findtext("PartNumber", "")), part.findtext("ETag", "").strip().strip('"'))
            for part in root
            if part.tag == "Part"
        ]
    except (SyntaxError, ValueError, LookupError, DefusedXmlException) as problem:
        raise OssError("MalformedXML") from problem
    if root.tag != "CompleteMultipartUpload" or not parts:
        raise OssError("MalformedXML")
    return parts
