"""Uploaders that are forked, not started: the imports of a run would take longer than the run.

    python -m tests.faults.forked_uploader

reads orders, one line of JSON each, has a child of its own carry out each, and tells how it ended.
"""

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from tests.crash import uploader
from tests.crash.processes import LONGEST_RUN, Ended, Uploaders, _end, _how, _python
from tests.crash.uploader import READY, Order
from tests.faults.effects import ANY, dying_at, put_around
from tests.faults.recording import Recorder, appending

# The child is given up after LONGEST_RUN; this is for the process that forks it.
_GRACE = 15.0


class ForkedUploaders(Uploaders):
    """Has orders carried out by forked children.

    Attributes:
        record: Where a child is to write its effects down, or nothing.
    """

    def __init__(self) -> None:
        self._forker = _python("tests.faults.forked_uploader")
        self.record = ""
        assert self._forker.stdout is not None
        if self._forker.stdout.readline() != READY:
            raise RuntimeError(f"the forking process did not start: {_end(self._forker)[1]}")

    def close(self) -> None:
        """End the process that forks."""
        _end(self._forker)

    def run(
        self,
        order: Order,
        *,
        after: float | None = None,
        strike: Callable[[subprocess.Popen[str]], object] = subprocess.Popen.kill,
    ) -> Ended:
        """Have an order carried out; these children are only killed at exact points."""
        assert (after, strike) == (None, subprocess.Popen.kill)
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        self._forker.stdin.write(json.dumps([order.to_json(), self.record]) + "\n")
        self._forker.stdin.flush()
        if not select.select([self._forker.stdout], [], [], LONGEST_RUN + _GRACE)[0]:
            raise RuntimeError(f"the forking process is stuck: {_end(self._forker)[1]}")
        told = json.loads(self._forker.stdout.readline())
        return Ended(**told)


def main() -> None:
    """Carry out the orders on standard input until it ends."""
    _warm_up()
    sys.stdout.write(READY)
    sys.stdout.flush()
    for line in iter(sys.stdin.readline, ""):
        order, record = json.loads(line)
        sys.stdout.write(json.dumps(_in_a_child(Order.from_json(order), record)) + "\n")
        sys.stdout.flush()


def _warm_up() -> None:
    """Import what the library only imports when it is needed, which no child could keep."""
    import encodings.idna  # noqa: F401, PLC0415
    import stringprep  # noqa: F401, PLC0415


def _in_a_child(order: Order, record: str) -> dict[str, Any]:
    out, err = os.memfd_create("out"), os.memfd_create("err")
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _carry_out(order, record, out, err)
    code = _wait(child)
    seconds = time.monotonic() - began
    # The first line says that it is ready.
    printed, errors = (_content(file).decode() for file in (out, err))
    _, _, line = printed.partition("\n")
    told = json.loads(line) if line.endswith("\n") else {}
    how = "stuck" if code is None else _how(code, told)
    return {"how": how, "told": told, "seconds": seconds, "stderr": errors}


def _wait(child: int) -> int | None:
    """How the child ended, as subprocess has it; None if it had to be killed."""
    descriptor = os.pidfd_open(child)
    ended = select.select([descriptor], [], [], LONGEST_RUN)[0]
    os.close(descriptor)
    if not ended:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if ended else None


def _content(file: int) -> bytes:
    with os.fdopen(file, "rb") as stream:
        stream.seek(0)
        return stream.read()


def _carry_out(order: Order, record: str, out: int, err: int) -> NoReturn:
    code = 70
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        if record:
            put_around(Recorder(appending(record)))
        if order.die is not None and order.die.effect == ANY:
            put_around(dying_at(order.die))
            order = replace(order, die=None)
        sys.stdin = io.StringIO(order.to_json() + "\n")
        code = uploader.main()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - nothing may get out into the loop of the parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
