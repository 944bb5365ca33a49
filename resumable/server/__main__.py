"""`python -m resumable.server`: serve a folder until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from resumable.server.faults import Faults
from resumable.server.server import LocalServer, serve
from resumable.server.store import RootInUseError


def _access_key(text: str) -> tuple[str, str]:
    key_id, colon, secret = text.partition(":")
    if not (key_id and colon and secret):
        raise argparse.ArgumentTypeError("an access key is written ID:SECRET")
    return key_id, secret


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m resumable.server", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder to keep everything in")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--access-key",
        type=_access_key,
        action="append",
        metavar="ID:SECRET",
        help="who may sign requests; may be repeated (default: localkey:localsecret)",
    )
    parser.add_argument("--faults", type=Path, help="JSON file with a list of fault rules")
    parser.add_argument("--access-log", type=Path, help="file to add a JSON line a request to")
    parser.add_argument(
        "--allow-remote", action="store_true", help="permit an address others can reach"
    )
    return parser


def main() -> int:
    """Run the command line; return the exit code."""
    arguments = _parser().parse_args()
    try:
        server = LocalServer(
            arguments.root,
            host=arguments.host,
            port=arguments.port,
            access_keys=dict(arguments.access_key) if arguments.access_key else None,
            faults=Faults.load(arguments.faults) if arguments.faults else None,
            access_log=arguments.access_log,
        )
        serve(server, allow_remote=arguments.allow_remote)
    except (OSError, ValueError, RootInUseError) as problem:
        sys.stderr.write(f"resumable.server: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
