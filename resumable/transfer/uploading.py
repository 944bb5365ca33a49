"""The course of one upload: which road it takes, and what it leaves behind."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from resumable.core.checkpoint import Checkpoint, Destination, PartRecord, headers_digest
from resumable.core.headers import RoutedHeaders
from resumable.core.plan import MIN_PART_SIZE, Part, Plan
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
    CheckpointError,
    InvalidPartError,
    NoSuchUploadError,
    PartNotSequentialError,
    ResumableError,
)
from resumable.oss.content_type import with_content_type
from resumable.oss.results import StoredObject
from resumable.transfer.aborting import End
from resumable.transfer.checkpoints import CheckpointFile, Ledger
from resumable.transfer.finishing import Finisher
from resumable.transfer.results import UploadResult
from resumable.transfer.sending import PartSender, Run, digest_of
from resumable.transfer.source import SourceFile

_log = logging.getLogger("resumable")

_COMPLETE_TRIES = 3
_END_SENTENCES = {
    End.ABORTED: "Nothing is kept: the upload was aborted",
    End.GONE: "The upload was gone already: look with a HEAD whether the object is there",
    End.LEFT: "Upload {upload_id} could not be aborted; abort it: its parts are billed",
}
# After Ctrl-C tidying up gets a moment, not the usual patience.
_HURRIED = 0.35
_PATIENT = 10.0


@dataclass(frozen=True, slots=True)
class UploadWishes:
    """What the caller wants of the upload id.

    Attributes:
        upload_id: Go on with this one and no other. It is never aborted.
        part_size: Bytes of each part, where the caller says.
        sequential: Parts go out one after another.
    """

    upload_id: str | None
    part_size: int | None
    sequential: bool


class Upload:
    """One call of `upload_file`: which road it takes, and what it leaves behind."""

    def __init__(
        self,
        run: Run,
        source: SourceFile,
        key: str,
        headers: RoutedHeaders,
        wishes: UploadWishes,
        file: CheckpointFile | None,
    ) -> None:
        self._run = run
        self._source = source
        self._key = key
        self._headers = headers
        self._wishes = wishes
        self._file = file
        self._finisher = Finisher(run, source, key, headers)
        self._destination = Destination(
            endpoint=run.bucket.endpoint, bucket=run.bucket.name, key=key
        )
        # Whether parts go out in order counts as much for what an upload becomes as its headers do.
        order = {"?sequential": ""} if wishes.sequential else {}
        self._own_digest = self._digest = headers_digest({**headers.owned, **order})
        self._plan = Plan(source.size, MIN_PART_SIZE)
        self._resumed = False
        self._upload_id = ""
        self._kept = ""

    def carry_out(self, plan: Plan) -> StoredObject:
        """Take up what there is, or begin; begin once more if the upload vanishes meanwhile."""
        try:
            self._run.tick()
            try:
                return self._resume(plan) or self._begin(plan)
            except NoSuchUploadError as error:
                # Aborted, expired or completed, by somebody else or by an earlier run.
                _log.warning("upload %s is gone: %s", self._upload_id, error)
                self._run.renew()
                self._make_sure_it_is_gone()
                made = self._look_for_object()
                if made is None and self._wishes.upload_id is not None:
                    raise
                return made or self._begin_anew(plan)
            except PartNotSequentialError as error:
                if self._wishes.upload_id is not None:
                    error.kept = f"Upload {self._upload_id} is as it was"
                    error.advice = "It cannot take this file any more: upload without upload_id="
                    raise
                _log.warning("upload %s is given up: %s", self._upload_id, error)
                self._run.renew()
                self._make_sure_it_is_gone()
                return self._begin_anew(plan)
        except ResumableError as error:
            error.kept = error.kept or self._kept
            raise

    def result(self, made: StoredObject, elapsed: float) -> UploadResult:
        """What the caller is told in the end."""
        meter = self._run.meter
        return UploadResult(
            bucket=self._destination.bucket,
            key=self._key,
            etag=made.etag,
            crc64=made.crc64 if made.crc64 is not None else 0,
            size=self._source.size,
            part_size=self._plan.part_size,
            parts_total=self._plan.count,
            parts_reused=meter.parts_reused,
            bytes_sent=meter.bytes_sent,
            bytes_reused=meter.bytes_reused,
            resumed=self._resumed,
            request_id=made.request_id,
            version_id=made.version_id,
            elapsed=elapsed,
            callback_body=made.callback_body,
        )

    def _resume(self, plan: Plan) -> StoredObject | None:
        found = self._file.load() if self._file is not None else None
        upload_id = self._wishes.upload_id
        identity = self._source.identity
        wanted = Wanted("upload", self._destination, identity, self._digest, upload_id)
        match judge_checkpoint(found, wanted):
            case Refuse() as other:
                raise CheckpointError(
                    f"the checkpoint {self._path!r} is of another transfer: it is of "
                    f"{other.found} (upload id {other.upload_id}), and this is {other.wanted}",
                    advice="Give checkpoint_path= to run both, or remove the checkpoint to give "
                    "that transfer up",
                )
            case StartOver() as stale:
                _log.warning("upload %s is given up: %s", stale.upload_id, stale.why)
                self._upload_id = stale.upload_id
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
                return self._go_on(open_upload)
        return None

    def _adopt(self, upload_id: str, plan: Plan) -> StoredObject:
        """Go on with an upload of which nothing is known here."""
        self._plan, self._upload_id, self._digest = plan, upload_id, FOREIGN
        self._kept = f"Upload {upload_id} was not touched"
        listed = self._list_parts(upload_id)
        self._plan = plan_for_listed(self._source.size, self._wishes.part_size, listed)
        if self._file is not None:
            self._file.save(self._checkpoint(upload_id, ()))
        found = Continue(upload_id, self._plan, trusted=False, recorded=(), headers_digest=FOREIGN)
        return self._go_on(found, listed)

    def _go_on(self, found: Continue, listed: list[ListedPart] | None = None) -> StoredObject:
        self._plan, self._resumed, self._upload_id = found.plan, True, found.upload_id
        self._digest = found.headers_digest
        self._kept = self._kept_sentence(len(found.recorded))
        if listed is None:
            listed = self._list_parts(found.upload_id)
        work = reconcile_parts(found.plan, found.recorded, listed, trusted=found.trusted)
        _log.info(
            "upload %s taken up: %d parts reused, %d to be read again, %d to be sent",
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

    def _begin_anew(self, plan: Plan) -> StoredObject:
        self._run.meter.reset()
        self._resumed = False
        self._delete_checkpoint()
        return self._begin(plan)

    def _begin(self, plan: Plan) -> StoredObject:
        self._plan, self._kept, self._digest = plan, "", self._own_digest
        if plan.count == 1:
            self._kept = "Whether the object is there, a HEAD tells"
            made = self._finisher.put()
            self._delete_checkpoint()
            return made
        begun: list[str] = []
        with self._abandoned_on_failure(begun):
            self._run.call(lambda: self._initiate(begun))
            self._upload_id = begun[0]
            _log.info("upload %s begun: %d parts", self._upload_id, plan.count)
            checkpoint = self._checkpoint(begun[0], ())
            work = WorkList((), (), tuple(plan))
            if self._file is None:
                return self._transfer(checkpoint, work)
            self._file.save(checkpoint)
        self._kept = self._kept_sentence(0)
        return self._transfer(checkpoint, work)

    def _initiate(self, begun: list[str]) -> None:
        cancellation = self._run.cancellation
        # Not under the reins: an answer that is not waited for is an upload nobody knows of.
        bucket = self._run.free_bucket
        headers = with_content_type(self._headers.initiate, self._key, self._source.path)
        made = bucket.init_multipart_upload(
            self._key, sequential=self._wishes.sequential, headers=headers
        )
        begun.append(made.upload_id)
        if cancellation.is_set:  # the run ended meanwhile, and left this to its thread
            self._finisher.abandon(made.upload_id)

    def _transfer(self, begun: Checkpoint, work: WorkList) -> StoredObject:
        with (
            self._done_all_the_same(),
            Ledger(begun, self._file, self._run.stop) as ledger,
        ):
            try:
                sender = PartSender(self._run, self._source, self._key, ledger, self._headers)
                sender.work_off(work)
                made = self._complete(ledger, sender)
            finally:
                if self._file is not None or self._wishes.upload_id is not None:
                    self._kept = self._kept_sentence(len(ledger.records()))
        self._delete_checkpoint()
        return made

    def _complete(self, ledger: Ledger, sender: PartSender) -> StoredObject:
        for tries_left in reversed(range(_COMPLETE_TRIES)):
            try:
                return self._run.call(lambda: self._finisher.complete(ledger))
            except InvalidPartError as error:
                if not tries_left:
                    raise
                _log.warning("%s: listing the parts again", error)
            listed = self._list_parts(ledger.upload_id)
            missing = reconcile_parts(self._plan, ledger.records(), listed, trusted=True)
            ledger.keep_only({record.number for record in missing.reuse})
            sender.work_off(missing)
        raise AssertionError("the last try returned or raised")

    def _list_parts(self, upload_id: str) -> list[ListedPart]:
        bucket, headers = self._run.bucket, self._headers.every
        return self._run.call(
            lambda: list(bucket.iter_parts(self._key, upload_id, headers=headers))
        )

    def _look_for_object(self) -> StoredObject | None:
        """The object, if a run whose upload id is gone has completed it."""
        made = self._run.call(lambda: self._finisher.found(self._local_crc64, self._plan.count))
        if made is not None:
            _log.info("oss://%s/%s is complete already", self._destination.bucket, self._key)
            self._run.meter.begin()
            for part in self._plan:
                self._run.meter.already_there(part.number, part.size)
            self._run.tick()
            self._delete_checkpoint()
        return made

    def _local_crc64(self) -> int:
        whole = Part(1, 0, self._source.size)
        with self._source.reader() as reader:
            digest = digest_of(whole, reader, self._run.cancellation.check)
        self._source.check()
        return digest.crc64

    def _checkpoint(self, upload_id: str, parts: tuple[PartRecord, ...]) -> Checkpoint:
        return Checkpoint(
            kind="upload",
            destination=self._destination,
            upload_id=upload_id,
            file=self._source.identity,
            part_size=self._plan.part_size,
            headers_digest=self._digest,
            parts=parts,
        )

    @property
    def _is_foreign(self) -> bool:
        """Whether the upload was begun by somebody else, and so is not to be aborted."""
        return self._wishes.upload_id is not None or self._digest == FOREIGN

    @property
    def _path(self) -> str:
        return self._file.path if self._file is not None else ""

    def _delete_checkpoint(self) -> None:
        if self._file is not None:
            self._file.delete()

    def _kept_sentence(self, parts: int) -> str:
        where = f"in {self._path!r}" if self._file is not None else f"upload {self._upload_id}"
        return (
            f"{parts} of {self._plan.count} parts are at the server and {where}; "
            "make the same call again to go on"
        )

    @contextmanager
    def _done_all_the_same(self) -> Iterator[None]:
        """A callback that failed does not undo the object: there is nothing left to resume."""
        try:
            yield
        except CallbackFailedError:
            self._delete_checkpoint()
            raise

    @contextmanager
    def _abandoned_on_failure(self, begun: list[str]) -> Iterator[None]:
        """Abort the upload that was begun, unless the context ends well."""
        finished = False
        try:
            yield
            finished = True
        finally:
            for upload_id in begun if not finished else ():
                hurry = not isinstance(sys.exception(), ResumableError) or self._run.was_cancelled
                end = self._finisher.abandon(upload_id, _HURRIED if hurry else _PATIENT)
                self._kept = _END_SENTENCES[end].format(upload_id=upload_id)
