"""Every example runs, and prints what the page says."""

import json
import shlex
from pathlib import Path

import pytest

from resumable.core.checkpoint import encode
from resumable.core.checkpoint_reading import decode
from resumable.server import Faults
from tests.docs.pages import PAGES, Page, reference, run_examples

WITH_EXAMPLES = [page for page in PAGES.values() if page.blocks("python")]
RULES = [
    pytest.param(block.text, id=f"{page.name}:{block.line}")
    for page in PAGES.values()
    for block in page.blocks("json")
    if block.text.startswith("[")
]


def checkpoint_example() -> bytes:
    return reference("checkpoint").blocks("json")[0].text.encode()


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.name)
def test_examples_print_what_the_page_says(
    reader: Path, page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    if page is reference("checkpoint"):
        (reader / "example.bin.cp").write_bytes(encode(decode(checkpoint_example())))
    run_examples(page, lambda: capsys.readouterr().out)


def test_the_pages_that_should_have_examples_have_them() -> None:
    names = {page.name for page in WITH_EXAMPLES}
    how_to = {name for name in PAGES if name.startswith("docs/how-to/")}
    assert {"README.md", "docs/tutorial/first-upload.md", "docs/reference/api.md"} <= names
    of_the_shell = ("clean-up-uploads", "test-against-real-oss", "use-from-cron")
    assert how_to - names <= {f"docs/how-to/{name}.md" for name in of_the_shell}


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
