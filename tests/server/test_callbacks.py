"""Callbacks: what is posted, what becomes of the answer, and what is refused beforehand."""

import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from resumable.server import LocalServer
from tests.callbacks import CallbackAnswer, CallbackReceiver, ReceivedCallback

from .raw import RawClient, complete_body, md5_header
from .witnesses import alibabacloud_oss_v2, classic_bucket, new_client, oss2

Fields = dict[str, Any]
CERTIFICATE = Path(__file__).parents[2] / "fixtures" / "keys" / "localhost.pem"


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    with CallbackReceiver() as running:
        yield running


def encoded(fields: object) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


def asking(url: str, body: str = "x", variables: Fields | None = None, **more: Any) -> Fields:  # noqa: ANN401 - JSON
    headers = {"x-oss-callback": encoded({"callbackUrl": url, "callbackBody": body} | more)}
    return headers | ({"x-oss-callback-var": encoded(variables)} if variables else {})


EVERY_VARIABLE = (
    "b=${bucket}&o=${object}&e=${etag}&s=${size}&m=${mimeType}&c=${crc64}&d=${contentMd5}"
    "&v=${vpcId}&i=${clientIp}&r=${reqId}&op=${operation}&h=${imageInfo.height}"
    "&w=${imageInfo.width}&f=${imageInfo.format}&x=${x:name}&y=${x:none}&u=${unknown}&k=a b"
)


def test_form_has_its_variables_filled_in(client: RawClient, receiver: CallbackReceiver) -> None:
    headers = asking(receiver.url, EVERY_VARIABLE, {"x:name": "1&2=中 文"})
    headers |= {"Content-Type": "text/plain; charset=utf-8"}
    reply = client.call("PUT", "/dir/%E4%B8%AD%26+", b"123456789", headers)
    assert (reply.status, reply.body) == (200, b'{"Status": "OK"}')
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["etag"] == '"25F9E794323B453885F5181F1B624D0B"'
    (callback,) = receiver.received
    assert (callback.method, callback.path) == ("POST", "/callback")
    assert callback.headers["content-type"] == "application/x-www-form-urlencoded"
    assert callback.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert callback.headers["content-length"] == str(len(callback.body))
    assert b"o=dir%2F%E4%B8%AD%26%2B&" in callback.body
    assert callback.form == {
        "b": "bucket",
        "o": "dir/中&+",
        "e": "25F9E794323B453885F5181F1B624D0B",
        "s": "9",
        "m": "text/plain; charset=utf-8",
        "c": reply.headers["x-oss-hash-crc64ecma"],
        "d": md5_header(b"123456789"),
        "v": "",
        "i": "127.0.0.1",
        "r": reply.headers["x-oss-request-id"],
        "op": "PutObject",
        "h": "",
        "w": "",
        "f": "",
        "x": "1&2=中 文",
        "y": "",
        "u": "${unknown}",
        "k": "a b",
    }


def test_json_has_its_variables_quoted(client: RawClient, receiver: CallbackReceiver) -> None:
    names = ("object", "size", "crc64", "imageInfo.width", "x:quote", "operation")
    body = "{" + ",".join(f'"{name}":${{{name}}}' for name in names) + ', "own": [1]}'
    headers = asking(receiver.url, body, {"x:quote": 'a"\\b'}, callbackBodyType="application/json")
    upload_id = client.initiate("a%22b")
    etag = client.put_part(upload_id, 1, b"12345", "a%22b")
    done = client.complete(upload_id, [(1, etag)], "a%22b", headers)
    assert (done.status, done.body) == (200, b'{"Status": "OK"}')
    assert done.headers["etag"].endswith('-1"')
    (callback,) = receiver.received
    assert callback.headers["content-type"] == "application/json"
    assert json.loads(callback.body) == {
        "object": 'a"b',
        "size": 5,
        "crc64": done.headers["x-oss-hash-crc64ecma"],
        "imageInfo.width": "",
        "x:quote": 'a"\\b',
        "operation": "CompleteMultipartUpload",
        "own": [1],
    }


def test_parameters_may_be_in_the_query(client: RawClient, receiver: CallbackReceiver) -> None:
    fields = asking(receiver.url + "?a=b", "${x:v}", {"x:v": "1"}, callbackHost="app.example")
    query = "&".join(
        f"{name.removeprefix('x-oss-')}={quote(value, safe='')}" for name, value in fields.items()
    )
    assert client.call("PUT", f"/key?{query}", b"data").body == b'{"Status": "OK"}'
    (callback,) = receiver.received
    assert (callback.path, callback.body) == ("/callback?a=b", b"1")
    assert callback.headers["host"] == "app.example"


def test_url_needs_no_scheme_and_an_empty_one_is_no_callback(
    client: RawClient, receiver: CallbackReceiver
) -> None:
    headers = asking(f"127.0.0.1:{receiver.port}?u=http://x")
    assert client.call("PUT", "/key", b"", headers).body == b'{"Status": "OK"}'
    assert receiver.received[0].path == "/?u=http://x"
    plain = client.call("PUT", "/key", b"", asking(""))
    assert (plain.status, plain.body, len(receiver.received)) == (200, b"", 1)


def test_urls_are_tried_in_turn_until_one_takes_it(client: RawClient) -> None:
    refuse = CallbackAnswer(status=500)
    with (
        CallbackReceiver(refuse) as first,
        CallbackReceiver() as second,
        CallbackReceiver() as third,
    ):
        urls = ";".join(["http://127.0.0.1:1/", first.url, second.url, third.url])
        assert client.call("PUT", "/key", b"data", asking(urls)).status == 200
        assert [len(each.received) for each in (first, second, third)] == [1, 1, 0]


BAD_ANSWERS = {
    "another status": CallbackAnswer(status=201),
    "a redirect": CallbackAnswer(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "no JSON": CallbackAnswer(body=b"OK"),
    "an empty body": CallbackAnswer(body=b""),
    "no length": CallbackAnswer(headers={"Content-Length": None}),
    "a senseless length": CallbackAnswer(headers={"Content-Length": "-1"}),
    "a length that is too large": CallbackAnswer(headers={"Content-Length": "1048577"}),
    "chunks": CallbackAnswer(
        body=b"2\r\n{}\r\n0\r\n\r\n",
        headers={"Content-Length": None, "Transfer-Encoding": "chunked"},
    ),
    "less than it announced": CallbackAnswer(headers={"Content-Length": "999"}),
    "nothing": CallbackAnswer(close=True),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_callback_that_fails_is_203_and_the_object_is_there(
    server: LocalServer, client: RawClient, receiver: CallbackReceiver, answer: CallbackAnswer
) -> None:
    receiver.answer = answer
    reply = client.call("PUT", "/key", b"data", asking(receiver.url))
    assert (reply.status, reply.code) == (203, "CallbackFailed")
    assert reply.headers["content-type"] == "application/xml"
    assert reply.headers["etag"] == '"8D777F385D3DFEC8815D20F7496026DC"'
    assert len(receiver.received) == 1
    assert client.call("GET", "/key").body == b"data"
    assert (server.log[0].status, server.log[0].code) == (203, "CallbackFailed")


def test_callback_that_fails_after_complete_keeps_the_object(
    client: RawClient, receiver: CallbackReceiver
) -> None:
    receiver.answer = CallbackAnswer(status=404)
    upload_id = client.initiate()
    etag = client.put_part(upload_id, 1, b"data")
    done = client.complete(upload_id, [(1, etag)], headers=asking(receiver.url))
    assert (done.status, done.code, done.find("Message")) == (
        203,
        "CallbackFailed",
        "Error status : 404.",
    )
    assert client.call("GET", "/key").body == b"data"
    assert client.complete(upload_id, [(1, etag)]).code == "NoSuchUpload"


def test_answer_of_a_megabyte_is_passed_on(client: RawClient, receiver: CallbackReceiver) -> None:
    body = b'"' + b"x" * (1024 * 1024 - 2) + b'"'
    receiver.answer = CallbackAnswer(body=body)
    assert client.call("PUT", "/key", b"", asking(receiver.url)).body == body


def test_receiver_that_takes_too_long_fails_the_callback(tmp_path: Path) -> None:
    ended = threading.Event()

    def late(_: ReceivedCallback) -> CallbackAnswer:
        ended.wait(20)
        return CallbackAnswer()

    with (
        CallbackReceiver(late) as receiver,
        LocalServer(tmp_path, callback_timeout=0.1) as server,
        RawClient(server.port) as client,
    ):
        reply = client.call("PUT", "/key", b"data", asking(receiver.url))
        ended.set()
        assert (reply.status, reply.code) == (203, "CallbackFailed")
        assert reply.find("Message") == "The receiver took too long."


def test_server_that_stops_does_not_wait_for_a_callback(tmp_path: Path) -> None:
    ended = threading.Event()

    def never(_: ReceivedCallback) -> CallbackAnswer:
        ended.wait(20)
        return CallbackAnswer()

    with CallbackReceiver(never) as receiver:
        server = LocalServer(tmp_path, callback_timeout=60)
        with server, RawClient(server.port) as client:
            client.send("PUT", "/key", b"data", asking(receiver.url))
            receiver.wait(1)
        ended.set()
        with server, RawClient(server.port) as client:
            assert client.call("GET", "/key").body == b"data"
            receiver.answer = CallbackAnswer()
            assert client.call("PUT", "/key", b"", asking(receiver.url)).status == 200


def test_others_are_served_while_a_callback_is_under_way(
    connect: Callable[[], RawClient], receiver: CallbackReceiver
) -> None:
    goes_on = threading.Event()

    def wait(_: ReceivedCallback) -> CallbackAnswer:
        goes_on.wait(20)
        return CallbackAnswer()

    receiver.answer = wait
    first, other = connect(), connect()
    first.send("PUT", "/key", b"data", asking(receiver.url))
    receiver.wait(1)
    assert other.call("GET", "/key").body == b"data"
    assert other.call("PUT", "/key", b"newer").status == 200
    goes_on.set()
    assert first.reply().body == b'{"Status": "OK"}'


@pytest.fixture
def secure_receiver() -> Iterator[CallbackReceiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with CallbackReceiver(tls=context) as running:
        yield running


@pytest.mark.parametrize("sni", [True, False])
def test_callback_over_tls(
    client: RawClient,
    secure_receiver: CallbackReceiver,
    monkeypatch: pytest.MonkeyPatch,
    *,
    sni: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    headers = asking(secure_receiver.url, "${object}", callbackSNI=sni)
    assert client.call("PUT", "/key", b"", headers).body == b'{"Status": "OK"}'
    assert secure_receiver.received[0].body == b"key"


def test_receiver_with_an_unknown_certificate_is_told_nothing(
    client: RawClient, secure_receiver: CallbackReceiver
) -> None:
    reply = client.call("PUT", "/key", b"", asking(secure_receiver.url))
    assert (reply.status, reply.code) == (203, "CallbackFailed")
    assert "certificate" in reply.find("Message")
    assert secure_receiver.received == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_receiver_that_says_nothing_is_given_up(tmp_path: Path, scheme: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        LocalServer(tmp_path, callback_timeout=0.1) as server,
        RawClient(server.port) as client,
    ):
        url = f"{scheme}://localhost:{silent.getsockname()[1]}/"
        reply = client.call("PUT", "/key", b"", asking(url))
        assert (reply.status, reply.find("Message")) == (203, "The receiver took too long.")


def test_receiver_that_dribbles_is_given_up(tmp_path: Path) -> None:
    stop = threading.Event()

    def dribble(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            while not stop.wait(0.01):
                peer.sendall(b"H")

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(1) as pool,
        LocalServer(tmp_path, callback_timeout=0.2) as server,
        RawClient(server.port) as client,
    ):
        pool.submit(dribble, listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        reply = client.call("PUT", "/key", b"", asking(url))
        stop.set()
        assert (reply.status, reply.find("Message")) == (203, "The receiver took too long.")


@pytest.mark.parametrize("url", ["http://192.0.2.1/", "http://0.0.0.0/", "http://[2001:db8::1]/"])
def test_callback_to_another_machine_is_not_sent(client: RawClient, url: str) -> None:
    reply = client.call("PUT", "/key", b"data", asking(url))
    assert (reply.status, reply.code) == (203, "CallbackFailed")
    assert "loopback" in reply.find("Message")


def test_callback_to_another_machine_has_to_be_allowed(tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path, remote_callbacks=True, callback_timeout=0.05) as server,
        RawClient(server.port) as client,
    ):
        # An address of documentation, which the tests may not reach either.
        message = client.call("PUT", "/key", b"", asking("http://192.0.2.1/")).find("Message")
        assert "loopback" not in message


URL = "http://127.0.0.1:1/"
MALFORMED: dict[str, Fields] = {
    "no Base64": {"x-oss-callback": "{}"},
    "no JSON": {"x-oss-callback": base64.b64encode(b"{").decode()},
    "no UTF-8": {"x-oss-callback": base64.b64encode(b'"\xff"').decode()},
    "no object": {"x-oss-callback": encoded([])},
    "nested too deeply": {"x-oss-callback": base64.b64encode(b"[" * 3000).decode()},
    "too long": asking(URL, "x" * 5000),
    "no body": asking(URL, ""),
    "a body that is no text": asking(URL, callbackBody=1),
    "half a character": asking(URL, "\ud800"),
    "another type": asking(URL, callbackBodyType="text/plain"),
    "a scheme that is none": asking("ftp://127.0.0.1/"),
    "a port that is none": asking("http://127.0.0.1:test/"),
    "a port out of range": asking("http://127.0.0.1:65536/"),
    "no host": asking("http:///path"),
    "a bracket": asking("http://[::1/"),
    "an unencoded URL": asking("http://127.0.0.1/中"),
    "a line break": asking("http://127.0.0.1/\r\nX: y"),
    "a password": asking("http://user:secret@127.0.0.1/"),
    "six URLs": asking(";".join([URL] * 6)),
    "a host with a line break": asking(URL, callbackHost="a\r\nb"),
    "SNI that is no choice": asking(URL, callbackSNI="yes"),
    "a variable without prefix": asking(URL, variables={"name": "x"}),
    "an upper-case variable": asking(URL, variables={"x:Name": "x"}),
    "a variable that is no text": asking(URL, variables={"x:name": 1}),
    "variables that are none": asking(URL) | {"x-oss-callback-var": encoded("x")},
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
def test_malformed_callback_is_refused_before_anything_is_stored(
    client: RawClient, blobs: Callable[[], int], headers: dict[str, str]
) -> None:
    reply = client.call("PUT", "/key", b"data", headers)
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert reply.find("ArgumentName").startswith("callback")
    assert blobs() == 0
    upload_id = client.initiate()
    etag = client.put_part(upload_id, 1, b"part")
    refused = client.complete(upload_id, [(1, etag)], headers=headers)
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert client.complete(upload_id, [(1, etag)]).status == 200


def test_other_operations_send_no_callback(client: RawClient, receiver: CallbackReceiver) -> None:
    headers = asking(receiver.url)
    upload_id = client.initiate(headers=headers)
    client.call("PUT", f"/key?partNumber=1&uploadId={upload_id}", b"x", headers)
    client.call("GET", f"/key?uploadId={upload_id}", headers=headers)
    refused = client.call("POST", f"/key?uploadId={upload_id}", complete_body([(2, "x")]), headers)
    assert refused.code == "InvalidPart"
    assert receiver.received == []


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_classic_sdk_gets_the_receivers_answer(
    server: LocalServer, receiver: CallbackReceiver, version: str
) -> None:
    bucket = classic_bucket(server, version)
    headers = asking(receiver.url, "k=${object}&n=${x:n}", {"x:n": "中"})
    assert bucket.put_object("a/中", b"x", headers).resp.read() == b'{"Status": "OK"}'
    upload_id = bucket.init_multipart_upload("b").upload_id
    parts = [oss2.models.PartInfo(1, bucket.upload_part("b", upload_id, 1, b"x").etag)]
    done = bucket.complete_multipart_upload("b", upload_id, parts, headers=headers)
    assert done.resp.read() == b'{"Status": "OK"}'
    assert [each.form for each in receiver.received] == [
        {"k": "a/中", "n": "中"},
        {"k": "b", "n": "中"},
    ]


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_new_sdk_gets_the_receivers_answer(
    server: LocalServer, receiver: CallbackReceiver, version: str
) -> None:
    sdk, client = alibabacloud_oss_v2, new_client(server, version)
    fields = asking(receiver.url, "${x:n}", {"x:n": "1"})
    asked = {"callback": fields["x-oss-callback"], "callback_var": fields["x-oss-callback-var"]}
    name: Fields = {"bucket": "bucket", "key": "key"}
    put = client.put_object(sdk.PutObjectRequest(**name, body=b"x", **asked))
    started = client.initiate_multipart_upload(sdk.InitiateMultipartUploadRequest(**name))
    part = {"upload_id": started.upload_id, **name}
    client.upload_part(sdk.UploadPartRequest(**part, part_number=1, body=b"x"))
    done = client.complete_multipart_upload(
        sdk.CompleteMultipartUploadRequest(**part, complete_all="yes", **asked)
    )
    assert json.loads(put.callback_result) == json.loads(done.callback_result) == {"Status": "OK"}
    assert [each.body for each in receiver.received] == [b"1", b"1"]
