"""The life of a multipart upload: what is refused, and what becomes of the parts."""

from collections.abc import Callable

import pytest

from resumable.server import LocalServer

from .raw import RawClient, complete_body, md5_header

KB100 = 102_400


def test_parts_become_one_object(client: RawClient) -> None:
    headers = {
        "Content-Type": "text/plain",
        "Cache-Control": "no-cache",
        "Content-Disposition": "attachment",
        "Content-Encoding": "br",
        "Expires": "Wed, 08 Jul 2037 16:57:01 GMT",
        "x-oss-meta-owner": "me",
        "x-oss-storage-class": "IA",
        "x-oss-tagging": "a=1&b=2",
        "x-oss-object-acl": "private",
        "x-oss-server-side-encryption": "AES256",
    }
    upload_id = client.initiate(headers=headers)
    second = client.put_part(upload_id, 7, b"tail")
    first = client.put_part(upload_id, 2, b"x" * KB100)
    done = client.complete(upload_id, [(2, first), (7, second)])
    assert done.status == 200
    assert done.find("Bucket") == "bucket"
    assert done.find("Key") == "key"
    assert done.find("Location").endswith("/bucket/key")
    assert done.find("ETag").strip('"').endswith("-2")
    found = client.call("HEAD", "/key").headers
    for name, value in headers.items():
        if name not in ("x-oss-tagging", "x-oss-object-acl"):
            assert found[name.lower()] == value
    assert found["x-oss-tagging-count"] == "2"
    assert found["x-oss-object-type"] == "Multipart"
    assert found["content-length"] == str(KB100 + 4)
    assert found["x-oss-hash-crc64ecma"] == done.headers["x-oss-hash-crc64ecma"]
    assert client.call("GET", "/key").body == b"x" * KB100 + b"tail"
    assert client.call("GET", "/key?tagging").all("Value") == ["1", "2"]
    assert client.call("GET", "/key?acl").find("Grant") == "private"


def test_part_answers_with_its_checksums(client: RawClient) -> None:
    upload_id = client.initiate()
    target = f"/key?partNumber=1&uploadId={upload_id}"
    reply = client.call("PUT", target, b"123456789", {"Content-MD5": md5_header(b"123456789")})
    assert reply.headers["etag"] == '"25F9E794323B453885F5181F1B624D0B"'
    assert reply.headers["x-oss-hash-crc64ecma"] == str(0x995DC9BBDF1939FA)
    assert reply.headers["content-md5"] == md5_header(b"123456789")
    listed = client.call("GET", f"/key?uploadId={upload_id}")
    assert listed.find("HashCrc64ecma") == str(0x995DC9BBDF1939FA)
    assert listed.find("ETag") == reply.headers["etag"]


def test_part_sent_again_replaces_the_part(client: RawClient, blobs: Callable[[], int]) -> None:
    upload_id = client.initiate()
    old = client.put_part(upload_id, 1, b"old")
    new = client.put_part(upload_id, 1, b"new")
    assert blobs() == 1
    assert client.complete(upload_id, [(1, old)]).code == "InvalidPart"
    assert client.complete(upload_id, [(1, new)]).status == 200
    assert client.call("GET", "/key").body == b"new"


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "1.0", "", "99999999999999999999"])
def test_part_number_out_of_range_is_refused(client: RawClient, number: str) -> None:
    upload_id = client.initiate()
    reply = client.call("PUT", f"/key?partNumber={number}&uploadId={upload_id}", b"x")
    assert (reply.status, reply.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([(2, "b"), (1, "a")], "InvalidPartOrder"),
        ([(1, "a"), (1, "a")], "InvalidPartOrder"),
        ([(1, "b")], "InvalidPart"),
        ([(1, "a"), (4, "a")], "InvalidPart"),
        ([(1, "a"), (2, "b"), (3, "c")], "EntityTooSmall"),
        ([(0, "a")], "InvalidArgument"),
        ([(10_001, "a")], "InvalidArgument"),
        ([], "MalformedXML"),
    ],
)
def test_wrong_list_of_parts_is_refused_and_nothing_is_lost(
    client: RawClient, parts: list[tuple[int, str]], code: str
) -> None:
    upload_id = client.initiate()
    etags = {
        "a": client.put_part(upload_id, 1, b"a" * KB100),
        "b": client.put_part(upload_id, 2, b"b" * (KB100 - 1)),
        "c": client.put_part(upload_id, 3, b"c"),
    }
    reply = client.complete(upload_id, [(number, etags[name]) for number, name in parts])
    assert (reply.status, reply.code) == (400, code)
    assert client.call("HEAD", "/key").status == 404
    assert client.complete(upload_id, [(1, etags["a"]), (2, etags["b"])]).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<Other><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></Other>",
        b"<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
        b'<!DOCTYPE a [<!ENTITY b "1">]><CompleteMultipartUpload>&b;</CompleteMultipartUpload>',
    ],
)
def test_malformed_list_of_parts_is_refused(client: RawClient, body: bytes) -> None:
    upload_id = client.initiate()
    reply = client.call("POST", f"/key?uploadId={upload_id}", body)
    assert (reply.status, reply.code) == (400, "MalformedXML")


def test_list_of_parts_that_is_too_long_is_refused(client: RawClient) -> None:
    upload_id = client.initiate()
    reply = client.call("POST", f"/key?uploadId={upload_id}", b" " * (2 * 1024 * 1024 + 1))
    assert (reply.status, reply.code) == (400, "EntityTooLarge")


def test_list_of_parts_that_is_not_the_one_announced_is_refused(client: RawClient) -> None:
    upload_id = client.initiate()
    body = complete_body([(1, client.put_part(upload_id, 1, b"x"))])
    target = f"/key?uploadId={upload_id}"
    refused = client.call("POST", target, body, {"Content-MD5": md5_header(body + b" ")})
    assert (refused.status, refused.code) == (400, "InvalidDigest")
    assert client.call("HEAD", "/key").status == 404
    assert client.call("POST", target, body, {"Content-MD5": md5_header(body)}).status == 200


def test_complete_all_takes_every_part(client: RawClient) -> None:
    upload_id = client.initiate()
    client.put_part(upload_id, 3, b"c")
    client.put_part(upload_id, 1, b"a" * KB100)
    every = {"x-oss-complete-all": "yes"}
    refused = client.complete(upload_id, [(1, "x")], headers=every)
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert client.call("POST", f"/key?uploadId={upload_id}", headers=every).status == 200
    assert client.call("GET", "/key").body == b"a" * KB100 + b"c"


def test_upload_is_gone_after_complete(client: RawClient) -> None:
    upload_id = client.initiate()
    etag = client.put_part(upload_id, 1, b"x")
    assert client.complete(upload_id, [(1, etag)]).status == 200
    gone = client.complete(upload_id, [(1, etag)])
    assert (gone.status, gone.code) == (404, "NoSuchUpload")


@pytest.mark.parametrize(
    ("method", "query"),
    [("PUT", "partNumber=1&uploadId="), ("GET", "uploadId="), ("DELETE", "uploadId=")],
)
def test_upload_is_gone_after_abort(
    client: RawClient, blobs: Callable[[], int], method: str, query: str
) -> None:
    upload_id = client.initiate()
    client.put_part(upload_id, 1, b"x")
    assert client.call("DELETE", f"/key?uploadId={upload_id}").status == 204
    assert blobs() == 0
    gone = client.call(method, f"/key?{query}{upload_id}", b"y" if method == "PUT" else b"")
    assert (gone.status, gone.code) == (404, "NoSuchUpload")
    assert blobs() == 0


def test_upload_belongs_to_its_key(client: RawClient) -> None:
    upload_id = client.initiate("one")
    reply = client.call("GET", f"/other?uploadId={upload_id}")
    assert (reply.status, reply.code) == (404, "NoSuchUpload")


def test_unlisted_parts_are_thrown_away(client: RawClient, blobs: Callable[[], int]) -> None:
    upload_id = client.initiate()
    etag = client.put_part(upload_id, 1, b"kept")
    client.put_part(upload_id, 2, b"not kept")
    assert client.complete(upload_id, [(1, etag)]).status == 200
    assert blobs() == 1


def test_forbidden_overwrite_is_refused_at_every_step(client: RawClient) -> None:
    upload_id = client.initiate()
    etag = client.put_part(upload_id, 1, b"x")
    client.call("PUT", "/key", b"already here")
    forbid = {"x-oss-forbid-overwrite": "true"}
    for reply in (
        client.complete(upload_id, [(1, etag)], headers=forbid),
        client.call("PUT", "/key", b"y", forbid),
        client.call("POST", "/key?uploads", headers=forbid),
    ):
        assert (reply.status, reply.code) == (409, "FileAlreadyExists")
    assert client.call("GET", "/key").body == b"already here"
    assert client.call("GET", f"/key?uploadId={upload_id}").all("PartNumber") == ["1"]
    assert client.complete(upload_id, [(1, etag)]).status == 200


def test_ten_thousand_parts_complete(server: LocalServer, client: RawClient) -> None:
    upload_id = client.initiate()
    etag = client.put_part(upload_id, 1, b"x" * KB100)
    # The same part, ten thousand times: the store is filled by hand to save the uploads.
    assert server._running is not None
    database = server._running._store._database
    row = database.execute("SELECT blob, size, etag, crc64, modified FROM parts").fetchone()
    rows = [(upload_id, number, *row) for number in range(2, 10_001)]
    database.execute("BEGIN")
    database.executemany("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    database.execute("COMMIT")
    done = client.complete(upload_id, [(number, etag) for number in range(1, 10_001)])
    assert done.find("ETag").endswith("-10000&quot;") or done.find("ETag").endswith('-10000"')
    assert client.call("HEAD", "/key").headers["content-length"] == str(KB100 * 10_000)


def test_parts_of_a_sequential_upload_come_in_order(
    client: RawClient, blobs: Callable[[], int]
) -> None:
    client.call("PUT", "/source", b"source")
    upload_id = client.call("POST", "/key?uploads&sequential").find("UploadId")
    for number in (2, 4, 5):
        client.put_part(upload_id, number, bytes([number]) * KB100)
    for headers in ({}, {"x-oss-copy-source": "/bucket/source"}):
        for number in (1, 2, 3, 4, 5):
            target = f"/key?partNumber={number}&uploadId={upload_id}"
            late = client.call("PUT", target, b"" if headers else b"late", headers)
            there = number in (2, 4, 5)
            assert (late.status, late.code) == (
                (409, "PartAlreadyExist") if there else (400, "PartNotSequential")
            )
    assert blobs() == 4
    assert client.call("GET", f"/key?uploadId={upload_id}").all("PartNumber") == ["2", "4", "5"]


def test_object_of_a_sequential_upload_has_its_md5(client: RawClient) -> None:
    parts = [b"a" * KB100, b"b"]
    for query, told in (("uploads&sequential", md5_header(b"".join(parts))), ("uploads", None)):
        upload_id = client.call("POST", f"/key?{query}").find("UploadId")
        etags = [client.put_part(upload_id, n, part) for n, part in enumerate(parts, start=1)]
        client.complete(upload_id, list(enumerate(etags, start=1)))
        assert client.call("HEAD", "/key").headers.get("content-md5") == told


def test_other_uploads_take_their_parts_in_any_order(client: RawClient) -> None:
    upload_id = client.initiate()
    for number in (2, 1, 3):
        client.put_part(upload_id, number, b"x")


def test_requester_who_pays_is_welcome(client: RawClient) -> None:
    payer = {"x-oss-request-payer": "requester"}
    upload_id = client.initiate(headers=payer)
    target = f"/key?partNumber=1&uploadId={upload_id}"
    etag = client.call("PUT", target, b"x", payer).headers["etag"]
    assert client.call("GET", f"/key?uploadId={upload_id}", headers=payer).status == 200
    assert client.complete(upload_id, [(1, etag)], headers=payer).status == 200
    for method in ("HEAD", "GET", "PUT"):
        assert client.call(method, "/key", headers=payer).status == 200
