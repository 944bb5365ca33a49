"""The witness `alibabacloud_oss_v2`: the second Python SDK of OSS."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from resumable import Credentials
from tests.conformance.witness import NO_HEADERS, Head, Made, Part, PartsPage, Upload
from tests.server.witnesses import alibabacloud_oss_v2 as sdk

_BUCKET = "examplebucket"


class Modern:
    """`alibabacloud_oss_v2.Client`, signing as `version` says."""

    errors: type[Exception] = sdk.exceptions.BaseError
    lists_crc64 = True

    def __init__(self, endpoint: str, credentials: Credentials, version: str) -> None:
        self.version = version
        config = sdk.config.load_default()
        config.endpoint = endpoint
        config.region = "cn-hangzhou"
        config.signature_version = version
        config.credentials_provider = sdk.credentials.StaticCredentialsProvider(
            credentials.access_key_id, credentials.access_key_secret, credentials.security_token
        )
        self._http = config.http_client = sdk.transport.RequestsHttpClient()
        self._client = sdk.Client(config)

    def close(self) -> None:
        self._http.close()

    def answered(self, error: Exception) -> tuple[int, str]:
        while hasattr(error, "unwrap"):  # the operation's error, within that of a transfer
            error = error.unwrap()
        assert isinstance(error, sdk.exceptions.ServiceError), error
        return error.status_code, error.code

    def cannot_send(self, key: str, /) -> str:
        if {".", ".."} & set(key.split("/")):
            return "oss_v2: urllib3 resolves dot segments after the request was signed"
        return ""

    def cannot_send_token(self) -> str:
        if self.version == "v1":
            return (
                "oss_v2: V1 sends the token as security-token, which is a parameter, not a header"
            )
        return ""

    def init(self, key: str, headers: Mapping[str, str] = NO_HEADERS) -> str:
        request = sdk.InitiateMultipartUploadRequest(_BUCKET, key, headers=dict(headers))
        return str(self._client.initiate_multipart_upload(request).upload_id)

    def upload_part(
        self, key: str, upload_id: str, number: int, data: bytes, *, content_md5: str = ""
    ) -> Part:
        sent = self._client.upload_part(
            sdk.UploadPartRequest(
                _BUCKET,
                key,
                part_number=number,
                upload_id=upload_id,
                content_md5=content_md5 or None,
                body=data,
            )
        )
        return Part(number, len(data), sent.etag.strip('"'), int(sent.hash_crc64))

    def list_parts(
        self, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartsPage:
        page = self._client.list_parts(
            sdk.ListPartsRequest(_BUCKET, key, upload_id, max_parts=limit, part_number_marker=after)
        )
        parts = tuple(
            Part(part.part_number, part.size, part.etag.strip('"'), int(part.hash_crc64))
            for part in page.parts or ()
        )
        return PartsPage(parts, page.is_truncated, page.next_part_number_marker)

    def list_uploads(
        self, *, prefix: str = "", after: Upload | None = None, limit: int = 1000
    ) -> tuple[list[Upload], bool]:
        markers = {"key_marker": after.key, "upload_id_marker": after.upload_id} if after else {}
        page = self._client.list_multipart_uploads(
            sdk.ListMultipartUploadsRequest(_BUCKET, prefix=prefix, max_uploads=limit, **markers)
        )
        return [Upload(row.key, row.upload_id) for row in page.uploads or ()], page.is_truncated

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> Made:
        named = [sdk.UploadPart(part_number=part.number, etag=part.etag) for part in parts]
        made = self._client.complete_multipart_upload(
            sdk.CompleteMultipartUploadRequest(
                _BUCKET,
                key,
                upload_id,
                complete_multipart_upload=sdk.CompleteMultipartUpload(parts=named),
            )
        )
        return Made(made.etag.strip('"'), int(made.hash_crc64))

    def abort(self, key: str, upload_id: str) -> None:
        self._client.abort_multipart_upload(
            sdk.AbortMultipartUploadRequest(_BUCKET, key, upload_id)
        )

    def put(self, key: str, data: bytes, *, content_md5: str = "") -> Made:
        made = self._client.put_object(
            sdk.PutObjectRequest(_BUCKET, key, content_md5=content_md5 or None, body=data)
        )
        return Made(made.etag.strip('"'), int(made.hash_crc64))

    def get(self, key: str) -> bytes:
        with self._client.get_object(sdk.GetObjectRequest(_BUCKET, key)).body as body:
            return bytes(body.read())

    def get_range(self, key: str, wanted: str, *, standard: bool = False) -> bytes:
        request = sdk.GetObjectRequest(
            _BUCKET,
            key,
            range_header=f"bytes={wanted}",
            range_behavior="standard" if standard else None,
        )
        with self._client.get_object(request).body as body:
            return bytes(body.read())

    def head(self, key: str) -> Head:
        found = self._client.head_object(sdk.HeadObjectRequest(_BUCKET, key))
        headers = {name.lower(): value for name, value in found.headers.items()}
        return Head(found.content_length, found.etag.strip('"'), int(found.hash_crc64), headers)

    def delete(self, key: str) -> None:
        self._client.delete_object(sdk.DeleteObjectRequest(_BUCKET, key))

    def upload_file(self, key: str, file: Path, records: Path, *, part_size: int) -> None:
        uploader = self._client.uploader(
            part_size=part_size,
            parallel_num=4,
            enable_checkpoint=True,
            checkpoint_dir=f"{records}/",
        )
        uploader.upload_file(sdk.PutObjectRequest(_BUCKET, key), str(file))

    def download_file(self, key: str, file: Path, records: Path, *, part_size: int) -> None:
        downloader = self._client.downloader(
            part_size=part_size,
            parallel_num=4,
            enable_checkpoint=True,
            checkpoint_dir=f"{records}/",
        )
        downloader.download_file(sdk.GetObjectRequest(_BUCKET, key), str(file))
