"""`resumable parts`: what the server has of an unfinished upload."""

from __future__ import annotations

import json
from typing import Literal

import click

import resumable
from resumable.cli.connecting import Connect, connected
from resumable.cli.parameters import ADDRESS, UPLOAD_ID, paying
from resumable.cli.rendering import printable, size_text, time_text


@click.command()
@click.argument("address", type=ADDRESS, metavar="oss://BUCKET/KEY")
@click.option(
    "--upload-id",
    type=UPLOAD_ID,
    required=True,
    metavar="ID",
    help="Of the upload.",
)
@paying
@click.option("--json", "as_json", is_flag=True, help="Print each as a line of JSON.")
@connected
def parts(
    *,
    connect: Connect,
    address: tuple[str, str],
    upload_id: str,
    request_payer: Literal["requester"] | None,
    as_json: bool,
) -> None:
    """List the parts of an unfinished upload.

    A line has number, bytes, ETag, CRC-64, and the time the part was sent.
    """
    name, key = address
    count = size = 0
    with connect(name) as bucket:
        for part in bucket.iter_parts(key, upload_id, request_payer=request_payer):
            click.echo(_json(part) if as_json else _line(part))
            count, size = count + 1, size + part.size
    if not as_json:
        told = "1 part" if count == 1 else f"{count} parts"
        click.echo(f"{told}, {size} bytes ({size_text(size)})")


def _line(part: resumable.ListedPart) -> str:
    crc64 = "-" if part.crc64 is None else part.crc64
    last = time_text(part.last_modified)
    return printable(f"{part.number:5}  {part.size:10}  {part.etag:32}  {crc64:>20}  {last}")


def _json(part: resumable.ListedPart) -> str:
    row = {
        "number": part.number,
        "size": part.size,
        "etag": part.etag,
        "crc64": None if part.crc64 is None else str(part.crc64),
        "last_modified": part.last_modified and part.last_modified.isoformat(),
    }
    return json.dumps(row)
