"""Small tools the tests share."""

import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from resumable import Bucket, Credentials, RetryPolicy
from resumable.server import (
    DEFAULT_ACCESS_KEY_ID,
    DEFAULT_ACCESS_KEY_SECRET,
    Exchange,
    LocalServer,
)

KIB = 1024
MIB = 1024 * KIB
PART = 100 * KIB  # the smallest part OSS takes, and so the quickest to test with

CREDENTIALS = Credentials(DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET)
QUICK = RetryPolicy(attempts=4, base=0.01, longest_wait=0.05, longest_retry_after=0.2)


def local_bucket(endpoint: str, *, retry: RetryPolicy = QUICK, timeout: float = 20.0) -> Bucket:
    """A bucket on a local server."""
    return Bucket(
        "examplebucket",
        endpoint=endpoint,
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retry=retry,
        timeout=timeout,
    )


@contextmanager
def ignoring(number: signal.Signals) -> Iterator[None]:
    """Ignore a signal, and let the processes that are started meanwhile ignore it as well."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Bytes that look random and are the same every time."""
    return random.Random(seed).randbytes(size)


def make_file(folder: Path, size: int, *, seed: int = 0, name: str = "example.bin") -> Path:
    """A file of bytes that look random."""
    path = folder / name
    path.write_bytes(random_bytes(size, seed))
    return path


def content(bucket: Bucket, key: str) -> bytes:
    """The whole object."""
    with bucket.get_object(key) as answer:
        return b"".join(answer.blocks())


def requests(server: LocalServer) -> Counter[str]:
    """How often each operation was asked for."""
    return Counter(exchange.operation for exchange in server.log)


def parts_sent(log: Sequence[Exchange]) -> list[int]:
    """The part numbers of the UploadPart requests that were answered with success, in order."""
    return [
        exchange.part_number
        for exchange in log
        if exchange.operation == "UploadPart"
        and exchange.status == 200
        and exchange.part_number is not None
    ]
