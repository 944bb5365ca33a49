"""`resumable demo`: an upload is killed and resumed before your eyes."""

from pathlib import Path

import click


@click.command()
@click.option("--size", default=256, show_default=True, help="Size of the file in MiB, from 16.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where to put file and server. Default: a temporary folder.",
)
def demo(size: int, folder: Path | None) -> None:
    """Upload a file to a local server, kill the upload with SIGKILL, resume it, verify it."""
    if size < 16:
        raise click.BadParameter("16 MiB at least", param_hint="--size")
    # It takes the server along, which no other command waits for.
    from resumable.cli.demonstration import demonstrate  # noqa: PLC0415

    demonstrate(size, folder)
