"""Aborting uploads one by one: each is told of, and one that fails does not stop the others."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from enum import StrEnum

import click

import resumable
from resumable.cli.exit_codes import exit_code_of_several
from resumable.cli.rendering import complain, time_text
from resumable.cli.uploads import columns
from resumable.cli.wording import told


class Outcome(StrEnum):
    """What became of an upload, as it is printed."""

    ABORTED = "aborted"
    GONE = "gone"
    FAILED = "failed"
    WOULD_ABORT = "would-abort"
    SKIPPED = "skipped"


def outcome_json(
    outcome: Outcome,
    bucket: str,
    key: str,
    upload_id: str,
    *,
    initiated: datetime | None = None,
    error: str | None = None,
    **more: str,
) -> str:
    """What became of an upload as a line of JSON."""
    row = {"outcome": outcome, "bucket": bucket, "key": key, "upload_id": upload_id}
    began = initiated and initiated.isoformat()
    return json.dumps({**row, "initiated": began, "error": error, **more})


class GivingUp:
    """Aborts uploads of a bucket and keeps count of what became of them.

    Attributes:
        count: How many uploads had which outcome.
    """

    def __init__(
        self, bucket: resumable.Bucket, options: resumable.RequestOptions, *, as_json: bool
    ) -> None:
        self.count: Counter[Outcome] = Counter()
        self._bucket = bucket
        self._options = options
        self._as_json = as_json
        self._errors: dict[bool, resumable.ResumableError] = {}

    def abort(self, upload: resumable.ListedUpload) -> None:
        """Abort one. That it has been ended by others meanwhile is as good.

        Raises:
            CredentialsError: there is no access key any more, for the others neither.
        """
        try:
            resumable.abort_upload(self._bucket, upload.key, upload.upload_id, **self._options)
        except resumable.NoSuchUploadError:
            self.tell(upload, Outcome.GONE)
        except resumable.CredentialsError:
            raise
        except resumable.ResumableError as error:
            self._errors[error.retryable] = error
            self.tell(upload, Outcome.FAILED, told(error))
        else:
            self.tell(upload, Outcome.ABORTED)

    def tell(self, upload: resumable.ListedUpload, outcome: Outcome, why: str = "") -> None:
        """Count an outcome and print it; one that has a reason on standard error as well."""
        self.count[outcome] += 1
        if why:
            address = f"oss://{self._bucket.name}/{upload.key}"
            complain(f"{outcome}: upload {upload.upload_id} of {address}: {why}")
        if self._as_json:
            place = self._bucket.name, upload.key, upload.upload_id
            row = outcome_json(outcome, *place, initiated=upload.initiated, error=why or None)
            click.echo(row)
        elif not why:
            line = columns(time_text(upload.initiated), upload.upload_id, upload.key)
            click.echo(f"{outcome:11}  {line}")

    @property
    def exit_code(self) -> int:
        """That of the command."""
        return exit_code_of_several(self._errors.values())
