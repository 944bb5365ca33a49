"""The calls on whole objects."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Unpack

from resumable.core.arguments import suggesting
from resumable.oss import operations
from resumable.oss.bodies import Data, body_of
from resumable.oss.calls import RANGE_BEHAVIOR, Calls, check_range, not_a_copy, with_md5, with_range
from resumable.oss.content_type import with_content_type
from resumable.oss.endpoint import check_key
from resumable.oss.options import PutOptions, ReadOptions, RequestOptions, merge_options
from resumable.oss.results import ObjectHead, StoredObject
from resumable.oss.transport import OpenAnswer


class ObjectCalls(Calls):
    """The half of `Bucket` that is about whole objects."""

    @suggesting
    def put_object(
        self,
        key: str,
        data: Data,
        *,
        content_md5: bool = True,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[PutOptions],
    ) -> StoredObject:
        """Store up to 5 GB in one request (PutObject), checked as `upload_part` is.

        Args:
            key: The object's key.
            data: As of `upload_part`.
            content_md5: Announce the MD5, so that the server refuses a damaged body.
            headers: Raw headers.
            options: All typed options.

        Raises:
            FileAlreadyExistsError: with `forbid_overwrite`.
            CallbackFailedError: the object is stored, but the callback failed.
            IntegrityError: the server keeps having other bytes.
        """
        check_key(key)
        body = body_of(data)
        sent = with_content_type(not_a_copy(merge_options(headers, options, PutOptions)), key)
        return self._client.perform(
            lambda: operations.put(key, body, with_md5(sent, body, content_md5)),
            lambda answer: operations.read_put(answer, body.digest(), sent),
            self._controls,
        )

    @suggesting
    def head_object(
        self,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ObjectHead:
        """What is known of an object (HeadObject).

        Raises:
            NoSuchKeyError: there is none.
        """
        sent = merge_options(headers, options, RequestOptions)
        return self._client.perform(
            lambda: operations.head(key, version_id, sent), operations.read_head, self._controls
        )

    @suggesting
    @contextmanager
    def get_object(
        self,
        key: str,
        *,
        byte_range: tuple[int, int] | None = None,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[ReadOptions],
    ) -> Iterator[OpenAnswer]:
        """Read an object or a range of it (GetObject), block by block, within a context.

        It is not tried again and its CRC-64 is not checked here: compare the blocks' with
        `head_object`'s.

        Args:
            key: The object's key.
            byte_range: First and last byte, both included. A range the object does not have is
                refused, where OSS would otherwise send all of it.
            version_id: Default: the newest.
            headers: Raw headers.
            options: `if_match`, `if_none_match`, `if_modified_since`, `if_unmodified_since`,
                `traffic_limit`, `request_payer`.

        Raises:
            NoSuchKeyError: there is none.
            ProtocolError: the server sends other bytes than were asked for.
            PreconditionFailedError, NotModifiedError: it is not in the state asked for.
        """
        sent = with_range(merge_options(headers, options, ReadOptions), "range", byte_range)
        if byte_range is not None:
            sent.setdefault(RANGE_BEHAVIOR, "standard")
        with self._client.open(operations.get(key, version_id, sent), self._controls) as body:
            check_range(body, sent, byte_range)
            yield body

    @suggesting
    def delete_object(
        self,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Delete an object (DeleteObject). That there is none is no error, as in OSS."""
        sent = merge_options(headers, options, RequestOptions)
        self._client.perform(
            lambda: operations.delete(key, version_id, sent), lambda _: None, self._controls
        )
