"""Callbacks: whom the server tells of an object, and that the answer comes back.

On a real bucket they need RESUMABLE_TEST_CALLBACK_URL: a server on the internet that answers each
POST with 200 and JSON.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from resumable.core.integrity import crc64
from resumable.server import LocalServer
from tests.callbacks import CallbackAnswer, CallbackReceiver
from tests.conformance.places import Place
from tests.conformance.witness import Callback, Made, Witness, etag_of, refused
from tests.support import PART, random_bytes

DATA = random_bytes(PART, 8)
BODY = (
    "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mime=${mimeType}"
    "&crc64=${crc64}&who=${x:who}&what=${x:what_for}"
)
ANSWER = '{"Status": "OK", "note": "中文 <&>"}'.encode()

Make = Callable[[Witness, str, Callback], Made]


def _by_parts(witness: Witness, key: str, callback: Callback) -> Made:
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, DATA)
    return witness.complete(key, upload_id, [part], callback=callback)


def _by_all_parts(witness: Witness, key: str, callback: Callback) -> Made:
    upload_id = witness.init(key)
    witness.upload_part(key, upload_id, 1, DATA)
    return witness.complete(key, upload_id, None, callback=callback)


def _by_put(witness: Witness, key: str, callback: Callback) -> Made:
    return witness.put(key, DATA, callback=callback)


WAYS = {"parts": _by_parts, "all-parts": _by_all_parts, "put": _by_put}
any_way = pytest.mark.parametrize("make", WAYS.values(), ids=WAYS)


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    with CallbackReceiver(CallbackAnswer(body=ANSWER)) as running:
        yield running


@pytest.fixture
def callback(place: Place, receiver: CallbackReceiver) -> Callback:
    """A callback that will be answered, wherever the server is."""
    if place.server is None and not place.callback_url:
        pytest.skip("no server is there to be called back: set RESUMABLE_TEST_CALLBACK_URL")
    return Callback(place.callback_url or receiver.url, BODY)


@any_way
def test_answer_to_the_callback_comes_back(
    witness: Witness, callback: Callback, key: str, make: Make
) -> None:
    made = make(witness, key, callback)
    assert isinstance(json.loads(made.callback_body), dict)
    assert made.crc64 in (crc64(DATA), None)
    assert witness.get(key) == DATA


@any_way
@pytest.mark.parametrize("text", ["exampleobject.txt", "目录/文件 +&%=🎉.bin"], ids=ascii)
def test_receiver_is_told_what_was_asked_for(
    witness: Witness,
    server: LocalServer,
    receiver: CallbackReceiver,
    place: Place,
    make: Make,
    text: str,
) -> None:
    key = place.key(text)
    callback = Callback(receiver.url, BODY, variables={"who": "some body", "what_for": "a&b=中"})
    made = make(witness, key, callback)
    assert made.callback_body == ANSWER
    (told,) = receiver.received
    found = witness.head(key)
    assert (told.method, told.headers["content-type"]) == (
        "POST",
        "application/x-www-form-urlencoded",
    )
    assert told.form == {
        "bucket": place.bucket,
        "object": key,
        "etag": found.etag,
        "size": str(len(DATA)),
        "mime": found.headers["content-type"],
        "crc64": str(crc64(DATA)),
        "who": "some body",
        "what": "a&b=中",
    }


@any_way
def test_body_may_be_json(
    witness: Witness, server: LocalServer, receiver: CallbackReceiver, key: str, make: Make
) -> None:
    body = '{"object": ${object}, "size": ${size}, "mine": ${x:mine}}'
    callback = Callback(
        receiver.url, body, body_type="application/json", variables={"mine": 'say "hello"'}
    )
    make(witness, key, callback)
    (told,) = receiver.received
    assert told.headers["content-type"] == "application/json"
    assert json.loads(told.body) == {"object": key, "size": len(DATA), "mine": 'say "hello"'}


def test_host_of_a_callback_is_the_one_asked_for(
    witness: Witness, server: LocalServer, receiver: CallbackReceiver, key: str
) -> None:
    _by_put(witness, key, Callback(receiver.url, "size=${size}", host="callback.example.com"))
    assert receiver.received[0].headers["host"] == "callback.example.com"


@any_way
@pytest.mark.parametrize(
    "answer",
    [
        CallbackAnswer(status=500, body=b"broken"),
        CallbackAnswer(status=404),
        CallbackAnswer(close=True),
    ],
    ids=["500", "404", "no-answer"],
)
def test_object_is_stored_although_the_callback_failed(
    witness: Witness,
    server: LocalServer,
    receiver: CallbackReceiver,
    key: str,
    make: Make,
    answer: CallbackAnswer,
) -> None:
    receiver.answer = answer
    with refused(witness, 203, "CallbackFailed"):
        make(witness, key, Callback(receiver.url, BODY))
    assert len(receiver.received) == 1
    assert witness.get(key) == DATA
    assert witness.head(key).crc64 == crc64(DATA)


def test_callback_is_not_called_for_what_is_refused(
    witness: Witness, server: LocalServer, receiver: CallbackReceiver, key: str
) -> None:
    upload_id = witness.init(key)
    part = witness.upload_part(key, upload_id, 1, DATA)
    wrong = replace(part, etag=etag_of(b"other bytes"), crc64=None)
    with refused(witness, 400, "InvalidPart"):
        witness.complete(key, upload_id, [wrong], callback=Callback(receiver.url, BODY))
    assert receiver.received == []
    made = witness.complete(key, upload_id, [part], callback=Callback(receiver.url, BODY))
    assert made.callback_body == ANSWER
