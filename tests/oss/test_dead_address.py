"""A host whose IPv6 leads nowhere, in a network of its own: root only."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resumable import Bucket
from resumable.errors import ServerError
from resumable.server import LocalServer
from tests.support import CREDENTIALS, QUICK

ROOT = Path(__file__).parents[2]
# The way to 2001:db8:1::1 ends on a wire at which nobody answers.
NETWORK = """
set -e
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v0 up
ip link set v1 up
ip -6 addr add 2001:db8::2/64 dev v0 nodad
ip -6 route add 2001:db8:1::/64 dev v0
ip -6 neigh add 2001:db8:1::1 lladdr 02:00:00:00:00:01 dev v0 nud permanent
cp /etc/hosts hosts
printf '2001:db8:1::1 examplebucket.dual.test\\n127.0.0.1 examplebucket.dual.test\\n' >> hosts
mount --bind hosts /etc/hosts
"""
UPLOAD = """
import sys, threading, time
from pathlib import Path
from resumable.server import LocalServer
from tests.support import PART, local_bucket

with LocalServer(Path("oss")) as server:
    took = []
    for _ in range(4):  # each bucket makes a connection of its own
        began = time.monotonic()
        with local_bucket(f"http://dual.test:{server.port}") as bucket:
            bucket.put_object("k", b"x" * PART)
        took.append(time.monotonic() - began)
print(*took)
"""


def _may_make_networks() -> bool:
    if (
        os.name != "posix"
        or os.geteuid() != 0
        or not (shutil.which("unshare") and shutil.which("ip"))
    ):
        return False
    probe = ["unshare", "-n", "-m", "sh", "-c", "ip link add v0 type veth peer name v1"]
    return subprocess.run(probe, capture_output=True, check=False, timeout=20).returncode == 0


def test_dead_ipv6_costs_a_moment_once_and_not_once_a_connection(tmp_path: Path) -> None:
    if not _may_make_networks():
        pytest.skip("needs root and network namespaces")
    script = tmp_path / "network.sh"
    (tmp_path / "upload.py").write_text(UPLOAD)
    script.write_text(f"{NETWORK}\nexec {sys.executable} upload.py\n")
    ended = subprocess.run(
        ["unshare", "-n", "-m", "sh", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    first, *others = map(float, ended.stdout.split())
    assert 0.2 < first < 5
    assert sorted(others)[1] < 0.2


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
def test_name_is_looked_up_again_for_each_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service moves in the middle: its name leads to another machine from then on."""
    real, leads_to = socket.getaddrinfo, ["127.0.0.1"]

    def look_up(host: str, *rest: Any, **more: Any) -> list[Any]:  # noqa: ANN401
        return real(leads_to[0] if host == "oss.test" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with LocalServer(tmp_path / "before") as before:
        after = LocalServer(tmp_path / "after", host="127.0.0.2", port=before.port)
        bucket = Bucket(
            "examplebucket",
            endpoint=f"http://oss.test:{before.port}",
            style="cname",
            credentials=CREDENTIALS,
            retry=QUICK,
        )
        with after, bucket:
            for leads_to[0] in ("127.0.0.1", "127.0.0.2"):
                # Which bucket that is does not matter here: who answered does.
                with pytest.raises(ServerError):
                    bucket.head_object("k")
                bucket.close()
            assert (len(before.log), len(after.log)) == (1, 1)
