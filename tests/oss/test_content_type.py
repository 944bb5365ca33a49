"""The content type that is guessed."""

import subprocess
import sys
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.oss.content_type import guess_content_type, with_content_type
from resumable.server import LocalServer


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("a.txt",), "text/plain"),
        (("A.JPG",), "image/jpeg"),
        (("dir.d/a.html",), "text/html"),
        (("http://host/a.png",), "image/png"),
        (("data:text/html,x.png",), "image/png"),
        (("a.json",), "application/json"),
        (("a.tar.gz",), "application/gzip"),
        (("a.gz",), "application/gzip"),
        (("a.xz",), "application/x-xz"),
        (("a.css.br",), "application/x-brotli"),
        (("dir.txt/a",), "application/octet-stream"),
        (("a",), "application/octet-stream"),
        (("",), "application/octet-stream"),
        ((".png",), "application/octet-stream"),
        (("a.none",), "application/octet-stream"),
        (("a", "b.pdf"), "application/pdf"),
        (("a.txt", "b.pdf"), "text/plain"),
        (("报告.pdf",), "application/pdf"),
    ],
)
def test_guess(names: tuple[str, ...], kind: str) -> None:
    assert guess_content_type(*names) == kind


def test_content_type_that_is_given_stays() -> None:
    assert with_content_type({"content-type": "x/y"}, "a.png") == {"content-type": "x/y"}


@pytest.mark.parametrize("operation", ["put_object", "init_multipart_upload"])
def test_guess_is_sent(server: LocalServer, bucket: Bucket, operation: str) -> None:
    if operation == "put_object":
        bucket.put_object("a/b.svg", b"")
    else:
        bucket.init_multipart_upload("a/b.svg")
    assert server.log[0].headers["content-type"] == "image/svg+xml"


def test_table_of_the_machine_that_cannot_be_read_is_in_nobody_s_way(tmp_path: Path) -> None:
    table = tmp_path / "mime.types"
    table.write_bytes(b"\xff\xfe no UTF-8")
    script = (
        f"import mimetypes; mimetypes.knownfiles[:] = [{str(table)!r}]\n"
        "from resumable.oss.content_type import guess_content_type\n"
        "print(guess_content_type('a.png'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout == "image/png\n"


def test_table_of_the_machine_is_not_asked() -> None:
    script = (
        "import mimetypes; mimetypes.add_type('made/up', '.png')\n"
        "from resumable.oss.content_type import guess_content_type\n"
        "print(guess_content_type('a.png'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout == "image/png\n"
