"""`resumable abort`: the uploads of a key, one of them, or the one of a checkpoint."""

import json
from pathlib import Path

import pytest
from filelock import FileLock

from resumable import AccessDeniedError, Bucket, NoSuchUploadError, upload_file
from resumable.server import LocalServer
from tests.cli.conftest import Run
from tests.cli.unfinished import answer_uploads, begin, listed
from tests.support import PART, local_bucket, make_file, requests

KEY = "oss://examplebucket/dir/k"
REFUSED = {"operation": "AbortMultipartUpload", "effect": {"status": 403, "code": "AccessDenied"}}
BUSY = {"operation": "AbortMultipartUpload", "effect": {"status": 503, "code": "SlowDown"}}


def interrupted(
    server: LocalServer, bucket: Bucket, file: Path, checkpoint_path: Path | None = None
) -> str:
    """Leave a checkpoint and an upload of `dir/k` with one part; give the upload id."""
    refused = {"status": 403, "code": "AccessDenied"}
    server.faults.add({"operation": "UploadPart", "part_number": 2, "effect": refused})
    with pytest.raises(AccessDeniedError):
        upload_file(
            bucket,
            "dir/k",
            file,
            part_size=PART,
            enable_checkpoint=True,
            checkpoint_path=checkpoint_path,
        )
    ((_, upload_id),) = listed(bucket)
    return upload_id


def test_one_upload_is_aborted_with_its_parts(run: Run, bucket: Bucket) -> None:
    first, second = begin(bucket, "dir/k", "dir/k")
    bucket.upload_part("dir/k", first, 1, b"content")
    outcome = run("abort", KEY, "--upload-id", first)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{KEY}: upload {first} aborted\n"
    assert listed(bucket) == [("dir/k", second)]
    with pytest.raises(NoSuchUploadError):
        bucket.list_parts("dir/k", first)


def test_without_an_id_all_of_exactly_that_key_are_aborted(run: Run, bucket: Bucket) -> None:
    uploads = begin(bucket, "dir/k", "dir/k", "dir/k")
    others = ["dir/", "dir/k/more", "dir/k2", "dir/kk", "dirk"]
    begin(bucket, *others)
    outcome = run("abort", KEY)
    assert (outcome.code, outcome.err) == (0, "")
    told = [line.split() for line in outcome.out.splitlines()]
    assert sorted(upload_id for _, _, upload_id, _ in told) == sorted(uploads)
    assert {(what, key) for what, _, _, key in told} == {("aborted", "dir/k")}
    assert [key for key, _ in listed(bucket)] == others


def test_nothing_to_abort_exits_with_1(run: Run, bucket: Bucket) -> None:
    begin(bucket, "dir/k2")
    outcome = run("abort", KEY)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"resumable: {KEY} has no unfinished upload\n"
    assert len(listed(bucket)) == 1


def test_an_id_that_is_not_there_exits_with_1_and_says_so(run: Run, bucket: Bucket) -> None:
    (another,) = begin(bucket, "another")
    outcome = run("abort", KEY, "--upload-id", another)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"There is no unfinished upload {another} of {KEY}" in outcome.err
    assert len(listed(bucket)) == 1


def test_one_that_vanished_meanwhile_is_as_good(
    run: Run, server: LocalServer, bucket: Bucket
) -> None:
    begin(bucket, "so that there is a bucket")
    answer_uploads(server, [("dir/k", "0" * 32, "2026-01-01T00:00:00.000Z")])
    outcome = run("abort", KEY)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("gone  ")


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        pytest.param([REFUSED], 1, id="refused"),
        pytest.param([BUSY], 3, id="busy"),
        pytest.param([BUSY, REFUSED], 1, id="one busy and one refused"),
    ],
)
def test_one_that_fails_is_named_and_the_others_go_on(
    run: Run, server: LocalServer, bucket: Bucket, faults: list[dict[str, object]], code: int
) -> None:
    begin(bucket, "dir/k", "dir/k", "dir/k")
    for fault in faults:
        server.faults.add(fault)
    outcome = run("abort", KEY, "--tries", 1)
    assert outcome.code == code
    left = listed(bucket)
    assert len(left) == len(faults)
    for _, upload_id in left:
        assert f"failed: upload {upload_id} of {KEY}: " in outcome.err
    assert outcome.out.count("aborted") == 3 - len(faults)


def test_json_is_one_object_for_each_upload(run: Run, server: LocalServer, bucket: Bucket) -> None:
    begin(bucket, "dir/k", "dir/k")
    known = {upload.upload_id: upload for upload in bucket.iter_multipart_uploads()}
    server.faults.add(REFUSED)
    outcome = run("abort", "--json", KEY)
    failed, aborted = map(json.loads, outcome.out.splitlines())
    assert "AccessDenied" in failed.pop("error")
    assert aborted.pop("error") is None
    for row, what in ((failed, "failed"), (aborted, "aborted")):
        upload = known[row["upload_id"]]
        assert upload.initiated is not None
        assert row == {
            "outcome": what,
            "bucket": "examplebucket",
            "key": "dir/k",
            "upload_id": upload.upload_id,
            "initiated": upload.initiated.isoformat(),
        }
    (left,) = begin(bucket, "other")
    one = json.loads(run("abort", "--json", "oss://examplebucket/other", "--upload-id", left).out)
    assert (one["outcome"], one["upload_id"], one["initiated"]) == ("aborted", left, None)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_upload_of_a_checkpoint_is_aborted_and_the_checkpoint_removed(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path, elsewhere: bool
) -> None:
    file = make_file(folder, 3 * PART)
    checkpoint = folder / "elsewhere" if elsewhere else Path(f"{file}.cp")
    upload_id = interrupted(server, bucket, file, checkpoint)
    assert checkpoint.exists()
    file.unlink()
    option = ("--checkpoint-path", checkpoint) if elsewhere else ()
    outcome = run("abort", file, *option)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{KEY}: upload {upload_id} aborted, {checkpoint} removed\n"
    assert list(folder.iterdir()) == []
    assert listed(bucket) == []
    again = run("abort", file, *option)
    assert (again.code, again.out) == (1, "")
    assert again.err == f"resumable: {checkpoint}: no checkpoint\n"


def test_a_checkpoint_as_json(run: Run, server: LocalServer, bucket: Bucket, folder: Path) -> None:
    file = make_file(folder, 3 * PART)
    upload_id = interrupted(server, bucket, file)
    assert json.loads(run("abort", "--json", file).out) == {
        "outcome": "aborted",
        "bucket": "examplebucket",
        "key": "dir/k",
        "upload_id": upload_id,
        "initiated": None,
        "error": None,
        "checkpoint": f"{file}.cp",
    }


def test_an_upload_of_a_checkpoint_that_was_gone_already_is_not_called_aborted(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 3 * PART)
    for option in ((), ("--json",)):
        upload_id = interrupted(server, bucket, file)
        bucket.abort_multipart_upload("dir/k", upload_id)
        outcome = run("abort", file, *option)
        assert (outcome.code, outcome.err) == (0, "")
        assert not Path(f"{file}.cp").exists()
        if option:
            row = json.loads(outcome.out)
            assert (row["outcome"], row["upload_id"]) == ("gone", upload_id)
        else:
            assert outcome.out == f"{KEY}: upload {upload_id} was gone already; {file}.cp removed\n"


@pytest.fixture
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, as the one the command is run in."""
    monkeypatch.chdir(folder)
    return folder


MISSPELT = ["OSS://examplebucket/dir/k", "oss:/examplebucket/dir/k", "oss:k"]


@pytest.mark.parametrize("target", MISSPELT)
def test_an_address_that_is_badly_written_is_no_file(
    run: Run, server: LocalServer, in_folder: Path, target: str
) -> None:
    assert list(in_folder.iterdir()) == []
    outcome = run("abort", target)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{target!r}: an address is written oss://BUCKET/KEY" in outcome.err
    assert len(server.log) == 0


@pytest.mark.parametrize("option", [(), ("--checkpoint-path", "elsewhere")])
def test_a_checkpoint_may_be_of_a_file_called_like_an_address(
    run: Run,
    server: LocalServer,
    bucket: Bucket,
    in_folder: Path,
    option: tuple[str, ...],
) -> None:
    in_folder.joinpath("oss:").mkdir()
    file = make_file(Path("oss:"), 3 * PART)
    interrupted(server, bucket, file, Path(option[1]) if option else None)
    file.unlink()
    outcome = run("abort", file, *option)
    assert (outcome.code, outcome.err) == (0, "")
    assert listed(bucket) == []


def test_a_file_called_like_an_address_may_have_no_checkpoint(run: Run, in_folder: Path) -> None:
    make_file(in_folder, 10, name="oss:k")
    outcome = run("abort", "oss:k")
    assert (outcome.code, outcome.err) == (1, "resumable: oss:k.cp: no checkpoint\n")


def test_a_checkpoint_is_kept_where_another_endpoint_does_not_know_its_upload(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    file = make_file(folder, 3 * PART)
    interrupted(server, bucket, file)
    with LocalServer(tmp_path / "another-root") as another:
        local_bucket(another.endpoint).put_object("so that there is a bucket", b"")
        outcome = run("abort", file, "--endpoint", another.endpoint)
    assert outcome.code == 1
    assert f"the checkpoint '{file}.cp' is of" in outcome.err
    assert f"--endpoint {server.endpoint}" in outcome.err
    assert Path(f"{file}.cp").exists()


def test_a_checkpoint_whose_upload_cannot_be_aborted_is_kept(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 3 * PART)
    interrupted(server, bucket, file)
    server.faults.add(BUSY)
    assert run("abort", file, "--tries", 1).code == 3
    assert Path(f"{file}.cp").exists()


def test_a_checkpoint_in_other_hands_exits_with_4(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    file = make_file(folder, 3 * PART)
    interrupted(server, bucket, file)
    with FileLock(f"{file}.cp.lock", fallback_to_soft=False):
        assert run("abort", file).code == 4
    assert len(listed(bucket)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("oss://examplebucket",), id="a whole bucket"),
        pytest.param(("oss://examplebucket/",), id="no key"),
        pytest.param(("oss://",), id="no bucket"),
        pytest.param((KEY, "--upload-id", ""), id="an empty id"),
        pytest.param((KEY, "--checkpoint-path", "x.cp"), id="a key and a checkpoint"),
        pytest.param(("example.bin", "--upload-id", "0" * 32), id="a file and an id"),
    ],
)
def test_a_wrong_call_exits_with_2_and_aborts_nothing(
    run: Run, server: LocalServer, bucket: Bucket, arguments: tuple[str, ...]
) -> None:
    begin(bucket, "dir/k")
    server.log.clear()
    outcome = run("abort", *arguments)
    assert outcome.code == 2
    assert outcome.err
    assert len(server.log) == 0


def test_the_requester_pays_for_each_request(
    run: Run, server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    interrupted(server, bucket, make_file(folder, 3 * PART))
    begin(bucket, "other")
    server.log.clear()
    assert run("abort", folder / "example.bin", "--request-payer").code == 0
    assert run("abort", "oss://examplebucket/other", "--request-payer").code == 0
    assert {exchange.headers.get("x-oss-request-payer") for exchange in server.log} == {"requester"}
    assert requests(server)["AbortMultipartUpload"] == 2
