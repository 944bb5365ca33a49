"""Who is let in, judged by the public clients' signatures and by broken ones."""

import email.utils
import io
import time
from pathlib import Path
from typing import Any

import pytest

from resumable.server import AccessKey, LocalServer

from .raw import RawClient, v1_authorization, v4_headers
from .witnesses import alibabacloud_oss_v2, classic_bucket, new_client, oss2

ODD_KEY = "dir/a b+c&d%20?#/../中文 🎉.bin"


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_classic_sdk_uploads_in_parts(server: LocalServer, version: str) -> None:
    bucket = classic_bucket(server, version)
    upload_id = bucket.init_multipart_upload(ODD_KEY).upload_id
    parts = []
    for number, data in enumerate((b"a" * 102_400, b"b" * 102_400, b"c"), start=1):
        sent = bucket.upload_part(ODD_KEY, upload_id, number, data)
        parts.append(oss2.models.PartInfo(number, sent.etag, size=len(data), part_crc=sent.crc))
    listed = bucket.list_parts(ODD_KEY, upload_id)
    assert [(part.part_number, part.size) for part in listed.parts] == [
        (1, 102_400),
        (2, 102_400),
        (3, 1),
    ]
    assert [row.key for row in bucket.list_multipart_uploads(prefix="dir/").upload_list] == [
        ODD_KEY
    ]
    bucket.complete_multipart_upload(ODD_KEY, upload_id, parts)
    assert bucket.get_object(ODD_KEY).read() == b"a" * 102_400 + b"b" * 102_400 + b"c"
    assert {exchange.signature for exchange in server.log} == {version}


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_new_sdk_uploads_in_parts(server: LocalServer, version: str) -> None:
    sdk, client = alibabacloud_oss_v2, new_client(server, version)
    # Its HTTP library resolves dot segments after the request has been signed.
    name: dict[str, Any] = {"bucket": "bucket", "key": ODD_KEY.replace("..", "...")}
    started = client.initiate_multipart_upload(sdk.InitiateMultipartUploadRequest(**name))
    part = client.upload_part(
        sdk.UploadPartRequest(
            **name, upload_id=started.upload_id, part_number=1, body=io.BytesIO(b"part")
        )
    )
    listed = client.list_parts(sdk.ListPartsRequest(**name, upload_id=started.upload_id))
    assert [row.etag for row in listed.parts] == [part.etag]
    wanted = [sdk.UploadPart(part_number=1, etag=part.etag)]
    client.complete_multipart_upload(
        sdk.CompleteMultipartUploadRequest(
            **name,
            upload_id=started.upload_id,
            complete_multipart_upload=sdk.CompleteMultipartUpload(parts=wanted),
        )
    )
    assert client.get_object(sdk.GetObjectRequest(**name)).body.content == b"part"
    assert {exchange.signature for exchange in server.log} == {version}


def test_new_sdk_signs_additional_headers(server: LocalServer) -> None:
    sdk = alibabacloud_oss_v2
    client = new_client(server, additional_headers=["host", "content-length"])
    client.put_object(sdk.PutObjectRequest(bucket="bucket", key="key", body=b"x"))
    assert [exchange.status for exchange in server.log] == [200]


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_wrong_secret_is_a_mismatch_that_shows_what_was_expected(
    tmp_path: Path, version: str
) -> None:
    with (
        LocalServer(tmp_path, access_keys={"localkey": "another"}) as server,
        pytest.raises(oss2.exceptions.SignatureDoesNotMatch) as caught,
    ):
        classic_bucket(server, version).put_object("key", b"data")
    details = caught.value.details
    assert details["OSSAccessKeyId"] == "localkey"
    assert "StringToSign" in details
    assert ("CanonicalRequest" in details) == (version == "v4")


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_unknown_access_key_is_refused(tmp_path: Path, version: str) -> None:
    with (
        LocalServer(tmp_path, access_keys={"somebody": "else"}) as server,
        pytest.raises(oss2.exceptions.ServerError) as caught,
    ):
        classic_bucket(server, version).put_object("key", b"data")
    assert (caught.value.status, caught.value.code) == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize(
    "authorization", ["", "Basic x", "OSS nocolon", "OSS4-HMAC-SHA256 Credential=,Signature="]
)
def test_missing_signature_is_access_denied(client: RawClient, authorization: str) -> None:
    reply = client.call("PUT", "/key", b"data", {"Authorization": authorization})
    assert (reply.status, reply.code) == (403, "AccessDenied")


def test_signature_covers_the_headers(client: RawClient) -> None:
    headers = {"Date": email.utils.formatdate(usegmt=True)}
    headers["Authorization"] = v1_authorization("PUT", "/bucket/key", headers)
    reply = client.call("PUT", "/key", b"data", headers | {"x-oss-meta-a": "smuggled"})
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_date_that_is_off_is_too_skewed(client: RawClient, minutes: int) -> None:
    date = email.utils.formatdate(time.time() + minutes * 60, usegmt=True)
    reply = client.call("PUT", "/key", b"data", {"Date": date})
    assert (reply.status, reply.code) == (403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("date", ["yesterday", "20261121", "20261131T000000Z"])
def test_v4_date_that_is_none_is_access_denied(client: RawClient, date: str) -> None:
    headers = v4_headers("PUT", "/bucket/key", {}) | {"x-oss-date": date}
    reply = client.call("PUT", "/key", b"data", headers)
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert "no valid Date" in reply.find("Message")


def test_date_that_is_a_little_off_is_accepted(client: RawClient) -> None:
    date = email.utils.formatdate(time.time() - 14 * 60, usegmt=True)
    assert client.call("PUT", "/key", b"data", {"Date": date}).status == 200


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_date_that_is_none_is_access_denied(client: RawClient, date: str) -> None:
    reply = client.call("PUT", "/key", b"data", {"Date": date})
    assert (reply.status, reply.code) == (403, "AccessDenied")


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_security_token_is_part_of_the_signature(tmp_path: Path, version: str) -> None:
    keys = {"localkey": AccessKey("localsecret", security_token="token")}
    with LocalServer(tmp_path, access_keys=keys) as server:
        classic_bucket(server, version, "token").put_object("key", b"data")
        for token in ("wrong", None):
            with pytest.raises(oss2.exceptions.ServerError) as caught:
                classic_bucket(server, version, token).put_object("key", b"data")
            assert (caught.value.status, caught.value.code) == (403, "InvalidSecurityToken")
    assert "token" not in repr(keys)


def test_security_token_expires(tmp_path: Path) -> None:
    keys = {"localkey": AccessKey("localsecret", "token", expires_at=time.time() - 1)}
    with (
        LocalServer(tmp_path, access_keys=keys) as server,
        pytest.raises(oss2.exceptions.ServerError) as caught,
    ):
        classic_bucket(server, "v4", "token").put_object("key", b"data")
    assert (caught.value.status, caught.value.code) == (403, "SecurityTokenExpired")


def test_classic_sdk_resumes_an_upload(server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 4000)
    store = oss2.ResumableStore(root=str(tmp_path / "records"))
    refuse = {"status": 400, "code": "InvalidArgument"}
    server.faults.add({"operation": "UploadPart", "part_number": 3, "effect": refuse})
    bucket = classic_bucket(server)
    options = {"store": store, "multipart_threshold": 0, "part_size": 102_400, "num_threads": 2}
    with pytest.raises(oss2.exceptions.ServerError):
        oss2.resumable_upload(bucket, "key", str(file), **options)
    oss2.resumable_upload(bucket, "key", str(file), **options)
    assert bucket.get_object("key").read() == file.read_bytes()
    operations = [exchange.operation for exchange in server.log]
    assert operations.count("InitiateMultipartUpload") == 1


def test_classic_sdk_sends_chunks(server: LocalServer) -> None:
    bucket = classic_bucket(server)
    bucket.put_object("key", iter([b"a" * 100_000, b"b"]))
    assert bucket.get_object("key").read() == b"a" * 100_000 + b"b"
    assert server.log[0].headers["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_classic_sdk_asks_for_other_headers(server: LocalServer, version: str) -> None:
    bucket = classic_bucket(server, version)
    bucket.put_object("key", b"x")
    wanted = {"response-content-type": "text/x y+z", "response-cache-control": "no-store"}
    found = bucket.get_object("key", params=wanted).headers
    assert (found["content-type"], found["cache-control"]) == ("text/x y+z", "no-store")


def test_credential_of_another_day_is_refused(client: RawClient) -> None:
    scope = "20200101/cn-hangzhou/oss/aliyun_v4_request"
    headers = {
        "Authorization": f"OSS4-HMAC-SHA256 Credential=localkey/{scope},Signature=00",
        "x-oss-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
    }
    reply = client.call("PUT", "/key", b"x", headers)
    assert (reply.status, reply.code) == (403, "AccessDenied")
