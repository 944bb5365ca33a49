"""The store: one SQLite database of records beside a folder of blobs.

Every operation is one transaction, so what was acknowledged survives the death of the
process at any instant. It is not synced: a power cut may lose it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from resumable.server.blobs import BlobFolder, PinnedContent, Segment
from resumable.server.errors import OssError
from resumable.server.records import ObjectRecord, PartRecord, StoredObject, UploadRecord

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, object_type TEXT NOT NULL,
    etag TEXT NOT NULL, crc64 TEXT NOT NULL, size INTEGER NOT NULL, modified REAL NOT NULL,
    content_md5 TEXT NOT NULL, headers TEXT NOT NULL, UNIQUE (bucket, key));
CREATE TABLE IF NOT EXISTS segments (
    object INTEGER NOT NULL, position INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (object, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, initiated REAL NOT NULL,
    headers TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, id);
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, crc64 TEXT NOT NULL, modified REAL NOT NULL,
    PRIMARY KEY (upload, number)) WITHOUT ROWID;
"""


class RootInUseError(RuntimeError):
    """Another server holds the root folder."""


Precondition = Callable[[ObjectRecord | None], None]


class Store:
    """Buckets, objects, uploads and parts under one root folder."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._database = _open_database(root)
        self.blobs = BlobFolder(root / "blobs")
        self.blobs.sweep(self._referenced_blobs())

    def close(self) -> None:
        """Close the database and let another server have the root."""
        with self._lock:
            self._database.close()

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket unless it exists."""
        with self._transaction() as rows:
            rows.execute("INSERT OR IGNORE INTO buckets VALUES (?)", (bucket,))

    def has_bucket(self, bucket: str) -> bool:
        """Tell whether a bucket exists."""
        with self._transaction() as rows:
            found = rows.execute("SELECT 1 FROM buckets WHERE name = ?", (bucket,)).fetchone()
            return found is not None

    def find_object(self, bucket: str, key: str) -> ObjectRecord | None:
        """Return what is known of an object."""
        with self._transaction() as rows:
            found = _object_row(rows, bucket, key)
            return None if found is None else found[1]

    def read_object(self, bucket: str, key: str) -> tuple[ObjectRecord, PinnedContent] | None:
        """Return an object and its bytes, pinned: the caller closes them."""
        with self._transaction() as rows:
            found = _object_row(rows, bucket, key)
            if found is None:
                return None
            segments = tuple(_segments(rows, found[0]))
            return found[1], PinnedContent(self.blobs, segments)

    def put_object(self, stored: StoredObject, precondition: Precondition) -> None:
        """Make an object, in place of the one that was there."""
        with self._transaction() as rows:
            obsolete = _replace_object(rows, stored, precondition)
        self.blobs.discard(obsolete)

    def delete_object(self, bucket: str, key: str) -> None:
        """Remove an object if there is one."""
        with self._transaction() as rows:
            obsolete = _remove_object(rows, bucket, key)
        self.blobs.discard(obsolete)

    def add_upload(self, upload: UploadRecord) -> None:
        """Record an upload; its bucket comes into being."""
        values = (upload.upload_id, upload.bucket, upload.key, upload.initiated)
        with self._transaction() as rows:
            rows.execute("INSERT OR IGNORE INTO buckets VALUES (?)", (upload.bucket,))
            rows.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", (*values, json.dumps(upload.headers))
            )

    def get_upload(self, bucket: str, key: str, upload_id: str) -> UploadRecord:
        """Return an upload.

        Raises:
            OssError: NoSuchUpload when it is not one of this bucket and key.
        """
        with self._transaction() as rows:
            return _upload(rows, bucket, key, upload_id)

    def list_uploads(self, bucket: str, prefix: str) -> list[UploadRecord]:
        """Return the uploads of a bucket in the order of their keys, then of their ids."""
        with self._transaction() as rows:
            found = rows.execute(
                "SELECT id, bucket, key, initiated, headers FROM uploads"
                " WHERE bucket = ? AND substr(key, 1, ?) = ? ORDER BY key, id",
                (bucket, len(prefix), prefix),
            )
            return [_upload_record(row) for row in found]

    def put_part(self, upload: UploadRecord, part: PartRecord) -> None:
        """Record a part, in place of the one with the same number.

        Raises:
            OssError: NoSuchUpload when the upload went away meanwhile.
        """
        values = (part.number, part.blob, part.size, part.etag, str(part.crc64), part.modified)
        with self._transaction() as rows:
            _upload(rows, upload.bucket, upload.key, upload.upload_id)
            replaced = rows.execute(
                "SELECT blob FROM parts WHERE upload = ? AND number = ?",
                (upload.upload_id, part.number),
            ).fetchall()
            rows.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)",
                (upload.upload_id, *values),
            )
        self.blobs.discard(row[0] for row in replaced)

    def list_parts(self, upload: UploadRecord, after: int, limit: int) -> list[PartRecord]:
        """Return up to `limit` parts with numbers above `after`, in ascending order."""
        with self._transaction() as rows:
            return _parts(rows, upload.upload_id, after, limit)

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
            _upload(rows, upload.bucket, upload.key, upload.upload_id)
            stored = assemble(_parts(rows, upload.upload_id, 0, -1))
            obsolete = _replace_object(rows, stored, precondition)
            obsolete += _remove_upload(rows, upload.upload_id)
        kept = {segment.blob for segment in stored.segments}
        self.blobs.discard(name for name in obsolete if name not in kept)
        return stored

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Forget an upload and its parts.

        Raises:
            OssError: NoSuchUpload when there is none.
        """
        with self._transaction() as rows:
            _upload(rows, bucket, key, upload_id)
            obsolete = _remove_upload(rows, upload_id)
        self.blobs.discard(obsolete)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, ExitStack() as undo:
            self._database.execute("BEGIN IMMEDIATE")
            undo.callback(self._database.execute, "ROLLBACK")
            yield self._database
            undo.pop_all()
            self._database.execute("COMMIT")

    def _referenced_blobs(self) -> Iterable[str]:
        with self._transaction() as rows:
            found = rows.execute("SELECT blob FROM segments UNION ALL SELECT blob FROM parts")
            return [row[0] for row in found]


def _open_database(root: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        root / "store.sqlite", timeout=0, isolation_level=None, check_same_thread=False
    )
    try:
        # Held until the process ends, however it ends: it is what refuses a second server.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.executescript("BEGIN EXCLUSIVE;" + _SCHEMA + "COMMIT;")
    except sqlite3.OperationalError as problem:
        database.close()
        if "locked" not in str(problem):
            raise
        raise RootInUseError(f"another server is using {root}: stop it first") from problem
    return database


def _object_row(rows: sqlite3.Connection, bucket: str, key: str) -> tuple[int, ObjectRecord] | None:
    row = rows.execute(
        "SELECT id, object_type, etag, crc64, size, modified, content_md5, headers"
        " FROM objects WHERE bucket = ? AND key = ?",
        (bucket, key),
    ).fetchone()
    if row is None:
        return None
    number, object_type, etag, crc64, size, modified, content_md5, headers = row
    return number, ObjectRecord(
        bucket=bucket,
        key=key,
        object_type=object_type,
        etag=etag,
        crc64=int(crc64),
        size=size,
        modified=modified,
        content_md5=content_md5,
        headers=json.loads(headers),
    )


def _segments(rows: sqlite3.Connection, number: int) -> list[Segment]:
    found = rows.execute(
        "SELECT blob, size FROM segments WHERE object = ? ORDER BY position", (number,)
    )
    return [Segment(*row) for row in found]


def _replace_object(
    rows: sqlite3.Connection, stored: StoredObject, precondition: Precondition
) -> list[str]:
    record = stored.record
    existing = _object_row(rows, record.bucket, record.key)
    precondition(None if existing is None else existing[1])
    obsolete = _remove_object(rows, record.bucket, record.key)
    rows.execute("INSERT OR IGNORE INTO buckets VALUES (?)", (record.bucket,))
    number = rows.execute(
        "INSERT INTO objects VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(record.bucket, record.key, record.object_type, record.etag, str(record.crc64)),
            *(record.size, record.modified, record.content_md5, json.dumps(record.headers)),
        ),
    ).lastrowid
    rows.executemany(
        "INSERT INTO segments VALUES (?, ?, ?, ?)",
        ((number, at, piece.blob, piece.size) for at, piece in enumerate(stored.segments)),
    )
    return obsolete


def _remove_object(rows: sqlite3.Connection, bucket: str, key: str) -> list[str]:
    found = _object_row(rows, bucket, key)
    if found is None:
        return []
    blobs = [segment.blob for segment in _segments(rows, found[0])]
    rows.execute("DELETE FROM segments WHERE object = ?", (found[0],))
    rows.execute("DELETE FROM objects WHERE id = ?", (found[0],))
    return blobs


def _upload(rows: sqlite3.Connection, bucket: str, key: str, upload_id: str) -> UploadRecord:
    row = rows.execute(
        "SELECT id, bucket, key, initiated, headers FROM uploads"
        " WHERE id = ? AND bucket = ? AND key = ?",
        (upload_id, bucket, key),
    ).fetchone()
    if row is None:
        raise OssError("NoSuchUpload", UploadId=upload_id)
    return _upload_record(row)


def _upload_record(row: tuple[Any, ...]) -> UploadRecord:
    upload_id, bucket, key, initiated, headers = row
    loaded: Mapping[str, str] = json.loads(headers)
    return UploadRecord(upload_id, bucket, key, initiated, loaded)


def _parts(rows: sqlite3.Connection, upload_id: str, after: int, limit: int) -> list[PartRecord]:
    found = rows.execute(
        "SELECT number, blob, size, etag, crc64, modified FROM parts"
        " WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
        (upload_id, after, limit),
    )
    return [
        PartRecord(number, blob, size, etag, int(crc64), modified)
        for number, blob, size, etag, crc64, modified in found
    ]


def _remove_upload(rows: sqlite3.Connection, upload_id: str) -> list[str]:
    blobs = [part.blob for part in _parts(rows, upload_id, 0, -1)]
    rows.execute("DELETE FROM parts WHERE upload = ?", (upload_id,))
    rows.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
    return blobs
