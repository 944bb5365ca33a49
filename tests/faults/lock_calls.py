"""The system calls of the library that takes the lock of a checkpoint, on public names alone.

The functions of the module `os` are replaced, and what replaces them asks who calls: which of its
own modules the library makes its calls from is its affair and differs between its versions.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

_LIBRARY = "filelock"

Function = Callable[..., Any]
Saved = Mapping[tuple[ModuleType, str], Function]


def wrap_lock_calls(names: Iterable[str], wrap: Callable[[str, Function], Function]) -> Saved:
    """Replace functions of `os`, for the lock library alone.

    Args:
        names: Of the functions, such as `open` or `path.lexists`.
        wrap: Given the name and the function, returns what the library calls in its place.

    Returns:
        What `restore_lock_calls` needs.
    """
    saved: dict[tuple[ModuleType, str], Function] = {}
    for name in names:
        module, attribute = _place(name)
        real = getattr(module, attribute)
        saved[module, attribute] = real
        below = real.for_library if isinstance(real, _Guarded) else real
        setattr(module, attribute, _Guarded(real, wrap(name, below)))
    return saved


def restore_lock_calls(saved: Saved) -> None:
    """Put the functions back that `wrap_lock_calls` replaced."""
    for (module, attribute), real in saved.items():
        setattr(module, attribute, real)


def _place(name: str) -> tuple[ModuleType, str]:
    return (os.path, name.removeprefix("path.")) if name.startswith("path.") else (os, name)


class _Guarded:
    """A function that does something else for the library than for everybody else."""

    def __init__(self, for_all: Function, for_library: Function) -> None:
        self._for_all = for_all
        self.for_library = for_library

    def __call__(self, *arguments: object, **named: object) -> object:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        of_library = caller == _LIBRARY or caller.startswith(f"{_LIBRARY}.")
        return (self.for_library if of_library else self._for_all)(*arguments, **named)
