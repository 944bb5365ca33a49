"""The pages on multipart uploads do at the server what they say they do.

That their examples print what the pages say is held by test_examples.py; here the server is asked.
"""

from collections import Counter
from pathlib import Path

import pytest

from resumable import Bucket, NoSuchKeyError
from resumable.server import Exchange, LocalServer
from tests.docs.pages import PAGES, Page, run_examples
from tests.support import content, requests

STEPS = PAGES["docs/how-to/multipart-step-by-step.md"]
LISTS = PAGES["docs/how-to/list-and-cancel-uploads.md"]
KEY = "exampledir/exampleobject.txt"
INITIATE, COMPLETE = "InitiateMultipartUpload", "CompleteMultipartUpload"


def follow(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    run_examples(page, lambda: capsys.readouterr().out)


def with_header(server: LocalServer, operation: str, header: str) -> list[Exchange]:
    """The requests that were carried out and had a header."""
    return [
        exchange
        for exchange in server.log
        if (exchange.operation, exchange.status) == (operation, 200) and header in exchange.headers
    ]


def test_steps_end_with_the_file_as_the_object_and_nothing_left_over(
    server: LocalServer, bucket: Bucket, reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(STEPS, capsys)
    assert content(bucket, KEY) == (reader / "examplefile.txt").read_bytes()
    assert list(bucket.iter_multipart_uploads()) == []
    assert [path.name for path in reader.iterdir() if ".cp" in path.name] == []


def test_steps_make_the_calls_they_tell_of(
    server: LocalServer, reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(STEPS, capsys)
    made = Counter(
        exchange.part_number
        for exchange in server.log
        if exchange.operation == "UploadPart" and exchange.body_bytes == 350_000 // 3
    )
    assert made[3] == 1, "three parts of one size"
    assert requests(server)["ListParts"] == 2
    assert requests(server)["UploadPartCopy"] == 1
    assert len(with_header(server, COMPLETE, "x-oss-complete-all")) == 1
    assert len(with_header(server, COMPLETE, "x-oss-callback")) == 1
    (ended,) = with_header(server, COMPLETE, "x-oss-object-acl")
    assert ended.headers["x-oss-object-acl"] == "private"


def test_steps_say_everything_that_can_be_said_of_an_object(
    server: LocalServer, reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(STEPS, capsys)
    (begun,) = with_header(server, INITIATE, "x-oss-tagging")
    sent = {name: value for name, value in begun.headers.items() if name in SAID}
    assert sent == SAID


SAID = {
    "content-type": "text/plain",
    "cache-control": "no-cache",
    "content-disposition": "attachment; filename=oss_MultipartUpload.txt",
    "content-encoding": "identity",
    "expires": "Sun, 10 Jan 2049 23:00:00 GMT",
    "x-oss-tagging": "TagA=A&TagB=B",
    "x-oss-storage-class": "Standard",
    "x-oss-server-side-encryption": "KMS",
    "x-oss-server-side-encryption-key-id": "9468da86-3509-4f8d-a61e-6eab1eac0000",
    "x-oss-server-side-data-encryption": "SM4",
}


def test_lists_end_with_two_objects_and_no_upload(
    server: LocalServer, bucket: Bucket, reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(LISTS, capsys)
    assert list(bucket.iter_multipart_uploads()) == []
    assert content(bucket, "video.mp4") == (reader / "video.mp4").read_bytes()
    assert content(bucket, "photos/raw/c.dng") == b"1" * 102_400 + b"the end"
    for given_up in ("photos/a.jpg", "photos/b.jpg"):
        with pytest.raises(NoSuchKeyError):
            bucket.head_object(given_up)
