"""Unfinished uploads for the commands that list them and give them up."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from resumable import Bucket
from resumable.server import LocalServer

HOUR = 3600
DAY = 24 * HOUR


def begin(bucket: Bucket, *keys: str) -> list[str]:
    """Begin an upload of each key; give their ids."""
    return [bucket.init_multipart_upload(key).upload_id for key in keys]


def listed(bucket: Bucket) -> list[tuple[str, str]]:
    """What is unfinished: key and upload id."""
    return [(upload.key, upload.upload_id) for upload in bucket.iter_multipart_uploads()]


def set_ages(server: LocalServer, root: Path, ages: Mapping[str, float]) -> None:
    """Let uploads have been begun so many seconds ago, as the server has it on record."""
    server.stop()
    database = sqlite3.connect(root / "store.sqlite")
    now = time.time()
    with database:
        for upload_id, age in ages.items():
            changed = database.execute(
                "UPDATE uploads SET initiated = ? WHERE id = ?", (now - age, upload_id)
            )
            assert changed.rowcount == 1
    database.close()
    server.start()


def answer_uploads(
    server: LocalServer, rows: Sequence[tuple[str, str, str]], **headers: str
) -> None:
    """Let the next list of uploads hold these keys (percent-encoded), ids and times."""
    uploads = "".join(
        f"<Upload><Key>{escape(key)}</Key><UploadId>{upload_id}</UploadId>"
        f"<Initiated>{initiated}</Initiated></Upload>"
        for key, upload_id, initiated in rows
    )
    body = (
        "<ListMultipartUploadsResult><EncodingType>url</EncodingType>"
        f"<IsTruncated>false</IsTruncated>{uploads}</ListMultipartUploadsResult>"
    )
    effect = {"answer": {"body": body, "headers": headers}}
    server.faults.add({"operation": "ListMultipartUploads", "effect": effect})
