"""Answers as bytes: what is read from them, however they are cut, and what is refused."""

import itertools
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from resumable.oss import incoming
from resumable.oss.incoming import BrokenAnswerError, IncomingAnswer, Stream

PATIENCE = 60.0


class Pieces:
    """Receives bytes in pieces, as a socket may."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def recv(self, size: int, /) -> bytes:
        left = self._left or next(self._pieces, b"")
        self._left = left[size:]
        return left[:size]


def whole(data: bytes) -> Iterator[bytes]:
    return iter([data])


def by_bytes(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def by_sevens(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 7] for at in range(0, len(data), 7))


def rest(answer: IncomingAnswer) -> bytes:
    return b"".join(iter(lambda: answer.read(3), b""))


def body(stream: Stream, method: str) -> bytes:
    return rest(IncomingAnswer(stream, method, PATIENCE))


Cut = Callable[[bytes], Iterator[bytes]]
cuts = pytest.mark.parametrize("cut", [whole, by_bytes, by_sevens])

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

READ: dict[str, tuple[str, bytes, int, bytes, bool]] = {
    "a length": ("GET", OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "a length as a list": ("GET", OK + b"Content-Length: 2, 002,\r\n\r\nhi", 200, b"hi", False),
    "a length of many zeros": (
        "GET", OK + b"Content-Length: " + b"0" * 40 + b"2\r\n\r\nhi", 200, b"hi", False,
    ),
    "chunks as a list": (
        "GET", OK + b"Transfer-Encoding: , chunked,\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, b"x", False,
    ),
    "a chunk of many zeros": (
        "GET", CHUNKED + b"0" * 40 + b"1\r\nx\r\n000\r\n\r\n", 200, b"x", False,
    ),
    "no body": ("PUT", OK + b"Content-Length: 0\r\n\r\n", 200, b"", False),
    "the same length twice": (
        "GET", OK + b"Content-Length: 2\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False,
    ),
    "chunks": ("GET", CHUNKED + b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n", 200, b"hello!", False),
    "chunks in capitals": (
        "GET", OK + b"TRANSFER-ENCODING: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        200, b"0123456789", False,
    ),
    "trailers": ("GET", CHUNKED + b"1\r\nx\r\n0\r\nETag: a\r\nB: c\r\n\r\n", 200, b"x", False),
    "chunks and a length": (
        "GET",
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        200, b"x", True,
    ),
    "until it closes": ("GET", OK + b"\r\nhello", 200, b"hello", True),
    "lines that end with LF alone": (
        "GET", b"HTTP/1.1 200\nContent-Length: 1\n\nx", 200, b"x", False,
    ),
    "HTTP/1.0": ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", True),
    "close": (
        "GET", OK + b"Content-Length: 1\r\nConnection: keep-alive, Close\r\n\r\nx", 200, b"x", True,
    ),
    "HEAD": ("HEAD", OK + b"Content-Length: 5\r\n\r\n", 200, b"", False),
    "HEAD with chunks": ("HEAD", CHUNKED, 200, b"", False),
    "HEAD of an odd length": ("HEAD", OK + b"Content-Length: x\r\n\r\n", 200, b"", False),
    "204": ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", False),
    "204 with chunks": (
        "DELETE", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, b"", False,
    ),
    "304 with chunks": (
        "GET", b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", 304, b"", False,
    ),
    "304 with a length": ("GET", b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", 304, b"", False),
    "interim answers": (
        "PUT",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" + OK
        + b"Content-Length: 1\r\n\r\nx",
        200, b"x", False,
    ),
}  # fmt: skip


@cuts
@pytest.mark.parametrize("what", READ)
def test_answer_is_read_however_it_is_cut(what: str, cut: Cut) -> None:
    method, data, status, content, closes = READ[what]
    stream = Stream(Pieces(cut(data)))
    answer = IncomingAnswer(stream, method, PATIENCE)
    assert rest(answer) == content
    assert (answer.status, answer.closes, answer.is_over) == (status, closes, True)
    assert stream.is_empty


@cuts
def test_answers_follow_one_another(cut: Cut) -> None:
    told = [data for _, data, _, _, closes in READ.values() if not closes]
    methods = [method for method, _, _, _, closes in READ.values() if not closes]
    stream = Stream(Pieces(cut(b"".join(told))))
    for method, data in zip(methods, told, strict=True):
        assert (method, data, body(stream, method)) in {
            (row[0], row[1], row[3]) for row in READ.values()
        }
    assert stream.is_empty


def test_what_is_too_much_is_noticed() -> None:
    stream = Stream(Pieces(whole(OK + b"Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n")))
    answer = IncomingAnswer(stream, "GET", PATIENCE)
    assert (answer.read(9), answer.read(9), answer.is_over) == (b"x", b"", True)
    assert not stream.is_empty


def test_fields_are_told_by_names_in_lower_case() -> None:
    data = (
        OK + b"ETag: \t\"e\" \r\nX-OSS-Meta-A: 1\r\nx-oss-meta-a: 2\r\nEmpty:\r\n"
        b"x-oss-meta-b: \xe6\x97\xa5\r\nx-oss-meta-c: \xff\r\n"
        b"x-oss-request-id: a\rFORGED\x1b[31m\x00\r\nFolded:\r\n a \r\n\tb\r\n  c\r\n\r\n"
    )  # fmt: skip
    assert IncomingAnswer(Stream(Pieces(whole(data))), "GET", PATIENCE).fields == {
        "etag": '"e"',
        "x-oss-meta-a": "1, 2",
        "empty": "",
        "x-oss-meta-b": "日",
        "x-oss-meta-c": "\xff",
        "x-oss-request-id": "a FORGED [31m",
        "folded": "a b c",
    }


BROKEN = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "a status of no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status of other digits": b"HTTP/1.1 \xef\xbc\x92\xef\xbc\x90\xef\xbc\x90 OK\r\n\r\n",
    "a line that is no header": OK + b"hello\r\n\r\n",
    "a name with a space": OK + b"ETag : a\r\n\r\n",
    "a line that folds nothing": OK + b" b\r\n\r\n",
    "no name": OK + b": a\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a length of no number": OK + b"Content-Length: x\r\n\r\n",
    "a length with a sign": OK + b"Content-Length: +1\r\n\r\nx",
    "a length below zero": OK + b"Content-Length: -1\r\n\r\nx",
    "a length of too many digits": OK + b"Content-Length: " + b"1" * 5000 + b"\r\n\r\n",
    "a length of too many zeros": OK + b"Content-Length: " + b"0" * 5000 + b"1\r\n\r\nx",
    "a line that begins with a control character": OK + b"A: b\r\n\x01C: d\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "chunks twice": CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "a chunk of no size": CHUNKED + b"\r\nx\r\n0\r\n\r\n",
    "a chunk of a size below zero": CHUNKED + b"-1\r\nx\r\n0\r\n\r\n",
    "a chunk of a size with a sign": CHUNKED + b"+1\r\nx\r\n0\r\n\r\n",
    "a chunk of a size as in Python": CHUNKED + b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "a chunk of a size with a prefix": CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n",
    "a chunk of a size beyond all": CHUNKED + b"f" * 16 + b"\r\n",
    "a chunk that is longer": CHUNKED + b"1\r\nxyz\r\n0\r\n\r\n",
    "a chunk that is longer by a byte": CHUNKED + b"1\r\nxy\n0\r\n\r\n",
    "trailers that are none": CHUNKED + b"0\r\nhello\r\n\r\n",
    "a head of too many lines": OK + b"A: b\r\n" * 2001 + b"\r\n",
    "a head of too many bytes": OK + (b"A: " + b"b" * 1000 + b"\r\n") * 70 + b"\r\n",
    "a line without an end": OK + b"A" * 70_000,
}


@cuts
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_answer_is_refused(what: str, cut: Cut) -> None:
    with pytest.raises(BrokenAnswerError):
        body(Stream(Pieces(cut(BROKEN[what]))), "GET")


@pytest.mark.parametrize("what", sorted(set(READ) - {"until it closes"}))
def test_answer_that_ends_too_early_is_a_lost_connection(what: str) -> None:
    method, data, _, _, _ = READ[what]
    for end in range(len(data)):
        with pytest.raises(ConnectionResetError):
            body(Stream(Pieces(whole(data[:end]))), method)


@pytest.mark.parametrize(("data", "told"), [(b"", "without an answer"), (b"H", "too early")])
def test_no_answer_is_told_from_half_of_one(data: bytes, told: str) -> None:
    with pytest.raises(ConnectionResetError, match=told):
        body(Stream(Pieces(whole(data))), "GET")


def test_pause_of_the_reader_is_none_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 0.0)
    monkeypatch.setattr(incoming, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    answer = IncomingAnswer(Stream(Pieces(by_bytes(CHUNKED + b"1\r\nx\r\n0\r\n\r\n"))), "GET", 5.0)
    clock = itertools.count(1000.0, 0.0)
    assert answer.read(9) == b"x"
    clock = itertools.count(9000.0, 0.0)
    assert answer.read(9) == b""


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 100 Continue\r\n\r\n" * 999, OK + b"A: b" * 999, CHUNKED + b"0" * 999],
    ids=["interim answers", "a header", "a chunk's size"],
)
def test_lines_have_an_end_in_time(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    clock = itertools.count(0.0, 0.1)
    monkeypatch.setattr(incoming, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(TimeoutError):
        IncomingAnswer(Stream(Pieces(by_bytes(data))), "GET", 5.0).read(1)
