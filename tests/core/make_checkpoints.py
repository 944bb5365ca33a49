"""Makes the files under fixtures/checkpoints again: `python -m tests.core.make_checkpoints`.

The checksum is computed here by itself, after its description, and not by the code under test.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parents[2] / "fixtures" / "checkpoints"

Outcome = Literal["read", "unreadable", "future"]
Case = tuple[str, Outcome, str, bytes]
Fields = dict[str, Any]


def canonical(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sealed(content: Fields) -> bytes:
    """The bytes of a checkpoint file, its checksum right."""
    checksum = hashlib.sha256(canonical(content).encode()).hexdigest()
    return f'{canonical(content)[:-1]},"checksum":"{checksum}"}}\n'.encode()


def part(number: int, /, **changes: object) -> Fields:
    fields: Fields = {
        "number": number,
        "size": 102_400,
        "etag": hashlib.md5(str(number).encode()).hexdigest().upper(),
        "crc64": str(11051210869376104954 - number),
    }
    return fields | changes


def checkpoint(**changes: object) -> Fields:
    fields: Fields = {
        "version": 1,
        "kind": "upload",
        "destination": {
            "endpoint": "https://oss-cn-hangzhou.aliyuncs.com",
            "bucket": "examplebucket",
            "key": "exampledir/exampleobject.txt",
        },
        "upload_id": "0004B999EF518A1FE585B0C9360DC4C8",
        "file": {
            "path": "/data/examplefile.txt",
            "size": 512_000,
            "mtime_ns": 1_700_000_000_123_456_789,
            "ctime_ns": 1_700_000_000_123_456_789,
            "inode": 1_234_567,
        },
        "part_size": 102_400,
        "headers_digest": hashlib.sha256(b"{}").hexdigest(),
        "parts": [part(1), part(2), part(4)],
    }
    return fields | changes


def without(name: str) -> Fields:
    return {field: value for field, value in checkpoint().items() if field != name}


def destination(**changes: object) -> Fields:
    return checkpoint(destination=checkpoint()["destination"] | changes)


def source(**changes: object) -> Fields:
    return checkpoint(file=checkpoint()["file"] | changes)


def parts(*records: object) -> Fields:
    return checkpoint(parts=list(records))


def good() -> Iterator[Case]:
    rows: dict[str, Fields] = {
        "just-begun": checkpoint(parts=[]),
        "three-of-five": checkpoint(),
        "all-parts": parts(*(part(number) for number in range(1, 6))),
        "numbers-as-they-came": parts(part(5), part(1), part(3)),
        "chinese-key": destination(key="目录/中文 文件 🎉.bin"),
        "windows-path": source(path="C:\\Users\\someone\\big file.iso", inode=(1 << 128) - 1),
        "before-1970": source(mtime_ns=-1, ctime_ns=0),
        "largest-object": {**source(size=53_687_091_200_000), "part_size": 5_368_709_120},
        "download": checkpoint(kind="download"),
        "crc64-of-all-ones": parts(part(1, crc64=str((1 << 64) - 1))),
    }
    for name, content in rows.items():
        yield name, "read", "written by this release", sealed(content)
    yield "no-newline", "read", "an editor took the last newline away", sealed(checkpoint())[:-1]
    pretty = json.dumps(json.loads(sealed(checkpoint())), indent=2, ensure_ascii=False)
    yield "pretty-printed", "read", "laid out anew by a person's tools", pretty.encode()


def old() -> Iterator[Case]:
    """What other clients, and drafts of this format, leave under the same name."""
    md5 = "0" * 32
    upload = {"UploadId": "0004B999EF518A1FE585B0C9360DC4C8"}
    rows: dict[str, object] = {
        "draft-version-0": without("version") | {"version": 0},
        "python-sdk": {
            "op_type": "ResumableUpload", "upload_id": "0004B999EF518A1FE585B0C9360DC4C8",
            "file_path": "/data/examplefile.txt", "size": 512_000, "mtime": 1_700_000_000.12,
            "bucket": "examplebucket", "key": "exampleobject.txt", "part_size": 102_400,
        },
        "python-sdk-v2": {
            "Magic": "92611BED-89E2-46B6-89E5-72F273D4B0A3", "MD5": md5,
            "Data": {"FilePath": "/data/examplefile.txt", "UploadInfo": upload},
        },
        "go-sdk": {
            "Magic": "FE8BB4EA-B593-4FAC-AD7A-2459A36E2E62", "MD5": md5,
            "FilePath": "/data/examplefile.txt", "UploadID": "0004B999EF518A1FE585B0C9360DC4C8",
            "Parts": [{"Chunk": {"Number": 1, "Offset": 0, "Size": 102_400}, "IsCompleted": True}],
        },
        "json-text-in-json": canonical(checkpoint()),
    }  # fmt: skip
    for name, content in rows.items():
        yield name, "unreadable", "another format", json.dumps(content).encode()
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><Checkpoint><MD5></MD5><Type>1</Type><LocalFile>'
        "<Path>/data/examplefile.txt</Path><Size>512000</Size></LocalFile>"
        "<UploadId>0004B999EF518A1FE585B0C9360DC4C8</UploadId></Checkpoint>\n"
    )
    yield "c-sdk", "unreadable", "the C SDK writes XML under the same name", xml.encode()
    pickled = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07example\x94."
    yield "pickle", "unreadable", "never unpickled", pickled


def future() -> Iterator[Case]:
    rows: dict[str, Fields] = {
        "version-2": checkpoint(version=2),
        "version-2-with-new-fields": checkpoint(version=2, sha256="0" * 64),
        "version-999999": checkpoint(version=999_999),
    }
    for name, content in rows.items():
        yield name, "future", "not ours to judge", sealed(content)
    unsealed = canonical(checkpoint(version=2)).encode()
    yield "version-2-without-checksum", "future", "its checksum may have another form", unsealed


def torn() -> Iterator[Case]:
    whole, later = sealed(checkpoint()), sealed(checkpoint(upload_id="F" * 32))
    half = len(whole) // 2
    rows = {
        "empty": b"",
        "one-byte": whole[:1],
        "cut-in-half": whole[:half],
        "cut-in-the-checksum": whole[:-20],
        "cut-before-the-brace": whole[:-2],
        "zeros-only": b"\x00" * len(whole),
        "zeros-after-half": whole[:half] + b"\x00" * (len(whole) - half),
        "zeros-in-the-middle": whole[: half - 64] + b"\x00" * 128 + whole[half + 64 :],
        "head-missing": whole[half:],
        "two-generations": whole[: whole.index(b'"upload_id"') + 20]
        + later[later.index(b'"upload_id"') + 20 :],
        "written-over-a-longer-one": whole + whole[-200:],
        "twice": whole + whole,
        "one-bit-flipped": whole[:half] + bytes([whole[half] ^ 4]) + whole[half + 1 :],
    }
    for name, data in rows.items():
        yield name, "unreadable", "a write that was not whole", data


def hostile() -> Iterator[Case]:
    for name, data in HOSTILE_JSON.items():
        yield name, "unreadable", "no checkpoint in JSON", data
    for name, content in HOSTILE_FIELDS.items():
        yield name, "unreadable", "a field out of its bounds", sealed(content)
    for name, content in LIES.items():
        yield name, "read", "well formed; what it says is held against the server", sealed(content)


WHOLE = sealed(checkpoint())
INODE, HUGE = b'"inode":1234567', b"9" * 5000
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
    "version-5000-digits": WHOLE.replace(b'"version":1', b'"version":' + HUGE),
    "version-4300-digits": WHOLE.replace(b'"version":1', b'"version":-' + HUGE[:4300]),
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
    "two-upload-ids": WHOLE.replace(b'"version":1', b'"version":1,"upload_id":"X"'),
}


HOSTILE_FIELDS: dict[str, Fields] = {
    "version-missing": without("version"),
    "version-zero": checkpoint(version=0),
    "version-negative": checkpoint(version=-1),
    "version-text": checkpoint(version="1"),
    "version-true": checkpoint(version=True),
    "version-float": checkpoint(version=1.0),
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
    "file-mtime-too-large": source(mtime_ns=1 << 64),
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


LIES: dict[str, Fields] = {
    "lie-another-key": destination(key="../../etc/passwd"),
    "lie-another-host": destination(endpoint="https://evil.example.com"),
    "lie-another-path": source(path="/etc/shadow"),
    "lie-invented-upload": checkpoint(upload_id="invented"),
    "lie-part-beyond-the-end": parts(part(10_000)),
    "lie-part-of-no-bytes": parts(part(1, size=0)),
    "lie-every-etag-the-same": parts(part(1, etag="A" * 32), part(2, etag="A" * 32)),
}


MAKERS = {"good": good, "old": old, "future": future, "torn": torn, "hostile": hostile}


def make(folder: Path) -> None:
    """Write all files, and `outcomes.json`, which says what reading each of them must give."""
    outcomes: dict[str, dict[str, str]] = {}
    for kind, cases in MAKERS.items():
        shutil.rmtree(folder / kind, ignore_errors=True)
        (folder / kind).mkdir(parents=True)
        for name, outcome, why, data in cases():
            path = folder / kind / f"{name}.cp"
            path.write_bytes(data)
            outcomes[f"{kind}/{path.name}"] = {"outcome": outcome, "why": why}
    text = json.dumps(outcomes, indent=2, sort_keys=True) + "\n"
    (folder / "outcomes.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    make(FOLDER)
