"""Breaking a copy of the package and running tests against it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from tests.mutants.table import Mutant, path_of

PROJECT = Path(__file__).parents[2]
# What pytest-timeout allows a test that hangs, and what a whole run may take then.
_SECONDS_A_TEST = 30
_SECONDS_A_RUN = 300

_TESTS_FAILED = 1


class Verdict(Enum):
    """What became of a mutant."""

    CAUGHT = "caught"
    MISSED = "MISSED"
    BROKEN = "BROKEN"


def occurrences(mutant: Mutant, package: Path = PROJECT / "resumable") -> int:
    """How often the text that a mutation replaces occurs."""
    return (package / mutant.file).read_text().count(mutant.text)


def judge(mutant: Mutant) -> tuple[Verdict, str]:
    """Apply a mutation to a copy and run its tests; the verdict, and what to know about it."""
    with _copy() as copy:
        if (found := occurrences(mutant, copy / "resumable")) != 1:
            return Verdict.BROKEN, f"its text occurs {found} times in {mutant.file}"
        module = copy / "resumable" / mutant.file
        module.write_text(module.read_text().replace(mutant.text, mutant.replacement))
        try:
            code, printed = _run(copy, mutant.tests)
        except subprocess.TimeoutExpired:
            return Verdict.BROKEN, "its tests never end"
    if code not in (0, _TESTS_FAILED):
        return Verdict.BROKEN, printed
    blind = [test for test in mutant.tests if path_of(test) not in _failed(printed)]
    if blind:
        # How the tests ended: passed, or never begun for an error of a fixture.
        return Verdict.MISSED, f"{' '.join(blind)} ({printed.splitlines()[-1]})"
    return Verdict.CAUGHT, ""


def failures_without_mutation(mutants: Iterable[Mutant]) -> str:
    """Run the tests of all mutants against an untouched copy; what failed, or nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with _copy() as copy:
        code, printed = _run(copy, tests)
    return "" if code == 0 else printed


@contextmanager
def _copy() -> Iterator[Path]:
    """A copy of the package and the tests, which are imported from there and nowhere else."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        leave_out = shutil.ignore_patterns("__pycache__")
        for name in ("resumable", "tests"):
            shutil.copytree(PROJECT / name, copy / name, ignore=leave_out)
        shutil.copy(PROJECT / "pyproject.toml", copy)
        (copy / "fixtures").symlink_to(PROJECT / "fixtures")
        yield copy


def _failed(printed: str) -> set[str]:
    """The tests, without their parameters, that pytest says have failed."""
    lines = (line.split(" ", 1) for line in printed.splitlines())
    return {line[1].split("[")[0].split(" - ")[0] for line in lines if line[0] == "FAILED"}


def _run(copy: Path, tests: Iterable[str]) -> tuple[int, str]:
    names = [path_of(test) for test in tests]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "--no-header", "-rf"]
    command += ["-p", "no:cacheprovider", "-p", "no:randomly", "-p", "tests.mutants.witness"]
    done = subprocess.run(
        [*command, f"--timeout={_SECONDS_A_TEST}", *names],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS_A_RUN,
        check=False,
    )
    return done.returncode, done.stdout
