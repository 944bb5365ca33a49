"""What is around a local server: a working folder that changes, a disk that is full."""

import os
from pathlib import Path

import pytest

from resumable.server import LocalServer
from tests.support import content, local_bucket


def test_working_folder_may_change_while_the_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with (
        LocalServer(Path("root"), access_log=Path("log")) as server,
        local_bucket(server.endpoint) as bucket,
    ):
        bucket.put_object("k", b"before")
        monkeypatch.chdir(tmp_path / "there")
        assert content(bucket, "k") == b"before"
        bucket.put_object("k", b"after")
        assert content(bucket, "k") == b"after"
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["log", "root"]
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_access_log_on_a_full_disk_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        LocalServer(tmp_path / "root", access_log=Path("/dev/full")) as server,
        local_bucket(server.endpoint) as bucket,
    ):
        for number in range(3):
            bucket.put_object(f"k{number}", b"x")
        assert content(bucket, "k2") == b"x"
        assert len(server.log) == 4
    assert caplog.text.count("the access log /dev/full ends here") == 1


def test_server_that_is_made_in_one_folder_and_started_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = LocalServer(Path("root"), access_log=Path("log"))
    monkeypatch.chdir("/")
    with server:
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "root"]
