"""Makes the files under fixtures/checkpoints again: `python -m tests.core.make_checkpoints`.

What is hostile is in tables of its own: `hostile_bytes`, `hostile_fields` and `hostile_lies`.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.core.checkpoint_content import (
    WHOLE,
    Fields,
    canonical,
    checkpoint,
    destination,
    of_version_1,
    part,
    parts,
    sealed,
    source,
    without,
)
from tests.core.hostile_bytes import FROM_THE_FUTURE, NO_CHECKPOINTS
from tests.core.hostile_fields import HOSTILE_FIELDS
from tests.core.hostile_lies import LIES, LYING_BYTES

# Tests take these from here.
__all__ = ["FOLDER", "WHOLE", "canonical", "checkpoint", "make", "part", "sealed"]

FOLDER = Path(__file__).parents[2] / "fixtures" / "checkpoints"

Outcome = Literal["read", "unreadable", "future"]
Case = tuple[str, Outcome, str, bytes]


def good() -> Iterator[Case]:
    rows: dict[str, Fields] = {
        "just-begun": checkpoint(parts=[]),
        "three-of-five": checkpoint(),
        "all-parts": parts(*(part(number) for number in range(1, 6))),
        "numbers-as-they-came": parts(part(5), part(1), part(3)),
        "chinese-key": destination(key="目录/中文 文件 🎉.bin"),
        "windows-path": source(path="C:\\Users\\someone\\big file.iso", inode=(1 << 128) - 1),
        "begun-elsewhere": checkpoint(initiated=None),
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
    yield "version-1", "read", "it did not say when the upload was begun", sealed(of_version_1())
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
        "version-3": checkpoint(version=3),
        "version-3-with-new-fields": checkpoint(version=3, sha256="0" * 64),
        "version-999999": checkpoint(version=999_999),
    }
    for name, content in rows.items():
        yield name, "future", "not ours to judge", sealed(content)
    unsealed = canonical(checkpoint(version=3)).encode()
    yield "version-3-without-checksum", "future", "its checksum may have another form", unsealed


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
    for name, data in NO_CHECKPOINTS.items():
        yield name, "unreadable", "no checkpoint in JSON", data
    for name, content in HOSTILE_FIELDS.items():
        yield name, "unreadable", "a field out of its bounds", sealed(content)
    for name, data in FROM_THE_FUTURE.items():
        yield name, "future", "not ours to judge", data
    for name, content in LIES.items():
        yield name, "read", "well formed; what it says is held against the server", sealed(content)
    for name, data in LYING_BYTES.items():
        yield name, "read", "well formed in another way; the last of two fields counts", data


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
