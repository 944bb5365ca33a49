"""ListMultipartUploads: prefix, delimiter, both markers and the size of the page."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.conformance.places import Place
from tests.conformance.witness import Sdk, Upload, UploadsQuery, Witness, pages_of_uploads
from tests.support import random_bytes

KEYS = ("a/b", "a/b", "a/b+c d", "a/c", "a/c", "a/c", "b", "b&/中", "🎉/x")
TAIL = random_bytes(1_000, 3)


@pytest.fixture
def begun(witness: Witness, reader: Sdk, place: Place) -> list[Upload]:
    """Uploads that are under way, in the order they are listed in.

    That is the order of their keys; below one key it is the server's to say.
    """
    keys = [place.key(text) for text in KEYS]
    made = {Upload(key, witness.init(key)) for key in reversed(keys)}
    listed = reader.list_uploads(UploadsQuery(place.prefix)).uploads
    assert [upload.key for upload in listed] == keys
    assert set(listed) == made
    return list(listed)


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 9, 1000])
def test_uploads_are_listed_page_by_page(
    witness: Witness, place: Place, begun: list[Upload], limit: int
) -> None:
    for text in ("", "a/", "a/b", "a/c", "b&", "none"):
        prefix = place.prefix + text
        wanted = [upload for upload in begun if upload.key.startswith(prefix)]
        pages = list(pages_of_uploads(witness, prefix, limit))
        assert [row for page in pages for row in page.uploads] == wanted
        assert {len(page.uploads) for page in pages[:-1]} <= {limit}
        assert [page.is_truncated for page in pages] == [True] * (len(pages) - 1) + [False]


def test_uploads_are_listed_after_any_marker(
    witness: Witness, place: Place, begun: list[Upload]
) -> None:
    for at, upload in enumerate(begun):
        query = UploadsQuery(place.prefix, key_marker=upload.key, upload_id_marker=upload.upload_id)
        assert list(witness.list_uploads(query).uploads) == begun[at + 1 :]


def test_key_marker_alone_passes_over_its_key(
    witness: Witness, place: Place, begun: list[Upload]
) -> None:
    for text in (*KEYS, "a/", "a/b+", "~"):
        marker = place.prefix + text
        rest = [upload for upload in begun if upload.key.encode() > marker.encode()]
        listed = witness.list_uploads(UploadsQuery(place.prefix, key_marker=marker)).uploads
        assert list(listed) == rest


def test_upload_id_marker_alone_is_ignored(
    witness: Witness, place: Place, begun: list[Upload]
) -> None:
    query = UploadsQuery(place.prefix, upload_id_marker=begun[3].upload_id)
    assert list(witness.list_uploads(query).uploads) == begun


@dataclass(frozen=True)
class Group:
    """What is to be listed of KEYS under a prefix, with a delimiter."""

    prefix: str
    delimiter: str
    keys: Sequence[str]
    prefixes: Sequence[str] = ()


GROUPS = {
    "folders": Group("", "/", ["b"], ["a/", "b&/", "🎉/"]),
    "in-a-folder": Group("a/", "/", ["a/b", "a/b", "a/b+c d", "a/c", "a/c", "a/c"]),
    "one-folder": Group("a", "/", [], ["a/"]),
    "longer-delimiter": Group(
        "", "+c ", ["a/b", "a/b", "a/c", "a/c", "a/c", "b", "b&/中", "🎉/x"], ["a/b+c "]
    ),
    "delimiter-at-the-end": Group("a/b", "c d", ["a/b", "a/b"], ["a/b+c d"]),
}


@pytest.mark.parametrize("limit", [1, 2, 1000])
@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_uploads_are_grouped_by_a_delimiter(
    witness: Witness, place: Place, begun: list[Upload], group: Group, limit: int
) -> None:
    pages = list(pages_of_uploads(witness, place.prefix + group.prefix, limit, group.delimiter))
    rows = [row for page in pages for row in page.uploads]
    assert [row.key for row in rows] == [place.prefix + key for key in group.keys]
    assert set(rows) <= set(begun)
    assert len(set(rows)) == len(rows)
    if witness.lists_prefixes:
        found = [common for page in pages for common in page.prefixes]
        assert found == [place.prefix + common for common in group.prefixes]
        sizes = [len(page.uploads) + len(page.prefixes) for page in pages]
        assert set(sizes[:-1]) <= {limit}
    assert len(pages) == max(1, -(-(len(group.keys) + len(group.prefixes)) // limit))


def test_upload_that_ended_is_not_listed(witness: Witness, place: Place) -> None:
    aborted, completed, open_one = (
        Upload(key, witness.init(key)) for key in map(place.key, ("a", "b", "c"))
    )
    witness.abort(aborted.key, aborted.upload_id)
    part = witness.upload_part(completed.key, completed.upload_id, 1, TAIL)
    witness.complete(completed.key, completed.upload_id, [part])
    page = witness.list_uploads(UploadsQuery(place.prefix))
    assert (page.uploads, page.is_truncated) == ((open_one,), False)


def test_uploads_any_client_began_are_listed(
    witness: Witness, others: list[Witness], place: Place
) -> None:
    key = place.key("shared")
    begun = {Upload(key, other.init(key)) for other in others}
    listed = witness.list_uploads(UploadsQuery(place.prefix)).uploads
    assert len(listed) == len(begun)
    assert set(listed) == begun
