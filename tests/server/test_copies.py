"""Objects and parts that are made of what is already here."""

import email.utils
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from resumable.server import LocalServer

from .raw import RawClient, Reply
from .witnesses import alibabacloud_oss_v2, classic_bucket, new_client

DATA = b"0123456789"
ETAG = '"781E5E245D69B566979B86E28D23F2C7"'
SOURCE = {"x-oss-copy-source": "/bucket/source"}
ODD_KEYS = ["a b+c&d%20?#=", "中文/🎉", "..", "line\nbreak", "?versionId=x"]

Copy = Callable[[RawClient, dict[str, str]], Reply]


def copy_object(client: RawClient, headers: dict[str, str]) -> Reply:
    return client.call("PUT", "/key", headers=SOURCE | headers)


def copy_part(client: RawClient, headers: dict[str, str]) -> Reply:
    upload_id = client.initiate()
    return client.call("PUT", f"/key?partNumber=1&uploadId={upload_id}", headers=SOURCE | headers)


COPIES = [copy_object, copy_part]


def date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": ETAG}, 200),
        ({"if-match": '"OTHER"'}, 412),
        ({"if-none-match": ETAG}, 304),
        ({"if-none-match": '"OTHER"'}, 200),
        ({"if-modified-since": date(86_400)}, 304),
        ({"if-modified-since": date(-86_400)}, 200),
        ({"if-unmodified-since": date(-86_400)}, 412),
        ({"if-unmodified-since": date(86_400)}, 200),
    ],
)
def test_conditions_on_the_source(
    client: RawClient,
    blobs: Callable[[], int],
    copy: Copy,
    headers: dict[str, str],
    status: int,
) -> None:
    client.call("PUT", "/source", DATA)
    conditions = {f"x-oss-copy-source-{name}": value for name, value in headers.items()}
    reply = copy(client, conditions)
    assert (reply.status, reply.code) == (status, "PreconditionFailed" if status == 412 else "")
    assert blobs() == (2 if status == 200 else 1)


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("/bucket/absent", 404, "NoSuchKey"),
        ("/nobucket/source", 404, "NoSuchBucket"),
        ("/bucket/source?versionId=null", 200, ""),
        ("/bucket/source?versionId=CAEQ", 404, "NoSuchVersion"),
        ("/bucket/source?other", 400, "InvalidArgument"),
        ("bucket/source", 400, "InvalidArgument"),
        ("/bucket/", 400, "InvalidArgument"),
        ("/bucket", 400, "InvalidArgument"),
        ("/bucket/%FF", 400, "InvalidArgument"),
        ("", 400, "InvalidArgument"),
    ],
)
def test_source_has_to_be_there(
    client: RawClient, copy: Copy, source: str, status: int, code: str
) -> None:
    client.call("PUT", "/source", DATA)
    reply = copy(client, {"x-oss-copy-source": source})
    assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_key_of_the_source_is_encoded(client: RawClient, key: str) -> None:
    client.call("PUT", "/" + quote(key), DATA)
    source = {"x-oss-copy-source": "/bucket/" + quote(key)}
    assert copy_object(client, source).find("ETag") == ETAG
    assert client.call("GET", "/key").body == DATA


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("bytes=2-4", 200, ""),
        ("bytes=0-9", 200, ""),
        ("bytes=9-9", 200, ""),
        ("bytes=2-10", 416, "InvalidRange"),
        ("bytes=10-10", 416, "InvalidRange"),
        ("bytes=4-2", 416, "InvalidRange"),
        ("bytes=2-", 400, "InvalidArgument"),
        ("bytes=-2", 400, "InvalidArgument"),
        ("2-4", 400, "InvalidArgument"),
    ],
)
def test_range_of_a_copied_part(client: RawClient, text: str, status: int, code: str) -> None:
    client.call("PUT", "/source", DATA)
    upload_id = client.initiate()
    headers = SOURCE | {"x-oss-copy-source-range": text}
    reply = client.call("PUT", f"/key?partNumber=1&uploadId={upload_id}", headers=headers)
    assert (reply.status, reply.code) == (status, code)
    if status == 200:
        assert client.complete(upload_id, [(1, reply.find("ETag"))]).status == 200
        first, last = map(int, text.removeprefix("bytes=").split("-"))
        assert client.call("GET", "/key").body == DATA[first : last + 1]


DESCRIBED = {
    "Content-Type": "text/plain",
    "Cache-Control": "no-cache",
    "x-oss-meta-name": "中",
}
PLACED = {
    "x-oss-storage-class": "IA",
    "x-oss-object-acl": "private",
    "x-oss-server-side-encryption": "AES256",
}


def test_copy_takes_the_description_over_and_not_the_place(client: RawClient) -> None:
    client.call("PUT", "/source", DATA, DESCRIBED | PLACED | {"x-oss-tagging": "a=1"})
    ignored = {"Content-Type": "text/html", "x-oss-meta-other": "x", "x-oss-tagging": "b=2"}
    reply = copy_object(client, ignored)
    assert (reply.status, reply.find("ETag")) == (200, ETAG)
    found = client.call("HEAD", "/key").headers
    assert {name: found.get(name.lower()) for name in DESCRIBED} == DESCRIBED
    assert found["x-oss-storage-class"] == "Standard"
    assert "x-oss-server-side-encryption" not in found
    assert "x-oss-meta-other" not in found
    assert client.call("GET", "/key?acl").find("Grant") == "default"
    assert client.call("GET", "/key?tagging").all("Key") == ["a"]
    source = client.call("HEAD", "/source").headers
    assert found["x-oss-hash-crc64ecma"] == source["x-oss-hash-crc64ecma"]
    assert reply.headers["x-oss-hash-crc64ecma"] == source["x-oss-hash-crc64ecma"]


def test_copy_is_placed_as_it_says(client: RawClient) -> None:
    client.call("PUT", "/source", DATA)
    assert copy_object(client, PLACED).headers["x-oss-server-side-encryption"] == "AES256"
    assert client.call("HEAD", "/key").headers["x-oss-storage-class"] == "IA"
    assert client.call("GET", "/key?acl").find("Grant") == "private"


def test_copy_can_replace_the_description_and_the_tags(client: RawClient) -> None:
    client.call("PUT", "/source", DATA, DESCRIBED | {"x-oss-tagging": "a=1"})
    both = {"x-oss-metadata-directive": "REPLACE", "x-oss-tagging-directive": "Replace"}
    copy_object(client, both | {"x-oss-meta-other": "x", "x-oss-tagging": "b=2"})
    found = client.call("HEAD", "/key").headers
    assert found["x-oss-meta-other"] == "x"
    assert found["content-type"] == "application/octet-stream"
    assert "x-oss-meta-name" not in found
    assert client.call("GET", "/key?tagging").all("Key") == ["b"]


def test_copy_onto_itself_changes_the_description(
    client: RawClient, blobs: Callable[[], int]
) -> None:
    client.call("PUT", "/key", DATA, DESCRIBED)
    onto_itself = {"x-oss-copy-source": "/bucket/key", "x-oss-meta-other": "x"}
    assert copy_object(client, onto_itself).status == 200
    found = client.call("HEAD", "/key").headers
    assert found["x-oss-meta-other"] == "x"
    assert "x-oss-meta-name" not in found
    assert (client.call("GET", "/key").body, blobs()) == (DATA, 1)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-oss-metadata-directive": "MERGE"}, "InvalidArgument"),
        ({"x-oss-tagging-directive": "MERGE"}, "InvalidArgument"),
        ({"x-oss-storage-class": "Cheap"}, "InvalidArgument"),
        ({"x-oss-object-acl": "everybody"}, "InvalidArgument"),
        ({"x-oss-tagging-directive": "Replace", "x-oss-tagging": "a=b=c"}, "InvalidTag"),
    ],
)
def test_senseless_copy_is_refused(
    client: RawClient, blobs: Callable[[], int], headers: dict[str, str], code: str
) -> None:
    client.call("PUT", "/source", DATA)
    reply = copy_object(client, headers)
    assert (reply.status, reply.code, blobs()) == (400, code, 1)


def test_copy_may_not_overwrite_what_it_is_forbidden_to(
    server: LocalServer, client: RawClient, blobs: Callable[[], int]
) -> None:
    client.call("PUT", "/source", DATA)
    client.call("PUT", "/key", b"already here")
    forbid = {"x-oss-forbid-overwrite": "true"}
    refused = copy_object(client, forbid)
    assert (refused.status, refused.code, blobs()) == (409, "FileAlreadyExists", 2)
    assert client.call("GET", "/key").body == b"already here"
    assert copy_object(client, {"x-oss-forbid-overwrite": "false"}).status == 200
    assert [row.operation for row in server.log if "x-oss-copy-source" in row.headers] == [
        "CopyObject",
        "CopyObject",
    ]


def test_only_one_of_many_copies_that_may_not_overwrite_succeeds(
    server: LocalServer, connect: Callable[[], RawClient], blobs: Callable[[], int]
) -> None:
    clients = [connect() for _ in range(4)]
    clients[0].call("PUT", "/source", DATA)
    server.faults.add({"operation": "CopyObject", "effect": {"gate": "all"}, "times": 4})
    with ThreadPoolExecutor(4) as pool:
        forbid = {"x-oss-forbid-overwrite": "true"}
        calls = [pool.submit(copy_object, each, forbid) for each in clients]
        server.faults.wait_reached("all", count=4)
        server.faults.release("all")
        assert sorted(call.result(10).status for call in calls) == [200, 409, 409, 409]
    assert blobs() == 2


def test_copy_of_an_object_of_many_parts_is_whole(client: RawClient) -> None:
    upload_id = client.initiate("source")
    data = [bytes([at]) * 102_400 for at in range(3)]
    parts = [
        (at, client.put_part(upload_id, at, piece, "source")) for at, piece in enumerate(data, 1)
    ]
    client.complete(upload_id, parts, "source")
    assert copy_object(client, {}).status == 200
    assert client.call("GET", "/key").body == b"".join(data)
    assert client.call("HEAD", "/key").headers["x-oss-object-type"] == "Normal"


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_public_clients_copy(server: LocalServer, version: str) -> None:
    classic = classic_bucket(server, version)
    key = "a b+中"
    classic.put_object(key, DATA, headers={"x-oss-meta-name": "x"})
    assert classic.copy_object("bucket", key, "classic").etag == ETAG.strip('"')
    assert classic.head_object("classic").headers["x-oss-meta-name"] == "x"
    upload_id = classic.init_multipart_upload("parts").upload_id
    copied = classic.upload_part_copy("bucket", key, (2, 4), "parts", upload_id, 1)
    assert classic.list_parts("parts", upload_id).parts[0].etag == copied.etag
    sdk, client = alibabacloud_oss_v2, new_client(server, version)
    source = {"source_bucket": "bucket", "source_key": key}
    done = client.copy_object(sdk.CopyObjectRequest(bucket="bucket", key="new", **source))
    assert done.etag == ETAG
    part = client.upload_part_copy(
        sdk.UploadPartCopyRequest(
            bucket="bucket", key="parts", upload_id=upload_id, part_number=2, **source
        )
    )
    assert part.etag == ETAG
