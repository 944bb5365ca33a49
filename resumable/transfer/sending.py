"""Bringing the parts of a work list to the server, several at a time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from resumable.core.checkpoint import PartRecord
from resumable.core.headers import RoutedHeaders
from resumable.core.integrity import PartDigest, PartHasher
from resumable.core.plan import Part
from resumable.core.reconcile import Candidate, ListedPart, WorkList
from resumable.errors import (
    IntegrityError,
    InvalidDigestError,
    PartNotSequentialError,
    ResumableError,
    TransferCancelledError,
)
from resumable.oss.bucket import Bucket
from resumable.oss.cancellation import Cancellation
from resumable.oss.client import Controls
from resumable.oss.results import UploadedPart
from resumable.oss.retry import RetryPolicy
from resumable.transfer.fileparts import FilePart, Watch
from resumable.transfer.ledger import Ledger
from resumable.transfer.progress import Meter
from resumable.transfer.reading import SourceReader
from resumable.transfer.source import SourceFile
from resumable.transfer.workers import Throttle, Workers

_T = TypeVar("_T")
_ONE_TRY = RetryPolicy(attempts=1)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the caller wants a transfer to be carried out."""

    thread_num: int
    content_md5: bool
    cancel: Event | None


class Run:
    """What one run of a transfer works with: the reins, the meter and the way to stop it."""

    def __init__(self, bucket: Bucket, meter: Meter, wishes: Wishes) -> None:
        self.meter = meter
        self.wishes = wishes
        self.throttle = Throttle(wishes.thread_num)
        # Calls under the reins end when the run is stopped; tidying up must not.
        self.free_bucket = bucket
        self.renew()

    def renew(self) -> None:
        """Take the reins up again after a failure that does not end the run."""
        self.cancellation = Cancellation()
        self.bucket = self.free_bucket.under(Controls(self.cancellation, self.throttle.notice))
        # For a question whose answer is good to have, after a call that was tried for long.
        self.asking_bucket = self.free_bucket.under(Controls(self.cancellation, policy=_ONE_TRY))

    @property
    def was_cancelled(self) -> bool:
        """Whether the caller asked to stop."""
        return self.wishes.cancel is not None and self.wishes.cancel.is_set()

    def tick(self) -> None:
        """Look around: has anybody stopped the run, and is there progress to tell?

        Raises:
            ResumableError: the run was stopped.
        """
        if self.was_cancelled:
            raise cancelled()
        self.meter.show()

    def watch(self, number: int, last: Callable[[], None]) -> Watch:
        """What is to be told about the sending of a part."""
        return Watch(
            begins=lambda: self.meter.begins(number),
            look=self.cancellation.check_under_way,
            last=last,
            moved=lambda size: self.meter.moved(number, size),
        )

    def call(self, do: Callable[[], _T]) -> _T:
        """Have one worker do something, so that it can be stopped like everything else.

        What it does must not call `tick`, which belongs to the calling thread.
        """
        done: list[_T] = []
        workers: Workers[Callable[[], _T]] = Workers(1, self.cancellation, self.throttle)
        try:
            workers.run([do], lambda: nullcontext(lambda task: done.append(task())), self.tick)
        except ResumableError:
            self.renew()
            raise
        return done[0]

    def work_off(
        self,
        readers: Callable[[], AbstractContextManager[SourceReader]],
        tasks: Iterable[_T],
        do: Callable[[_T, SourceReader], None],
    ) -> None:
        """Have the workers do all tasks, each thread with a reader of its own."""

        @contextmanager
        def opened() -> Iterator[Callable[[_T], None]]:
            with readers() as reader:
                yield lambda task: do(task, reader)

        workers: Workers[_T] = Workers(self.wishes.thread_num, self.cancellation, self.throttle)
        workers.run(tasks, opened, self.tick)


class PartSender:
    """Processes a list of parts: looks at those the server may have, sends the others."""

    def __init__(
        self, run: Run, source: SourceFile, key: str, ledger: Ledger, headers: RoutedHeaders
    ) -> None:
        self._run = run
        self._source = source
        self._key = key
        self._ledger = ledger
        self._headers = headers.part
        self._every = headers.every

    def process(self, work: WorkList) -> None:
        """Bring all parts to the server, recording each once it is acknowledged.

        Raises:
            ResumableError: the first failure; `part_number` names the part.
        """
        for record in work.reuse:
            self._run.meter.already_there(record.number, record.size)
        self._run.meter.begin()
        tasks: list[Candidate | Part] = [*work.verify, *work.send]
        self._run.tick()
        self._run.work_off(self._source.reader, tasks, self._work)

    def _work(self, task: Candidate | Part, reader: SourceReader) -> None:
        part = task.part if isinstance(task, Candidate) else task
        try:
            self._source.check()
            if isinstance(task, Candidate) and self._adopt(task, reader):
                return
            self._send(part, reader)
        except ResumableError as error:
            error.part_number = part.number
            raise

    def _adopt(self, candidate: Candidate, reader: SourceReader) -> bool:
        part = candidate.part
        digest = digest_of(part, reader, self._run.cancellation.check, with_md5=candidate.needs_md5)
        if not candidate.matches(digest):
            return False
        self._record(part.number, candidate.etag, digest)
        self._run.meter.reused(part.number, part.size)
        return True

    def _send(self, part: Part, reader: SourceReader) -> None:
        run, number = self._run, part.number
        data = FilePart(reader, part, run.watch(number, last=self._source.check))
        try:
            with suspecting(self._source):
                sent: UploadedPart | ListedPart = run.bucket.upload_part(
                    self._key,
                    self._ledger.upload_id,
                    number,
                    data,
                    content_md5=run.wishes.content_md5,
                    headers=self._headers,
                )
        except PartNotSequentialError as error:
            sent, digest = self._brought_by_a_lost_try(part, reader, error)
        else:
            digest = data.digest()
        self._record(number, sent.etag, digest)
        run.meter.sent(number, part.size)

    def _brought_by_a_lost_try(
        self, part: Part, reader: SourceReader, error: PartNotSequentialError
    ) -> tuple[ListedPart, PartDigest]:
        """A sequential upload takes no part twice: it may have this one already."""
        page = self._run.bucket.list_parts(
            self._key,
            self._ledger.upload_id,
            max_parts=1,
            part_number_marker=part.number - 1,
            headers=self._every,
        )
        for there in page.parts:
            if there.number != part.number:
                continue
            digest = digest_of(part, reader, self._run.cancellation.check, with_md5=True)
            if Candidate(part, there.etag, there.crc64).matches(digest):
                return there, digest
        raise error

    def _record(self, number: int, etag: str, digest: PartDigest) -> None:
        self._ledger.record(
            PartRecord(number=number, size=digest.size, etag=etag, crc64=digest.crc64)
        )


def cancelled() -> TransferCancelledError:
    """The error for a caller who wants to stop."""
    return TransferCancelledError("the transfer was cancelled by its caller")


@contextmanager
def suspecting(source: SourceFile) -> Iterator[None]:
    """Look at the source where its bytes arrive as others.

    Raises:
        SourceChangedError: somebody is writing the file.
    """
    try:
        yield
    except (IntegrityError, InvalidDigestError):
        # More likely than a network that garbles every try.
        source.check()
        raise


def digest_of(
    part: Part, reader: SourceReader, look: Callable[[], None], *, with_md5: bool = False
) -> PartDigest:
    """Read a range of the source for its digests."""
    hasher = PartHasher(with_md5=with_md5)
    for block in reader.blocks(part):
        look()
        hasher.update(block)
    return hasher.digest()
