"""`python -m resumable`, and what the `resumable` command calls."""

import os
import sys
from contextlib import suppress

_STANDARD_STREAMS = (0, 1, 2)


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        _open_closed_streams()
        return _run()
    except KeyboardInterrupt:  # before or after the commands, which say themselves what is kept
        with suppress(OSError):
            sys.stderr.write("resumable: stopped\n")
        return 130
    finally:
        _discard_what_stderr_refuses()


def _open_closed_streams() -> None:
    """Connect standard streams that are closed, as in a daemon, to the null device.

    Otherwise the next file or connection gets such a stream's descriptor, and messages are written
    into it.
    """
    for descriptor in _STANDARD_STREAMS:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free: this one, since those before it are open by now.
            os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _discard_what_stderr_refuses() -> None:
    """What cannot be written there, on a full disk, would change the exit code."""
    try:
        sys.stderr.flush()
    except OSError:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())
            os.close(nowhere)


def _run() -> int:
    try:
        from resumable.cli.app import run  # noqa: PLC0415 - the library does without click
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "resumable":
            raise
        sys.stderr.write(
            f"resumable: the command line needs {error.name}. From a checkout of the project:\n"
            "python -m pip install '.[cli]' (the distribution is called oss-resumable)\n"
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
