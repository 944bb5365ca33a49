"""What of a bucket is pickled: how it was made, with the name of where its keys come from."""

import sys
from collections.abc import Callable
from typing import Any

from resumable.oss.credentials import Credentials, Provider


def picklable(keys: Credentials | Provider | object) -> Callable[[], Credentials] | None:
    """What to pickle in the place of credentials: the function that gives them, or nothing.

    Args:
        keys: What the bucket was given. None where the environment or a file says.

    Raises:
        TypeError: they are a secret, or a callable that cannot be named and may hold one.
    """
    advice = "Give a function of a module, or profile=, or set the variables where it is unpickled"
    if keys is None:
        return None
    if not isinstance(keys, Provider):
        raise TypeError(f"a bucket with an access key of its own is not pickled. {advice}")
    if not _is_named(keys.ask):
        raise TypeError(
            f"the bucket's provider of credentials has no name to pickle it by. {advice}"
        )
    return keys.ask


def _is_named(function: object) -> bool:
    """Whether this very function is found under its name in its module."""
    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for name in str(getattr(function, "__qualname__", "?")).split("."):
        found = getattr(found, name, None)
    return found is function
