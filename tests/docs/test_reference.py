"""The reference says of each name what the code says, and leaves none out."""

import ast
import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import resumable
from resumable.core import headers
from resumable.core.checkpoint_reading import CheckpointSchema
from resumable.core.headers import RoutedHeaders, route_headers
from resumable.core.plan import make_plan
from resumable.core.reconcile import FOREIGN, NO_HEADERS
from resumable.oss.options import header_of
from resumable.oss.settings import CA_VARIABLES
from resumable.server import Exchange, Fault, LocalServer
from resumable.server.effects import Effect, parse_effect
from resumable.server.operations import OPERATIONS
from resumable.transfer import files
from resumable.transfer.checkpoints import CheckpointFile
from tests.docs.pages import PAGES, Table, code, codes, reference

API, SERVER, CHECKPOINT = reference("api"), reference("server"), reference("checkpoint")

CALLABLES: Mapping[str, Callable[..., Any]] = {
    name: getattr(resumable, name)
    for name in resumable.__all__
    if inspect.isfunction(getattr(resumable, name))
    or name in ("Bucket", "Callback", "Credentials", "FileSlice", "RetryPolicy")
}
OPTIONS: Mapping[str, type] = {
    name: getattr(resumable, name)
    for name in resumable.__all__
    if typing.is_typeddict(getattr(resumable, name))
}
VALUES = [
    name
    for name in resumable.__all__
    if dataclasses.is_dataclass(getattr(resumable, name)) and name not in CALLABLES
]


def arguments(call: Callable[..., Any]) -> dict[str, str]:
    """The arguments of a call, and their defaults as they are written."""
    return {
        name: _default(parameter.default)
        for name, parameter in inspect.signature(call).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def _default(value: object) -> str:
    if value is inspect.Parameter.empty:
        return ""
    # What a dataclass makes anew each time; all of ours make an empty mapping.
    return "{}" if repr(value) == "<factory>" else repr(value)


def options_of(call: Callable[..., Any]) -> str:
    """The name of the options that a call takes beside its arguments, or nothing."""
    told = inspect.signature(call).parameters.get("options")
    return get_args(told.annotation)[0].__name__ if told is not None else ""


def told_arguments(rows: Table) -> dict[str, str]:
    """The same as a table tells it."""
    return {code(row["argument"]): _written(row["default"]) for row in rows}


def _written(cell: str) -> str:
    return repr(ast.literal_eval(code(cell))) if cell else ""


@pytest.mark.parametrize("name", resumable.__all__)
def test_public_name_is_in_the_reference(name: str) -> None:
    assert name in codes(API.prose)


@pytest.mark.parametrize("name", resumable.__all__)
def test_public_name_is_in_an_example_that_runs(name: str) -> None:
    examples = "\n".join(block.text for block in API.blocks("python"))
    assert re.search(rf"\b{name}\b", examples)


@pytest.mark.parametrize("name", CALLABLES)
def test_arguments_are_those_of_the_code(name: str) -> None:
    assert told_arguments(API.table(f"`{name}`")) == arguments(CALLABLES[name])


@pytest.mark.parametrize("name", VALUES)
def test_fields_are_those_of_the_code(name: str) -> None:
    fields = [field.name for field in dataclasses.fields(getattr(resumable, name))]
    assert [code(row["field"]) for row in API.table(f"`{name}`")] == fields


def test_methods_of_the_bucket_are_those_of_the_code() -> None:
    told = {}
    for row in API.tables("`Bucket`")[1]:
        name, _, rest = code(row["method"]).partition("(")
        told[name] = [word for word in rest.rstrip(")").split(", ") if word != "*"]
    real = {
        name: [
            word
            for word in inspect.signature(method).parameters
            if word not in {"self", "headers", "options"}
        ]
        for name, method in inspect.getmembers(resumable.Bucket, inspect.isfunction)
        if not name.startswith("_") and name not in {"close", "under"}
    }
    assert told == real


def test_options_are_taken_by_the_calls_the_page_names() -> None:
    told = {
        taker: code(row["group"])
        for row in API.tables("Options")[1]
        for taker in codes(row["taken by"])
    }
    methods = inspect.getmembers(resumable.Bucket, inspect.isfunction)
    calls: dict[str, Callable[..., Any]] = {f"Bucket.{name}": call for name, call in methods}
    real = {name: options_of(call) for name, call in (calls | dict(CALLABLES)).items()}
    assert told == {name: group for name, group in real.items() if group}


def test_options_are_those_of_the_code() -> None:
    columns = {
        "InitiateOptions": "Initiate",
        "PartOptions": "UploadPart",
        "CopyOptions": "UploadPartCopy, GetObject",
        "ReadOptions": "UploadPartCopy, GetObject",
        "CompleteOptions": "Complete",
        "RequestOptions": "all other calls",
    }
    rows = API.table("Options")
    for group, column in columns.items():
        told = {code(row["option"]) for row in rows if row[column] == "yes"}
        assert told == set(OPTIONS[group].__annotations__), group
    everything = {code(row["option"]) for row in rows}
    conditions = {name for name in everything if name.startswith("if_")}
    assert everything - conditions == set(OPTIONS["PutOptions"].__annotations__)
    assert set(OPTIONS) - set(columns) == {"PutOptions"}


def test_headers_of_the_options_are_those_of_the_code() -> None:
    told = {code(row["option"]): code(row["header"]) for row in API.table("Options")}
    assert told == {option: header_of(option) for option in told}


HEADERS = API.table("Which header goes where")


@pytest.mark.parametrize("row", HEADERS, ids=lambda row: row["header"])
def test_headers_go_where_the_table_says(row: Mapping[str, str]) -> None:
    header = codes(row["header"])[-1]
    routed = route_headers({header: "x"})
    columns = dict(zip(dataclasses.fields(RoutedHeaders), list(row.values())[1:], strict=True))
    for field, told in columns.items():
        assert (header.lower() in getattr(routed, field.name)) is (told == "yes"), field.name


def test_every_header_with_a_rule_of_its_own_is_in_the_table() -> None:
    told = {code(row["header"]) for row in HEADERS if not row["header"].startswith("any")}
    named = set(re.findall(r'"(x-oss-[\w-]+)"', inspect.getsource(headers)))
    named -= set(headers._OF_OTHER_CALLS)
    alike = {name for name in named if route_headers({name: ""}) == _alike_others(name)}
    assert told == {name for name in named - alike if name not in headers._OURS}


def _alike_others(name: str) -> RoutedHeaders:
    """The way of a header that no rule names."""
    return RoutedHeaders({name: ""}, {name: ""}, {name: ""}, {}, {}, {})


_OUR_VARIABLE = re.compile(r"(OSS|OSSUTIL|ALIBABA_CLOUD)_[A-Z_]+")


def names_of_environment() -> set[str]:
    """The names of our variables that stand in the source as strings of their own."""
    found = set()
    for path in Path(resumable.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value} if _OUR_VARIABLE.fullmatch(node.value) else set()
    return found


def test_environment_variables_are_those_of_the_code() -> None:
    told = {code(row["variable"]) for row in reference("environment").table("Read")}
    assert told - set(CA_VARIABLES) == names_of_environment()
    assert set(CA_VARIABLES) <= told


def model_fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        inner = [
            kind for kind in (field.annotation, *get_args(field.annotation)) if _is_model(kind)
        ]
        many = "[]" if inner and inner[0] is not field.annotation else ""
        if not inner or many:
            names.append(prefix + name)
        for kind in inner:
            names += model_fields(kind, f"{prefix}{name}{many}.")
    return names


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_fields_of_the_checkpoint_are_those_of_the_code() -> None:
    told = [code(row["field"]) for row in CHECKPOINT.table("Fields")]
    assert told == [*model_fields(CheckpointSchema), "checksum"]


def test_digests_of_the_checkpoint_are_those_of_the_code() -> None:
    told = codes(CHECKPOINT.section("Fields"))
    of_text = {text: sha256(text.encode()).hexdigest() for text in told if text.startswith("{")}
    assert set(of_text.values()) == {NO_HEADERS, FOREIGN}
    beginnings = {text.rstrip("…") for text in told if re.fullmatch("[0-9a-f]{8}…", text)}
    assert beginnings == {NO_HEADERS[:8], FOREIGN[:8]}


def test_names_of_the_files_beside_the_source_are_those_of_the_code() -> None:
    told = [code(row["name"]) for row in CHECKPOINT.table("Files beside yours")]
    lock = CheckpointFile("example.bin.cp").lock_path
    assert told == ["example.bin.cp", lock, f"example.bin.cp{files._NEW}", "example.bin.cp.bad"]


def test_operations_of_the_server_are_those_of_the_code() -> None:
    assert {code(row["operation"]) for row in SERVER.table("Operations")} == set(OPERATIONS)


def test_arguments_of_the_server_are_those_of_the_code() -> None:
    assert told_arguments(SERVER.table("In Python")) == arguments(LocalServer)


def test_fields_of_the_access_log_are_those_of_the_code() -> None:
    fields = [field.name for field in dataclasses.fields(Exchange)]
    assert [code(row["field"]) for row in SERVER.table("Access log")] == fields


def test_fields_of_a_fault_rule_are_those_of_the_code() -> None:
    fields = [field.name for field in dataclasses.fields(Fault)]
    assert [code(row["field"]) for row in SERVER.table("Fault rules")] == fields


def test_every_effect_has_an_example_and_a_row() -> None:
    (examples,) = re.findall(r"```json\n(.*?)```", SERVER.section("Effects"), re.DOTALL)
    effects = [rule["effect"] for rule in json.loads(examples)]
    assert {type(parse_effect(effect)) for effect in effects} == set(get_args(Effect))
    told = {code(row["effect"]) for row in SERVER.table("Effects")}
    assert told == {next(iter(effect)) for effect in effects}


PART_SIZES = PAGES["docs/how-to/choose-a-part-size.md"].table("Choose a part size")
UNITS = {"MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


def size_of(text: str) -> int:
    number, unit = text.split()
    return int(number) * UNITS[unit]


@pytest.mark.parametrize("row", PART_SIZES, ids=lambda row: row["file"])
def test_automatic_part_sizes_are_those_of_the_code(row: Mapping[str, str]) -> None:
    plan = make_plan(size_of(row["file"]))
    assert (plan.part_size, plan.count) == (size_of(row["part size"]), int(row["parts"]))


def test_architecture_names_every_module_of_the_client() -> None:
    package = Path(resumable.__file__).parent
    real = {
        path.relative_to(package).as_posix()
        for layer in ("core", "oss", "transfer")
        for path in (package / layer).glob("[!_]*.py")
    }
    rows = PAGES["docs/explanation/architecture.md"].table("Modules")
    assert {name for row in rows for name in codes(row["module"])} == real
