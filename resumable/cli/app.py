"""The `resumable` command."""

import io
import logging
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

import click

import resumable
from resumable.cli.aborting import abort
from resumable.cli.cleaning import clean
from resumable.cli.copying import cp
from resumable.cli.demo import demo
from resumable.cli.exit_codes import (
    DONE,
    FAILED,
    INTERRUPTED,
    LOCKED,
    RUN_AGAIN,
    TERMINATED,
    WRONG_CALL,
    exit_code,
)
from resumable.cli.parts import parts
from resumable.cli.rendering import complain
from resumable.cli.serving import serve
from resumable.cli.status import status
from resumable.cli.uploads import uploads

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "LOCKED",
    "RUN_AGAIN",
    "TERMINATED",
    "WRONG_CALL",
    "app",
    "exit_code",
    "run",
]


class _Terminated(KeyboardInterrupt):
    """SIGTERM: to be treated as Ctrl-C, but for the exit code."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(resumable.__version__, prog_name="resumable")
@click.option("-v", "--verbose", is_flag=True, help="Show the log on standard error.")
def app(verbose: bool) -> None:
    """Move large files to Alibaba Cloud OSS so that a crash costs at most the parts in flight.

    The access key comes from OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN, or
    else from ~/.ossutilconfig or ~/.aliyun/config.json.
    """
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.INFO if verbose else logging.WARNING,
    )


for _command in (cp, status, uploads, parts, abort, clean, serve, demo):
    app.add_command(_command)


def run() -> int:
    """Run the command line with the arguments of the process; return the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    _print_what_the_terminal_cannot()
    try:
        code = app.main(prog_name="resumable", standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return WRONG_CALL if isinstance(error, click.UsageError) else FAILED
    except resumable.ResumableError as error:
        complain(str(error))
        return exit_code(error)
    except OSError as error:  # of a local file it would have been a LocalFileError
        _give_up_output()
        complain(f"the output cannot be written: {error}")
        return FAILED
    except (click.Abort, KeyboardInterrupt) as stopped:
        by_signal = stopped.__cause__ or stopped.__context__ or stopped
        complain("stopped")
        return TERMINATED if isinstance(by_signal, _Terminated) else INTERRUPTED
    return code if isinstance(code, int) else DONE


def _print_what_the_terminal_cannot() -> None:
    """A character that the terminal's encoding lacks is escaped, and no reason to fail."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """What is still in the buffer cannot be written: it must not be tried again at the exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise _Terminated
