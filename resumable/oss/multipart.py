"""The calls of a multipart upload, from its beginning to its end."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, Unpack

from resumable.core.arguments import suggesting, wrong_object
from resumable.core.headers import COMPLETE_ALL
from resumable.core.plan import MAX_PARTS, is_whole
from resumable.core.reconcile import ListedPart
from resumable.errors import InvalidArgumentError
from resumable.oss import operations
from resumable.oss.bodies import Data, body_of
from resumable.oss.calls import Calls, not_a_copy, with_md5, with_range
from resumable.oss.content_type import with_content_type
from resumable.oss.endpoint import check_bucket_name, check_key
from resumable.oss.options import (
    CompleteOptions,
    CopyOptions,
    InitiateOptions,
    PartOptions,
    RequestOptions,
    merge_options,
)
from resumable.oss.results import (
    CopiedPart,
    InitiatedUpload,
    ListedUpload,
    PartsPage,
    StoredObject,
    UploadedPart,
    UploadsPage,
)

_MAX_ROWS = operations.PAGE


class NumberedPart(Protocol):
    """What Complete needs to know of a part."""

    @property
    def number(self) -> int:
        """1 to 10,000."""
        ...

    @property
    def etag(self) -> str:
        """Without quotes."""
        ...


class MultipartCalls(Calls):
    """The multipart half of `Bucket`."""

    @suggesting
    def init_multipart_upload(
        self,
        key: str,
        *,
        sequential: bool = False,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[InitiateOptions],
    ) -> InitiatedUpload:
        """Begin a multipart upload (InitiateMultipartUpload).

        The headers and options (content type, metadata, tags, …) will be those of the object. An
        answer that gets lost is asked for again, which can leave an upload without parts behind.

        Args:
            key: The object's key.
            sequential: The parts will be sent one after another in the order of their numbers,
                and the object will have its MD5 (Content-MD5 of downloads).
            headers: Raw headers.
            options: See `InitiateOptions` in `docs/reference/api.md`.
        """
        check_key(key)
        sent = with_content_type(merge_options(headers, options, InitiateOptions), key)
        return self._client.perform(
            lambda: operations.initiate(key, sent, sequential=sequential),
            operations.read_initiated,
            self._controls,
        )

    @suggesting
    def upload_part(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        data: Data,
        *,
        content_md5: bool = True,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[PartOptions],
    ) -> UploadedPart:
        """Send one part (UploadPart); the same number again replaces it.

        Parts may be sent in any order, by several threads, processes and machines. The result
        means that the server has these bytes: its CRC-64 was held against the local one. A
        mismatch is tried again with the data read again.

        Args:
            key: The object's key.
            upload_id: From `init_multipart_upload`.
            part_number: 1 to 10,000.
            data: Bytes, a binary file object (from its position on), a `FileSlice`, or anything
                that can be sent again from its first byte (`Payload`). Up to 5 GB.
            content_md5: Announce the MD5, so that the server refuses a damaged body.
            headers: Raw headers.
            options: `traffic_limit`, `request_payer`.

        Raises:
            InvalidArgumentError: a part number outside 1 to 10,000, or data that cannot be sent.
            IntegrityError: the server keeps having other bytes.
        """
        _check_part_number(part_number)
        sent, body = not_a_copy(merge_options(headers, options, PartOptions)), body_of(data)
        return self._client.perform(
            lambda: operations.upload_part(
                key, upload_id, part_number, body, with_md5(sent, body, content_md5)
            ),
            lambda answer: operations.read_uploaded_part(answer, part_number, body.digest()),
            self._controls,
        )

    @suggesting
    def upload_part_copy(  # noqa: PLR0913 - source and target, each by its own name
        self,
        key: str,
        upload_id: str,
        part_number: int,
        source_key: str,
        *,
        source_bucket: str | None = None,
        source_version_id: str | None = None,
        byte_range: tuple[int, int] | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[CopyOptions],
    ) -> CopiedPart:
        """Make a part of an object, or of a range of it, at the server (UploadPartCopy).

        Args:
            key: The key of the object that is being made.
            upload_id: From `init_multipart_upload`.
            part_number: 1 to 10,000.
            source_key: The object to copy from.
            source_bucket: Its bucket, of the same region and owner. Default: this one.
            source_version_id: Its version. Default: the newest.
            byte_range: First and last byte, both included. Default: all of it.
            headers: Raw headers.
            options: `if_match`, `if_none_match`, `if_modified_since`, `if_unmodified_since`, all
                about the source; `traffic_limit`, `request_payer`.

        Raises:
            PreconditionFailedError, NotModifiedError: the source is not in the state asked for.
            NoSuchKeyError: there is no such object.
        """
        _check_part_number(part_number)
        bucket = check_bucket_name(source_bucket or self.name)
        source = operations.copy_source(bucket, check_key(source_key), source_version_id)
        sent = merge_options(headers, options, CopyOptions, prefix=f"{operations.COPY_SOURCE}-")
        sent = with_range(sent, operations.COPY_SOURCE_RANGE, byte_range)
        return self._client.perform(
            lambda: operations.upload_part_copy(key, upload_id, part_number, source, sent),
            lambda answer: operations.read_copied_part(answer, part_number),
            self._controls,
        )

    @suggesting
    def list_parts(
        self,
        key: str,
        upload_id: str,
        *,
        max_parts: int = _MAX_ROWS,
        part_number_marker: int = 0,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> PartsPage:
        """One page of the parts the server has (ListParts).

        Args:
            key: The object's key.
            upload_id: From `init_multipart_upload` or `list_multipart_uploads`.
            max_parts: Rows of the page at most: 1 to 1,000.
            part_number_marker: Begin after this part number.
            headers: Raw headers.
            options: `request_payer`.

        Raises:
            NoSuchUploadError: it was completed or aborted, or never was.
        """
        _check_rows("max_parts", max_parts)
        if not is_whole(part_number_marker, 0, MAX_PARTS):
            raise InvalidArgumentError(f"part_number_marker {part_number_marker!r} is no number")
        sent = merge_options(headers, options, RequestOptions)
        return self._client.perform(
            lambda: operations.list_parts(
                key, upload_id, max_parts=max_parts, marker=part_number_marker, headers=sent
            ),
            lambda answer: operations.read_parts_page(answer, part_number_marker),
            self._controls,
        )

    @suggesting
    def iter_parts(
        self,
        key: str,
        upload_id: str,
        *,
        page_size: int = _MAX_ROWS,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Iterator[ListedPart]:
        """All parts the server has, ascending, asked for in pages of `page_size`."""
        marker, more = 0, True
        while more:
            page = self.list_parts(
                key,
                upload_id,
                max_parts=page_size,
                part_number_marker=marker,
                headers=headers,
                **options,
            )
            yield from page.parts
            marker, more = page.next_marker, page.is_truncated

    @suggesting
    def list_multipart_uploads(
        self,
        *,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        upload_id_marker: str = "",
        max_uploads: int = _MAX_ROWS,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> UploadsPage:
        """One page of the uploads that are neither completed nor aborted (ListMultipartUploads).

        They come in the order of their keys, then of their upload ids.

        Args:
            prefix: Only of keys that begin with it.
            delimiter: Keys that hold it behind the prefix are told by `common_prefixes` alone.
            key_marker: Begin after this key.
            upload_id_marker: Together with `key_marker`: begin with the uploads of that key whose
                ids come after this one. Without it the server ignores it.
            max_uploads: Rows of the page at most: 1 to 1,000.
            headers: Raw headers.
            options: `request_payer`.
        """
        _check_rows("max_uploads", max_uploads)
        sent = merge_options(headers, options, RequestOptions)
        marker = key_marker, upload_id_marker if key_marker else ""
        return self._client.perform(
            lambda: operations.list_multipart_uploads(
                prefix=prefix,
                delimiter=delimiter,
                key_marker=key_marker,
                upload_id_marker=upload_id_marker,
                max_uploads=max_uploads,
                headers=sent,
            ),
            lambda answer: operations.read_uploads_page(answer, marker),
            self._controls,
        )

    @suggesting
    def iter_upload_pages(
        self,
        *,
        prefix: str = "",
        delimiter: str = "",
        page_size: int = _MAX_ROWS,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Iterator[UploadsPage]:
        """All pages of `list_multipart_uploads`, up to `page_size` rows each."""
        key_marker, upload_id_marker, more = "", "", True
        while more:
            page = self.list_multipart_uploads(
                prefix=prefix,
                delimiter=delimiter,
                key_marker=key_marker,
                upload_id_marker=upload_id_marker,
                max_uploads=page_size,
                headers=headers,
                **options,
            )
            yield page
            key_marker, upload_id_marker = page.next_key_marker, page.next_upload_id_marker
            more = page.is_truncated

    @suggesting
    def iter_multipart_uploads(
        self,
        *,
        prefix: str = "",
        page_size: int = _MAX_ROWS,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Iterator[ListedUpload]:
        """All uploads of keys with the prefix, asked for in pages of `page_size`.

        Those that are there from the first page to the last come exactly once, whatever is begun
        or ended meanwhile.
        """
        for page in self.iter_upload_pages(
            prefix=prefix, page_size=page_size, headers=headers, **options
        ):
            yield from page.uploads

    @suggesting
    def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Iterable[NumberedPart | tuple[int, str]] | None = None,
        *,
        complete_all: bool = False,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[CompleteOptions],
    ) -> StoredObject:
        """Make the object out of parts (CompleteMultipartUpload), in the order of their numbers.

        Args:
            key: The object's key.
            upload_id: From `init_multipart_upload`.
            parts: What `upload_part`, `upload_part_copy` or `iter_parts` gave, or pairs of part
                number and ETag. In any order.
            complete_all: Instead of `parts`: all that the server has. Whether these are the parts
                that were meant nobody checks.
            headers: Raw headers.
            options: `acl`, `callback`, `forbid_overwrite`, `request_payer`.

        Raises:
            NoSuchUploadError: perhaps completed already by a try whose answer was lost; only the
                object's size and CRC-64 can tell (`head_object`).
            InvalidPartError: a part is missing or has another ETag.
            FileAlreadyExistsError: with `forbid_overwrite`; the upload and its parts stay.
            CallbackFailedError: the object is stored, but the callback failed.
        """
        if parts is not None and not isinstance(parts, Iterable):
            raise wrong_object("parts", parts, "an iterable of parts")
        named = None if parts is None else [_number_and_etag(part) for part in parts]
        sent = merge_options(headers, options, CompleteOptions)
        complete_all = sent.pop(COMPLETE_ALL, "no") == "yes" or complete_all
        if complete_all == bool(named):
            raise InvalidArgumentError("Complete takes either parts or complete_all=True")
        return self._client.perform(
            lambda: operations.complete(key, upload_id, named or None, sent),
            lambda answer: operations.read_completed(answer, sent),
            self._controls,
        )

    @suggesting
    def abort_multipart_upload(
        self,
        key: str,
        upload_id: str,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Give an upload up (AbortMultipartUpload): one request.

        A part in flight can survive it: `resumable.abort_upload` aborts until nothing is listed.
        """
        sent = merge_options(headers, options, RequestOptions)
        self._client.perform(
            lambda: operations.abort(key, upload_id, sent), lambda _: None, self._controls
        )


def _check_part_number(number: object) -> None:
    if not is_whole(number, 1, MAX_PARTS):
        raise InvalidArgumentError(f"part number {number!r} is outside 1 to {MAX_PARTS}")


def _check_rows(name: str, rows: object) -> None:
    if not is_whole(rows, 1, _MAX_ROWS):
        raise InvalidArgumentError(f"{name} {rows!r} is outside 1 to {_MAX_ROWS}")


def _number_and_etag(part: NumberedPart | tuple[int, str]) -> tuple[int, str]:
    try:
        number, etag = part if isinstance(part, tuple) else (part.number, part.etag)
    except (AttributeError, ValueError):
        raise InvalidArgumentError(f"{part!r} is neither a part nor (number, ETag)") from None
    _check_part_number(number)
    if not isinstance(etag, str):
        raise InvalidArgumentError(f"part {number}: {etag!r} is not an ETag")
    return number, etag.strip('"')
