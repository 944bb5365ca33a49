"""What is said of a call that was written wrongly: a wrong object, or an unknown option."""

from collections.abc import Iterable
from difflib import get_close_matches

# What other libraries call them.
OF_OTHER_LIBRARIES = {
    "acl_type": "acl",
    "callback_params": "callback",
    "checkpoint_dir": "checkpoint_path",
    "checkpoint_file": "checkpoint_path",
    "checksum": "content_md5",
    "concurrency": "thread_num",
    "enable_crc": "content_md5",
    "is_enable_checkpoint": "enable_checkpoint",
    "jobs": "thread_num",
    "max_concurrency": "thread_num",
    "max_workers": "thread_num",
    "meta": "metadata",
    "num_threads": "thread_num",
    "parallel": "thread_num",
    "parallel_num": "thread_num",
    "progress_callback": "progress",
    "progress_fn": "progress",
    "store": "checkpoint_path",
    "taggings": "tags",
    "threads": "thread_num",
}


def unknown_option(name: str, known: Iterable[str]) -> TypeError:
    """The error for a keyword that a call does not have."""
    known = list(known)
    meant = OF_OTHER_LIBRARIES.get(name.lower(), "")
    if meant not in known:
        meant = next(iter(get_close_matches(name, known, n=1)), "")
    question = f"; did you mean {meant!r}?" if meant else ""
    return TypeError(f"this call has no option {name!r}{question}")


def wrong_object(name: str, value: object, expected: str, advice: str = "") -> TypeError:
    """The error for an argument of a wrong type. The value itself is not shown."""
    kind = type(value)
    given = kind.__qualname__
    if kind.__module__ != "builtins":
        given = f"{kind.__module__}.{given}"
    told = f"{name} is to be {expected}, not {given}"
    return TypeError(f"{told}. {advice}" if advice else told)
