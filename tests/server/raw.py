"""A client of raw sockets: it signs by itself and can send what no client would."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import unquote

from resumable.server import DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET

_SIGNED = frozenset(
    "acl append bucketInfo callback callback-var continuation-token location objectMeta partNumber "
    "position sequential tagging uploadId uploads versionId x-oss-traffic-limit".split()
)


def md5_header(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


@dataclass(frozen=True)
class Reply:
    """An answer as it came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        document = base64.b64decode(self.headers.get("x-oss-err", "")) or self.body
        return self.find("Code", document)

    def find(self, tag: str, document: bytes | None = None) -> str:
        text = (self.body if document is None else document).decode()
        match = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        return match[1] if match else ""

    def all(self, tag: str) -> list[str]:
        return re.findall(f"<{tag}>(.*?)</{tag}>", self.body.decode(), re.DOTALL)


class RawClient:
    """One keep-alive connection; requests are signed with V1.

    Header values are UTF-8 both ways; other bytes are surrogates, as `surrogateescape` has it.
    """

    def __init__(self, port: int, *, bucket: str = "bucket") -> None:
        self.bucket = bucket
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def head(self, method: str, target: str, headers: Mapping[str, str] | None = None) -> bytes:
        """A signed head for `/key?query`, with the bucket put before it."""
        full = f"/{self.bucket}{target}"
        fields = {"Host": "127.0.0.1", "Date": email.utils.formatdate(usegmt=True)}
        fields |= headers or {}
        fields.setdefault("Authorization", v1_authorization(method, full, fields))
        lines = [f"{method} {full} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def send(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        fields = {"Content-Length": str(len(body)), **(headers or {})}
        self.socket.sendall(self.head(method, target, fields) + body)

    def call(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        self.send(method, target, body, headers)
        return self.reply(has_body=method != "HEAD")

    def reply(self, *, has_body: bool = True) -> Reply:
        """Read an answer; ConnectionError when there is none, or only a piece of one."""
        status = int(self._line().split()[1])
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip(" \t")
        if status == 100:
            return Reply(status, headers, b"")
        length = int(headers.get("content-length", "0")) if has_body else 0
        body = self._file.read(length)
        if len(body) < length:
            raise ConnectionError("the answer ended early")
        return Reply(status, headers, body)

    def is_closed(self) -> bool:
        return self._file.read(1) == b""

    def initiate(self, key: str = "key", headers: Mapping[str, str] | None = None) -> str:
        reply = self.call("POST", f"/{key}?uploads", headers=headers)
        assert reply.status == 200, reply
        return reply.find("UploadId")

    def put_part(self, upload_id: str, number: int, data: bytes, key: str = "key") -> str:
        """Upload a part; returns its ETag with the quotes."""
        reply = self.call("PUT", f"/{key}?partNumber={number}&uploadId={upload_id}", data)
        assert reply.status == 200, reply
        return reply.headers["etag"]

    def complete(
        self,
        upload_id: str,
        parts: Iterable[tuple[int, str]],
        key: str = "key",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        body = complete_body(parts)
        return self.call("POST", f"/{key}?uploadId={upload_id}", body, headers)

    def _line(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the answer ended early")
        return line.removesuffix(b"\r\n").decode("utf-8", "surrogateescape")


def complete_body(parts: Iterable[tuple[int, str]]) -> bytes:
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def v1_authorization(
    method: str, target: str, headers: Mapping[str, str], secret: str = DEFAULT_ACCESS_KEY_SECRET
) -> str:
    """The V1 signature of a request; written here so as not to trust the server's own."""
    path, _, query = target.partition("?")
    fields = {name.lower(): value for name, value in headers.items()}
    oss = "".join(f"{n}:{fields[n]}\n" for n in sorted(fields) if n.startswith("x-oss-"))
    fields_of_query = [field.removesuffix("=") for field in query.split("&")]
    kept = [field for field in fields_of_query if field.partition("=")[0] in _SIGNED]
    kept.sort(key=lambda field: field.partition("=")[0])
    resource = unquote(path) + ("?" + unquote("&".join(kept)) if kept else "")
    text = "\n".join(
        (
            method,
            fields.get("content-md5", ""),
            fields.get("content-type", ""),
            fields.get("x-oss-date") or fields.get("date", ""),
            oss + resource,
        )
    )
    digest = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    return f"OSS {DEFAULT_ACCESS_KEY_ID}:{base64.b64encode(digest).decode()}"


def v4_headers(
    method: str, target: str, headers: Mapping[str, str], scope: str = "cn-hangzhou/oss"
) -> dict[str, str]:
    """The headers that sign a request without a query by V4; written here for the same reason."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{moment[:8]}/{scope}/aliyun_v4_request"
    signing = {"x-oss-date": moment, "x-oss-content-sha256": "UNSIGNED-PAYLOAD"}
    fields = {name.lower(): value for name, value in {**headers, **signing}.items()}
    signed = sorted(
        name
        for name in fields
        if name.startswith("x-oss-") or name in ("content-type", "content-md5")
    )
    lines = "".join(f"{name}:{fields[name]}\n" for name in signed)
    canonical = f"{method}\n{target}\n\n{lines}\n\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    text = f"OSS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    key = f"aliyun_v4{DEFAULT_ACCESS_KEY_SECRET}".encode()
    for step in (*scope.split("/"), text):
        key = hmac.digest(key, step.encode(), "sha256")
    credential = f"Credential={DEFAULT_ACCESS_KEY_ID}/{scope}"
    authorization = f"OSS4-HMAC-SHA256 {credential},Signature={key.hex()}"
    return signing | {"Authorization": authorization}
