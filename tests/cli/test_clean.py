"""`resumable clean`: what is older than the limit by the server's clock goes, all else stays."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.cli.parameters import AGE, Age
from resumable.server import DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET, LocalServer
from tests.cli.conftest import Run
from tests.cli.unfinished import DAY, HOUR, answer_uploads, begin, listed, set_ages
from tests.support import requests

BUCKET = "oss://examplebucket"
REFUSED = {"operation": "AbortMultipartUpload", "effect": {"status": 403, "code": "AccessDenied"}}
BUSY = {"operation": "AbortMultipartUpload", "effect": {"status": 503, "code": "SlowDown"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "server-root"


def test_only_what_is_older_is_aborted(
    run: Run, server: LocalServer, bucket: Bucket, root: Path
) -> None:
    old, border, young, new = begin(bucket, "a", "b", "c", "d")
    # The younger one has a minute until it is old enough, should the machine be slow.
    set_ages(server, root, {old: 30 * DAY, border: 7 * DAY + 2, young: 7 * DAY - 60})
    outcome = run("clean", BUCKET, "--older-than", "7d")
    assert (outcome.code, outcome.err) == (0, "")
    *told, summary = outcome.out.splitlines()
    assert [(line.split()[0], line.split()[2]) for line in told] == [
        ("aborted", old),
        ("aborted", border),
    ]
    assert summary == "2 aborted, 2 not older than 7d"
    assert [upload_id for _, upload_id in listed(bucket)] == [young, new]


@pytest.mark.parametrize(("initiated", "goes"), [("11:59:59.999", True), ("12:00:00.000", False)])
def test_the_border_itself_is_not_older(
    run: Run, server: LocalServer, bucket: Bucket, initiated: str, goes: bool
) -> None:
    begin(bucket, "so that there is a bucket")
    row = ("a", "0" * 32, f"2026-03-01T{initiated}Z")
    answer_uploads(server, [row], Date="Sun, 08 Mar 2026 12:00:00 GMT")
    outcome = run("clean", BUCKET, "--older-than", "7d", "--dry-run")
    expected = "1 would be aborted, 0" if goes else "0 would be aborted, 1"
    assert outcome.out.splitlines()[-1] == f"{expected} not older than 7d"


@pytest.mark.parametrize(("off_by", "left"), [(10 * DAY, 0), (-10 * DAY, 2)])
def test_the_server_s_clock_decides(
    run: Run, server: LocalServer, bucket: Bucket, root: Path, off_by: int, left: int
) -> None:
    new, old = begin(bucket, "a", "b")
    set_ages(server, root, {old: 8 * DAY})
    server.faults.add({"times": None, "effect": {"skew": off_by}})
    assert run("clean", BUCKET, "--older-than", "7d").code == 0
    server.faults.clear()
    assert len(listed(bucket)) == left
    assert new != old


def test_without_a_date_of_the_server_this_machine_s_clock_is_taken_and_told(
    run: Run, server: LocalServer, bucket: Bucket, root: Path
) -> None:
    old, young = begin(bucket, "a", "b")
    set_ages(server, root, {old: 8 * DAY, young: 6 * DAY})
    without = {"answer": {"headers": {"Date": None}}}
    server.faults.add({"operation": "ListMultipartUploads", "effect": without})
    outcome = run("clean", BUCKET, "--older-than", "7d")
    assert "ages are taken by this machine's clock" in outcome.err
    assert listed(bucket) == [("b", young)]


def test_a_listed_key_that_is_none_is_named_and_the_others_go_on(
    run: Run, server: LocalServer, bucket: Bucket
) -> None:
    (real,) = begin(bucket, "real")
    long_ago = "2026-01-01T00:00:00.000Z"
    answer_uploads(server, [("%1B%5Bx", "ID", long_ago), ("real", real, long_ago)])
    outcome = run("clean", BUCKET, "--older-than", "1d")
    assert outcome.code == 1
    assert "failed: upload ID of oss://examplebucket/\\x1b[x: " in outcome.err
    assert "\x1b" not in outcome.out + outcome.err
    assert listed(bucket) == []


def test_a_dry_run_shows_and_aborts_nothing(
    run: Run, server: LocalServer, bucket: Bucket, root: Path
) -> None:
    old, _ = begin(bucket, "a", "b")
    set_ages(server, root, {old: 2 * HOUR})
    outcome = run("clean", BUCKET, "--older-than", "60m", "--dry-run")
    assert outcome.code == 0
    first, summary = outcome.out.splitlines()
    assert first.split()[::2] == ["would-abort", old]
    assert summary == "1 would be aborted, 1 not older than 60m"
    assert len(listed(bucket)) == 2
    assert requests(server)["AbortMultipartUpload"] == 0


def test_only_keys_with_the_prefix_are_looked_at(
    run: Run, server: LocalServer, bucket: Bucket, root: Path
) -> None:
    uploads = begin(bucket, "logs/a", "logs/b", "logs", "other")
    set_ages(server, root, dict.fromkeys(uploads, 2 * DAY))
    assert run("clean", f"{BUCKET}/logs/", "--older-than", "1d").code == 0
    assert [key for key, _ in listed(bucket)] == ["logs", "other"]


def test_nothing_there_is_fine_and_asks_once(run: Run, server: LocalServer, bucket: Bucket) -> None:
    bucket.put_object("k", b"content")
    server.log.clear()
    outcome = run("clean", BUCKET, "--older-than", "1d")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "0 aborted, 0 not older than 1d\n"
    assert requests(server) == {"ListMultipartUploads": 1}


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        pytest.param([REFUSED], 1, id="refused"),
        pytest.param([BUSY], 3, id="busy"),
        pytest.param([BUSY, REFUSED], 1, id="one busy and one refused"),
    ],
)
def test_one_that_fails_is_named_and_the_others_go_on(
    run: Run,
    server: LocalServer,
    bucket: Bucket,
    root: Path,
    faults: list[dict[str, object]],
    code: int,
) -> None:
    uploads = begin(bucket, "a", "b", "c")
    set_ages(server, root, dict.fromkeys(uploads, 2 * DAY))
    for fault in faults:
        server.faults.add(fault)
    outcome = run("clean", BUCKET, "--older-than", "1d", "--tries", 1)
    assert outcome.code == code
    left = listed(bucket)
    assert [upload_id for _, upload_id in left] == uploads[: len(faults)]
    for key, upload_id in left:
        assert f"failed: upload {upload_id} of {BUCKET}/{key}: " in outcome.err
    count = len(faults)
    assert outcome.out.endswith(f"{3 - count} aborted, {count} failed, 0 not older than 1d\n")


def test_one_that_vanished_meanwhile_is_fine(run: Run, server: LocalServer, bucket: Bucket) -> None:
    begin(bucket, "so that there is a bucket")
    answer_uploads(server, [("a", "0" * 32, "2026-01-01T00:00:00.000Z")])
    outcome = run("clean", BUCKET, "--older-than", "1d")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith("0 aborted, 1 gone already, 0 not older than 1d\n")


def test_one_whose_time_cannot_be_read_is_kept_and_named(
    run: Run, server: LocalServer, bucket: Bucket
) -> None:
    (upload_id,) = begin(bucket, "a")
    answer_uploads(server, [("a", upload_id, "long ago")])
    outcome = run("clean", BUCKET, "--older-than", "1d")
    assert outcome.code == 0
    assert f"skipped: upload {upload_id} of {BUCKET}/a: when it was begun" in outcome.err
    assert outcome.out == "0 aborted, 1 skipped, 0 not older than 1d\n"
    assert len(listed(bucket)) == 1


def test_json_is_one_object_for_each_upload_that_is_not_kept(
    run: Run, server: LocalServer, bucket: Bucket, root: Path
) -> None:
    uploads = begin(bucket, "a", "b", "c")
    set_ages(server, root, {uploads[0]: 2 * DAY, uploads[1]: 3 * DAY})
    known = list(bucket.iter_multipart_uploads())
    assert all(upload.initiated for upload in known)
    server.faults.add(REFUSED)
    outcome = run("clean", "--json", BUCKET, "--older-than", "1d")
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert "AccessDenied" in rows[0].pop("error")
    assert rows[1].pop("error") is None
    assert rows == [
        {
            "outcome": what,
            "bucket": "examplebucket",
            "key": upload.key,
            "upload_id": upload.upload_id,
            "initiated": upload.initiated.isoformat() if upload.initiated else None,
        }
        for what, upload in zip(("failed", "aborted"), known, strict=False)
    ]


def test_many_uploads_are_cleaned_over_pages(
    run: Run, server: LocalServer, bucket: Bucket, root: Path
) -> None:
    uploads = [bucket.init_multipart_upload(f"k{n:04}").upload_id for n in range(1010)]
    set_ages(server, root, dict.fromkeys(uploads[1:], 2 * DAY))
    outcome = run("clean", BUCKET, "--older-than", "1d")
    assert outcome.out.endswith("\n1009 aborted, 1 not older than 1d\n")
    assert listed(bucket) == [("k0000", uploads[0])]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("2h", 7200), ("7d", 604_800), ("2w", 1_209_600), ("0s", 0)],
)
def test_ages(text: str, seconds: int) -> None:
    assert AGE.convert(text, None, None) == Age(text, seconds)


@pytest.mark.parametrize(
    "age", ["", "7", "d", "7 d", "-7d", "7D", "1.5d", "7d1h", "\u0667d", "9999999999w"]
)
def test_what_is_no_age_exits_with_2(run: Run, server: LocalServer, age: str) -> None:
    assert run("clean", BUCKET, f"--older-than={age}").code == 2
    assert len(server.log) == 0


def test_the_longest_age_is_older_than_all(run: Run, bucket: Bucket) -> None:
    begin(bucket, "a")
    outcome = run("clean", BUCKET, "--older-than", "999999999w")
    assert (outcome.code, outcome.out) == (0, "0 aborted, 1 not older than 999999999w\n")


def test_the_age_must_be_given(run: Run, server: LocalServer) -> None:
    assert run("clean", BUCKET).code == 2
    assert len(server.log) == 0


def test_the_requester_pays_for_each_request(
    run: Run, server: LocalServer, bucket: Bucket, root: Path
) -> None:
    (upload_id,) = begin(bucket, "a")
    set_ages(server, root, {upload_id: 2 * DAY})
    server.log.clear()
    assert run("clean", BUCKET, "--older-than", "1d", "--request-payer").code == 0
    assert {exchange.headers.get("x-oss-request-payer") for exchange in server.log} == {"requester"}


def test_without_an_access_key_any_more_the_others_are_not_tried(
    run: Run,
    server: LocalServer,
    bucket: Bucket,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "ossutilconfig"
    keys = f"accessKeyID={DEFAULT_ACCESS_KEY_ID}\naccessKeySecret={DEFAULT_ACCESS_KEY_SECRET}\n"
    config.write_text(f"[Credentials]\n{keys}")
    config.chmod(0o600)
    monkeypatch.setenv("OSSUTIL_CONFIG_FILE", str(config))
    for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name)
    uploads = begin(bucket, "a", "b", "c")
    set_ages(server, root, dict.fromkeys(uploads, 8 * DAY))
    server.log.clear()
    abort = {"operation": "AbortMultipartUpload", "skip": 1}
    server.faults.add({**abort, "effect": {"gate": "second"}})
    server.faults.add({**abort, "effect": {"status": 403, "code": "InvalidAccessKeyId"}})

    def take_the_key_away() -> None:
        server.faults.wait_reached("second")
        config.write_text("[Credentials]\nlanguage=EN\n")
        server.faults.release("second")

    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(take_the_key_away)
        outcome = run("clean", BUCKET, "--older-than", "7d")
        taken.result(10)
    assert outcome.code == 2
    assert "no access key" in outcome.err
    assert [key for key, _ in listed(bucket)] == ["b", "c"]
    aborted = [entry.key for entry in server.log if entry.operation == "AbortMultipartUpload"]
    assert aborted == ["a", "b"]
