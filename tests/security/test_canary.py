"""Canary credentials through whole transfers: they show up nowhere but in the signature's place."""

import logging
import re
import traceback
from pathlib import Path

import pytest

from resumable import Bucket, Credentials, ResumableError, RetryPolicy, upload_file
from resumable.oss.signing import SignatureVersion
from resumable.server import AccessKey, LocalServer
from tests.support import PART, make_file

SECRET, TOKEN = "CanarySecretDoNotShow", "CanaryTokenDoNotShow"


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize(
    "effect",
    [
        pytest.param({"status": 403, "code": "AccessDenied"}, id="refused"),
        pytest.param({"status": 500, "code": "InternalError"}, id="server error"),
        pytest.param({"drop": "before", "reset": True}, id="reset"),
        pytest.param({"drop": "during_answer"}, id="torn answer"),
        pytest.param({"answer": {"headers": {"ETag": '"0"'}}}, id="wrong ETag"),
        pytest.param({"status": 307, "headers": {"Location": "http://127.0.0.1:9/"}}, id="moved"),
    ],
)
def test_no_secret_in_log_error_repr_or_checkpoint(
    tmp_path: Path,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    version: SignatureVersion,
    effect: dict[str, object],
) -> None:
    file = make_file(folder, 3 * PART)
    keys = {"canary": AccessKey(SECRET, security_token=TOKEN)}
    credentials = Credentials("canary", SECRET, TOKEN)
    told = [repr(credentials)]
    with caplog.at_level(logging.DEBUG), LocalServer(tmp_path / "root", access_keys=keys) as server:
        rule = {"operation": "UploadPart", "part_number": 2, "times": None, "effect": effect}
        server.faults.add(rule)
        bucket = Bucket(
            "examplebucket",
            endpoint=server.endpoint,
            region="cn-hangzhou",
            credentials=credentials,
            signature_version=version,
            retry=RetryPolicy(attempts=2, base=0.01),
        )
        try:
            upload_file(bucket, "k", file, part_size=PART, enable_checkpoint=True)
        except ResumableError as error:
            told += [repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
        checkpoint = Path(f"{file}.cp")
        if checkpoint.exists():
            told.append(checkpoint.read_text())
            server.faults.clear()
            result = upload_file(bucket, "k", file, part_size=PART, enable_checkpoint=True)
            told.append(repr(result))
        told += [repr(bucket), repr(vars(bucket))]
    told += [repr(vars(record)) for record in caplog.records] + [caplog.text]

    assert len(told) > 5
    assert SECRET not in "".join(told)
    assert TOKEN not in "".join(told)
    assert not re.search(r"OSS4?(-HMAC-SHA256)? (Credential=)?canary", "".join(told))
