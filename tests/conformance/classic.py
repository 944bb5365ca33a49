"""The witness `oss2`: the first Python SDK of OSS."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from resumable import Credentials
from tests.conformance.witness import NO_HEADERS, Head, Made, Part, PartsPage, Upload, announced
from tests.server.witnesses import oss2


class Classic:
    """`oss2.Bucket`, signing as `version` says."""

    errors: type[Exception] = oss2.exceptions.ServerError
    lists_crc64 = False

    def __init__(self, endpoint: str, credentials: Credentials, version: str) -> None:
        self.version = version
        provider = oss2.credentials.StaticCredentialsProvider(
            credentials.access_key_id,
            credentials.access_key_secret,
            credentials.security_token or "",
        )
        auth = {"v1": oss2.ProviderAuth, "v4": oss2.ProviderAuthV4}[version](provider)
        self._session = oss2.Session()
        self._bucket = oss2.Bucket(
            auth, endpoint, "examplebucket", session=self._session, region="cn-hangzhou"
        )

    def close(self) -> None:
        self._session.session.close()

    def answered(self, error: Exception) -> tuple[int, str]:
        assert isinstance(error, oss2.exceptions.ServerError)
        return error.status, error.code

    def cannot_send(self, key: str, /) -> str:
        # It encodes the slashes of a key, so that only a key that is nothing but dots is a segment.
        if key in (".", ".."):
            return "oss2: urllib3 resolves the dot segment after the request was signed"
        return ""

    def cannot_send_token(self) -> str:
        return ""

    def init(self, key: str, headers: Mapping[str, str] = NO_HEADERS) -> str:
        return str(self._bucket.init_multipart_upload(key, headers=headers).upload_id)

    def upload_part(
        self, key: str, upload_id: str, number: int, data: bytes, *, content_md5: str = ""
    ) -> Part:
        sent = self._bucket.upload_part(
            key, upload_id, number, data, headers=announced(content_md5)
        )
        return Part(number, len(data), sent.etag, sent.crc)

    def list_parts(
        self, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartsPage:
        page = self._bucket.list_parts(key, upload_id, marker=str(after), max_parts=limit)
        parts = tuple(Part(part.part_number, part.size, part.etag, None) for part in page.parts)
        return PartsPage(parts, page.is_truncated, int(page.next_marker))

    def list_uploads(
        self, *, prefix: str = "", after: Upload | None = None, limit: int = 1000
    ) -> tuple[list[Upload], bool]:
        markers = {"key_marker": after.key, "upload_id_marker": after.upload_id} if after else {}
        page = self._bucket.list_multipart_uploads(prefix=prefix, max_uploads=limit, **markers)
        return [Upload(row.key, row.upload_id) for row in page.upload_list], page.is_truncated

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> Made:
        # Given sizes and CRC-64s, it combines them and compares the result with the server's.
        named = [
            oss2.models.PartInfo(part.number, part.etag, part.size, part_crc=part.crc64)
            for part in parts
        ]
        made = self._bucket.complete_multipart_upload(key, upload_id, named)
        return Made(made.etag, made.crc)

    def abort(self, key: str, upload_id: str) -> None:
        self._bucket.abort_multipart_upload(key, upload_id)

    def put(self, key: str, data: bytes, *, content_md5: str = "") -> Made:
        made = self._bucket.put_object(key, data, headers=announced(content_md5))
        return Made(made.etag, made.crc)

    def get(self, key: str) -> bytes:
        with self._bucket.get_object(key) as answer:
            return bytes(answer.read())

    def get_range(self, key: str, wanted: str, *, standard: bool = False) -> bytes:
        first, _, last = wanted.partition("-")
        byte_range = (int(first) if first else None, int(last) if last else None)
        behavior = {"x-oss-range-behavior": "standard"} if standard else None
        with self._bucket.get_object(key, byte_range=byte_range, headers=behavior) as answer:
            return bytes(answer.read())

    def head(self, key: str) -> Head:
        found = self._bucket.head_object(key)
        headers = {name.lower(): value for name, value in found.headers.items()}
        return Head(found.content_length, found.etag, found.server_crc, headers)

    def delete(self, key: str) -> None:
        self._bucket.delete_object(key)

    def upload_file(self, key: str, file: Path, records: Path, *, part_size: int) -> None:
        oss2.resumable_upload(
            self._bucket,
            key,
            str(file),
            store=oss2.ResumableStore(root=str(records)),
            multipart_threshold=0,
            part_size=part_size,
            num_threads=4,
        )

    def download_file(self, key: str, file: Path, records: Path, *, part_size: int) -> None:
        oss2.resumable_download(
            self._bucket,
            key,
            str(file),
            store=oss2.ResumableDownloadStore(root=str(records)),
            multiget_threshold=0,
            part_size=part_size,
            num_threads=4,
        )
