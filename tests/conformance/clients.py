"""Every client the suite runs for, each with both signatures, and how places are left clean."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial

from tests.conformance.classic import Classic
from tests.conformance.modern import Modern
from tests.conformance.ours import Ours
from tests.conformance.places import Place
from tests.conformance.witness import Sdk, Witness, pages_of_uploads

SDKS: Mapping[str, Callable[[Place], Sdk]] = {
    "oss2-v1": partial(Classic, version="v1"),
    "oss2-v4": partial(Classic, version="v4"),
    "oss_v2-v1": partial(Modern, version="v1"),
    "oss_v2-v4": partial(Modern, version="v4"),
}
WITNESSES: Mapping[str, Callable[[Place], Witness]] = {
    **SDKS,
    "resumable-v1": partial(Ours, version="v1"),
    "resumable-v4": partial(Ours, version="v4"),
}


@contextmanager
def cleaned(place: Place) -> Iterator[Place]:
    """Within this context a place may be used; then what was put or begun there is removed.

    By an SDK, since it is ours that is tested.
    """
    try:
        yield place
    finally:
        with closing(Classic(place, "v4")) as sdk:
            _abort_all(sdk, place.prefix)
            for key in sdk.objects(place.prefix):
                sdk.delete(key)


def _abort_all(sdk: Sdk, prefix: str) -> None:
    while rows := [row for page in pages_of_uploads(sdk, prefix, 1000) for row in page.uploads]:
        for row in rows:
            sdk.abort(row.key, row.upload_id)
