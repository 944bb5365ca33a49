"""Uploads in processes of their own, to be killed and to be measured."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from resumable.server import DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET, LocalServer

_POLL = 0.002

# What getrusage tells of a child includes what its parent had resident when it forked.
_MEASURED = """
import re, sys
from resumable.__main__ import main
code = main()
with open('/proc/self/status') as status:
    print(re.search(r'VmHWM:\\s*(\\d+) kB', status.read())[1], file=sys.stderr)
sys.exit(code)
"""


def start_cp(server: LocalServer, file: Path, key: str, *options: str) -> "subprocess.Popen[str]":
    """Start `resumable cp --json` in a process of its own."""
    command = [sys.executable, "-c", _MEASURED, "cp", "--json", *options]
    environment = os.environ | {
        "OSS_ACCESS_KEY_ID": DEFAULT_ACCESS_KEY_ID,
        "OSS_ACCESS_KEY_SECRET": DEFAULT_ACCESS_KEY_SECRET,
        "OSS_ENDPOINT": server.endpoint,
        "OSS_REGION": "cn-hangzhou",
    }
    return subprocess.Popen(
        [*command, str(file), f"oss://examplebucket/{key}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def result_and_peak_memory(process: "subprocess.Popen[str]") -> tuple[dict[str, Any], int]:
    """Wait for a child; its result, and the most memory it had resident, in bytes."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(output), int(errors.split()[-1]) * 1024


def kill_when_acknowledged(
    process: "subprocess.Popen[str]", server: LocalServer, size: int, patience: float = 600.0
) -> None:
    """Kill a child with SIGKILL as soon as the server has acknowledged so many bytes in all."""
    deadline = time.monotonic() + patience
    while acknowledged(server) < size:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(_POLL)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def acknowledged(server: LocalServer) -> int:
    """Bytes of the parts the server has acknowledged, those sent twice counted twice."""
    return sum(
        exchange.body_bytes
        for exchange in server.log
        if exchange.operation == "UploadPart" and exchange.status == 200
    )
