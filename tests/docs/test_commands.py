"""The reference of the command line and of the errors: nothing is missing, nothing is made up."""

import re
from collections.abc import Mapping

import click
import pytest

import resumable
from resumable.cli import app as command_line
from resumable.oss.messages import Answer, Request
from resumable.oss.refusals import refusal
from tests.docs.pages import PAGES, Page, Table, code, codes, reference

CLI, ERRORS = reference("cli"), reference("errors")
APP = command_line.app
COMMANDS: Mapping[str, click.Command] = {"": APP, **APP.commands}
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
_CALL = re.compile(rf"(?<![\w./-])resumable (?:-v )?({'|'.join(APP.commands)})\b([^&;|\n'`]*)")


def options(name: str) -> dict[str, click.Parameter]:
    """The options of a command by each of their spellings."""
    parent = click.Context(APP, info_name="resumable", **APP.context_settings)
    command = COMMANDS[name]
    context = parent if command is APP else click.Context(command, parent=parent)
    return {
        spelling: parameter
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    }


def rows_of(name: str) -> Table:
    return CLI.table(f"`resumable {name}`" if name else "`resumable`")


def test_every_command_has_a_section() -> None:
    told = set(re.findall(r"^## `resumable ?(\w*)`$", CLI.text, re.MULTILINE))
    assert told == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name or "resumable")
def test_options_are_those_of_the_code(name: str) -> None:
    told = [spelling for row in rows_of(name) for spelling in _OPTION.findall(row["option"])]
    assert sorted(told) == sorted(options(name))


@pytest.mark.parametrize("name", APP.commands)
def test_numbers_given_as_defaults_are_those_of_the_code(name: str) -> None:
    known = options(name)
    for row in rows_of(name):
        default = known[_OPTION.findall(row["option"])[0]].default
        if isinstance(default, int) and not isinstance(default, bool):
            assert row["default"] == str(default), row["option"]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_commands_on_the_pages_have_the_options_they_are_given(page: Page) -> None:
    for name, rest in _CALL.findall(page.text):
        assert set(_OPTION.findall(rest)) <= set(options(name)), rest


def exit_codes() -> set[int]:
    return {
        value
        for name, value in vars(command_line).items()
        if name.isupper() and isinstance(value, int)
    }


@pytest.mark.parametrize("page", ["docs/reference/cli.md", "docs/how-to/use-from-cron.md"])
def test_exit_codes_are_those_of_the_code(page: str) -> None:
    told = [int(row["code"]) for row in PAGES[page].table("Exit codes")]
    assert told == sorted(exit_codes())


TREE = {code(row["error"]): row for row in ERRORS.table("The tree")}
REFUSALS = {
    "AccessDeniedError": (403, "AccessDenied"),
    "CallbackFailedError": (203, "CallbackFailed"),
    "ClockSkewError": (403, "RequestTimeTooSkewed"),
    "NoSuchUploadError": (404, "NoSuchUpload"),
    "NoSuchKeyError": (404, "NoSuchKey"),
    "InvalidPartError": (400, "InvalidPart"),
    "InvalidDigestError": (400, "InvalidDigest"),
    "FileAlreadyExistsError": (409, "FileAlreadyExists"),
    "NotModifiedError": (304, ""),
    "PreconditionFailedError": (412, "PreconditionFailed"),
    "SlowDownError": (503, "SlowDown"),
    "TokenExpiredError": (403, "SecurityTokenExpired"),
}
BY_STATUS = [
    (400, "EntityTooLarge"),
    (400, "RequestTimeout"),
    (404, "NoSuchBucket"),
    (408, "X"),
    (500, "InternalError"),
]


def refused(status: int, error_code: str) -> resumable.ServerError:
    """The error for an answer, as the client makes it."""
    document = f"<Error><Code>{error_code}</Code><Message>x</Message></Error>"
    return refusal(Request("PutObject", "PUT", "k"), Answer(status, {}, document.encode()))


def example_of(name: str) -> resumable.ResumableError:
    kind = getattr(resumable, name)
    error = refused(*REFUSALS[name]) if name in REFUSALS else kind("x")
    assert type(error) is kind
    return error


def test_every_error_has_a_row() -> None:
    real = {
        name
        for name, kind in vars(resumable).items()
        if isinstance(kind, type) and issubclass(kind, resumable.ResumableError)
    }
    assert set(TREE) == real


@pytest.mark.parametrize("name", TREE)
def test_error_hangs_where_the_tree_says(name: str) -> None:
    family = [
        kind
        for kind in getattr(resumable, name).__mro__
        if issubclass(kind, resumable.ResumableError)
    ]
    assert TREE[name]["error"].count("—") == len(family) - 1
    above = [row for row in TREE if TREE[row]["error"].count("—") == len(family) - 2]
    before = [row for row in above if list(TREE).index(row) < list(TREE).index(name)]
    assert len(family) == 1 or before[-1] == family[1].__name__


@pytest.mark.parametrize("name", TREE)
def test_fault_is_that_of_the_code(name: str) -> None:
    assert TREE[name]["fault"] == example_of(name).fault


@pytest.mark.parametrize("name", sorted(set(TREE) - {"ServerError"}))
def test_retryable_and_exit_code_are_those_of_the_code(name: str) -> None:
    error = example_of(name)
    assert TREE[name]["retryable"] == ("yes" if error.retryable else "no")
    assert TREE[name]["exit code"] == str(command_line.exit_code(error))


@pytest.mark.parametrize(("status", "error_code"), BY_STATUS)
def test_by_status_is_what_the_page_says_it_is(status: int, error_code: str) -> None:
    error = refused(status, error_code)
    assert type(error) is resumable.ServerError
    assert TREE["ServerError"]["retryable"] == TREE["ServerError"]["exit code"] == "by status"
    retryable = status in (408, 429) or status >= 500 or error_code == "RequestTimeout"
    assert (error.retryable, command_line.exit_code(error)) == (retryable, 3 if retryable else 1)


def test_attributes_of_errors_are_those_of_the_code() -> None:
    told = {code(row["attribute"]) for row in ERRORS.table("What each error tells")}
    assert told == {"fault", "retryable", *vars(resumable.ResumableError("x"))}
    server = set(vars(resumable.ServerError("x", status=500))) - told
    section = ERRORS.section("What each error tells")
    assert server <= set(codes(section))
