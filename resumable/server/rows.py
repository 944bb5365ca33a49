"""The rows of the database: one function for each thing that is asked of it or changed in it.

Each runs inside a transaction that its caller has begun.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from resumable.server.blobs import Segment
from resumable.server.errors import OssError
from resumable.server.paging import Position
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
    headers TEXT NOT NULL, sequential INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, id);
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, crc64 TEXT NOT NULL, modified REAL NOT NULL,
    PRIMARY KEY (upload, number)) WITHOUT ROWID;
"""
_OBJECT_COLUMNS = "id, key, object_type, etag, crc64, size, modified, content_md5, headers"
_UPLOAD_COLUMNS = "id, bucket, key, initiated, headers, sequential"

Precondition = Callable[[ObjectRecord | None], None]


def create_tables(database: sqlite3.Connection) -> None:
    """Make what is missing of the tables, and bring those of an earlier version up to date."""
    database.executescript("BEGIN EXCLUSIVE;" + _SCHEMA + "COMMIT;")
    columns = {row[1] for row in database.execute("PRAGMA table_info(uploads)")}
    if "sequential" not in columns:
        database.execute("ALTER TABLE uploads ADD COLUMN sequential INTEGER NOT NULL DEFAULT 0")


def add_bucket(rows: sqlite3.Connection, bucket: str) -> None:
    """Add a bucket unless it is there."""
    rows.execute("INSERT OR IGNORE INTO buckets VALUES (?)", (bucket,))


def has_bucket(rows: sqlite3.Connection, bucket: str) -> bool:
    """Tell whether a bucket is there."""
    return rows.execute("SELECT 1 FROM buckets WHERE name = ?", (bucket,)).fetchone() is not None


def find_object(rows: sqlite3.Connection, bucket: str, key: str) -> tuple[int, ObjectRecord] | None:
    """Return an object and the number of its row."""
    row = rows.execute(
        f"SELECT {_OBJECT_COLUMNS} FROM objects WHERE bucket = ? AND key = ?",  # noqa: S608
        (bucket, key),
    ).fetchone()
    return None if row is None else (row[0], _object_record(bucket, row))


def scan_objects(
    rows: sqlite3.Connection, bucket: str, start: Position, end: str | None
) -> Iterator[ObjectRecord]:
    """Yield the objects of a bucket in the order of their keys."""
    below, values = _below(end)
    found = rows.execute(
        f"SELECT {_OBJECT_COLUMNS} FROM objects"  # noqa: S608
        f" WHERE bucket = ? AND key >= ?{below} ORDER BY key",
        (bucket, start.key, *values),
    )
    return (_object_record(bucket, row) for row in found)


def segments(rows: sqlite3.Connection, number: int) -> list[Segment]:
    """Return where the bytes of an object are, by the number of its row."""
    found = rows.execute(
        "SELECT blob, size FROM segments WHERE object = ? ORDER BY position", (number,)
    )
    return [Segment(*row) for row in found]


def replace_object(
    rows: sqlite3.Connection, stored: StoredObject, precondition: Precondition
) -> list[str]:
    """Put an object in place of the one that was there; return the blobs of that one."""
    record = stored.record
    existing = find_object(rows, record.bucket, record.key)
    precondition(None if existing is None else existing[1])
    obsolete = remove_object(rows, record.bucket, record.key)
    add_bucket(rows, record.bucket)
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


def remove_object(rows: sqlite3.Connection, bucket: str, key: str) -> list[str]:
    """Remove an object if there is one; return its blobs."""
    found = find_object(rows, bucket, key)
    if found is None:
        return []
    blobs = [segment.blob for segment in segments(rows, found[0])]
    rows.execute("DELETE FROM segments WHERE object = ?", (found[0],))
    rows.execute("DELETE FROM objects WHERE id = ?", (found[0],))
    return blobs


def add_upload(rows: sqlite3.Connection, upload: UploadRecord) -> None:
    """Add an upload."""
    rows.execute(
        f"INSERT INTO uploads ({_UPLOAD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            *(upload.upload_id, upload.bucket, upload.key, upload.initiated),
            *(json.dumps(upload.headers), int(upload.sequential)),
        ),
    )


def get_upload(rows: sqlite3.Connection, bucket: str, key: str, upload_id: str) -> UploadRecord:
    """Return an upload.

    Raises:
        OssError: NoSuchUpload when it is not one of this bucket and key.
    """
    row = rows.execute(
        f"SELECT {_UPLOAD_COLUMNS} FROM uploads"  # noqa: S608
        " WHERE id = ? AND bucket = ? AND key = ?",
        (upload_id, bucket, key),
    ).fetchone()
    if row is None:
        raise OssError("NoSuchUpload", UploadId=upload_id)
    return _upload_record(row)


def scan_uploads(
    rows: sqlite3.Connection, bucket: str, start: Position, end: str | None
) -> Iterator[UploadRecord]:
    """Yield the uploads of a bucket in the order of their keys, then of their ids."""
    below, values = _below(end)
    found = rows.execute(
        f"SELECT {_UPLOAD_COLUMNS} FROM uploads"  # noqa: S608
        f" WHERE bucket = ? AND (key, id) >= (?, ?){below} ORDER BY key, id",
        (bucket, start.key, start.upload_id, *values),
    )
    return (_upload_record(row) for row in found)


def remove_upload(rows: sqlite3.Connection, upload_id: str) -> list[str]:
    """Remove an upload and its parts; return their blobs."""
    blobs = [part.blob for part in list_parts(rows, upload_id, 0, -1)]
    rows.execute("DELETE FROM parts WHERE upload = ?", (upload_id,))
    rows.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
    return blobs


def replace_part(rows: sqlite3.Connection, upload: UploadRecord, part: PartRecord) -> list[str]:
    """Put a part in place of the one with its number; return the blobs of that one.

    Raises:
        OssError: PartAlreadyExist or PartNotSequential when the upload wants its parts in order and
            has this one or later ones.
    """
    values = (part.number, part.blob, part.size, part.etag, str(part.crc64), part.modified)
    replaced = rows.execute(
        "SELECT blob FROM parts WHERE upload = ? AND number = ?", (upload.upload_id, part.number)
    ).fetchall()
    if upload.sequential:
        if replaced:
            raise OssError("PartAlreadyExist", PartNumber=str(part.number))
        highest = rows.execute(
            "SELECT max(number) FROM parts WHERE upload = ?", (upload.upload_id,)
        ).fetchone()[0]
        if highest is not None and part.number < highest:
            raise OssError("PartNotSequential", PartNumber=str(highest))
    rows.execute(
        "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)", (upload.upload_id, *values)
    )
    return [row[0] for row in replaced]


def list_parts(
    rows: sqlite3.Connection, upload_id: str, after: int, limit: int
) -> list[PartRecord]:
    """Return up to `limit` parts with numbers above `after`, in ascending order; -1 is all."""
    found = rows.execute(
        "SELECT number, blob, size, etag, crc64, modified FROM parts"
        " WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
        (upload_id, after, limit),
    )
    return [
        PartRecord(number, blob, size, etag, int(crc64), modified)
        for number, blob, size, etag, crc64, modified in found
    ]


def referenced_blobs(rows: sqlite3.Connection) -> list[str]:
    """Return the blobs of every object and part."""
    found = rows.execute("SELECT blob FROM segments UNION ALL SELECT blob FROM parts")
    return [row[0] for row in found]


def _below(end: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if end is None else (" AND key < ?", (end,))


def _object_record(bucket: str, row: tuple[Any, ...]) -> ObjectRecord:
    _, key, object_type, etag, crc64, size, modified, content_md5, headers = row
    return ObjectRecord(
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


def _upload_record(row: tuple[Any, ...]) -> UploadRecord:
    upload_id, bucket, key, initiated, headers, sequential = row
    loaded: Mapping[str, str] = json.loads(headers)
    return UploadRecord(upload_id, bucket, key, initiated, loaded, bool(sequential))
