"""Where the system gives no more descriptors: what is told, and what can be done about it."""

import errno
from collections.abc import Callable
from typing import TypeVar

from resumable.oss.adapter import close_idle_connections

_T = TypeVar("_T")

# The process has as many open files as it may have, or the machine has.
_SCARCE = (errno.EMFILE, errno.ENFILE)


def is_scarce(error: OSError) -> bool:
    """Whether it failed for want of a descriptor."""
    return error.errno in _SCARCE


def with_room(call: Callable[[], _T]) -> _T:
    """Make a call that needs a descriptor; if there is none, connections that are idle give way.

    Raises:
        OSError: as the call does.
    """
    try:
        return call()
    except OSError as error:
        if not is_scarce(error) or not close_idle_connections():
            raise
    return call()
