"""What is fuzzed: each parser's entries, the errors they declare, and what to start from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from resumable.core.checkpoint import CheckpointFromFutureError, CheckpointUnreadableError, encode
from resumable.core.checkpoint_reading import decode
from resumable.core.integrity import PartDigest
from resumable.errors import (
    CredentialsError,
    IntegrityError,
    InvalidArgumentError,
    ProtocolError,
    ServerError,
)
from resumable.oss import configfiles, operations, roles
from resumable.oss.endpoint import Endpoint, check_bucket_name, check_key, check_region, region_of
from resumable.oss.messages import Answer, Request
from resumable.oss.refusals import refusal
from resumable.oss.xml import Document, UnreadableXmlError
from resumable.server.errors import OssError
from resumable.server.messages import parse_http_date
from resumable.server.routes import find_operation, parse_target
from resumable.server.signatures import parse_authorization
from resumable.server.xml import parse_part_list

FIXTURES = Path(__file__).parents[2] / "fixtures"
_SENT = PartDigest(9, 11051210869376104954, bytes.fromhex("25f9e794323b453885f5181f1b624d0b"))
_REQUEST = Request("HeadObject", "HEAD", "k")


@dataclass(frozen=True, slots=True)
class Entry:
    """A function that is given what came from outside, and the errors it declares.

    Attributes:
        longest: What is longer is cut off.
    """

    call: Callable[[bytes], object]
    declared: tuple[type[Exception], ...] = ()
    longest: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Parser:
    """Entries that read the same kind of input; each input goes to each of them.

    Attributes:
        longest: The bound on an input in bytes.
        sealed: Whether half of the inputs get the right checksum of a checkpoint.
    """

    entries: Mapping[str, Entry]
    seeds: Callable[[], Sequence[bytes]]
    tokens: Sequence[bytes]
    longest: int = 64 * 1024
    sealed: bool = field(default=False)


def _decoded(data: bytes) -> None:
    assert decode(encode(found := decode(data))) == found


def _answer(data: bytes) -> Answer:
    headers = {"x-oss-request-id": "R", "etag": '"E"', "x-oss-hash-crc64ecma": "1"}
    return Answer(200, headers, data)


def _head(data: bytes) -> Answer:
    """An answer of these headers, one in a line, as the transport hands them on."""
    lines = (line.partition(":") for line in data.decode("latin-1").split("\n"))
    headers = {name.strip().lower(): value.strip(" \t\r") for name, _, value in lines}
    return Answer(200 + len(data) % 304, headers, b"")


def _times(data: bytes) -> None:
    answer = _head(data)
    assert answer.server_time is None or abs(answer.server_time) < 1e12
    assert answer.retry_after is None or 0 <= answer.retry_after < 1e12


def _object(data: bytes) -> None:
    head = operations.read_head(_head(data))
    assert head.size >= 0
    assert head.age is None or abs(head.age) < 1e12
    assert isinstance(head.metadata, dict)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _endpoint(data: bytes) -> None:
    found = Endpoint.parse(_text(data))
    assert Endpoint.parse(str(found), style=found.style) == found
    assert found.origin("b").isprintable()
    assert found.region is None or check_region(found.region)


def _ossutil(data: bytes) -> None:
    _profile(configfiles._parse_ossutil(_text(data), None))
    _profile(configfiles._parse_ossutil(_text(data), "staging"))


def _alibaba_cloud(data: bytes) -> None:
    _profile(configfiles._parse_alibaba_cloud(_text(data), None))
    _profile(configfiles._parse_alibaba_cloud(_text(data), "staging"))


def _sdk(data: bytes) -> None:
    _profile(configfiles._parse_sdk(_text(data), None))
    _profile(configfiles._parse_sdk(_text(data), "staging"))


def _profile(found: roles.Values | str | None) -> None:
    if found is None or isinstance(found, str):
        return
    profile = configfiles.Profile("config", found)
    assert profile.endpoint is None or isinstance(profile.endpoint, str)
    assert profile.region is None or isinstance(profile.region, str)
    profile.credentials()


def _target(data: bytes) -> None:
    raw, _, host = data.decode("ascii", "replace").replace("\ufffd", "~").partition("\n")
    target = parse_target(raw, host)
    find_operation("PUT", target, {})


def _authorization(data: bytes) -> None:
    signature = parse_authorization(_text(data))
    assert signature is None or signature.version in ("v1", "v4")


def _stored(folder: str, pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((FIXTURES / folder).rglob(pattern))]


def _bodies() -> list[bytes]:
    return [body for one in _stored("wire", "*.http") if (body := one.partition(b"\n\n")[2])]


def _heads() -> list[bytes]:
    return [one.partition(b"\n\n")[0].partition(b"\n")[2] for one in _stored("wire", "*.http")]


_DATE = b"Fri, 24 Feb 2012 06:38:30 GMT"
_PARTS = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>E</ETag></Part>"
_V4 = b"OSS4-HMAC-SHA256 Credential=a/20260101/cn-hangzhou/oss/aliyun_v4_request,Signature=0f"
_INI = b"[default]\naccessKeyID = a\naccessKeySecret = b\n[profile staging]\nsource_profile=default"
_CLI = b'{"current":"a","profiles":[{"name":"a","mode":"AK","access_key_id":"b","region_id":"c"}]}'

# More digits than Python makes a number of.
_DIGITS = (b"0" * 5000, b"1" * 5000)
_XML_TOKENS = (
    *_DIGITS,
    b"<Part>", b"</Part>", b"<PartNumber>", b"</PartNumber>", b"<ETag>", b"</ETag>", b"<Size>",
    b"<HashCrc64ecma>", b"<LastModified>2012-02-23T07:01:34.000Z</LastModified>", b"<Upload>",
    b"<EncodingType>url</EncodingType>", b"<Key>%ff</Key>", b"<IsTruncated>true</IsTruncated>",
    b"<NextPartNumberMarker>", b"<NextKeyMarker>", b"<UploadId>", b"<Code>NoSuchUpload</Code>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<!ENTITY % b SYSTEM 'file:///etc/passwd'>", b"&b;",
    b"<?xml version='1.0' encoding='", b"utf-16'?>", b"foo'?>", b"hex'?>", b"<![CDATA[", b"]]>",
    b"<!--", b"xmlns='u'", b"xmlns:a='", b"<a:b>", b"&#0;", b"&#xd800;", b"&#x10ffff;",
    b"\xef\xbb\xbf",
    b"<ListPartsResult>", b"<ListMultipartUploadsResult>", b"<Error>", b"<Message>", b"\xff\xfe",
    b"<InitiateMultipartUploadResult>", b"<CompleteMultipartUploadResult>", b"<CopyPartResult>",
)  # fmt: skip
_HEADER_TOKENS = (
    *_DIGITS,
    b"\ndate: ", b"\nretry-after: ", b"\nlast-modified: ", b"\netag: ", b"\ncontent-length: ",
    b"\nx-oss-hash-crc64ecma: ", b"\nx-oss-err: ", b"\nx-oss-meta-a: ", b"\nx-oss-version-id: ",
    b"\nx-oss-server-side-encryption: AES256", b"\nx-oss-request-id: ", _DATE, b" -0000", b" +9999",
    b" -99999999", b" 0000 ", b" 9999 ", b" 99999 ", b"24:60:61", b"Sun, ", b" Feb ", b"GMT", b"()",
    b"(", b"\\", b'"', b"PEVycm9yPjxDb2RlPlg8L0NvZGU+PC9FcnJvcj4=", b"\xb2", b"\xa0", b"\x85",
)  # fmt: skip

PARSERS: dict[str, Parser] = {
    "checkpoint": Parser(
        {"decode": Entry(_decoded, (CheckpointUnreadableError, CheckpointFromFutureError))},
        lambda: _stored("checkpoints", "*.cp"),
        (
            b'"version":', b'"kind":', b'"parts":', b'"upload_id":', b'"checksum":', b"NaN", b"1e9",
            b"null", b"true", b"\\ud800", b"\\u0000", b"[[", b"}}", b",", b'"', b"-0", b"\xed\xa0",
        ),
        sealed=True,
    ),
    "xml": Parser(
        {
            "Document.parse": Entry(Document.parse, (UnreadableXmlError,)),
            "read_parts_page": Entry(
                lambda data: operations.read_parts_page(_answer(data), 0), (ProtocolError,)
            ),
            "read_uploads_page": Entry(
                lambda data: operations.read_uploads_page(_answer(data), ("", "")), (ProtocolError,)
            ),
            "read_initiated": Entry(
                lambda data: operations.read_initiated(_answer(data)), (ProtocolError,)
            ),
            "read_completed": Entry(
                lambda data: operations.read_completed(_answer(data), {}), (ProtocolError,)
            ),
            "read_copied_part": Entry(
                lambda data: operations.read_copied_part(_answer(data), 1), (ProtocolError,)
            ),
            "refusal": Entry(lambda data: _refused(_answer(data))),
        },
        _bodies,
        _XML_TOKENS,
    ),
    "headers": Parser(
        {
            "times": Entry(_times),
            "read_head": Entry(_object, (ProtocolError,)),
            "read_uploaded_part": Entry(
                lambda data: operations.read_uploaded_part(_head(data), 1, _SENT),
                (ProtocolError, IntegrityError),
            ),
            "read_put": Entry(
                lambda data: operations.read_put(_head(data), _SENT, {"x-oss-callback": "c"}),
                (ProtocolError, IntegrityError),
            ),
            "refusal": Entry(lambda data: _refused(_head(data))),
        },
        lambda: [*_heads(), b"date: " + _DATE + b"\nretry-after: " + _DATE],
        _HEADER_TOKENS,
        longest=16 * 1024,
    ),
    "endpoint": Parser(
        {
            "Endpoint.parse": Entry(_endpoint, (InvalidArgumentError,)),
            "region_of": Entry(lambda data: region_of(_text(data))),
            "check_key": Entry(lambda data: check_key(_text(data)), (InvalidArgumentError,)),
            "check_bucket_name": Entry(
                lambda data: check_bucket_name(_text(data)), (InvalidArgumentError,)
            ),
            "check_region": Entry(lambda data: check_region(_text(data)), (InvalidArgumentError,)),
        },
        lambda: [
            b"https://oss-cn-hangzhou.aliyuncs.com", b"http://127.0.0.1:8080", b"http://[::1]:80/",
            b"oss-accelerate.aliyuncs.com", b"localhost:9000", b"static.example.com",
        ],
        (
            b"https://", b"http://", b"//", b"@", b":", b"[", b"]", b"%25", b"\xe2\x84\xa2", b"?",
            b"#", b"oss-", b"-internal", b".aliyuncs.com", b"0x7f.1", b":99999", b":-1", b"::",
            b"\xef\xbd\xa1", b"xn--", b"\xc2\xad", b"\xe2\x80\xae", b"\xed\xa0\x80", b"%00",
            b"\xef\xbc\x8f",
        ),
    ),
    "configfiles": Parser(
        {
            "ossutil": Entry(_ossutil, (CredentialsError,)),
            "alibaba_cloud": Entry(_alibaba_cloud, (CredentialsError,)),
        },
        lambda: [_INI, _CLI, b"[Credentials]\naccessKeyID=a\nendpoint=oss-cn-a.aliyuncs.com"],
        (
            b"[default]", b"[profile a]", b"\n[", b"]\n", b"=", b"\n ", b"\n\t", b"#", b";",
            b"%(a)s", b"source_profile=", b"mode=", b"StsToken", b"ramRoleArn", b'"',
            b'"profiles":[',
            b'"name":', b'"current":', b"\\ud800", b"\x85", b"\xe2\x80\xa8", b"\x1c", b"\r",
            b"\xc4\xb0",
        ),
    ),
    "server": Parser(
        {
            # Linear, but 64 KiB of nothing but separators take a busy machine 50 ms.
            "parse_target": Entry(_target, (OssError,), longest=16 * 1024),
            "parse_part_list": Entry(parse_part_list, (OssError,)),
            "parse_authorization": Entry(_authorization),
            "parse_http_date": Entry(lambda data: parse_http_date(_text(data))),
        },
        lambda: [
            b"/bucket/key?uploadId=U&partNumber=1\n127.0.0.1:80", b"/key\nbucket.oss.example.com",
            _PARTS + b"</CompleteMultipartUpload>", _V4, b"OSS id:signature", _DATE,
        ],
        (*_XML_TOKENS[:12], *_HEADER_TOKENS[11:], b"%2e%2e%2f", b"%ff", b"+", b"&", b"\n["),
    ),
}  # fmt: skip


def _refused(answer: Answer) -> None:
    assert isinstance(error := refusal(_REQUEST, answer), ServerError)
    assert str(error)
