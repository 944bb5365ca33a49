"""The headers that become part of an object: which are kept, and what their values may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from resumable.server.errors import OssError
from resumable.server.messages import Request

ACL = "x-oss-object-acl"
TAGGING = "x-oss-tagging"
STORAGE_CLASS = "x-oss-storage-class"
STANDARD = "Standard"

MAX_TAGS = 10
MAX_METADATA = 8 * 1024

# What HTTP knows of, and what a copy takes over from its source.
_ENTITY = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
_METADATA = "x-oss-meta-"
_ENCRYPTION = "x-oss-server-side-"
_ENCRYPTION_METHOD = "x-oss-server-side-encryption"
_KEY_ID = "x-oss-server-side-encryption-key-id"
_DATA_ENCRYPTION = "x-oss-server-side-data-encryption"
_DEFAULT_CONTENT_TYPE = "application/octet-stream"

_STORAGE_CLASSES = frozenset("Standard IA Archive ColdArchive DeepColdArchive".split())
_ACLS = frozenset("default private public-read public-read-write".split())
_METHODS = frozenset({"AES256", "KMS", "SM4"})
_TAG_TEXT = re.compile(r"[A-Za-z0-9 +\-=._:/]*")


def kept_headers(request: Request) -> dict[str, str]:
    """Return the headers that become part of the object.

    Raises:
        OssError: when a value is none that the service knows.
    """
    return described_headers(request) | placed_headers(request) | tagging_header(request)


def described_headers(request: Request) -> dict[str, str]:
    """Return those that describe what is in the object: its type, metadata and so on.

    Raises:
        OssError: InvalidArgument when there is too much metadata.
    """
    metadata = {
        name: value for name, value in request.headers.items() if name.startswith(_METADATA)
    }
    size = sum(len(name) + _length(value) for name, value in metadata.items())
    if size > MAX_METADATA:
        raise OssError(
            "InvalidArgument", "The metadata has more than 8 KB.", MetadataSize=str(size)
        )
    return {"content-type": _DEFAULT_CONTENT_TYPE} | _chosen(request, _ENTITY) | metadata


def inherited_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what a copy takes over from its source, the tags apart."""
    return {
        name: value
        for name, value in headers.items()
        if name in _ENTITY or name.startswith(_METADATA)
    }


def placed_headers(request: Request) -> dict[str, str]:
    """Return those that say how the object is kept: storage class, access and encryption.

    Raises:
        OssError: when a value is none that the service knows.
    """
    _check_choice(request, STORAGE_CLASS, _STORAGE_CLASSES)
    _check_encryption(request)
    return (
        _chosen(request, (STORAGE_CLASS,))
        | acl_header(request)
        | encryption_headers(request.headers)
    )


def acl_header(request: Request) -> dict[str, str]:
    """Return the access control that a request gives its object, if it does.

    Raises:
        OssError: InvalidArgument when there is no such access control.
    """
    _check_choice(request, ACL, _ACLS)
    return _chosen(request, (ACL,))


def tagging_header(request: Request) -> dict[str, str]:
    """Return the tags that a request gives its object, if it does.

    Raises:
        OssError: InvalidTag.
    """
    text = request.header(TAGGING)
    if not text:
        return {}
    for field in text.split("&"):
        if field.count("=") > 1:
            raise OssError("InvalidTag", "A tag is neither 'key' nor 'key=value'.", Tag=field)
    pairs = parse_tags(text)
    if len(pairs) > MAX_TAGS:
        raise OssError("InvalidTag", f"An object has up to {MAX_TAGS} tags.")
    if len(pairs) > len(dict(pairs)):
        raise OssError("InvalidTag", "Two tags have the same key.")
    for key, value in pairs:
        _check_tag(key, value)
    return {TAGGING: text}


def parse_tags(text: str) -> list[tuple[str, str]]:
    """Return the keys and values of tags as x-oss-tagging carries them."""
    return parse_qsl(text, keep_blank_values=True)


def encryption_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those headers that say how an object is encrypted."""
    return {name: value for name, value in headers.items() if name.startswith(_ENCRYPTION)}


def storage_class(headers: Mapping[str, str]) -> str:
    """Return the storage class that an object's headers name, or the usual one."""
    return headers.get(STORAGE_CLASS, STANDARD)


def _chosen(request: Request, names: tuple[str, ...]) -> dict[str, str]:
    return {name: request.headers[name] for name in names if name in request.headers}


def _check_choice(request: Request, name: str, choices: frozenset[str]) -> None:
    value = request.headers.get(name)
    if value is not None and value not in choices:
        raise OssError("InvalidArgument", ArgumentName=name, ArgumentValue=value)


def _check_encryption(request: Request) -> None:
    method = request.headers.get(_ENCRYPTION_METHOD)
    if method is not None and method not in _METHODS:
        raise OssError("InvalidEncryptionAlgorithmError", ArgumentValue=method)
    _check_choice(request, _DATA_ENCRYPTION, frozenset({"SM4"}))
    for name in (_KEY_ID, _DATA_ENCRYPTION):
        if name in request.headers and method != "KMS":
            raise OssError(
                "InvalidArgument", "The header needs the encryption method KMS.", ArgumentName=name
            )


def _check_tag(key: str, value: str) -> None:
    if not 1 <= len(key) <= 128 or len(value) > 256:
        raise OssError(
            "InvalidTag", "A tag's key has 1 to 128 characters, its value up to 256.", TagKey=key
        )
    if not (_TAG_TEXT.fullmatch(key) and _TAG_TEXT.fullmatch(value)):
        raise OssError(
            "InvalidTag", "A tag has letters, digits, spaces and + - = . _ : / only.", TagKey=key
        )


def _length(value: str) -> int:
    return len(value.encode("utf-8", "surrogateescape"))
