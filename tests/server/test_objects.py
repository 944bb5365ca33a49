"""Whole objects: reading stretches of them, conditions, digests, keys."""

import email.utils
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest

from .raw import RawClient, md5_header, v1_authorization

KEYS = [
    "a b",
    "a+b",
    "a&b=c",
    "100%",
    "%41",
    "%2F",
    "a#b",
    "what?",
    "中文/文件",
    "🎉.bin",
    ".hidden",
    "..",
    "../../etc/passwd",
    "a/../b",
    "a/./b",
    "a//b",
    "a/",
    "a\\b",
    "~tilde*'()!",
    "line\nbreak\ttab",
    "x" * 1023,
    "中" * 341,
]


@pytest.mark.parametrize("encode_slash", [True, False])
@pytest.mark.parametrize("key", KEYS)
def test_key_is_taken_literally(client: RawClient, key: str, *, encode_slash: bool) -> None:
    target = "/" + quote(key, safe="" if encode_slash else "/")
    assert client.call("PUT", target, key.encode()).status == 200
    assert client.call("GET", target).body == key.encode()
    upload_id = client.initiate(target[1:])
    listed = client.call("GET", "/?uploads&encoding-type=url&prefix=" + quote(key, safe=""))
    assert listed.all("UploadId") == [upload_id]


def test_keys_that_look_alike_are_different(client: RawClient) -> None:
    for key in KEYS:
        client.call("PUT", "/" + quote(key), key.encode())
    for key in KEYS:
        assert client.call("GET", "/" + quote(key)).body == key.encode()


@pytest.mark.parametrize(
    "target", ["/%2Fa", "//a", "/%5Ca", "/" + "x" * 1024, "/" + quote("中" * 342), "/%FF"]
)
def test_impossible_key_is_refused(client: RawClient, target: str) -> None:
    reply = client.call("PUT", target, b"x")
    assert (reply.status, reply.code) == (400, "InvalidObjectName")


@pytest.mark.parametrize("bucket", ["UPPER", "-x", "x_%20", ""])
def test_impossible_bucket_is_refused(client: RawClient, bucket: str) -> None:
    client.bucket = bucket
    reply = client.call("PUT", "/key", b"x")
    assert (reply.status, reply.code) == (400, "InvalidBucketName")


def test_virtual_host_names_the_bucket(client: RawClient) -> None:
    client.call("PUT", "/key", b"x")
    date = email.utils.formatdate(usegmt=True)
    signature = v1_authorization("GET", "/bucket/key", {"Date": date})
    client.socket.sendall(
        f"GET /key HTTP/1.1\r\nHost: bucket.oss-local.example:80\r\nDate: {date}\r\n"
        f"Authorization: {signature}\r\n\r\n".encode()
    )
    assert client.reply().body == b"x"


def test_put_object_answers_with_its_checksums(client: RawClient) -> None:
    reply = client.call("PUT", "/key", b"123456789")
    assert reply.headers["etag"] == '"25F9E794323B453885F5181F1B624D0B"'
    assert reply.headers["x-oss-hash-crc64ecma"] == str(0x995DC9BBDF1939FA)
    found = client.call("HEAD", "/key").headers
    assert found["x-oss-object-type"] == "Normal"
    assert found["content-type"] == "application/octet-stream"
    assert found["x-oss-hash-crc64ecma"] == reply.headers["x-oss-hash-crc64ecma"]


@pytest.mark.parametrize("digest", ["nonsense", "AAAA", md5_header(b"other")])
@pytest.mark.parametrize("target", ["/key", "/key?partNumber=1&uploadId={}"])
def test_wrong_content_md5_stores_nothing(
    client: RawClient, blobs: Callable[[], int], target: str, digest: str
) -> None:
    upload_id = client.initiate()
    reply = client.call("PUT", target.format(upload_id), b"data", {"Content-MD5": digest})
    assert (reply.status, reply.code) == (400, "InvalidDigest")
    assert blobs() == 0
    assert client.call("HEAD", "/key").status == 404
    assert client.call("GET", f"/key?uploadId={upload_id}").all("Part") == []


STRICT = {"x-oss-range-behavior": "standard"}


@pytest.mark.parametrize(
    ("text", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-12", 200, b"0123456789", ""),
        ("bytes=5-4", 200, b"0123456789", ""),
        ("bytes=-0", 200, b"0123456789", ""),
        ("bytes=a-b", 200, b"0123456789", ""),
        ("bytes=-", 200, b"0123456789", ""),
    ],
)
def test_range(client: RawClient, text: str, status: int, body: bytes, content_range: str) -> None:
    client.call("PUT", "/key", b"0123456789")
    lax = client.call("GET", "/key", headers={"Range": text})
    assert (lax.status, lax.body) == (status, body)
    assert lax.headers.get("content-range", "") == content_range
    strict = client.call("GET", "/key", headers={"Range": text} | STRICT)
    assert strict.status == (206 if status == 206 else 416)
    assert strict.code == ("" if status == 206 else "InvalidRange")
    whole = client.call("HEAD", "/key").headers["x-oss-hash-crc64ecma"]
    assert lax.headers["x-oss-hash-crc64ecma"] == whole


def test_range_crosses_parts(client: RawClient) -> None:
    upload_id = client.initiate()
    data = [bytes([number]) * 102_400 for number in (1, 2, 3)]
    parts = [(n, client.put_part(upload_id, n, piece)) for n, piece in enumerate(data, start=1)]
    client.complete(upload_id, parts)
    reply = client.call("GET", "/key", headers={"Range": "bytes=102399-204800"})
    assert reply.body == b"\1" + b"\2" * 102_400 + b"\3"


def date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"781E5E245D69B566979B86E28D23F2C7"'}, 200),
        ({"If-Match": '"OTHER"'}, 412),
        ({"If-None-Match": '"781E5E245D69B566979B86E28D23F2C7"'}, 304),
        ({"If-None-Match": '"OTHER"'}, 200),
        ({"If-Modified-Since": date(86_400)}, 304),
        ({"If-Modified-Since": date(-86_400)}, 200),
        ({"If-Unmodified-Since": date(-86_400)}, 412),
        ({"If-Unmodified-Since": date(86_400)}, 200),
        ({"If-Unmodified-Since": "nonsense"}, 200),
    ],
)
def test_conditions(client: RawClient, method: str, headers: dict[str, str], status: int) -> None:
    client.call("PUT", "/key", b"0123456789")
    reply = client.call(method, "/key", headers=headers)
    assert reply.status == status
    assert reply.code == ("PreconditionFailed" if status == 412 else "")


def test_deleted_object_is_gone(client: RawClient, blobs: Callable[[], int]) -> None:
    client.call("PUT", "/key", b"x")
    assert client.call("DELETE", "/key").status == 204
    assert client.call("DELETE", "/key").status == 204
    assert (client.call("GET", "/key").code, blobs()) == ("NoSuchKey", 0)


def test_replaced_object_leaves_no_blob(client: RawClient, blobs: Callable[[], int]) -> None:
    client.call("PUT", "/key", b"old")
    client.call("PUT", "/key", b"new")
    assert (client.call("GET", "/key").body, blobs()) == (b"new", 1)


@pytest.mark.parametrize(
    ("target", "code"), [("/key", "NoSuchKey"), ("/key?objectMeta", "NoSuchKey")]
)
def test_error_of_a_head_is_in_a_header(client: RawClient, target: str, code: str) -> None:
    client.call("PUT", "/other", b"x")
    reply = client.call("HEAD", target)
    assert (reply.status, reply.code, reply.body) == (404, code, b"")
    assert reply.headers["content-length"] == "0"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_unknown_bucket(client: RawClient, method: str) -> None:
    reply = client.call(method, "/key")
    assert (reply.status, reply.code) == (404, "NoSuchBucket")


def test_bucket_can_be_made_and_located(client: RawClient) -> None:
    assert client.call("GET", "/?location").code == "NoSuchBucket"
    assert client.call("PUT", "/").status == 200
    assert b"<LocationConstraint>" in client.call("GET", "/?location").body


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PUT", "/key?acl"),
        ("POST", "/key?append&position=0"),
        ("GET", "/?bucketInfo"),
        ("DELETE", "/"),
        ("PATCH", "/key"),
    ],
)
def test_what_is_not_implemented_says_so(client: RawClient, method: str, target: str) -> None:
    reply = client.call(method, target)
    assert (reply.status, reply.code) == (501, "NotImplemented")


def test_every_answer_has_the_headers_all_have(client: RawClient) -> None:
    for target in ("/key", "/absent"):
        headers = client.call("GET" if target == "/absent" else "PUT", target).headers
        assert len(headers["x-oss-request-id"]) == 24
        assert headers["server"] == "AliyunOSS"
        assert email.utils.parsedate_to_datetime(headers["date"]).timestamp() == pytest.approx(
            time.time(), abs=10
        )
