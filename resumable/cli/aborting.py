"""`resumable abort`: the uploads of a key, or the one of a checkpoint, are given up."""

from __future__ import annotations

import os
import re
from itertools import takewhile
from typing import Literal

import click

import resumable
from resumable.cli.connecting import Connect, connected
from resumable.cli.exit_codes import DONE, FAILED
from resumable.cli.giving_up import GivingUp, Outcome, outcome_json
from resumable.cli.parameters import ADDRESS, ADDRESS_BEGINS, UPLOAD_ID, paying
from resumable.cli.rendering import complain, printable

_LIKE_AN_ADDRESS = re.compile("oss:", re.IGNORECASE)


@click.command()
@click.argument("target", metavar="oss://BUCKET/KEY|FILE")
@click.option(
    "--upload-id", type=UPLOAD_ID, metavar="ID", help="Only this upload of the key. Default: all."
)
@click.option(
    "--checkpoint-path", metavar="PATH", help="Where the checkpoint of FILE is, if not FILE.cp."
)
@paying
@click.option("--json", "as_json", is_flag=True, help="Print each as a line of JSON.")
@connected
def abort(
    *,
    connect: Connect,
    target: str,
    upload_id: str | None,
    checkpoint_path: str | None,
    request_payer: Literal["requester"] | None,
    as_json: bool,
) -> int:
    """Give unfinished uploads up.

    Those of a key, or the one that the checkpoint of FILE records. Their parts are removed from
    the server, and the checkpoint as well. Exits with 1 if there is nothing to abort.
    """
    options: resumable.RequestOptions = {"request_payer": request_payer}
    if not target.startswith(ADDRESS_BEGINS):
        if upload_id is not None:
            raise click.UsageError("--upload-id goes with oss://BUCKET/KEY, not with a file")
        checkpoint = checkpoint_path or f"{target}.cp"
        if _LIKE_AN_ADDRESS.match(target) and not any(map(os.path.exists, (target, checkpoint))):
            raise click.UsageError(f"{target!r}: an address is written oss://BUCKET/KEY")
        return _abort_checkpoint(connect, target, checkpoint_path, options, as_json=as_json)
    if checkpoint_path is not None:
        raise click.UsageError("--checkpoint-path goes with a file, not with oss://BUCKET/KEY")
    name, key = ADDRESS.convert(target, None, None)
    if not key:
        raise click.UsageError("abort takes a key; `resumable clean` takes a prefix")
    with connect(name) as bucket:
        if upload_id is not None:
            _abort_one(bucket, key, upload_id, options, as_json=as_json)
            return DONE
        return _abort_all(bucket, key, options, as_json=as_json)


def _abort_one(
    bucket: resumable.Bucket,
    key: str,
    upload_id: str,
    options: resumable.RequestOptions,
    *,
    as_json: bool,
) -> None:
    try:
        resumable.abort_upload(bucket, key, upload_id, **options)
    except resumable.NoSuchUploadError as error:
        error.advice = (
            f"There is no unfinished upload {upload_id} of oss://{bucket.name}/{key}: it was "
            "completed or aborted, or it is another key's"
        )
        raise
    if as_json:
        click.echo(outcome_json(Outcome.ABORTED, bucket.name, key, upload_id))
    else:
        click.echo(printable(f"oss://{bucket.name}/{key}: upload {upload_id} aborted"))


def _abort_all(
    bucket: resumable.Bucket, key: str, options: resumable.RequestOptions, *, as_json: bool
) -> int:
    giving_up = GivingUp(bucket, options, as_json=as_json)
    # The key itself comes before all those that it is the beginning of.
    of_the_key = takewhile(
        lambda upload: upload.key == key, bucket.iter_multipart_uploads(prefix=key, **options)
    )
    for upload in of_the_key:
        giving_up.abort(upload)
    if not giving_up.count:
        complain(f"oss://{bucket.name}/{key} has no unfinished upload")
        return FAILED
    return giving_up.exit_code


def _abort_checkpoint(
    connect: Connect,
    file: str,
    checkpoint_path: str | None,
    options: resumable.RequestOptions,
    *,
    as_json: bool,
) -> int:
    given_up = None
    found = resumable.read_checkpoint(file, checkpoint_path=checkpoint_path)
    if found is not None:
        with connect(found.bucket) as bucket:
            given_up = resumable.abort_checkpoint(
                bucket, file, checkpoint_path=checkpoint_path, **options
            )
    if given_up is None:
        complain(f"{checkpoint_path or file + '.cp'}: no checkpoint")
        return FAILED
    click.echo(_checkpoint_json(given_up) if as_json else _checkpoint_line(given_up))
    return DONE


def _checkpoint_json(given_up: resumable.AbortedCheckpoint) -> str:
    outcome = Outcome.ABORTED if given_up.upload_was_there else Outcome.GONE
    held = given_up.checkpoint
    return outcome_json(outcome, held.bucket, held.key, held.upload_id, checkpoint=held.path)


def _checkpoint_line(given_up: resumable.AbortedCheckpoint) -> str:
    held = given_up.checkpoint
    what = "aborted," if given_up.upload_was_there else "was gone already;"
    upload = f"oss://{held.bucket}/{held.key}: upload {held.upload_id}"
    return printable(f"{upload} {what} {held.path} removed")
