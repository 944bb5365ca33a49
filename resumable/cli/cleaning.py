"""`resumable clean`: uploads that were begun long ago and never ended are given up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import click

import resumable
from resumable.cli.connecting import Connect, connected
from resumable.cli.giving_up import GivingUp, Outcome
from resumable.cli.parameters import ADDRESS, AGE, Age, paying
from resumable.cli.rendering import complain


@click.command()
@click.argument("address", type=ADDRESS, metavar="oss://BUCKET/PREFIX")
@click.option(
    "--older-than",
    type=AGE,
    required=True,
    metavar="AGE",
    help="Only those begun longer ago: a number and s, m, h, d or w, such as 7d.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be aborted, and abort nothing.")
@paying
@click.option("--json", "as_json", is_flag=True, help="Print each as a line of JSON.")
@connected
def clean(
    *,
    connect: Connect,
    address: tuple[str, str],
    older_than: Age,
    dry_run: bool,
    request_payer: Literal["requester"] | None,
    as_json: bool,
) -> int:
    """Abort unfinished uploads that were begun long ago.

    Those of keys that begin with PREFIX; without one, of the whole bucket. Choose an age that is
    longer than any pause after which an upload is still to go on.
    """
    name, prefix = address
    options: resumable.RequestOptions = {"request_payer": request_payer}
    limit, kept = None, 0
    with connect(name) as bucket:
        giving_up = GivingUp(bucket, options, as_json=as_json)
        for page, upload in _listed(bucket, prefix, options):
            if limit is None:
                limit = _dated(page) - older_than.seconds
            if upload.initiated is None:
                giving_up.tell(upload, Outcome.SKIPPED, "when it was begun cannot be read")
            elif upload.initiated.timestamp() >= limit:
                kept += 1
            elif dry_run:
                giving_up.tell(upload, Outcome.WOULD_ABORT)
            else:
                giving_up.abort(upload)
    if not as_json:
        click.echo(f"{_summary(giving_up.count, dry_run)}, {kept} not older than {older_than.text}")
    return giving_up.exit_code


def _listed(
    bucket: resumable.Bucket, prefix: str, options: resumable.RequestOptions
) -> Iterator[tuple[resumable.UploadsPage, resumable.ListedUpload]]:
    for page in bucket.iter_upload_pages(prefix=prefix, **options):
        for upload in page.uploads:
            yield page, upload


def _summary(count: Counter[Outcome], dry_run: bool) -> str:
    would, did = count[Outcome.WOULD_ABORT], count[Outcome.ABORTED]
    first = f"{would} would be aborted" if dry_run else f"{did} aborted"
    told = {Outcome.GONE: "gone already", Outcome.FAILED: "failed", Outcome.SKIPPED: "skipped"}
    others = [f"{count[outcome]} {words}" for outcome, words in told.items() if count[outcome]]
    return ", ".join([first, *others])


def _dated(page: resumable.UploadsPage) -> float:
    """The time by the clock that dates the uploads; this machine's may be wrong."""
    if page.server_time is not None:
        return page.server_time
    complain("the server does not tell its time: ages are taken by this machine's clock")
    return time.time()
