"""What the arguments and options of the commands look like, and how they are read."""

import re
from collections.abc import Callable
from typing import TypeVar

import click

_T = TypeVar("_T")
_ADDRESS = re.compile(r"oss://([^/]+)(?:/(.*))?", re.DOTALL)


class Text(click.ParamType[_T]):
    """Text that `read` turns into a value, or refuses with a ValueError that says why."""

    def __init__(self, name: str, read: Callable[[str], _T]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> _T:
        """Read the text."""
        try:
            return self._read(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _read_address(text: str) -> tuple[str, str]:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not oss://BUCKET/KEY")
    return match.group(1), match.group(2) or ""


def _read_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()


def _read_access_key(text: str) -> tuple[str, str]:
    key_id, _, secret = text.partition(":")
    if not key_id or not secret:
        raise ValueError("an access key is written ID:SECRET")  # what was given is not repeated
    return key_id, secret


ADDRESS = Text("oss://BUCKET/KEY", _read_address)
HEADER = Text("NAME:VALUE", _read_header)
ACCESS_KEY = Text("ID:SECRET", _read_access_key)
