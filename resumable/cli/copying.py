"""`resumable cp`: a file to an object."""

from __future__ import annotations

import atexit
import base64
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, Unpack

import click
from click.core import ParameterSource

import resumable
from resumable.cli.connecting import Connect, connected
from resumable.cli.object_options import with_object_options
from resumable.cli.parameters import ADDRESS, HEADER, PART_SIZE, UPLOAD_ID, distinct_pairs
from resumable.cli.rendering import complain, printable, size_text, unbreakable
from resumable.cli.wording import in_command_words

if TYPE_CHECKING:
    from rich.console import Console

_DEFAULT_THREADS = 4
_MOST_THREADS = 256


class _Wishes(resumable.PutOptions, total=False):
    """Options under the names that `upload_file` has for them."""

    thread_num: int
    part_size: int | str | None
    enable_checkpoint: bool
    checkpoint_path: str | None
    upload_id: str | None
    sequential: bool
    headers: Mapping[str, str]
    content_md5: bool
    source_check: Literal["strict", "content", "size"]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("destination", type=ADDRESS, metavar="oss://BUCKET/KEY")
@click.option(
    "-j",
    "--threads",
    "thread_num",
    type=click.IntRange(1, _MOST_THREADS),
    metavar="N",
    default=_DEFAULT_THREADS,
    show_default=True,
    help="Parts to send at once.",
)
@click.option(
    "--part-size",
    type=PART_SIZE,
    metavar="SIZE",
    help="100KB to 5GB, such as 8MiB. Default: what suits the file.",
)
@click.option(
    "--checkpoint/--no-checkpoint",
    "enable_checkpoint",
    default=True,
    show_default=True,
    help="Keep FILE.cp while under way, so that the same command takes a broken upload up.",
)
@click.option("--checkpoint-path", metavar="PATH", help="Keep the checkpoint there instead.")
@click.option("--upload-id", type=UPLOAD_ID, metavar="ID", help="Go on with this multipart upload.")
@click.option("--sequential", is_flag=True, help="Send the parts in order, one at a time.")
@click.option(
    "-H",
    "--header",
    "headers",
    type=HEADER,
    multiple=True,
    callback=distinct_pairs,
    metavar="NAME:VALUE",
    help="A header of the object or the requests; may be repeated.",
)
@with_object_options
@click.option(
    "--content-md5/--no-content-md5",
    default=True,
    show_default=True,
    help="Announce each part's MD5 (CRC-64 is compared in any case).",
)
@click.option(
    "--source-check",
    type=click.Choice(["strict", "content", "size"]),
    default="strict",
    show_default=True,
    help="What tells that FILE changed: content, where its times never stand still.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show neither progress nor summary.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@connected
def cp(
    *,
    connect: Connect,
    file: str,
    destination: tuple[str, str],
    quiet: bool,
    as_json: bool,
    **wishes: Unpack[_Wishes],
) -> None:
    """Upload FILE. Run the same command again after a crash: only what is missing is sent.

    A KEY that is empty or ends with a slash gets the file's name.
    """
    bucket_name, key = destination
    if not key or key.endswith("/"):
        key += os.path.basename(file)
    if wishes["sequential"]:
        if not _is_default("thread_num") and (threads := wishes["thread_num"]) > 1:
            raise click.UsageError(f"--sequential and --threads {threads} contradict each other")
        wishes["thread_num"] = 1
    with (
        connect(bucket_name) as bucket,
        _told_when_stopped(),
        _progress_bar(shown=not quiet and not as_json) as progress,
    ):
        result = resumable.upload_file(bucket, key, file, progress=progress, **wishes)
    if not quiet:
        click.echo(json.dumps(result_dict(result)) if as_json else summary(result))


def _is_default(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.DEFAULT


def summary(result: resumable.UploadResult) -> str:
    """One line that tells what happened."""
    speed = size_text(result.bytes_sent / max(result.elapsed, 1e-6))
    sent = f"sent {size_text(result.bytes_sent)} in {result.elapsed:.1f} s ({speed}/s)"
    reused = (
        f", reused {size_text(result.bytes_reused)} ({result.parts_reused} of "
        f"{result.parts_total} parts)"
        if result.resumed
        else ""
    )
    by = {"crc64": "verified", "parts": "not shown by the server; verified by its parts"}
    crc = f"CRC-64 {result.crc64} {by[result.verified]}"
    told = f"oss://{result.bucket}/{result.key}: {sent}{reused}, {crc}"
    if result.callback_body is not None:
        told += f", callback answered {result.callback_body.decode(errors='backslashreplace')}"
    return printable(told)


def result_dict(result: resumable.UploadResult) -> dict[str, Any]:
    """A result as JSON; the CRC-64 as text, since JSON numbers lose 64 bits elsewhere."""
    return dataclasses.asdict(result) | {
        "crc64": str(result.crc64),
        "callback_body": _body_json(result.callback_body),
    }


def _body_json(body: bytes | None) -> str | dict[str, str] | None:
    if body is None:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


@contextmanager
def _told_when_stopped() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stopped:
        # The library notes on it what is kept; without a note nothing was begun.
        for note in getattr(stopped, "__notes__", ["nothing was begun"]):
            complain(in_command_words(note))
        raise


def _show_cursor(console: Console) -> None:
    with suppress(OSError, ValueError):  # the terminal is gone
        console.show_cursor()


@contextmanager
def _progress_bar(*, shown: bool) -> Iterator[Callable[[resumable.Progress], None] | None]:
    if not shown or not sys.stderr.isatty():
        yield None
        return
    # Only those who see it wait for it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(file=unbreakable(sys.stderr))
    # A signal may arrive while the bar starts or stops: its own cleanup does not cover that.
    atexit.register(_show_cursor, console)
    columns = (BarColumn(), DownloadColumn(True), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        started = False

        def show(progress: resumable.Progress) -> None:
            nonlocal started
            if not started:
                # What was reused took no time: the speed is that of this run.
                bar.reset(task, total=progress.bytes_total, completed=progress.bytes_reused)
                started = True
            bar.update(task, completed=progress.bytes_done)

        yield show
