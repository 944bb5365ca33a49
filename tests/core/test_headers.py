"""Which header goes to which call: the table, and what holds for any headers."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.core.headers import _OF_OTHER_CALLS, RoutedHeaders, route_headers
from resumable.errors import InvalidArgumentError

CALLS = ("put", "initiate", "owned", "part", "complete", "every")

ROUTES = {
    # the object's own headers belong to the upload id
    "Content-Type": "put initiate owned",
    "Cache-Control": "put initiate owned",
    "Content-Disposition": "put initiate owned",
    "Content-Encoding": "put initiate owned",
    "Expires": "put initiate owned",
    "x-oss-meta-author": "put initiate owned",
    "x-oss-tagging": "put initiate owned",
    "x-oss-storage-class": "put initiate owned",
    "x-oss-server-side-encryption": "put initiate owned",
    "x-oss-server-side-encryption-key-id": "put initiate owned",
    "x-oss-server-side-data-encryption": "put initiate owned",
    # a callback given only to Initiate would never be called
    "x-oss-callback": "put complete",
    "x-oss-callback-var": "put complete",
    "x-oss-object-acl": "put complete",
    # asked at the beginning to fail early, and at the end because that is when it counts
    "x-oss-forbid-overwrite": "put initiate complete",
    # a limit on the parts, which carry the data
    "x-oss-traffic-limit": "put part",
    # who pays must be said with each request
    "x-oss-request-payer": "put initiate part complete every",
}


def calls_with(routed: RoutedHeaders, name: str) -> set[str]:
    return {call for call in CALLS if name in getattr(routed, call)}


@pytest.mark.parametrize(("name", "calls"), ROUTES.items(), ids=ROUTES)
def test_header_goes_to_the_calls_that_need_it(name: str, calls: str) -> None:
    routed = route_headers({name: "value"})
    assert calls_with(routed, name.lower()) == set(calls.split())


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("name", ROUTES)
def test_spelling_of_a_name_makes_no_difference(name: str, spell: Callable[[str], str]) -> None:
    assert route_headers({spell(name): "Value"}) == route_headers({name: "Value"})


def test_together_they_go_where_each_goes_alone() -> None:
    routed = route_headers(dict.fromkeys(ROUTES, "v"))
    assert {name: calls_with(routed, name.lower()) for name in ROUTES} == {
        name: set(calls.split()) for name, calls in ROUTES.items()
    }


def test_no_headers_are_no_headers_anywhere() -> None:
    assert route_headers({}) == RoutedHeaders({}, {}, {}, {}, {}, {})


NAMES = st.text(min_size=1).filter(lambda name: not name.lower().startswith(_OF_OTHER_CALLS))


@given(st.dictionaries(st.sampled_from(sorted(ROUTES)) | NAMES, st.text()))
def test_no_header_is_lost_and_none_is_made_up(headers: dict[str, str]) -> None:
    routed = route_headers(headers)
    lowered = {name.lower(): value for name, value in headers.items()}
    assert routed.put == lowered
    for call in CALLS:
        assert getattr(routed, call).items() <= lowered.items()
    in_parts = {**routed.initiate, **routed.part, **routed.complete}
    assert in_parts == lowered
    assert routed.every.items() <= routed.part.items()
    assert routed.owned.items() <= routed.initiate.items()


@pytest.mark.parametrize(
    "name",
    ["x-oss-complete-all", "X-Oss-Copy-Source", "x-oss-copy-source-if-match", "Range", "If-Match"],
)
def test_header_that_would_make_another_call_of_it_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=name.lower()):
        route_headers({name: "yes"})
