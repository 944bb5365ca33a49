"""What the library advises, in the words of the command line."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import resumable
from resumable.cli.app import app
from resumable.cli.wording import in_command_words, told

SENTENCES = {
    "Give checkpoint_path= to run both, or abort that transfer with abort_checkpoint": (
        "Give --checkpoint-path to run both, or abort that transfer with `resumable abort FILE`"
    ),
    "Give endpoint='http://h:9', as the checkpoint names it": (
        "Give --endpoint http://h:9, as the checkpoint names it"
    ),
    "upload without upload_id=": "upload without --upload-id",
    "3 of 5 parts are at the server; make the same call again to resume": (
        "3 of 5 parts are at the server; run the same command again to resume"
    ),
    "Give content_md5=True": "Give --content-md5",
    "thread_num=": "--threads",
    "nothing to say": "nothing to say",
}


@pytest.mark.parametrize(("library", "command"), SENTENCES.items())
def test_advice_is_said_in_the_words_of_the_command_line(library: str, command: str) -> None:
    assert in_command_words(library) == command


def test_error_keeps_its_message_and_says_the_rest_in_other_words() -> None:
    error = resumable.CheckpointError("the file 'endpoint=x' is odd", advice="Give endpoint=")
    assert told(error) == "the file 'endpoint=x' is odd. Give --endpoint"


def options_in_advice() -> Iterator[tuple[str, str]]:
    """The options that texts of the package name, and the texts."""
    callables = (resumable.upload_file, resumable.Bucket.__init__)
    known = {name for of in callables for name in inspect.signature(of).parameters}
    package = Path(resumable.__file__).parent
    for path in [*package.glob("core/*.py"), *package.glob("transfer/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for name in re.findall(r"\b([a-z_0-9]+)=(?![=\w])", node.value):
                    if name in known and "\n" not in node.value:
                        yield name, node.value


# What a program gives and a command cannot.
ONLY_IN_PROGRAMS = {"credentials", "progress", "cancel"}


def test_every_option_that_advice_names_is_one_of_the_commands() -> None:
    commands = [app.commands[name] for name in ("cp", "abort", "uploads")]
    there = {
        option
        for command in commands
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    named = dict(options_in_advice())
    assert {"checkpoint_path", "upload_id"} <= named.keys()
    wrong = {
        name: text
        for name, text in named.items()
        if name not in ONLY_IN_PROGRAMS and in_command_words(f"{name}=") not in there
    }
    assert wrong == {}
