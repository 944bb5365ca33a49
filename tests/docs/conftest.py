"""What the examples on the pages take for granted."""

import random
import shutil
from pathlib import Path

import pytest

from resumable.server import (
    DEFAULT_ACCESS_KEY_ID,
    DEFAULT_ACCESS_KEY_SECRET,
    LocalServer,
)

# Before the tests import it, so that a page that is wrong is shown beside what it should be.
pytest.register_assert_rewrite("tests.docs.pages")

SIZE = 20 * 1024 * 1024


@pytest.fixture(scope="session")
def example_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `example.bin` of the pages: 20 MiB of random bytes."""
    path = tmp_path_factory.mktemp("docs") / "example.bin"
    path.write_bytes(random.Random(0).randbytes(SIZE))
    return path


@pytest.fixture
def reader(
    server: LocalServer, example_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder to work in, with `example.bin`, and a server that the environment names."""
    folder = tmp_path / "reader"
    folder.mkdir()
    shutil.copyfile(example_file, folder / "example.bin")
    monkeypatch.chdir(folder)
    variables = {
        "OSS_ACCESS_KEY_ID": DEFAULT_ACCESS_KEY_ID,
        "OSS_ACCESS_KEY_SECRET": DEFAULT_ACCESS_KEY_SECRET,
        "OSS_ENDPOINT": server.endpoint,
        "OSS_REGION": "cn-hangzhou",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return folder
