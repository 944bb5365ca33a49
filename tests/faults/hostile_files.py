"""A real upload beside which hostile checkpoints are put, and what must hold whatever they say."""

import copy
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resumable import Bucket, CheckpointError, UploadedPart, upload_file
from resumable.server import Exchange, LocalServer
from tests.core.checkpoint_content import checkpoint, part, sealed
from tests.support import KIB, PART, content, local_bucket, make_file

VICTIM = "victim.txt"
_SIZE = 2 * PART + 10 * KIB
_EXAMPLE = checkpoint()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run beside a hostile checkpoint."""

    error: CheckpointError | None
    log: tuple[Exchange, ...]
    beside: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Place:
    """A running server, a file to upload, and what belongs to others and must stay as it is.

    Attributes:
        file: The file that is uploaded, in a folder of its own.
        outside: Nothing below this folder may change.
        victim_id: An upload of another key.
    """

    server: LocalServer
    bucket: Bucket
    file: Path
    outside: Path
    victim_id: str

    def run(self, folder: Path, key: str, stored: bytes) -> Outcome:
        """Upload the file beside this checkpoint, and check what holds of every such run.

        Raises:
            AssertionError: the object is wrong, or something was touched that is another's.
        """
        path = folder / "example.bin.cp"
        data = self.aimed(key, stored)
        path.write_bytes(data)
        before = contents(self.outside)
        self.server.log.clear()
        error = self._upload(key, path)
        log = tuple(self.server.log)
        strangers = {(at.bucket, at.key) for at in log} - {(self.bucket.name, key)}
        assert not strangers, f"requests for {strangers}"
        named = [at for at in log if at.upload_id == self.victim_id]
        assert all(at.status == 404 for at in named), "another's upload was reached"
        assert contents(self.outside) == before, "files elsewhere were changed"
        beside = contents(folder)
        allowed = {"example.bin.cp": data} if error else {"example.bin.cp.bad": data}
        assert beside.items() <= allowed.items(), f"left: {sorted(beside)}"
        return Outcome(error, log, beside)

    def _upload(self, key: str, path: Path) -> CheckpointError | None:
        try:
            result = upload_file(
                self.bucket,
                key,
                self.file,
                part_size=PART,
                enable_checkpoint=True,
                checkpoint_path=path,
            )
        except CheckpointError as error:
            return error
        assert content(self.bucket, key) == self.file.read_bytes(), "a wrong object"
        assert result.bytes_sent + result.bytes_reused == result.size
        return None

    def aimed(self, key: str, stored: bytes) -> bytes:
        """The checkpoint with the truth in place of all that is the example's.

        Whatever does not hold the right checksum, or is written in another way than the example,
        stays as it is: nothing in it is believed, or it is meant to be in that form.
        """
        try:
            found = json.loads(stored)
        except (ValueError, RecursionError):
            return stored
        claimed = found.pop("checksum", None) if isinstance(found, dict) else None
        if claimed is None or sealed(found) != stored:
            return stored
        return sealed(_with_truth(found, self._truth(key)))

    def _truth(self, key: str) -> dict[str, Any]:
        """What an honest checkpoint says of an upload that was begun now and has two parts."""
        data = self.file.read_bytes()
        upload_id = self.bucket.init_multipart_upload(key).upload_id
        sent = [
            self.bucket.upload_part(key, upload_id, number, data[PART * (number - 1) :][:PART])
            for number in (1, 2)
        ]
        found = self.file.stat()
        return {
            "destination": {"endpoint": self.bucket.endpoint, "bucket": self.bucket.name}
            | {"key": key},
            "upload_id": upload_id,
            "file": {
                "path": str(self.file),
                "size": found.st_size,
                "mtime_ns": found.st_mtime_ns,
                "ctime_ns": found.st_ctime_ns,
                "inode": found.st_ino,
            },
            "parts": [_record(one) for one in sent],
        }


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Set all of it up."""
    outside = folder / "outside"
    for name in ("source", "precious"):
        (outside / name).mkdir(parents=True)
    (outside / "precious" / "file").write_bytes(b"precious")
    file = make_file(outside / "source", _SIZE)
    with LocalServer(folder / "server") as server, local_bucket(server.endpoint) as bucket:
        bucket.put_object(VICTIM, b"precious")
        victim_id = bucket.init_multipart_upload(VICTIM).upload_id
        bucket.upload_part(VICTIM, victim_id, 1, b"precious")
        yield Place(server, bucket, file, outside, victim_id)
        assert content(bucket, VICTIM) == b"precious"
        assert len(list(bucket.iter_parts(VICTIM, victim_id))) == 1


def contents(folder: Path) -> dict[str, bytes | None]:
    """What lies below a folder: the content of files, None for anything else."""
    return {
        os.path.relpath(path, folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def _record(sent: UploadedPart) -> dict[str, object]:
    crc64 = str(sent.crc64)
    return {"number": sent.number, "size": sent.size, "etag": sent.etag, "crc64": crc64}


def _with_truth(found: dict[str, Any], truth: dict[str, Any]) -> dict[str, Any]:
    aimed = copy.deepcopy(found)
    for name in ("destination", "file"):
        if isinstance(aimed.get(name), dict):
            aimed[name] |= _where_same(aimed[name], _EXAMPLE[name], truth[name])
    aimed |= _where_same(aimed, {"upload_id": _EXAMPLE["upload_id"]}, truth)
    records = aimed.get("parts")
    if isinstance(records, list):
        aimed["parts"] = [_true_record(record, truth["parts"]) for record in records]
    return aimed


def _true_record(record: object, true: Sequence[Mapping[str, Any]]) -> object:
    if not isinstance(record, dict) or record.get("number") not in (1, 2):
        return record
    number = int(record["number"])
    return record | _where_same(record, part(number), true[number - 1])


def _where_same(
    found: Mapping[str, Any], example: Mapping[str, Any], truth: Mapping[str, Any]
) -> dict[str, Any]:
    # JSON has types: True is not 1, and 512000.0 not 512000.
    same = (name for name in example if repr(found.get(name)) == repr(example[name]))
    return {name: truth[name] for name in same}
