"""Real proxies as programs: how each is configured, started, killed and started again."""

import os
import shutil
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path

HERE = "127.0.0.1"
USER, PASSWORD = "somebody", "TopSecretProxyPassword"
TOOLS = Path(__file__).parents[2] / ".cache" / "proxies"
_START_SECONDS = 30.0


def find(program: str) -> str | None:
    """Where a program is: installed in the system, or by `tests.proxies.install`."""
    places = [TOOLS / "mitmproxy" / "bin", TOOLS / "tinyproxy" / "usr" / "bin"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *map(str, places)])
    return shutil.which(program, path=path)


class RealProxy(ABC):
    """A proxy that runs as a process of its own.

    Attributes:
        authority: PEM file of the authority that signs what the proxy shows to its clients in
            place of the server's certificate; None if it leaves TLS alone.
    """

    program: str
    authority: Path | None = None

    def __init__(self, folder: Path, *, login: bool, trusted: Path, hosts: Path) -> None:
        self.folder = folder
        self.login = login
        self.trusted = trusted
        self.hosts = hosts
        with socket.create_server((HERE, 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL without a login."""
        return f"http://{HERE}:{self.port}"

    @property
    def url_with_login(self) -> str:
        """Its URL with the login that it wants."""
        return f"http://{USER}:{PASSWORD}@{HERE}:{self.port}"

    @abstractmethod
    def command(self) -> list[str]:
        """Write the configuration; the command that runs it in the foreground."""

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline, pause = time.monotonic() + _START_SECONDS, threading.Event()
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "output").read_text(errors="replace"))
            pause.wait(0.02)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection((HERE, self.port), 1).close()
        except OSError:
            return False
        return True


class Tinyproxy(RealProxy):
    """tinyproxy."""

    program = "tinyproxy"

    def command(self) -> list[str]:
        lines = [f"Port {self.port}", f"Listen {HERE}", "Timeout 600", f"Allow {HERE}"]
        lines += [f"BasicAuth {USER} {PASSWORD}"] if self.login else []
        config = self.folder / "tinyproxy.conf"
        config.write_text("\n".join(lines) + "\n")
        return [str(find("tinyproxy")), "-d", "-c", str(config)]


class Squid(RealProxy):
    """squid."""

    program = "squid"

    def command(self) -> list[str]:
        self.folder.chmod(0o777)  # started by root, it becomes another user
        lines = [
            f"http_port {HERE}:{self.port}",
            f"hosts_file {self.hosts}",
            f"pid_filename {self.folder}/squid.pid",
            f"cache_log {self.folder}/cache.log",
            "access_log none",
            "cache deny all",
            "pinger_enable off",
            "visible_hostname localhost",
            "shutdown_lifetime 0 seconds",
        ]
        if self.login:
            passwords = self.folder / "passwords"
            hashed = subprocess.run(
                ["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, check=True, text=True
            )
            passwords.write_text(f"{USER}:{hashed.stdout}")
            passwords.chmod(0o644)
            lines += [
                f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {passwords}",
                "acl known proxy_auth REQUIRED",
                "http_access allow known",
            ]
        else:
            lines += ["http_access allow all"]
        config = self.folder / "squid.conf"
        config.write_text("\n".join([*lines, "http_access deny all"]) + "\n")
        config.chmod(0o644)
        (self.folder / "squid.pid").unlink(missing_ok=True)
        return [str(find("squid")), "-N", "-n", self._service, "-f", str(config)]

    @property
    def _service(self) -> str:
        """A name of its own: under one name another squid's shared memory would be in the way."""
        return f"test{os.getpid()}p{self.port}"

    def kill(self) -> None:
        super().kill()
        for left in Path("/dev/shm").glob(f"{self._service}-*"):
            left.unlink()


class Mitmproxy(RealProxy):
    """mitmproxy, which breaks TLS open."""

    program = "mitmdump"

    def command(self) -> list[str]:
        self.authority = self.folder / "mitmproxy-ca-cert.pem"
        options = [f"confdir={self.folder}", f"ssl_verify_upstream_trusted_ca={self.trusted}"]
        options += [f"proxyauth={USER}:{PASSWORD}"] if self.login else []
        sets = [word for option in options for word in ("--set", option)]
        place = ["--listen-host", HERE, "--listen-port", str(self.port)]
        return [str(find("mitmdump")), "--quiet", *place, *sets]


PROGRAMS: dict[str, type[RealProxy]] = {
    kind.program: kind for kind in (Tinyproxy, Squid, Mitmproxy)
}
