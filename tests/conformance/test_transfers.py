"""The SDKs' own transfer managers against the server, as black boxes."""

from pathlib import Path

import pytest

from resumable import Bucket, upload_file
from resumable.core.integrity import crc64
from resumable.server import LocalServer
from tests.conformance.witness import Sdk
from tests.support import PART, content, make_file, parts_sent, requests

KEY = "exampledir/exampleobject.bin"
SIZE = 7 * PART + 12_345


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder for the checkpoints of an SDK."""
    made = tmp_path / "records"
    made.mkdir()
    return made


def test_file_uploaded_by_an_sdk_is_read_by_our_bucket(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, records: Path
) -> None:
    file = make_file(folder, SIZE)
    sdk.upload_file(KEY, file, records, part_size=PART)
    assert content(bucket, KEY) == file.read_bytes()
    found = bucket.head_object(KEY)
    assert (found.size, found.crc64) == (SIZE, crc64(file.read_bytes()))
    assert sorted(parts_sent(server.log)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_upload_broken_off_is_resumed_by_the_same_sdk(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, records: Path
) -> None:
    file = make_file(folder, SIZE)
    refusal = {"status": 403, "code": "AccessDenied"}
    server.faults.add({"operation": "UploadPart", "part_number": 5, "effect": refusal})
    with pytest.raises(sdk.errors) as caught:
        sdk.upload_file(KEY, file, records, part_size=PART)
    assert sdk.answered(caught.value) == (403, "AccessDenied")
    sdk.upload_file(KEY, file, records, part_size=PART)
    assert content(bucket, KEY) == file.read_bytes()
    done = requests(server)
    assert done["InitiateMultipartUpload"] == 1
    assert done["ListParts"] >= 1
    assert parts_sent(server.log).count(1) == 1


def test_file_uploaded_by_us_is_downloaded_by_an_sdk(
    sdk: Sdk, server: LocalServer, bucket: Bucket, folder: Path, records: Path
) -> None:
    file = make_file(folder, SIZE)
    upload_file(bucket, KEY, file, thread_num=3, part_size=PART)
    copy = folder / "copy.bin"
    sdk.download_file(KEY, copy, records, part_size=PART)
    assert copy.read_bytes() == file.read_bytes()
    assert requests(server)["GetObject"] == 8
