"""What an object is given with its bytes: kept byte for byte, told again, refused if senseless."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from resumable.server import LocalServer

from .raw import RawClient, v4_headers
from .witnesses import alibabacloud_oss_v2, classic_bucket, new_client

GIVEN = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-cache",
    "Content-Disposition": "attachment; filename*=UTF-8''%E4%B8%AD",
    "Content-Encoding": "br",
    "Content-Language": "zh",
    "Expires": "Wed, 08 Jul 2037 16:57:01 GMT",
    "x-oss-meta-name": "中文 🎉",
    "x-oss-meta-empty": "",
    "x-oss-storage-class": "IA",
    "x-oss-server-side-encryption": "KMS",
    "x-oss-server-side-encryption-key-id": "9468da86-3509-4f8d-a61e-6eab1eac",
    "x-oss-server-side-data-encryption": "SM4",
    "x-oss-tagging": "a%20b=1&c",
    "x-oss-object-acl": "public-read",
}
TOLD_ELSEWHERE = {"x-oss-tagging", "x-oss-object-acl"}


def put_whole(client: RawClient, headers: dict[str, str]) -> None:
    assert client.call("PUT", "/key", b"data", headers).status == 200


def put_in_parts(client: RawClient, headers: dict[str, str]) -> None:
    upload_id = client.initiate(headers=headers)
    etag = client.put_part(upload_id, 1, b"data")
    assert client.complete(upload_id, [(1, etag)]).status == 200


WAYS = [put_whole, put_in_parts]


@pytest.mark.parametrize("put", WAYS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_everything_given_is_told_again(
    client: RawClient, put: Callable[[RawClient, dict[str, str]], None], method: str
) -> None:
    put(client, GIVEN)
    found = client.call(method, "/key").headers
    for name, value in GIVEN.items():
        assert found.get(name.lower()) == (None if name in TOLD_ELSEWHERE else value)
    assert found["x-oss-tagging-count"] == "2"
    assert client.call("GET", "/key?acl").find("Grant") == "public-read"
    tags = client.call("GET", "/key?tagging")
    assert (tags.all("Key"), tags.all("Value")) == (["a b", "c"], ["1", ""])


@pytest.mark.parametrize("put", WAYS)
def test_object_that_is_given_nothing_has_the_usual(
    client: RawClient, put: Callable[[RawClient, dict[str, str]], None]
) -> None:
    put(client, {})
    found = client.call("HEAD", "/key").headers
    assert found["content-type"] == "application/octet-stream"
    assert found["x-oss-storage-class"] == "Standard"
    assert "x-oss-tagging-count" not in found
    assert not [name for name in found if name.startswith("x-oss-meta-")]
    assert client.call("GET", "/key?acl").find("Grant") == "default"
    assert client.call("GET", "/key?tagging").all("Tag") == []


def test_acl_of_complete_wins_over_that_of_initiate(client: RawClient) -> None:
    upload_id = client.initiate(headers={"x-oss-object-acl": "private"})
    etag = client.put_part(upload_id, 1, b"x")
    client.complete(upload_id, [(1, etag)], headers={"x-oss-object-acl": "public-read-write"})
    assert client.call("GET", "/key?acl").find("Grant") == "public-read-write"


def test_upload_tells_its_storage_class_and_encryption(client: RawClient) -> None:
    headers = {"x-oss-storage-class": "Archive", "x-oss-server-side-encryption": "AES256"}
    begun = client.call("POST", "/key?uploads", headers=headers)
    upload_id = begun.find("UploadId")
    part = client.call("PUT", f"/key?partNumber=1&uploadId={upload_id}", b"x")
    done = client.complete(upload_id, [(1, part.headers["etag"])])
    for reply in (begun, part, done, client.call("PUT", "/other", b"x", headers)):
        assert reply.headers["x-oss-server-side-encryption"] == "AES256"
    upload_id = client.initiate(headers=headers)
    assert client.call("GET", f"/key?uploadId={upload_id}").find("StorageClass") == "Archive"
    assert client.call("GET", "/?uploads").find("StorageClass") == "Archive"
    assert client.call("GET", "/").all("StorageClass") == ["Archive", "Archive"]


SENSELESS = [
    ({"x-oss-object-acl": "everybody"}, "InvalidArgument"),
    ({"x-oss-object-acl": ""}, "InvalidArgument"),
    ({"x-oss-storage-class": "Cheap"}, "InvalidArgument"),
    ({"x-oss-storage-class": ""}, "InvalidArgument"),
    ({"x-oss-server-side-encryption": "ROT13"}, "InvalidEncryptionAlgorithmError"),
    ({"x-oss-server-side-encryption-key-id": "k"}, "InvalidArgument"),
    (
        {"x-oss-server-side-encryption": "AES256", "x-oss-server-side-encryption-key-id": "k"},
        "InvalidArgument",
    ),
    (
        {"x-oss-server-side-encryption": "KMS", "x-oss-server-side-data-encryption": "AES256"},
        "InvalidArgument",
    ),
    ({"x-oss-tagging": "a=b=c"}, "InvalidTag"),
    ({"x-oss-tagging": "=b"}, "InvalidTag"),
    ({"x-oss-tagging": "a=1&a=2"}, "InvalidTag"),
    ({"x-oss-tagging": "&".join(f"k{at}=v" for at in range(11))}, "InvalidTag"),
    ({"x-oss-tagging": "k" * 129}, "InvalidTag"),
    ({"x-oss-tagging": "k=" + "v" * 257}, "InvalidTag"),
    ({"x-oss-tagging": "a=b%26"}, "InvalidTag"),
    ({"x-oss-tagging": "a=" + quote("中")}, "InvalidTag"),
    ({"x-oss-tagging": "a=%FF"}, "InvalidTag"),
    ({"x-oss-meta-large": "x" * 8192}, "InvalidArgument"),
]


@pytest.mark.parametrize(("headers", "code"), SENSELESS)
def test_senseless_value_is_refused_and_nothing_is_stored(
    client: RawClient, blobs: Callable[[], int], headers: dict[str, str], code: str
) -> None:
    for reply in (
        client.call("PUT", "/key", b"data", headers),
        client.call("POST", "/key?uploads", headers=headers),
    ):
        assert (reply.status, reply.code) == (400, code)
    client.call("PUT", "/other", b"x")
    assert client.call("GET", "/?uploads").all("Upload") == []
    assert client.call("HEAD", "/key").status == 404
    assert blobs() == 1


def test_largest_values_are_taken(client: RawClient) -> None:
    tags = "&".join(f"{'k' * 127}{at}={'v' * 256}" for at in range(10))
    headers = {"x-oss-tagging": tags, "x-oss-meta-large": "x" * (8192 - len("x-oss-meta-large"))}
    put_whole(client, headers)
    found = client.call("HEAD", "/key").headers
    assert found["x-oss-tagging-count"] == "10"
    assert found["x-oss-meta-large"] == headers["x-oss-meta-large"]


def test_acl_that_is_none_completes_nothing(client: RawClient) -> None:
    upload_id = client.initiate()
    parts = [(1, client.put_part(upload_id, 1, b"x"))]
    refused = client.complete(upload_id, parts, headers={"x-oss-object-acl": "everybody"})
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert client.complete(upload_id, parts).status == 200


# What HTTP allows in a value, byte by byte; a blank or tab at its ends is not part of it.
visible = st.integers(0x21, 0xFF).filter(lambda byte: byte != 0x7F)
values = st.one_of(
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30).map(str.encode),
    st.lists(visible | st.sampled_from(b" \t"), max_size=30).map(bytes),
).map(lambda value: value.strip(b" \t"))


@pytest.mark.parametrize("version", ["v1", "v4"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(found=st.lists(values, min_size=1, max_size=40))
@example(found=["　中\xa0à\x85".encode(), b"\xa0", b"\x85", "\u2028\u3000".encode(), b"\xff\xfe a"])
def test_value_comes_back_byte_for_byte_and_is_signed_so(
    client: RawClient, version: str, found: list[bytes]
) -> None:
    headers = {
        f"x-oss-meta-{at}": value.decode("utf-8", "surrogateescape")
        for at, value in enumerate(found)
    }
    signature = v4_headers("PUT", "/bucket/key", headers) if version == "v4" else {}
    assert client.call("PUT", "/key", b"", headers | signature).status == 200
    told = client.call("HEAD", "/key").headers
    assert {name: told[name] for name in headers} == headers


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize("value", ["中文 🎉", "ends with \xa0", "\u3000", "à"])
def test_metadata_of_the_public_clients_comes_back(
    server: LocalServer, version: str, value: str
) -> None:
    classic = classic_bucket(server, version)
    # It signs the text and sends its UTF-8 bytes.
    classic.put_object("classic", b"x", headers={"x-oss-meta-name": value.encode()})
    with RawClient(server.port) as raw:
        assert raw.call("HEAD", "/classic").headers["x-oss-meta-name"] == value


def test_tags_and_acl_of_the_public_clients_come_back(server: LocalServer) -> None:
    sdk, client = alibabacloud_oss_v2, new_client(server)
    client.put_object(
        sdk.PutObjectRequest(
            bucket="bucket",
            key="key",
            body=b"x",
            acl="private",
            storage_class="IA",
            tagging="a=1&b=2",
            metadata={"name": "value"},
        )
    )
    head = client.head_object(sdk.HeadObjectRequest(bucket="bucket", key="key"))
    assert (head.storage_class, head.tagging_count, head.metadata["name"]) == ("IA", 2, "value")
    classic = classic_bucket(server)
    assert classic.get_object_acl("key").acl == "private"
    assert classic.get_object_tagging("key").tag_set.tagging_rule == {"a": "1", "b": "2"}


def test_head_has_no_ranges(client: RawClient) -> None:
    client.call("PUT", "/key", b"0123456789")
    reply = client.call("HEAD", "/key", headers={"Range": "bytes=2-4"})
    assert (reply.status, reply.headers["content-length"]) == (200, "10")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("version", "status"), [("null", 200), ("", 200), ("CAEQ", 404)])
def test_objects_have_one_version(
    client: RawClient, method: str, version: str, status: int
) -> None:
    client.call("PUT", "/key", b"x")
    reply = client.call(method, f"/key?versionId={version}")
    assert (reply.status, reply.code) == (status, "" if status == 200 else "NoSuchVersion")
