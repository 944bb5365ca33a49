"""`python -m resumable`, and what the `resumable` command calls."""

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        return _run()
    except KeyboardInterrupt:  # before or after the commands, which say themselves what is kept
        sys.stderr.write("resumable: stopped\n")
        return 130


def _run() -> int:
    try:
        from resumable.cli.app import run  # noqa: PLC0415 - the library does without click
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "resumable":
            raise
        sys.stderr.write(
            f"resumable: the command line needs {error.name}. From a checkout of the project:\n"
            "python -m pip install '.[cli]' (the distribution is called oss-resumable)\n"
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
