"""One upload in a process of its own, which can kill itself at an exact point.

    echo '{"endpoint": "http://127.0.0.1:8080", …}' | python -m tests.crash.uploader

After all imports it says `ready` and reads one line of JSON, an `Order`: so it can be started
ahead of time, and what is timed from the order on is the upload alone. It prints the result, or
the error, as a line of JSON.
"""

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from urllib3 import HTTPResponse

from resumable import Bucket, ResumableError, RetryPolicy, upload_file
from resumable.oss.cancellation import Cancellation
from resumable.oss.connections import Connection
from resumable.oss.messages import Answer, WireRequest
from resumable.oss.transport import RequestsTransport
from resumable.transfer import checkpoints, files, source
from tests import canary

READY = "ready\n"
_USER_AGENT = "run"

# `sent`: the whole request is out and nobody looks at the answer; `answered`: the answer has come
# in, so the server has acted, and it is not read.
Moment = Literal["before", "sent", "answered", "after"]


@dataclass(frozen=True, slots=True)
class KillPoint:
    """Where the process kills itself: around the n-th call of an effect.

    Attributes:
        moment: Which side of the call; `sent` and `answered` are for requests.
        effect: A system call of the modules that touch the checkpoint and its lock, such as
            `os.replace`, or the name of an operation, such as `UploadPart`.
        nth: Which call, from 1.
        path: Only count calls on a path that ends like this.
    """

    moment: Moment
    effect: str
    nth: int = 1
    path: str = ""

    def __str__(self) -> str:
        where = f"({self.path})" if self.path else ""
        return f"{self.moment} {self.effect}{where} {self.nth}"


@dataclass(frozen=True, slots=True)
class Order:
    """What to upload, and how.

    Attributes:
        run: Which run of the upload this is; it travels as the user agent into the access log.
        attempts: Tries a request.
        die: Where to kill itself.
    """

    endpoint: str
    bucket: str
    key: str
    filename: str
    part_size: int
    threads: int
    content_md5: bool
    run: int = 1
    attempts: int = 8
    die: KillPoint | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        die = fields.pop("die")
        return cls(**fields, die=None if die is None else KillPoint(**die))


def operation_of(request: WireRequest) -> str:
    """The name of the operation, as the server's access log has it."""
    query = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
    of_upload = {
        "PUT": "UploadPart",
        "POST": "CompleteMultipartUpload",
        "GET": "ListParts",
        "DELETE": "AbortMultipartUpload",
    }
    if "uploads" in query:
        return "InitiateMultipartUpload"
    if "uploadId" in query:
        return of_upload[request.method]
    return {"PUT": "PutObject", "HEAD": "HeadObject"}[request.method]


class _Overlay:
    """The module `os` with one function replaced, only for the eyes of those it is given to."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        setattr(self, name, function)

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _arm_system_call(point: KillPoint) -> None:
    name = point.effect.removeprefix("os.")
    real: Callable[..., object] = getattr(os, name)
    calls = count(1)

    def call(target: object, *args: object) -> object:
        hit = str(target).endswith(point.path) and next(calls) == point.nth
        if hit and point.moment == "before":
            _die()
        outcome = real(target, *args)
        if hit:
            _die()
        return outcome

    for module in (files, source, checkpoints):
        vars(module)["os"] = _Overlay(name, call)


def _arm_request(point: KillPoint) -> None:
    real_send, real_receive = RequestsTransport.send, Connection.getresponse
    calls, under_way = count(1), threading.local()

    def send(self: RequestsTransport, request: WireRequest, cancellation: Cancellation) -> Answer:
        hit = operation_of(request) == point.effect and next(calls) == point.nth
        if hit and point.moment == "before":
            _die()
        under_way.hit = hit
        answer = real_send(self, request, cancellation)
        if hit:
            _die()
        return answer

    def receive(self: Connection) -> HTTPResponse:
        if under_way.hit and point.moment == "answered":
            select.select([self.sock], [], [])
        if under_way.hit and point.moment in ("sent", "answered"):
            _die()
        return real_receive(self)

    RequestsTransport.send = send  # type: ignore[method-assign]
    Connection.getresponse = receive  # type: ignore[method-assign]


def run_of(headers: Mapping[str, str]) -> int:
    """Which run sent a request with these headers; 0 for other clients."""
    name, _, run = headers.get("user-agent", "").partition("/")
    return int(run) if name == _USER_AGENT else 0


def _name_run(run: int) -> None:
    real_send = RequestsTransport.send

    def send(self: RequestsTransport, request: WireRequest, cancellation: Cancellation) -> Answer:
        named = replace(request, headers={**request.headers, "user-agent": f"{_USER_AGENT}/{run}"})
        return real_send(self, named, cancellation)

    RequestsTransport.send = send  # type: ignore[method-assign]


def main() -> int:
    """Carry the order on standard input out."""
    canary.watch()
    sys.stdout.write(READY)
    sys.stdout.flush()
    order = Order.from_json(sys.stdin.readline())
    if order.die is not None:
        (_arm_system_call if order.die.effect.startswith("os.") else _arm_request)(order.die)
    _name_run(order.run)
    retry = RetryPolicy(attempts=order.attempts)
    with Bucket(order.bucket, endpoint=order.endpoint, region="cn-hangzhou", retry=retry) as bucket:
        try:
            result = upload_file(
                bucket,
                order.key,
                order.filename,
                thread_num=order.threads,
                part_size=order.part_size,
                enable_checkpoint=True,
                content_md5=order.content_md5,
            )
        except ResumableError as error:
            told = {"error": type(error).__name__, "message": str(error)}
            sys.stdout.write(json.dumps(told) + "\n")
            return 1
    sys.stdout.write(json.dumps(asdict(result)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
