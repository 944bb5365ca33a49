"""The options that say where the bucket is and how to talk to it, the same for all commands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import click

import resumable
from resumable.cli.parameters import PROXY

_T = TypeVar("_T")

Connect = Callable[[str], "resumable.Bucket"]


def _placed(command: Callable[..., _T]) -> Callable[..., _T]:
    """The options that choose the endpoint; the environment is left to the library."""
    choose = (
        click.option(
            "--endpoint",
            help="Such as oss-cn-hangzhou.aliyuncs.com. Default: OSS_ENDPOINT, the configuration "
            "files, or that of the region.",
        ),
        click.option(
            "--region",
            help="Such as cn-hangzhou. Default: OSS_REGION, the endpoint's name, or the files.",
        ),
        click.option(
            "--internal", is_flag=True, help="Use the region's endpoint inside the cloud."
        ),
        click.option("--accelerate", is_flag=True, help="Use transfer acceleration."),
    )
    for option in reversed(choose):
        command = option(command)
    return command


def _carried(command: Callable[..., _T]) -> Callable[..., _T]:
    """The options that say how requests are signed, sent and tried again."""
    choose = (
        click.option(
            "--signature",
            type=click.Choice(["v1", "v4"]),
            help="Signature version. Default: v4 where the region is known.",
        ),
        click.option(
            "--tries",
            type=click.IntRange(min=1),
            default=resumable.RetryPolicy().attempts,
            show_default=True,
            help="How often to try a request that may succeed later.",
        ),
        click.option(
            "--proxy",
            type=PROXY,
            help="Such as http://host:3128 or socks5h://host:1080, or none for no proxy. "
            "Default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.",
        ),
    )
    for option in reversed(choose):
        command = option(command)
    return command


def connected(command: Callable[..., _T]) -> Callable[..., _T]:
    """Give a command these options; it gets `connect`, which makes a bucket of a name."""

    @_placed
    @_carried
    @functools.wraps(command)
    def with_connection(  # noqa: PLR0913 - click gives each option by its name
        *,
        endpoint: str | None,
        region: str | None,
        internal: bool,
        accelerate: bool,
        signature: Literal["v1", "v4"] | None,
        tries: int,
        proxy: str | Literal[False] | None,
        **arguments: object,
    ) -> _T:
        _at_most_one({"--endpoint": endpoint, "--internal": internal, "--accelerate": accelerate})

        def connect(name: str) -> resumable.Bucket:
            return resumable.Bucket(
                name,
                endpoint=endpoint,
                region=region,
                internal=internal,
                accelerate=accelerate,
                signature_version=signature,
                retry=resumable.RetryPolicy(attempts=tries),
                proxy=proxy,
            )

        return command(connect=connect, **arguments)

    return with_connection


def _at_most_one(options: Mapping[str, object]) -> None:
    given = [option for option, value in options.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} contradict each other")
