"""Steps that meddle with the file, the checkpoint and the server behind a call's back."""

import os

from resumable import ResumableError
from resumable.core.checkpoint import Checkpoint, Destination, PartRecord, encode
from resumable.core.reconcile import NO_HEADERS
from resumable.transfer.files import identify
from tests.faults.state_machine_world import World
from tests.support import PART, random_bytes

CHANGES = (
    "touch",
    "append",
    "truncate",
    "rewrite",
    "rewrite silently",
    "replace",
    "replace by same",
)
_BLOCK = random_bytes(8 * PART, 1)


class Meddler:
    """Whoever else there is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._state = 0
        self._copies: list[bytes] = []

    def _fresh(self, size: int) -> bytes:
        """Bytes that were nowhere before: all parts of all states differ."""
        self._state += 1
        stamp = self._state.to_bytes(8, "big")
        return b"".join(stamp + _BLOCK[at : at + 992] for at in range(0, max(size, 1), 1000))[
            :size
        ].ljust(size, b"x")

    # The file

    def write(self, size: int) -> None:
        """Give the file other bytes."""
        self._world.file.write_bytes(self._fresh(size))

    def change(self, kind: str) -> None:
        """Change the file in one of the ways in `CHANGES`."""
        file = self._world.file
        data, was = file.read_bytes(), file.stat()
        match kind:
            case "touch":
                os.utime(file)
            case "append":
                with file.open("ab") as stream:
                    stream.write(self._fresh(PART // 3 if len(data) < 6 * PART else 1))
            case "truncate":
                os.truncate(file, max(0, len(data) - PART // 3))
            case "rewrite" | "rewrite silently":
                at = (self._state * 7919) % max(1, len(data) - 100)
                with file.open("r+b") as stream:
                    stream.seek(at)
                    stream.write(self._fresh(min(100, len(data) - at)))
                if kind == "rewrite silently":
                    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
            case _:
                other = file.with_name("other.bin")
                other.write_bytes(data if kind == "replace by same" else self._fresh(len(data)))
                os.replace(other, file)

    # The checkpoint

    def damage_checkpoint(self, kind: str, share: float) -> bool:
        """Flip a bit of it, cut it, fill its rest with zeros, or delete it; if there is one."""
        world, path = self._world, self._world.checkpoint
        if not path.exists():
            return False
        world.disown_checkpoint()
        if kind == "delete":
            path.unlink()
            return True
        data = bytearray(path.read_bytes())
        at = int(share * len(data))
        match kind:
            case "flip" if data:
                data[at] ^= 1 << (at % 8)
            case "cut":
                del data[at:]
            case "zero":
                data[at:] = bytes(len(data) - at)
        path.write_bytes(data)
        return True

    def keep_copy(self) -> bool:
        """Keep a copy of it, if there is one."""
        if self._world.recorded() is None:
            return False
        self._copies.append(self._world.checkpoint.read_bytes())
        return True

    def put_back(self, which: int) -> bool:
        """Put an old one in its place, if there is one."""
        if not self._copies:
            return False
        self._world.disown_checkpoint()
        self._world.checkpoint.write_bytes(self._copies[which % len(self._copies)])
        return True

    def put_foreign_checkpoint(self, *, same_key: bool) -> None:
        """Put that of another file in its place, to this key or to another one."""
        world, bucket = self._world, self._world.stage.bucket
        world.disown_checkpoint()
        key = world.key if same_key else f"{world.key}-other"
        other = world.folder / "other.bin"
        other.write_bytes(self._fresh(3 * PART))
        upload_id = bucket.init_multipart_upload(key).upload_id
        part = bucket.upload_part(key, upload_id, 1, other.read_bytes()[:PART])
        record = PartRecord(number=1, size=PART, etag=part.etag, crc64=part.crc64 or 0)
        destination = Destination(endpoint=bucket.endpoint, bucket=bucket.name, key=key)
        found = Checkpoint(
            kind="upload",
            destination=destination,
            upload_id=upload_id,
            file=identify(str(other)),
            part_size=PART,
            headers_digest=NO_HEADERS,
            parts=(record,),
        )
        other.unlink()
        world.checkpoint.write_bytes(encode(found))
        if same_key:
            world.check_records()

    # The server

    def meddle_with_upload(self, kind: str, number: int) -> bool:
        """Abort the recorded upload, give it other bytes, or complete it as it is; if it is."""
        world, bucket = self._world, self._world.stage.bucket
        found = world.recorded()
        if found is None:
            return False
        key, upload_id = found.destination.key, found.upload_id
        try:
            match kind:
                case "abort":
                    bucket.abort_multipart_upload(key, upload_id)
                case "complete":
                    parts = list(bucket.iter_parts(key, upload_id))
                    bucket.complete_multipart_upload(key, upload_id, parts)
                case _:
                    there = {part.number: part for part in bucket.iter_parts(key, upload_id)}
                    size = there[number].size if number in there else PART
                    bucket.upload_part(key, upload_id, number, self._fresh(size))
        except ResumableError:  # it is gone, or cannot become an object
            return False
        return True

    def meddle_with_object(self, kind: str) -> None:
        """Put another object under the key, or the file, or nothing."""
        world, bucket = self._world, self._world.stage.bucket
        if kind == "delete the object":
            bucket.delete_object(world.key)
        elif kind == "put the file":
            bucket.put_object(world.key, world.file.read_bytes())
        else:
            bucket.put_object(world.key, self._fresh(2 * PART))
