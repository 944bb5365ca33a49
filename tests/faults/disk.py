"""The system calls of a transfer on its own files, and failing any of them.

What a failed call must lead to is declared in `EXPECTED`, by the call and the file it is about.
"""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from resumable import (
    Bucket,
    CheckpointError,
    LocalFileError,
    ResumableError,
    UploadResult,
    upload_file,
)
from resumable.transfer import checkpoints, files, reading, source, upload
from tests.crash.uploader import READY, Order
from tests.faults.lock_calls import Function, Saved, restore_lock_calls, wrap_lock_calls
from tests.support import CREDENTIALS, PART

# The files of a transfer: the source, the checkpoint, its next state, its lock, and what is set
# aside, and the folder they are in.
Role = Literal["source", "checkpoint", "next", "lock", "bad", "folder"]

NAME = "example.bin"
_ROLES: Mapping[str, Role] = {
    NAME: "source",
    f"{NAME}.cp": "checkpoint",
    f"{NAME}.cp.resumable-new": "next",
    f"{NAME}.cp.lock": "lock",
    f"{NAME}.cp.bad": "bad",
}

# Far beyond what a run here takes, its requests and the waits before them included.
LONGEST_RUN = 10.0
# After the call that fails: tidying up is a few calls a file, trying again for ever is more.
MOST_CALLS_AFTER = 80
# What the calls to the server may be more than those of a run without a fault: an abort, and the
# looks that make sure of it.
MOST_REQUESTS_MORE = 6


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is about to be made.

    Attributes:
        kind: What is called, such as `os.write`.
        role: The file it is about.
        go: Makes it.
        go_short: Makes it with half of the bytes, where it moves bytes.
    """

    kind: str
    role: Role
    go: Callable[[], Any]
    go_short: Callable[[], Any] | None = None


Observer = Callable[[Call], Any]

_BY_PATH = ("open", "stat", "lstat", "unlink", "replace")
_BY_DESCRIPTOR = (
    "read",
    "preadv",
    "write",
    "fsync",
    "fstat",
    "ftruncate",
    "lseek",
    "close",
    "sendfile",
)
_LOOKS = ("isdir", "lexists", "samefile")


class _System:
    """The module `os`, or `os.path`, as those see it whose calls are observed."""

    def __init__(self, real: ModuleType, prefix: str, observed: "_Observed") -> None:
        self._real, self._prefix, self._observed = real, prefix, observed
        if real is os:
            self.path = _System(os.path, "os.path", observed)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - stands in for any function
        real = getattr(self._real, name)
        by_path = _LOOKS if self._prefix == "os.path" else _BY_PATH
        if name not in by_path and (self._prefix == "os.path" or name not in _BY_DESCRIPTOR):
            return real
        return self._observed.around(f"{self._prefix}.{name}", real)


def _shortened(name: str, rest: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if name == "sendfile" and rest[2] > 1:
        return (rest[0], rest[1], rest[2] // 2)
    if name == "preadv" and len(rest[0][0]) > 1:
        return ([rest[0][0][: len(rest[0][0]) // 2]], rest[1])
    if name == "read" and rest[0] > 1:
        return (rest[0] // 2,)
    if name == "write" and len(rest[0]) > 1:
        return (rest[0][: len(rest[0]) // 2],)
    return None


class _Observed:
    """Whose calls are observed: those about the files of one folder."""

    def __init__(self, folder: Path, observer: Observer) -> None:
        self._folder = os.path.realpath(folder)
        self.observer = observer

    def role_of(self, target: object) -> Role | None:
        """Which file a path or a descriptor is about."""
        if isinstance(target, int):
            path = os.readlink(f"/proc/self/fd/{target}").removesuffix(" (deleted)")
        else:
            path = os.path.abspath(os.fsdecode(target))  # type: ignore[arg-type]
        if path == self._folder or os.path.realpath(path) == self._folder:
            return "folder"
        folder, name = os.path.split(path)
        return _ROLES.get(name) if os.path.realpath(folder) == self._folder else None

    def around(self, kind: str, real: Function) -> Function:
        """The call, made by the observer where it is about one of the files."""
        name = kind.rpartition(".")[2]

        def call(target: Any, *rest: Any) -> Any:  # noqa: ANN401
            # A socket is where this one goes to, the file is where it comes from.
            role = self.role_of(rest[0] if name == "sendfile" else target)
            if role is None:
                return real(target, *rest)
            short = _shortened(name, rest)
            go_short = None if short is None else lambda: real(target, *short)
            return self.observer(Call(kind, role, lambda: real(target, *rest), go_short))

        return call


@contextmanager
def observing(folder: Path, observer: Observer) -> Iterator[None]:
    """Have every call of a transfer about the files in a folder made by an observer."""
    observed = _Observed(folder, observer)
    system = _System(os, "os", observed)
    modules = (files, reading, source, checkpoints, upload)
    lock_calls: Saved = {}
    try:
        for module in modules:
            vars(module)["os"] = system
        lock_calls = wrap_lock_calls(
            [*_BY_PATH, *_BY_DESCRIPTOR, *(f"path.{name}" for name in _LOOKS)],
            lambda name, real: observed.around(f"os.{name}", real),
        )
        yield
    finally:
        restore_lock_calls(lock_calls)
        for module in modules:
            vars(module)["os"] = os


@dataclass(frozen=True, slots=True)
class DiskFault:
    """The n-th call of a kind fails, or it and all that follow.

    Attributes:
        kind: Such as `os.fsync`; `*` counts all calls.
        nth: From 1.
        error: The errno, or None for a short read or write.
        for_ever: Whether those that follow fail as well.
    """

    kind: str
    nth: int
    error: int | None
    for_ever: bool

    def __str__(self) -> str:
        told = "short" if self.error is None else errno.errorcode[self.error]
        return f"{self.kind} {self.nth} {told}{' for ever' if self.for_ever else ''}"


@dataclass(slots=True)
class Injector:
    """Makes the calls of a run, and lets those fail that are to."""

    fault: DiskFault | None = None
    calls: Counter[str] = field(default_factory=Counter)
    hits: list[tuple[str, Role]] = field(default_factory=list)
    is_recorded: bool = False
    calls_after: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, call: Call) -> Any:  # noqa: ANN401 - what the call gives
        if not self._is_hit(call):
            made = call.go()
            # Of the first record, this is the last step.
            self.is_recorded |= (call.kind, call.role) == ("os.fsync", "folder") and not self.hits
            return made
        error = self.fault.error if self.fault is not None else None
        if error is None:
            return (call.go_short or call.go)()
        if call.kind == "os.close":
            call.go()  # the descriptor is gone, whatever close says
        if call.kind.startswith("os.path.") and call.kind != "os.path.samefile":
            return False
        raise OSError(error, os.strerror(error))

    def _is_hit(self, call: Call) -> bool:
        with self._lock:
            self.calls[call.kind] += 1
            self.calls["*"] += 1
            self.calls_after += bool(self.hits)
            if (fault := self.fault) is None or fault.kind not in ("*", call.kind):
                return False
            if fault.error is None and call.go_short is None:
                return False
            count = self.calls[fault.kind]
            hit = count >= fault.nth if fault.for_ever else count == fault.nth
            if hit:
                self.hits.append((call.kind, call.role))
            return hit


class _Success:
    """The run ends well all the same."""


class _Beginning:
    """An error of the disk if it struck before anything was sent, else the run ends well."""


Outcome = type[ResumableError] | type[_Success] | type[_Beginning]

SUCCESS = _Success
BEGINNING = _Beginning
_SOURCE = ("os.open", "os.stat", "os.fstat", "os.preadv")
_LOCKING = ("os.open", "os.fstat", "os.read", "os.ftruncate", "os.lseek", "os.write")
_WRITING = ("os.open", "os.write", "os.fsync", "os.close", "os.replace", "os.unlink")
_LEFTOVER = ("os.read", "os.fstat", "os.lstat")

# What the run must come to whose call of that kind on that file fails.
EXPECTED: Mapping[tuple[str, Role], Outcome] = {
    # The source cannot be looked at or read: nothing can be sent.
    **{(kind, "source"): LocalFileError for kind in _SOURCE},
    # When it is closed, all of it was read.
    ("os.close", "source"): SUCCESS,
    # What the kernel cannot send is read.
    ("os.sendfile", "source"): SUCCESS,
    # Whether a file of the transfer is the source itself.
    **{("os.path.samefile", role): LocalFileError for role in ("checkpoint", "next", "lock")},
    # Without the lock nothing begins.
    ("os.path.isdir", "folder"): CheckpointError,
    **{(kind, "lock"): CheckpointError for kind in _LOCKING},
    # The run is over when the lock is let go; what is left of it is told in the log.
    **{(kind, "lock"): SUCCESS for kind in ("os.stat", "os.unlink", "os.close")},
    # A checkpoint that cannot be read might name an upload: it is not written over.
    **{(kind, "checkpoint"): CheckpointError for kind in ("os.open", "os.fstat", "os.read")},
    ("os.close", "checkpoint"): CheckpointError,
    # Without a first record nothing is sent; after it the checkpoint is an aid.
    **{(kind, "next"): BEGINNING for kind in (*_WRITING, *_LEFTOVER)},
    # The folder is opened for the lock, and to be synced.
    **{(kind, "folder"): BEGINNING for kind in ("os.open", "os.fsync", "os.close")},
    # Where its descriptor cannot be used for the paths in it, they are used as they were given.
    **{(kind, "folder"): SUCCESS for kind in ("os.stat", "os.fstat")},
    # One that is torn cannot be set aside.
    ("os.replace", "checkpoint"): LocalFileError,
    ("os.path.lexists", "bad"): SUCCESS,
    # After success: it names an upload that is gone, and the next run finds the object made.
    ("os.unlink", "checkpoint"): SUCCESS,
}


def expected(fault: DiskFault, hits: list[tuple[str, Role]]) -> Outcome | None:
    """What a run must come to with these calls failed: the first not survivable decides.

    None if it is not declared: a call that was not there when the table was written.
    """
    if fault.error is None:
        return SUCCESS
    if fault.error == errno.EMFILE and not fault.for_ever and hits[0][0] == "os.open":
        return BEGINNING  # where idle connections can give way, the file is opened after all
    return next((end for hit in hits if (end := EXPECTED.get(hit)) is not SUCCESS), SUCCESS)


@dataclass(frozen=True, slots=True)
class Setup:
    """What is uploaded, and how, and what an earlier run has left.

    Attributes:
        found: `nothing`; `checkpoint`, of an upload of which a part is there; the same `torn`; or
            with a `leftover` of its next state.
        source_check: What the run looks at to see whether the source has changed.
    """

    parts: int
    threads: int
    content_md5: bool
    found: Literal["nothing", "checkpoint", "torn", "leftover"] = "nothing"
    source_check: Literal["strict", "content"] = "strict"

    def __str__(self) -> str:
        md5 = "md5" if self.content_md5 else "no md5"
        told = f"{self.parts} parts, {self.threads} threads, {md5}, found {self.found}"
        return told if self.source_check == "strict" else f"{told}, {self.source_check}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: with a result, with an error, or not in time."""

    result: UploadResult | None
    error: BaseException | None
    seconds: float

    @property
    def is_stuck(self) -> bool:
        """Whether it was still running when its time was up."""
        return self.result is None and self.error is None

    def __str__(self) -> str:
        if self.is_stuck:
            return f"still running after {self.seconds:.0f} s"
        return "success" if self.error is None else f"{type(self.error).__name__}: {self.error}"


def run_upload(bucket: Bucket, key: str, file: Path, setup: Setup, part_size: int) -> Ended:
    """Upload in a thread of its own, and wait for it no longer than it may take."""
    results: list[UploadResult] = []
    errors: list[BaseException] = []

    def do() -> None:
        try:
            made = upload_file(
                bucket,
                key,
                file,
                thread_num=setup.threads,
                part_size=part_size,
                enable_checkpoint=True,
                content_md5=setup.content_md5,
                source_check=setup.source_check,
            )
            results.append(made)
        except BaseException as error:  # noqa: BLE001 - an error of any kind is what is looked at
            errors.append(error)

    began = time.monotonic()
    thread = threading.Thread(target=do, name="upload under test", daemon=True)
    thread.start()
    thread.join(LONGEST_RUN)
    seconds = time.monotonic() - began
    return Ended(next(iter(results), None), next(iter(errors), None), seconds)


def upload_in_child(
    bucket: Bucket,
    file: Path,
    *,
    before: Sequence[str] = (),
    limit: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Upload in a process of its own; the result, or the error, that it tells."""
    secret = {
        "OSS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "OSS_ACCESS_KEY_SECRET": CREDENTIALS.access_key_secret,
    }
    order = Order(bucket.endpoint, bucket.name, "child", str(file), PART, 1, True, attempts=2)
    with subprocess.Popen(
        [*before, sys.executable, "-m", "tests.crash.uploader"],
        cwd=Path(__file__).parents[2],
        env={**secret, "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == READY
            limit(child.pid)
            child.stdin.write(order.to_json() + "\n")
            child.stdin.flush()
            out, errors = child.communicate(timeout=3 * LONGEST_RUN)
        finally:
            child.kill()
    assert out.endswith("\n"), errors
    told: dict[str, Any] = json.loads(out)
    return told
