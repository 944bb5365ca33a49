"""The public names: sorted, real, documented; and the error tree, drawn as it is."""

import ast
import copy
import importlib
import inspect
import pickle
import re
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest

import resumable
from resumable import errors
from resumable.errors import LocalFileError, NetworkError, ResumableError, ServerError

PUBLIC = [getattr(resumable, name) for name in resumable.__all__ if name != "__version__"]
ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ResumableError)
]
FAULTS = {"caller", "local", "source", "network", "server"}


def name_of(value: object) -> str:
    return str(getattr(value, "__name__", value))


def test_public_names_are_sorted() -> None:
    assert list(resumable.__all__) == sorted(resumable.__all__)


def test_public_names_are_there_once() -> None:
    assert len(set(resumable.__all__)) == len(resumable.__all__)


@pytest.mark.parametrize("name", resumable.__all__)
def test_public_name_can_be_imported(name: str) -> None:
    assert getattr(resumable, name) is not None


def test_nothing_public_is_left_out_of_all() -> None:
    bound = {
        name
        for name, value in vars(resumable).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert bound <= set(resumable.__all__)


def test_names_come_from_where_type_checkers_see_them() -> None:
    tree = ast.parse(Path(resumable.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(seen) == set(resumable.__all__)
    for name, module in seen.items():
        assert getattr(resumable, name) is getattr(importlib.import_module(module or ""), name)


def test_type_checkers_do_not_take_every_name() -> None:
    tree = ast.parse(Path(resumable.__file__).read_text(encoding="utf-8"))
    seen = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert "__getattr__" not in seen  # it is where they do not look
    assert hasattr(resumable, "__getattr__")


def test_names_can_be_completed_before_they_are_loaded() -> None:
    assert set(resumable.__all__) <= set(dir(resumable))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'uplaod_file'"):
        getattr(resumable, "uplaod_file")  # noqa: B009 - a type checker would see it
    assert not hasattr(resumable, "import_module")


TRANSPORT = "resumable.oss.transport requests urllib3 ssl http.client alibabacloud_credentials"
LOADED: dict[str, tuple[str, str]] = {
    "the import": ("import resumable", f"{TRANSPORT} pydantic tenacity filelock dataclasses"),
    "an error": ("from resumable import LocalFileError", f"{TRANSPORT} pydantic tenacity filelock"),
    "the help": (
        "from resumable.cli.app import app; app(['--help'], standalone_mode=False)",
        f"{TRANSPORT} pydantic tenacity filelock sqlite3",
    ),
    "a transfer": (
        "from resumable import Bucket, upload_file",
        "tenacity pydantic click alibabacloud_credentials",
    ),
}


@pytest.mark.parametrize(("code", "spared"), LOADED.values(), ids=LOADED)
def test_nothing_is_loaded_that_is_not_needed(code: str, spared: str) -> None:
    # What measures the tests may have loaded something before.
    before = "import sys; before = set(sys.modules)"
    tell = f"print('loaded:', *(set({spared.split()}) & (set(sys.modules) - before)))"
    command = [sys.executable, "-c", f"{before}\n{code}\n{tell}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1].split() == ["loaded:"]


@pytest.mark.parametrize("public", PUBLIC, ids=name_of)
def test_public_name_is_documented(public: object) -> None:
    if isinstance(public, type) or inspect.isfunction(public):
        assert len(inspect.getdoc(public) or "") > 20
        assert not (public.__doc__ or "").startswith(f"{name_of(public)}("), "generated, not told"


@pytest.mark.parametrize("public", PUBLIC, ids=name_of)
def test_public_methods_are_documented(public: object) -> None:
    members = vars(public).items() if isinstance(public, type) else ()
    bare = [
        name
        for name, member in members
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property | classmethod))
        and not inspect.getdoc(getattr(public, name) if inspect.isfunction(member) else member)
    ]
    assert bare == []


@pytest.mark.parametrize("value", [kind for kind in PUBLIC if is_dataclass(kind)], ids=name_of)
def test_public_value_is_frozen(value: type) -> None:
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(value)


def test_package_is_marked_as_typed() -> None:
    assert (Path(resumable.__file__).parent / "py.typed").is_file()


def test_every_error_is_public() -> None:
    assert {kind.__name__ for kind in ERRORS} <= set(resumable.__all__)


def drawn_tree() -> dict[str, str]:
    """Each error of the drawing in the docstring, and the one it hangs from."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│ ├└─]*)(\w+Error)\b", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        above[depth:] = [match[2]]
        parents[match[2]] = above[depth - 1] if depth else ""
    return parents


def test_drawing_of_the_error_tree_is_the_tree() -> None:
    real = {
        kind.__name__: next(base.__name__ for base in kind.__bases__ if base in ERRORS)
        for kind in ERRORS
        if kind is not ResumableError
    }
    assert drawn_tree() == {"ResumableError": "", **real}


@pytest.mark.parametrize(
    ("kind", "builtin"), [("InvalidArgumentError", ValueError), ("LocalFileError", OSError)]
)
def test_error_is_also_the_builtin_one(kind: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(resumable, kind), builtin)


@pytest.mark.parametrize("kind", ERRORS, ids=name_of)
def test_error_says_whose_fault_it_is(kind: type[ResumableError]) -> None:
    assert kind.fault in FAULTS
    assert isinstance(kind("x").retryable, bool)


def filled(kind: type[ResumableError]) -> ResumableError:
    """An error with every attribute set to something that is not its default."""
    if issubclass(kind, ServerError):
        error: ResumableError = kind(
            "refused", status=503, code="SlowDown", ec="0001-1", request_id="REQ", advice="Wait"
        )
        error.retry_after, error.server_time = 2.5, 1700000000.0  # type: ignore[attr-defined]
    else:
        error = kind("refused", request_id="REQ", advice="Wait")
    error.part_number, error.kept, error.tries = 7, "Kept", 4
    error.retryable = not error.retryable
    return error


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ERRORS, ids=name_of)
def test_error_survives_pickling(kind: type[ResumableError], protocol: int) -> None:
    error = filled(kind)
    back = pickle.loads(pickle.dumps(error, protocol))
    assert type(back) is kind
    assert (str(back), back.args) == (str(error), error.args)
    assert vars(back) == vars(error)


@pytest.mark.parametrize("kind", ERRORS, ids=name_of)
def test_error_survives_copying(kind: type[ResumableError]) -> None:
    error = filled(kind)
    back = copy.copy(error)
    assert (type(back), str(back), vars(back)) == (kind, str(error), vars(error))


@pytest.mark.parametrize("kind", ERRORS, ids=name_of)
def test_error_can_be_made_without_arguments(kind: type[ResumableError]) -> None:
    assert isinstance(str(kind()), str)


def test_local_file_error_keeps_what_the_system_said() -> None:
    error = LocalFileError.of(OSError(28, "No space left on device"), "writing", "/data/x.cp")
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == "writing '/data/x.cp' failed: No space left on device"
    assert (back.errno, back.strerror, back.filename) == (
        28,
        "No space left on device",
        "/data/x.cp",
    )


READING: dict[str, tuple[ResumableError, str]] = {
    "of the server": (
        filled(ServerError),
        (
            "part 7: refused (HTTP 503 SlowDown, EC 0001-1, request id REQ, 4 tries in 0 s). "
            "Kept. Wait"
        ),
    ),
    "of the network": (
        filled(NetworkError),
        "part 7: refused (request id REQ, 4 tries in 0 s). Kept. Wait",
    ),
    "without a code": (ServerError("refused", status=500), "refused (HTTP 500)"),
    "plain": (ResumableError("it did not work"), "it did not work"),
    "that ends with a full stop": (
        ResumableError("it did not work.", advice="Try again."), "it did not work. Try again",
    ),
    "empty": (ResumableError(), ""),
}  # fmt: skip


@pytest.mark.parametrize(("error", "told"), READING.values(), ids=READING)
def test_error_reads_as_sentences(error: ResumableError, told: str) -> None:
    assert str(error) == told


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (200, False), (307, False), (400, False), (403, False), (404, False), (408, True),
        (409, False), (412, False), (429, True), (500, True), (502, True), (503, True),
        (504, True),
    ],
)  # fmt: skip
def test_status_tells_whether_a_retry_can_help(status: int, retryable: bool) -> None:
    assert ServerError("x", status=status).retryable is retryable


def test_errors_module_says_what_its_errors_carry() -> None:
    assert all(
        word in (errors.__doc__ or "")
        for word in ("fault", "retryable", "request_id", "kept", "advice")
    )
