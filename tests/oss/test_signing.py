"""Signatures against vectors made by the public SDKs, and what a signature must depend on."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.oss.credentials import Credentials
from resumable.oss.signing import Subject, canonical_query, sign_v1, sign_v4
from tests.oss import make_signature_vectors
from tests.oss.make_signature_vectors import FOLDER, NOON

Vector = Mapping[str, Any]

SUBJECT = Subject("PUT", "examplebucket", "key", {"partNumber": "1", "uploadId": "U"}, {})
KEY = Credentials("LTAIExample", "ExampleSecret")
STS = Credentials("STS.Example", "ExampleSecret", "ExampleToken")


def vectors(version: str) -> list[Any]:
    return [
        pytest.param(vector, id=f"{path.stem}: {vector['name']}")
        for path in sorted(FOLDER.glob(f"*-{version}.json"))
        for vector in json.loads(path.read_text(encoding="utf-8"))
    ]


def subject_of(vector: Vector) -> Subject:
    parts = ("method", "bucket", "key", "query", "headers")
    return Subject(*(vector[part] for part in parts))


def credentials_of(vector: Vector) -> Credentials:
    parts = ("access_key_id", "access_key_secret", "security_token")
    return Credentials(*(vector[part] for part in parts))


def fields(authorization: str) -> dict[str, str]:
    """The parts of a V4 header; the two SDKs put them in another order."""
    return dict(re.findall(r"(\w+)=([^,\s]+)", authorization))


@pytest.mark.parametrize("vector", vectors("v1"))
def test_v1_signature_is_that_of_the_public_sdk(vector: Vector) -> None:
    signed = sign_v1(subject_of(vector), credentials_of(vector), vector["time"])
    assert signed["authorization"] == vector["authorization"]
    assert signed.get("x-oss-security-token") == vector["security_token"]


@pytest.mark.parametrize("vector", vectors("v4"))
def test_v4_signature_is_that_of_the_public_sdk(vector: Vector) -> None:
    credentials, region = credentials_of(vector), vector["region"]
    signed = sign_v4(subject_of(vector), credentials, vector["time"], region)
    assert fields(signed["authorization"]) == fields(vector["authorization"])
    assert signed.get("x-oss-security-token") == vector["security_token"]


def test_vectors_are_the_ones_the_script_makes(tmp_path: Path) -> None:
    make_signature_vectors.make(tmp_path)
    for made in tmp_path.iterdir():
        stored = json.loads((FOLDER / made.name).read_text(encoding="utf-8"))
        assert stored == json.loads(made.read_text(encoding="utf-8"))
    assert {path.name for path in FOLDER.iterdir()} == {path.name for path in tmp_path.iterdir()}


def test_vectors_are_of_two_sdks_and_two_versions() -> None:
    assert all(len(vectors(version)) > 80 for version in ("v1", "v4"))
    assert len(list(FOLDER.glob("*.json"))) == 4


def test_v1_headers_are_these() -> None:
    signed = sign_v1(SUBJECT, STS, NOON)
    assert set(signed) == {"authorization", "date", "x-oss-security-token"}
    assert signed["date"] == "Wed, 15 Nov 2023 12:00:00 GMT"
    assert signed["authorization"].startswith("OSS STS.Example:")


def test_v4_headers_are_these() -> None:
    signed = sign_v4(SUBJECT, STS, NOON, "cn-hangzhou")
    assert set(signed) == {
        "authorization", "x-oss-content-sha256", "x-oss-date", "x-oss-security-token",
    }  # fmt: skip
    assert signed["x-oss-date"] == "20231115T120000Z"
    assert re.fullmatch(
        "OSS4-HMAC-SHA256 Credential=STS.Example/20231115/cn-hangzhou/oss/aliyun_v4_request,"
        "Signature=[0-9a-f]{64}",
        signed["authorization"],
    )


def test_secret_is_in_no_header() -> None:
    for signed in (sign_v1(SUBJECT, STS, NOON), sign_v4(SUBJECT, STS, NOON, "cn-hangzhou")):
        assert "ExampleSecret" not in str(signed)


CHANGES: Mapping[str, Subject] = {
    "method": replace(SUBJECT, method="GET"),
    "bucket": replace(SUBJECT, bucket="other"),
    "key": replace(SUBJECT, key="Key"),
    "sub-resource": replace(SUBJECT, query={"partNumber": "2", "uploadId": "U"}),
    "sub-resource left out": replace(SUBJECT, query={"uploadId": "U"}),
    "x-oss header": replace(SUBJECT, headers={"x-oss-meta-a": "1"}),
    "content type": replace(SUBJECT, headers={"content-type": "text/plain"}),
    "content MD5": replace(SUBJECT, headers={"content-md5": "XrY7u+Ae7tCTyyK7j1rNww=="}),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_signature_depends_on(changed: Subject) -> None:
    assert (
        sign_v1(changed, KEY, NOON)["authorization"] != sign_v1(SUBJECT, KEY, NOON)["authorization"]
    )
    before, after = (sign_v4(one, KEY, NOON, "r")["authorization"] for one in (SUBJECT, changed))
    assert before != after


def test_signature_depends_on_time_secret_token_and_region() -> None:
    v4 = {
        sign_v4(SUBJECT, credentials, time, region)["authorization"].rpartition("=")[2]
        for credentials in (KEY, STS, Credentials("LTAIExample", "OtherSecret"))
        for time in (NOON, NOON + 1, NOON + 86400)
        for region in ("cn-hangzhou", "cn-beijing")
    }
    v1 = {
        sign_v1(SUBJECT, credentials, time)["authorization"].rpartition(":")[2]
        for credentials in (KEY, STS, Credentials("LTAIExample", "OtherSecret"))
        for time in (NOON, NOON + 1, NOON + 86400)
    }
    assert (len(v4), len(v1)) == (18, 9)


@given(st.permutations(["x-oss-meta-b", "x-oss-meta-a", "content-type", "user-agent"]))
def test_order_of_headers_makes_no_difference(names: list[str]) -> None:
    here = replace(SUBJECT, headers=dict.fromkeys(names, "v"))
    there = replace(SUBJECT, headers=dict.fromkeys(sorted(names), "v"))
    assert sign_v4(here, KEY, NOON, "r") == sign_v4(there, KEY, NOON, "r")
    assert sign_v1(here, KEY, NOON) == sign_v1(there, KEY, NOON)


@pytest.mark.parametrize("header", ["user-agent", "accept-encoding", "content-length", "range"])
def test_other_headers_are_not_signed(header: str) -> None:
    given_more = replace(SUBJECT, headers={header: "v"})
    assert sign_v4(given_more, KEY, NOON, "r") == sign_v4(SUBJECT, KEY, NOON, "r")
    assert sign_v1(given_more, KEY, NOON) == sign_v1(SUBJECT, KEY, NOON)


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ({}, ""),
        ({"uploads": ""}, "uploads"),
        ({"b": "2", "a": "1"}, "a=1&b=2"),
        ({"b": "", "B": "", "a": ""}, "B&a&b"),
        ({"prefix": "a/b c+d&e=f"}, "prefix=a%2Fb%20c%2Bd%26e%3Df"),
        ({"key-marker": "中"}, "key-marker=%E4%B8%AD"),
        ({"uploadId": "~-_."}, "uploadId=~-_."),
    ],
)
def test_query_is_written_as_it_is_signed(query: dict[str, str], written: str) -> None:
    assert canonical_query(query) == written
