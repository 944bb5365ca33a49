"""The course of one upload: which road it takes, and what it leaves behind."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from resumable.core.checkpoint import Checkpoint, Destination, PartRecord, headers_digest
from resumable.core.headers import RoutedHeaders
from resumable.core.integrity import combine_all, etag_of_parts
from resumable.core.outcome import Remains, UploadFate, kept_sentence
from resumable.core.plan import MIN_PART_SIZE, Plan
from resumable.core.reconcile import (
    FOREIGN,
    Adopt,
    Continue,
    ListedPart,
    Refuse,
    StartOver,
    Wanted,
    WorkList,
    judge_checkpoint,
    plan_for_listed,
    reconcile_parts,
)
from resumable.errors import (
    CallbackFailedError,
    InvalidPartError,
    NoSuchUploadError,
    PartNotSequentialError,
    ResumableError,
)
from resumable.oss.content_type import with_content_type
from resumable.oss.results import InitiatedUpload
from resumable.transfer.checkpoints import CheckpointFile
from resumable.transfer.course import NOTHING, Course, UploadOptions, checkpoint_refused
from resumable.transfer.finishing import Content, Finisher
from resumable.transfer.ledger import Ledger
from resumable.transfer.listing import list_all_parts, whole_seconds
from resumable.transfer.results import UploadResult, VerifiedObject
from resumable.transfer.sending import PartSender, Run, digest_of
from resumable.transfer.source import SourceFile

_log = logging.getLogger("resumable")

_COMPLETE_TRIES = 3
# After Ctrl-C an abort gets a moment, not the usual patience.
_HURRIED = 0.35
_PATIENT = 10.0


class Upload:
    """One call of `upload_file`: which road it takes, and what it leaves behind."""

    def __init__(
        self,
        run: Run,
        source: SourceFile,
        key: str,
        headers: RoutedHeaders,
        options: UploadOptions,
        file: CheckpointFile | None,
    ) -> None:
        self._run = run
        self._source = source
        self._key = key
        self._headers = headers
        self._options = options
        self._file = file
        self._finisher = Finisher(run, source, key, headers)
        self._destination = Destination(
            endpoint=run.bucket.endpoint, bucket=run.bucket.name, key=key
        )
        # Whether parts go out in order counts as much for what an upload becomes as its headers do.
        order = {"?sequential": ""} if options.sequential else {}
        self._own_digest = headers_digest({**headers.owned, **order})
        self._course = Course(Plan(source.size, MIN_PART_SIZE), self._own_digest)

    def carry_out(self, plan: Plan) -> VerifiedObject:
        """Resume what there is, or begin; begin once more if the upload vanishes meanwhile."""
        with self._saying_what_is_kept():
            self._run.tick()
            try:
                return self._resume(plan) or self._begin(plan)
            except NoSuchUploadError as error:
                # Aborted, expired or completed, by somebody else or by an earlier run.
                _log.warning("upload %s is gone: %s", self._upload_id, error)
                self._run.renew()
                self._make_sure_it_is_gone()
                made = self._look_for_object()
                if made is None and self._options.upload_id is not None:
                    self._move(remains=NOTHING)
                    raise
                return made or self._begin_anew(plan)
            except PartNotSequentialError as error:
                if self._options.upload_id is not None:
                    error.advice = "It cannot take this file any more: upload without upload_id="
                    raise
                _log.warning("upload %s is aborted: %s", self._upload_id, error)
                self._run.renew()
                self._make_sure_it_is_gone()
                return self._begin_anew(plan)

    def result(self, made: VerifiedObject, elapsed: float) -> UploadResult:
        """What the caller gets in the end."""
        meter, stored = self._run.meter, made.stored
        return UploadResult(
            bucket=self._destination.bucket,
            key=self._key,
            etag=stored.etag,
            crc64=made.crc64,
            size=self._source.size,
            part_size=self._course.plan.part_size,
            parts_total=self._course.plan.count,
            parts_reused=meter.parts_reused,
            bytes_sent=meter.bytes_sent,
            bytes_reused=meter.bytes_reused,
            resumed=self._course.resumed,
            request_id=stored.request_id,
            version_id=stored.version_id,
            elapsed=elapsed,
            callback_body=stored.callback_body,
            verified=made.verified,
        )

    def _resume(self, plan: Plan) -> VerifiedObject | None:
        found = self._file.load() if self._file is not None else None
        upload_id = self._options.upload_id
        identity = self._source.identity
        check = self._options.source_check
        wanted = Wanted(
            "upload", self._destination, identity, self._own_digest, upload_id, source_check=check
        )
        match judge_checkpoint(found, wanted):
            case Refuse() as other:
                raise checkpoint_refused(self._path, other)
            case StartOver() as stale:
                self._move(remains=self._recorded(stale.upload_id, 0, plan))
                if stale.unless_known is not None:
                    self._list_parts(stale.upload_id, stale.unless_known)
                _log.warning("upload %s is aborted: %s", stale.upload_id, stale.why)
                self._make_sure_it_is_gone()
                return self._begin_anew(plan)
            case Adopt() as named:
                return self._adopt(named.upload_id, plan)
            case Continue() as open_upload:
                if open_upload.plan.part_size != plan.part_size:
                    _log.warning(
                        "part_size stays %d: the upload was begun with it",
                        open_upload.plan.part_size,
                    )
                remains = self._recorded(
                    open_upload.upload_id, len(open_upload.recorded), open_upload.plan
                )
                self._take_over(open_upload, remains)
                return self._continue(
                    open_upload, self._list_parts(open_upload.upload_id, open_upload.unless_known)
                )
        return None

    def _adopt(self, upload_id: str, plan: Plan) -> VerifiedObject:
        """Resume an upload of which nothing is known here."""
        untouched = Remains(UploadFate.OPEN, upload_id, plan.count, named=True)
        self._course = Course(plan, FOREIGN, remains=untouched)
        listed = self._list_parts(upload_id)
        plan = plan_for_listed(self._source.size, self._options.part_size, listed)
        found = Continue(upload_id, plan, trusted=False, recorded=(), headers_digest=FOREIGN)
        self._take_over(found, replace(untouched, parts_total=plan.count))
        if self._file is not None:
            self._file.save(self._checkpoint(upload_id, ()))
            self._move(remains=self._recorded(upload_id, 0, plan))
        return self._continue(found, listed)

    def _take_over(self, found: Continue, remains: Remains) -> None:
        # The time of a list that came before stays: the upload was unfinished then.
        initiated = self._course.initiated if found.initiated is None else found.initiated
        self._course = Course(found.plan, found.headers_digest, initiated, True, remains)

    def _continue(self, found: Continue, listed: list[ListedPart]) -> VerifiedObject:
        work = reconcile_parts(found.plan, found.recorded, listed, trusted=found.trusted)
        _log.info(
            "upload %s is resumed: %d parts reused, %d to be read again, %d to be sent",
            found.upload_id,
            len(work.reuse),
            len(work.verify),
            len(work.send),
        )
        return self._transfer(self._checkpoint(found.upload_id, work.reuse), work)

    def _make_sure_it_is_gone(self) -> None:
        """Abort the upload, even if it is said to be gone: a wrong word must leave no parts."""
        if self._upload_id and not self._is_foreign:
            self._run.call(lambda: self._finisher.abandon(self._upload_id))

    def _begin_anew(self, plan: Plan) -> VerifiedObject:
        self._run.meter.reset()
        self._delete_checkpoint()
        return self._begin(plan)

    def _begin(self, plan: Plan) -> VerifiedObject:
        self._course = Course(plan, self._own_digest)
        self._finisher.begin()
        if plan.count == 1:
            made = self._finisher.put()
            self._delete_checkpoint()
            return made
        begun: list[InitiatedUpload] = []
        with self._aborted_on_failure(begun):
            self._run.call(lambda: self._initiate(begun))
            upload_id, initiated = begun[0].upload_id, whole_seconds(begun[0].server_time)
            self._move(
                initiated=initiated, remains=Remains(UploadFate.OPEN, upload_id, plan.count, 0)
            )
            _log.info("upload %s begun: %d parts", upload_id, plan.count)
            checkpoint = self._checkpoint(upload_id, ())
            work = WorkList((), (), tuple(plan))
            if self._file is None:
                return self._transfer(checkpoint, work)
            self._file.save(checkpoint)
        self._move(remains=self._course.remains.saved(self._path, 0))
        return self._transfer(checkpoint, work)

    def _initiate(self, begun: list[InitiatedUpload]) -> None:
        cancellation = self._run.cancellation
        # Not under the run's cancellation: an answer that is not waited for is an upload nobody
        # knows of.
        bucket = self._run.free_bucket
        headers = with_content_type(self._headers.initiate, self._key, self._source.path)
        made = bucket.init_multipart_upload(
            self._key, sequential=self._options.sequential, headers=headers
        )
        begun.append(made)
        if cancellation.is_set:  # the run ended meanwhile, and left this to its thread
            self._finisher.abandon(made.upload_id)

    def _transfer(self, begun: Checkpoint, work: WorkList) -> VerifiedObject:
        ledger = Ledger(begun, self._file, self._run.throttle.give_way)
        try:
            with self._done_all_the_same(), ledger:
                sender = PartSender(self._run, self._source, self._key, ledger, self._headers)
                sender.process(work)
                made = self._complete(ledger, sender)
        finally:  # now that the last state of the checkpoint is written
            count = len(ledger.records())
            self._move(remains=self._course.remains.counted(count, ledger.saved))
        self._delete_checkpoint()
        return made

    def _complete(self, ledger: Ledger, sender: PartSender) -> VerifiedObject:
        for tries_left in reversed(range(_COMPLETE_TRIES)):
            self._finisher.make_sure_of_source(ledger)
            try:
                return self._run.call(lambda: self._finisher.complete(ledger, self._asked_for))
            except InvalidPartError as error:
                if not tries_left:
                    raise
                _log.warning("%s: listing the parts again", error)
            listed = self._list_parts(ledger.upload_id)
            missing = reconcile_parts(self._course.plan, ledger.records(), listed, trusted=True)
            ledger.keep_only({record.number for record in missing.reuse})
            sender.process(missing)
        raise AssertionError("the last try returned or raised")

    def _list_parts(self, upload_id: str, unless_known: Refuse | None = None) -> list[ListedPart]:
        """The parts that the server has.

        Raises:
            NoSuchUploadError: it does not know the upload.
            CheckpointError: it does not know it, and the checkpoint was made through another
                endpoint.
        """
        bucket, headers = self._run.bucket, self._headers.every
        try:
            listed = self._run.call(lambda: list_all_parts(bucket, self._key, upload_id, headers))
        except NoSuchUploadError:
            if unless_known is None:
                raise
            raise checkpoint_refused(self._path, unless_known) from None
        if self._course.initiated is None:
            self._move(initiated=whole_seconds(listed.server_time))
        return listed.parts

    def _look_for_object(self) -> VerifiedObject | None:
        """The object, if a run whose upload id is gone has completed it."""
        course = self._course
        made = self._run.call(
            lambda: self._finisher.found(self._local_content, course.initiated, self._asked_for)
        )
        if made is not None:
            _log.info("oss://%s/%s is complete already", self._destination.bucket, self._key)
            self._run.meter.begin()
            for part in course.plan:
                self._run.meter.already_there(part.number, part.size)
            self._run.tick()
            self._delete_checkpoint()
        return made

    def _local_content(self, with_md5: bool) -> Content:
        plan, look = self._course.plan, self._run.cancellation.check
        with self._source.reader() as reader:
            digests = [digest_of(part, reader, look, with_md5=with_md5) for part in plan]
        self._source.check()
        crc = combine_all((digest.crc64, digest.size) for digest in digests)
        return Content(crc, etag_of_parts(digest.md5 for digest in digests), plan.count)

    def _checkpoint(self, upload_id: str, parts: tuple[PartRecord, ...]) -> Checkpoint:
        return Checkpoint(
            kind="upload",
            destination=self._destination,
            upload_id=upload_id,
            file=self._source.identity,
            part_size=self._course.plan.part_size,
            headers_digest=self._course.digest,
            parts=parts,
            initiated=self._course.initiated,
        )

    def _recorded(self, upload_id: str, parts: int, plan: Plan) -> Remains:
        named = self._options.upload_id is not None
        begun = Remains(UploadFate.OPEN, upload_id, plan.count, named=named)
        return begun.saved(self._path, parts)

    def _move(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of a course
        self._course = replace(self._course, **changes)

    @property
    def _upload_id(self) -> str:
        return self._course.remains.upload_id

    @property
    def _is_foreign(self) -> bool:
        """Whether the upload was begun by somebody else, and so is not to be aborted."""
        return self._options.upload_id is not None or self._course.digest == FOREIGN

    @property
    def _asked_for(self) -> Mapping[str, str] | None:
        """The headers that the object gets; None if those of its beginning are not known."""
        if self._course.digest != self._own_digest:
            return None
        return with_content_type(self._headers.owned, self._key, self._source.path)

    @property
    def _path(self) -> str:
        return self._file.path if self._file is not None else ""

    def _delete_checkpoint(self) -> None:
        if self._file is not None:
            self._file.delete()

    @contextmanager
    def _done_all_the_same(self) -> Iterator[None]:
        """A callback that failed does not undo the object: there is nothing left to resume."""
        try:
            yield
        except CallbackFailedError:
            self._delete_checkpoint()
            self._move(remains=NOTHING)
            raise

    @contextmanager
    def _saying_what_is_kept(self) -> Iterator[None]:
        """Whatever ends the run says what remains: an error of ours, or a note on another's."""
        try:
            yield
        finally:
            ended_by = sys.exception()
            kept = kept_sentence(self._course.remains, self._finisher.fate)
            if isinstance(ended_by, ResumableError):
                ended_by.kept = ended_by.kept or kept
            elif ended_by is not None and kept:
                ended_by.add_note(kept)

    @contextmanager
    def _aborted_on_failure(self, begun: list[InitiatedUpload]) -> Iterator[None]:
        """Abort the upload that was begun, unless the context ends well."""
        finished = False
        try:
            yield
            finished = True
        finally:
            for upload in begun if not finished else ():
                hurry = not isinstance(sys.exception(), ResumableError) or self._run.was_cancelled
                remains = replace(self._course.remains, upload_id=upload.upload_id)
                # So that this is what is said if the abort does not end.
                self._move(remains=remains.ended(UploadFate.LEFT))
                fate = self._finisher.abandon(upload.upload_id, _HURRIED if hurry else _PATIENT)
                self._move(remains=remains.ended(fate))
