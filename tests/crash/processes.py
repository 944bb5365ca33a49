"""The processes of a kill test: a server, uploaders that may die, and the server's access log."""

import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from resumable.server import Exchange
from tests.crash.uploader import READY, Order
from tests.support import CREDENTIALS

_PROJECT = Path(__file__).parents[2]
# Nothing else: neither a proxy nor a home folder with settings of the user's.
_ENVIRONMENT = {
    "OSS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
    "OSS_ACCESS_KEY_SECRET": CREDENTIALS.access_key_secret,
}
# Far beyond any run here, the waits between its retries included: who takes longer is stuck.
LONGEST_RUN = 60.0


def _python(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=_PROJECT,
        env=_ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.kill()
    return process.communicate()


class Server:
    """`resumable serve`, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, faults: Sequence[Mapping[str, object]] = ()) -> None:
        self._folder = folder
        self._port = 0
        self.log = AccessLog(folder / "access.log")
        (folder / "faults.json").write_text(json.dumps(list(faults)))
        self.start()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        files = {"--root": "root", "--access-log": "access.log", "--faults": "faults.json"}
        options = [
            text for name, file in files.items() for text in (name, str(self._folder / file))
        ]
        self._process = _python("resumable", "serve", "--port", str(self._port), *options)
        assert self._process.stdout is not None
        first_line = self._process.stdout.readline()
        if not first_line:
            raise RuntimeError(f"the server did not start: {_end(self._process)[1]}")
        self._port = int(first_line.rpartition(":")[2])

    def kill(self) -> None:
        """Kill it."""
        _end(self._process)


class AccessLog:
    """The lines of an access log by the key they are about, read as far as they go."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._exchanges: defaultdict[str, list[Exchange]] = defaultdict(list)

    def of(self, key: str) -> list[Exchange]:
        """All exchanges about a key so far."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole_lines, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole_lines) + len(newline)
        for line in whole_lines.splitlines():
            exchange = Exchange(**json.loads(line))
            self._exchanges[exchange.key].append(exchange)
        return list(self._exchanges[key])

    def forget(self, key: str) -> None:
        """Keep no longer what is known of a key."""
        self._exchanges.pop(key, None)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        how: `finished` or `failed` by itself, `killed`, or `stuck` until it was killed for that.
        told: What it printed: the result, or the error.
        seconds: How long it took from the order on.
        stderr: What it wrote there.
    """

    how: Literal["finished", "failed", "killed", "stuck"]
    told: dict[str, Any]
    seconds: float
    stderr: str


class Uploaders:
    """Starts uploaders, always one ahead: most of a short run would be its imports."""

    def __init__(self) -> None:
        self._next = _python("tests.crash.uploader")

    def close(self) -> None:
        """End the one that waits."""
        _end(self._next)

    def run(
        self,
        order: Order,
        *,
        after: float | None = None,
        strike: Callable[[subprocess.Popen[str]], object] = subprocess.Popen.kill,
    ) -> Ended:
        """Have an order carried out.

        Args:
            order: What to do.
            after: So many seconds later the strike comes, if the run has not ended by then.
            strike: What happens then. Unless told otherwise, the uploader is killed.
        """
        process, self._next = self._next, _python("tests.crash.uploader")
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != READY:
            raise RuntimeError(f"the uploader did not start: {_end(process)[1]}")
        process.stdin.write(order.to_json() + "\n")
        process.stdin.flush()
        began = time.monotonic()
        output = None if after is None else _output(process, after)
        if output is None:
            if after is not None:
                strike(process)
            output = _output(process, LONGEST_RUN)
        seconds = time.monotonic() - began
        if output is None:
            return Ended("stuck", {}, seconds, _end(process)[1])
        told, errors = output
        return Ended(_how(process.returncode, told), told, seconds, errors)


def _output(process: subprocess.Popen[str], timeout: float) -> tuple[dict[str, Any], str] | None:
    """What it printed, and its standard error; None if it does not end in time."""
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return None
    # A kill can cut the line.
    return (json.loads(out) if out.endswith("\n") else {}), errors


def _how(code: int, told: dict[str, Any]) -> Literal["finished", "failed", "killed"]:
    # One that is killed after it told its result had finished before.
    if told and "error" not in told:
        return "finished"
    return "killed" if code == -signal.SIGKILL else "failed"
