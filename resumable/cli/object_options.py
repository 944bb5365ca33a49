"""The options of `cp` that say what the object will be like, and whom OSS tells of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, TypedDict, TypeVar, Unpack, get_args, get_type_hints

import click

import resumable
from resumable.cli.parameters import MOMENT, PAIR, Text, distinct_pairs, known, paying

_T = TypeVar("_T")

_TRAFFIC_LIMITS = (819_200, 838_860_800)
_BODY_TYPES: dict[str, Literal["application/x-www-form-urlencoded", "application/json"]] = {
    "form": "application/x-www-form-urlencoded",
    "json": "application/json",
}


class _CallbackOptions(TypedDict):
    callback_url: tuple[str, ...]
    callback_body: str | None
    callback_body_type: str | None
    callback_host: str | None
    callback_sni: bool
    callback_var: dict[str, str]


def _one_of(option: str, name: str, header: str) -> Text[str]:
    """One of the values that the library knows of an option."""
    values, _none = get_args(get_type_hints(resumable.PutOptions)[option])
    return known(name, get_args(values), header)


_OPTIONS = (
    click.option(
        "--content-type", metavar="TYPE", help="Default: guessed from the key or the file's name."
    ),
    click.option("--cache-control", metavar="TEXT", help="Cache-Control of downloads."),
    click.option(
        "--content-disposition", metavar="TEXT", help="Such as 'attachment; filename=report.pdf'."
    ),
    click.option("--content-encoding", metavar="TEXT", help="Such as gzip, if the file is that."),
    click.option(
        "--expires", type=MOMENT, metavar="TIME", help="When caches drop it: 2030-01-01T00:00:00Z."
    ),
    click.option(
        "--meta",
        "metadata",
        type=PAIR,
        multiple=True,
        callback=distinct_pairs,
        metavar="NAME=VALUE",
        help="Metadata of the object; may be repeated.",
    ),
    click.option(
        "--tag",
        "tags",
        type=PAIR,
        multiple=True,
        callback=distinct_pairs,
        metavar="NAME=VALUE",
        help="A tag of the object; up to 10.",
    ),
    click.option(
        "--storage-class",
        type=_one_of("storage_class", "CLASS", "x-oss-storage-class"),
        metavar="CLASS",
        help="Such as IA or Archive.",
    ),
    click.option(
        "--acl",
        type=_one_of("acl", "ACL", "x-oss-object-acl"),
        metavar="ACL",
        help="Such as private or public-read.",
    ),
    click.option(
        "--sse",
        "server_side_encryption",
        type=_one_of("server_side_encryption", "METHOD", "x-oss-server-side-encryption"),
        metavar="METHOD",
        help="Encrypted by the server: AES256, KMS or SM4.",
    ),
    click.option(
        "--sse-key-id", "server_side_encryption_key_id", metavar="ID", help="The key at KMS."
    ),
    click.option(
        "--sse-data-encryption",
        "server_side_data_encryption",
        type=_one_of("server_side_data_encryption", "METHOD", "x-oss-server-side-data-encryption"),
        metavar="METHOD",
        help="The algorithm under KMS, such as SM4.",
    ),
    click.option(
        "--forbid-overwrite",
        is_flag=True,
        default=None,
        help="Fail if there is an object with that key.",
    ),
    click.option(
        "--traffic-limit",
        type=click.IntRange(*_TRAFFIC_LIMITS),
        metavar="BITS",
        help="Bits per second the server takes.",
    ),
    paying,
    click.option(
        "--callback-url",
        multiple=True,
        metavar="URL",
        help="Whom OSS tells of the object; up to 5, tried one after the other.",
    ),
    click.option(
        "--callback-body", metavar="TEXT", help="What it says, such as 'key=${object}&n=${x:n}'."
    ),
    click.option(
        "--callback-body-type",
        type=click.Choice(list(_BODY_TYPES)),
        help="What kind of text that is. Default: form.",
    ),
    click.option("--callback-host", metavar="HOST", help="The Host header, if not the URL's."),
    click.option("--callback-sni", is_flag=True, help="Name the host in TLS."),
    click.option(
        "--callback-var",
        type=PAIR,
        multiple=True,
        callback=distinct_pairs,
        metavar="NAME=VALUE",
        help="Fills in ${x:NAME}; may be repeated.",
    ),
)


def with_object_options(command: Callable[..., _T]) -> Callable[..., _T]:
    """Give a command these options; it gets them under the names `upload_file` has for them."""

    @functools.wraps(command)
    def with_options(**arguments: Any) -> _T:  # noqa: ANN401 - as click hands them in
        names = _CallbackOptions.__annotations__
        callback = _callback(**{name: arguments.pop(name) for name in names})
        return command(callback=callback, **arguments)

    return functools.reduce(lambda made, option: option(made), reversed(_OPTIONS), with_options)


def _callback(**given: Unpack[_CallbackOptions]) -> resumable.Callback | None:
    if not given["callback_url"]:
        if any(value or value == "" for value in given.values()):
            raise click.UsageError("a callback needs --callback-url")
        return None
    return resumable.Callback(
        given["callback_url"],
        given["callback_body"] or "",
        host=given["callback_host"],
        body_type=_BODY_TYPES[given["callback_body_type"] or "form"],
        sni=given["callback_sni"],
        variables=given["callback_var"],
    )
