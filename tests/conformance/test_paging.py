"""Thousands of rows, page by page: none is lost, none comes twice, whatever happens meanwhile."""

import itertools
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pytest

from tests.conformance.clients import WITNESSES, cleaned
from tests.conformance.ours import Ours
from tests.conformance.places import Place, kinds, place_at, real_place
from tests.conformance.witness import (
    PartsPage,
    Upload,
    UploadsPage,
    UploadsQuery,
    Witness,
    etag_of,
    pages_of_parts,
    pages_of_uploads,
)
from tests.crash.processes import Server

CLIENTS = ("oss2-v4", "oss_v2-v4", "resumable-v4")
WRITERS = 4
T = TypeVar("T")


@dataclass(frozen=True)
class Growing:
    """An upload to which parts are added: those it had from the first, and those it ever got."""

    key: str
    upload_id: str
    stay: Sequence[int]
    ever: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Crowd:
    """Uploads under `uploads/`, one upload elsewhere with as many parts, and some that grow."""

    place: Place
    uploads: frozenset[Upload]
    full: Growing
    growing: Mapping[str, Growing]

    @property
    def prefix(self) -> str:
        return self.place.key("uploads/")


@pytest.fixture(scope="module", params=kinds())
def crowd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crowd]:
    """Made once. The local server is a process of its own, so that three clients keep two busy."""
    with ExitStack() as undo:
        if request.param == "local":
            server = Server(tmp_path_factory.mktemp("server"))
            undo.callback(server.kill)
            place = place_at(server.endpoint)
        else:
            place = undo.enter_context(cleaned(real_place()))
        yield gathered(place)


def gathered(place: Place) -> Crowd:
    """Begin the uploads and send the parts."""
    numbers = sorted(random.Random(1).sample(range(1, 10_001), place.many))
    with closing(Ours(place, "v4")) as client, ThreadPoolExecutor(WRITERS) as pool:

        def begun(key: str) -> Upload:
            return Upload(key, client.init(key))

        def sent(text: str, stay: Sequence[int]) -> Growing:
            made = Growing(place.key(text), client.init(place.key(text)), stay)
            send = partial(client.upload_part, made.key, made.upload_id, data=b"x")
            list(pool.map(lambda number: send(number=number), stay))
            return made

        keys = itertools.islice(keys_of(place), place.many)
        return Crowd(
            place,
            frozenset(pool.map(begun, keys)),
            sent("parts/of many.bin", numbers),
            {
                "larger": sent("parts/that come.bin", range(2, 7_502, 3)),
                "smaller": sent("parts/that come, too.bin", range(2, 242, 3)),
            },
        )


def keys_of(place: Place) -> Iterator[str]:
    """Keys around which markers turn: one of a thousand uploads, and near ones of one to four."""
    yield from itertools.repeat(place.key("uploads/m"), 1010)
    near = (
        "",
        "/",
        "//",
        " ",
        "+",
        "%2F",
        "&a=b",
        "0",
        "\u0301",
        "中",
        "🎉",
        ".",
        "~",
        "\U0010ffff",
    )
    for at in itertools.count():
        for more in near:
            yield from itertools.repeat(place.key(f"uploads/{at:03}{more}"), at % 4 + 1)


class Turns:
    """Several witnesses that ask for the pages of a list in turn."""

    def __init__(self, witnesses: Sequence[Witness]) -> None:
        self._next = itertools.cycle(witnesses)

    def list_parts(self, key: str, upload_id: str, *, after: int, limit: int) -> PartsPage:
        return next(self._next).list_parts(key, upload_id, after=after, limit=limit)

    def list_uploads(self, query: UploadsQuery) -> UploadsPage:
        return next(self._next).list_uploads(query)


@contextmanager
def clients(place: Place, names: Sequence[str] = CLIENTS) -> Iterator[list[Witness]]:
    """Some of the witnesses, connected to the place."""
    with ExitStack() as opened:
        yield [opened.enter_context(closing(WITNESSES[name](place))) for name in names]


in_pages = pytest.mark.parametrize(
    ("names", "limit"),
    [((name,), limit) for name in CLIENTS for limit in (1000, 100)]
    # Row by row the clients take turns, each going on where another stood; each of them alone
    # takes three times as long.
    + [(CLIENTS, 1)]
    + [pytest.param((name,), 1, marks=pytest.mark.large) for name in CLIENTS],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else None,
)


@in_pages
def test_uploads_are_listed_completely(crowd: Crowd, names: Sequence[str], limit: int) -> None:
    with clients(crowd.place, names) as witnesses:
        pages = list(pages_of_uploads(Turns(witnesses), crowd.prefix, limit))
    assert {len(page.uploads) for page in pages[:-1]} == {limit}
    rows = [row for page in pages for row in page.uploads]
    assert len(rows) == crowd.place.many
    assert set(rows) == crowd.uploads
    assert [row.key for row in rows] == sorted((row.key for row in rows), key=str.encode)


@in_pages
def test_parts_are_listed_completely(crowd: Crowd, names: Sequence[str], limit: int) -> None:
    with clients(crowd.place, names) as witnesses:
        pages = list(pages_of_parts(Turns(witnesses), crowd.full.key, crowd.full.upload_id, limit))
    assert {len(page.parts) for page in pages[:-1]} == {limit}
    rows = [part for page in pages for part in page.parts]
    assert [part.number for part in rows] == crowd.full.stay
    assert {(part.size, part.etag) for part in rows} == {(1, etag_of(b"x"))}


class Churn:
    """A thread that begins and ends uploads, or sends parts, for as long as the context lasts.

    Attributes:
        near: Where a reader's markers stood last: that is where it happens.
    """

    def __init__(self, step: Callable[[str], None], near: str) -> None:
        self.near = deque([near], maxlen=8)
        self._step = step
        self._steps = 0
        self._changed = threading.Condition()
        self._stop = False
        self._failed: BaseException | None = None

    def _run(self) -> None:
        draw = random.Random(2)
        try:
            while not self._stop:
                self._step(draw.choice(self.near))
                with self._changed:
                    self._steps += 1
                    self._changed.notify_all()
        except BaseException as error:  # told by the reader, which must not wait for ever
            with self._changed:
                self._failed = error
                self._changed.notify_all()
            raise

    def wait_for_more(self) -> None:
        """Wait until something has changed since now."""
        with self._changed:
            seen = self._steps
            assert self._changed.wait_for(lambda: self._failed or self._steps > seen, 30)
        assert self._failed is None

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(1) as pool:
            thread = pool.submit(self._run)
            try:
                self.wait_for_more()
                yield
            finally:
                self._stop = True
            thread.result(30)


class Passers:
    """Uploads that come and go: begun at a key, or just before or behind it, and aborted."""

    def __init__(self, client: Witness, place: Place) -> None:
        self.ever: set[Upload] = set()
        self.ended = 0
        self._client, self._place = client, place
        self._open: list[Upload] = []
        self._draw = random.Random(3)

    def __call__(self, near: str) -> None:
        if len(self._open) > 20 or (self._open and self._draw.random() < 0.4):
            gone = self._open.pop(self._draw.randrange(len(self._open)))
            self._client.abort(gone.key, gone.upload_id)
            self.ended += 1
            return
        key = self._draw.choice((near, near + "\x21", near[:-1], near + "~"))
        upload = Upload(key, self._client.init(key))
        self.ever.add(upload)
        self._open.append(upload)

    def end_all(self) -> None:
        """Abort those that are left."""
        for upload in self._open:
            self._client.abort(upload.key, upload.upload_id)


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize(
    ("limit", "under"),
    [(1000, ""), (100, ""), (1, "003"), pytest.param(1, "", marks=pytest.mark.large)],
)
def test_uploads_that_stay_are_listed_once_while_others_come_and_go(
    crowd: Crowd, name: str, limit: int, under: str
) -> None:
    place, prefix = crowd.place, crowd.prefix + under
    stay = {upload for upload in crowd.uploads if upload.key.startswith(prefix)}
    with closing(WITNESSES[name](place)) as reader, closing(Ours(place, "v4")) as writer:
        passers = Passers(writer, place)
        churn = Churn(passers, min(upload.key for upload in stay))
        rows: list[Upload] = []
        with churn.running():
            for page in pages_of_uploads(reader, prefix, limit):
                rows += page.uploads
                churn.near.append(page.next_key_marker or prefix)
                churn.wait_for_more()
        passers.end_all()
        assert_once(rows, stay, passers.ever)
        assert passers.ended > 0


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize(
    ("limit", "which"),
    [
        (1000, "larger"),
        (100, "larger"),
        (1, "smaller"),
        pytest.param(1, "larger", marks=pytest.mark.large),
    ],
)
def test_parts_that_stay_are_listed_once_while_others_come(
    crowd: Crowd, name: str, limit: int, which: str
) -> None:
    grows, draw = crowd.growing[which], random.Random(4)
    with ExitStack() as opened:
        reader, writer = (
            opened.enter_context(closing(made(crowd.place)))
            for made in (WITNESSES[name], WITNESSES["resumable-v4"])
        )

        def send(near: str) -> None:
            number = min(10_000, max(1, int(near) + draw.randint(-3, 3)))
            grows.ever.add(number)
            writer.upload_part(grows.key, grows.upload_id, number, b"y")

        churn = Churn(send, "1")
        rows: list[int] = []
        with churn.running():
            for page in pages_of_parts(reader, grows.key, grows.upload_id, limit):
                rows += [part.number for part in page.parts]
                churn.near.append(str(page.next_marker))
                churn.wait_for_more()
        assert_once(rows, set(grows.stay), grows.ever)
        assert rows == sorted(rows)


def assert_once(rows: Sequence[T], stay: set[T], ever: set[T]) -> None:
    """Rows that stayed came once, the others at most once, and none that never was."""
    twice = [row for row, times in Counter(rows).items() if times > 1]
    assert twice == []
    assert stay - set(rows) == set()
    assert set(rows) - stay <= ever
