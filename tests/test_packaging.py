"""The distribution: its name, its pages, and the lock files that development installs from."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.docs.pages import PAGES, ROOT

DISTRIBUTION = "oss-resumable"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = {name: ROOT / ".ci" / name for name in ("requirements.lock", "build.lock")}
_PINNED = re.compile(r"^([a-z0-9.-]+)==([^ ]+)( ; [^\\]+)? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
# Somebody else's project has the name on the index.
_OTHER_PROJECT = re.compile(r"pip3? install[^\n]*?[ '\"]resumable(?![\w/.-])")


def requirements(project: Mapping[str, object]) -> Iterator[Requirement]:
    table = project["project"]
    assert isinstance(table, dict)
    for group in (table["dependencies"], *table["optional-dependencies"].values()):
        for text in group:
            yield Requirement(text)


def own_and_foreign() -> tuple[list[Requirement], list[Requirement]]:
    found = list(requirements(PROJECT))
    own = [requirement for requirement in found if "resumable" in requirement.name]
    return own, [requirement for requirement in found if requirement not in own]


def locked(path: Path) -> dict[str, Version]:
    matches = map(_PINNED.match, path.read_text(encoding="utf-8").splitlines())
    return {match[1]: Version(match[2]) for match in matches if match is not None}


def test_distribution_is_the_one_of_this_project() -> None:
    assert PROJECT["project"]["name"] == DISTRIBUTION
    assert {requirement.name for requirement in own_and_foreign()[0]} == {DISTRIBUTION}
    assert metadata.version(DISTRIBUTION) == sys.modules["resumable"].__version__


def test_each_dependency_is_locked_at_a_version_that_is_allowed() -> None:
    versions = locked(LOCKS["requirements.lock"])
    wrong = [
        str(requirement)
        for requirement in own_and_foreign()[1]
        if versions[canonicalize_name(requirement.name)] not in requirement.specifier
    ]
    assert wrong == []


def test_what_builds_the_package_is_locked() -> None:
    versions = locked(LOCKS["build.lock"])
    wanted = map(Requirement, [*PROJECT["build-system"]["requires"], "editables", "setuptools"])
    for requirement in wanted:
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_two_locks_agree() -> None:
    build, run = map(locked, (LOCKS["build.lock"], LOCKS["requirements.lock"]))
    assert {name: build[name] for name in build.keys() & run.keys()} == {
        name: run[name] for name in build.keys() & run.keys()
    }


@pytest.mark.parametrize("path", LOCKS.values(), ids=LOCKS)
def test_lock_holds_versions_and_hashes_and_no_address(path: Path) -> None:
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    assert head.startswith("#")
    odd = [line for line in lines if not (_PINNED.match(line) or _HASH.match(line))]
    assert odd == []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert not line.endswith("\\") or _HASH.match(following)


def test_lock_is_for_every_platform_and_python() -> None:
    text = LOCKS["requirements.lock"].read_text(encoding="utf-8")
    assert re.search(r"^colorama==\S+ ; sys_platform == 'win32' ", text, re.MULTILINE)
    # As many wheels as one release of ruff or pydantic-core has, and not the one of this machine.
    block = re.search(
        r"^pydantic-core==\S+ \\\n((?:    --hash=\S+(?: \\)?\n)+)", text, re.MULTILINE
    )
    assert block is not None
    assert block[1].count("--hash") > 40


def test_the_lowest_versions_are_those_of_pyproject() -> None:
    printed = subprocess.run(
        [sys.executable, ROOT / ".ci" / "lowest.py"], capture_output=True, check=True, text=True
    ).stdout
    lowest = [Requirement(line) for line in printed.splitlines()]
    table = PROJECT["project"]
    dev = {Requirement(text).name for text in table["optional-dependencies"]["dev"]}
    wanted = {each.name: each for each in own_and_foreign()[1] if each.name not in dev}
    assert {requirement.name for requirement in lowest} == set(wanted)
    for requirement in lowest:
        (pin,) = requirement.specifier
        assert pin.version in wanted[requirement.name].specifier


def test_links_of_the_readme_are_absolute() -> None:
    assert [link for link in PAGES["README.md"].written_links if "://" not in link] == []


def test_readme_has_no_markup_that_an_index_page_drops() -> None:
    text = PAGES["README.md"].text
    assert not re.search(r"^\[[^\]]+\]: (?!https://)", text, re.MULTILINE)  # reference links
    assert "<" not in PAGES["README.md"].prose


def test_urls_name_the_repository_that_the_readme_links_to() -> None:
    urls = PROJECT["project"]["urls"]
    assert {"Repository", "Documentation", "Changelog", "Issues", "Security"} <= set(urls)
    assert all(url.startswith(urls["Repository"]) for url in urls.values())
    assert urls["Repository"] in PAGES["README.md"].text


def texts() -> Iterator[tuple[str, str]]:
    for name, page in PAGES.items():
        yield name, page.text
    for folder in ("resumable", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in (".py", "") and path.name != "typed":
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    yield "Makefile", (ROOT / "Makefile").read_text(encoding="utf-8")


def test_nothing_says_to_install_the_other_project() -> None:
    assert [name for name, text in texts() if _OTHER_PROJECT.search(text)] == []


@pytest.mark.parametrize(
    "text",
    ["pip install resumable", "$ pip install 'resumable[cli]'", 'pip3 install -U "resumable"'],
)
def test_ways_to_install_the_other_project_are_recognised(text: str) -> None:
    assert _OTHER_PROJECT.search(text)


@pytest.mark.parametrize(
    "text", ["pip install 'oss-resumable[cli]'", "pip install '.[cli]'", "pip install ./resumable/"]
)
def test_ways_to_install_this_one_are_not(text: str) -> None:
    assert not _OTHER_PROJECT.search(text)


def private_imports(source: str) -> Iterator[str]:
    """What is taken from private modules of other packages, or is private in a public one."""
    imported: dict[str, str] = {}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {
                alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    named = {
        f"{imported[node.value.id]}.{node.attr}"
        for node in uses
        if isinstance(node.value, ast.Name) and node.value.id in imported
    }
    for name in sorted({*imported.values(), *named}):
        package, *rest = name.split(".")
        foreign = package not in sys.stdlib_module_names and package not in ("resumable", "tests")
        if foreign and any(re.match(r"_(?!_)", part) for part in (package, *rest)):
            yield name


SOURCES = [
    path
    for folder in ("resumable", "tests", ".ci")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def test_no_private_name_of_a_dependency_is_used() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): names
        for path in SOURCES
        if (names := list(private_imports(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import filelock._unix",
        "from filelock import _unix",
        "from urllib3._collections import HTTPHeaderDict",
        "import urllib3\nurllib3._version",
        "import _pytest",
        "import click as c\nc._winconsole",
    ],
)
def test_private_names_are_recognised(source: str) -> None:
    assert len(list(private_imports(source))) == 1
