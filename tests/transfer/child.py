"""An upload in a process of its own: `python -m tests.transfer.child ENDPOINT FILE [LIMIT]`.

It prints how it ended as one line of JSON. With a limit no file may grow beyond so many bytes.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resumable import Bucket, ResumableError, UploadResult, upload_file
from tests.support import PART, local_bucket
from tests.transfer.steps import KEY

PROJECT = Path(__file__).parents[2]


class Child:
    """The process, seen by the test that started it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def kill(self) -> None:
        """End it without giving it a chance to tidy up."""
        self._process.kill()
        self._process.wait()

    def outcome(self) -> dict[str, Any]:
        """Wait for its end; what it printed."""
        printed, _ = self._process.communicate(timeout=30)
        told: dict[str, Any] = json.loads(printed)
        return told


@contextmanager
def started(endpoint: str, file: Path, *options: str) -> Iterator[Child]:
    """Start an upload in a process, which does not outlive the test."""
    command = [sys.executable, "-m", "tests.transfer.child", endpoint, str(file), *options]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


def main(endpoint: str, file: str, limit: str = "") -> None:
    with local_bucket(endpoint) as bucket, limited(limit):
        print(json.dumps(run(bucket, file)))


@contextmanager
def limited(limit: str) -> Iterator[None]:
    """Within this context no file may grow beyond so many bytes, if there is a limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), before[1]) if limit else before)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run(bucket: Bucket, file: str) -> dict[str, Any]:
    try:
        result = upload_file(bucket, KEY, file, part_size=PART, enable_checkpoint=True)
    except ResumableError as error:
        kind = type(error).__name__
        return {"error": kind, "told": str(error), "errno": getattr(error, "errno", None)}
    return {"error": None, **told(result)}


def told(result: UploadResult) -> dict[str, Any]:
    return {"bytes_sent": result.bytes_sent, "bytes_reused": result.bytes_reused}


if __name__ == "__main__":
    main(*sys.argv[1:])
