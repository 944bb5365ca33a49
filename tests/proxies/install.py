"""Fetch the proxies that the system does not have into `.cache/proxies`, where that is possible.

mitmproxy gets an environment of its own, since it pins what others need in other versions.
tinyproxy is unpacked from the package of Debian or Ubuntu, without being installed. squid needs
libraries: install it with the system's package manager.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.proxies.programs import PROGRAMS, TOOLS, find


def fetch_mitmproxy() -> None:
    """Install mitmproxy into an environment of its own."""
    folder = TOOLS / "mitmproxy"
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "mitmproxy>=11,<13"]
    subprocess.run(pip, check=True)


def fetch_tinyproxy() -> None:
    """Unpack the package of the system's distribution."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise RuntimeError("install tinyproxy with the system's package manager")
    folder = TOOLS / "tinyproxy"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "tinyproxy-bin"], check=True, cwd=folder)
    for package in Path(folder).glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)


def fetch_squid() -> None:
    """Say how to get squid."""
    raise RuntimeError("install squid with the system's package manager")


FETCH = {"mitmdump": fetch_mitmproxy, "tinyproxy": fetch_tinyproxy, "squid": fetch_squid}


def main() -> None:
    """Fetch what is missing; what cannot be had is said, and its tests are skipped."""
    for program in PROGRAMS:
        if find(program) is None:
            try:
                FETCH[program]()
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"{program}: {error}", file=sys.stderr)
        print(f"{program}: {find(program) or 'missing'}")


if __name__ == "__main__":
    main()
