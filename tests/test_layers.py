"""The layers of the package, held by walking the syntax tree of every module.

    cli  ->  the public names of `resumable`, resumable.server, errors, version
    transfer  ->  oss  ->  core  ->  errors
    server    (nothing of ours: an independent reading of the protocol)

Pure decisions stay pure, one module talks to the network and one to the disk, because a rule that
only a reviewer holds is broken by the first hurried change.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import resumable

PACKAGE = Path(resumable.__file__).parent
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40


@dataclass(frozen=True)
class Layer:
    """What a layer may import: modules of ours, packages of others, and of the standard library."""

    ours: frozenset[str]
    others: frozenset[str] = frozenset()
    stdlib: frozenset[str] = sys.stdlib_module_names
    public_names: bool = False


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NETWORK_AND_FILES = words(
    "asyncio fcntl ftplib glob http io mmap multiprocessing pathlib select selectors shelve "
    "shutil smtplib socket socketserver sqlite3 ssl subprocess tempfile urllib.request"
)
_DYNAMIC = words("importlib imp runpy")

LAYERS: Mapping[str, Layer] = {
    "errors": Layer(ours=words(""), stdlib=words("collections.abc typing")),
    "version": Layer(ours=words(""), stdlib=words("")),
    "core": Layer(
        ours=words("core errors"),
        others=words("pydantic pydantic_core fastcrc"),
        stdlib=words(
            "base64 bisect collections collections.abc dataclasses datetime difflib enum functools "
            "hashlib inspect itertools json math operator re struct types typing"
        ),
    ),
    "oss": Layer(
        ours=words("oss core errors version"),
        others=words("tenacity defusedxml"),
        stdlib=sys.stdlib_module_names - _NETWORK_AND_FILES - _DYNAMIC,
    ),
    # Beside it only the transport knows requests: for the errors that come up from it.
    "oss.adapter": Layer(
        ours=words("oss errors"),
        others=words("requests urllib3"),
        stdlib=words("collections.abc queue socket ssl threading typing weakref"),
    ),
    # Names are looked up in one place, and one module of an extra is known to another.
    "oss.addresses": Layer(
        ours=words(""), stdlib=words("collections.abc ipaddress itertools socket time")
    ),
    "oss.connecting": Layer(
        ours=words("oss"),
        others=words("urllib3"),
        stdlib=words("collections.abc contextlib selectors socket"),
    ),
    "oss.cloud": Layer(
        ours=words("oss errors"),
        others=words("alibabacloud_credentials"),
        stdlib=words(
            "collections.abc contextlib dataclasses logging os re threading typing urllib.parse"
        ),
    ),
    "oss.socks": Layer(ours=words("oss"), others=words("socks urllib3"), stdlib=words("typing")),
    "oss.connections": Layer(
        ours=words("oss errors"),
        others=words("requests urllib3"),
        stdlib=words(
            "collections.abc contextlib errno io re selectors socket ssl threading typing"
        ),
    ),
    "oss.authorities": Layer(
        ours=words("errors"), others=words("certifi"), stdlib=words("functools os ssl")
    ),
    "oss.failures": Layer(
        ours=words("oss errors"),
        others=words("requests urllib3"),
        stdlib=words("collections.abc errno re ssl urllib.parse"),
    ),
    "oss.transport": Layer(
        ours=words("oss errors"),
        others=words("urllib3"),
        stdlib=words("collections.abc contextlib logging os re typing"),
    ),
    "transfer": Layer(ours=words("transfer oss core errors"), others=words("filelock")),
    "server": Layer(ours=words("server"), others=words("anycrc defusedxml h11")),
    "cli": Layer(
        ours=words("cli server errors version"), others=words("click rich"), public_names=True
    ),
    "__main__": Layer(ours=words("cli"), others=words("click")),
    "": Layer(
        ours=words("core errors oss transfer version"), stdlib=words("importlib logging typing")
    ),
}

# What each layer may use of `os`; the layers that are not named may use all of it.
OS_NAMES: Mapping[str, frozenset[str]] = {
    "core": words(""),
    "oss": words("environ"),
    "oss.bucket": words("PathLike environ"),
    "oss.settings": words("PathLike environ fsdecode"),
    "oss.authorities": words("getcwd path"),
    "oss.transport": words("getpid"),
    "oss.watchdog": words("register_at_fork"),
    # The configuration files of other programs are read, and nothing else is done to them.
    "oss.configfiles": words("O_RDONLY close environ fstat name open path"),
    "transfer": words("PathLike cpu_count environ fspath getpid name path"),
    # The file that is sent is looked at and read, and nothing else is done to it.
    "transfer.source": words("stat stat_result"),
    "transfer.reading": words(
        "O_RDONLY SEEK_SET close fstat lseek open preadv read sendfile stat_result"
    ),
    "transfer.naming": words("PathLike fsdecode fsencode path pathconf"),
    # filelock hands its callback the descriptor of the lock it has just taken.
    "transfer.checkpoints": words(
        "PathLike fspath getpid name path SEEK_SET ftruncate lseek write"
    ),
}
FREE_OF_OS_RULE = words("transfer.files")
OPENS_FILES = words("transfer.files transfer.reading oss.configfiles")
PATH_METHODS = words(
    "chmod hardlink_to mkdir read_bytes read_text rename rmdir symlink_to touch unlink "
    "write_bytes write_text"
)
CLOCK_METHODS = words("now today utcnow")


class Checker:
    """Finds what a module does that its layer may not do."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.tree = ast.parse(source)
        self.lines = source.splitlines()

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def layer(self) -> Layer:
        return LAYERS[self.name] if self.name in LAYERS else LAYERS[self.top]

    def problems(self) -> list[str]:
        found = [
            *self.bad_imports(),
            *self.bad_names_of_the_face(),
            *self.bad_calls(),
            *self.bad_os_names(),
            *self.too_long(),
        ]
        if self.name.rpartition(".")[2] == "utils":
            found.append("a module is named after what it holds, not utils")
        return found

    def imports(self) -> Iterator[tuple[str, str | None]]:
        """Each imported module, and the name taken from it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                yield from ((module, alias.name) for alias in node.names)

    def bad_imports(self) -> Iterator[str]:
        for module, name in self.imports():
            if not self._may_import(module, name):
                yield f"imports {module}" + (f".{name}" if name else "")

    def _may_import(self, module: str, name: str | None) -> bool:
        package, _, rest = module.partition(".")
        if package != "resumable":
            is_stdlib = package in sys.stdlib_module_names
            allowed = self.layer.stdlib if is_stdlib else self.layer.others
            return bool({module, package} & allowed)
        if rest or name in LAYERS:
            return (rest or str(name)).partition(".")[0] in self.layer.ours
        # `import resumable` or `from resumable import Bucket`
        return self.layer.public_names and (name is None or name in resumable.__all__)

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def bad_calls(self) -> Iterator[str]:
        for call in self.calls():
            told = self._judge_function(call.func) or self._judge_method(call.func)
            if told:
                yield f"line {call.lineno}: {told}"

    def _judge_function(self, called: ast.expr) -> str:
        match called:
            case ast.Name("print") if self.top not in ("cli", "__main__"):
                return "only the command line prints"
            case ast.Name("eval" | "exec" | "__import__" as name):
                return f"calls {name}"
            case ast.Name("open" | "input") if self._is_kept_from_files():
                return "only transfer/files.py opens files"
        return ""

    def _judge_method(self, called: ast.expr) -> str:
        match called:
            case ast.Attribute(ast.Name("os")):
                return ""  # bad_os_names has a list of its own
            case ast.Attribute(ast.Call(ast.Name("Path")), "open" | "replace" as method):
                touches_files = True
            case ast.Attribute(_, method):
                touches_files = method in PATH_METHODS
            case _:
                return ""
        if touches_files and self._is_kept_from_files():
            return f"calls .{method}(): only transfer/files.py touches files"
        if method in CLOCK_METHODS and self.top == "core":
            return f"calls .{method}(): core has no clock"
        return ""

    def _is_kept_from_files(self) -> bool:
        return self.top in ("core", "oss", "transfer") and self.name not in OPENS_FILES

    def attributes_of(self, module: str) -> set[str]:
        """What is taken from a module as `module.name`."""
        return {
            node.attr
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == module
        }

    def bad_names_of_the_face(self) -> Iterator[str]:
        hidden = self.attributes_of("resumable") - {*resumable.__all__, *self.layer.ours}
        yield from (f"uses resumable.{name}" for name in sorted(hidden))

    def bad_os_names(self) -> Iterator[str]:
        if self.name in FREE_OF_OS_RULE:
            return
        allowed = OS_NAMES[self.name] if self.name in OS_NAMES else OS_NAMES.get(self.top)
        if allowed is None:
            return
        used = {name for module, name in self.imports() if module == "os" and name}
        used |= self.attributes_of("os")
        yield from (f"uses os.{name}" for name in sorted(used - allowed))
        if self.top == "transfer" and "shutil" in {module for module, _ in self.imports()}:
            yield "imports shutil: only transfer/files.py touches files"

    def too_long(self) -> Iterator[str]:
        if len(self.lines) > MAX_MODULE_LINES:
            yield f"has {len(self.lines)} lines; {MAX_MODULE_LINES} are enough for one subject"
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = _code_lines(node, self.lines)
                if length > MAX_FUNCTION_LINES:
                    yield f"line {node.lineno}: {node.name} has {length} lines of code"


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    """The lines from `def` on that are neither docstring nor comment nor empty."""
    inside = set(range(function.lineno, (function.end_lineno or 0) + 1))
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        inside -= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    stripped = (lines[number - 1].strip() for number in inside)
    return sum(1 for line in stripped if line and not line.startswith("#"))


def module_name(path: Path) -> str:
    """The dotted name below `resumable`: `core.plan`, `core`, or nothing for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "resumable")
def test_module_keeps_to_its_layer(name: str) -> None:
    checker = Checker(name, MODULES[name].read_text(encoding="utf-8"))
    assert checker.problems() == []


def test_every_layer_has_modules() -> None:
    tops = {name.partition(".")[0] for name in MODULES}
    assert {"", "core", "errors", "oss", "server", "transfer", "version"} <= tops


def test_imports_make_no_circles() -> None:
    graph = {
        name: set(_modules_imported(Checker(name, path.read_text(encoding="utf-8"))))
        for name, path in MODULES.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def _modules_imported(checker: Checker) -> Iterator[str]:
    for module, name in checker.imports():
        package, _, rest = module.partition(".")
        if package != "resumable":
            continue
        submodule = f"{rest}.{name}".lstrip(".")
        yield submodule if submodule in MODULES else rest


VIOLATIONS = {
    "core reads the clock": ("core.plan", "import time"),
    "core reads the date": ("core.plan", "from datetime import datetime\ndatetime.now()"),
    "core opens a file": ("core.plan", "data = open('x').read()"),
    "core imports os": ("core.plan", "import os"),
    "core imports pathlib": ("core.plan", "from pathlib import Path"),
    "core imports io in a function": ("core.plan", "def f():\n    import io"),
    "core draws random numbers": ("core.plan", "import random"),
    "core logs": ("core.plan", "import logging"),
    "core starts threads": ("core.plan", "from threading import Thread"),
    "core runs programs": ("core.plan", "import subprocess"),
    "core imports upwards": ("core.plan", "from resumable.oss.bucket import Bucket"),
    "core imports the face": ("core.plan", "from resumable import Bucket"),
    "core imports requests": ("core.plan", "import requests"),
    "core imports relatively": ("core.plan", "from . import integrity"),
    "oss imports upwards": ("oss.bucket", "from resumable.transfer import files"),
    "oss imports a layer from the root": ("oss.bucket", "from resumable import transfer"),
    "oss imports another HTTP client": ("oss.connections", "import httpx"),
    "oss trusts by itself outside transport": ("oss.client", "from certifi import where"),
    "oss sends requests outside transport": ("oss.client", "import requests"),
    "oss opens sockets outside transport": ("oss.client", "import socket"),
    "oss reads files": ("oss.credentials", "text = open('x').read()"),
    "oss reads files by path": ("oss.credentials", "text = home.read_text()"),
    "configuration files are written by path": (
        "oss.configfiles",
        "import os\nos.replace('a', 'b')",
    ),
    "configuration files are removed": ("oss.configfiles", "from os import unlink"),
    "oss removes files": ("oss.credentials", "import os\nos.unlink('x')"),
    "transfer imports the face": ("transfer.upload", "import resumable"),
    "transfer imports the server": ("transfer.upload", "from resumable.server import LocalServer"),
    "transfer opens files": ("transfer.upload", "file = open('x')"),
    "transfer renames": ("transfer.checkpoints", "import os\nos.replace('a', 'b')"),
    "transfer renames by a taken name": ("transfer.upload", "from os import replace"),
    "transfer syncs": ("transfer.checkpoints", "import os\nos.fsync(3)"),
    "transfer writes to descriptors": ("transfer.upload", "import os\nos.write(3, b'')"),
    "transfer copies files": ("transfer.upload", "import shutil"),
    "transfer writes by path": ("transfer.upload", "Path('x').write_bytes(b'')"),
    "transfer replaces by path": ("transfer.upload", "Path('x').replace('y')"),
    "transfer imports requests": ("transfer.upload", "import requests"),
    "server imports the client": ("server.store", "from resumable.core.plan import Plan"),
    "server imports the client's CRC": ("server.checksums", "import fastcrc"),
    "cli reaches under the face": ("cli.main", "from resumable.transfer.upload import upload_file"),
    "cli takes a private name": ("cli.main", "from resumable import _hidden"),
    "cli reaches under it by dots": ("cli.main", "import resumable\nresumable.transfer.upload"),
    "cli imports requests": ("cli.main", "import requests"),
    "the face holds code of its own": ("", "import os"),
    "errors import something": ("errors", "from resumable.core import plan"),
    "the library prints": ("oss.client", "print('hello')"),
    "the server prints": ("server.store", "print('hello')"),
    "the library imports by a computed name": ("oss.client", "import importlib"),
    "the library evaluates": ("transfer.upload", "eval('1')"),
    "a module is called utils": ("core.utils", ""),
    "a module is too long": ("core.plan", "x = 1\n" * 401),
    "a function is too long": ("core.plan", "def f():\n" + "    x = 1\n" * 40),
    "a method is too long": ("core.plan", "class C:\n  def f(self):\n" + "    x = 1\n" * 40),
}


@pytest.mark.parametrize(("name", "source"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_checker_catches(name: str, source: str) -> None:
    assert len(Checker(name, source).problems()) == 1


ALLOWED = {
    "core is pure": ("core.plan", "import re\nfrom resumable.errors import PartSizeError"),
    "oss reads the environment": ("oss.credentials", "import os\nos.environ.get('X')"),
    "configuration files are read": ("oss.configfiles", "import os\nopen(os.open('x', 0))"),
    "connections open sockets": ("oss.connections", "import selectors, socket, ssl"),
    "files opens files": ("transfer.files", "import os\nopen('x')\nos.replace('a', 'b')"),
    "transfer takes paths": ("transfer.upload", "import os\nos.path.abspath(os.fspath('x'))"),
    "a lock's holder is written": ("transfer.checkpoints", "import os\nos.write(3, b'')"),
    "strings are replaced": ("transfer.upload", "'a'.replace('a', 'b')"),
    "cli uses the face": ("cli.main", "from resumable import Bucket\nprint('done')"),
    "cli uses the face by dots": ("cli.main", "import resumable\nresumable.Bucket"),
    "cli knows the errors": ("cli.main", "from resumable.errors import ResumableError"),
    "cli serves": ("cli.main", "from resumable.server import LocalServer"),
    "a docstring is no code": ("core.plan", 'def f():\n    """' + "x\n" * 60 + '"""'),
}


@pytest.mark.parametrize(("name", "source"), ALLOWED.values(), ids=ALLOWED)
def test_checker_lets_pass(name: str, source: str) -> None:
    assert Checker(name, source).problems() == []
