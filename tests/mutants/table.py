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
        tests: `module::test` in tests/transfer of each test that is run; each has to fail.
    """

    name: str
    breaks: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


def read_table() -> list[Mutant]:
    """All mutants."""
    files = [tomllib.loads(path.read_text()) for path in sorted(CHANGES.glob("*.toml"))]
    rows = [row for file in files for row in file["mutant"]]
    return [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]


MUTANTS = read_table()
