"""Checkpoints that are well formed, their checksum right, and that do not tell the truth.

`tests/faults/test_hostile_files.py` aims each of them at an upload that there is, by
putting the truth in the place of every value that is the example's.
"""

import hashlib
import unicodedata

from tests.core.checkpoint_content import (
    WHOLE,
    Fields,
    canonical,
    checkpoint,
    destination,
    part,
    parts,
    sealed,
    source,
)

_PATHS = {
    "up": "../../../../etc/shadow",
    "device": "/dev/zero",
    "memory": "/proc/self/mem",
    "share": "\\\\server\\share\\file",
    "url": "file:///etc/passwd",
    "home": "~root/.ssh/id_rsa",
    "command": "$(reboot)`reboot`|reboot",
    "nul": "/data/examplefile.txt\0.png",
    "line": "/data/example\nfile.txt",
    "escape": "\x1b]0;owned\x07\x1b[2J",
    "right-to-left": "/data/\u202etxt.elifelpmaxe",
    "empty": "",
    "dot": ".",
    "the-checkpoint": "/data/examplefile.txt.cp",
    "format": "%s%n{0}{path}",
    "long": "p" * 20_000,
}
_KEYS = {
    "up": "exampledir/../../x",
    "dots": "..",
    "dot": ".",
    "encoded": "%2e%2e/exampleobject.txt",
    "encoded-slash": "exampledir%2fexampleobject.txt",
    "query": "exampledir/exampleobject.txt?acl",
    "fragment": "exampledir/exampleobject.txt#",
    "backslash": "exampledir\\exampleobject.txt",
    "leading-slash": "/exampledir/exampleobject.txt",
    "double-slash": "exampledir//exampleobject.txt",
    "trailing-space": "exampledir/exampleobject.txt ",
    "trailing-dot": "exampledir/exampleobject.txt.",
    "upper-case": "EXAMPLEDIR/EXAMPLEOBJECT.TXT",
    "nul": "exampledir/exampleobject.txt\0",
    "line": "exampledir/exampleobject.txt\r\nHost: evil",
    "xml": "</Key><Key>x",
    "zero-width": "exampledir/example\u200bobject.txt",
    "cyrillic": "ex\u0430mpledir/exampleobject.txt",
    "full-width": "exampledir\uff0fexampleobject.txt",
    "right-to-left": "exampledir/\u202etxt.tcejboelpmaxe",
    "decomposed": unicodedata.normalize("NFD", "exampledir/\u00e9xampleobject.txt"),
    "other-plane": "\U0010fffd" * 255,
}
_ENDPOINTS = {
    "metadata-service": "http://169.254.169.254",
    "password": "https://user:password@oss-cn-hangzhou.aliyuncs.com",
    "user-is-the-host": "https://oss-cn-hangzhou.aliyuncs.com@evil.example.com",
    "suffix": "https://oss-cn-hangzhou.aliyuncs.com.evil.example.com",
    "file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:70",
    "plain": "http://oss-cn-hangzhou.aliyuncs.com",
    "capitals": "HTTPS://OSS-CN-HANGZHOU.ALIYUNCS.COM",
    "slash": "https://oss-cn-hangzhou.aliyuncs.com/",
    "port": "https://oss-cn-hangzhou.aliyuncs.com:443",
    "dot": "https://oss-cn-hangzhou.aliyuncs.com.",
    "internal": "https://oss-cn-hangzhou-internal.aliyuncs.com",
    "number": "http://2130706433",
    "loopback": "http://[::1]:1",
    "no-scheme": "oss-cn-hangzhou.aliyuncs.com",
}
_BUCKETS = {
    "another": "otherbucket",
    "capitals": "EXAMPLEBUCKET",
    "dot": "examplebucket.",
    "up": "../examplebucket",
    "with-a-key": "examplebucket/exampledir",
    "query": "examplebucket?acl",
    "encoded": "%65xamplebucket",
    "one": "b",
}
_UPLOAD_IDS = {
    "query": "X&partNumber=1&uploadId=Y",
    "question": "X?acl",
    "fragment": "X#",
    "percent": "%00%0d%0a",
    "path": "../../blobs",
    "sql": "X'--",
    "xml": '"><UploadId>',
    "format": "%s%n{0}",
    "long": "A" * 1024,
    "lower-case": "0004b999ef518a1fe585b0c9360dc4c8",
    "zero": "0",
}


def _digest(headers: Fields) -> str:
    return hashlib.sha256(canonical(headers).encode()).hexdigest()


def _swapped() -> Fields:
    one, two = part(1), part(2)
    return parts(one | {"etag": two["etag"]}, two | {"etag": one["etag"]})


_PARTS: dict[str, Fields] = {
    "parts-none": parts(),
    "parts-descending": parts(part(4), part(2), part(1)),
    "parts-of-a-longer-file": parts(*(part(number) for number in range(1, 101))),
    "parts-all-beyond-the-end": parts(*(part(number) for number in range(9_990, 10_001))),
    "part-shorter": parts(part(1, size=102_399)),
    "part-longer": parts(part(1, size=102_401)),
    "part-of-five-gigabytes": parts(part(1, size=5_368_709_120)),
    "parts-of-no-bytes": parts(*(part(number, size=0) for number in range(1, 6))),
    "etag-lower-case": parts(part(1, etag=part(1)["etag"].lower())),
    "etag-of-another-part": parts(part(1, etag=part(2)["etag"])),
    "etag-of-nothing": parts(part(1, etag="D41D8CD98F00B204E9800998ECF8427E")),
    "etag-long": parts(part(1, etag="A" * 256)),
    "etags-swapped": _swapped(),
    "crc64-zero": parts(part(1, crc64="0")),
    "crc64-leading-zeros": parts(part(1, crc64="00000000000000000001")),
    "crc64-number": parts(part(1, crc64=1)),
    "crc64-of-all-ones": parts(*(part(n, crc64=str((1 << 64) - 1)) for n in range(1, 6))),
    "crc64-of-another-part": parts(part(1, crc64=part(2)["crc64"])),
    "part-size-largest": checkpoint(part_size=5_368_709_120),
    "part-size-odd": checkpoint(part_size=102_401),
    "part-size-twice": checkpoint(part_size=204_800),
    "half-a-billion-parts": source(size=53_687_091_200_000),
    "file-empty": source(size=0),
    "file-one-byte-shorter": source(size=511_999),
    "file-of-tomorrow": source(mtime_ns=4_000_000_000_000_000_000),
    "file-before-time": source(mtime_ns=-(1 << 63), ctime_ns=-(1 << 63)),
    "file-inode-zero": source(inode=0),
    "headers-of-others": checkpoint(headers_digest=_digest({"x-oss-object-acl": "public-read"})),
    "headers-of-zeros": checkpoint(headers_digest="0" * 64),
    "begun-elsewhere": checkpoint(headers_digest=_digest({"?begun": "elsewhere"})),
    "kind-download": checkpoint(kind="download"),
    "kind-copy": checkpoint(kind="copy"),
    "kind-stream": checkpoint(kind="stream"),
}

_BY_HAND: dict[str, Fields] = {
    "lie-another-key": destination(key="../../etc/passwd"),
    "lie-another-host": destination(endpoint="https://evil.example.com"),
    "lie-another-path": source(path="/etc/shadow"),
    "lie-invented-upload": checkpoint(upload_id="invented"),
    "lie-part-beyond-the-end": parts(part(10_000)),
    "lie-part-of-no-bytes": parts(part(1, size=0)),
    "lie-every-etag-the-same": parts(part(1, etag="A" * 32), part(2, etag="A" * 32)),
}

LIES: dict[str, Fields] = {
    **_BY_HAND,
    **{f"lie-path-{name}": source(path=path) for name, path in _PATHS.items()},
    **{f"lie-key-{name}": destination(key=key) for name, key in _KEYS.items()},
    **{f"lie-endpoint-{name}": destination(endpoint=at) for name, at in _ENDPOINTS.items()},
    **{f"lie-bucket-{name}": destination(bucket=named) for name, named in _BUCKETS.items()},
    **{f"lie-upload-id-{name}": checkpoint(upload_id=told) for name, told in _UPLOAD_IDS.items()},
    **{f"lie-{name}": content for name, content in _PARTS.items()},
}


# Other ways to write a content that is well formed: the last of two fields counts.
LYING_BYTES: dict[str, bytes] = {
    "twice-version": WHOLE.replace(b'"version":2', b'"version":3,"version":2'),
    "twice-upload-id-last-is-right": WHOLE.replace(b'"upload_id"', b'"upload_id":"X","upload_id"'),
    "twice-parts-last-is-right": WHOLE.replace(b'"parts"', b'"parts":[],"parts"'),
    "twice-key": WHOLE.replace(b'"key"', b'"key":"../../etc/passwd","key"'),
    "twice-destination": WHOLE.replace(b'"destination"', b'"destination":{},"destination"', 1),
    "twice-checksum": WHOLE.replace(b'"checksum"', b'"checksum":"0","checksum"'),
    "twice-etag": WHOLE.replace(b'"etag"', b'"etag":"X","etag"'),
    "name-in-escapes": WHOLE.replace(b'"upload_id"', b'"\\u0075pload_id"'),
    "value-in-escapes": WHOLE.replace(b"exampledir", b"\\u0065xampledir"),
    "space-by-the-thousand": WHOLE.replace(b":{", b":" + b" \t\r\n" * 1000 + b"{"),
    "space-before": b"\n" * 1000 + WHOLE,
    "fields-in-another-order": b'{"version":2,'
    + sealed(checkpoint())[1:].replace(b',"version":2', b""),
}
