"""Uploads of processes that may have few files open, or few threads: real limits of the kernel.

Fewer workers do the work, down to the calling thread itself, and the checkpoint is kept.
"""

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.support import CREDENTIALS, PART, content, make_file, parts_sent

from .steps import beside, open_uploads

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PARTS = 40

UPLOAD = """
    import sys
    from resumable import Bucket, upload_file

    endpoint, file, threads, checkpoint = sys.argv[1:5]
    with Bucket("examplebucket", endpoint=endpoint, region="cn-hangzhou") as bucket:
        upload_file(
            bucket, "k", file, part_size=102400, thread_num=int(threads),
            enable_checkpoint=bool(checkpoint), checkpoint_path=checkpoint or None,
        )
"""


def environment() -> dict[str, str]:
    return {
        "OSS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "OSS_ACCESS_KEY_SECRET": CREDENTIALS.access_key_secret,
        "OSS_REGION": "cn-hangzhou",
        "PATH": os.environ["PATH"],
    }


def run_child(
    script: str, *arguments: object, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, to its end."""
    return subprocess.run(
        [*before, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def with_files(limit: int) -> tuple[str, ...]:
    """What is put in front of a command that may have so many files open."""
    return ("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh")


@pytest.mark.parametrize("limit", [12, 16, 20, 24, 32, 64])
@pytest.mark.parametrize("threads", [1, 4, 64])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_upload_does_with_as_many_descriptors_as_there_are(
    server: LocalServer, bucket: Bucket, folder: Path, limit: int, threads: int, host: str
) -> None:
    file = make_file(folder, PARTS * PART)
    endpoint = server.endpoint.replace("127.0.0.1", host)
    checkpoint = folder / "checkpoint"
    ended = run_child(UPLOAD, endpoint, file, threads, checkpoint, before=with_files(limit))
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr[-2000:]
    assert content(bucket, "k") == file.read_bytes()
    assert sorted(parts_sent(server.log)) == list(range(1, PARTS + 1))
    assert beside(file) == set()
    assert open_uploads(bucket) == []


@pytest.mark.parametrize("limit", [16, 24])
def test_command_with_more_threads_than_descriptors(
    server: LocalServer, bucket: Bucket, folder: Path, limit: int
) -> None:
    file = make_file(folder, PARTS * PART)
    command = ("-m", "resumable", "cp", "-j", "64", "--part-size", "100KB")
    ended = subprocess.run(
        [*with_files(limit), sys.executable, *command, str(file), "oss://examplebucket/k"],
        cwd=ROOT,
        env=environment() | {"OSS_ENDPOINT": server.endpoint},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("WARNING") <= 1
    assert content(bucket, "k") == file.read_bytes()


@pytest.fixture
def anyones() -> Iterator[Path]:
    """A folder in which every user can write."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    with tempfile.TemporaryDirectory(prefix="anyones-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


AS_NOBODY = f"""
    import os, resource
    from resumable import Bucket, upload_file
    from resumable.core import checkpoint_reading
    import tenacity

    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
    # So many threads of this user, those of other programs included.
    resource.setrlimit(resource.RLIMIT_NPROC, (int(__import__("sys").argv[5]),) * 2)
"""


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_upload_of_a_user_who_may_start_no_thread(
    server: LocalServer, bucket: Bucket, anyones: Path, limit: int, has_checkpoint: bool
) -> None:
    file = make_file(anyones, 5 * PART)
    file.chmod(0o644)
    checkpoint = anyones / "checkpoint" if has_checkpoint else ""
    script = textwrap.dedent(AS_NOBODY) + textwrap.dedent(UPLOAD)
    ended = run_child(script, server.endpoint, file, 4, checkpoint, limit)
    if "PermissionError" in ended.stderr or "ModuleNotFoundError" in ended.stderr:
        pytest.skip("another user cannot run this environment")
    assert ended.returncode == 0, ended.stderr
    assert content(bucket, "k") == file.read_bytes()
    assert open_uploads(bucket) == []


AT_EXIT = f"""
    import atexit

    def at_exit():
        {textwrap.indent(textwrap.dedent(UPLOAD), " " * 8).strip()}
        print("uploaded")

    atexit.register(at_exit)
"""


@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_upload_while_the_interpreter_exits(
    server: LocalServer, bucket: Bucket, folder: Path, has_checkpoint: bool
) -> None:
    """Python 3.12 starts no thread any more by then."""
    file = make_file(folder, 5 * PART)
    checkpoint = folder / "checkpoint" if has_checkpoint else ""
    ended = run_child(AT_EXIT, server.endpoint, file, 4, checkpoint)
    assert "uploaded" in ended.stdout, ended.stderr
    assert content(bucket, "k") == file.read_bytes()
    assert beside(file) == set()
