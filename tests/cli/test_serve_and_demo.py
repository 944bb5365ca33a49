"""`resumable serve` and `resumable demo`, as processes."""

import signal
from pathlib import Path

import pytest

from resumable import Bucket, Credentials, ServerError
from tests.cli.conftest import Run, start
from tests.support import content, local_bucket


def test_serve_says_where_it_listens_and_keeps_what_it_has(tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = start("serve", "--root", root)
    assert first.stdout is not None
    endpoint = first.stdout.readline().removeprefix("listening on ").strip()
    with local_bucket(endpoint) as bucket:
        bucket.put_object("k", b"content")
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=30)

    second = start("serve", "--root", root)
    assert second.stdout is not None
    endpoint = second.stdout.readline().removeprefix("listening on ").strip()
    with local_bucket(endpoint) as bucket:
        assert content(bucket, "k") == b"content"
    second.terminate()
    second.communicate(timeout=30)
    assert second.returncode == 0


def test_serve_lets_in_whom_it_is_told_to(tmp_path: Path) -> None:
    process = start("serve", "--root", tmp_path / "root", "--access-key", "other:its:secret")
    assert process.stdout is not None
    endpoint = process.stdout.readline().removeprefix("listening on ").strip()
    with local_bucket(endpoint) as bucket, pytest.raises(ServerError, match="InvalidAccessKeyId"):
        bucket.put_object("k", b"content")
    keys = Credentials("other", "its:secret")
    with Bucket(
        "examplebucket", endpoint=endpoint, region="cn-hangzhou", credentials=keys
    ) as bucket:
        bucket.put_object("k", b"content")
        assert content(bucket, "k") == b"content"
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--host", "0.0.0.0"), "other machines"),
        (("--access-key", "onlyanid"), "ID:SECRET"),
        (("--faults", "/nonexistent"), "does not exist"),
    ],
)
def test_serve_refuses_what_it_should(
    run: Run, tmp_path: Path, arguments: tuple[str, str], told: str
) -> None:
    outcome = run("serve", "--root", tmp_path / "root", *arguments)
    assert outcome.code == 2
    assert told in outcome.err
    assert "onlyanid" not in outcome.err


def test_demo_kills_resumes_and_verifies(tmp_path: Path) -> None:
    process = start("demo", "--size", 64, "--folder", tmp_path)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "killed with SIGKILL" in out
    assert "Verified byte for byte" in out
    assert "Left beside the file: nothing" in out
    assert list(tmp_path.iterdir()) == []
