"""Callbacks as the protocol writes them: what a request asks for, and the body that is posted."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from resumable.server.errors import OssError
from resumable.server.messages import Request
from resumable.server.records import ObjectRecord

MAX_PARAMETER = 5 * 1024
MAX_URLS = 5
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

_OPERATIONS = frozenset({"PutObject", "CompleteMultipartUpload"})
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_PRINTABLE = re.compile(r"[!-~]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that was asked for.

    Attributes:
        urls: where to, the first one that takes it.
        body: the body, with the variables still in it.
        body_type: `FORM` or `JSON`.
        host: the value of the Host header, or nothing for that of the URL.
        variables: the client's own variables by their whole names, `x:name`.
    """

    urls: tuple[SplitResult, ...]
    body: str
    body_type: str
    host: str
    variables: Mapping[str, str]


def requested_callback(request: Request) -> Callback | None:
    """Return the callback that a request asks for, if it does.

    Raises:
        OssError: InvalidArgument when what it says of it is not valid.
    """
    text = _parameter(request, "callback")
    if request.operation not in _OPERATIONS or not text:
        return None
    fields = _decoded(text, "callback")
    variables = _parameter(request, "callback-var")
    url = _text(fields, "callbackUrl")
    callback = Callback(
        urls=tuple(_split(part) for part in url.split(";") if part),
        body=_text(fields, "callbackBody"),
        body_type=_text(fields, "callbackBodyType") or FORM,
        host=_text(fields, "callbackHost"),
        variables=_checked_variables(_decoded(variables, "callback-var")) if variables else {},
    )
    if len(callback.urls) > MAX_URLS:
        raise _refusal(f"callbackUrl has more than {MAX_URLS} URLs.")
    if not callback.body:
        raise _refusal("callbackBody is missing.")
    if callback.body_type not in (FORM, JSON):
        raise _refusal(f"callbackBodyType is neither {FORM} nor {JSON}.")
    if callback.host and not _PRINTABLE.fullmatch(callback.host):
        raise _refusal("callbackHost is no host.")
    if not isinstance(fields.get("callbackSNI", False), bool):
        raise _refusal("callbackSNI is neither true nor false.")
    # A callback without a URL is none, as the service has it.
    return callback if callback.urls else None


def filled_body(callback: Callback, request: Request, record: ObjectRecord) -> bytes:
    """Return the body of a callback with its variables filled in."""
    values = _system_values(request, record)
    write = _json_value if callback.body_type == JSON else _form_value

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("x:"):
            return write(callback.variables.get(name, ""))
        return write(values[name]) if name in values else match[0]

    return _VARIABLE.sub(fill, callback.body).encode("utf-8", "surrogateescape")


def callback_headers(callback: Callback, url: SplitResult, request: Request) -> dict[str, str]:
    """Return the headers of a callback, without that of its length."""
    return {
        "Host": callback.host or url.netloc,
        "Connection": "close",
        "Content-Type": callback.body_type,
        "User-Agent": "aliyun-oss-callback",
        "x-oss-bucket": request.bucket,
        "x-oss-request-id": request.request_id,
    }


def _system_values(request: Request, record: ObjectRecord) -> Mapping[str, str | int]:
    return {
        "bucket": record.bucket,
        "object": record.key,
        "etag": record.etag,
        "size": record.size,
        "mimeType": record.headers.get("content-type", ""),
        "crc64": str(record.crc64),
        "contentMd5": record.content_md5,
        "vpcId": "",
        "clientIp": request.client_ip,
        "reqId": request.request_id,
        "operation": request.operation,
        # Told of pictures only, and this server does not look into what it stores.
        "imageInfo.height": "",
        "imageInfo.width": "",
        "imageInfo.format": "",
    }


def _form_value(value: str | int) -> str:
    return quote(str(value).encode("utf-8", "surrogateescape"), safe="")


def _json_value(value: str | int) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parameter(request: Request, name: str) -> str:
    value = request.header(f"x-oss-{name}") or request.target.get(name)
    if len(value) > MAX_PARAMETER:
        raise _refusal(f"It has more than {MAX_PARAMETER} bytes.", name)
    return value


def _decoded(text: str, name: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(base64.b64decode(text, validate=True).decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise _refusal("It is not JSON in Base64.", name) from problem
    if not isinstance(fields, dict):
        raise _refusal("It is no JSON object.", name)
    return fields


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise _refusal(f"{name} is no text.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise _refusal(f"{name} has half a character.") from problem
    return value


def _checked_variables(fields: Mapping[str, Any]) -> Mapping[str, str]:
    for name in fields:
        if not re.fullmatch(r"x:[^{}A-Z]+", name):
            raise _refusal("A variable's name is x: and lower-case letters.", "callback-var")
    return {name: _text(fields, name) for name in fields}


def _split(text: str) -> SplitResult:
    url: SplitResult = _tried(lambda: urlsplit(text if _SCHEME.match(text) else f"http://{text}"))
    port = _tried(lambda: url.port)
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or port == 0
        or "@" in url.netloc
        or not _PRINTABLE.fullmatch(text)
    ):
        raise _refusal("callbackUrl has what is no URL.")
    return url


def _tried(read: Callable[[], Any]) -> Any:  # noqa: ANN401 - what it reads
    try:
        return read()
    except ValueError as problem:
        raise _refusal("callbackUrl has what is no URL.") from problem


def _refusal(message: str, name: str = "callback") -> OssError:
    return OssError("InvalidArgument", f"The {name} is not valid. {message}", ArgumentName=name)
