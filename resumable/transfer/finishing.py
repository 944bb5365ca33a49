"""Making the object out of its parts, and being sure that it is the file."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from resumable.core.headers import ACL, CALLBACK, RoutedHeaders
from resumable.core.integrity import combine_all
from resumable.core.plan import Part
from resumable.core.reconcile import ObjectFacts, is_our_object
from resumable.errors import (
    CallbackFailedError,
    FileAlreadyExistsError,
    IntegrityError,
    NetworkError,
    NoSuchUploadError,
    ProtocolError,
    ResumableError,
    ServerError,
    SourceChangedError,
)
from resumable.oss.content_type import with_content_type
from resumable.oss.results import ObjectHead, StoredObject, UploadedPart
from resumable.transfer.aborting import End, abandon
from resumable.transfer.checkpoints import Ledger
from resumable.transfer.fileparts import FilePart
from resumable.transfer.sending import Run, digest_of, suspecting
from resumable.transfer.source import SourceFile, SourceReader

_log = logging.getLogger("resumable")

_UNSEEN = {ACL, CALLBACK}
# Dates in headers have whole seconds.
_COARSE = 2.0


class Finisher:
    """Makes one object, by PutObject or by Complete, and verifies it.

    All but `put` and `abandon` is to be called through `Run.call`.
    """

    def __init__(self, run: Run, source: SourceFile, key: str, headers: RoutedHeaders) -> None:
        self._run = run
        self._source = source
        self._key = key
        self._headers = headers
        self._asked = 0.0  # when the object was first asked for, by the monotonic clock

    def put(self) -> StoredObject:
        """Send the whole file in one request.

        Raises:
            SourceChangedError: the file changed before its last byte was sent; the object was
                not made.
        """
        self._run.meter.begin()
        made: list[StoredObject] = []

        def do(whole: Part, reader: SourceReader) -> None:
            made.append(self._put(whole, reader))

        self._run.work_off(self._source, [Part(1, 0, self._source.size)], do)
        return made[0]

    def complete(self, ledger: Ledger) -> StoredObject:
        """Make the object of the parts in the ledger.

        Raises:
            SourceChangedError: the file is no longer the one whose parts were sent; nothing was
                completed.
            IntegrityError: the object that now stands under the key is not the file.
            ResumableError: Complete failed; the parts are still there.
        """
        records = ledger.records()
        self._make_sure_of_source(ledger)
        acknowledged = [(record.number, record.size) for record in records]
        if acknowledged != [(part.number, part.size) for part in ledger.plan]:
            raise IntegrityError("not every part was acknowledged; nothing was completed")
        ledger.flush()
        crc = combine_all((record.crc64, record.size) for record in records)
        parts = [UploadedPart(part.number, part.size, part.etag, part.crc64) for part in records]
        self._asked = self._asked or time.monotonic()
        try:
            stored = self._run.bucket.complete_multipart_upload(
                self._key, ledger.upload_id, parts, headers=self._headers.complete
            )
        except CallbackFailedError as error:
            self._tell_what_is_stored(error, crc)
            raise
        except ResumableError as error:
            # While the upload is there it was not completed, whatever stands under the key.
            gone = _may_have_been_made(error) and self._is_gone(ledger.upload_id, error)
            also = f", and upload {ledger.upload_id} is gone"
            found = self._made_by_a_lost_try(error, crc, also) if gone else None
            if found is None:
                raise
            return found
        return self._verified(stored, crc)

    def found(self, local_crc64: Callable[[], int], parts: int) -> StoredObject | None:
        """The object under the key, if it is the one an earlier run would have made of `parts`.

        Raises:
            ResumableError: it is not known for now; asking again may tell.
        """
        head = self._head()
        if head is None or head.size != self._source.size:
            return None
        # What HEAD does not show can only be had of an object that was made of the same parts.
        unseen = _UNSEEN & set(self._headers.put)
        if unseen and not head.etag.endswith(f"-{parts}"):
            return None
        return self._recognised(head, local_crc64())

    def _recognised(self, head: ObjectHead, crc64: int) -> StoredObject | None:
        facts = ObjectFacts(head.size, head.crc64, head.headers)
        size, headers = self._source.size, self._headers.owned
        if not is_our_object(facts, size=size, crc64=crc64, headers=headers):
            return None
        return StoredObject(head.etag, crc64, head.version_id, head.request_id)

    def abandon(self, upload_id: str, patience: float = 10.0) -> End:
        """Abort an upload, within so many seconds, until the server no longer knows it."""
        bucket = self._run.free_bucket
        return abandon(bucket, self._key, upload_id, self._headers.every, patience)

    def _put(self, part: Part, reader: SourceReader) -> StoredObject:
        run = self._run
        watch = run.watch(part.number, last=self._source.check_untouched)
        data = FilePart(reader, part, watch, by_kernel=False)
        headers = with_content_type(self._headers.put, self._key, self._source.path)
        self._asked = time.monotonic()
        try:
            # Always with its MD5, so that damaged bytes never come to stand under the key: there
            # is no Complete to withhold.
            with suspecting(self._source):
                stored = run.bucket.put_object(self._key, data, headers=headers)
        except CallbackFailedError as error:
            self._tell_what_is_stored(error, data.digest().crc64)
            raise
        except ResumableError as error:
            made = _may_have_been_made(error)
            found = self._made_by_a_lost_try(error, data.digest().crc64) if made else None
            if found is None:
                raise
            stored = found
        run.meter.sent(part.number, part.size)
        return self._verified(stored, data.digest().crc64)

    def _make_sure_of_source(self, ledger: Ledger) -> None:
        self._source.check()
        if not self._source.was_touched():
            return
        state = self._source.now()
        _log.warning("%r was touched while it was sent: reading it again", self._source.path)
        plan = ledger.plan
        with self._source.reader() as reader:
            for record in ledger.records():
                digest = digest_of(plan.part(record.number), reader, self._run.cancellation.check)
                if digest.crc64 != record.crc64:
                    raise SourceChangedError(
                        f"{self._source.path!r} changed while it was sent: part {record.number}"
                    )
        if self._source.was_touched(since=state):
            raise SourceChangedError(f"{self._source.path!r} changed while it was read again")

    def _made_by_a_lost_try(
        self, error: ResumableError, crc64: int, also: str = ""
    ) -> StoredObject | None:
        found = self._found_now(crc64)
        if found is not None:
            told = "the answer was lost, but the object is there and right%s (%s)"
            _log.warning(told, also, error)
        return found

    def _tell_what_is_stored(self, error: CallbackFailedError, crc64: int) -> None:
        verified = self._found_now(crc64) is not None
        error.kept = f"The object is stored{' and verified' if verified else '; check it'}"

    def _is_gone(self, upload_id: str, error: ResumableError) -> bool:
        try:
            self._run.bucket.list_parts(
                self._key, upload_id, max_parts=1, headers=self._headers.every
            )
        except NoSuchUploadError:
            return True
        except ResumableError as unknown:
            _log.warning("whether upload %s is complete is not known: %s", upload_id, unknown)
            return isinstance(error, NoSuchUploadError)
        return False

    def _found_now(self, crc64: int) -> StoredObject | None:
        """The object under the key, if this run has made it.

        One that was there before it was asked for is not it, whatever it holds: a callback would
        not have been called, nor an overwriting been refused.
        """
        try:
            head = self._head()
        except ResumableError as error:
            _log.warning("the object cannot be looked at: %s", error)
            return None
        if head is None or head.age is None:
            return None
        if head.age > time.monotonic() - self._asked + _COARSE:
            return None
        return self._recognised(head, crc64)

    def _verified(self, stored: StoredObject, crc64: int) -> StoredObject:
        server = stored.crc64
        if server is None:
            head = self._head()
            server = head.crc64 if head is not None and head.etag == stored.etag else None
        if server != crc64:
            told = "does not tell its CRC-64" if server is None else f"has CRC-64 {server}"
            error = IntegrityError(
                f"the object now under {self._key!r} cannot be taken for the file: it {told}, "
                f"and the file has {crc64}",
                request_id=stored.request_id,
                advice="Do not use the object; upload the file again",
            )
            error.kept = "The parts went into that object"
            raise error
        return replace(stored, crc64=crc64)

    def _head(self) -> ObjectHead | None:
        try:
            return self._run.bucket.head_object(self._key, headers=self._headers.every)
        except ResumableError as error:
            if error.retryable:
                raise
            _log.info("no object to compare with: %s", error)
            return None


def _may_have_been_made(error: ResumableError) -> bool:
    """Whether the object may stand there although the request for it failed."""
    if isinstance(error, FileAlreadyExistsError):
        return error.tries > 1  # told no at the first try, nothing of ours can be there
    if isinstance(error, ServerError):
        # A 404 that cannot be read may be the NoSuchUpload of a second try.
        gone = isinstance(error, NoSuchUploadError) or (error.status == 404 and not error.code)
        return error.status >= 500 or gone
    return isinstance(error, NetworkError | ProtocolError)
