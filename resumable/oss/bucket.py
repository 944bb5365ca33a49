"""`Bucket`: one method for each REST call, and iterators that page by themselves."""

import os
import re
import threading
from typing import Self

from resumable.errors import InvalidArgumentError
from resumable.oss.client import Client, Controls, Target
from resumable.oss.credentials import Credentials, CredentialsProvider, provider_of
from resumable.oss.endpoint import Endpoint, Style, check_bucket_name
from resumable.oss.multipart import MultipartCalls
from resumable.oss.objects import ObjectCalls
from resumable.oss.retry import RetryPolicy
from resumable.oss.signing import SignatureVersion
from resumable.oss.transport import Transport

_REGION = re.compile(r"[a-z0-9-]{1,63}")


class Bucket(MultipartCalls, ObjectCalls):
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


def _is_patience(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 < seconds <= threading.TIMEOUT_MAX
