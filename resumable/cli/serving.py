"""`resumable serve`: a local OSS server for trying and testing."""

from pathlib import Path

import click

from resumable.cli.parameters import ACCESS_KEY


@click.command()
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("oss-data"),
    show_default=True,
    help="Folder to keep buckets, uploads and objects in.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--access-key",
    "access_keys",
    type=ACCESS_KEY,
    multiple=True,
    metavar="ID:SECRET",
    help="Who may sign requests; may be repeated. Default: localkey:localsecret.",
)
@click.option(
    "--bucket",
    "buckets",
    multiple=True,
    metavar="NAME",
    help="A bucket; may be repeated. Default: whatever is written to comes into being.",
)
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of rules that say which requests go wrong, and how.",
)
@click.option(
    "--access-log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to add a line of JSON to for each request.",
)
@click.option("--allow-remote", is_flag=True, help="Permit an address that others can reach.")
@click.option("--remote-callbacks", is_flag=True, help="Send callbacks to other machines, too.")
def serve(  # noqa: PLR0913, PLR0917 - click hands them in, one an option
    root: Path,
    host: str,
    port: int,
    access_keys: tuple[tuple[str, str], ...],
    buckets: tuple[str, ...],
    faults: Path | None,
    access_log: Path | None,
    allow_remote: bool,
    remote_callbacks: bool,
) -> None:
    """Serve a folder as OSS until Ctrl-C. What was acknowledged outlives a kill.

    The first line it prints is "listening on http://HOST:PORT".
    """
    # No other command waits for it to be loaded.
    from resumable.server import Faults, LocalServer, RootInUseError  # noqa: PLC0415
    from resumable.server import serve as serve_until_stopped  # noqa: PLC0415

    try:
        server = LocalServer(
            root,
            host=host,
            port=port,
            access_keys=dict(access_keys) or None,
            buckets=buckets or None,
            faults=Faults.load(faults) if faults else None,
            access_log=access_log,
            remote_callbacks=remote_callbacks,
        )
        serve_until_stopped(server, allow_remote=allow_remote)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except (OSError, RootInUseError) as error:
        raise click.ClickException(str(error)) from error
