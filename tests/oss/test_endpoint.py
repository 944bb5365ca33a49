"""Endpoints, bucket names and keys: what is taken, where it leads, and what is refused."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.errors import InvalidArgumentError
from resumable.oss.endpoint import (
    Endpoint,
    Style,
    check_bucket_name,
    check_key,
    check_region,
    encode_path,
    encode_query,
    endpoint_for,
    region_of,
)


@dataclass(frozen=True)
class Place:
    """An endpoint as it is written, and what must come of it for the bucket `b-1`."""

    text: str
    style: Style
    shown: str
    origin: str
    path: str = "/key"


PLACES = [
    Place(
        "https://oss-cn-hangzhou.aliyuncs.com", "virtual",
        "https://oss-cn-hangzhou.aliyuncs.com", "https://b-1.oss-cn-hangzhou.aliyuncs.com",
    ),
    Place(
        "oss-cn-hangzhou.aliyuncs.com", "virtual",
        "https://oss-cn-hangzhou.aliyuncs.com", "https://b-1.oss-cn-hangzhou.aliyuncs.com",
    ),
    Place(
        "HTTP://OSS-CN-Hangzhou-Internal.aliyuncs.com/", "virtual",
        "http://oss-cn-hangzhou-internal.aliyuncs.com",
        "http://b-1.oss-cn-hangzhou-internal.aliyuncs.com",
    ),
    Place("https://oss.example.com:443", "virtual", "https://oss.example.com",
          "https://b-1.oss.example.com"),
    Place("http://oss.example.com:80", "virtual", "http://oss.example.com",
          "http://b-1.oss.example.com"),
    Place("https://oss.example.com:80", "virtual", "https://oss.example.com:80",
          "https://b-1.oss.example.com:80"),
    Place("oss.example.com:8443", "virtual", "https://oss.example.com:8443",
          "https://b-1.oss.example.com:8443"),
    Place("http://127.0.0.1:9000", "path", "http://127.0.0.1:9000", "http://127.0.0.1:9000",
          "/b-1/key"),
    Place("10.0.0.1", "path", "https://10.0.0.1", "https://10.0.0.1", "/b-1/key"),
    Place("http://localhost:9000", "path", "http://localhost:9000", "http://localhost:9000",
          "/b-1/key"),
    Place("http://[::1]:9000", "path", "http://[::1]:9000", "http://[::1]:9000", "/b-1/key"),
    Place("https://[2001:DB8::1]", "path", "https://[2001:db8::1]", "https://[2001:db8::1]",
          "/b-1/key"),
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.text)
def test_endpoint_leads_to_its_bucket(place: Place) -> None:
    endpoint = Endpoint.parse(place.text)
    assert endpoint.style == place.style
    assert str(endpoint) == place.shown
    assert endpoint.origin("b-1") == place.origin
    assert endpoint.path("b-1", "key") == place.path


@pytest.mark.parametrize(
    ("style", "origin", "path"),
    [
        ("cname", "https://files.example.com", "/a%20b"),
        ("path", "https://files.example.com", "/b-1/a%20b"),
        ("virtual", "https://b-1.files.example.com", "/a%20b"),
        (None, "https://b-1.files.example.com", "/a%20b"),
    ],
)
def test_style_can_be_chosen(style: Style | None, origin: str, path: str) -> None:
    endpoint = Endpoint.parse("files.example.com", style=style)
    assert (endpoint.origin("b-1"), endpoint.path("b-1", "a b")) == (origin, path)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.text)
def test_call_on_the_bucket_has_no_key(place: Place) -> None:
    path = Endpoint.parse(place.text).path("b-1", None)
    assert path == place.path.removesuffix("key")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.text)
def test_shown_endpoint_reads_as_the_same_endpoint(place: Place) -> None:
    endpoint = Endpoint.parse(place.text)
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("oss-cn-hangzhou-internal.aliyuncs.com", "cn-hangzhou"),
        ("oss-us-west-1.aliyuncs.com", "us-west-1"),
        ("oss-us-west-1-internal.aliyuncs.com", "us-west-1"),
        ("oss-ap-southeast-1.aliyuncs.com:8443", "ap-southeast-1"),
        ("oss-rg-china-mainland.aliyuncs.com", "rg-china-mainland"),
        ("OSS-CN-BEIJING.aliyuncs.com", "cn-beijing"),
        ("oss-accelerate.aliyuncs.com", None),
        ("oss-accelerate-overseas.aliyuncs.com", None),
        ("oss.aliyuncs.com", None),
        ("oss-cn-hangzhou.aliyuncs.com.example.com", None),
        ("oss-cn-hangzhou.example.com", None),
        ("127.0.0.1", None),
        ("files.example.com", None),
    ],
)
def test_region_is_read_from_the_name(host: str, region: str | None) -> None:
    assert Endpoint.parse(host).region == region


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "oss-us-west-1.aliyuncs.com"),
        ({"internal": True}, "oss-us-west-1-internal.aliyuncs.com"),
        ({"accelerate": True}, "oss-accelerate.aliyuncs.com"),
        ({"accelerate": "overseas"}, "oss-accelerate-overseas.aliyuncs.com"),
    ],
    ids=str,
)
def test_endpoint_is_derived_from_the_region(options: dict[str, Any], host: str) -> None:
    for region in ("us-west-1", "oss-us-west-1"):
        derived = endpoint_for(region, **options)
        assert derived == f"https://{host}" == str(Endpoint.parse(derived))
        assert region_of(derived) == (None if "accelerate" in host else "us-west-1")


@pytest.mark.parametrize(
    ("region", "options"),
    [
        (None, {}),
        (None, {"internal": True}),
        ("", {}),
        ("us-west-1", {"internal": True, "accelerate": True}),
        ("us-west-1", {"accelerate": "everywhere"}),
        ("us-west-1.evil.example.com", {}),
        ("us/west", {}),
    ],
)
def test_endpoint_that_does_not_exist_is_refused(
    region: str | None, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError):
        endpoint_for(region, **options)


def test_acceleration_needs_no_region() -> None:
    assert endpoint_for(None, accelerate=True) == "https://oss-accelerate.aliyuncs.com"


@pytest.mark.parametrize("region", ["cn-hangzhou", "oss-cn-hangzhou"])
def test_region_is_taken_with_the_prefix_of_other_programs(region: str) -> None:
    assert check_region(region) == "cn-hangzhou"


@pytest.mark.parametrize("region", ["", "oss-", "CN-Hangzhou", "cn hangzhou", "a" * 64, None, 7])
def test_bad_region_is_refused(region: object) -> None:
    with pytest.raises(InvalidArgumentError, match="region"):
        check_region(region)  # type: ignore[arg-type]


def test_region_of_what_is_no_endpoint_is_unknown() -> None:
    assert region_of("") is None
    assert region_of("https://id:secret@oss-cn-hangzhou.aliyuncs.com") is None


BAD = [
    "", " ", "https://", "http:///", "://host", "ftp://oss.example.com", "file:///etc/passwd",
    "oss://bucket/key", "https://oss.example.com/bucket", "https://oss.example.com//",
    "https://oss.example.com/?a=b", "https://oss.example.com?a", "https://oss.example.com#a",
    "https://oss.example.com:port", "https://oss.example.com:65536", "https://oss.example.com:-1",
    "https://oss example.com", "https://oss.example.com ", "https://oss.exa\x00mple.com",
    "https://oss_.example.com_", "https://-oss.example.com", "https://.example.com",
    "https://oss.example.com.", "https://[::1", "https://::1", "https://[oss.example.com]",
    "https://oss.example.com\\@evil.example.com", "https://oss.example.com%2Eevil",
    "https://目录.example.com", "https://oss.example.com,evil.example.com",
    "https://oss.exa\nmple.com", "https://oss.example.com\r\n", "\thttps://oss.example.com",
    None, 7, b"https://oss.example.com",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_bad_endpoint_is_refused_with_advice(text: object) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        Endpoint.parse(text)  # type: ignore[arg-type]
    assert refused.value.advice == "Write it as https://oss-cn-hangzhou.aliyuncs.com"


WITH_CREDENTIALS = [
    "https://LTAIid:topsecret@oss.example.com",
    "LTAIid:topsecret@oss.example.com",
    "https://topsecret@oss.example.com",
    "https://:topsecret@oss.example.com",
    "https://LTAIid:topsecret@oss.example.com:port",
    "https://LTAIid:topsecret@oss.example.com/bucket",
    "https://LTAIid:topsecret@oss.example.com?x=y",
    "ftp://LTAIid:topsecret@oss.example.com",
    "https://LTAIid:12/topsecret@oss.example.com",
    "https://LTAIid:12#topsecret@oss.example.com",
    "https://LTAIid:12?topsecret@oss.example.com",
    "https:///LTAIid:topsecret@oss.example.com",
    "https://b.oss.example.com/k?OSSAccessKeyId=LTAIid&Signature=topsecret",
]


@pytest.mark.parametrize("text", WITH_CREDENTIALS)
def test_credentials_in_an_endpoint_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        Endpoint.parse(text)
    assert "topsecret" not in str(refused.value)
    assert "topsecret" not in repr(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_an_endpoint_or_a_typed_refusal(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except InvalidArgumentError:
        return
    assert endpoint.scheme in ("http", "https")
    assert str(endpoint).isascii()


@pytest.mark.parametrize("name", ["abc", "a-b", "0a0", "a" * 63, "examplebucket", "123"])
def test_bucket_name_is_taken(name: str) -> None:
    assert check_bucket_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "a", "ab", "a" * 64, "-ab", "ab-", "Abc", "a_b", "a.b", "a b", "abc\n", "abc/", "a/b",
        "abc?", "..", "中文桶", "abc.evil.com", "abc@evil", "abc:80", "\u0430bc", "abc\x00",
        None, 7, b"abc",
    ],
)  # fmt: skip
def test_bad_bucket_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidArgumentError, match="lower-case"):
        check_bucket_name(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key",
    [
        "a", "a/b", "a//b/", "a/../b", "..", ".", "%2F", "a\\b", " ", "?", "#", "中文", "🎉",
        "k" * 1023, "中" * 341, "\ufeffa", "a\x80b", "a\u2028b",
    ],
)  # fmt: skip
def test_key_is_taken(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    [
        "", "/a", "/", "\\a", "k" * 1024, "中" * 342, "a\ud800b", "\udfff", "/" * 2000,
        "a\nb", "a\r\nb", "a\tb", "a\x00b", "\x1f", "a\x7f", None, b"a", 7,
    ],
    ids=ascii,
)  # fmt: skip
def test_bad_key_is_refused(key: object) -> None:
    with pytest.raises(InvalidArgumentError, match="key"):
        check_key(key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a&b=c", "a%26b%3Dc"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("a/../b", "a/../b"),
        ("%2E%2E", "%252E%252E"),
        ("a?b#c", "a%3Fb%23c"),
        ("~-_.", "~-_."),
        ("!*'()", "%21%2A%27%28%29"),
        ("中", "%E4%B8%AD"),
        ("🎉", "%F0%9F%8E%89"),
        ("\n\x00", "%0A%00"),
    ],
)
def test_key_is_encoded_once_and_slashes_stay(key: str, path: str) -> None:
    assert encode_path(key) == path


def test_slash_in_a_query_is_encoded() -> None:
    assert encode_query("a/b~-_. +") == "a%2Fb~-_.%20%2B"
