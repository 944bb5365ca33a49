"""The witness `oss2`: the first Python SDK of OSS."""

import base64
import json
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
    announced,
    decoded,
)
from tests.server.witnesses import oss2

_Headers = dict[str, Any]


class Classic:
    """`oss2.Bucket`, signing as `version` says."""

    errors: type[Exception] = oss2.exceptions.ServerError
    lists_crc64 = False
    lists_prefixes = True
    sorts_parts = True

    def __init__(self, place: Place, version: str) -> None:
        self.version = version
        self._place = place
        credentials = place.credentials
        provider = oss2.credentials.StaticCredentialsProvider(
            credentials.access_key_id,
            credentials.access_key_secret,
            credentials.security_token or "",
        )
        auth = {"v1": oss2.ProviderAuth, "v4": oss2.ProviderAuthV4}[version](provider)
        self._session = oss2.Session()
        self._bucket = oss2.Bucket(
            auth, place.endpoint, place.bucket, session=self._session, region=place.region
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

    def cannot_send_metadata(self, _: str, /) -> str:
        return ""

    def cannot_send_token(self) -> str:
        return ""

    def init(self, key: str, attributes: Attributes = PLAIN, *, sequential: bool = False) -> str:
        begun = self._bucket.init_multipart_upload(
            key,
            headers=_headers(attributes),
            params={"sequential": ""} if sequential else None,
        )
        return str(begun.upload_id)

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
        limit = {"x-oss-traffic-limit": str(traffic_limit)} if traffic_limit else {}
        sent = self._bucket.upload_part(
            key, upload_id, number, data, headers=announced(content_md5) | limit
        )
        return Part(number, len(data), sent.etag, sent.crc)

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
        copied = self._bucket.upload_part_copy(
            self._place.bucket,
            source,
            byte_range,
            key,
            upload_id,
            number,
            headers=conditions.headers("x-oss-copy-source-"),
        )
        return str(copied.etag)

    def list_parts(
        self, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartsPage:
        page = self._bucket.list_parts(key, upload_id, marker=str(after), max_parts=limit)
        parts = tuple(Part(part.part_number, part.size, part.etag, None) for part in page.parts)
        return PartsPage(parts, page.is_truncated, int(page.next_marker))

    def list_uploads(self, query: UploadsQuery) -> UploadsPage:
        page = self._bucket.list_multipart_uploads(
            prefix=query.prefix,
            delimiter=query.delimiter,
            key_marker=query.key_marker,
            upload_id_marker=query.upload_id_marker,
            max_uploads=query.limit,
        )
        return UploadsPage(
            tuple(Upload(row.key, row.upload_id) for row in page.upload_list),
            tuple(page.prefix_list),
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
        headers = _callback_headers(callback)
        if forbid_overwrite:
            headers["x-oss-forbid-overwrite"] = "true"
        if acl:
            headers["x-oss-object-acl"] = acl
        if parts is None:
            headers["x-oss-complete-all"] = "yes"
        # Given sizes and CRC-64s, it combines them and compares the result with the server's.
        named = parts and [
            oss2.models.PartInfo(part.number, part.etag, part.size, part_crc=part.crc64)
            for part in parts
        ]
        return _made(self._bucket.complete_multipart_upload(key, upload_id, named, headers=headers))

    def abort(self, key: str, upload_id: str) -> None:
        self._bucket.abort_multipart_upload(key, upload_id)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_md5: str = "",
        attributes: Attributes = PLAIN,
        callback: Callback | None = None,
    ) -> Made:
        headers = announced(content_md5) | _headers(attributes) | _callback_headers(callback)
        return _made(self._bucket.put_object(key, data, headers=headers))

    def get(self, key: str, conditions: Conditions = ALWAYS) -> bytes:
        with self._bucket.get_object(key, headers=conditions.headers()) as answer:
            return bytes(answer.read())

    def get_range(self, key: str, wanted: str, *, standard: bool = False) -> bytes:
        first, _, last = wanted.partition("-")
        byte_range = (int(first) if first else None, int(last) if last else None)
        behavior = {"x-oss-range-behavior": "standard"} if standard else None
        with self._bucket.get_object(key, byte_range=byte_range, headers=behavior) as answer:
            return bytes(answer.read())

    def head(self, key: str) -> Head:
        found = self._bucket.head_object(key)
        headers = {name.lower(): decoded(value) for name, value in found.headers.items()}
        return Head(found.content_length, found.etag, found.server_crc, headers)

    def delete(self, key: str) -> None:
        self._bucket.delete_object(key)

    def objects(self, prefix: str) -> list[str]:
        """The keys of all objects under a prefix."""
        return [found.key for found in oss2.ObjectIterator(self._bucket, prefix=prefix)]

    def tags(self, key: str) -> Mapping[str, str]:
        return dict(self._bucket.get_object_tagging(key).tag_set.tagging_rule)

    def acl(self, key: str) -> str:
        return str(self._bucket.get_object_acl(key).acl)

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


def _headers(attributes: Attributes) -> _Headers:
    # It signs text as UTF-8 but sends it as Latin-1: what is not ASCII goes as bytes.
    metadata = {f"x-oss-meta-{name}": text.encode() for name, text in attributes.metadata.items()}
    return attributes.headers() | metadata


def _callback_headers(callback: Callback | None) -> _Headers:
    if callback is None:
        return {}
    variables = {f"x:{name}": value for name, value in callback.variables.items()}
    return {"x-oss-callback": _json64(callback.settings())} | (
        {"x-oss-callback-var": _json64(variables)} if variables else {}
    )


def _json64(values: Mapping[str, str]) -> str:
    return base64.b64encode(json.dumps(values).encode()).decode()


def _made(answer: Any) -> Made:  # noqa: ANN401 - it has no types
    if answer.status == 203:  # it takes that for success and leaves the reading to its caller
        raise oss2.exceptions.make_exception(answer.resp)
    return Made(answer.etag, answer.crc, answer.resp.read())
