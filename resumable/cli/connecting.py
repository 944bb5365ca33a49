"""The options that say where the bucket is and how to talk to it, the same for all commands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import click

import resumable
from resumable.cli.parameters import PROXY

_T = TypeVar("_T")

Connect = Callable[[str], "resumable.Bucket"]

_SECONDS = click.FloatRange(min=0, min_open=True)
# Options that `Bucket` has under the same names.
_AS_THEY_ARE = ("profile", "region", "style", "connect_timeout", "timeout", "ca_bundle", "proxy")


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
            "--profile",
            metavar="NAME",
            help="A profile of the configuration files of ossutil, the Alibaba Cloud CLI or SDKs.",
        ),
        click.option(
            "--internal", is_flag=True, help="Use the region's endpoint inside the cloud."
        ),
        click.option("--accelerate", is_flag=True, help="Use transfer acceleration."),
        click.option(
            "--style",
            type=click.Choice(["virtual", "path", "cname"]),
            help="How the bucket is addressed: BUCKET.HOST/KEY, HOST/BUCKET/KEY, or a host that "
            "is the bucket's own. Default: path for an IP address and localhost, else virtual.",
        ),
    )
    for option in reversed(choose):
        command = option(command)
    return command


# How long to wait, and which authorities to trust.
_PATIENCE = (
    click.option(
        "--connect-timeout",
        type=_SECONDS,
        metavar="SECONDS",
        default=10.0,
        show_default=True,
        help="How long to wait for a connection.",
    ),
    click.option(
        "--timeout",
        type=_SECONDS,
        metavar="SECONDS",
        default=60.0,
        show_default=True,
        help="How long to wait for a byte to move, in either direction.",
    ),
    click.option(
        "--retry-time",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        default=resumable.RetryPolicy().give_up_after,
        show_default=True,
        help="How long to retry a request that keeps failing.",
    ),
    click.option(
        "--tries",
        type=click.IntRange(min=1),
        metavar="N",
        help="How often to try a request at the most. Default: as often as there is time.",
    ),
    click.option(
        "--proxy",
        type=PROXY,
        help="Such as http://host:3128 or socks5h://host:1080, or none for no proxy. "
        "Default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.",
    ),
    click.option(
        "--ca-bundle",
        metavar="PATH",
        help="Trust these certificate authorities (a PEM file or a folder) instead of the "
        "usual ones. Default: REQUESTS_CA_BUNDLE, SSL_CERT_FILE.",
    ),
)


def connected(command: Callable[..., _T]) -> Callable[..., _T]:
    """Give a command these options; it gets `connect`, which makes a bucket of a name."""

    @_placed
    @click.option(
        "--signature",
        type=click.Choice(["v1", "v4"]),
        help="Signature version. Default: v4 where the region is known.",
    )
    @functools.wraps(command)
    def with_connection(
        *,
        endpoint: str | None,
        internal: bool,
        accelerate: bool,
        signature: Literal["v1", "v4"] | None,
        retry_time: float,
        tries: int | None,
        **arguments: Any,  # noqa: ANN401 - as click hands them in
    ) -> _T:
        _at_most_one({"--endpoint": endpoint, "--internal": internal, "--accelerate": accelerate})
        settings = {name: arguments.pop(name) for name in _AS_THEY_ARE}

        def connect(name: str) -> resumable.Bucket:
            return resumable.Bucket(
                name,
                endpoint=endpoint,
                internal=internal,
                accelerate=accelerate,
                signature_version=signature,
                retry=resumable.RetryPolicy(attempts=tries, give_up_after=retry_time),
                **settings,
            )

        return command(connect=connect, **arguments)

    return functools.reduce(lambda made, option: option(made), reversed(_PATIENCE), with_connection)


def _at_most_one(options: Mapping[str, object]) -> None:
    given = [option for option, value in options.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} contradict each other")
