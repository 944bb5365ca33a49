"""The witness `alibabacloud_oss_v2`: the second Python SDK of OSS."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conformance.places import Place
from tests.conformance.witness import (
    ALWAYS,
    PLAIN,
    Attributes,
    Callback,
    Conditions,
    Head,
    Made,
    Part,
    PartsPage,
    Upload,
    UploadsPage,
    UploadsQuery,
    decoded,
)
from tests.server.witnesses import alibabacloud_oss_v2 as sdk


class Modern:
    """`alibabacloud_oss_v2.Client`, signing as `version` says."""

    errors: type[Exception] = sdk.exceptions.BaseError
    lists_crc64 = True
    lists_prefixes = False
    sorts_parts = False

    def __init__(self, place: Place, version: str) -> None:
        self.version = version
        self._name = place.bucket
        credentials = place.credentials
        config = sdk.config.load_default()
        config.endpoint = place.endpoint
        config.region = place.region
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

    def cannot_send_metadata(self, value: str, /) -> str:
        if not value.isascii():
            return "oss_v2: signs metadata as UTF-8 and sends it as Latin-1"
        return ""

    def cannot_send_token(self) -> str:
        if self.version == "v1":
            return (
                "oss_v2: V1 sends the token as security-token, which is a parameter, not a header"
            )
        return ""

    def init(self, key: str, attributes: Attributes = PLAIN, *, sequential: bool = False) -> str:
        request = sdk.InitiateMultipartUploadRequest(
            self._name,
            key,
            parameters={"sequential": ""} if sequential else {},
            **_fields(attributes),
        )
        return str(self._client.initiate_multipart_upload(request).upload_id)

    def upload_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        data: bytes,
        *,
        content_md5: str = "",
        traffic_limit: int = 0,
    ) -> Part:
        # Its own field for the traffic limit never gets as far as the request.
        limit = {"x-oss-traffic-limit": str(traffic_limit)} if traffic_limit else {}
        sent = self._client.upload_part(
            sdk.UploadPartRequest(
                self._name,
                key,
                part_number=number,
                upload_id=upload_id,
                content_md5=content_md5 or None,
                headers=limit,
                body=data,
            )
        )
        return Part(number, len(data), sent.etag.strip('"'), int(sent.hash_crc64))

    def upload_part_copy(
        self,
        key: str,
        upload_id: str,
        number: int,
        source: str,
        *,
        byte_range: tuple[int, int] | None = None,
        conditions: Conditions = ALWAYS,
    ) -> str:
        copied = self._client.upload_part_copy(
            sdk.UploadPartCopyRequest(
                self._name,
                key,
                number,
                upload_id,
                source_key=source,
                source_range="bytes={}-{}".format(*byte_range) if byte_range else None,
                **conditions.texts(),
            )
        )
        return str(copied.etag.strip('"'))

    def list_parts(
        self, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartsPage:
        page = self._client.list_parts(
            sdk.ListPartsRequest(
                self._name, key, upload_id, max_parts=limit, part_number_marker=after
            )
        )
        parts = tuple(
            Part(part.part_number, part.size, part.etag.strip('"'), int(part.hash_crc64))
            for part in page.parts or ()
        )
        return PartsPage(parts, page.is_truncated, page.next_part_number_marker)

    def list_uploads(self, query: UploadsQuery) -> UploadsPage:
        page = self._client.list_multipart_uploads(
            sdk.ListMultipartUploadsRequest(
                self._name,
                prefix=query.prefix or None,
                delimiter=query.delimiter or None,
                key_marker=query.key_marker or None,
                upload_id_marker=query.upload_id_marker or None,
                max_uploads=query.limit,
            )
        )
        return UploadsPage(
            tuple(Upload(row.key, row.upload_id) for row in page.uploads or ()),
            (),
            page.is_truncated,
            page.next_key_marker or "",
            page.next_upload_id_marker or "",
        )

    def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part] | None,
        *,
        forbid_overwrite: bool = False,
        acl: str = "",
        callback: Callback | None = None,
    ) -> Made:
        named = parts and [
            sdk.UploadPart(part_number=part.number, etag=part.etag) for part in parts
        ]
        made = self._client.complete_multipart_upload(
            sdk.CompleteMultipartUploadRequest(
                self._name,
                key,
                upload_id,
                acl=acl or None,
                complete_all="yes" if parts is None else None,
                complete_multipart_upload=sdk.CompleteMultipartUpload(parts=named)
                if named is not None
                else None,
                forbid_overwrite=forbid_overwrite or None,
                **_callback_fields(callback),
            )
        )
        return _made(made)

    def abort(self, key: str, upload_id: str) -> None:
        self._client.abort_multipart_upload(
            sdk.AbortMultipartUploadRequest(self._name, key, upload_id)
        )

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_md5: str = "",
        attributes: Attributes = PLAIN,
        callback: Callback | None = None,
    ) -> Made:
        request = sdk.PutObjectRequest(
            self._name,
            key,
            content_md5=content_md5 or None,
            body=data,
            **_fields(attributes),
            **_callback_fields(callback),
        )
        return _made(self._client.put_object(request))

    def get(self, key: str, conditions: Conditions = ALWAYS) -> bytes:
        request = sdk.GetObjectRequest(self._name, key, **conditions.texts())
        with self._client.get_object(request).body as body:
            return bytes(body.read())

    def get_range(self, key: str, wanted: str, *, standard: bool = False) -> bytes:
        request = sdk.GetObjectRequest(
            self._name,
            key,
            range_header=f"bytes={wanted}",
            range_behavior="standard" if standard else None,
        )
        with self._client.get_object(request).body as body:
            return bytes(body.read())

    def head(self, key: str) -> Head:
        found = self._client.head_object(sdk.HeadObjectRequest(self._name, key))
        headers = {name.lower(): decoded(value) for name, value in found.headers.items()}
        return Head(found.content_length, found.etag.strip('"'), int(found.hash_crc64), headers)

    def delete(self, key: str) -> None:
        self._client.delete_object(sdk.DeleteObjectRequest(self._name, key))

    def tags(self, key: str) -> Mapping[str, str]:
        found = self._client.get_object_tagging(sdk.GetObjectTaggingRequest(self._name, key))
        return {tag.key: tag.value for tag in found.tag_set.tags or ()}

    def acl(self, key: str) -> str:
        return str(self._client.get_object_acl(sdk.GetObjectAclRequest(self._name, key)).acl)

    def upload_file(self, key: str, file: Path, records: Path, *, part_size: int) -> None:
        uploader = self._client.uploader(
            part_size=part_size,
            parallel_num=4,
            enable_checkpoint=True,
            checkpoint_dir=f"{records}/",
        )
        uploader.upload_file(sdk.PutObjectRequest(self._name, key), str(file))

    def download_file(self, key: str, file: Path, records: Path, *, part_size: int) -> None:
        downloader = self._client.downloader(
            part_size=part_size,
            parallel_num=4,
            enable_checkpoint=True,
            checkpoint_dir=f"{records}/",
        )
        downloader.download_file(sdk.GetObjectRequest(self._name, key), str(file))


def _fields(attributes: Attributes) -> dict[str, Any]:
    fields = {
        "content_type": attributes.content_type,
        "cache_control": attributes.cache_control,
        "content_disposition": attributes.content_disposition,
        "content_encoding": attributes.content_encoding,
        "expires": attributes.expires,
        "metadata": dict(attributes.metadata),
        "tagging": attributes.tagging,
        "storage_class": attributes.storage_class,
        "server_side_encryption": attributes.encryption,
        "server_side_encryption_key_id": attributes.encryption_key_id,
        "server_side_data_encryption": attributes.data_encryption,
        "forbid_overwrite": attributes.forbid_overwrite,
        "request_payer": attributes.request_payer,
    }
    return {name: value for name, value in fields.items() if value}


def _callback_fields(callback: Callback | None) -> dict[str, Any]:
    if callback is None:
        return {}
    variables = {f"x:{name}": value for name, value in callback.variables.items()}
    fields = {"callback": _json64(callback.settings())}
    return fields | ({"callback_var": _json64(variables)} if variables else {})


def _json64(values: Mapping[str, str]) -> str:
    return base64.b64encode(json.dumps(values).encode()).decode()


def _made(answer: Any) -> Made:  # noqa: ANN401 - it has no types
    if answer.status_code == 203:  # it takes that for success and the error for the callback's body
        code = re.search("<Code>(.*)</Code>", answer.callback_result)
        told = dict.fromkeys(("message", "request_id", "ec", "timestamp", "request_target"), "")
        raise sdk.exceptions.ServiceError(status_code=203, code=code and code[1], **told)
    return Made(
        (answer.etag or "").strip('"'),
        int(answer.hash_crc64) if answer.hash_crc64 else None,
        (answer.callback_result or "").encode(),
    )
