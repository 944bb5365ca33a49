"""The content of the stored checkpoints, and the bytes it becomes.

The checksum is computed here by itself, after its description, and not by the code under test.
"""

import hashlib
import json
from typing import Any

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
        "version": 2,
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
        "initiated": 1_700_000_100,
        "parts": [part(1), part(2), part(4)],
    }
    return fields | changes


def of_version_1(**changes: object) -> Fields:
    """As earlier releases wrote it."""
    return without("initiated") | {"version": 1} | changes


def without(name: str) -> Fields:
    return {field: value for field, value in checkpoint().items() if field != name}


def destination(**changes: object) -> Fields:
    return checkpoint(destination=checkpoint()["destination"] | changes)


def source(**changes: object) -> Fields:
    return checkpoint(file=checkpoint()["file"] | changes)


def parts(*records: object) -> Fields:
    return checkpoint(parts=list(records))


WHOLE = sealed(checkpoint())
