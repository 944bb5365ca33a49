"""The table of mutations, read from `changes`.

A mutation belongs there if it undoes a row of the table of resuming, brings back a fault of another
client or breaks a promise; what only changes a message or costs a little time does not.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

CHANGES = Path(__file__).with_name("changes")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of the package.

    Attributes:
        name: What the package does then.
        breaks: The row of the table of resuming, the numbered fault of other clients, the promise
            or the demand that it breaks.
        file: The module, from the package's folder.
        text: What is replaced; it occurs once.
        replacement: What it becomes.
        tests: Each test that is run, and has to fail: `module::test` in tests/transfer, or
            `folder/module::test` in another folder of the tests.
    """

    name: str
    breaks: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


def path_of(test: str) -> str:
    """A test by its path from the project's folder, as pytest takes it and tells it."""
    module, _, name = test.partition("::")
    folder, _, module = module.rpartition("/")
    return f"tests/{folder or 'transfer'}/{module}.py::{name}"


def read_table() -> list[Mutant]:
    """All mutants."""
    paths = sorted(CHANGES.glob("*.toml"), key=lambda path: int(path.name.partition("-")[0]))
    files = [tomllib.loads(path.read_text()) for path in paths]
    rows = [row for file in files for row in file["mutant"]]
    return [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]


MUTANTS = read_table()
