"""Temporary credentials (STS): an access key that is good only with its token."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

import resumable
from resumable import Bucket, Credentials
from resumable.server import AccessKey, LocalServer
from tests.conformance.witness import Connect, Witness, refused, skip_if
from tests.support import PART, QUICK, content, make_file, random_bytes

KEY = "exampledir/exampleobject.bin"
DATA = random_bytes(PART, 6)
TOKEN = "CAISexample/token+with=signs"
TEMPORARY = Credentials("temporary", "temporarysecret", TOKEN)
EXPIRED = Credentials("expired", "expiredsecret", TOKEN)

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server whose access keys are temporary ones only."""
    keys = {
        "temporary": AccessKey("temporarysecret", TOKEN),
        "expired": AccessKey("expiredsecret", TOKEN, expires_at=time.time() - 1),
    }
    with LocalServer(tmp_path / "server-root", access_keys=keys) as running:
        yield running


def _connect(connect: Connect, credentials: Credentials) -> Witness:
    witness = connect(credentials)
    if credentials.security_token:
        skip_if(witness.cannot_send_token())
    return witness


def test_token_lets_every_call_in(connect: Connect, server: LocalServer) -> None:
    witness = _connect(connect, TEMPORARY)
    upload_id = witness.init(KEY)
    part = witness.upload_part(KEY, upload_id, 1, DATA)
    assert len(witness.list_parts(KEY, upload_id).parts) == 1
    witness.complete(KEY, upload_id, [part])
    assert witness.get(KEY) == DATA
    assert witness.get_range(KEY, "0-9") == DATA[:10]
    assert witness.head(KEY).size == len(DATA)
    witness.abort(KEY, witness.init(KEY))
    witness.put(KEY, b"new")
    witness.delete(KEY)
    assert all("x-oss-security-token" in exchange.headers for exchange in server.log)
    assert TOKEN not in repr(list(server.log))


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (replace(TEMPORARY, security_token=None), "InvalidSecurityToken"),
        (replace(TEMPORARY, security_token="another"), "InvalidSecurityToken"),
        (replace(TEMPORARY, access_key_secret="wrong"), "SignatureDoesNotMatch"),
        (EXPIRED, "SecurityTokenExpired"),
    ],
    ids=["no-token", "another-token", "wrong-secret", "expired"],
)
def test_token_that_is_not_good_keeps_out(
    connect: Connect, credentials: Credentials, code: str
) -> None:
    witness = _connect(connect, credentials)
    with refused(witness, 403, code):
        witness.init(KEY)
    with refused(witness, 403, code):
        witness.put(KEY, DATA)
    with refused(witness, 403, code):
        witness.head(KEY)


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_upload_with_a_token_leaves_none_behind(
    server: LocalServer, folder: Path, version: Literal["v1", "v4"]
) -> None:
    file = make_file(folder, 5 * PART)
    server.faults.add(
        {"operation": "UploadPart", "part_number": 4, "effect": {"status": 403, "code": "Denied"}}
    )
    made = Bucket(
        "examplebucket",
        endpoint=server.endpoint,
        region="cn-hangzhou",
        credentials=TEMPORARY,
        signature_version=version,
        retry=QUICK,
    )
    with closing(made) as bucket:
        upload = partial(
            resumable.upload_file, thread_num=2, part_size=PART, enable_checkpoint=True
        )
        with pytest.raises(resumable.AccessDeniedError) as caught:
            upload(bucket, KEY, file)
        assert TOKEN not in str(caught.value)
        assert TOKEN.encode() not in Path(f"{file}.cp").read_bytes()
        assert upload(bucket, KEY, file).resumed
        assert content(bucket, KEY) == file.read_bytes()
