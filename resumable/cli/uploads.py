"""`resumable uploads`: the multipart uploads that were begun and neither completed nor aborted."""

import json
from collections.abc import Iterator
from typing import Any, Literal

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
    more = False
    with connect(name) as bucket:
        wanted: dict[str, Any] = {"prefix": prefix, "delimiter": delimiter}
        for page in _pages(bucket, most, wanted | {"request_payer": request_payer}):
            rows = sorted([*_uploads(page, as_json), *_prefixes(page, as_json)])
            if rows:
                click.echo("\n".join(line for _, line in rows))
            more = page.is_truncated
    if more and not as_json:
        click.echo(f"there are more than these {most}", err=True)


def columns(initiated: str, upload_id: str, key: str) -> str:
    """An upload as a line."""
    return printable(f"{initiated:20}  {upload_id:32}  {key}")


def _pages(
    bucket: resumable.Bucket, most: int | None, wanted: dict[str, Any]
) -> Iterator[resumable.UploadsPage]:
    left, markers, more = most, ("", ""), True
    while more:
        page = bucket.list_multipart_uploads(
            **wanted,
            key_marker=markers[0],
            upload_id_marker=markers[1],
            max_uploads=_MOST_ROWS if left is None else min(left, _MOST_ROWS),
        )
        yield page
        markers, more = (page.next_key_marker, page.next_upload_id_marker), page.is_truncated
        if left is not None:
            left -= len(page.uploads) + len(page.common_prefixes)
            more = more and left > 0


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
