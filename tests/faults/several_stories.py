"""Stories of processes that get in each other's way, each with what went wrong in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resumable import Bucket
from resumable.server import LocalServer
from tests.faults.several import Barrier, Order, WarmParent
from tests.faults.several_campaign import LONGEST_RUN
from tests.support import PART, content, make_file
from tests.transfer.steps import beside, fault, gate, open_uploads

_KEY = "example"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a story takes place.

    Attributes:
        bug: The bug that the package has in all processes; empty if it has none.
    """

    server: LocalServer
    bucket: Bucket
    folder: Path
    parent: WarmParent
    bug: str = ""

    def order(self, file: Path) -> Order:
        """Upload a file."""
        return Order(self.server.endpoint, _KEY, str(file), bug=self.bug)

    @contextmanager
    def killed_at(self, operation: str, file: Path) -> Iterator[None]:
        """A process is at work meanwhile, and then killed before it hears that this was done."""
        self.server.faults.add(fault(operation, gate("done", "after")))
        barrier = Barrier()
        child = self.parent.begin(self.order(file), barrier)
        barrier.open()
        try:
            self.server.faults.wait_reached("done")
            yield
        finally:
            child.kill()
            child.ended(LONGEST_RUN)
            self.server.faults.clear()

    def end(self, file: Path) -> list[str]:
        """Upload a file at last; what is not as it has to be then."""
        (ended,) = self.parent.run([self.order(file)], LONGEST_RUN)
        if ended.how != "success":
            return [f"the last run ended with {ended}"]
        wrong = ["the object is another"] if content(self.bucket, _KEY) != file.read_bytes() else []
        uploads, files = open_uploads(self.bucket), beside(file)
        wrong += [f"uploads are left: {uploads}"] if uploads else []
        return wrong + ([f"files are left: {files}"] if files else [])


def others_find_it_at_work_and_it_dies(stage: Stage) -> list[str]:
    """What one has begun is taken up, though others were turned away in the meantime."""
    file = make_file(stage.folder, 3 * PART)
    with stage.killed_at("UploadPart", file):
        others = stage.parent.run([stage.order(file)] * 3, LONGEST_RUN)
    told = sorted(ended.error or ended.how for ended in others)
    wrong = [f"the others ended with {told}"] if set(told) != {"TransferLockedError"} else []
    return wrong + stage.end(file)


def it_dies_behind_complete_and_another_overwrites(stage: Stage) -> list[str]:
    """The object of another is not taken for the one that was made before."""
    file = make_file(stage.folder, 3 * PART)
    (stage.folder / "other").mkdir()
    other = make_file(stage.folder / "other", 3 * PART, seed=1)
    with stage.killed_at("CompleteMultipartUpload", file):
        wrong = stage.end(other)
    (stage.folder / "other" / other.name).unlink()
    (stage.folder / "other").rmdir()
    return wrong + stage.end(file)


STORIES: tuple[Callable[[Stage], list[str]], ...] = (
    others_find_it_at_work_and_it_dies,
    it_dies_behind_complete_and_another_overwrites,
)
