"""What the arguments and options of the commands look like, and how they are read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

import click

_T = TypeVar("_T")
ADDRESS_BEGINS = "oss://"
_ADDRESS = re.compile(r"oss://([^/]+)(?:/(.*))?", re.DOTALL)
_AGE = re.compile(r"([0-9]{1,9})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Age:
    """A span of time, as it was written and in seconds."""

    text: str
    seconds: int


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
    return name.strip().lower(), value.strip()  # case does not count


def _read_pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name, value


def _read_upload_id(text: str) -> str:
    if not text.strip():
        raise ValueError("an upload id is not empty")  # it would address the object itself
    return text


def _read_part_size(text: str) -> int | str:
    """A number without a unit is a number of bytes, as in Python."""
    return int(text) if text.isdecimal() and len(text) < 20 else text


def _read_moment(text: str) -> datetime | str:
    """ISO 8601 where it is that; any other text is sent as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} is a time without a time zone, such as Z behind it")
    return moment


def _read_age(text: str) -> Age:
    match = _AGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number and a unit (s, m, h, d or w), such as 7d")
    return Age(text, int(match.group(1)) * _SECONDS[match.group(2)])


def known(name: str, values: Sequence[str], header: str) -> Text[str]:
    """One of the values that are known; one that OSS has added since has to go as the header."""

    def read(text: str) -> str:
        if text not in values:
            raise ValueError(
                f"{text!r} is not one of {', '.join(values)}; "
                f"a newer one can be given as -H '{header}:{text}'"
            )
        return text

    return Text(name, read)


def _read_proxy(text: str) -> str | Literal[False]:
    return False if text.lower() == "none" else text  # the library refuses what is no proxy


def _read_access_key(text: str) -> tuple[str, str]:
    key_id, _, secret = text.partition(":")
    if not key_id or not secret:
        raise ValueError("an access key is written ID:SECRET")  # what was given is not repeated
    return key_id, secret


ADDRESS = Text("oss://BUCKET/KEY", _read_address)
HEADER = Text("NAME:VALUE", _read_header)
ACCESS_KEY = Text("ID:SECRET", _read_access_key)
PROXY = Text("URL|none", _read_proxy)
PAIR = Text("NAME=VALUE", _read_pair)
UPLOAD_ID = Text("ID", _read_upload_id)
PART_SIZE = Text("SIZE", _read_part_size)
MOMENT = Text("TIME", _read_moment)
AGE = Text("AGE", _read_age)

paying = click.option(
    "--request-payer",
    flag_value="requester",
    default=None,
    help="Pay for the requests, on a bucket where the requester does.",
)


def distinct_pairs(
    _: click.Context, param: click.Parameter, value: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """The pairs of an option that may be repeated; of two with one name neither can be meant.

    Raises:
        BadParameter: a name is given twice.
    """
    pairs = dict(value)
    if len(pairs) < len(value):
        raise click.BadParameter("a name is given twice", param=param)
    return pairs
