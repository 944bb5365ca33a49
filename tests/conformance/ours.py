"""The client of this package, as one more witness beside the public SDKs."""

from collections.abc import Sequence
from typing import Any, Literal

from resumable import Bucket, ServerError
from resumable.oss.callback import Callback as OurCallback
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
)
from tests.support import QUICK


def our_bucket(place: Place, version: Literal["v1", "v4"] = "v4") -> Bucket:
    """Our bucket at a place."""
    return Bucket(
        place.bucket,
        endpoint=place.endpoint,
        region=place.region,
        credentials=place.credentials,
        signature_version=version,
        retry=QUICK,
    )


class Ours:
    """`resumable.Bucket`, signing as `version` says."""

    errors: type[Exception] = ServerError
    lists_crc64 = True
    lists_prefixes = True
    sorts_parts = True

    def __init__(self, place: Place, version: Literal["v1", "v4"]) -> None:
        self.version: str = version
        self._bucket = our_bucket(place, version)

    def close(self) -> None:
        self._bucket.close()

    def answered(self, error: Exception) -> tuple[int, str]:
        assert isinstance(error, ServerError)
        return error.status, error.code

    def cannot_send(self, _: str, /) -> str:
        return ""

    def cannot_send_metadata(self, _: str, /) -> str:
        return ""

    def cannot_send_token(self) -> str:
        return ""

    def init(self, key: str, attributes: Attributes = PLAIN, *, sequential: bool = False) -> str:
        begun = self._bucket.init_multipart_upload(
            key, sequential=sequential, **_options(attributes)
        )
        return begun.upload_id

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
        sent = self._bucket.upload_part(
            key,
            upload_id,
            number,
            data,
            content_md5=not content_md5,
            headers=announced(content_md5),
            traffic_limit=traffic_limit or None,
        )
        return Part(sent.number, sent.size, sent.etag, sent.crc64)

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
            key,
            upload_id,
            number,
            source,
            byte_range=byte_range,
            if_match=conditions.if_match or None,
            if_none_match=conditions.if_none_match or None,
            if_modified_since=conditions.if_modified_since,
            if_unmodified_since=conditions.if_unmodified_since,
        )
        return copied.etag

    def list_parts(
        self, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartsPage:
        page = self._bucket.list_parts(key, upload_id, max_parts=limit, part_number_marker=after)
        parts = tuple(Part(part.number, part.size, part.etag, part.crc64) for part in page.parts)
        return PartsPage(parts, page.is_truncated, page.next_marker)

    def list_uploads(self, query: UploadsQuery) -> UploadsPage:
        page = self._bucket.list_multipart_uploads(
            prefix=query.prefix,
            delimiter=query.delimiter,
            key_marker=query.key_marker,
            upload_id_marker=query.upload_id_marker,
            max_uploads=query.limit,
        )
        return UploadsPage(
            tuple(Upload(row.key, row.upload_id) for row in page.uploads),
            page.common_prefixes,
            page.is_truncated,
            page.next_key_marker,
            page.next_upload_id_marker,
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
        options: dict[str, Any] = {"acl": acl} if acl else {}
        made = self._bucket.complete_multipart_upload(
            key,
            upload_id,
            parts,
            complete_all=parts is None,
            forbid_overwrite=forbid_overwrite or None,
            callback=_callback(callback),
            **options,
        )
        return Made(made.etag, made.crc64, made.callback_body or b"")

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
        made = self._bucket.put_object(
            key,
            data,
            content_md5=not content_md5,
            headers=announced(content_md5),
            callback=_callback(callback),
            **_options(attributes),
        )
        return Made(made.etag, made.crc64, made.callback_body or b"")

    def get(self, key: str, conditions: Conditions = ALWAYS) -> bytes:
        with self._bucket.get_object(
            key,
            if_match=conditions.if_match or None,
            if_none_match=conditions.if_none_match or None,
            if_modified_since=conditions.if_modified_since,
            if_unmodified_since=conditions.if_unmodified_since,
        ) as answer:
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


def _options(attributes: Attributes) -> dict[str, Any]:
    options = {
        "content_type": attributes.content_type,
        "cache_control": attributes.cache_control,
        "content_disposition": attributes.content_disposition,
        "content_encoding": attributes.content_encoding,
        "expires": attributes.expires,
        "metadata": attributes.metadata,
        "tags": attributes.tags,
        "storage_class": attributes.storage_class,
        "server_side_encryption": attributes.encryption,
        "server_side_encryption_key_id": attributes.encryption_key_id,
        "server_side_data_encryption": attributes.data_encryption,
        "forbid_overwrite": attributes.forbid_overwrite,
        "request_payer": attributes.request_payer,
    }
    return {name: value for name, value in options.items() if value}


def _callback(callback: Callback | None) -> OurCallback | None:
    if callback is None:
        return None
    options: dict[str, Any] = {"body_type": callback.body_type, "variables": callback.variables}
    return OurCallback(callback.url, callback.body, host=callback.host or None, **options)
