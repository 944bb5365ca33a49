"""The store: one SQLite database of records beside a folder of blobs.

Every operation is one transaction, so what was acknowledged survives the death of the
process at any instant. It is not synced: a power cut may lose it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from resumable.server import rows as sql
from resumable.server.blobs import BlobFolder, PinnedContent
from resumable.server.errors import OssError
from resumable.server.paging import Page, Wanted, gather
from resumable.server.records import ObjectRecord, PartRecord, StoredObject, UploadRecord
from resumable.server.rows import Precondition


class RootInUseError(RuntimeError):
    """Another server holds the root folder."""


class Store:
    """Buckets, objects, uploads and parts under one root folder.

    With `buckets`, those exist and no others, whatever else the folder may hold; without, a
    bucket comes into being with its first object or upload.
    """

    def __init__(self, root: Path, buckets: Collection[str] | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._buckets = None if buckets is None else frozenset(buckets)
        self._database = _open_database(root)
        self.blobs = BlobFolder(root / "blobs")
        with self._transaction() as rows:
            for bucket in self._buckets or ():
                sql.add_bucket(rows, bucket)
            referenced = sql.referenced_blobs(rows)
        self.blobs.sweep(referenced)

    def close(self) -> None:
        """Close the database and let another server have the root."""
        with self._lock:
            self._database.close()

    def may_have_bucket(self, bucket: str) -> bool:
        """Tell whether a bucket exists or may come into being."""
        return self._buckets is None or bucket in self._buckets

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket unless it exists."""
        with self._transaction() as rows:
            sql.add_bucket(rows, bucket)

    def check_bucket(self, bucket: str) -> None:
        """Check that a bucket exists.

        Raises:
            OssError: NoSuchBucket.
        """
        with self._transaction() as rows:
            found = self.may_have_bucket(bucket) and sql.has_bucket(rows, bucket)
        if not found:
            raise OssError("NoSuchBucket", BucketName=bucket)

    def find_object(self, bucket: str, key: str) -> ObjectRecord | None:
        """Return what is known of an object."""
        with self._transaction() as rows:
            found = sql.find_object(rows, bucket, key)
            return None if found is None else found[1]

    def read_object(self, bucket: str, key: str) -> tuple[ObjectRecord, PinnedContent] | None:
        """Return an object and its bytes, pinned: the caller closes them."""
        with self._transaction() as rows:
            found = sql.find_object(rows, bucket, key)
            if found is None:
                return None
            segments = tuple(sql.segments(rows, found[0]))
            return found[1], PinnedContent(self.blobs, segments)

    def put_object(self, stored: StoredObject, precondition: Precondition) -> None:
        """Make an object, in place of the one that was there."""
        with self._transaction() as rows:
            obsolete = sql.replace_object(rows, stored, precondition)
        self.blobs.discard(obsolete)

    def delete_object(self, bucket: str, key: str) -> None:
        """Remove an object if there is one."""
        with self._transaction() as rows:
            obsolete = sql.remove_object(rows, bucket, key)
        self.blobs.discard(obsolete)

    def list_objects(self, bucket: str, wanted: Wanted) -> Page[ObjectRecord]:
        """Return a page of the objects of a bucket in the order of their keys."""
        with self._transaction() as rows:
            return gather(wanted, lambda start, end: sql.scan_objects(rows, bucket, start, end))

    def add_upload(self, upload: UploadRecord) -> None:
        """Record an upload; its bucket comes into being."""
        with self._transaction() as rows:
            sql.add_bucket(rows, upload.bucket)
            sql.add_upload(rows, upload)

    def get_upload(self, bucket: str, key: str, upload_id: str) -> UploadRecord:
        """Return an upload.

        Raises:
            OssError: NoSuchUpload when it is not one of this bucket and key.
        """
        with self._transaction() as rows:
            return sql.get_upload(rows, bucket, key, upload_id)

    def list_uploads(self, bucket: str, wanted: Wanted) -> Page[UploadRecord]:
        """Return a page of the uploads of a bucket in the order of their keys, then their ids."""
        with self._transaction() as rows:
            return gather(wanted, lambda start, end: sql.scan_uploads(rows, bucket, start, end))

    def put_part(self, upload: UploadRecord, part: PartRecord) -> None:
        """Record a part, in place of the one with the same number.

        Raises:
            OssError: NoSuchUpload when the upload went away meanwhile, PartNotSequential when it
                wants its parts in order and has later ones.
        """
        with self._transaction() as rows:
            sql.get_upload(rows, upload.bucket, upload.key, upload.upload_id)
            replaced = sql.replace_part(rows, upload, part)
        self.blobs.discard(replaced)

    def list_parts(self, upload: UploadRecord, after: int, limit: int) -> list[PartRecord]:
        """Return up to `limit` parts with numbers above `after`, in ascending order."""
        with self._transaction() as rows:
            return sql.list_parts(rows, upload.upload_id, after, limit)

    def complete_upload(
        self,
        upload: UploadRecord,
        assemble: Callable[[list[PartRecord]], StoredObject],
        precondition: Precondition,
    ) -> StoredObject:
        """Turn an upload into the object that `assemble` makes of its parts, atomically.

        No data is copied: the parts' blobs become the object's segments.

        Raises:
            OssError: NoSuchUpload when the upload went away meanwhile.
        """
        with self._transaction() as rows:
            sql.get_upload(rows, upload.bucket, upload.key, upload.upload_id)
            stored = assemble(sql.list_parts(rows, upload.upload_id, 0, -1))
            obsolete = sql.replace_object(rows, stored, precondition)
            obsolete += sql.remove_upload(rows, upload.upload_id)
        kept = {segment.blob for segment in stored.segments}
        self.blobs.discard(name for name in obsolete if name not in kept)
        return stored

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Forget an upload and its parts.

        Raises:
            OssError: NoSuchUpload when there is none.
        """
        with self._transaction() as rows:
            sql.get_upload(rows, bucket, key, upload_id)
            obsolete = sql.remove_upload(rows, upload_id)
        self.blobs.discard(obsolete)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, ExitStack() as undo:
            self._database.execute("BEGIN IMMEDIATE")
            undo.callback(self._database.execute, "ROLLBACK")
            yield self._database
            undo.pop_all()
            self._database.execute("COMMIT")


def _open_database(root: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(
            root / "store.sqlite", timeout=0, isolation_level=None, check_same_thread=False
        )
    except sqlite3.OperationalError as problem:
        raise ValueError(f"{root} cannot be the root of a server: {problem}") from problem
    try:
        # Held until the process ends, however it ends: it is what refuses a second server.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        sql.create_tables(database)
    except sqlite3.DatabaseError as problem:
        database.close()
        if "locked" in str(problem):
            raise RootInUseError(f"another server is using {root}: stop it first") from problem
        raise ValueError(f"{root} cannot be the root of a server: {problem}") from problem
    return database
