"""The two lists, a page at a time."""

import email.utils

import pytest

from .raw import RawClient, v1_authorization


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
