"""The lists, a page at a time."""

import email.utils
import re
import time
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, unquote

import pytest

from resumable.server import LocalServer
from resumable.server.paging import Wanted
from resumable.server.records import UploadRecord

from .raw import RawClient, v1_authorization
from .witnesses import alibabacloud_oss_v2, classic_bucket, new_client, oss2


def test_parts_are_listed_in_pages(client: RawClient) -> None:
    upload_id = client.initiate()
    for number in (9, 1, 5, 10_000, 3):
        client.put_part(upload_id, number, b"x")
    marker, seen = "0", []
    while True:
        query = f"uploadId={upload_id}&max-parts=2&part-number-marker={marker}"
        page = client.call("GET", f"/key?{query}")
        seen.append(page.all("PartNumber"))
        marker = page.find("NextPartNumberMarker")
        if page.find("IsTruncated") == "false":
            break
    assert seen == [["1", "3"], ["5", "9"], ["10000"]]
    assert marker == "10000"
    assert page.find("MaxParts") == "2"
    assert page.find("LastModified").endswith(".000Z")


def test_list_of_no_parts_is_whole(client: RawClient) -> None:
    page = client.call("GET", f"/key?uploadId={client.initiate()}")
    assert (page.find("IsTruncated"), page.find("NextPartNumberMarker")) == ("false", "0")


@pytest.mark.parametrize(
    "query", ["max-parts=0", "max-parts=1001", "max-parts=x", "part-number-marker=-1"]
)
def test_senseless_page_of_parts_is_refused(client: RawClient, query: str) -> None:
    reply = client.call("GET", f"/key?uploadId={client.initiate()}&{query}")
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_keys_are_encoded_when_asked_for(client: RawClient) -> None:
    upload_id = client.initiate("a%20%E4%B8%AD%26")
    query = f"uploadId={upload_id}&encoding-type=url"
    listed = client.call("GET", f"/a%20%E4%B8%AD%26?{query}")
    assert (listed.find("Key"), listed.find("EncodingType")) == ("a%20%E4%B8%AD%26", "url")
    plain = client.call("GET", f"/a%20%E4%B8%AD%26?uploadId={upload_id}")
    assert plain.find("Key") == "a 中&amp;"
    refused = client.call("GET", f"/a%20%E4%B8%AD%26?uploadId={upload_id}&encoding-type=x")
    assert refused.code == "InvalidArgument"


def test_uploads_are_listed_in_pages(client: RawClient) -> None:
    ids = {key: [client.initiate(key), client.initiate(key)] for key in ("b", "a", "c")}
    expected = [upload_id for key in "abc" for upload_id in sorted(ids[key])]
    query, seen = "", []
    while True:
        page = client.call("GET", f"/?uploads&max-uploads=4{query}")
        seen += page.all("UploadId")
        query = (
            f"&key-marker={page.find('NextKeyMarker')}"
            f"&upload-id-marker={page.find('NextUploadIdMarker')}"
        )
        if page.find("IsTruncated") == "false":
            break
    assert seen == expected


def test_key_marker_alone_passes_over_its_key(client: RawClient) -> None:
    for key in ("a", "b", "c"):
        client.initiate(key)
    assert client.call("GET", "/?uploads&key-marker=a").all("Key") == ["b", "c"]
    alone = client.call("GET", "/?uploads&upload-id-marker=FFFF")
    assert alone.all("Key") == ["a", "b", "c"]


def test_uploads_are_grouped_by_delimiter(client: RawClient) -> None:
    for key in ("dir/a/1", "dir/a/2", "dir/b", "dir/c/1", "other"):
        client.initiate(key)
    first = client.call("GET", "/?uploads&prefix=dir/&delimiter=/&max-uploads=2")
    assert (first.all("Key"), first.all("Prefix")[1:]) == (["dir/b"], ["dir/a/"])
    rest = client.call("GET", "/?uploads&prefix=dir/&delimiter=/&key-marker=dir/b")
    assert (rest.all("Key"), rest.all("Prefix")[1:]) == ([], ["dir/c/"])
    after = client.call("GET", "/?uploads&prefix=dir/&delimiter=/&key-marker=dir/a/")
    assert (after.all("Key"), after.all("Prefix")[1:]) == (["dir/b"], ["dir/c/"])


def test_bucket_calls_need_no_trailing_slash(client: RawClient) -> None:
    client.initiate("key")
    # Signed by the bucket's resource, which always ends in a slash.
    headers = {"Date": email.utils.formatdate(usegmt=True)}
    headers["Authorization"] = v1_authorization("GET", "/bucket/?uploads", headers)
    client.socket.sendall(
        b"GET /bucket?uploads HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        + b"\r\n"
    )
    assert client.reply().all("Key") == ["key"]


def test_unknown_bucket_has_no_uploads(client: RawClient) -> None:
    reply = client.call("GET", "/?uploads")
    assert (reply.status, reply.code) == (404, "NoSuchBucket")


def fill_with_uploads(server: LocalServer, keys: Iterable[str]) -> None:
    """Add an upload to each key, past HTTP to save the time."""
    assert server._running is not None
    for number, key in enumerate(keys):
        record = UploadRecord(f"{number:032X}", "bucket", key, 0.0, {})
        server._running._store.add_upload(record)


def listed_uploads(client: RawClient, limit: int, more: str = "") -> Iterator[tuple[str, str]]:
    """The keys and ids of all uploads, a page at a time."""
    markers = ""
    while True:
        page = client.call("GET", f"/?uploads&encoding-type=url&max-uploads={limit}{more}{markers}")
        yield from zip(map(unquote, page.all("Key")), page.all("UploadId"), strict=True)
        markers = (
            f"&key-marker={page.find('NextKeyMarker')}"
            f"&upload-id-marker={page.find('NextUploadIdMarker')}"
        )
        if page.find("IsTruncated") == "false":
            return


@pytest.mark.parametrize("limit", [1, 100, 1000])
def test_2500_uploads_are_listed_completely(
    server: LocalServer, client: RawClient, limit: int
) -> None:
    # Five keys of 500 uploads each, in an order that is not that of UTF-16.
    keys = ["a b", "a+b", "\ue000", "\U0001f389", "中"] * 500
    fill_with_uploads(server, keys)
    begun = time.perf_counter()
    listed = list(listed_uploads(client, limit))
    assert time.perf_counter() - begun < 20
    assert [key.encode() for key, _ in listed] == sorted(key.encode() for key in keys)
    assert len(set(listed)) == 2500
    assert listed == sorted(listed, key=lambda row: (row[0].encode(), row[1]))


def test_uploads_that_come_and_go_between_pages_lose_no_other(
    server: LocalServer, client: RawClient, connect: Callable[[], RawClient]
) -> None:
    fill_with_uploads(server, [f"{at // 5:03}" for at in range(300)])
    other, seen = connect(), []
    for at, (key, upload_id) in enumerate(listed_uploads(client, 7)):
        seen.append((key, upload_id))
        if at % 3 == 0:
            # The one that was listed last is the marker of the next page.
            assert other.call("DELETE", f"/{key}?uploadId={upload_id}").status == 204
            other.initiate(f"{at % 60:03}-new")
    stable = [row for row in seen if not row[0].endswith("-new")]
    assert stable == [(f"{at // 5:03}", f"{at:032X}") for at in range(300)]
    assert len(set(seen)) == len(seen)


def test_page_is_sought_and_not_scanned(server: LocalServer) -> None:
    """SQLite goes by an index from both sides: a page costs the same wherever it begins."""
    assert server._running is not None
    store = server._running._store
    statements: list[str] = []
    store._database.set_trace_callback(statements.append)
    wanted = Wanted(limit=1, prefix="k", delimiter="/", key_marker="key", upload_id_marker="I")
    store.list_uploads("bucket", wanted)
    store.list_objects("bucket", wanted)
    store._database.set_trace_callback(None)
    queries = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(queries) == 2
    for query in queries:
        plan = " ".join(row[3] for row in store._database.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert re.search(
            r"SEARCH .* USING INDEX .*\(bucket=\? AND .*key.*>.* AND key<\?\)", plan
        ), plan
        assert "TEMP B-TREE" not in plan


def test_parts_that_come_and_go_between_pages_lose_no_other(client: RawClient) -> None:
    upload_id = client.initiate()
    for number in range(10, 40, 2):
        client.put_part(upload_id, number, b"x")
    marker, seen = "0", []
    while True:
        query = f"uploadId={upload_id}&max-parts=4&part-number-marker={marker}"
        page = client.call("GET", f"/key?{query}")
        seen += [int(number) for number in page.all("PartNumber")]
        marker = page.find("NextPartNumberMarker")
        client.put_part(upload_id, int(marker) - 1, b"behind")
        client.put_part(upload_id, int(marker), b"replaced")
        if page.find("IsTruncated") == "false":
            break
    assert seen == list(range(10, 40, 2))


def test_prefix_of_a_key_with_wild_characters_is_literal(client: RawClient) -> None:
    for key in ("a%25b", "a_b", "axb", "a%00b", "A"):
        client.initiate(key)
    for prefix, expected in (("a%25", ["a%25b"]), ("a_", ["a_b"]), ("a%00", ["a%00b"])):
        page = client.call("GET", f"/?uploads&encoding-type=url&prefix={prefix}")
        assert page.all("Key") == expected


def fill_with_objects(client: RawClient, *keys: str) -> None:
    for key in keys:
        assert client.call("PUT", f"/{quote(key)}", key.encode()).status == 200


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_classic_sdk_lists_objects(server: LocalServer, client: RawClient, version: str) -> None:
    keys = ["a b", "dir/1", "dir/2", "dir/sub/3", "中/x", "z+&"]
    fill_with_objects(client, *keys)
    bucket = classic_bucket(server, version)
    for iterator in (oss2.ObjectIterator, oss2.ObjectIteratorV2):
        assert [row.key for row in iterator(bucket, max_keys=1)] == sorted(keys, key=str.encode)
        grouped = [
            (row.key, row.is_prefix()) for row in iterator(bucket, delimiter="/", max_keys=2)
        ]
        assert grouped == [("a b", False), ("dir/", True), ("z+&", False), ("中/", True)]
        below = [row.key for row in iterator(bucket, prefix="dir/", delimiter="/")]
        assert below == ["dir/1", "dir/2", "dir/sub/"]
    row = bucket.list_objects("a b").object_list[0]
    assert (row.size, row.type, row.storage_class) == (3, "Normal", "Standard")
    assert row.etag == bucket.head_object("a b").etag


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_new_sdk_lists_objects(server: LocalServer, client: RawClient, version: str) -> None:
    keys = ["a b", "dir/1", "dir/2", "中/x"]
    fill_with_objects(client, *keys)
    sdk, other = alibabacloud_oss_v2, new_client(server, version)
    pages = other.list_objects_v2_paginator(limit=1).iter_page(
        sdk.ListObjectsV2Request(bucket="bucket")
    )
    assert [row.key for page in pages for row in page.contents] == keys
    after = other.list_objects_v2(sdk.ListObjectsV2Request(bucket="bucket", start_after="dir/1"))
    assert [row.key for row in after.contents] == ["dir/2", "中/x"]


def test_list_of_objects_has_a_hundred_rows_unless_asked(client: RawClient) -> None:
    fill_with_objects(client, *(f"{at:03}" for at in range(101)))
    page = client.call("GET", "/")
    assert (len(page.all("Key")), page.find("MaxKeys"), page.find("NextMarker")) == (
        100,
        "100",
        "099",
    )
    owned = client.call("GET", "/?list-type=2&fetch-owner=true&max-keys=2")
    assert (len(owned.all("Owner")), owned.find("KeyCount")) == (2, "2")
    assert client.call("GET", "/?list-type=2&max-keys=2").all("Owner") == []


@pytest.mark.parametrize(
    "query", ["max-keys=0", "max-keys=1001", "list-type=3", "list-type=2&continuation-token=*"]
)
def test_senseless_list_of_objects_is_refused(client: RawClient, query: str) -> None:
    client.call("PUT", "/key", b"")
    reply = client.call("GET", f"/?{query}")
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert client.call("GET", "/?prefix=none").all("Key") == []
