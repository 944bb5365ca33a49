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
    HUNG_UP,
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
from resumable.cli.wording import told

__all__ = [
    "DONE",
    "FAILED",
    "HUNG_UP",
    "INTERRUPTED",
    "LOCKED",
    "RUN_AGAIN",
    "TERMINATED",
    "WRONG_CALL",
    "app",
    "exit_code",
    "run",
]


class _Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP: to be treated as Ctrl-C, but for the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code: int = TERMINATED if number == signal.SIGTERM else HUNG_UP


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(resumable.__version__, prog_name="resumable")
@click.option("-v", "--verbose", is_flag=True, help="Show the log on standard error.")
def app(verbose: bool) -> None:
    """Move large files to Alibaba Cloud OSS so that a crash costs at most the parts in flight.

    The access key comes from --profile, or else from OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and
    OSS_SESSION_TOKEN, from ALIBABA_CLOUD_ACCESS_KEY_ID and so on, from a role by OIDC, from the
    files of ossutil, the Alibaba Cloud CLI and SDKs, or from the RAM role of this ECS instance.
    """
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.INFO if verbose else logging.WARNING,
    )


for _command in (cp, status, uploads, parts, abort, clean, serve, demo):
    app.add_command(_command)


def run() -> int:
    """Run the command line with the arguments of the process; return the exit code."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        _treat_as_ctrl_c(getattr(signal, name, None))
    _print_what_the_terminal_cannot()
    try:
        code = app.main(prog_name="resumable", standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return WRONG_CALL if isinstance(error, click.UsageError) else FAILED
    except resumable.ResumableError as error:
        complain(told(error))
        return exit_code(error)
    except OSError as error:  # of a local file it would have been a LocalFileError
        if by_signal := _stopped_by(error):  # with the terminal that hung up its output ended
            return by_signal.exit_code
        _give_up_output()
        complain(f"the output cannot be written: {error}")
        return FAILED
    except (click.Abort, KeyboardInterrupt) as stopped:
        complain("stopped")
        by_signal = _stopped_by(stopped)
        return INTERRUPTED if by_signal is None else by_signal.exit_code
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


def _treat_as_ctrl_c(number: signal.Signals | None) -> None:
    # Who starts a command with nohup wants it to outlive the terminal.
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise _Stopped(number)


def _stopped_by(error: BaseException | None) -> _Stopped | None:
    """The signal that an exception came of, if it did."""
    while error is not None and not isinstance(error, _Stopped):
        error = error.__cause__ or error.__context__
    return error
