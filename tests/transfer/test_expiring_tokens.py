"""Security tokens that end while an upload is under way.

Time passes in leaps here, for client and server alike, at moments when every request under way
has been let in: no test waits, and none depends on how fast the machine is.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import pytest

from resumable import AccessDeniedError, Bucket, Credentials, CredentialsError
from resumable.errors import TokenExpiredError
from resumable.oss.credentials import CredentialsProvider
from resumable.server import AccessKey, LocalServer
from tests.support import PART, QUICK, make_file, parts_sent, requests

from .steps import KEY, beside, fault, gate, meanwhile, open_uploads, recorded, upload

LIFE = 600.0  # of a token; a signature is good for 900 s
SHORTLY_BEFORE = 0.85 * LIFE  # when a client that knows the expiry asks for the next one
TOKENS = 8
PARTS = 20
NUMBERS = list(range(1, PARTS + 1))


class Calendar:
    """What time it is, for client and server."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.began = self.now()

    def now(self) -> float:
        return time.time() + self.ahead

    def leap(self, seconds: float) -> None:
        self.ahead += seconds


class TokenService:
    """Gives out the token that was issued last; a new one for each life that has passed.

    Attributes:
        asked: How often it was asked.
        late: How many seconds the expiry it tells lies after the true one; None to tell none.
        down: Whether it fails instead.
    """

    def __init__(self, calendar: Calendar, late: float | None = 0.0) -> None:
        self.asked = 0
        self.late = late
        self.down = False
        self._calendar = calendar
        self._issued: list[Credentials] = []
        self._lock = threading.Lock()

    def __call__(self) -> Credentials:
        with self._lock:
            self.asked += 1
            if self.down:
                raise ConnectionError("no token service")
            number = len(self._issued)
            ends = self._calendar.began + (number + 1) * LIFE
            told = None if self.late is None else ends + self.late
            self._issued.append(token(number, told))
            return self._issued[-1]


def token(number: int, expires_at: float | None = None) -> Credentials:
    return Credentials(f"STS{number}", f"secret{number}", f"token{number}", expires_at)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    made = Calendar()
    clock = SimpleNamespace(time=made.now, perf_counter=time.perf_counter)
    monkeypatch.setattr("resumable.oss.client.time", clock)
    monkeypatch.setattr("resumable.server.service.time", clock)
    return made


@pytest.fixture
def server(tmp_path: Path, calendar: Calendar) -> Iterator[LocalServer]:
    """A server that knows the tokens: each is good at once, and ends after the one before it."""
    keys = {
        f"STS{number}": AccessKey(
            f"secret{number}", f"token{number}", calendar.began + (number + 1) * LIFE
        )
        for number in range(TOKENS)
    }
    with LocalServer(tmp_path / "server-root", access_keys=keys) as running:
        yield running


Connect = Callable[[Credentials | CredentialsProvider], Bucket]


@pytest.fixture
def connect(server: LocalServer) -> Iterator[Connect]:
    made: list[Bucket] = []

    def make(credentials: Credentials | CredentialsProvider) -> Bucket:
        bucket = Bucket(
            "examplebucket",
            endpoint=server.endpoint,
            region="cn-hangzhou",
            credentials=credentials,
            retry=QUICK,
        )
        made.append(bucket)
        return bucket

    yield make
    for bucket in made:
        bucket.close()


def leaps(
    server: LocalServer, calendar: Calendar, threads: int, *seconds: float
) -> AbstractContextManager[None]:
    """Let time leap while the answers to a part of each thread are held, some parts apart."""
    for number in range(len(seconds)):
        held = gate(f"leap {number}", "after")
        skip = 2 + number * 6
        server.faults.add(fault("UploadPart", held, skip=skip, times=threads))

    def act() -> None:
        for number, length in enumerate(seconds):
            server.faults.wait_reached(f"leap {number}", count=threads)
            calendar.leap(length)
            server.faults.release(f"leap {number}")

    return meanwhile(act)


def refusals(server: LocalServer) -> list[str | None]:
    return [exchange.code for exchange in server.log if exchange.status == 403]


@pytest.mark.parametrize("threads", [1, 3])
def test_token_is_renewed_in_good_time_so_that_nothing_is_refused(
    server: LocalServer, calendar: Calendar, connect: Connect, folder: Path, threads: int
) -> None:
    file = make_file(folder, PARTS * PART)
    service = TokenService(calendar)
    bucket = connect(service)
    with leaps(server, calendar, threads, SHORTLY_BEFORE, LIFE, LIFE):
        result = upload(bucket, file, thread_num=threads)
    assert refusals(server) == []
    assert sorted(parts_sent(server.log)) == NUMBERS
    assert requests(server)["UploadPart"] == PARTS
    assert (result.bytes_sent, result.parts_reused) == (PARTS * PART, 0)
    assert service.asked == 4


@pytest.mark.parametrize("threads", [1, 3])
def test_token_that_ends_before_it_was_told_is_renewed_and_no_part_is_stored_twice(
    server: LocalServer, calendar: Calendar, connect: Connect, folder: Path, threads: int
) -> None:
    file = make_file(folder, PARTS * PART)
    service = TokenService(calendar, late=86_400.0)
    bucket = connect(service)
    with leaps(server, calendar, threads, LIFE + 1, LIFE):
        result = upload(bucket, file, thread_num=threads)
    refused = refusals(server)
    assert set(refused) == {"SecurityTokenExpired"}
    assert 2 <= len(refused) <= 2 * threads
    assert sorted(parts_sent(server.log)) == NUMBERS
    assert requests(server)["UploadPart"] == PARTS + len(refused)
    assert (result.bytes_sent, result.parts_reused) == (PARTS * PART, 0)
    assert service.asked == 3


@pytest.mark.parametrize("threads", [1, 3])
def test_token_without_an_expiry_that_ends_on_its_way_is_renewed(
    server: LocalServer, calendar: Calendar, connect: Connect, folder: Path, threads: int
) -> None:
    """The provider is asked before each request, and still gives one that is too old by then."""
    file = make_file(folder, PARTS * PART)
    asked: list[int] = []
    lock = threading.Lock()

    def provider() -> Credentials:
        with lock:
            asked.append(len(asked))
            number = int((calendar.now() - calendar.began) // LIFE)
            if len(asked) in (6, 14):
                calendar.leap(LIFE)
            return token(number)

    result = upload(connect(provider), file, thread_num=threads)
    assert set(refusals(server)) == {"SecurityTokenExpired"}
    assert sorted(parts_sent(server.log)) == NUMBERS
    assert (result.bytes_sent, result.parts_reused) == (PARTS * PART, 0)


@pytest.mark.parametrize(
    ("held", "refused"),
    [
        (fault("InitiateMultipartUpload", gate("leap 0", "after")), "UploadPart"),
        (fault("UploadPart", gate("leap 0", "after"), part_number=5), "CompleteMultipartUpload"),
    ],
    ids=["after Initiate", "before Complete"],
)
def test_token_may_end_before_any_call(
    server: LocalServer,
    calendar: Calendar,
    connect: Connect,
    folder: Path,
    held: dict[str, object],
    refused: str,
) -> None:
    file = make_file(folder, 5 * PART)
    service = TokenService(calendar, late=86_400.0)
    server.faults.add(held)

    def act() -> None:
        server.faults.wait_reached("leap 0")
        calendar.leap(LIFE + 1)
        server.faults.release("leap 0")

    with meanwhile(act):
        upload(connect(service), file)
    assert [one.operation for one in server.log if one.status == 403] == [refused]
    assert parts_sent(server.log) == [1, 2, 3, 4, 5]
    assert requests(server)["InitiateMultipartUpload"] == 1


def test_token_service_that_is_down_for_a_while_does_no_harm(
    server: LocalServer,
    calendar: Calendar,
    connect: Connect,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = make_file(folder, PARTS * PART)
    service = TokenService(calendar)
    bucket = connect(service)
    server.faults.add(fault("UploadPart", gate("down", "after"), part_number=3))
    server.faults.add(fault("UploadPart", gate("up", "after"), part_number=9))

    def act() -> None:
        server.faults.wait_reached("down")
        service.down = True
        calendar.leap(SHORTLY_BEFORE)
        server.faults.release("down")
        server.faults.wait_reached("up")
        asked.append(service.asked)
        service.down = False
        calendar.leap(30)
        server.faults.release("up")

    asked: list[int] = []
    with caplog.at_level(logging.WARNING, "resumable"), meanwhile(act):
        upload(bucket, file)
    assert asked == [2]
    assert service.asked == 3
    assert refusals(server) == []
    assert caplog.text.count("the old one is still good") == 1


def test_token_service_that_stays_down_ends_the_run_and_what_is_there_is_kept(
    server: LocalServer, calendar: Calendar, connect: Connect, folder: Path
) -> None:
    file = make_file(folder, PARTS * PART)
    service = TokenService(calendar)
    bucket = connect(service)
    server.faults.add(fault("UploadPart", gate("down", "after"), part_number=7))

    def act() -> None:
        server.faults.wait_reached("down")
        service.down = True
        calendar.leap(LIFE + 1)
        server.faults.release("down")

    with meanwhile(act), pytest.raises(CredentialsError, match="ConnectionError") as failed:
        upload(bucket, file)
    assert isinstance(failed.value.__cause__, ConnectionError)
    assert recorded(file) == [1, 2, 3, 4, 5, 6, 7]
    service.down = False
    assert upload(bucket, file).parts_reused == 7
    assert parts_sent(server.log) == NUMBERS


@pytest.mark.parametrize("threads", [1, 3])
def test_run_that_ends_with_its_fixed_token_goes_on_with_the_next(
    server: LocalServer, calendar: Calendar, connect: Connect, folder: Path, threads: int
) -> None:
    file = make_file(folder, PARTS * PART)
    with leaps(server, calendar, threads, LIFE + 1), pytest.raises(TokenExpiredError) as refused:
        upload(connect(token(0)), file, thread_num=threads)
    assert isinstance(refused.value, AccessDeniedError)
    assert refused.value.part_number is not None
    assert "token" in refused.value.advice
    assert refused.value.kept
    assert beside(file) == {"example.bin.cp"}
    stored = sorted(parts_sent(server.log))
    assert recorded(file) == stored
    assert 2 < len(stored) < PARTS

    bucket = connect(token(1))
    result = upload(bucket, file, thread_num=threads)
    assert (result.resumed, result.parts_reused) == (True, len(stored))
    assert sorted(parts_sent(server.log)) == NUMBERS
    assert open_uploads(bucket) == []
    assert beside(file) == set()


def test_token_ends_before_a_small_file_is_put(
    server: LocalServer, calendar: Calendar, connect: Connect, folder: Path
) -> None:
    file = make_file(folder, PART // 2)
    service = TokenService(calendar, late=86_400.0)
    bucket = connect(service)
    bucket.put_object(KEY, b"older")
    calendar.leap(LIFE + 1)
    server.log.clear()
    upload(bucket, file)
    assert len(refusals(server)) == 1
    assert service.asked == 2
