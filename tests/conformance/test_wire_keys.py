"""Generated keys go over the wire as they are signed: the short form of wire_keys.py.

And what is held there can fail: a target that only means the same is told from the signed one.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.oss.signing import SignatureVersion
from tests.conformance.raw_signatures import is_signed
from tests.conformance.wire_keys import BUCKET, MAX_BYTES, STYLES, VERSIONS, Recorder, send_keys
from tests.support import CREDENTIALS


def test_a_thousand_keys_are_on_the_wire_as_they_are_signed(tmp_path: Path) -> None:
    tally = send_keys(1_000, random.getrandbits(32), tmp_path)
    assert len(tally.keys) == sum(tally.ways.values()) == 1_000
    assert set(tally.ways) == {f"{version} {style}" for version in VERSIONS for style in STYLES}
    # What is generated is nasty enough.
    segments = {segment for key in tally.keys for segment in key.split("/")}
    assert {".", "..", ""} <= segments
    assert all(any(sign in key for key in tally.keys) for sign in ("%2F", "?", "#", "+", "\\", "~"))
    assert any(key.endswith(("/", ".")) for key in tally.keys)
    assert any(len(key.encode()) == MAX_BYTES for key in tally.keys)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with closing(Recorder()) as running:
        yield running


ALTERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "another escape": lambda line: line.replace(b"%2B", b"%2b"),
    "no escape": lambda line: line.replace(b"%2B", b"+"),
    "a dot segment resolved": lambda line: line.replace(b"a/../", b""),
    "an escaped tilde": lambda line: line.replace(b"~", b"%7E"),
    "an escaped slash": lambda line: line.replace(b"/b", b"%2Fb"),
    "another method": lambda line: line.replace(b"HEAD", b"GET"),
    "an added parameter": lambda line: line.replace(b" HTTP", b"?acl HTTP"),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_target_that_means_the_same_is_not_the_signed_one(
    recorder: Recorder, version: SignatureVersion
) -> None:
    with Bucket(
        BUCKET,
        endpoint=f"http://127.0.0.1:{recorder.port}",
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        signature_version=version,
    ) as bucket:
        bucket.head_object("x/a/../b+~")
    line, headers = recorder.last.line, recorder.last.headers
    secret = CREDENTIALS.access_key_secret
    assert is_signed(line, headers, secret, BUCKET, path_style=True)
    assert not is_signed(line, headers, "another", BUCKET, path_style=True)
    passed = [
        name
        for name, alter in ALTERATIONS.items()
        if is_signed(alter(line), headers, secret, BUCKET, path_style=True)
    ]
    # V1 signs the key and not its encoding: there the path itself is compared.
    assert passed == ([] if version == "v4" else list(SAME_KEY))
    assert all(alter(line) != line for alter in ALTERATIONS.values())


SAME_KEY = ("another escape", "no escape", "an escaped tilde", "an escaped slash")
