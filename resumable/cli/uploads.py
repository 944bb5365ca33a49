"""`resumable uploads`: the multipart uploads that were begun and neither completed nor aborted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

import click

import resumable
from resumable.cli.connecting import Connect, connected
from resumable.cli.parameters import ADDRESS, paying
from resumable.cli.rendering import printable, time_text

_MOST_ROWS = 1000


@click.command()
@click.argument("address", type=ADDRESS, metavar="oss://BUCKET/PREFIX")
@click.option(
    "--delimiter",
    default="",
    metavar="TEXT",
    help="Show keys that hold it behind the prefix only up to there, once.",
)
@click.option("--max", "most", type=click.IntRange(min=1), help="List so many at most.")
@paying
@click.option("--json", "as_json", is_flag=True, help="Print each as a line of JSON.")
@connected
def uploads(
    *,
    connect: Connect,
    address: tuple[str, str],
    delimiter: str,
    most: int | None,
    request_payer: Literal["requester"] | None,
    as_json: bool,
) -> None:
    """List unfinished uploads.

    A line has the time the upload was begun, its id, and its key.
    """
    name, prefix = address
    left, more = most, False
    with connect(name) as bucket:
        for page in bucket.iter_upload_pages(
            prefix=prefix,
            delimiter=delimiter,
            page_size=min(most or _MOST_ROWS, _MOST_ROWS),
            request_payer=request_payer,
        ):
            rows = sorted([*_uploads(page, as_json), *_prefixes(page, as_json)])
            shown = rows[:left]
            if shown:
                click.echo("\n".join(line for _, line in shown))
            more = page.is_truncated or len(shown) < len(rows)
            if left is not None:
                left -= len(shown)
                if left == 0:
                    break
    if more and not as_json:
        click.echo(f"there are more than these {most}", err=True)


def columns(initiated: str, upload_id: str, key: str) -> str:
    """An upload as a line."""
    return printable(f"{initiated:20}  {upload_id:32}  {key}")


def _uploads(page: resumable.UploadsPage, as_json: bool) -> Iterator[tuple[tuple[bytes, str], str]]:
    for upload in page.uploads:
        row = {
            "key": upload.key,
            "upload_id": upload.upload_id,
            "initiated": upload.initiated and upload.initiated.isoformat(),
            "storage_class": upload.storage_class,
        }
        line = columns(time_text(upload.initiated), upload.upload_id, upload.key)
        place = upload.key.encode(errors="surrogatepass"), upload.upload_id
        yield place, json.dumps(row) if as_json else line


def _prefixes(
    page: resumable.UploadsPage, as_json: bool
) -> Iterator[tuple[tuple[bytes, str], str]]:
    for prefix in page.common_prefixes:
        line = json.dumps({"common_prefix": prefix}) if as_json else columns("-", "-", prefix)
        yield (prefix.encode(errors="surrogatepass"), ""), line
