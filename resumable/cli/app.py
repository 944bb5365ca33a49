"""The `resumable` command and what its exit codes mean."""

import logging
import signal
import sys
from types import FrameType

import click

import resumable
from resumable.cli.copying import cp
from resumable.cli.demo import demo
from resumable.cli.serving import serve
from resumable.cli.status import status

DONE = 0
FAILED = 1
WRONG_CALL = 2
RUN_AGAIN = 3
LOCKED = 4
INTERRUPTED = 130
TERMINATED = 143


class _Terminated(KeyboardInterrupt):
    """SIGTERM: to be treated as Ctrl-C, but for the exit code."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(resumable.__version__, prog_name="resumable")
@click.option("-v", "--verbose", is_flag=True, help="Show the log on standard error.")
def app(verbose: bool) -> None:
    """Move large files to Alibaba Cloud OSS so that a crash costs at most the parts in flight.

    The access key comes from OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN.
    """
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.INFO if verbose else logging.WARNING,
    )


for _command in (cp, status, serve, demo):
    app.add_command(_command)


def run() -> int:
    """Run the command line with the arguments of the process; return the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = app.main(prog_name="resumable", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return WRONG_CALL if isinstance(error, click.UsageError) else FAILED
    except resumable.ResumableError as error:
        sys.stderr.write(f"resumable: {error}\n")
        return exit_code(error)
    except (click.Abort, KeyboardInterrupt) as stopped:
        by_signal = stopped.__cause__ or stopped.__context__ or stopped
        sys.stderr.write("resumable: stopped\n")
        return TERMINATED if isinstance(by_signal, _Terminated) else INTERRUPTED
    return code if isinstance(code, int) else DONE


def exit_code(error: resumable.ResumableError) -> int:
    """The exit code for an error: what a script or a cron job has to do about it."""
    if isinstance(error, resumable.InvalidArgumentError | resumable.CredentialsError):
        return WRONG_CALL
    if isinstance(error, resumable.TransferLockedError):
        return LOCKED
    return RUN_AGAIN if error.retryable else FAILED


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise _Terminated
