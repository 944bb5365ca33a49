"""The environments of the other clients: made on first use, kept for the next time."""

import subprocess
import sys
import venv
from hashlib import sha256
from pathlib import Path

from tests.bench.measuring import ROOT

_VERSIONS = Path(__file__).with_name("requirements.txt")
_PATIENCE = 900.0


class OtherClients:
    """An environment for each of the other clients, and why one of them has none.

    Args:
        cache: The folder to keep them in.
    """

    def __init__(self, cache: Path) -> None:
        # Others are made where anything they depend on has changed.
        self._digest = sha256(_VERSIONS.read_bytes() + sys.version.encode()).hexdigest()[:12]
        self._cache = cache.absolute()
        self._problems: dict[str, str] = {}

    def python(self, package: str) -> str:
        """The interpreter of the environment that has this package."""
        folder = "Scripts" if sys.platform == "win32" else "bin"
        return str(self._folder(package) / folder / "python")

    def missing(self, package: str) -> str:
        """Why a package cannot be used; an empty string if it can, after it was installed."""
        if package not in self._problems:
            self._problems[package] = self._install(package)
        return self._problems[package]

    def versions(self) -> dict[str, dict[str, str]]:
        """What is installed, by the package it was installed for."""
        found = {}
        for package in (name for name, problem in self._problems.items() if not problem):
            pip = [self.python(package), "-m", "pip", "--disable-pip-version-check", "freeze"]
            told = subprocess.run(pip, capture_output=True, text=True, timeout=60, check=True)
            rows = (line.partition("==") for line in told.stdout.splitlines() if "==" in line)
            found[package] = {name: version for name, _, version in rows}
        return found

    def _folder(self, package: str) -> Path:
        return self._cache / f"{package.partition('[')[0]}-{self._digest}"

    def _install(self, package: str) -> str:
        done = self._folder(package) / "installed"
        if done.exists():
            return ""
        sys.stderr.write(f"Installing {package} into {self._folder(package)} ...\n")
        venv.create(self._folder(package), with_pip=True, clear=True)
        pip = [self.python(package), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        problem = _run([*pip, "install", "--constraint", str(_VERSIONS), package])
        if not problem:
            done.touch()
        return problem


def _run(command: list[str]) -> str:
    """Run a command; the last line of what it complains of, if it fails."""
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False, cwd=ROOT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if not ended.returncode:
        return ""
    return (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
