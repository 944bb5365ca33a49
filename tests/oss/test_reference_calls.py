"""What the reference documents say of the calls and nothing else here is about.

`docs/reference/multipart-api.md` has a row for each operation, parameter and header of theirs.
"""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from resumable import Bucket, NotModifiedError, PreconditionFailedError, ServerError, UploadedPart
from resumable.server import LocalServer
from tests.support import CREDENTIALS, PART, content, random_bytes

KEY = "exampledir/exampleobject.txt"
DATA = random_bytes(3 * PART + 7)
BLOCK = PART + 1
OTHER = "0" * 32


@pytest.mark.parametrize("region", ["cn-hangzhou", "oss-cn-hangzhou"])
def test_region_is_taken_as_other_programs_write_it(server: LocalServer, region: str) -> None:
    with Bucket(
        "examplebucket", endpoint=server.endpoint, region=region, credentials=CREDENTIALS
    ) as bucket:
        bucket.put_object(KEY, DATA)
    with Bucket("examplebucket", region=region, credentials=CREDENTIALS) as bucket:
        assert bucket.endpoint == "https://oss-cn-hangzhou.aliyuncs.com"
    assert [(exchange.signature, exchange.status) for exchange in server.log] == [("v4", 200)]


def test_metadata_directive_changes_nothing_at_initiate(
    server: LocalServer, bucket: Bucket
) -> None:
    """The Go example of the documents sends it; it has a meaning for CopyObject only."""
    begun = bucket.init_multipart_upload(
        KEY, headers={"x-oss-metadata-directive": "REPLACE"}, metadata={"year": "2020"}
    )
    assert server.log[-1].headers["x-oss-metadata-directive"] == "REPLACE"
    part = bucket.upload_part(KEY, begun.upload_id, 1, DATA)
    bucket.complete_multipart_upload(KEY, begun.upload_id, [part])
    assert bucket.head_object(KEY).metadata == {"year": "2020"}


def test_parts_can_come_from_a_pipe(bucket: Bucket) -> None:
    """No call needs the size of the whole, so an upload may begin before it is known."""
    writer = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 1200)"
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    parts: list[UploadedPart] = []
    with subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while block := process.stdout.read(BLOCK):
            parts.append(bucket.upload_part(KEY, upload_id, len(parts) + 1, block))
    bucket.complete_multipart_upload(KEY, upload_id, parts)
    whole = bytes(range(256)) * 1200
    assert [part.size for part in parts] == [BLOCK, BLOCK, len(whole) - 2 * BLOCK]
    assert content(bucket, KEY) == whole


def test_source_of_a_copy_is_named_with_bucket_and_version(
    server: LocalServer, bucket: Bucket
) -> None:
    upload_id = bucket.init_multipart_upload(KEY).upload_id
    with pytest.raises(ServerError):
        bucket.upload_part_copy(
            KEY,
            upload_id,
            1,
            "dir/a b+中?.bin",
            source_bucket="otherbucket",
            source_version_id="CAEQ+=",
        )
    assert server.log[-1].headers["x-oss-copy-source"] == (
        "/otherbucket/dir/a%20b%2B%E4%B8%AD%3F.bin?versionId=CAEQ%2B%3D"
    )


def test_object_is_read_only_in_the_state_asked_for(bucket: Bucket) -> None:
    etag = bucket.put_object(KEY, DATA).etag
    now, hour = datetime.now(UTC), timedelta(hours=1)
    with bucket.get_object(
        KEY,
        if_match=etag,
        if_none_match=OTHER,
        if_modified_since=now - hour,
        if_unmodified_since=now + hour,
    ) as answer:
        assert b"".join(answer.blocks()) == DATA
    with pytest.raises(PreconditionFailedError), bucket.get_object(KEY, if_match=OTHER):
        pass
    with (
        pytest.raises(PreconditionFailedError),
        bucket.get_object(KEY, if_unmodified_since=now - hour),
    ):
        pass
    with pytest.raises(NotModifiedError), bucket.get_object(KEY, if_none_match=etag):
        pass
    with pytest.raises(NotModifiedError), bucket.get_object(KEY, if_modified_since=now + hour):
        pass
