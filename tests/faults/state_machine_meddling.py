"""Steps that meddle with the file, the checkpoint and the server behind a call's back.

A step that needs a checkpoint and finds none has a call interrupted first, so that it leaves one.
"""

import os
from typing import Literal

from resumable import PartNotSequentialError, ResumableError
from resumable.core.checkpoint import Checkpoint, Destination, PartRecord, encode
from resumable.core.reconcile import NO_HEADERS
from resumable.transfer.source import identify
from tests.faults.state_machine_oracle import Oracle
from tests.faults.state_machine_stage import How, refusing
from tests.faults.state_machine_world import World
from tests.support import PART, random_bytes

CHANGES = (
    "touch",
    "append",
    "truncate",
    "rewrite",
    "rewrite silently",
    "rewrite all",
    "replace",
    "replace by same",
)
_BLOCK = random_bytes(8 * PART, 1)
_MOST_ELSEWHERE = 3
_MOST_KNOWN = 8


class Meddler:
    """Whoever else there is."""

    def __init__(self, world: World, oracle: Oracle) -> None:
        self._world = world
        self._oracle = oracle
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
            case "rewrite all":
                with file.open("r+b") as stream:
                    stream.write(self._fresh(len(data)))
            case _:
                other = file.with_name("other.bin")
                other.write_bytes(data if kind == "replace by same" else self._fresh(len(data)))
                os.replace(other, file)

    # The checkpoint

    def _interrupted(self) -> Checkpoint:
        """What is recorded; if nothing is, what a call records that is interrupted now."""
        world = self._world
        found = world.recorded()
        if found is None:
            # Of a newer release, by a flipped bit: the call would leave it alone.
            world.checkpoint.unlink(missing_ok=True)
            how = How(part_size=PART + 1000 * (self._state // 2 % 2))
            if world.file.stat().st_size <= how.part_size:
                self.write(3 * PART + 17)
            world.steps.append("(interrupted first)")
            ended = self._oracle.upload(how, refusing("UploadPart", self._state % 2))
            found = world.recorded()
            told = f"an interrupted call left no checkpoint: {ended}"
            world.promise(found is not None, told)
        assert found is not None
        return found

    def damage_checkpoint(self, kind: str, share: float) -> None:
        """Flip a bit of it, cut it, fill its rest with zeros, or delete it."""
        world, path = self._world, self._world.checkpoint
        self._interrupted()
        world.disown_checkpoint()
        if kind == "delete":
            path.unlink()
            return
        data = bytearray(path.read_bytes())
        at = int(share * len(data))
        match kind:
            case "flip":
                data[at] ^= 1 << (at % 8)
            case "cut":
                del data[at:]
            case "zero":
                data[at:] = bytes(len(data) - at)
        path.write_bytes(data)

    def keep_copy(self) -> bool:
        """Keep a copy of it; False if there is one already."""
        self._interrupted()
        copy = self._world.checkpoint.read_bytes()
        if copy in self._copies:
            return False
        self._copies.append(copy)
        return True

    def put_back(self, which: int) -> bool:
        """Put an old one in its place; False if there is none but that which is there."""
        world, path = self._world, self._world.checkpoint
        if not self._copies:
            self.keep_copy()
            self._oracle.upload(How())
        now = path.read_bytes() if path.exists() else b""
        old = [copy for copy in self._copies if copy != now]
        if not old:
            return False
        world.disown_checkpoint()
        path.write_bytes(old[which % len(old)])
        return True

    def put_foreign_checkpoint(self, *, same_key: bool) -> None:
        """Put that of another file in its place, to this key or to another one."""
        world, bucket = self._world, self._world.stage.bucket
        world.disown_checkpoint()
        key = world.key if same_key else world.other_key
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
        world.begun[upload_id] = How()

    # The server

    def meddle_with_upload(self, kind: str, number: int) -> bool:
        """Abort the recorded upload, change it, or complete it as it is; False if it is gone.

        With `swap` it is gone, and what stands under the key is as large as the file.
        """
        bucket = self._world.stage.bucket
        found = self._interrupted()
        key, upload_id = found.destination.key, found.upload_id
        try:
            match kind:
                case "abort":
                    bucket.abort_multipart_upload(key, upload_id)
                case "swap":
                    self.meddle_with_object("put a lookalike")
                    bucket.abort_multipart_upload(key, upload_id)
                case "complete":
                    parts = list(bucket.iter_parts(key, upload_id))
                    if not parts:
                        bucket.abort_multipart_upload(key, upload_id)
                        return True
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
        match kind:
            case "delete the object":
                bucket.delete_object(world.key)
            case "put the file":
                bucket.put_object(world.key, world.file.read_bytes())
            case "put a lookalike":
                bucket.put_object(world.key, self._fresh(world.file.stat().st_size))
            case _:
                bucket.put_object(world.key, self._fresh(2 * PART))

    def elsewhere(self, kind: Literal["begin", "part", "abort"], number: int) -> str:
        """Another program begins an upload to the key, sends a part of it or aborts it."""
        world, bucket = self._world, self._world.stage.bucket
        there = world.stage.shelf.uploads(world.key)
        theirs = [one for one in world.known if one in there and one not in world.begun]
        if not theirs or (kind == "begin" and len(theirs) < _MOST_ELSEWHERE):
            made = bucket.init_multipart_upload(world.key, sequential=number % 4 == 0)
            world.excuse(made.upload_id)
            del world.known[:-_MOST_KNOWN]
            return "begun"
        upload_id = theirs[number % len(theirs)]
        if kind == "part":
            data = world.file.read_bytes()[(number - 1) * PART : number * PART]
            try:
                bucket.upload_part(world.key, upload_id, number, data or self._fresh(PART))
            except PartNotSequentialError:
                return self.elsewhere("abort", number)
            return "sent a part"
        bucket.abort_multipart_upload(world.key, upload_id)
        return "aborted"

    def name(self, which: int) -> str:
        """An upload that a call may name."""
        if not self._world.known:
            self.elsewhere("begin", which)
        known = self._world.known
        return known[which % len(known)]
