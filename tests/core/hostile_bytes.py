"""Bytes that are no checkpoint: no JSON, JSON of another shape, or with a wrong checksum."""

import gzip
import hashlib
import json
from collections.abc import Iterator

from tests.core.checkpoint_content import WHOLE, canonical, checkpoint, part, parts, sealed

INODE, HUGE = b'"inode":1234567', b"9" * 5000
_SIZE = b'"size":512000'
_UPLOAD_ID = b'"upload_id":"0004B999EF518A1FE585B0C9360DC4C8"'
_CONTENT = canonical(checkpoint())
_SHA256 = hashlib.sha256(_CONTENT.encode()).hexdigest()


def _with_checksum(checksum: str) -> bytes:
    return f'{_CONTENT[:-1]},"checksum":{checksum}}}\n'.encode()


def _in(encoding: str) -> bytes:
    return WHOLE.decode().encode(encoding)


HOSTILE_JSON: dict[str, bytes] = {
    "string": b'"a checkpoint"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
    "array": b"[" + WHOLE.strip() + b"]",
    "empty-object": b"{}",
    "arrays-10000-deep": b"[" * 10_000 + b"]" * 10_000,
    "objects-2000-deep": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "arrays-190-deep": b'{"parts":' + b"[" * 190 + b"]" * 190 + b"}",
    "number-nan": WHOLE.replace(INODE, b'"inode":NaN'),
    "number-infinity": WHOLE.replace(INODE, b'"inode":-Infinity'),
    "number-1e400": WHOLE.replace(INODE, b'"inode":1e400'),
    "number-5000-digits": WHOLE.replace(INODE, b'"inode":' + HUGE),
    "version-5000-digits": WHOLE.replace(b'"version":2', b'"version":' + HUGE),
    "version-4300-digits": WHOLE.replace(b'"version":2', b'"version":-' + HUGE[:4300]),
    "lone-surrogate": WHOLE.replace(b"exampledir", b"\\ud800"),
    "lone-surrogate-in-a-name": WHOLE.replace(b'"kind"', b'"\\udfff"'),
    "bytes-not-utf-8": WHOLE.replace(b"exampledir", b"\xff\xfe\xc0\x80"),
    "utf-16": WHOLE.decode().encode("utf-16"),
    "byte-order-mark": b"\xef\xbb\xbf" + WHOLE,
    "nul-in-text": WHOLE.replace(b"exampledir", b"example\x00dir"),
    "comment": b"/* hello */" + WHOLE,
    "trailing-comma": WHOLE.replace(b"}]", b"},]"),
    "single-quotes": WHOLE.replace(b'"', b"'"),
    "checksum-missing": canonical(checkpoint()).encode(),
    "checksum-null": canonical(checkpoint(checksum=None)).encode(),
    "checksum-of-zeros": canonical(checkpoint(checksum="0" * 64)).encode(),
    "checksum-number": canonical(checkpoint(checksum=0)).encode(),
    "checksum-array": canonical(checkpoint(checksum=[])).encode(),
    "two-upload-ids": WHOLE.replace(b'"version":2', b'"version":2,"upload_id":"X"'),
}


def _with_numbers() -> Iterator[tuple[str, bytes]]:
    for field in ("size", "inode", "part_size"):
        was = b'"%s":%d' % (field.encode(), {**checkpoint(), **checkpoint()["file"]}[field])
        for told, raw in _NUMBERS.items():
            name = f"raw-{field.replace('_', '-')}-{told}"
            if (field, told) not in (("inode", "nan"), ("inode", "1e400")):
                yield name, WHOLE.replace(was, b'"%s":%s' % (field.encode(), raw))


_NUMBERS = {
    "nan": b"NaN",
    "infinity": b"Infinity",
    "1e400": b"1e400",
    "exponent": b"1e5",
    "float": b"512000.0",
    "minus-zero": b"-0",
    "leading-zero": b"0512000",
    "hexadecimal": b"0x7d000",
    "plus": b"+512000",
    "10000-digits": b"1" * 10_000,
    "bare-minus": b"-",
}
_SHAPES = {
    "spaces-only": b" " * 10_000,
    "newlines-only": b"\n" * 10_000,
    "two-objects": b"{}{}",
    "two-lines": WHOLE + WHOLE,
    "array-of-arrays": b"[" + b"[]," * 5000 + b"[]]",
    "object-of-objects": b'{"a":' + b'{"b":' * 100 + b"{}" + b"}" * 101,
    "parts-5000-deep": WHOLE.replace(b'"parts":[', b'"parts":' + b"[" * 5000, 1),
    "key-5000-deep": WHOLE.replace(b'"exampledir/exampleobject.txt"', b'{"a":' * 5000),
    "unclosed-string": WHOLE.replace(b'examplebucket"', b"examplebucket"),
    "unclosed-escape": WHOLE.replace(b'examplebucket"', b'examplebucket\\"'),
    "bad-escape": WHOLE.replace(b"exampledir", b"\\x41"),
    "short-escape": WHOLE.replace(b"exampledir", b"\\u12"),
    "tab-in-text": WHOLE.replace(b"exampledir", b"example\tdir"),
    "line-in-text": WHOLE.replace(b"exampledir", b"example\ndir"),
    "overlong-utf-8": WHOLE.replace(b"exampledir", b"\xc0\xae\xc0\xae"),
    "surrogates-in-utf-8": WHOLE.replace(b"exampledir", b"\xed\xa0\xbd\xed\xb8\x80"),
    "beyond-unicode": WHOLE.replace(b"exampledir", b"\xf4\x90\x80\x80"),
    "utf-16-little": _in("utf-16-le"),
    "utf-16-big": _in("utf-16-be"),
    "utf-32": _in("utf-32"),
    "utf-7-mark": b"+/v8-" + WHOLE,
    "full-width-quotes": WHOLE.replace(b'"', "\uff02".encode()),
    "nul-after": WHOLE + b"\0",
    "nul-before": b"\0" + WHOLE,
    "comma-after": WHOLE.strip() + b",",
    "hash-comment": b"# a comment\n" + WHOLE,
    "json5": b"{version: 1, kind: 'upload'}",
    "yaml": b"version: 1\nkind: upload\nupload_id: !!python/object/apply:os.system [reboot]\n",
    "toml": b'version = 1\nkind = "upload"\n',
    "ini": b"[checkpoint]\nversion=1\n",
    "shell": b"#!/bin/sh\nreboot\n",
    "html": b"<!doctype html><title>Log in</title>",
    "entity-bomb": b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
    # Which system made it, in its tenth byte, is told differently by each Python.
    "gzip": (packed := gzip.compress(WHOLE, mtime=0))[:9] + b"\x03" + packed[10:],
    "elf": b"\x7fELF\x02\x01\x01" + bytes(57),
    "pickle-of-a-call": b"cos\nsystem\n(S'reboot'\ntR.",
    "base64": b"eyJ2ZXJzaW9uIjogMX0=",
    "object-with-one-brace": b"{",
    "only-a-name": b'{"version"',
    "percent-encoded": b"%7B%22version%22%3A1%7D",
    "ndjson-of-fields": b"\n".join(
        json.dumps({name: value}).encode() for name, value in checkpoint().items()
    ),
}  # fmt: skip
_CHECKSUMS = {
    "checksum-upper-case": _with_checksum(f'"{_SHA256.upper()}"'),
    "checksum-with-a-space": _with_checksum(f'" {_SHA256}"'),
    "checksum-cut": _with_checksum(f'"{_SHA256[:-1]}"'),
    "checksum-long": _with_checksum(f'"{_SHA256}0"'),
    "checksum-true": _with_checksum("true"),
    "checksum-object": _with_checksum("{}"),
    "checksum-empty": _with_checksum('""'),
    "checksum-md5": _with_checksum(f'"{hashlib.md5(_CONTENT.encode()).hexdigest()}"'),
    "checksum-of-another": _with_checksum(f'"{"0f" * 32}"'),
    "checksum-of-nothing": _with_checksum(f'"{hashlib.sha256(b"").hexdigest()}"'),
    "checksum-in-a-list": _with_checksum(f'["{_SHA256}"]'),
    "checksum-of-other-parts": sealed(parts(part(1))).replace(b'"number":1', b'"number":2'),
}
_TWICE = {
    "twice-upload-id": WHOLE.replace(_UPLOAD_ID, _UPLOAD_ID + b',"upload_id":"X"'),
    "twice-size": WHOLE.replace(_SIZE, _SIZE + b',"size":0'),
    "twice-kind": WHOLE.replace(b'"kind":"upload"', b'"kind":"upload","kind":"delete"'),
    "twice-checksum-last-is-wrong": WHOLE.replace(b'"}\n', b'","checksum":"0"}\n'),
    "twice-bucket": WHOLE.replace(b'"bucket":"examplebucket"', b'"bucket":"a","bucket":"b"'),
}

NO_CHECKPOINTS: dict[str, bytes] = {
    **HOSTILE_JSON,
    **dict(_with_numbers()),
    **_SHAPES,
    **_CHECKSUMS,
    **_TWICE,
}
# A number that says "newer" is not ours to judge, however large it is.
FROM_THE_FUTURE: dict[str, bytes] = {
    "version-of-64-bits": sealed(checkpoint(version=1 << 64)),
    "version-of-4000-digits": sealed(checkpoint(version=10**3999)),
    "version-of-3-alone": b'{"version":3}',
    "version-of-3-twice": b'{"version":2,"version":3}',
}
