"""The client of this package, as one more witness beside the public SDKs."""

from collections.abc import Mapping, Sequence
from typing import Literal

from resumable import Bucket, Credentials, ListedPart, ServerError
from tests.conformance.witness import NO_HEADERS, Head, Made, Part, PartsPage, announced
from tests.support import QUICK


class Ours:
    """`resumable.Bucket`, signing as `version` says."""

    errors: type[Exception] = ServerError
    lists_crc64 = True

    def __init__(
        self, endpoint: str, credentials: Credentials, version: Literal["v1", "v4"]
    ) -> None:
        self.version: str = version
        self._bucket = Bucket(
            "examplebucket",
            endpoint=endpoint,
            region="cn-hangzhou",
            credentials=credentials,
            signature_version=version,
            retry=QUICK,
        )

    def close(self) -> None:
        self._bucket.close()

    def answered(self, error: Exception) -> tuple[int, str]:
        assert isinstance(error, ServerError)
        return error.status, error.code

    def cannot_send(self, _: str, /) -> str:
        return ""

    def cannot_send_token(self) -> str:
        return ""

    def init(self, key: str, headers: Mapping[str, str] = NO_HEADERS) -> str:
        return self._bucket.init_multipart_upload(key, headers=headers).upload_id

    def upload_part(
        self, key: str, upload_id: str, number: int, data: bytes, *, content_md5: str = ""
    ) -> Part:
        sent = self._bucket.upload_part(
            key,
            upload_id,
            number,
            data,
            content_md5=not content_md5,
            headers=announced(content_md5),
        )
        return Part(sent.number, sent.size, sent.etag, sent.crc64)

    def list_parts(
        self, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartsPage:
        page = self._bucket.list_parts(key, upload_id, max_parts=limit, part_number_marker=after)
        parts = tuple(Part(part.number, part.size, part.etag, part.crc64) for part in page.parts)
        return PartsPage(parts, page.is_truncated, page.next_marker)

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> Made:
        named = [ListedPart(part.number, part.size, part.etag, part.crc64) for part in parts]
        made = self._bucket.complete_multipart_upload(key, upload_id, named)
        return Made(made.etag, made.crc64)

    def abort(self, key: str, upload_id: str) -> None:
        self._bucket.abort_multipart_upload(key, upload_id)

    def put(self, key: str, data: bytes, *, content_md5: str = "") -> Made:
        made = self._bucket.put_object(
            key, data, content_md5=not content_md5, headers=announced(content_md5)
        )
        return Made(made.etag, made.crc64)

    def get(self, key: str) -> bytes:
        with self._bucket.get_object(key) as answer:
            return b"".join(answer.blocks())

    def get_range(self, key: str, wanted: str, *, standard: bool = False) -> bytes:
        behavior = {"x-oss-range-behavior": "standard"} if standard else {}
        with self._bucket.get_object(
            key, headers={"Range": f"bytes={wanted}"} | behavior
        ) as answer:
            return b"".join(answer.blocks())

    def head(self, key: str) -> Head:
        found = self._bucket.head_object(key)
        return Head(found.size, found.etag, found.crc64, found.headers)

    def delete(self, key: str) -> None:
        self._bucket.delete_object(key)
