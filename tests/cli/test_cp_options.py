"""The options of `resumable cp` about the object: each arrives, and a wrong one sends nothing."""

import json
from pathlib import Path

import click
import pytest

from resumable import Bucket, PartNotSequentialError
from resumable.cli.app import app
from resumable.core.source_check import SOURCE_CHECKS
from resumable.server import LocalServer
from tests.callbacks import CallbackAnswer, CallbackReceiver
from tests.cli.conftest import Run
from tests.cli.unfinished import begin, listed
from tests.support import PART, content, make_file, parts_sent, random_bytes

K = "oss://examplebucket/k"
SMALL_PARTS = ("--part-size", PART)

OPTIONS = {
    "content-type": (("--content-type", "text/x-example"), "text/x-example"),
    "cache-control": (("--cache-control", "no-store"), "no-store"),
    "content-disposition": (("--content-disposition", "attachment"), "attachment"),
    "content-encoding": (("--content-encoding", "gzip"), "gzip"),
    "expires": (("--expires", "2030-01-01T01:00:00+01:00"), "Tue, 01 Jan 2030 00:00:00 GMT"),
    "x-oss-meta-origin": (("--meta", "Origin=a=b 日本"), "a=b 日本"),
    "x-oss-storage-class": (("--storage-class", "IA"), "IA"),
    "x-oss-server-side-encryption": (("--sse", "AES256"), "AES256"),
}


@pytest.mark.parametrize("parts", [1, 2])
def test_what_the_object_is_like_is_as_it_was_said(
    run: Run, bucket: Bucket, folder: Path, parts: int
) -> None:
    file = make_file(folder, parts * PART)
    given = [word for words, _ in OPTIONS.values() for word in words]
    outcome = run("cp", *SMALL_PARTS, *given, file, K)
    assert (outcome.code, outcome.err) == (0, "")
    headers = bucket.head_object("k").headers
    assert {name: headers.get(name) for name in OPTIONS} == {
        name: value for name, (_, value) in OPTIONS.items()
    }


INITIATE, PART_SENT, COMPLETE = (
    "InitiateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
)
SENT = {
    "--tag a=1 --tag b=x:y": ("x-oss-tagging", "a=1&b=x%3Ay", {INITIATE}),
    "--acl private": ("x-oss-object-acl", "private", {COMPLETE}),
    "--sse KMS --sse-key-id k1": ("x-oss-server-side-encryption-key-id", "k1", {INITIATE}),
    "--sse KMS --sse-data-encryption SM4": (
        "x-oss-server-side-data-encryption",
        "SM4",
        {INITIATE},
    ),
    "--expires never": ("expires", "never", {INITIATE}),
    "--traffic-limit 819200": ("x-oss-traffic-limit", "819200", {PART_SENT}),
    "--traffic-limit 838860800": ("x-oss-traffic-limit", "838860800", {PART_SENT}),
    "--forbid-overwrite": ("x-oss-forbid-overwrite", "true", {INITIATE, COMPLETE}),
    "--request-payer": ("x-oss-request-payer", "requester", {INITIATE, PART_SENT, COMPLETE}),
}


@pytest.mark.parametrize("options", SENT)
def test_option_becomes_a_header_of_the_calls_that_need_it(
    run: Run, server: LocalServer, folder: Path, options: str
) -> None:
    outcome = run("cp", *SMALL_PARTS, *options.split(), make_file(folder, 2 * PART), K)
    assert (outcome.code, outcome.err) == (0, "")
    header, value, operations = SENT[options]
    sent = {exchange.operation: exchange.headers.get(header) for exchange in server.log}
    uploading = (INITIATE, PART_SENT, COMPLETE)
    assert {name for name in uploading if sent[name] == value} == operations


def test_without_options_no_header_is_added(run: Run, server: LocalServer, folder: Path) -> None:
    assert run("cp", *SMALL_PARTS, make_file(folder, 2 * PART), K).code == 0
    initiate = next(one for one in server.log if one.operation == "InitiateMultipartUpload")
    given = {name for name in initiate.headers if name.startswith("x-oss-")}
    assert given <= {"x-oss-date", "x-oss-content-sha256"}


def test_source_check_has_the_words_of_the_library(run: Run, folder: Path) -> None:
    option = next(one for one in app.commands["cp"].params if one.name == "source_check")
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == SOURCE_CHECKS
    file = make_file(folder, 2 * PART)
    for check in SOURCE_CHECKS:
        assert run("cp", "--source-check", check, *SMALL_PARTS, file, K).code == 0


def test_forbid_overwrite_keeps_the_object(run: Run, bucket: Bucket, folder: Path) -> None:
    bucket.put_object("k", b"before")
    outcome = run("cp", "--forbid-overwrite", make_file(folder, 10), K)
    assert outcome.code == 1
    assert "FileAlreadyExists" in outcome.err
    assert content(bucket, "k") == b"before"


def test_sequential_sends_one_part_after_another(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 6 * PART)
    refused = {"status": 403, "code": "AccessDenied"}
    server.faults.add({"operation": "UploadPart", "part_number": 5, "effect": refused})
    command = ("cp", "--sequential", *SMALL_PARTS, file, K)
    assert run(*command).code == 1
    ((_, upload_id),) = listed(bucket)
    with pytest.raises(PartNotSequentialError):
        bucket.upload_part("k", upload_id, 2, b"content")
    outcome = run(*command)
    assert (outcome.code, outcome.err) == (0, "")
    assert parts_sent(server.log) == [1, 2, 3, 4, 5, 6]
    assert content(bucket, "k") == file.read_bytes()


def test_sequential_parts_cannot_be_sent_at_once(run: Run, folder: Path) -> None:
    assert run("cp", "--sequential", "-j", 2, make_file(folder, 10), K).code == 2


def test_an_upload_begun_elsewhere_is_gone_on_with(run: Run, bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, 3 * PART)
    (upload_id,) = begin(bucket, "k")
    bucket.upload_part("k", upload_id, 2, file.read_bytes()[PART : 2 * PART])
    outcome = run("cp", "--json", "--upload-id", upload_id, *SMALL_PARTS, file, K)
    assert json.loads(outcome.out)["parts_reused"] == 1
    assert content(bucket, "k") == file.read_bytes()
    assert listed(bucket) == []


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_the_callback_is_sent_and_its_answer_told(run: Run, folder: Path, size: int) -> None:
    with CallbackReceiver(CallbackAnswer(body=b'{"ok": "\xe6\x97\xa5"}')) as receiver:
        command = ("cp", *SMALL_PARTS, make_file(folder, size), K)
        options = ("--callback-url", receiver.url, "--callback-body", "key=${object}&n=${x:n}")
        outcome = run(*command, *options, "--callback-var", "n=7")
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.endswith(', callback answered {"ok": "日"}\n')
        outcome = run(*command, *options, "--callback-var", "n=8", "--json")
        assert json.loads(outcome.out)["callback_body"] == '{"ok": "日"}'
        assert [got.form for got in receiver.received] == [
            {"key": "k", "n": "7"},
            {"key": "k", "n": "8"},
        ]


def test_all_of_a_callback(run: Run, folder: Path) -> None:
    with CallbackReceiver(CallbackAnswer(body='{"ok": 1}'.encode("utf-16"))) as receiver:
        outcome = run(
            *("cp", "--json", make_file(folder, 10), K),
            *("--callback-url", "http://127.0.0.1:1/", "--callback-url", receiver.url),
            *("--callback-body", '{"key": ${object}}', "--callback-body-type", "json"),
            *("--callback-host", "example.com", "--callback-sni"),
        )
        assert (outcome.code, outcome.err) == (0, "")
        assert json.loads(outcome.out)["callback_body"] == {
            "base64": "//57ACIAbwBrACIAOgAgADEAfQA="
        }
        (got,) = receiver.received
        assert (got.headers["host"], got.headers["content-type"]) == (
            "example.com",
            "application/json",
        )


def test_a_callback_that_fails_exits_with_1_and_says_that_the_object_is_stored(
    run: Run, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 10)
    with CallbackReceiver(CallbackAnswer(status=500)) as receiver:
        outcome = run("cp", file, K, "--callback-url", receiver.url, "--callback-body", "x=1")
    assert outcome.code == 1
    assert "The object is there" in outcome.err
    assert content(bucket, "k") == file.read_bytes()


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(("--meta", "name"), id="metadata without value"),
        pytest.param(("--meta", "=value"), id="metadata without name"),
        pytest.param(("--meta", "a=1", "--meta", "a=2"), id="metadata twice"),
        pytest.param(("--meta", "a=1", "--meta", "A=2"), id="metadata twice but for case"),
        pytest.param(("--meta", "a=1\n2"), id="metadata of two lines"),
        pytest.param(("--tag", "a=1", "--tag", "a=2"), id="tag twice"),
        pytest.param(("--storage-class", "Cold"), id="storage class"),
        pytest.param(("--acl", "everybody"), id="acl"),
        pytest.param(("--sse", "ROT13"), id="encryption"),
        pytest.param(("--expires", "2030-01-01T00:00:00"), id="time without zone"),
        pytest.param(("--traffic-limit", "1"), id="traffic limit"),
        pytest.param(("--content-type", "a/b", "-H", "Content-Type: c/d"), id="both ways"),
        pytest.param(("-H", "Cache-Control:a", "-H", "cache-control: b"), id="header twice"),
        pytest.param(("-H", "expires:a", "-H", "expires:a"), id="the same header twice"),
        pytest.param(("--upload-id", ""), id="empty upload id"),
        pytest.param(("--callback-body", "x=1"), id="callback without url"),
        pytest.param(("--callback-body", ""), id="empty callback without url"),
        pytest.param(("--callback-body-type", "form"), id="body type without url"),
        pytest.param(("--callback-body-type", "json"), id="another body type without url"),
        pytest.param(("--callback-host", "example.com"), id="host without url"),
        pytest.param(("--callback-sni",), id="sni without url"),
        pytest.param(("--callback-var", "x=1"), id="variable without url"),
        pytest.param(("--callback-url", "http://127.0.0.1/"), id="callback without body"),
        pytest.param(("--callback-url", "ftp://x/", "--callback-body", "x"), id="callback url"),
    ],
)
def test_a_wrong_option_exits_with_2_before_any_request(
    run: Run, server: LocalServer, folder: Path, option: tuple[str, ...]
) -> None:
    outcome = run("cp", make_file(folder, 10), K, *option)
    assert outcome.code == 2
    assert outcome.err
    assert "Traceback" not in outcome.err
    assert len(server.log) == 0


TOLD = {
    "--storage-class Cold": "not one of Standard, IA, Archive, ColdArchive, DeepColdArchive",
    "--storage-class cold": "-H 'x-oss-storage-class:cold'",
    "--acl everybody": "-H 'x-oss-object-acl:everybody'",
    "--sse ROT13": "-H 'x-oss-server-side-encryption:ROT13'",
    "--sse-data-encryption ROT13": "-H 'x-oss-server-side-data-encryption:ROT13'",
    "--expires 2030-01-01T00:00:00": "without a time zone",
    "--expires 2030-01-01": "without a time zone",
    "--traffic-limit 1": "819200<=x<=838860800",
    "--threads 257": "1<=x<=256",
    "--header a:1 --header A:2": "a name is given twice",
    "--sequential -j 2": "--sequential and --threads 2 contradict each other",
    "--callback-sni": "--callback-url",
}


@pytest.mark.parametrize("options", TOLD)
def test_a_wrong_option_is_told_by_its_name(run: Run, folder: Path, options: str) -> None:
    outcome = run("cp", make_file(folder, 10), K, *options.split())
    assert outcome.code == 2
    *_, told = outcome.err.splitlines()
    assert TOLD[options] in told
    assert options.split(maxsplit=1)[0] in told or "callback" in options
    assert "_" not in told
    assert "=" not in told.replace("<=x<=", "")


def test_a_value_that_is_new_can_go_as_a_header(
    run: Run, server: LocalServer, folder: Path
) -> None:
    run("cp", "--tries", 1, make_file(folder, 10), K, "-H", "x-oss-storage-class:Newest")
    assert [one.headers.get("x-oss-storage-class") for one in server.log] == ["Newest"]


def test_what_changes_an_upload_begins_it_anew(run: Run, bucket: Bucket, folder: Path) -> None:
    file = folder / "example.bin"
    file.write_bytes(random_bytes(10))
    assert run("cp", file, K, "--meta", "a=1").code == 0
    assert run("cp", file, K, "--meta", "a=2").code == 0
    assert bucket.head_object("k").metadata == {"a": "2"}
