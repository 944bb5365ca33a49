"""Aborting uploads one by one: each is told of, and one that fails does not stop the others."""

import json
from collections import Counter

import click

import resumable
from resumable.cli.exit_codes import exit_code_of_several
from resumable.cli.rendering import complain, time_text
from resumable.cli.uploads import columns

ABORTED = "aborted"
GONE = "gone"
FAILED = "failed"
WOULD_ABORT = "would-abort"
SKIPPED = "skipped"


class GivingUp:
    """Aborts uploads of a bucket and keeps count of what became of them.

    Attributes:
        count: How many uploads had which outcome.
    """

    def __init__(
        self, bucket: resumable.Bucket, options: resumable.RequestOptions, *, as_json: bool
    ) -> None:
        self.count: Counter[str] = Counter()
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
            self.tell(upload, GONE)
        except resumable.CredentialsError:
            raise
        except resumable.ResumableError as error:
            self._errors[error.retryable] = error
            self.tell(upload, FAILED, str(error))
        else:
            self.tell(upload, ABORTED)

    def tell(self, upload: resumable.ListedUpload, outcome: str, why: str = "") -> None:
        """Count an outcome and print it; one that has a reason on standard error as well."""
        self.count[outcome] += 1
        if why:
            address = f"oss://{self._bucket.name}/{upload.key}"
            complain(f"{outcome}: upload {upload.upload_id} of {address}: {why}")
        if self._as_json:
            row = {
                "outcome": outcome,
                "bucket": self._bucket.name,
                "key": upload.key,
                "upload_id": upload.upload_id,
                "initiated": upload.initiated and upload.initiated.isoformat(),
                "error": why or None,
            }
            click.echo(json.dumps(row))
        elif not why:
            line = columns(time_text(upload.initiated), upload.upload_id, upload.key)
            click.echo(f"{outcome:11}  {line}")

    @property
    def exit_code(self) -> int:
        """That of the command."""
        return exit_code_of_several(self._errors.values())
