"""The pages of the documentation, cut into what the tests look at.

A `python` block is an example that runs: the blocks of a page one after the other, in one folder
and one namespace. A `text` block that directly follows one is what it prints.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
# An index page shows the README without the files beside it: its links are absolute.
IN_REPOSITORY = "https://github.com/oss-resumable/resumable/blob/main/"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_TABLE = re.compile(r"(?:^\|.+\|\n)+", re.MULTILINE)
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")

# Its rows, by the names of the columns.
Table = list[Mapping[str, str]]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line on which the text begins."""

    language: str
    text: str
    line: int
    printed: str | None = None


@dataclass(frozen=True)
class Page:
    """One page."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[Block]:
        return [block for block in self._all_blocks() if block.language == language]

    def _all_blocks(self) -> Iterator[Block]:
        for match in _FENCE.finditer(self.text):
            after = _FENCE.match(self.text[match.end() :].lstrip("\n"))
            printed = after[2] if after is not None and after[1] == "text" else None
            line = self.text.count("\n", 0, match.start(2)) + 1
            yield Block(match[1], match[2], line, printed)

    @property
    def links(self) -> list[str]:
        """What it links to; pages of the project as seen from this one."""
        return [
            os.path.relpath(ROOT / link.removeprefix(IN_REPOSITORY), self.path.parent)
            if link.startswith(IN_REPOSITORY)
            else link
            for link in self.written_links
        ]

    @property
    def written_links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What `#…` may name, as GitHub spells it."""
        cleaned = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(self.prose))
        return {title.strip().replace(" ", "-") for title in cleaned}

    def section(self, title: str) -> str:
        """The text under a heading, up to the next heading of any level."""
        wanted = f" {title}"
        for found in re.split(r"^#+(?= )", self.text, flags=re.MULTILINE):
            heading, _, body = found.partition("\n")
            if heading == wanted:
                return body
        raise LookupError(f"{self.name} has no heading {title!r}")

    def tables(self, title: str) -> list[Table]:
        """The tables under a heading."""
        return [_table(found) for found in _TABLE.findall(self.section(title))]

    def table(self, title: str) -> Table:
        """The first table under a heading."""
        return self.tables(title)[0]


def _table(text: str) -> Table:
    names, _, *rows = (_cells(row) for row in _ROW.findall(text))
    return [dict(zip(names, row, strict=True)) for row in rows]


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]


def codes(text: str) -> list[str]:
    """What stands in backticks."""
    return _CODE.findall(text)


def code(text: str) -> str:
    """The one thing that stands in backticks; what surrounds it does not matter."""
    (only,) = codes(text)
    return only


PAGES = {
    page.name: page
    for page in map(Page, [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])
}


def reference(name: str) -> Page:
    return PAGES[f"docs/reference/{name}.md"]


def run_examples(page: Page, printed: Callable[[], str]) -> None:
    """Run the examples of a page one after the other, and hold what they print against it.

    Args:
        page: The page.
        printed: Gives what was printed since it was called last.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in page.blocks("python"):
        # The empty lines give a traceback the numbers of the page's lines.
        source = "\n" * (block.line - 1) + block.text
        exec(compile(source, page.name, "exec"), namespace)
        out = printed()
        if block.printed is not None:
            assert out == block.printed, f"{page.name}, line {block.line}"
