"""The access log: one value a request, in memory and, if wanted, one JSON line in a file."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO, overload

_log = logging.getLogger("resumable.server")
_SECRET = frozenset({"authorization", "x-oss-security-token", "security-token"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what became of it.

    Attributes:
        operation: the name of the operation, `Unknown`, or `BadRequest` for what is not HTTP.
        method: the HTTP method.
        bucket: the bucket, or nothing.
        key: the key, or nothing.
        upload_id: the upload id, or nothing.
        part_number: the part number, or None.
        status: the status of the answer; None when the connection was dropped instead.
        code: the error code of the answer, or None.
        body_bytes: how many bytes of the request's body arrived.
        request_id: the x-oss-request-id of the answer.
        started: when the head had been read, in seconds since the epoch.
        seconds: how long it took until the answer was ready.
        headers: the request's headers by lower-case name; what is secret is `***`.
        signature: `v1`, `v4` or None.
    """

    operation: str
    method: str
    bucket: str
    key: str
    upload_id: str
    part_number: int | None
    status: int | None
    code: str | None
    body_bytes: int
    request_id: str
    started: float
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    signature: str | None = None


def redacted(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without the values that would let somebody sign or replay."""
    return {name: "***" if name in _SECRET else value for name, value in headers.items()}


class ExchangeLog(Sequence[Exchange]):
    """The newest exchanges, oldest first; safe to read while the server runs.

    An exchange is in the log before its answer is on the wire.
    """

    def __init__(self, limit: int, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._exchanges: deque[Exchange] = deque(maxlen=limit)
        self._path = file
        self._file: TextIO | None = None

    def open(self) -> None:
        """Open the file, if there is to be one; lines are added to those it has."""
        if self._path is not None:
            self._file = self._path.open("a", encoding="utf-8", errors="backslashreplace")

    def close(self) -> None:
        """Close the file; the exchanges in memory stay readable."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def append(self, exchange: Exchange) -> None:
        """Add an exchange and flush its line."""
        with self._lock:
            self._exchanges.append(exchange)
            if self._file is None:
                return
            try:
                self._file.write(json.dumps(asdict(exchange), ensure_ascii=False) + "\n")
                self._file.flush()
            except OSError as error:  # its disk is full: that is no reason to answer nobody
                _log.warning("the access log %s ends here: %s", self._path, error)
                self._give_up()

    def _give_up(self) -> None:
        """Close the file; what is still in its buffer cannot be written."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def clear(self) -> None:
        """Forget the exchanges in memory."""
        with self._lock:
            self._exchanges.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._exchanges)

    @overload
    def __getitem__(self, index: int) -> Exchange: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Exchange]: ...

    def __getitem__(self, index: int | slice) -> Exchange | Sequence[Exchange]:
        with self._lock:
            return list(self._exchanges)[index]

    def __iter__(self) -> Iterator[Exchange]:
        with self._lock:
            return iter(list(self._exchanges))
