"""The table of mutants fits the package: it cannot rot unnoticed between two runs of them all."""

import ast
import re
from pathlib import Path

import pytest

from tests.mutants.running import PROJECT, occurrences
from tests.mutants.table import MUTANTS, Mutant, path_of

NAMES = [mutant.name for mutant in MUTANTS]
# The faults of other clients, by number, and those among them that only a download can have.
FAULTS, OF_DOWNLOADS = set(range(1, 26)), {9, 11, 13}


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_text_of_a_mutant_occurs_once(mutant: Mutant) -> None:
    assert occurrences(mutant) == 1


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_mutated_module_is_python(mutant: Mutant) -> None:
    module = PROJECT / "resumable" / mutant.file
    ast.parse(module.read_text().replace(mutant.text, mutant.replacement))


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_tests_of_a_mutant_exist(mutant: Mutant) -> None:
    for test in mutant.tests:
        module, _, name = path_of(test).partition("::")
        text = Path(PROJECT, module).read_text()
        assert re.search(rf"^def {name}\(", text, re.MULTILINE)


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_every_fault_of_other_clients_in_uploads_has_a_mutant() -> None:
    named = {
        int(word)
        for mutant in MUTANTS
        for word in re.split("[;,] *", mutant.breaks)
        if word.isdigit()
    }
    assert named == FAULTS - OF_DOWNLOADS
