"""The service: what happens to a request from its head to its answer.

head -> fault before? -> signature -> operation -> callback? -> fault after? -> log -> answer
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from resumable.server.access import Access
from resumable.server.answers import (
    callback_answer,
    changed,
    error_answer,
    finished,
    made_up_answer,
    merged,
)
from resumable.server.callback_sender import CallbackSender
from resumable.server.callbacks import requested_callback
from resumable.server.effects import AnswerInstead, ChangeAnswer, CorruptBody, Drop, Skew
from resumable.server.errors import ClientGoneError, HttpError, OssError
from resumable.server.faults import Faults, Injection, StoppedError
from resumable.server.log import Exchange, ExchangeLog, redacted
from resumable.server.messages import Answer, Body, Request, Target
from resumable.server.operations import OPERATIONS
from resumable.server.routes import find_operation, read_target
from resumable.server.signatures import is_signed, parse_authorization, verify
from resumable.server.store import Store
from resumable.server.uploads import MAX_PART_SIZE, traffic_limit
from resumable.server.wire import Connection, Head, answer_head

logger = logging.getLogger("resumable.server")


class _DroppedError(Exception):
    """A fault closes the connection now."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(drop)
        self.drop = drop


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request, what faults do to it, and when it came."""

    request: Request
    injection: Injection
    refusal: OssError | None
    keep_alive: bool
    started: float
    clock: float

    @property
    def now(self) -> float:
        """The time by the server's clock, as wrong as a fault makes it."""
        skew = self.injection.find(Skew)
        return time.time() + (skew.seconds if skew else 0)


class _CorruptedBody:
    """A body one bit of which changed on its way."""

    def __init__(self, body: Body) -> None:
        self._body = body

    @property
    def length(self) -> int | None:
        return self._body.length

    @property
    def received(self) -> int:
        return self._body.received

    @property
    def refusable(self) -> bool:
        return self._body.refusable

    @property
    def is_read(self) -> bool:
        return self._body.is_read

    def blocks(self) -> Iterator[memoryview]:
        for number, block in enumerate(self._body.blocks()):
            if number == 0:
                block[len(block) // 2] ^= 1
            yield block


class Service:
    """Serves connections, each in the thread that calls `serve`."""

    def __init__(
        self,
        store: Store,
        access: Access,
        faults: Faults,
        log: ExchangeLog,
        callbacks: CallbackSender,
    ) -> None:
        self._store = store
        self._access = access
        self._callbacks = callbacks
        self._faults = faults
        self._log = log

    def serve(self, connection: Connection) -> None:
        """Answer the requests of a connection until one side ends it."""
        try:
            while self._exchange(connection):
                pass
        except (ClientGoneError, OSError):
            # The client is gone or too slow to read: there is nobody to tell.
            pass
        except Exception:
            logger.exception("a connection failed")
        finally:
            connection.close()

    def _exchange(self, connection: Connection) -> bool:
        try:
            received = connection.receive_head()
        except HttpError as problem:
            self._refuse(connection, "BadRequest", str(problem))
            return False
        except TimeoutError:
            self._refuse(connection, "RequestTimeout", "")
            return False
        if received is None:
            return False
        visit = self._visit(*received, connection.client_ip)
        try:
            return self._respond(connection, visit)
        except _DroppedError as dropped:
            self._note(visit, None)
            if dropped.drop.reset:
                connection.reset()
        except (ClientGoneError, StoppedError):
            self._note(visit, None)
        except HttpError as problem:
            self._refuse(connection, "BadRequest", str(problem), visit)
        except TimeoutError:
            self._refuse(connection, "RequestTimeout", "", visit)
        return False

    def _visit(self, head: Head, body: Body, client_ip: str) -> _Visit:
        host = head.headers.get("host", "")
        target, refusal = Target("", "", ()), None
        operation = "Unknown"
        try:
            target = self._find_target(head, body, host)
            operation = find_operation(head.method, target, head.headers)
        except OssError as error:
            refusal = error
        injection = self._faults.match(operation, _part_number(target))
        if injection.find(CorruptBody):
            body = _CorruptedBody(body)
        request = Request(
            *(operation, head.method, target, head.headers, body, _request_id()),
            host=host,
            client_ip=client_ip,
            region=self._access.region,
        )
        return _Visit(
            request, injection, refusal, head.keep_alive, time.time(), time.perf_counter()
        )

    def _find_target(self, head: Head, body: Body, host: str) -> Target:
        """Where host and path leave it open what a request is about, its signature says it."""
        first, *others = read_target(head.target, host, self._access.domains)
        for target in (first, *others) if others else ():
            request = Request("", head.method, target, head.headers, body, "", host=host)
            if is_signed(request, self._access):
                return target
        return first

    def _respond(self, connection: Connection, visit: _Visit) -> bool:
        answer = self._answer(connection, visit)
        try:
            _drain(visit.request.body, visit.injection.find(AnswerInstead))
            keep_alive = visit.keep_alive and visit.request.body.is_read
            return self._send(connection, visit, answer, keep_alive=keep_alive)
        finally:
            if answer.content is not None:
                answer.content.close()

    def _answer(self, connection: Connection, visit: _Visit) -> Answer:
        body, injection = visit.request.body, visit.injection
        drop = injection.find(Drop)
        if drop is not None and drop.at == "before":
            raise _DroppedError(drop)
        self._faults.hold(injection, "before")
        if drop is not None and drop.at == "during_body":
            _read_half(body)
            raise _DroppedError(drop)
        if drop is not None and drop.at == "after_body":
            _read_all(body)
            raise _DroppedError(drop)
        instead = injection.find(AnswerInstead)
        if instead is not None:
            return made_up_answer(instead, visit.request)
        return self._perform(connection, visit)

    def _perform(self, connection: Connection, visit: _Visit) -> Answer:
        request = visit.request
        try:
            if visit.refusal is not None:
                raise visit.refusal
            verify(request, self._access, visit.now)
            connection.limit_rate(traffic_limit(request))
            return self._operate(request)
        except OssError as error:
            return error_answer(error, request)
        except (ClientGoneError, HttpError, TimeoutError):
            raise
        except Exception:
            logger.exception("request %s failed: %s", request.request_id, request.operation)
            return error_answer(OssError("InternalError"), request)

    def _operate(self, request: Request) -> Answer:
        operation = OPERATIONS.get(request.operation)
        if operation is None:
            raise OssError("NotImplemented")
        if request.bucket and not self._store.may_have_bucket(request.bucket):
            raise OssError("NoSuchBucket", BucketName=request.bucket)
        callback = requested_callback(request)
        answer = operation(request, self._store)
        if callback is None or answer.stored is None:
            return answer
        return callback_answer(self._callbacks, callback, request, answer)

    def _send(
        self, connection: Connection, visit: _Visit, answer: Answer, *, keep_alive: bool
    ) -> bool:
        request, injection = visit.request, visit.injection
        self._faults.hold(injection, "after")
        change = injection.find(ChangeAnswer)
        answer = finished(changed(answer, change), request, visit.now, keep_alive=keep_alive)
        if change is not None:
            answer = replace(answer, headers=merged(answer.headers, change.headers))
        drop = injection.find(Drop)
        if drop is not None and drop.at == "after_success":
            raise _DroppedError(drop)
        head = answer_head(answer.status, answer.headers)
        with_body = request.method != "HEAD"
        if drop is not None:
            whole = len(head) + (_size(answer) if with_body else 0)
            connection.send_answer(answer, head, body=with_body, limit=whole // 2)
            raise _DroppedError(drop)
        self._note(visit, answer)
        try:
            connection.send_answer(answer, head, body=with_body, limit=None)
        except ClientGoneError:
            return False
        if not keep_alive:
            connection.linger()
        return keep_alive

    def _refuse(
        self, connection: Connection, code: str, message: str, visit: _Visit | None = None
    ) -> None:
        if visit is None:
            request = Request("BadRequest", "", Target("", "", ()), {}, _NoBody(), _request_id())
            visit = _Visit(request, Injection(), None, False, time.time(), time.perf_counter())
        answer = error_answer(OssError(code, message), visit.request)
        answer = finished(answer, visit.request, visit.now, keep_alive=False)
        self._note(visit, answer)
        head = answer_head(answer.status, answer.headers)
        connection.send_answer(answer, head, body=visit.request.method != "HEAD", limit=None)
        connection.linger()

    def _note(self, visit: _Visit, answer: Answer | None) -> None:
        request = visit.request
        signature = parse_authorization(request.header("authorization"))
        self._log.append(
            Exchange(
                operation=request.operation,
                method=request.method,
                bucket=request.bucket,
                key=request.key,
                upload_id=request.upload_id,
                part_number=_part_number(request.target),
                status=None if answer is None else answer.status,
                code=None if answer is None else answer.code,
                body_bytes=request.body.received,
                request_id=request.request_id,
                started=visit.started,
                seconds=time.perf_counter() - visit.clock,
                headers=redacted(request.headers),
                signature=signature.version if signature else None,
            )
        )


class _NoBody:
    """The body of something that was not even a request."""

    length: int | None = 0
    received = 0
    refusable = False
    is_read = True

    def blocks(self) -> Iterator[memoryview]:
        return iter(())


def _request_id() -> str:
    return os.urandom(12).hex().upper()


def _part_number(target: Target) -> int | None:
    text = target.get("partNumber")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _size(answer: Answer) -> int:
    return len(answer.body) if answer.content is None else answer.content.length


def _drain(body: Body, instead: AnswerInstead | None) -> None:
    # A client that is told "no" while it still sends may never get to read it. One that asked
    # first, or that means to send more than any request may, is told at once.
    if (body.length or 0) > MAX_PART_SIZE:
        return
    if body.refusable if instead is None else instead.early:
        return
    _read_all(body)


def _read_all(body: Body) -> None:
    for _ in body.blocks():
        if body.received > MAX_PART_SIZE:
            return


def _read_half(body: Body) -> None:
    for _ in body.blocks():
        if body.received >= (body.length or 0) // 2:
            return
