"""What the sink knows: the digests it was told, the parts and objects that arrived."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from tests.bench.digests import SourceDigests
from tests.bench.messages import Answer, Request

_PAGE = 1000
_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")


@dataclass(slots=True)
class Arrived:
    """What came for one key.

    Attributes:
        payload: Bytes of payload, those sent twice counted twice.
        parts: Sizes of the parts that stand, by number.
        object_parts: Sizes of the parts of the finished object; `{1: size}` if it was put.
        requests: How often each operation was asked for.
        refused: Part numbers that are refused, once each.
    """

    payload: int = 0
    parts: dict[int, int] = field(default_factory=dict)
    object_parts: dict[int, int] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    refused: set[int] = field(default_factory=set)

    def as_json(self) -> bytes:
        """For the benchmark."""
        return json.dumps(
            {
                "payload": self.payload,
                "object_parts": sorted(self.object_parts.items()),
                "requests": dict(self.requests),
            }
        ).encode()


class Store:
    """Answers requests. A key is `<label>/<anything>`, the label that of a table of digests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: dict[str, SourceDigests] = {}
        self._arrived: dict[str, Arrived] = {}

    def control(self, request: Request, body: bytes) -> Answer:
        """What the benchmark itself asks.

        `digests/<label>`: these will arrive. `refuse/<key>`: refuse a part once. `recount/<key>`:
        count anew. `arrived/<key>`: what came; it is told once, and then forgotten.
        """
        what, _, name = request.path.removeprefix("/-/").partition("/")
        with self._lock:
            if what == "digests":
                self._digests[name] = SourceDigests.from_json(json.loads(body))
                return Answer()
            if what == "refuse":
                self._of(name).refused = {int(request.query["part"])}
                return Answer()
            if what == "recount":
                self._arrived[name] = Arrived(parts=self._of(name).parts)
                return Answer()
            if what == "arrived":
                return Answer(body=self._arrived.pop(name, Arrived()).as_json())
        return Answer(404)

    def answer(self, request: Request, payload: int, body: bytes) -> Answer:
        """What a client asks, once its body was taken."""
        operation, answer = _OPERATIONS.get(_kind(request), ("Other", Store._other))
        with self._lock:
            arrived = self._of(request.key)
            arrived.requests[operation] += 1
            arrived.payload += payload
            return answer(self, request, payload, body)

    def _of(self, key: str) -> Arrived:
        return self._arrived.setdefault(key, Arrived())

    def _known(self, key: str) -> SourceDigests | None:
        return self._digests.get(key.partition("/")[0])

    def _initiate(self, request: Request, _payload: int, _body: bytes) -> Answer:
        self._of(request.key).parts.clear()
        upload_id = f"<UploadId>{'0004B9894A22E5B1888A1E29F8236E2D'}</UploadId>"
        return _xml("InitiateMultipartUploadResult", _place(request) + upload_id)

    def _upload_part(self, request: Request, payload: int, _body: bytes) -> Answer:
        arrived, number = self._of(request.key), int(request.query["partNumber"])
        if number in arrived.refused:
            arrived.refused.remove(number)
            return Answer(403, body=b"<Error><Code>AccessDenied</Code></Error>")
        arrived.parts[number] = payload
        return Answer(headers=self._part_headers(request.key, number, payload))

    def _part_headers(self, key: str, number: int, size: int) -> dict[str, str]:
        known = self._known(key)
        if known is not None and number <= len(known.parts):
            part = known.parts[number - 1]
            if part.size == size:
                return {"ETag": f'"{part.md5}"', "x-oss-hash-crc64ecma": str(part.crc64)}
        return {"ETag": f'"{number:032X}"'}

    def _list_parts(self, request: Request, _payload: int, _body: bytes) -> Answer:
        marker = int(request.query.get("part-number-marker") or 0)
        rows = min(_PAGE, int(request.query.get("max-parts") or _PAGE))
        parts = sorted(p for p in self._of(request.key).parts.items() if p[0] > marker)
        page = "".join(self._row(request.key, *part) for part in parts[:rows])
        truncated = len(parts) > rows
        following = parts[:rows][-1][0] if parts else marker
        told = (
            f"<UploadId>{request.query['uploadId']}</UploadId><MaxParts>{rows}</MaxParts>"
            f"<PartNumberMarker>{marker}</PartNumberMarker>"
            f"<NextPartNumberMarker>{following}</NextPartNumberMarker>"
            f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{page}"
        )
        return _xml("ListPartsResult", _place(request) + told)

    def _row(self, key: str, number: int, size: int) -> str:
        told = self._part_headers(key, number, size)
        crc = told.get("x-oss-hash-crc64ecma")
        return (
            f"<Part><PartNumber>{number}</PartNumber><Size>{size}</Size>"
            f"<ETag>{told['ETag'].replace(chr(34), '&quot;')}</ETag>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            + (f"<HashCrc64ecma>{crc}</HashCrc64ecma>" if crc else "")
            + "</Part>"
        )

    def _complete(self, request: Request, _payload: int, body: bytes) -> Answer:
        arrived = self._of(request.key)
        named = [int(number) for number in _NUMBER.findall(body)]
        if not named or any(number not in arrived.parts for number in named):
            return Answer(400, body=b"<Error><Code>InvalidPart</Code></Error>")
        arrived.object_parts = {number: arrived.parts[number] for number in named}
        arrived.parts.clear()
        etag = f"<ETag>&quot;{len(named):032X}-{len(named)}&quot;</ETag>"
        answer = _xml("CompleteMultipartUploadResult", _place(request) + etag)
        return Answer(200, {**answer.headers, **self._object_headers(request.key)}, answer.body)

    def _put(self, request: Request, payload: int, _body: bytes) -> Answer:
        self._of(request.key).object_parts = {1: payload}
        known = self._known(request.key)
        if known is not None and len(known.parts) == 1:
            return Answer(headers=self._part_headers(request.key, 1, payload))
        return Answer(headers={"ETag": f'"{payload:032X}"', **self._object_headers(request.key)})

    def _object_headers(self, key: str) -> dict[str, str]:
        known, parts = self._known(key), self._of(key).object_parts
        if known is None or sum(parts.values()) != known.size:
            return {}
        return {"x-oss-hash-crc64ecma": str(known.crc64)}

    def _head(self, request: Request, _payload: int, _body: bytes) -> Answer:
        arrived = self._of(request.key)
        if not arrived.object_parts:
            return Answer(404)
        now = formatdate(usegmt=True)
        size = str(sum(arrived.object_parts.values()))
        told = {"Content-Length": size, "ETag": f'"{1:032X}"', "Last-Modified": now, "Date": now}
        return Answer(headers={**told, **self._object_headers(request.key)})

    def _abort(self, request: Request, _payload: int, _body: bytes) -> Answer:
        self._of(request.key).parts.clear()
        return Answer(204)

    def _other(self, _request: Request, _payload: int, _body: bytes) -> Answer:
        return _xml("BucketInfo", "<Bucket><Name>examplebucket</Name></Bucket>")


_Handler = Callable[[Store, Request, int, bytes], Answer]
# By the method, and the parameter of the query that tells operations apart.
_OPERATIONS: dict[tuple[str, str], tuple[str, _Handler]] = {
    ("POST", "uploads"): ("InitiateMultipartUpload", Store._initiate),
    ("PUT", "uploadId"): ("UploadPart", Store._upload_part),
    ("GET", "uploadId"): ("ListParts", Store._list_parts),
    ("POST", "uploadId"): ("CompleteMultipartUpload", Store._complete),
    ("DELETE", "uploadId"): ("AbortMultipartUpload", Store._abort),
    ("PUT", ""): ("PutObject", Store._put),
    ("HEAD", ""): ("HeadObject", Store._head),
}


def _kind(request: Request) -> tuple[str, str]:
    telling = [name for name in ("uploadId", "uploads") if name in request.query]
    return request.method, telling[0] if telling else ""


def _place(request: Request) -> str:
    return f"<Bucket>examplebucket</Bucket><Key>{request.key}</Key>"


def _xml(root: str, inner: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{inner}</{root}>'.encode()
    return Answer(200, {"Content-Type": "application/xml"}, body)
