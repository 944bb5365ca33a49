"""Makes fixtures/signatures again: `python -m tests.oss.make_signature_vectors`.

The public SDKs' own signers are handed requests at a fixed time. Nothing of ours takes part.
"""

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about things that are the SDKs' own
    import alibabacloud_oss_v2 as modern
    import oss2 as classic
    from alibabacloud_oss_v2.signer import SignerV1, SignerV4
    from alibabacloud_oss_v2.types import HttpRequest, SigningContext

FOLDER = Path(__file__).parents[2] / "fixtures" / "signatures"
NOON = 1_700_049_600  # 2023-11-15T12:00:00Z
MD5 = "XrY7u+Ae7tCTyyK7j1rNww=="
UPLOAD = "0004B999EF518A1FE585B0C9360DC4C8"


@dataclass(frozen=True)
class Case:
    """A request to sign. The secrets are made up."""

    name: str
    method: str = "PUT"
    key: str | None = "exampledir/exampleobject.txt"
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    bucket: str = "examplebucket"
    region: str = "cn-hangzhou"
    time: int = NOON
    access_key_id: str = "LTAI5tExampleExample"
    access_key_secret: str = "ExampleSecret0123456789ExampleX"
    security_token: str | None = None


KEYS = {
    "plain": "exampleobject.txt",
    "space": "a b c.txt",
    "plus, ampersand, equals": "a+b&c=d;e.txt",
    "percent": "100%/%20/%2F.txt",
    "dot segments": "a/../b/./c",
    "encoded dot segments": "a/%2E%2E/b",
    "double slash": "a//b/",
    "question mark and hash": "what?#fragment[1].txt",
    "unreserved": "AZaz09-_.~",
    "quotes": 'it\'s "quoted" (really)!*',
    "backslash and pipe": "a\\b|c^d`e{f}",
    "Chinese": "目录/中文 文件.txt",
    "emoji": "🎉/👩‍👩‍👧.bin",
    "line break": "a\nb\tc",
    "long": "k" * 1023,
}

CALLS = [
    Case("get", method="GET"),
    Case("head", method="HEAD"),
    Case("delete", method="DELETE"),
    Case("put with type and MD5", headers={"content-type": "text/plain", "content-md5": MD5}),
    Case("initiate", method="POST", query={"uploads": ""}),
    Case("initiate, encoded", method="POST", query={"uploads": "", "encoding-type": "url"}),
    Case(
        "initiate with headers",
        method="POST",
        query={"uploads": ""},
        headers={
            "content-type": "text/html; charset=utf-8",
            "cache-control": "no-cache",
            "x-oss-storage-class": "IA",
            "x-oss-meta-b": "second",
            "x-oss-meta-a": "first of two",
            "x-oss-forbid-overwrite": "true",
        },
    ),
    Case("initiate in sequence", method="POST", query={"uploads": "", "sequential": ""}),
    Case("upload part", query={"partNumber": "10000", "uploadId": UPLOAD}),
    Case(
        "upload part with MD5 and limit",
        query={"uploadId": UPLOAD, "partNumber": "1"},
        headers={"content-md5": MD5, "x-oss-traffic-limit": "819200"},
    ),
    Case("upload id of odd characters", query={"partNumber": "1", "uploadId": "a+b/c=d&e %20"}),
    Case(
        "upload part by copying",
        query={"partNumber": "2", "uploadId": UPLOAD},
        headers={
            "x-oss-copy-source": "/source/a%20b.txt",
            "x-oss-copy-source-range": "bytes=0-102399",
        },
    ),
    Case(
        "list parts",
        method="GET",
        query={
            "uploadId": UPLOAD,
            "max-parts": "1000",
            "part-number-marker": "0",
            "encoding-type": "url",
        },
    ),
    Case("complete", method="POST", query={"uploadId": UPLOAD, "encoding-type": "url"}),
    Case(
        "complete with a callback",
        method="POST",
        query={"uploadId": UPLOAD},
        headers={"x-oss-callback": "eyJhIjoxfQ==", "x-oss-forbid-overwrite": "true"},
    ),
    Case("abort", method="DELETE", query={"uploadId": UPLOAD}),
    Case("list uploads", method="GET", key=None, query={"uploads": "", "max-uploads": "1000"}),
    Case(
        "list uploads below a folder",
        method="GET",
        key=None,
        query={"uploads": "", "prefix": "目录/a b", "delimiter": "/", "key-marker": "a+b"},
    ),
    Case("tagging", method="GET", query={"tagging": ""}),
    Case("acl of a bucket", method="GET", key=None, query={"acl": ""}),
    Case("location", method="GET", key=None, query={"location": ""}),
    Case("version", method="GET", query={"versionId": "CAEQ/+ =="}),
    Case("append", method="POST", query={"append": "", "position": "0"}),
    Case("meta", method="HEAD", query={"objectMeta": ""}),
    Case(
        "answer's headers",
        method="GET",
        query={
            "response-content-disposition": 'attachment; filename="中 文.txt"',
            "response-content-type": "text/plain",
        },
    ),
    Case("unknown query", method="GET", query={"prefix": "a", "Zeta": "1", "alpha": "2"}),
    Case("another bucket", bucket="my-bucket-0"),
    Case("another region", region="us-west-1"),
    Case("last second of a day", time=1_700_092_799),
    Case("first second of a day", time=1_700_092_800),
    Case("leap day", time=1_709_164_801),
    Case("single digits in the date", time=1_704_186_367),
    Case("secret of odd characters", access_key_secret="a+b/c=d&e%f"),
]
CASES = [Case(f"key: {name}", key=key) for name, key in KEYS.items()] + CALLS
TOKEN_CASES = [
    replace(case, name=f"{case.name}, token", security_token="CAIS+token/with==signs")
    for case in (CASES[0], *CALLS[4:6], CALLS[8], CALLS[12])
]


def classic_v1(case: Case) -> str:
    return _classic(case, classic.auth.ProviderAuth)


def classic_v4(case: Case) -> str:
    return _classic(case, classic.auth.ProviderAuthV4)


def modern_v1(case: Case) -> str:
    return _modern(case, SignerV1())


def modern_v4(case: Case) -> str:
    return _modern(case, SignerV4())


def _classic(case: Case, auth: Callable[[Any], Any]) -> str:
    keys = case.access_key_id, case.access_key_secret, case.security_token
    provider = classic.credentials.StaticCredentialsProvider(*keys)
    request = classic.http.Request(
        case.method,
        "http://example",
        params=dict(case.query),
        headers=dict(case.headers),
        region=case.region,
        product="oss",
    )
    with _classic_clock(case.time):
        auth(provider)._sign_request(request, case.bucket, case.key or "")
    return str(request.headers["authorization"])


@contextmanager
def _classic_clock(time: int) -> Iterator[None]:
    clock = mock.Mock()
    clock.utcnow.return_value = datetime.fromtimestamp(time, UTC)
    date = formatdate(time, usegmt=True)
    with (
        mock.patch.object(classic.auth, "datetime", clock),
        mock.patch.object(classic.auth.utils, "http_date", return_value=date),
    ):
        yield


def _modern(case: Case, signer: Any) -> str:  # noqa: ANN401 - it has no types
    pairs = ((quote(name, safe=""), quote(value, safe="")) for name, value in case.query.items())
    query = "&".join(f"{name}={value}" if value else name for name, value in pairs)
    keys = case.access_key_id, case.access_key_secret, case.security_token
    context = SigningContext(
        product="oss",
        region=case.region,
        bucket=case.bucket,
        key=case.key,
        request=HttpRequest(case.method, f"http://example/?{query}", headers=dict(case.headers)),
        credentials=modern.credentials.Credentials(*keys),
        signing_time=datetime.fromtimestamp(case.time, UTC),
    )
    signer.sign(context)
    return str(context.request.headers["Authorization"])


# Under V1 the newer SDK sends a token in another header than the service documents.
SETS: dict[str, tuple[Callable[[Case], str], list[Case]]] = {
    "oss2-v1": (classic_v1, CASES + TOKEN_CASES),
    "oss2-v4": (classic_v4, CASES + TOKEN_CASES),
    "alibabacloud-oss-v2-v1": (modern_v1, CASES),
    "alibabacloud-oss-v2-v4": (modern_v4, CASES + TOKEN_CASES),
}


def make(folder: Path) -> None:
    """Write one file of vectors for each SDK and signature version."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (sign, cases) in SETS.items():
        vectors = [asdict(case) | {"authorization": sign(case)} for case in cases]
        text = json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    make(FOLDER)
