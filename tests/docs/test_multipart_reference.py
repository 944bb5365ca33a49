"""The table of the multipart API: what it names is there, and nothing of ours is left out."""

import re
from collections.abc import Mapping

import pytest

import resumable
from resumable.cli import app as command_line
from resumable.oss.options import header_of
from tests.docs.names import Name, arguments_of, calls
from tests.docs.pages import Table, codes, reference
from tests.docs.test_links import functions_in
from tests.docs.test_reference import names_of_environment

PAGE = reference("multipart-api")
SECTIONS = re.findall(r"^## (.+)$", PAGE.text, re.MULTILINE)
ROWS: Table = [row for title in SECTIONS for row in PAGE.table(title)]
NO_NAMES = names_of_environment() | {f"resumable {name}" for name in command_line.app.commands}
OPTIONS = {
    option
    for group in ("PutOptions", "ReadOptions")
    for option in getattr(resumable, group).__annotations__
}
# What the documents know nothing of; the page of the API tells it.
OURS = {
    "upload_file": {"cancel", "source_check"},
    "Bucket": set("accelerate ca_bundle internal profile proxy retry signature_version".split()),
}


def reads_as(row: Mapping[str, str]) -> str:
    return re.sub(r"[^\w., -]", "", row["reference documents"])[:60]


def names_in(row: Mapping[str, str]) -> list[Name]:
    """The public names of a row; a command or a variable may stand in backticks as well."""
    return [Name.parse(code) for code in codes(row["here"]) if code not in NO_NAMES]


NAMED = [name for row in ROWS for name in names_in(row)]


@pytest.mark.parametrize("row", ROWS, ids=reads_as)
def test_names_of_a_row_are_there(row: Mapping[str, str]) -> None:
    assert [name.missing() for name in names_in(row) if name.missing()] == []


@pytest.mark.parametrize("row", ROWS, ids=reads_as)
def test_row_names_tests_that_are_there(row: Mapping[str, str]) -> None:
    for named in codes(row["test"]):
        path, _, function = named.partition("::")
        assert function.startswith("test_")
        assert function in functions_in(path), named


@pytest.mark.parametrize("row", ROWS, ids=reads_as)
def test_only_what_does_not_apply_has_no_test(row: Mapping[str, str]) -> None:
    assert codes(row["test"]) or row["here"].startswith("does not apply: ")


def test_every_row_is_there_once() -> None:
    told = [row["reference documents"] for row in ROWS]
    assert sorted(told) == sorted(set(told))


def named_of(dotted: str) -> set[str]:
    return {argument for name in NAMED if name.dotted == dotted for argument in name.arguments}


@pytest.mark.parametrize("method", calls())
def test_method_of_the_bucket_is_in_the_table(method: str) -> None:
    assert method in {name.dotted for name in NAMED}


@pytest.mark.parametrize("call", ["upload_file", "Bucket", "Callback", "FileSlice"])
def test_argument_is_in_the_table(call: str) -> None:
    public = getattr(resumable, call)
    assert set(arguments_of(public)) - OURS.get(call, set()) == named_of(call)


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_option_and_its_header_are_in_the_table(option: str) -> None:
    assert option in {argument for name in NAMED for argument in name.arguments}
    header = header_of(option).rstrip("-").lower()
    told = " ".join(row["reference documents"] for row in ROWS).lower()
    assert header in told or header.startswith("if-")


@pytest.mark.parametrize("method", calls())
def test_argument_of_a_method_is_in_the_table(method: str) -> None:
    """Once for all: a key is a key, whichever call it is given to."""
    everywhere = {argument for name in NAMED for argument in name.arguments}
    assert set(arguments_of(calls()[method])) <= everywhere
