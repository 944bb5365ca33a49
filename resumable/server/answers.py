"""Making answers: error documents, the headers every answer has, and what faults change."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace

from resumable.server import xml
from resumable.server.callback_sender import CallbackSender
from resumable.server.callbacks import JSON, Callback
from resumable.server.effects import AnswerInstead, ChangeAnswer
from resumable.server.errors import REFUSALS, OssError
from resumable.server.messages import Answer, Request, http_date

_BODILESS = frozenset({204, 304})


def error_answer(error: OssError, request: Request) -> Answer:
    """Return the answer that tells a refusal."""
    document = xml.error_document(error, request.request_id, request.host)
    return _with_document(Answer(error.status, code=error.code), document, error.ec)


def made_up_answer(effect: AnswerInstead, request: Request) -> Answer:
    """Return the answer that a fault gives in place of the operation."""
    code = effect.code or None
    answer = Answer(effect.status, code=code)
    if effect.body == "none":
        return replace(answer, headers=effect.headers)
    if effect.body != "xml":
        return replace(answer, headers=effect.headers, body=effect.body.encode("utf-8"))
    known = REFUSALS.get(effect.code)
    fields = [
        xml.text("Code", effect.code),
        xml.text("Message", known.message if known else "The answer was made up by a fault."),
        xml.text("RequestId", request.request_id),
        xml.text("HostId", request.host),
        xml.text("EC", known.ec if known else "0000-00000000"),
    ]
    answer = _with_document(answer, xml.document("Error", fields), "0000-00000000")
    return replace(answer, headers=merged(answer.headers, effect.headers))


def callback_answer(
    sender: CallbackSender, callback: Callback, request: Request, answer: Answer
) -> Answer:
    """Send the callback that goes with an answer; return what becomes of the answer."""
    if answer.stored is None:
        return answer
    try:
        body = sender.deliver(callback, request, answer.stored)
    except OssError as failure:
        # The object is there all the same, and its ETag is told.
        failed = error_answer(failure, request)
        return replace(failed, headers=merged(answer.headers, failed.headers))
    return replace(answer, headers=merged(answer.headers, {"Content-Type": JSON}), body=body)


def finished(answer: Answer, request: Request, now: float, *, keep_alive: bool) -> Answer:
    """Return an answer with the headers that every one has and the length of its body."""
    headers = {
        "Server": "AliyunOSS",
        "Date": http_date(now),
        "Connection": "keep-alive" if keep_alive else "close",
        "x-oss-request-id": request.request_id,
    }
    body = b"" if request.method == "HEAD" or answer.status in _BODILESS else answer.body
    if answer.status not in _BODILESS:
        length = len(body) if answer.content is None else answer.content.length
        headers["Content-Length"] = str(length)
    # What the answer says itself, a HEAD's Content-Length for one, has the last word.
    headers = merged(headers, answer.headers)
    if request.method == "HEAD" and answer.body:
        document = base64.b64encode(answer.body).decode("ascii")
        headers = merged(headers, {"x-oss-err": document, "Content-Type": None})
    return replace(answer, headers=headers, body=body)


def changed(answer: Answer, effect: ChangeAnswer | None) -> Answer:
    """Return an operation's answer as a fault wants it, before it is finished."""
    if effect is None:
        return answer
    answer = replace(answer, status=effect.status or answer.status)
    if effect.body is None:
        return answer
    if answer.content is not None:
        answer.content.close()
    return replace(answer, body=effect.body.encode("utf-8"), content=None)


def merged(headers: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return headers with some set and, where the change is None, some left out."""
    result = dict(headers)
    for name, value in changes.items():
        for same in [known for known in result if known.lower() == name.lower()]:
            del result[same]
        if value is not None:
            result[name] = value
    return result


def _with_document(answer: Answer, document: bytes, ec: str) -> Answer:
    headers = {"Content-Type": "application/xml", "x-oss-ec": ec}
    return replace(answer, headers=headers, body=document)
