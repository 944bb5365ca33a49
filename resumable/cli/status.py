"""`resumable status`: what the checkpoint of a file holds."""

from __future__ import annotations

import dataclasses
import json

import click

import resumable
from resumable.cli.rendering import part_map, printable, size_text


@click.command()
@click.argument("file", type=click.Path())
@click.option("--checkpoint-path", metavar="PATH", help="Where the checkpoint is, if not FILE.cp.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(file: str, checkpoint_path: str | None, as_json: bool) -> int:
    """Show how far the upload of FILE has come. Exits with 1 if there is no checkpoint."""
    found = resumable.read_checkpoint(file, checkpoint_path=checkpoint_path)
    if as_json:
        click.echo(json.dumps(None if found is None else dataclasses.asdict(found)))
    elif found is None:
        click.echo(f"{checkpoint_path or file + '.cp'}: no checkpoint")
    else:
        click.echo("\n".join(status_lines(found)))
    return 1 if found is None else 0


def status_lines(found: resumable.CheckpointStatus) -> list[str]:
    """A checkpoint for people."""
    percent = 100 * found.bytes_done / found.size if found.size else 100
    source = (
        "unchanged since"
        if found.source_unchanged
        else "changed since: the parts will be read again, and kept where they are the same"
    )
    sent = f"{size_text(found.bytes_done)} recorded as sent ({percent:.0f} %)"
    count = f"{len(found.parts_done)} of {found.parts_total}, {size_text(found.part_size)} each"
    lines = [
        f"{found.kind} to oss://{found.bucket}/{found.key} at {found.endpoint}",
        f"upload id  {found.upload_id}",
        f"file       {size_text(found.size)}, {source}",
        f"parts      {count}; {sent}",
        *(f"           {line}" for line in part_map(found.parts_done, found.parts_total)),
    ]
    return [printable(line) for line in lines]
