"""Running a program once, in a fresh process, and reading what it cost."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 3600.0


class BenchError(Exception):
    """A figure that would not be honest: the program failed, or did not do its work."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one program.

    Attributes:
        section: Of the benchmark.
        case: Within the section; those of one case are comparable.
        subject: The name of who was measured.
        round: Subjects of one round ran one after another, in the same weather.
        values: Seconds, bytes and counts by what they are of.
    """

    section: str
    case: str
    subject: str
    round: int
    values: Mapping[str, float]


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, float]:
    """Run a program to its end: `wall` and `cpu` of the whole process, and what it tells itself.

    What it tells is a JSON object in the last line of its output.

    Raises:
        BenchError: it failed, or took too long.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment, cwd=ROOT)
        watchdog = threading.Timer(_PATIENCE, process.kill)
        watchdog.start()
        try:
            # This tells the CPU of this one child, which wait() does not.
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            watchdog.cancel()
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        told, complaints = output.read().decode(), errors.read().decode()
    if process.returncode:
        raise BenchError(f"{' '.join(command)}: exit code {process.returncode}\n{complaints}")
    lines = told.strip().splitlines()
    own = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, **own}


def child_environment(home: Path, ca_bundle: str = "") -> dict[str, str]:
    """The environment of a measured program: this one without proxies and configuration files."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("OSS_", "AWS_", "PYTHON"))
    }
    authorities = ("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE") if ca_bundle else ()
    return {
        **kept,
        "HOME": str(home),
        "AWS_EC2_METADATA_DISABLED": "true",
        **dict.fromkeys(authorities, ca_bundle),
    }


def own_python() -> str:
    """The interpreter that has this project installed."""
    return sys.executable
