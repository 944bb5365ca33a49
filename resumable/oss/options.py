"""The typed options of the calls, and the headers they become.

Each option is checked before any request. A value OSS has added since can still be given as a raw
header: those are sent as they are.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal, TypedDict, get_args
from urllib.parse import quote, urlencode

from resumable.core.arguments import unknown_option
from resumable.core.headers import (
    ACL,
    CALLBACK,
    CALLBACK_VARIABLES,
    FORBID_OVERWRITE,
    META_PREFIX,
    REQUEST_PAYER,
    TRAFFIC_LIMIT,
    checked_headers,
    is_unicode,
)
from resumable.core.plan import is_whole
from resumable.errors import InvalidArgumentError
from resumable.oss.callback import Callback

Acl = Literal["default", "private", "public-read", "public-read-write"]
StorageClass = Literal["Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"]
Encryption = Literal["AES256", "KMS", "SM4"]
RequestPayer = Literal["requester"]

MIN_TRAFFIC_LIMIT = 819_200
MAX_TRAFFIC_LIMIT = 838_860_800
_MAX_METADATA_SIZE = 8 * 1024
_MAX_TAGS = 10
_MAX_TAG_KEY = 128
_MAX_TAG_VALUE = 256


class RequestOptions(TypedDict, total=False):
    """Options of every call.

    Attributes:
        request_payer: `requester`: pay for the request on a bucket where the requester pays.
    """

    request_payer: RequestPayer | None


class _Traffic(TypedDict, total=False):
    traffic_limit: int | None


class _Overwriting(TypedDict, total=False):
    forbid_overwrite: bool | None


class _Ending(TypedDict, total=False):
    acl: Acl | None
    callback: Callback | None


class _Object(TypedDict, total=False):
    content_type: str | None
    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    expires: str | datetime | None
    metadata: Mapping[str, str] | None
    tags: Mapping[str, str] | None
    storage_class: StorageClass | None
    server_side_encryption: Encryption | None
    server_side_encryption_key_id: str | None
    server_side_data_encryption: Encryption | None


class PartOptions(RequestOptions, _Traffic, total=False):
    """Options of a call that carries data, beside those of every call.

    Attributes:
        traffic_limit: Bits per second the server shall take at most: 819,200 to 838,860,800.
    """


class InitiateOptions(RequestOptions, _Object, _Overwriting, total=False):
    """Options of InitiateMultipartUpload: what the object will be like.

    Attributes:
        content_type: Default: guessed from the key, else `application/octet-stream`.
        cache_control: Cache-Control of the object's downloads.
        content_disposition: Such as `attachment; filename=report.pdf`.
        content_encoding: Such as `gzip`: what was done to the content before.
        expires: When caches shall drop it: a datetime with a time zone, or text as it is.
        metadata: Sent as `x-oss-meta-<name>`. Names are lower-cased; values may hold any
            Unicode but control characters, and travel as UTF-8. 8 KB in all.
        tags: Up to 10, keys of 1 to 128 characters, values of up to 256.
        storage_class: Default: the bucket's.
        server_side_encryption: `AES256`, `KMS` or `SM4`: how the server encrypts the object.
        server_side_encryption_key_id: The key at KMS.
        server_side_data_encryption: The algorithm under KMS, such as `SM4`.
        forbid_overwrite: Refuse to replace an object that is there (FileAlreadyExistsError).
    """


class CompleteOptions(RequestOptions, _Overwriting, _Ending, total=False):
    """Options of CompleteMultipartUpload.

    Attributes:
        acl: Who may read and write the object. Default: as the bucket says.
        callback: Whom OSS shall tell of the object.
        forbid_overwrite: Refuse to replace an object that is there (FileAlreadyExistsError).
    """


class PutOptions(RequestOptions, _Traffic, _Object, _Overwriting, _Ending, total=False):
    """Options of a whole upload: all of the above."""


class ReadConditions(TypedDict, total=False):
    """Which state of an object a call is about.

    Attributes:
        if_match: Only with this ETag.
        if_none_match: Only with another ETag.
        if_modified_since: Only if it was modified after this time.
        if_unmodified_since: Only if it was not.
    """

    if_match: str | None
    if_none_match: str | None
    if_modified_since: datetime | None
    if_unmodified_since: datetime | None


class ReadOptions(PartOptions, ReadConditions, total=False):
    """Options of GetObject."""


class CopyOptions(PartOptions, ReadConditions, total=False):
    """Options of UploadPartCopy; the conditions are about the source."""


def merge_options(
    headers: Mapping[str, str] | None,
    options: Mapping[str, Any],
    kind: type,
    *,
    prefix: str = "",
) -> dict[str, str]:
    """The raw headers, checked, and those which the options become. Names are in lower case.

    Args:
        headers: Raw headers.
        options: Typed options by name. None is the same as not given.
        kind: Those the call knows: one of the classes of options.
        prefix: What the names of conditions are put behind (UploadPartCopy).

    Raises:
        InvalidArgumentError: an option or header cannot be sent, or is given both ways.
        TypeError: the call has no such option.
    """
    merged = checked_headers(headers or {})
    for option, value in options.items():
        if option not in kind.__annotations__:
            # Sent with a call that does not heed it, a condition would protect nothing.
            raise unknown_option(option, kind.__annotations__)
        if value is None:
            continue
        name, write = _WRITERS[option]
        name = f"{prefix}{name}" if option in ReadConditions.__annotations__ else name
        for header, text in write(option, name, value).items():
            if header in merged:
                raise InvalidArgumentError(f"{header} is given by {option}= and in headers=")
            merged[header] = text
    return checked_headers(merged)


def header_of(option: str) -> str:
    """The header an option becomes, for the documentation."""
    return _WRITERS[option][0]


def _text(option: str, name: str, value: object) -> dict[str, str]:
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgumentError(f"{option} {value!r} is not text")
    return {name: value}


def _one_of(choices: object) -> Callable[[str, str, object], dict[str, str]]:
    def write(option: str, name: str, value: object) -> dict[str, str]:
        if value not in get_args(choices):
            known = ", ".join(get_args(choices))
            raise InvalidArgumentError(
                f"{option} {value!r} is not one of {known}",
                advice=f"A value that OSS has added since can be given as headers={{'{name}': …}}",
            )
        return {name: str(value)}

    return write


def _flag(option: str, name: str, value: object) -> dict[str, str]:
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{option} {value!r} is neither True nor False")
    return {name: "true" if value else "false"}


def _traffic_limit(option: str, name: str, value: object) -> dict[str, str]:
    if not is_whole(value, MIN_TRAFFIC_LIMIT, MAX_TRAFFIC_LIMIT):
        raise InvalidArgumentError(
            f"{option} {value!r} is not {MIN_TRAFFIC_LIMIT} to {MAX_TRAFFIC_LIMIT} bits per second"
        )
    return {name: str(value)}


def _time(option: str, name: str, value: object) -> dict[str, str]:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidArgumentError(f"{option} {value!r} is not a datetime with a time zone")
    return {name: format_datetime(value.astimezone(UTC), usegmt=True)}


def _time_or_text(option: str, name: str, value: object) -> dict[str, str]:
    write = _text if isinstance(value, str) else _time
    return write(option, name, value)


def _metadata(option: str, prefix: str, value: object) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, text in _pairs(option, value):
        header = prefix + name.lower()
        if not name:
            raise InvalidArgumentError(f"{option} has a value without a name")
        if header in headers:
            raise InvalidArgumentError(f"{option} has {name!r} twice: case does not count")
        if text != text.strip(" \t"):
            raise InvalidArgumentError(
                f"{option} {name!r} begins or ends with a space, which headers do not keep",
                advice="Quote or percent-encode the value",
            )
        headers[header] = text
    size = sum(
        len(_utf8(option, name)) + len(_utf8(option, text)) for name, text in headers.items()
    )
    if size > _MAX_METADATA_SIZE:
        raise InvalidArgumentError(f"{option} of {size} bytes; OSS takes {_MAX_METADATA_SIZE}")
    return headers


def _tags(option: str, name: str, value: object) -> dict[str, str]:
    pairs = _pairs(option, value)
    if len(pairs) > _MAX_TAGS:
        raise InvalidArgumentError(f"{len(pairs)} {option}; an object has up to {_MAX_TAGS}")
    for key, text in pairs:
        _utf8(option, key + text)
        if not 1 <= len(key) <= _MAX_TAG_KEY or len(text) > _MAX_TAG_VALUE:
            raise InvalidArgumentError(
                f"{option} {key[:40]!r}: a key has 1 to {_MAX_TAG_KEY} characters, "
                f"a value up to {_MAX_TAG_VALUE}"
            )
    return {name: urlencode(pairs, quote_via=quote, safe="")} if pairs else {}


def _pairs(option: str, value: object) -> list[tuple[str, str]]:
    pairs = list(value.items()) if isinstance(value, Mapping) else None
    if pairs is None or not all(isinstance(text, str) for pair in pairs for text in pair):
        raise InvalidArgumentError(f"{option} is not a mapping of text to text")
    return pairs


def _utf8(option: str, text: str) -> bytes:
    if not is_unicode(text):
        raise InvalidArgumentError(f"{option} holds text that is not Unicode")
    return text.encode()


def _callback(option: str, _: str, value: object) -> dict[str, str]:
    if not isinstance(value, Callback):
        raise InvalidArgumentError(f"{option} is not a Callback")
    variables = {CALLBACK_VARIABLES: value.encoded_variables} if value.variables else {}
    return {CALLBACK: value.encoded, **variables}


def _etag(option: str, name: str, value: object) -> dict[str, str]:
    text = _text(option, name, value)[name].strip('"')
    if not re.fullmatch(r"\*|[\x21\x23-\x7e]{1,256}", text):
        raise InvalidArgumentError(f"{option} {value!r} is not an ETag")
    return {name: text if text == "*" else f'"{text}"'}


_Writer = Callable[[str, str, object], dict[str, str]]

_WRITERS: Mapping[str, tuple[str, _Writer]] = {
    "acl": (ACL, _one_of(Acl)),
    "cache_control": ("cache-control", _text),
    "callback": (CALLBACK, _callback),
    "content_disposition": ("content-disposition", _text),
    "content_encoding": ("content-encoding", _text),
    "content_type": ("content-type", _text),
    "expires": ("expires", _time_or_text),
    "forbid_overwrite": (FORBID_OVERWRITE, _flag),
    "if_match": ("if-match", _etag),
    "if_modified_since": ("if-modified-since", _time),
    "if_none_match": ("if-none-match", _etag),
    "if_unmodified_since": ("if-unmodified-since", _time),
    "metadata": (META_PREFIX, _metadata),
    "request_payer": (REQUEST_PAYER, _one_of(RequestPayer)),
    "server_side_data_encryption": (
        "x-oss-server-side-data-encryption",
        _one_of(Encryption),
    ),
    "server_side_encryption": ("x-oss-server-side-encryption", _one_of(Encryption)),
    "server_side_encryption_key_id": ("x-oss-server-side-encryption-key-id", _text),
    "storage_class": ("x-oss-storage-class", _one_of(StorageClass)),
    "tags": ("x-oss-tagging", _tags),
    "traffic_limit": (TRAFFIC_LIMIT, _traffic_limit),
}
