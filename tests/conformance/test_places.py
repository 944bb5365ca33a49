"""The suite runs where variables point it, and leaves nothing there."""

import os
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from resumable.server import LocalServer
from tests.conformance.classic import Classic
from tests.conformance.places import kinds, missing, place_on
from tests.conformance.witness import UploadsQuery
from tests.support import CREDENTIALS

PROJECT = Path(__file__).parents[2]
CHOSEN = "real and resumable-v4"
FILES = ("tests/conformance/test_multipart.py", "tests/conformance/test_objects.py")


def test_suite_runs_on_a_real_bucket() -> None:
    """Every test that can is run there as well: this one says why none is."""
    if absent := missing():
        pytest.skip(f"no real bucket to run on: set {', '.join(absent)}")


@pytest.fixture
def variables(server: LocalServer) -> dict[str, str]:
    """What points the suite at a server that another process cannot look into."""
    return {
        "RESUMABLE_TEST_ENDPOINT": server.endpoint,
        "RESUMABLE_TEST_REGION": "cn-hangzhou",
        "RESUMABLE_TEST_BUCKET": "pointed-at",
        "RESUMABLE_TEST_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "RESUMABLE_TEST_ACCESS_KEY_SECRET": CREDENTIALS.access_key_secret,
    }


def test_suite_runs_where_it_is_pointed_and_leaves_nothing_there(
    server: LocalServer, variables: dict[str, str]
) -> None:
    kept = {name: value for name, value in os.environ.items() if "RESUMABLE_" not in name}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHOSEN, *FILES],
        cwd=PROJECT,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout
    assert "skipped" not in ended.stdout
    seen = list(server.log)
    assert {exchange.bucket for exchange in seen} == {variables["RESUMABLE_TEST_BUCKET"]}
    prefixes = {exchange.key.partition("/")[0] for exchange in seen if exchange.key}
    assert all(re.fullmatch("resumable-test-[0-9a-f]{16}", prefix) for prefix in prefixes)
    assert len(prefixes) > 30  # each test has its own
    written = {"PutObject", "UploadPart", "CompleteMultipartUpload"}
    assert written <= {exchange.operation for exchange in seen}
    place = replace(place_on(server), bucket=variables["RESUMABLE_TEST_BUCKET"])
    with closing(Classic(place, "v4")) as sdk:
        assert sdk.objects("") == []
        assert sdk.list_uploads(UploadsQuery()).uploads == ()


def test_pointing_by_halves_is_refused(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert len(kinds()) == 2
    monkeypatch.delenv("RESUMABLE_TEST_BUCKET")
    with pytest.raises(pytest.UsageError, match="set RESUMABLE_TEST_BUCKET as well"):
        kinds()
