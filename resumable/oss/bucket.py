"""`Bucket`: one method for each REST call, and iterators that page by themselves."""

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

from resumable.core.integrity import Bytes
from resumable.core.plan import MAX_PART_SIZE, MAX_PARTS
from resumable.core.reconcile import ListedPart
from resumable.errors import InvalidArgumentError
from resumable.oss import operations
from resumable.oss.client import Client, Controls, Target
from resumable.oss.credentials import Credentials, CredentialsProvider, provider_of
from resumable.oss.endpoint import Endpoint, Style, check_bucket_name
from resumable.oss.messages import BytesPayload, Payload
from resumable.oss.results import (
    InitiatedUpload,
    ObjectHead,
    PartsPage,
    StoredObject,
    UploadedPart,
)
from resumable.oss.retry import RetryPolicy
from resumable.oss.signing import SignatureVersion
from resumable.oss.transport import OpenAnswer, Transport

_REGION = re.compile(r"[a-z0-9-]{1,63}")
_NO_HEADERS: Mapping[str, str] = {}


class Bucket:
    """A bucket at an endpoint, with the credentials to use it. Safe to share between threads.

    Every method tries again what is worth it (`retry`), never follows a redirect, and raises
    errors of the tree in `resumable.errors` only.

    Args:
        name: The bucket's name: 3 to 63 lower-case letters, digits and hyphens.
        endpoint: `https://oss-cn-hangzhou.aliyuncs.com` or the like; HTTPS if it has no scheme.
            Default: `OSS_ENDPOINT` from the environment.
        region: `cn-hangzhou` or the like, for signature V4. Default: `OSS_REGION`, else what
            the endpoint's name tells.
        credentials: An access key, or a callable that gives one and is asked before each
            request. Default: `OSS_ACCESS_KEY_ID`, `OSS_ACCESS_KEY_SECRET` and
            `OSS_SESSION_TOKEN` from the environment.
        signature_version: `v1` or `v4`. Default: `v4` where the region is known.
        style: How the bucket is addressed: `virtual`, `path` or `cname`. Default: `path` for an
            IP address and localhost, else `virtual`.
        retry: How often and how patiently requests are tried again.
        connect_timeout: Seconds to wait for a connection.
        timeout: Seconds without a byte moving before a request fails.
        ca_bundle: Path of a PEM file of authorities to trust instead of the usual ones.

    Raises:
        InvalidArgumentError: the name, the endpoint or the signature cannot be used.
        CredentialsError: there is no access key.
    """

    def __init__(  # noqa: PLR0913 - the face: every setting by its own name
        self,
        name: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        credentials: Credentials | CredentialsProvider | None = None,
        signature_version: SignatureVersion | None = None,
        style: Style | None = None,
        retry: RetryPolicy | None = None,
        connect_timeout: float = 10.0,
        timeout: float = 60.0,
        ca_bundle: str | None = None,
    ) -> None:
        endpoint = endpoint or os.environ.get("OSS_ENDPOINT")
        if not endpoint:
            raise InvalidArgumentError("no endpoint: give endpoint= or set OSS_ENDPOINT")
        place = Endpoint.parse(endpoint, style=style)
        region = region or os.environ.get("OSS_REGION") or place.region
        if not all(_is_patience(seconds) for seconds in (connect_timeout, timeout)):
            raise InvalidArgumentError("connect_timeout and timeout are seconds, more than 0")
        if region and not _REGION.fullmatch(region):
            raise InvalidArgumentError(f"{region!r} is not a region, such as cn-hangzhou")
        version: SignatureVersion = signature_version or ("v4" if region else "v1")
        if version not in ("v1", "v4") or (version == "v4" and not region):
            raise InvalidArgumentError(
                f"signature {version!r} needs a region" if version == "v4" else "v1 or v4 only",
                advice="Give region= or set OSS_REGION",
            )
        target = Target(check_bucket_name(name), place, region, version)
        transport = Transport(connect_timeout, timeout, ca_bundle)
        self._client = Client(target, provider_of(credentials), transport, retry or RetryPolicy())
        self._controls = Controls()

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self._client.target.bucket

    @property
    def endpoint(self) -> str:
        """The endpoint as scheme, host and port."""
        return str(self._client.target.endpoint)

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, endpoint={self.endpoint!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are idle. The bucket can still be used."""
        self._client.close()

    def under(self, controls: Controls) -> "Bucket":
        """The same bucket and connections, its calls held by a transfer's controls."""
        view = object.__new__(type(self))
        view._client, view._controls = self._client, controls
        return view

    def init_multipart_upload(
        self, key: str, *, headers: Mapping[str, str] = _NO_HEADERS
    ) -> InitiatedUpload:
        """Begin a multipart upload (InitiateMultipartUpload).

        The headers (Content-Type, x-oss-meta-*, …) will be those of the object. An answer that
        gets lost is asked for again, which can leave an upload without parts behind.
        """
        return self._client.perform(
            lambda: operations.initiate(key, headers), operations.read_initiated, self._controls
        )

    def upload_part(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        data: Bytes | Payload,
        *,
        content_md5: bool = True,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> UploadedPart:
        """Send one part (UploadPart); the same number again replaces it.

        The result means that the server has these bytes: its CRC-64 was held against the local
        one. A mismatch is tried again with the data read again.

        Args:
            key: The object's key.
            upload_id: From `init_multipart_upload`.
            part_number: 1 to 10,000.
            data: Bytes, or anything that can be sent again from its first byte (`Payload`).
            content_md5: Announce the MD5, so that the server refuses a damaged body.
            headers: Such as x-oss-traffic-limit.

        Raises:
            InvalidArgumentError: a part number outside 1 to 10,000, or over 5 GB of data.
            IntegrityError: the server keeps having other bytes.
        """
        if not 1 <= part_number <= MAX_PARTS:
            raise InvalidArgumentError(f"part number {part_number} is outside 1 to {MAX_PARTS}")
        body = _payload(data)
        return self._client.perform(
            lambda: operations.upload_part(
                key, upload_id, part_number, body, _with_md5(headers, body, content_md5)
            ),
            lambda answer: operations.read_uploaded_part(answer, part_number, body.digest()),
            self._controls,
        )

    def list_parts(
        self,
        key: str,
        upload_id: str,
        *,
        max_parts: int = operations.PAGE,
        part_number_marker: int = 0,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> PartsPage:
        """One page of the parts the server has (ListParts): up to 1,000 after the marker."""
        return self._client.perform(
            lambda: operations.list_parts(
                key, upload_id, max_parts=max_parts, marker=part_number_marker, headers=headers
            ),
            lambda answer: operations.read_parts_page(answer, part_number_marker),
            self._controls,
        )

    def iter_parts(
        self, key: str, upload_id: str, *, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Iterator[ListedPart]:
        """All parts the server has, ascending, asked for in pages of 1,000."""
        marker, more = 0, True
        while more:
            page = self.list_parts(key, upload_id, part_number_marker=marker, headers=headers)
            yield from page.parts
            marker, more = page.next_marker, page.is_truncated

    def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[UploadedPart | ListedPart],
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> StoredObject:
        """Make the object out of parts (CompleteMultipartUpload), in the order of their numbers.

        Raises:
            NoSuchUploadError: perhaps completed already by a try whose answer was lost; only the
                object's size and CRC-64 can tell (`head_object`).
            InvalidPartError: a part is missing or has another ETag.
            CallbackFailedError: the object is stored, but the callback in the headers failed.
        """
        named = [(part.number, part.etag) for part in parts]
        return self._client.perform(
            lambda: operations.complete(key, upload_id, named, headers),
            lambda answer: operations.read_completed(answer, headers),
            self._controls,
        )

    def abort_multipart_upload(
        self, key: str, upload_id: str, *, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        """Give an upload up (AbortMultipartUpload).

        A part in flight can survive it: abort again until `list_parts` raises NoSuchUploadError.
        """
        self._client.perform(
            lambda: operations.abort(key, upload_id, headers), lambda _: None, self._controls
        )

    def put_object(
        self,
        key: str,
        data: Bytes | Payload,
        *,
        content_md5: bool = True,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> StoredObject:
        """Store up to 5 GB in one request (PutObject), checked as `upload_part` is."""
        body = _payload(data)
        return self._client.perform(
            lambda: operations.put(key, body, _with_md5(headers, body, content_md5)),
            lambda answer: operations.read_put(answer, body.digest()),
            self._controls,
        )

    def head_object(
        self,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> ObjectHead:
        """What is known of an object (HeadObject).

        Raises:
            NoSuchKeyError: there is none.
        """
        return self._client.perform(
            lambda: operations.head(key, version_id, headers), operations.read_head, self._controls
        )

    @contextmanager
    def get_object(
        self,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Iterator[OpenAnswer]:
        """Read an object or a range of it (GetObject), block by block, within a context.

        It is not tried again and its CRC-64 is not checked here: compare the blocks' with
        `head_object`'s.
        """
        with self._client.open(operations.get(key, version_id, headers), self._controls) as body:
            yield body

    def delete_object(
        self,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        """Delete an object (DeleteObject). That there is none is no error, as in OSS."""
        self._client.perform(
            lambda: operations.delete(key, version_id, headers), lambda _: None, self._controls
        )


def _is_patience(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 < seconds <= threading.TIMEOUT_MAX


def _payload(data: Bytes | Payload) -> Payload:
    payload = BytesPayload(data) if isinstance(data, bytes | bytearray | memoryview) else data
    if payload.size > MAX_PART_SIZE:
        raise InvalidArgumentError(f"{payload.size} bytes; one request takes up to 5 GB")
    return payload


def _with_md5(headers: Mapping[str, str], body: Payload, wanted: bool) -> Mapping[str, str]:
    md5 = body.prepare(with_md5=wanted)
    return {**headers, **operations.content_md5(md5)} if md5 is not None else headers
