"""What is said of a call that was written wrongly: a wrong object, or an unknown option."""

import functools
import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast, get_args

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Class = TypeVar("_Class", bound=type)

# What other libraries call them.
OF_OTHER_LIBRARIES = {
    "access_key": "access_key_id",
    "access_key_id": "credentials",
    "access_key_secret": "credentials",
    "acl_type": "acl",
    "auth": "credentials",
    "ca_file": "ca_bundle",
    "credentials_provider": "credentials",
    "max_attempts": "attempts",
    "max_retries": "attempts",
    "path_style": "style",
    "proxies": "proxy",
    "read_timeout": "timeout",
    "retries": "attempts",
    "retry_policy": "retry",
    "secret_key": "access_key_secret",
    "session_token": "security_token",
    "token": "security_token",
    "use_internal_endpoint": "internal",
    "verify": "ca_bundle",
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


def suggesting(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a call say, of a keyword that it does not have, which one was probably meant.

    Its own keywords are known, and those of its `**options: Unpack[...]`.
    """
    known = _keywords(cast(FunctionType, inspect.unwrap(call)))

    @functools.wraps(call)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        unknown = next((name for name in kwargs if name not in known), None)
        given: list[Any] = [kwargs, args]
        # This is a frame of every traceback from here on, and an argument may be a secret.
        del args, kwargs
        if unknown is not None:
            given.clear()
            raise unknown_option(unknown, known)
        return call(*given.pop(), **given.pop())

    return checked


def suggesting_fields(kind: _Class) -> _Class:
    """The same for the fields of a dataclass."""
    kind.__init__ = suggesting(kind.__init__)  # type: ignore[misc]
    return kind


def _keywords(call: FunctionType) -> tuple[str, ...]:
    code = call.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    options = [name for kind in get_args(_options(call)) for name in kind.__annotations__]
    return *(name for name in own if name != "self"), *options


def _options(call: FunctionType) -> object:
    return call.__annotations__.get("options")
