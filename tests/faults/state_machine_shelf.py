"""What the server has, read from its store: not what the client under test makes of its answers."""

from resumable.server import LocalServer
from resumable.server.paging import Wanted
from resumable.server.records import ObjectRecord, PartRecord, UploadRecord
from resumable.server.store import Store

_BUCKET = "examplebucket"
_MOST = 10_000


class Shelf:
    """The objects, uploads and parts of a local server in this process."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    def object(self, key: str) -> tuple[ObjectRecord, bytes] | None:
        """An object and its bytes."""
        found = self._store.read_object(_BUCKET, key)
        if found is None:
            return None
        record, pinned = found
        try:
            return record, b"".join(pinned.blocks())
        finally:
            pinned.close()

    def uploads(self, key: str) -> dict[str, UploadRecord]:
        """The uploads to a key, by their ids."""
        page = self._store.list_uploads(_BUCKET, Wanted(_MOST, prefix=key))
        return {row.upload_id: row for row in page.rows if row.key == key}

    def parts(self, upload: UploadRecord) -> dict[int, PartRecord]:
        """The parts of an upload, by their numbers."""
        return {part.number: part for part in self._store.list_parts(upload, 0, _MOST)}

    def content(self, part: PartRecord) -> bytes:
        """The bytes of a part."""
        with self._store.blobs.open(part.blob) as file:
            return file.read()

    def clear(self, key: str) -> None:
        """Remove the object of a key and the uploads to it."""
        store = self._store
        store.delete_object(_BUCKET, key)
        for upload_id in self.uploads(key):
            store.abort_upload(_BUCKET, key, upload_id)

    @property
    def _store(self) -> Store:
        running = self._server._running
        if running is None:
            raise RuntimeError("the server is stopped")
        return running._store
