"""`resumable serve`: a local OSS server for trying and testing."""

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resumable.cli.parameters import ACCESS_KEY

if TYPE_CHECKING:
    from resumable.server import Faults


@click.command()
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("oss-data"),
    show_default=True,
    help="Folder to keep buckets, uploads and objects in.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port; 0 takes a free one.",
)
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
@click.option(
    "--region",
    default="cn-hangzhou",
    show_default=True,
    help="Region that a V4 signature has to be for.",
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="NAME",
    help="A host name of the server, below which buckets are host names; may be repeated.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="How many connections there may be; more are answered with 503.",
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
    region: str,
    domains: tuple[str, ...],
    max_connections: int,
    allow_remote: bool,
    remote_callbacks: bool,
) -> None:
    """Serve a folder as OSS until Ctrl-C. What was acknowledged outlives a kill.

    The first line it prints is "listening on http://HOST:PORT".
    """
    # No other command waits for it to be loaded.
    from resumable.server import LocalServer, RootInUseError  # noqa: PLC0415
    from resumable.server import serve as serve_until_stopped  # noqa: PLC0415

    try:
        server = LocalServer(
            root,
            host=host,
            port=port,
            access_keys=_unambiguous(access_keys) or None,
            buckets=buckets or None,
            faults=_load_faults(faults) if faults else None,
            access_log=access_log,
            remote_callbacks=remote_callbacks,
            region=region,
            domains=domains,
            max_connections=max_connections,
        )
        serve_until_stopped(server, allow_remote=allow_remote)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except RootInUseError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise _explained(error, f"{host}:{port}") from error


def _unambiguous(access_keys: tuple[tuple[str, str], ...]) -> dict[str, str]:
    if len(found := dict(access_keys)) != len(access_keys):
        raise click.UsageError("--access-key gives one id two secrets")
    return found


def _load_faults(path: Path) -> "Faults":
    from resumable.server import Faults  # noqa: PLC0415 - as above

    try:
        return Faults.load(path)
    except (ValueError, RecursionError, OSError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise click.UsageError(f"--faults {str(path)!r} cannot be used: {told}") from error


def _explained(error: OSError, address: str) -> click.ClickException:
    """What an OSError of the start means; a wrong option is a wrong call."""
    if error.filename is not None:
        return click.UsageError(f"{str(error.filename)!r} cannot be written: {error.strerror}")
    told = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EADDRINUSE:  # the same call succeeds once the other is gone
        return click.ClickException(f"{address} is in use by another program: {told}")
    return click.UsageError(f"--host and --port: cannot listen on {address}: {told}")
