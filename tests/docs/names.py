"""The names that the pages give to what is public: whether they are there, and what they cover."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import resumable

_NAME = re.compile(r"([A-Za-z_]\w*)(?:\.([a-z]\w*))?(?:\(((?:\w+=(?:, )?)+)\))?")


@dataclass(frozen=True)
class Name:
    """A public name, as `Bucket.upload_part(data=, content_md5=)`: what it is of, and arguments."""

    public: str
    member: str
    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Name":
        match = _NAME.fullmatch(text)
        assert match is not None, f"{text!r} is not written as a name is"
        return cls(match[1], match[2] or "", tuple(re.findall(r"\w+", match[3] or "")))

    @property
    def dotted(self) -> str:
        return f"{self.public}.{self.member}" if self.member else self.public

    def missing(self) -> str:
        """What of it is not there, or nothing."""
        if self.public not in resumable.__all__:
            return self.public
        if self.member and self.member not in members(getattr(resumable, self.public)):
            return self.dotted
        unknown = set(self.arguments) - set(arguments_of(self.call)) if self.arguments else set()
        return f"{self.dotted}({', '.join(sorted(unknown))}=)" if unknown else ""

    @property
    def call(self) -> Callable[..., Any]:
        public: Callable[..., Any] = getattr(resumable, self.public)
        return getattr(public, self.member) if self.member else public


def members(public: type) -> set[str]:
    """What can be asked of a value: its fields, properties and methods."""
    fields = set(dir(public))
    if dataclasses.is_dataclass(public):
        fields |= {field.name for field in dataclasses.fields(public)}
    if issubclass(public, resumable.ResumableError):
        fields |= set(vars(public()))
    return {name for name in fields if not name.startswith("_")}


def arguments_of(call: Callable[..., Any]) -> list[str]:
    """The arguments that a call takes by name, those that are options among them."""
    found: list[str] = []
    for name, parameter in inspect.signature(call).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found += get_type_hints(get_args(parameter.annotation)[0])
        elif name != "self":
            found.append(name)
    return found


def calls() -> Mapping[str, Callable[..., Any]]:
    """The methods of the bucket, by their dotted names."""
    return {
        f"Bucket.{name}": method
        for name, method in inspect.getmembers(resumable.Bucket, inspect.isfunction)
        if not name.startswith("_") and name != "under"
    }
