"""HTTP as the sink reads and writes it: just enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.bench.streams import Chunked, HungUpError, Wire, skip_signed_chunks


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def key(self) -> str:
        """The object's key: what follows the bucket in the path."""
        return self.path.lstrip("/").partition("/")[2]

    @property
    def is_payload(self) -> bool:
        """Whether the body is that of an object or a part, which is counted and dropped."""
        return self.method == "PUT" and bool(self.key) and not self.is_control

    @property
    def is_control(self) -> bool:
        """Whether the benchmark itself asks."""
        return self.path.startswith("/-/")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def on_the_wire(self, *, to_head: bool = False) -> bytes:
        """The bytes of the answer."""
        length = {} if "Content-Length" in self.headers else {"Content-Length": len(self.body)}
        told = {"Server": "sink", "x-oss-request-id": "5C06A3B67B8B5A3DA422299D"}
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            *(f"{name}: {text}" for name, text in {**told, **self.headers, **length}.items()),
        ]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head if to_head else head + self.body


def read_head(wire: Wire) -> Request | None:
    """The next request on a connection; None once it is closed."""
    try:
        method, target, _ = wire.line().decode("latin-1").split(" ")
    except HungUpError:
        return None
    headers = {}
    while line := wire.line():
        name, _, text = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = text.strip()
    split = urlsplit(target)
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    return Request(method, unquote(split.path), query, headers)


def drop_payload(request: Request, wire: Wire) -> int:
    """Drop the body, whatever it is wrapped in; the bytes of payload that were in it."""
    length = int(request.headers.get("content-length", 0))
    signed = "aws-chunked" in request.headers.get("content-encoding", "")
    if "chunked" in request.headers.get("transfer-encoding", ""):
        chunks = Chunked(wire)
        payload = skip_signed_chunks(chunks) if signed else 0
        return payload + chunks.finish()
    if signed:
        return skip_signed_chunks(wire)
    wire.skip(length)
    return length


def read_body(request: Request, wire: Wire) -> bytes:
    """The body of a request that is no payload."""
    return wire.read(int(request.headers.get("content-length", 0)))
