"""The typed options: which header each becomes, and what is refused before any request."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable import Callback, InvalidArgumentError
from resumable.oss.options import (
    CompleteOptions,
    InitiateOptions,
    PartOptions,
    PutOptions,
    ReadOptions,
    RequestOptions,
    header_of,
    merge_options,
)

# A call that knows every option there is.
EVERY = type(
    "Every", (), {"__annotations__": PutOptions.__annotations__ | ReadOptions.__annotations__}
)


def merged(headers: dict[str, str], options: dict[str, Any], *, prefix: str = "") -> dict[str, str]:
    return merge_options(headers, options, EVERY, prefix=prefix)


MOMENT = datetime(2049, 1, 10, 23, 0, tzinfo=UTC)
GMT = "Sun, 10 Jan 2049 23:00:00 GMT"
CALLBACK = Callback("http://example.com/", "a=b")

HEADERS = [
    ("acl", "public-read", {"x-oss-object-acl": "public-read"}),
    ("cache_control", "no-cache", {"cache-control": "no-cache"}),
    ("callback", CALLBACK, {"x-oss-callback": CALLBACK.encoded}),
    ("content_disposition", "attachment", {"content-disposition": "attachment"}),
    ("content_encoding", "gzip", {"content-encoding": "gzip"}),
    ("content_type", "text/plain", {"content-type": "text/plain"}),
    ("expires", "1000", {"expires": "1000"}),
    ("expires", MOMENT, {"expires": GMT}),
    ("expires", MOMENT.astimezone(timezone(timedelta(hours=8))), {"expires": GMT}),
    ("forbid_overwrite", True, {"x-oss-forbid-overwrite": "true"}),
    ("forbid_overwrite", False, {"x-oss-forbid-overwrite": "false"}),
    ("if_match", "ABC", {"if-match": '"ABC"'}),
    ("if_match", '"ABC"', {"if-match": '"ABC"'}),
    ("if_none_match", "*", {"if-none-match": "*"}),
    ("if_modified_since", MOMENT, {"if-modified-since": GMT}),
    ("if_unmodified_since", MOMENT, {"if-unmodified-since": GMT}),
    ("metadata", {}, {}),
    ("metadata", {"Year": "2020", "b": "日本 🚀"},
     {"x-oss-meta-year": "2020", "x-oss-meta-b": "日本 🚀"}),
    ("metadata", {"a": ""}, {"x-oss-meta-a": ""}),
    ("request_payer", "requester", {"x-oss-request-payer": "requester"}),
    ("server_side_data_encryption", "SM4", {"x-oss-server-side-data-encryption": "SM4"}),
    ("server_side_encryption", "AES256", {"x-oss-server-side-encryption": "AES256"}),
    ("server_side_encryption", "KMS", {"x-oss-server-side-encryption": "KMS"}),
    ("server_side_encryption", "SM4", {"x-oss-server-side-encryption": "SM4"}),
    ("server_side_encryption_key_id", "9468", {"x-oss-server-side-encryption-key-id": "9468"}),
    ("storage_class", "ColdArchive", {"x-oss-storage-class": "ColdArchive"}),
    ("tags", {}, {}),
    ("tags", {"a": "1", "b c": "+/&=é"}, {"x-oss-tagging": "a=1&b%20c=%2B%2F%26%3D%C3%A9"}),
    ("traffic_limit", 819_200, {"x-oss-traffic-limit": "819200"}),
    ("traffic_limit", 838_860_800, {"x-oss-traffic-limit": "838860800"}),
]  # fmt: skip

REFUSED = [
    ("acl", "everybody"), ("acl", ""), ("acl", 1),
    ("callback", "http://example.com/"),
    ("content_type", ""), ("content_type", " "), ("content_type", b"text/plain"),
    ("content_type", "a\r\nb: c"), ("cache_control", "a\x00"), ("content_encoding", 5),
    ("expires", 1000), ("expires", datetime(2049, 1, 1)), ("expires", "a\nb"),  # noqa: DTZ001
    ("forbid_overwrite", "true"), ("forbid_overwrite", 1),
    ("if_match", ""), ("if_match", 'a"b'), ("if_match", "a b"), ("if_modified_since", GMT),
    ("if_modified_since", datetime(2049, 1, 1)),  # noqa: DTZ001
    ("metadata", {"a": 1}), ("metadata", "a=b"), ("metadata", [("a", "b")]),
    ("metadata", {"": "b"}) , ("metadata", {"a b": "c"}), ("metadata", {"a:": "c"}),
    ("metadata", {"a": "x\n"}), ("metadata", {"a": "\x85"}), ("metadata", {"a": "\ud800"}),
    ("metadata", {"\ud800": "a"}),
    ("metadata", {"a": " x"}), ("metadata", {"a": "x\t"}), ("metadata", {"a": "1", "A": "2"}),
    ("metadata", {"a": "x" * 8192}), ("metadata", {"a": "中" * 2731}),
    ("request_payer", "me"), ("request_payer", True),
    ("server_side_encryption", "aes256"), ("storage_class", "standard"),
    ("tags", {str(number): "" for number in range(11)}), ("tags", {"": "x"}),
    ("tags", {"k" * 129: ""}), ("tags", {"k": "v" * 257}), ("tags", {"k": 1}), ("tags", "k=v"),
    ("tags", {"k": "\ud800"}),
    ("traffic_limit", 819_199), ("traffic_limit", 838_860_801), ("traffic_limit", "819200"),
    ("traffic_limit", True), ("traffic_limit", 1e6),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value", "headers"), HEADERS)
def test_option_becomes_its_header(option: str, value: object, headers: dict[str, str]) -> None:
    assert merged({}, {option: value}) == headers


@pytest.mark.parametrize(("option", "value"), REFUSED, ids=ascii)
def test_value_that_cannot_be_sent_is_refused(option: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        merged({}, {option: value})
    assert str(refused.value).isprintable()


def test_metadata_name_that_is_no_token_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        merged({}, {"metadata": {"人": "x"}})


def test_refusal_names_the_option() -> None:
    with pytest.raises(InvalidArgumentError, match=r"storage_class 'x' is not one of Standard, IA"):
        merged({}, {"storage_class": "x"})


@pytest.mark.parametrize("option", sorted(PutOptions.__annotations__))
def test_none_is_not_given(option: str) -> None:
    assert merged({}, {option: None}) == {}


def test_option_that_is_none_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no option 'metdata'"):
        merged({}, {"metdata": {}})


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        (PutOptions, "if_none_match"),
        (RequestOptions, "if_match"),
        (InitiateOptions, "acl"),
        (InitiateOptions, "callback"),
        (InitiateOptions, "traffic_limit"),
        (PartOptions, "metadata"),
        (PartOptions, "if_match"),
        (CompleteOptions, "metadata"),
        (ReadOptions, "forbid_overwrite"),
    ],
)
def test_option_of_another_call_is_a_type_error(kind: type, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        merge_options({}, {option: "x"}, kind)


def test_header_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="twice"):
        merged({"X-Oss-Meta-A": "1", "x-oss-meta-a": "2"}, {})


@pytest.mark.parametrize(
    ("headers", "options"),
    [
        ({"X-Oss-Storage-Class": "IA"}, {"storage_class": "Standard"}),
        ({"x-oss-meta-a": "1"}, {"metadata": {"A": "1"}}),
        ({"Expires": "1"}, {"expires": MOMENT}),
    ],
)
def test_header_given_both_ways_is_refused(
    headers: dict[str, str], options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match="and in headers="):
        merged(headers, options)


def test_raw_headers_are_kept_as_they_are() -> None:
    assert merged({"X-Oss-New": " a b "}, {"acl": "private"}) == {
        "x-oss-new": "a b",
        "x-oss-object-acl": "private",
    }


def test_conditions_of_a_copy_are_about_its_source() -> None:
    options = {"if_match": "E", "request_payer": "requester"}
    assert merged({}, options, prefix="x-oss-copy-source-") == {
        "x-oss-copy-source-if-match": '"E"',
        "x-oss-request-payer": "requester",
    }


@pytest.mark.parametrize(
    "kind",
    [RequestOptions, PartOptions, InitiateOptions, CompleteOptions, PutOptions, ReadOptions],
)
def test_every_option_of_a_call_is_known(kind: type) -> None:
    assert all(header_of(option) for option in kind.__annotations__)


def test_whole_upload_takes_what_its_calls_take() -> None:
    each = [RequestOptions, PartOptions, InitiateOptions, CompleteOptions]
    assert set(PutOptions.__annotations__) == {name for k in each for name in k.__annotations__}


text = st.text(st.characters(blacklist_categories=("Cc", "Cs")), max_size=40)


@given(text)
def test_any_text_is_metadata_or_refused_for_its_ends(value: str) -> None:
    if value != value.strip(" "):
        with pytest.raises(InvalidArgumentError, match="begins or ends"):
            merged({}, {"metadata": {"a": value}})
    else:
        assert merged({}, {"metadata": {"a": value}}) == {"x-oss-meta-a": value}


def decoded(encoded: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(encoded, validate=True))
    return found


def test_callback_is_base64_of_json() -> None:
    callback = Callback(
        ["http://a.example/x", "https://b.example:23450"],
        "bucket=${bucket}&var1=${x:var1}",
        host="yourHost",
        body_type="application/json",
        sni=True,
        variables={"var1": "值1", "x:var2": "value2"},
    )
    assert decoded(callback.encoded) == {
        "callbackUrl": "http://a.example/x;https://b.example:23450",
        "callbackBody": "bucket=${bucket}&var1=${x:var1}",
        "callbackBodyType": "application/json",
        "callbackHost": "yourHost",
        "callbackSNI": True,
    }
    assert decoded(callback.encoded_variables) == {"x:var1": "值1", "x:var2": "value2"}
    both = merged({}, {"callback": callback})
    assert set(both) == {"x-oss-callback", "x-oss-callback-var"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": ""}, {"url": "example.com"}, {"url": "ftp://example.com"}, {"url": []},
        {"url": ["http://a.example"] * 6}, {"url": "http://a.example; http://b"},
        {"url": "http://[::1"}, {"url": "http:///x"}, {"url": 5}, {"body": ""}, {"body": None},
        {"variables": {"A": "x"}}, {"variables": {"": "x"}}, {"variables": {"a b": "x"}},
        {"variables": {"a": 1}}, {"variables": None}, {"body": "\ud800"}, {"host": ""},
        {"host": "a\r\nb"},
        {"host": "\ud800"},
        {"variables": {"a": "\ud800"}},
        {"variables": {1: "x"}},
        {"variables": {"a": "1", "x:a": "2"}}, {"body_type": "text/plain"},
    ],
    ids=ascii,
)  # fmt: skip
def test_callback_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"url": "http://example.com/", "body": "a=b"}
    with pytest.raises(InvalidArgumentError):
        Callback(**{**right, **wrong})
