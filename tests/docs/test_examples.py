"""Every example runs, and prints what the page says."""

import json
import random
import shlex
import shutil
from pathlib import Path

import pytest

from resumable.core.checkpoint import decode, encode
from resumable.server import (
    DEFAULT_ACCESS_KEY_ID,
    DEFAULT_ACCESS_KEY_SECRET,
    Faults,
    LocalServer,
)
from tests.docs.pages import PAGES, Page, reference

SIZE = 20 * 1024 * 1024
WITH_EXAMPLES = [page for page in PAGES.values() if page.blocks("python")]
RULES = [
    pytest.param(block.text, id=f"{page.name}:{block.line}")
    for page in PAGES.values()
    for block in page.blocks("json")
    if block.text.startswith("[")
]


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
    """What the pages take for granted: a folder with `example.bin`, and a server to upload to."""
    folder = tmp_path / "reader"
    folder.mkdir()
    shutil.copyfile(example_file, folder / "example.bin")
    (folder / "example.bin.cp").write_bytes(encode(decode(checkpoint_example())))
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


def checkpoint_example() -> bytes:
    return reference("checkpoint").blocks("json")[0].text.encode()


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.name)
def test_examples_print_what_the_page_says(
    reader: Path, page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    if page is not reference("checkpoint"):
        (reader / "example.bin.cp").unlink()
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in page.blocks("python"):
        # The empty lines give a traceback the numbers of the page's lines.
        source = "\n" * (block.line - 1) + block.text
        exec(compile(source, page.name, "exec"), namespace)
        printed = capsys.readouterr().out
        if block.printed is not None:
            assert printed == block.printed, f"{page.name}, line {block.line}"


def test_the_pages_that_should_have_examples_have_them() -> None:
    names = {page.name for page in WITH_EXAMPLES}
    how_to = {name for name in PAGES if name.startswith("docs/how-to/")}
    assert {"README.md", "docs/tutorial/first-upload.md", "docs/reference/api.md"} <= names
    assert how_to - names <= {"docs/how-to/use-from-cron.md"}


@pytest.mark.parametrize("text", RULES)
def test_fault_rules_are_understood_by_the_server(text: str) -> None:
    rules = json.loads(text)
    faults = Faults(*rules)
    assert len(faults.fired) == len(rules) > 0


def test_checkpoint_example_is_a_checkpoint() -> None:
    found = decode(checkpoint_example())
    assert [part.number for part in found.parts] == [1, 2, 3, 4]
    assert found.plan.count == 10


def test_json_examples_are_json() -> None:
    for page in PAGES.values():
        for block in page.blocks("json"):
            assert json.loads(block.text), f"{page.name}, line {block.line}"


def test_console_lines_are_commands_and_their_output() -> None:
    for page in PAGES.values():
        for block in page.blocks("console"):
            assert block.text.startswith("$ "), f"{page.name}, line {block.line}"
            for line in block.text.splitlines():
                if line.startswith("$ "):
                    assert shlex.split(line[2:], comments=True)
