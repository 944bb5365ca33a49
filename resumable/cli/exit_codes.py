"""What the exit codes of the commands mean to a script or a cron job."""

from __future__ import annotations

from collections.abc import Iterable

import resumable

DONE = 0
FAILED = 1
WRONG_CALL = 2
RUN_AGAIN = 3
LOCKED = 4
HUNG_UP = 129
INTERRUPTED = 130
TERMINATED = 143


def exit_code(error: resumable.ResumableError) -> int:
    """The exit code for an error: what a script or a cron job has to do about it."""
    if isinstance(error, resumable.InvalidArgumentError | resumable.CredentialsError):
        return WRONG_CALL
    if isinstance(error, resumable.TransferLockedError):
        return LOCKED
    return RUN_AGAIN if error.retryable else FAILED


def exit_code_of_several(errors: Iterable[resumable.ResumableError]) -> int:
    """The exit code where single items failed: run again only if that may help all of them."""
    codes = {RUN_AGAIN if error.retryable else FAILED for error in errors}
    return min(codes, default=DONE)
