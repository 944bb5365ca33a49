"""`resumable uploads` and `resumable parts`: what is unfinished, for people and for programs."""

import json
from datetime import datetime
from typing import Any

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.cli.conftest import Run
from tests.cli.unfinished import answer_uploads, begin, listed
from tests.support import PART, random_bytes, requests

NO_UPLOAD = "0" * 32


def rows(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_uploads_are_listed_with_time_id_and_key(run: Run, bucket: Bucket) -> None:
    begin(bucket, "dir/b", "dir/a", "elsewhere")
    outcome = run("uploads", "oss://examplebucket/dir/")
    assert (outcome.code, outcome.err) == (0, "")
    lines = [line.split() for line in outcome.out.splitlines()]
    assert [(key, upload_id) for _, upload_id, key in lines] == listed(bucket)[:2]
    for initiated, _, _ in lines:
        age = datetime.now().astimezone() - datetime.fromisoformat(initiated)
        assert -2 < age.total_seconds() < 60


def test_a_bucket_alone_means_all_of_it(run: Run, bucket: Bucket) -> None:
    begin(bucket, "a", "dir/b", "日本/文件")
    outcome = run("uploads", "--json", "oss://examplebucket")
    assert [(row["key"], row["upload_id"]) for row in rows(outcome.out)] == listed(bucket)


def test_uploads_as_json_are_one_object_a_line(run: Run, bucket: Bucket) -> None:
    bucket.init_multipart_upload("a\u202eb", storage_class="IA")
    (row,) = rows(run("uploads", "--json", "oss://examplebucket/").out)
    (known,) = bucket.iter_multipart_uploads()
    assert known.initiated is not None
    assert row == {
        "key": "a\u202eb",
        "upload_id": known.upload_id,
        "initiated": known.initiated.isoformat(),
        "storage_class": "IA",
    }


def test_no_uploads_is_no_output(run: Run, bucket: Bucket) -> None:
    begin(bucket, "a")
    outcome = run("uploads", "oss://examplebucket/b")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_a_delimiter_folds_keys_into_prefixes_in_their_order(run: Run, bucket: Bucket) -> None:
    begin(bucket, "a", "dir/1", "dir/2", "other/1", "z")
    as_text = run("uploads", "oss://examplebucket", "--delimiter", "/").out
    assert [line.split()[2] for line in as_text.splitlines()] == ["a", "dir/", "other/", "z"]
    assert as_text.splitlines()[1].split() == ["-", "-", "dir/"]
    as_json = rows(run("uploads", "--json", "oss://examplebucket", "--delimiter", "/").out)
    assert [row.get("key", row.get("common_prefix")) for row in as_json] == [
        "a",
        "dir/",
        "other/",
        "z",
    ]


@pytest.mark.parametrize(("most", "told"), [(2, True), (3, False), (9, False)])
def test_max_ends_the_list_and_says_that_there_is_more(
    run: Run, server: LocalServer, bucket: Bucket, most: int, told: bool
) -> None:
    begin(bucket, "a", "b", "c")
    outcome = run("uploads", "oss://examplebucket", "--max", most)
    assert len(outcome.out.splitlines()) == min(most, 3)
    assert ("there are more than these 2" in outcome.err) is told
    assert requests(server)["ListMultipartUploads"] == 1


def test_max_counts_prefixes_and_goes_over_pages(run: Run, bucket: Bucket) -> None:
    for number in range(1005):
        bucket.init_multipart_upload(f"k{number:04}")
    begin(bucket, "z/1", "z/2")
    command = ("uploads", "oss://examplebucket", "--delimiter", "/")
    lines = run(*command, "--max", 1006).out.splitlines()
    assert [line.split()[2] for line in lines] == [*(f"k{n:04}" for n in range(1005)), "z/"]
    assert len(run(*command).out.splitlines()) == 1006
    outcome = run(*command, "--max", 1003)
    assert len(outcome.out.splitlines()) == 1003
    assert "there are more than these 1003" in outcome.err


def test_keys_cannot_steer_the_terminal_or_break_a_line(
    run: Run, server: LocalServer, bucket: Bucket
) -> None:
    begin(bucket, "a\u202eb", "a\u2028b", "日本")
    lines = run("uploads", "oss://examplebucket").out.split("\n")
    assert [line[56:] for line in lines] == ["a\\u2028b", "a\\u202eb", "日本", ""]
    answer_uploads(server, [("a%1B%5B2J%0Ab", "ID", "2026-01-01T00:00:00.000Z")])
    assert run("uploads", "oss://examplebucket").out.endswith("  a\\x1b[2J\\nb\n")


def test_an_unreadable_time_is_a_dash(run: Run, server: LocalServer, bucket: Bucket) -> None:
    begin(bucket, "so that there is a bucket")
    answer_uploads(server, [("a", "ID", "yesterday")])
    assert run("uploads", "oss://examplebucket").out.split() == ["-", "ID", "a"]
    answer_uploads(server, [("a", "ID", "yesterday")])
    assert rows(run("uploads", "--json", "oss://examplebucket").out)[0]["initiated"] is None


def test_parts_are_listed_with_a_total(run: Run, bucket: Bucket) -> None:
    (upload_id,) = begin(bucket, "dir/k")
    sent = [
        bucket.upload_part("dir/k", upload_id, number, random_bytes(size, number))
        for number, size in ((7, PART), (2, 10))
    ]
    outcome = run("parts", "oss://examplebucket/dir/k", "--upload-id", upload_id)
    assert (outcome.code, outcome.err) == (0, "")
    *lines, total = outcome.out.splitlines()
    assert [line.split()[:4] for line in lines] == [
        [str(part.number), str(part.size), part.etag, str(part.crc64)] for part in reversed(sent)
    ]
    assert total == f"2 parts, {PART + 10} bytes (100.0 KiB)"


def test_parts_as_json(run: Run, bucket: Bucket) -> None:
    (upload_id,) = begin(bucket, "k")
    sent = bucket.upload_part("k", upload_id, 3, b"content")
    (known,) = bucket.iter_parts("k", upload_id)
    assert known.last_modified is not None
    outcome = run("parts", "--json", "oss://examplebucket/k", "--upload-id", upload_id)
    assert rows(outcome.out) == [
        {
            "number": 3,
            "size": 7,
            "etag": sent.etag,
            "crc64": str(sent.crc64),
            "last_modified": known.last_modified.isoformat(),
        }
    ]


def test_an_upload_without_parts_has_a_total_of_nothing(run: Run, bucket: Bucket) -> None:
    (upload_id,) = begin(bucket, "k")
    command = ("parts", "oss://examplebucket/k", "--upload-id", upload_id)
    assert run(*command).out == "0 parts, 0 bytes (0 B)\n"
    assert run(*command, "--json").out == ""


def test_parts_of_an_unknown_upload_exit_with_1(run: Run, bucket: Bucket) -> None:
    outcome = run("parts", "oss://examplebucket/k", "--upload-id", NO_UPLOAD)
    assert (outcome.code, outcome.out) == (1, "")
    assert "NoSuchUpload" in outcome.err


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("uploads", "examplebucket"), id="no address"),
        pytest.param(("uploads", "oss://examplebucket", "--max", "0"), id="nothing at most"),
        pytest.param(("parts", "oss://examplebucket/k"), id="no upload id"),
        pytest.param(("parts", "oss://examplebucket/k", "--upload-id", ""), id="empty upload id"),
        pytest.param(("parts", "oss://examplebucket", "--upload-id", NO_UPLOAD), id="no key"),
    ],
)
def test_a_wrong_call_exits_with_2(run: Run, server: LocalServer, command: tuple[str, ...]) -> None:
    assert run(*command).code == 2
    assert len(server.log) == 0


@pytest.mark.parametrize("paying", [True, False])
def test_the_requester_pays_if_it_says_so(
    run: Run, server: LocalServer, bucket: Bucket, paying: bool
) -> None:
    (upload_id,) = begin(bucket, "k")
    server.log.clear()
    option = ("--request-payer",) if paying else ()
    assert run("uploads", "oss://examplebucket", *option).code == 0
    assert run("parts", "oss://examplebucket/k", "--upload-id", upload_id, *option).code == 0
    payers = [exchange.headers.get("x-oss-request-payer") for exchange in server.log]
    assert payers == ["requester" if paying else None] * 2
