"""Headers as a caller gives them: what is taken, in which form, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.core.headers import checked_headers, is_unicode
from resumable.errors import InvalidArgumentError


def test_names_are_lowered_and_spaces_around_values_stripped() -> None:
    assert checked_headers({"Content-Type": " text/plain  ", "X-OSS-Meta-A": "中文 é"}) == {
        "content-type": "text/plain",
        "x-oss-meta-a": "中文 é",
    }


def test_none_are_none() -> None:
    assert checked_headers({}) == {}


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        pytest.param([("a", "b")], "not a mapping", id="pairs"),
        pytest.param("a: b", "not a mapping", id="text"),
        pytest.param({1: "b"}, "1 is not a header name", id="name is a number"),
        pytest.param({b"a": "b"}, "is not a header name", id="name is bytes"),
        pytest.param({"": "b"}, "'' is not a header name", id="name is empty"),
        pytest.param({"a b": "c"}, "'a b' is not a header name", id="name with a space"),
        pytest.param({"a:": "c"}, "'a:' is not a header name", id="name with a colon"),
        pytest.param({"a\n": "c"}, "is not a header name", id="name with a line break"),
        pytest.param({"é": "c"}, "'é' is not a header name", id="name is not ASCII"),
        pytest.param({"Host": "h"}, "Host is set by this library", id="ours"),
        pytest.param({"x-oss-security-token": "t"}, "set by this library", id="token"),
        pytest.param({"a": 5}, "header a holds a character", id="value is a number"),
        pytest.param({"a": "b\r\nHost: h"}, "header a holds a character", id="value with CR LF"),
        pytest.param({"a": "\x85"}, "header a holds a character", id="value with C1"),
        pytest.param({"a": "\ud800"}, "header a holds a character", id="value with a surrogate"),
        pytest.param({"a": "1", "A": "2"}, "header A is given twice", id="twice"),
    ],
)
def test_what_cannot_travel_is_refused(headers: object, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        checked_headers(headers)  # type: ignore[arg-type]


@given(st.dictionaries(st.text(), st.text()))
def test_whatever_is_taken_can_be_put_on_a_line(headers: dict[str, str]) -> None:
    try:
        checked = checked_headers(headers)
    except InvalidArgumentError:
        return
    for name, value in checked.items():
        assert f"{name}: {value}".encode().splitlines() == [f"{name}: {value}".encode()]
    assert checked_headers(checked) == checked


@pytest.mark.parametrize("text", ["", "a", "é", "日本", "🎉", "\0", "\uffff", "\U0010ffff"])
def test_text_that_can_be_written_as_utf_8_is_unicode(text: str) -> None:
    assert is_unicode(text)


@pytest.mark.parametrize("text", ["\ud800", "a\udc80b"])
def test_text_with_a_lone_surrogate_is_not(text: str) -> None:
    assert not is_unicode(text)
