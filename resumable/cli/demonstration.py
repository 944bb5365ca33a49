"""The steps of `resumable demo`."""

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

import resumable
from resumable.cli.rendering import size_text
from resumable.cli.status import status_lines
from resumable.server import DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET, LocalServer

_MIB = 1024 * 1024
_BUCKET = "demo-bucket"
_KEY = "backups/example.bin"
_THREADS = 4
_PART_SIZE = "4MiB"
_KILL_AFTER = 0.4
_PATIENCE = 120.0


def demonstrate(size: int, folder: Path | None) -> None:
    """Upload a file of random bytes to a local server, kill the upload, resume it, verify it.

    Args:
        size: Of the file, in MiB.
        folder: Where to put file and server. Default: a temporary folder.

    Raises:
        click.ClickException: a step did not do what it was to show.
    """
    with (
        tempfile.TemporaryDirectory(prefix="resumable-demo-", dir=folder) as place,
        LocalServer(Path(place, "server")) as server,
    ):
        _Demo(Path(place), server).run(size * _MIB)


class _Demo:
    """The steps of the demonstration."""

    def __init__(self, place: Path, server: LocalServer) -> None:
        self._file = place / "example.bin"
        self._server = server
        self._sent_by_first = 0

    def run(self, size: int) -> None:
        click.echo(f"1. A local OSS server listens on {self._server.endpoint}")
        digest = _make_file(self._file, size)
        click.echo(f"2. A file of {size_text(size)} of random bytes, SHA-256 {digest[:16]}…")
        click.echo(f"3. Uploading it with {_THREADS} threads, in another process …")
        self._upload_and_kill(size)
        found = resumable.read_checkpoint(self._file)
        if found is None:
            raise click.ClickException("the killed process left no checkpoint")
        click.echo(f"4. The checkpoint it left, {self._file.name}.cp:")
        click.echo("\n".join(f"     {line}" for line in status_lines(found)))
        click.echo("5. The same command again …")
        self._resume()
        self._verify(digest)

    def _upload_and_kill(self, size: int) -> None:
        process = self._start()
        deadline = time.monotonic() + _PATIENCE
        while self._arrived() < _KILL_AFTER * size:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.communicate()
                raise click.ClickException("the upload ended before it could be killed")
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self._sent_by_first = self._arrived()
        click.echo(f"   … killed with SIGKILL after {size_text(self._sent_by_first)}")

    def _resume(self) -> None:
        output, _ = self._start().communicate(timeout=_PATIENCE)
        result = json.loads(output)
        click.echo(
            f"   … done in {result['elapsed']:.1f} s: sent {size_text(result['bytes_sent'])}, "
            f"reused {size_text(result['bytes_reused'])} "
            f"({result['parts_reused']} of {result['parts_total']} parts)"
        )
        if not result["parts_reused"]:
            raise click.ClickException("nothing was reused")
        again = self._sent_by_first + result["bytes_sent"] - result["size"]
        click.echo(f"   Sent twice because of the kill: {size_text(max(0, again))}")

    def _verify(self, digest: str) -> None:
        with _bucket(self._server) as bucket, bucket.get_object(_KEY) as answer:
            equal, there = _compare(self._file, answer.blocks())
        if not equal or there != digest:
            raise click.ClickException("the object is not the file")
        left = sorted(path.name for path in self._file.parent.glob("example.bin.*"))
        click.echo(f"6. Verified byte for byte: the object's SHA-256 is {there[:16]}… as well")
        click.echo(f"   Left beside the file: {', '.join(left) or 'nothing'}")

    def _start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "resumable", "cp", "--json", f"--threads={_THREADS}"]
        arguments = [f"--part-size={_PART_SIZE}", str(self._file), f"oss://{_BUCKET}/{_KEY}"]
        return subprocess.Popen(  # noqa: S603 - this very program
            [*command, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | _environment(self._server),
        )

    def _arrived(self) -> int:
        """Bytes of parts that the server has acknowledged."""
        return sum(
            exchange.body_bytes
            for exchange in self._server.log
            if exchange.operation == "UploadPart" and exchange.status == 200
        )


def _environment(server: LocalServer) -> dict[str, str]:
    return {
        "OSS_ACCESS_KEY_ID": DEFAULT_ACCESS_KEY_ID,
        "OSS_ACCESS_KEY_SECRET": DEFAULT_ACCESS_KEY_SECRET,
        "OSS_ENDPOINT": server.endpoint,
        "OSS_REGION": "cn-hangzhou",
        "OSS_SESSION_TOKEN": "",
    }


def _bucket(server: LocalServer) -> resumable.Bucket:
    key = resumable.Credentials(DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET)
    return resumable.Bucket(
        _BUCKET, endpoint=server.endpoint, region="cn-hangzhou", credentials=key
    )


def _make_file(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, _MIB):
            block = secrets.token_bytes(min(_MIB, size - start))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _compare(path: Path, blocks: Iterator[bytes]) -> tuple[bool, str]:
    digest, equal = hashlib.sha256(), True
    with path.open("rb") as file:
        for block in blocks:
            digest.update(block)
            equal = equal and file.read(len(block)) == block
        return equal and not file.read(1), digest.hexdigest()
