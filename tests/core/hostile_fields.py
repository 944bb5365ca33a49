"""Checkpoints whose checksum is right and of whose fields one is not what it may be."""

import copy
from collections.abc import Iterator

from tests.core.checkpoint_content import (
    Fields,
    canonical,
    checkpoint,
    destination,
    part,
    parts,
    source,
    without,
)

# What stands there instead, by the name of its type, unless that is the right one.
_OTHER_TYPES: dict[str, object] = {
    "null": None,
    "true": True,
    "list": [],
    "text": "1",
    "number": 7,
}
_TEXT, _NUMBER, _CRC, _LIST, _OBJECT = ("text", "number", "text number", "list", "object")
_NUMBER_OR_NULL = "number null"
_FIELDS: dict[tuple[str, ...], str] = {
    ("kind",): _TEXT,
    ("destination",): _OBJECT,
    ("destination", "endpoint"): _TEXT,
    ("destination", "bucket"): _TEXT,
    ("destination", "key"): _TEXT,
    ("upload_id",): _TEXT,
    ("file",): _OBJECT,
    ("file", "path"): _TEXT,
    ("file", "size"): _NUMBER,
    ("file", "mtime_ns"): _NUMBER,
    ("file", "ctime_ns"): _NUMBER,
    ("file", "inode"): _NUMBER,
    ("part_size",): _NUMBER,
    ("headers_digest",): _TEXT,
    ("initiated",): _NUMBER_OR_NULL,
    ("parts",): _LIST,
    ("parts", "number"): _NUMBER,
    ("parts", "size"): _NUMBER,
    ("parts", "etag"): _TEXT,
    ("parts", "crc64"): _CRC,
}


def changed(where: tuple[str, ...], value: object) -> Fields:
    """The example with the field at this place, of its second part where it is one of a part."""
    content = copy.deepcopy(checkpoint())
    inner = content
    for step in where[:-1]:
        inner = inner[step][1] if step == "parts" else inner[step]
    inner[where[-1]] = value
    return content


def _of_other_types() -> Iterator[tuple[str, Fields]]:
    for where, right in _FIELDS.items():
        for told, value in _OTHER_TYPES.items():
            if told not in right.split():
                yield f"type-{'-'.join(where).replace('_', '-')}-{told}", changed(where, value)


def _missing() -> Iterator[tuple[str, Fields]]:
    for where in _FIELDS:
        content = copy.deepcopy(checkpoint())
        inner = content
        for step in where[:-1]:
            inner = inner[step][1] if step == "parts" else inner[step]
        del inner[where[-1]]
        yield f"gone-{'-'.join(where).replace('_', '-')}", content


_TOO_LARGE: dict[tuple[str, ...], tuple[int, ...]] = {
    ("file", "size"): (10**9 * 102_400, 1 << 63, 10**100),
    ("file", "mtime_ns"): (-(10**100), 10**400),
    ("file", "ctime_ns"): (1 << 95, -(1 << 95)),
    ("initiated",): (-1, 1 << 40, 10**400),
    ("file", "inode"): (10**100,),
    ("part_size",): (1 << 31, 10**9 * 10**9, 102_399),
    ("parts", "number"): (10**9, 1 << 31, 1 << 64, -(10**9)),
    ("parts", "size"): (1 << 63, 10**100),
    ("parts", "crc64"): (1 << 64, -1),
}


def _numbers() -> Iterator[tuple[str, Fields]]:
    for where, values in _TOO_LARGE.items():
        for n, value in enumerate(values, 1):
            if where != ("part_size",) or not 102_400 <= value <= 5 << 30:
                yield f"number-{'-'.join(where).replace('_', '-')}-{n}", changed(where, value)


_ALPHABETS: dict[str, Fields] = {
    "kind-upper-case": checkpoint(kind="UPLOAD"),
    "kind-cyrillic": checkpoint(kind="u\u0440load"),
    "kind-space": checkpoint(kind="upload "),
    "kind-nul": checkpoint(kind="upload\0"),
    "upload-id-full-width": checkpoint(upload_id="\uff10\uff11"),
    "upload-id-zero-width": checkpoint(upload_id="0004\u200b"),
    "upload-id-nul": checkpoint(upload_id="id\0"),
    "upload-id-escape": checkpoint(upload_id="\x1b[2J"),
    "upload-id-tab": checkpoint(upload_id="a\tb"),
    "upload-id-delete": checkpoint(upload_id="a\x7f"),
    "upload-id-space": checkpoint(upload_id="a b"),
    "bucket-right-to-left": destination(bucket="\u202eexamplebucket"),
    "bucket-cyrillic": destination(bucket="ex\u0430mplebucket"),
    "bucket-long": destination(bucket="b" * 256),
    "bucket-nul": destination(bucket="examplebucket\0"),
    "endpoint-space": destination(endpoint="https://oss-cn-hangzhou.aliyuncs.com /"),
    "endpoint-cyrillic": destination(endpoint="https://oss-cn-h\u0430ngzhou.aliyuncs.com"),
    "endpoint-empty": destination(endpoint=""),
    "endpoint-newline": destination(endpoint="https://oss-cn-hangzhou.aliyuncs.com\n"),
    "path-too-long": source(path="p" * 65_537),
    "etag-chinese": parts(part(1, etag="\u7f16\u53f7")),
    "etag-nul": parts(part(1, etag="A\0")),
    "etag-newline": parts(part(1, etag="A\r\nHost: evil")),
    "crc64-full-width": parts(part(1, crc64="\uff11")),
    "crc64-superscript": parts(part(1, crc64="\u00b2")),
    "crc64-plus": parts(part(1, crc64="+1")),
    "crc64-newline": parts(part(1, crc64="1\n")),
    "crc64-exponent": parts(part(1, crc64="1e3")),
    "crc64-nan": parts(part(1, crc64="NaN")),
    "headers-digest-empty": checkpoint(headers_digest=""),
    "headers-digest-full-width": checkpoint(headers_digest="\uff10" * 64),
    "part-twice-the-same": parts(part(1), part(1)),
    "part-three-times": parts(*(part(2, size=size) for size in (0, 1, 2))),
    "part-within-a-part": parts(part(1, parts=[part(2)])),
    "parts-of-lists": parts([part(1)]),
    "parts-of-text": parts("1", "2"),
    "parts-twice-deep": parts([[[[[]]]]]),
    "field-proto": checkpoint(__proto__={"kind": "upload"}),
    "field-class": checkpoint(__class__="os.system"),
    "field-empty-name": checkpoint(**{"": 1}),
    "field-with-a-space": checkpoint(**{"upload_id ": "X"}),
    "field-in-upper-case": checkpoint(UPLOAD_ID="X"),
    "field-cyrillic": {**checkpoint(), "upl\u043ead_id": "X"},
    "fields-by-the-hundred": checkpoint(**{f"field-{n}": n for n in range(300)}),
}

_BY_HAND: dict[str, Fields] = {
    "version-missing": without("version"),
    "version-1-with-initiated": checkpoint(version=1),
    "version-1-with-initiated-null": checkpoint(version=1, initiated=None),
    "version-zero": checkpoint(version=0),
    "version-negative": checkpoint(version=-1),
    "version-text": checkpoint(version="2"),
    "version-true": checkpoint(version=True),
    "version-float": checkpoint(version=2.0),
    "version-null": checkpoint(version=None),
    "kind-unknown": checkpoint(kind="delete"),
    "kind-number": checkpoint(kind=1),
    "destination-missing": without("destination"),
    "destination-array": checkpoint(destination=[]),
    "key-empty": destination(key=""),
    "key-1024": destination(key="k" * 1024),
    "key-number": destination(key=7),
    "bucket-empty": destination(bucket=""),
    "bucket-newline": destination(bucket="bucket\n"),
    "endpoint-header-injection": destination(endpoint="https://h\r\nHost: evil"),
    "endpoint-long": destination(endpoint="h" * 1025),
    "upload-id-missing": without("upload_id"),
    "upload-id-empty": checkpoint(upload_id=""),
    "upload-id-null": checkpoint(upload_id=None),
    "upload-id-newline": checkpoint(upload_id="id\n"),
    "upload-id-request-splitting": checkpoint(upload_id="x HTTP/1.1\r\nHost: evil"),
    "upload-id-chinese": checkpoint(upload_id="编号"),
    "upload-id-long": checkpoint(upload_id="x" * 1025),
    "file-null": checkpoint(file=None),
    "file-path-number": source(path=7),
    "file-size-negative": source(size=-1),
    "file-size-too-large": source(size=53_687_091_200_001),
    "file-size-text": source(size="512000"),
    "file-size-float": source(size=512_000.0),
    "file-size-true": source(size=True),
    "file-mtime-too-large": source(mtime_ns=(1 << 94) + 1),
    "file-inode-negative": source(inode=-1),
    "file-inode-too-large": source(inode=1 << 128),
    "part-size-zero": checkpoint(part_size=0),
    "part-size-one": checkpoint(part_size=1),
    "part-size-negative": checkpoint(part_size=-102_400),
    "part-size-too-large": checkpoint(part_size=5_368_709_121),
    "headers-digest-short": checkpoint(headers_digest="0" * 63),
    "headers-digest-upper-case": checkpoint(headers_digest="A" * 64),
    "headers-digest-newline": checkpoint(headers_digest="0" * 64 + "\n"),
    "parts-missing": without("parts"),
    "parts-null": checkpoint(parts=None),
    "parts-object": checkpoint(parts={"1": part(1)}),
    "parts-text": checkpoint(parts="[]"),
    "part-null": parts(None),
    "part-twice": parts(part(1), part(2), part(1, etag="B" * 32)),
    "part-number-zero": parts(part(0)),
    "part-number-negative": parts(part(-1)),
    "part-number-10001": parts(part(10_001)),
    "part-number-text": parts(part(1, number="1")),
    "part-number-true": parts(part(1, number=True)),
    "part-number-float": parts(part(1, number=1.5)),
    "part-size-of-a-part-negative": parts(part(1, size=-1)),
    "part-size-of-a-part-too-large": parts(part(1, size=5_368_709_121)),
    "part-etag-empty": parts(part(1, etag="")),
    "part-etag-space": parts(part(1, etag="A B")),
    "part-etag-xml-breaking-line": parts(part(1, etag="</ETag>\n<ETag>")),
    "part-etag-quoted": parts(part(1, etag=f'"{part(1)["etag"]}"')),
    "part-etag-closing-tag": parts(part(1, etag="</ETag></Part><Part><ETag>")),
    "part-etag-long": parts(part(1, etag="A" * 257)),
    "part-etag-array": parts(part(1, etag=["A"])),
    "part-crc64-negative": parts(part(1, crc64="-1")),
    "part-crc64-65-bits": parts(part(1, crc64=str(1 << 64))),
    "part-crc64-hexadecimal": parts(part(1, crc64="0x10")),
    "part-crc64-space": parts(part(1, crc64=" 1")),
    "part-crc64-underscore": parts(part(1, crc64="1_0")),
    "part-crc64-arabic-digits": parts(part(1, crc64="٣٤")),
    "part-crc64-empty": parts(part(1, crc64="")),
    "part-crc64-21-digits": parts(part(1, crc64="0" * 21)),
    "part-crc64-float": parts(part(1, crc64=1.0)),
    "part-crc64-true": parts(part(1, crc64=True)),
    "part-crc64-null": parts(part(1, crc64=None)),
    "part-crc64-missing": parts({"number": 1, "size": 102_400, "etag": "A" * 32}),
    "field-unknown": checkpoint(access_key_secret="made up"),
    "field-unknown-in-destination": destination(security_token="made up"),
    "field-unknown-in-file": source(sha256="0" * 64),
    "field-unknown-in-a-part": parts(part(1, md5="0" * 32)),
}


def _news(rows: Iterator[tuple[str, Fields]]) -> dict[str, Fields]:
    """Those that are not there by hand already."""
    there = {canonical(content) for content in _BY_HAND.values()}
    return {name: content for name, content in rows if canonical(content) not in there}


HOSTILE_FIELDS: dict[str, Fields] = {
    **_BY_HAND,
    **_ALPHABETS,
    **dict(_numbers()),
    **_news(_missing()),
    **_news(_of_other_types()),
}
