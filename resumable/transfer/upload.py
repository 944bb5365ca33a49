"""`upload_file`: a file becomes an object, and a crash costs at most the parts in flight."""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import cast

from resumable.core.checkpoint import Checkpoint, Destination, PartRecord, headers_digest
from resumable.core.headers import RoutedHeaders, checked_headers, route_headers
from resumable.core.plan import MIN_PART_SIZE, Part, Plan, make_plan, parse_part_size
from resumable.core.reconcile import (
    Continue,
    ListedPart,
    Refuse,
    StartOver,
    Wanted,
    WorkList,
    judge_checkpoint,
    reconcile_parts,
)
from resumable.errors import (
    CallbackFailedError,
    CheckpointError,
    InvalidArgumentError,
    InvalidPartError,
    NoSuchUploadError,
    ResumableError,
)
from resumable.oss.bucket import Bucket
from resumable.oss.endpoint import check_key
from resumable.oss.results import StoredObject
from resumable.transfer.checkpoints import CheckpointFile, Ledger
from resumable.transfer.files import SourceFile, absolute
from resumable.transfer.finishing import End, Finisher
from resumable.transfer.progress import Meter, ProgressCallback
from resumable.transfer.results import UploadResult
from resumable.transfer.sending import PartSender, Run, Wishes, digest_of

_log = logging.getLogger("resumable")

_MOST_THREADS = 256
_COMPLETE_TRIES = 3
_END_SENTENCES = {
    End.ABORTED: "Nothing is kept: the upload was aborted",
    End.GONE: "The upload was gone already: look with a HEAD whether the object is there",
    End.LEFT: "Upload {upload_id} could not be aborted; abort it: its parts are billed",
}
# After Ctrl-C tidying up gets a moment, not the usual patience.
_HURRIED = 0.35
_PATIENT = 10.0


def upload_file(  # noqa: PLR0913 - the face: the C SDK's parameters, each by its name
    bucket: Bucket,
    key: str,
    filename: str | os.PathLike[str],
    *,
    thread_num: int = 1,
    part_size: int | str | None = None,
    enable_checkpoint: bool = False,
    checkpoint_path: str | os.PathLike[str] | None = None,
    headers: Mapping[str, str] | None = None,
    progress: ProgressCallback | None = None,
    content_md5: bool = True,
    cancel: threading.Event | None = None,
) -> UploadResult:
    """Upload a file, in parts where it is larger than one, and verify the object.

    When this returns, the object under `key` is the whole file: the CRC-64 combined from the
    bytes that were read here equals the server's (test_object_is_verified_by_combined_crc).
    With `enable_checkpoint`, a run that was killed at any moment is taken up by making the same
    call again; only parts that were in flight are sent again (tests/crash). A file that changes
    while it is sent is never mixed (test_source_changed_*).

    Without a checkpoint, an upload that fails is aborted at the server. With one, its parts are
    kept for the next run.

    Args:
        bucket: Where to.
        key: The object's key: 1 to 1,023 bytes of UTF-8.
        filename: A regular file of up to 48.8 TB.
        thread_num: Parts to send at once, 1 to 256.
        part_size: 102,400 (100 KB) to 5 GB, in bytes or as text such as `"8MiB"`. Default: 8 MiB,
            more for files over 40 GB. One that would need more than 10,000 parts is grown. On a
            resume the size the upload was begun with stays. The result tells which it was.
        enable_checkpoint: Keep `<filename>.cp` while the upload is under way.
        checkpoint_path: Where to keep it instead.
        headers: Of the object (Content-Type, x-oss-meta-*, …) and of the requests; each goes to
            the calls that need it (`docs/reference/api.md`).
        progress: Called with a `Progress`, always from the calling thread, some ten times a
            second at most. What it raises stops the transfer, which can then be resumed.
        content_md5: Announce each part's MD5, so that the server itself refuses damaged bytes.
            Without it the CRC-64 is still compared, and a part is read once instead of twice.
        cancel: Set it from any thread to stop the transfer.

    Raises:
        InvalidArgumentError, PartSizeError: the call cannot be carried out as written.
        LocalFileError: the file or the checkpoint cannot be read or written.
        CheckpointError: the checkpoint belongs to another transfer or a newer release.
        TransferLockedError: another process works on the same checkpoint.
        SourceChangedError: the file changed; nothing was completed.
        TransferCancelledError: `cancel` was set.
        NetworkError, ServerError, ProtocolError, IntegrityError: a request failed for good.
    """
    began = time.monotonic()
    check_key(key)
    _check_threads(thread_num)
    routed = route_headers(checked_headers(headers or {}))
    path = absolute(filename)
    wish = None if part_size is None else parse_part_size(part_size)
    source = SourceFile(path)
    plan = make_plan(source.size, wish)
    if wish is not None and plan.part_size != wish:
        _log.warning("part_size grown from %d to %d: 10,000 parts at most", wish, plan.part_size)
    run = Run(bucket, Meter(source.size, progress), Wishes(thread_num, content_md5, cancel))
    file = _checkpoint_file(path, checkpoint_path) if enable_checkpoint else None
    upload = _Upload(run, source, key, routed, file)
    with file.locked() if file is not None else nullcontext():
        made = upload.carry_out(plan)
    return upload.result(made, time.monotonic() - began)


class _Upload:
    """One call of `upload_file`: which road it takes, and what it leaves behind."""

    def __init__(
        self,
        run: Run,
        source: SourceFile,
        key: str,
        headers: RoutedHeaders,
        file: CheckpointFile | None,
    ) -> None:
        self._run = run
        self._source = source
        self._key = key
        self._headers = headers
        self._file = file
        self._finisher = Finisher(run, source, key, headers)
        self._destination = Destination(
            endpoint=run.bucket.endpoint, bucket=run.bucket.name, key=key
        )
        self._plan = Plan(source.size, MIN_PART_SIZE)
        self._resumed = False
        self._kept = ""

    def carry_out(self, plan: Plan) -> StoredObject:
        """Take up what there is, or begin; begin once more if the upload vanishes meanwhile."""
        try:
            self._run.tick()
            try:
                return self._resume(plan) or self._begin(plan)
            except NoSuchUploadError as error:
                # Aborted, expired or completed by somebody else while this run was at it.
                _log.warning("%s", error)
                self._run.renew()
                return self._look_for_object() or self._begin_anew(plan)
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
        )

    def _resume(self, plan: Plan) -> StoredObject | None:
        found = self._file.load() if self._file is not None else None
        digest = headers_digest(self._headers.initiate)
        wanted = Wanted("upload", self._destination, self._source.identity, digest)
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
                self._run.call(lambda: self._finisher.abandon(stale.upload_id))
                self._delete_checkpoint()
            case Continue() as open_upload:
                if open_upload.plan.part_size != plan.part_size:
                    _log.warning(
                        "part_size stays %d: the upload was begun with it",
                        open_upload.plan.part_size,
                    )
                return self._go_on(open_upload)
        return None

    def _go_on(self, found: Continue) -> StoredObject | None:
        self._plan, self._resumed = found.plan, True
        self._kept = self._kept_sentence(len(found.recorded))
        try:
            listed = self._list_parts(found.upload_id)
        except NoSuchUploadError:
            made = self._look_for_object()
            if made is None:
                _log.warning("upload %s is gone from the server: beginning anew", found.upload_id)
                self._resumed = False
            return made
        work = reconcile_parts(found.plan, found.recorded, listed, trusted=found.trusted)
        _log.info(
            "upload %s taken up: %d parts reused, %d to be read again, %d to be sent",
            found.upload_id,
            len(work.reuse),
            len(work.verify),
            len(work.send),
        )
        return self._transfer(self._checkpoint(found.upload_id, work.reuse), work)

    def _begin_anew(self, plan: Plan) -> StoredObject:
        self._run.meter.reset()
        self._resumed = False
        self._delete_checkpoint()
        return self._begin(plan)

    def _begin(self, plan: Plan) -> StoredObject:
        self._plan, self._kept = plan, ""
        if plan.count == 1:
            self._kept = "Whether the object is there, a HEAD tells"
            made = self._finisher.put()
            self._delete_checkpoint()
            return made
        begun: list[str] = []
        with self._abandoned_on_failure(begun):
            self._run.call(lambda: self._initiate(begun))
            _log.info("upload %s begun: %d parts", begun[0], plan.count)
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
        made = bucket.init_multipart_upload(self._key, headers=self._headers.initiate)
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
                if self._file is not None:
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
        made = self._run.call(lambda: self._finisher.found(self._local_crc64))
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
            headers_digest=headers_digest(self._headers.initiate),
            parts=parts,
        )

    @property
    def _path(self) -> str:
        return self._file.path if self._file is not None else ""

    def _delete_checkpoint(self) -> None:
        if self._file is not None:
            self._file.delete()

    def _kept_sentence(self, parts: int) -> str:
        return (
            f"{parts} of {self._plan.count} parts are at the server and in {self._path!r}; "
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


def _checkpoint_file(path: str, wish: str | os.PathLike[str] | None) -> CheckpointFile:
    checkpoint = absolute(wish) if wish else f"{path}.cp"
    file = CheckpointFile(checkpoint)
    for side_file in file.side_files:
        if os.path.exists(side_file) and os.path.samefile(side_file, path):
            raise InvalidArgumentError(
                f"the file to be uploaded has the name of {side_file!r}, which would be written",
                advice="Give another checkpoint_path=",
            )
    return file


def _check_threads(thread_num: object) -> None:
    whole = isinstance(thread_num, int) and not isinstance(thread_num, bool)
    if not whole or not 1 <= cast(int, thread_num) <= _MOST_THREADS:
        raise InvalidArgumentError(f"thread_num {thread_num!r} is not 1 to {_MOST_THREADS}")
