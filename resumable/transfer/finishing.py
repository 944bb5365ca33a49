"""Making the object out of its parts, and being sure that it is the file."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from resumable.core.checkpoint import PartRecord
from resumable.core.headers import ACL, CALLBACK, RoutedHeaders
from resumable.core.integrity import PartDigest, combine_all, etag_of_parts, md5_of_etag
from resumable.core.outcome import ObjectFate, UploadFate
from resumable.core.plan import Part
from resumable.core.recognition import (
    BUCKET_DEFAULTS,
    ExpectedObject,
    ObjectFacts,
    is_our_object,
    is_whole_of,
)
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
    TransferCancelledError,
)
from resumable.oss.bucket import Bucket
from resumable.oss.content_type import with_content_type
from resumable.oss.results import ObjectHead, StoredObject, UploadedPart
from resumable.transfer.aborting import abandon
from resumable.transfer.fileparts import FilePart
from resumable.transfer.ledger import Ledger
from resumable.transfer.reading import SourceReader
from resumable.transfer.results import Verified, VerifiedObject
from resumable.transfer.sending import Run, digest_of, suspecting
from resumable.transfer.source import SourceFile

_log = logging.getLogger("resumable")

# What no HEAD shows.
_UNSEEN = {ACL, CALLBACK}
# Dates in headers have whole seconds.
_COARSE = 2.0


@dataclass(frozen=True, slots=True)
class Content:
    """What the object is to be: the bytes of the file, and how they travel.

    Attributes:
        crc64: Of the bytes.
        md5_etag: See `ExpectedObject`.
        parts: How many parts it is made of; None for PutObject.
    """

    crc64: int
    md5_etag: str | None
    parts: int | None


class Finisher:
    """Makes one object, by PutObject or by Complete, and verifies it.

    All but `put`, `make_sure_of_source` and `abandon` is to be called through `Run.call`.

    Attributes:
        fate: What is known of the object by now.
    """

    def __init__(self, run: Run, source: SourceFile, key: str, headers: RoutedHeaders) -> None:
        self._run = run
        self._source = source
        self._key = key
        self._headers = headers
        self._asked = 0.0  # when the object was first asked for, by the monotonic clock
        self.fate = ObjectFate.ABSENT

    def begin(self) -> None:
        """Nothing of a new upload has been asked for yet."""
        self.fate = ObjectFate.ABSENT

    def put(self) -> VerifiedObject:
        """Send the whole file in one request.

        Raises:
            SourceChangedError: the file changed before its last byte was sent; the object was
                not made.
        """
        self._run.meter.begin()
        made: list[VerifiedObject] = []

        def do(whole: Part, reader: SourceReader) -> None:
            made.append(self._put(whole, reader))

        self._run.work_off(self._source.reader, [Part(1, 0, self._source.size)], do)
        return made[0]

    def make_sure_of_source(self, ledger: Ledger) -> None:
        """Read the parts that were sent again, unless the file is known to be the same.

        To be called by the thread that called the transfer.

        Raises:
            SourceChangedError: it is no longer the one whose parts were sent.
        """
        source = self._source
        if not self._run.call(source.must_be_read_again):
            return
        state = source.now()
        if not source.reads_twice:
            _log.warning("%r was touched while it was sent: reading it again", source.path)
        plan = ledger.plan

        def compare(record: PartRecord, reader: SourceReader) -> None:
            self._compare(plan.part(record.number), record.crc64, reader)

        with source.opened_anew() as again:
            self._run.work_off(again.reader, ledger.records(), compare)
        source.check_untouched(since=state)

    def complete(self, ledger: Ledger, asked_for: Mapping[str, str] | None) -> VerifiedObject:
        """Make the object of the parts in the ledger.

        Args:
            ledger: Of all parts.
            asked_for: What the upload was begun with, or None if that is not known.

        Raises:
            SourceChangedError: the file is no longer the one whose parts were sent; nothing was
                completed.
            IntegrityError: the object that now stands under the key is not the file.
            ResumableError: Complete failed; the parts are still there.
        """
        records = ledger.records()
        self._source.check()
        acknowledged = [(record.number, record.size) for record in records]
        if acknowledged != [(part.number, part.size) for part in ledger.plan]:
            raise IntegrityError("not every part was acknowledged; nothing was completed")
        ledger.flush()
        content = Content(
            combine_all((record.crc64, record.size) for record in records),
            etag_of_parts(md5_of_etag(record.etag) for record in records),
            len(records),
        )
        parts = [UploadedPart(part.number, part.size, part.etag, part.crc64) for part in records]
        self._asked = self._asked or time.monotonic()
        self.fate = ObjectFate.POSSIBLE
        try:
            stored = self._run.bucket.complete_multipart_upload(
                self._key, ledger.upload_id, parts, headers=self._headers.complete
            )
        except CallbackFailedError:
            self._look_at_what_is_stored(content, asked_for)
            raise
        except ResumableError as error:
            self._note_refusal(error)
            # While the upload is there it was not completed, whatever stands under the key.
            gone = _may_have_been_made(error) and self._is_gone(ledger.upload_id, error)
            found = self._made_by_a_lost_try(error, content, asked_for) if gone else None
            if found is None:
                raise
            return found
        return self._verified(stored, content)

    def found(
        self,
        local: Callable[[bool], Content],
        since: float | None,
        asked_for: Mapping[str, str] | None,
    ) -> VerifiedObject | None:
        """The object under the key, if it is the one that an earlier run would have made.

        Args:
            local: Reads the file for what the object would be, with its MD5s if they are needed.
            since: Seconds since the epoch by the server's clock at which the upload was not
                completed yet. None, not known: then no object is taken for it.
            asked_for: What the upload was begun with, or None if that is not known.

        Raises:
            ResumableError: it is not known for now; asking again may tell.
        """
        if since is None:
            return None
        head = self._head()
        if head is None or head.size != self._source.size:
            return None
        return self._recognised(head, local(head.crc64 is None), since, asked_for)

    def _recognised(
        self,
        head: ObjectHead,
        content: Content,
        since: float,
        headers: Mapping[str, str] | None,
        unasked: frozenset[str] = frozenset(),
    ) -> VerifiedObject | None:
        expected = ExpectedObject(
            self._source.size,
            content.crc64,
            content.md5_etag,
            content.parts,
            since,
            headers,
            unasked,
            # It can only be had of an object that was made of the same parts.
            needs_part_count=bool(_UNSEEN & set(self._headers.put)),
        )
        if not is_our_object(facts_of(head), expected):
            return None
        self.fate = ObjectFate.VERIFIED
        stored = StoredObject(head.etag, head.crc64, head.version_id, head.request_id)
        return self._told(stored, content.crc64, "parts" if head.crc64 is None else "crc64")

    def _told(self, stored: StoredObject, crc64: int, verified: Verified) -> VerifiedObject:
        if verified == "parts":
            _log.warning(
                "the server shows no CRC-64 of oss://%s/%s: the object is verified by the MD5 of "
                "its parts, by its size and by their number",
                self._run.bucket.name,
                self._key,
            )
        return VerifiedObject(stored, crc64, verified)

    def abandon(self, upload_id: str, patience: float = 10.0) -> UploadFate:
        """Abort an upload, within so many seconds, until the server no longer knows it."""
        bucket = self._run.free_bucket
        return abandon(bucket, self._key, upload_id, self._headers.every, patience)

    def _put(self, part: Part, reader: SourceReader) -> VerifiedObject:
        run = self._run
        watch = run.watch(part.number, last=self._source.check_untouched)
        if self._source.reads_twice:
            watch = replace(watch, read=partial(self._compare_again, part))
        data = FilePart(reader, part, watch, by_kernel=False)
        headers = with_content_type(self._headers.put, self._key, self._source.path)
        self._asked = time.monotonic()
        try:
            # Always with its MD5, so that damaged bytes never come to stand under the key: there
            # is no Complete to withhold.
            with suspecting(self._source):
                self.fate = ObjectFate.POSSIBLE
                stored = run.bucket.put_object(self._key, data, headers=headers)
        except CallbackFailedError:
            self._look_at_what_is_stored(_content_of_one(data.digest()), headers)
            raise
        except ResumableError as error:
            self._note_refusal(error)
            found = None
            if _may_have_been_made(error):
                content = _content_of_one(data.digest())
                found = self._made_by_a_lost_try(error, content, headers)
            if found is None:
                raise
            made = found
        else:
            made = self._verified(stored, _content_of_one(data.digest()))
        run.meter.sent(part.number, part.size)
        return made

    def _compare_again(self, part: Part, digest: PartDigest) -> None:
        """Read a part that is about to be sent a second time."""
        with self._source.opened_anew() as again, again.reader() as reader:
            self._compare(part, digest.crc64, reader)

    def _compare(self, part: Part, crc64: int, reader: SourceReader) -> None:
        digest = digest_of(part, reader, self._run.cancellation.check)
        if digest.crc64 != crc64:
            raise SourceChangedError(
                f"{self._source.path!r} changed while it was sent: part {part.number} holds other "
                "bytes than before"
            )

    def _made_by_a_lost_try(
        self, error: ResumableError, content: Content, asked_for: Mapping[str, str] | None
    ) -> VerifiedObject | None:
        found = self._found_now(content, asked_for)
        if found is not None:
            _log.warning("the answer was lost, but the object is there and right (%s)", error)
        return found

    def _note_refusal(self, error: ResumableError) -> None:
        if not _may_have_been_made(error) and not isinstance(error, TransferCancelledError):
            self.fate = ObjectFate.ABSENT

    def _look_at_what_is_stored(
        self, content: Content, asked_for: Mapping[str, str] | None
    ) -> None:
        self.fate = ObjectFate.STORED
        self._found_now(content, asked_for)

    def _is_gone(self, upload_id: str, error: ResumableError) -> bool:
        try:
            self._run.bucket.list_parts(
                self._key, upload_id, max_parts=1, headers=self._headers.every
            )
        except NoSuchUploadError:
            _log.warning("upload %s is gone: whether it is complete, the object tells", upload_id)
            return True
        except ResumableError as unknown:
            _log.warning("whether upload %s is complete is not known: %s", upload_id, unknown)
            return isinstance(error, NoSuchUploadError)
        self.fate = ObjectFate.ABSENT
        return False

    def _found_now(
        self, content: Content, asked_for: Mapping[str, str] | None
    ) -> VerifiedObject | None:
        """The object under the key, if this run has made it.

        One that was there before it was asked for is not it, whatever it holds: a callback would
        not have been called, nor an overwriting been refused.
        """
        try:
            head = self._head(self._run.asking_bucket)
        except ResumableError as error:
            _log.warning("the object cannot be looked at: %s", error)
            return None
        if head is None or head.server_time is None:
            return None
        since = head.server_time - (time.monotonic() - self._asked) - _COARSE
        return self._recognised(head, content, since, asked_for, BUCKET_DEFAULTS)

    def _verified(self, stored: StoredObject, content: Content) -> VerifiedObject:
        """Hold the object that was made against the file.

        Raises:
            IntegrityError: it is not the file, or nothing tells that it is.
        """
        self.fate = ObjectFate.STORED
        server, by_parts = stored.crc64, False
        if server is None:
            head = self._head()
            if head is not None and head.etag == stored.etag:
                server = head.crc64
                by_parts = is_whole_of(facts_of(head), self._source.size, content.parts)
            elif head is None:  # it may not be looked at, but an ETag that is the MD5 tells
                by_parts = content.parts is None and stored.etag.lower() == content.md5_etag
        if server == content.crc64 or (server is None and by_parts):
            self.fate = ObjectFate.VERIFIED
            return self._told(stored, content.crc64, "parts" if server is None else "crc64")
        self.fate = ObjectFate.WRONG
        told = "does not tell its CRC-64" if server is None else f"has CRC-64 {server}"
        raise IntegrityError(
            f"the object now under {self._key!r} cannot be taken for the file: it {told}, "
            f"and the file has {content.crc64}",
            request_id=stored.request_id,
            advice="Do not use the object; upload the file again",
        )

    def _head(self, bucket: Bucket | None = None) -> ObjectHead | None:
        try:
            return (bucket or self._run.bucket).head_object(self._key, headers=self._headers.every)
        except ResumableError as error:
            if error.retryable:
                raise
            _log.info("no object to compare with: %s", error)
            return None


def facts_of(head: ObjectHead) -> ObjectFacts:
    """What HEAD shows, as the rules of recognition take it."""
    return ObjectFacts(head.size, head.etag, head.crc64, head.last_modified, head.headers)


def _content_of_one(digest: PartDigest) -> Content:
    return Content(digest.crc64, digest.md5.hex() if digest.md5 is not None else None, None)


def _may_have_been_made(error: ResumableError) -> bool:
    """Whether the object may stand there although the request for it failed."""
    if isinstance(error, FileAlreadyExistsError):
        return error.tries > 1  # told no at the first try, nothing of ours can be there
    if isinstance(error, ServerError):
        # A 404 that cannot be read may be the NoSuchUpload of a second try.
        gone = isinstance(error, NoSuchUploadError) or (error.status == 404 and not error.code)
        return error.status >= 500 or gone
    return isinstance(error, NetworkError | ProtocolError)
