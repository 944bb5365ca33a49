"""What the pages point at is there."""

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import PAGES, ROOT, Page, codes

_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
_PROMISE = re.compile(r"^## (P\d+) ", re.MULTILINE)
_ELSEWHERE = re.compile(r"(?<![\w.~-])/(?:work|root)\b")
GUARANTEES = PAGES["docs/guarantees.md"]
LINKS = [
    pytest.param(page, link, id=f"{page.name} {link}")
    for page in PAGES.values()
    for link in page.links
    if "://" not in link
]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_relative_link_leads_somewhere(page: Page, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.path.parent / path).resolve() if path else page.path
    assert target.exists()
    if anchor:
        assert anchor in Page(target).anchors


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), {"README.md"}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        folder = PAGES[name].path.parent
        for link in PAGES[name].links:
            target = (folder / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_relative_to(ROOT):
                waiting |= {target.relative_to(ROOT).as_posix()} - reached
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_page_names_no_place_of_the_machine_it_was_written_on(page: Page) -> None:
    assert not _ELSEWHERE.search(page.text)


@cache
def functions_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("named", sorted(set(_TEST.findall(GUARANTEES.text))), ids="::".join)
def test_test_named_by_a_guarantee_exists(named: tuple[str, str]) -> None:
    path, function = named
    assert function.startswith("test_")
    assert function in functions_in(path)


def test_every_promise_names_the_tests_that_hold_it() -> None:
    _, *parts = _PROMISE.split(GUARANTEES.text)
    promises = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(promises) == [f"P{number}" for number in range(1, 12)]
    bare = [name for name, text in promises.items() if not _TEST.search(text)]
    assert bare == []


def test_guarantees_name_tests_by_file_and_name_only() -> None:
    loose = [
        name for name in codes(GUARANTEES.prose) if "test_" in name and not _TEST.fullmatch(name)
    ]
    assert loose == []
