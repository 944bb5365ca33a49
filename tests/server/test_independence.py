"""The server is an independent reading of the protocol: it shares nothing with the client."""

import ast
import sys
from pathlib import Path

import pytest

import resumable.server

MODULES = sorted(Path(resumable.server.__file__).parent.glob("*.py"))
ALLOWED = {"anycrc", "defusedxml", "h11"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_module_imports_nothing_of_the_client(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    foreign = {name for name in names if not name.startswith("resumable.server")}
    packages = {name.partition(".")[0] for name in foreign}
    assert packages <= ALLOWED | sys.stdlib_module_names


def test_public_names_are_sorted_and_real() -> None:
    names = resumable.server.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(resumable.server, name) for name in names)
