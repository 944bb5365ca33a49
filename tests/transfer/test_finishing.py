"""The last step by itself: nothing is completed that is not known to be whole."""

import logging
from pathlib import Path

import pytest

from resumable import Bucket, IntegrityError, ServerError
from resumable.core.checkpoint import Checkpoint, Destination
from resumable.core.headers import route_headers
from resumable.core.reconcile import NO_HEADERS
from resumable.server import LocalServer
from resumable.transfer.finishing import Finisher
from resumable.transfer.ledger import Ledger
from resumable.transfer.progress import Meter
from resumable.transfer.sending import Run, Wishes
from resumable.transfer.source import SourceFile
from tests.support import PART, make_file, requests

from .steps import KEY, SIZE, fault, open_uploads, recorded, refused, upload


def test_upload_with_a_part_that_was_not_acknowledged_is_not_completed(
    server: LocalServer, bucket: Bucket, folder: Path
) -> None:
    source = SourceFile(str(make_file(folder, SIZE)))
    run = Run(bucket, Meter(source.size, None), Wishes(1, content_md5=True, cancel=None))
    begun = Checkpoint(
        kind="upload",
        destination=Destination(endpoint=bucket.endpoint, bucket=bucket.name, key=KEY),
        upload_id="U",
        file=source.identity,
        part_size=PART,
        headers_digest=NO_HEADERS,
    )
    finisher = Finisher(run, source, KEY, route_headers({}))
    with source, pytest.raises(IntegrityError, match="nothing was completed"):
        finisher.complete(Ledger(begun, None), {})
    assert len(server.log) == 0


def test_complete_that_failed_is_none_while_the_parts_may_not_be_listed(
    server: LocalServer, bucket: Bucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An object of the same bytes that was there before must not be taken for this one."""
    file = make_file(folder, SIZE)
    upload(bucket, file)
    server.log.clear()
    error = refused(500, "InternalError")
    server.faults.add(fault("CompleteMultipartUpload", error, times=None))
    server.faults.add(fault("ListParts", refused(), times=None))
    with caplog.at_level(logging.WARNING, "resumable"), pytest.raises(ServerError) as raised:
        upload(bucket, file)
    server.faults.clear()
    assert raised.value.code == "InternalError"
    (upload_id,) = open_uploads(bucket)
    assert f"whether upload {upload_id} is complete is not known" in caplog.text
    assert requests(server)["HeadObject"] == 0
    assert recorded(file) == [1, 2, 3, 4, 5]
    assert upload(bucket, file).bytes_sent == 0
