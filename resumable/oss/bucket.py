"""`Bucket`: one method for each REST call, and iterators that page by themselves."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Literal, Self

from resumable.core.arguments import suggesting, wrong_object
from resumable.errors import InvalidArgumentError
from resumable.oss.client import Client, Controls, Target
from resumable.oss.credentials import Credentials, CredentialsProvider, read_credentials
from resumable.oss.endpoint import (
    Acceleration,
    Endpoint,
    Style,
    check_bucket_name,
    read_endpoint,
)
from resumable.oss.multipart import MultipartCalls
from resumable.oss.objects import ObjectCalls
from resumable.oss.pickling import picklable
from resumable.oss.proxies import Proxy, find_proxy, read_proxy
from resumable.oss.retry import RetryPolicy
from resumable.oss.settings import Wishes, authorities, settle
from resumable.oss.signing import SignatureVersion
from resumable.oss.transport import RequestsTransport

_log = logging.getLogger("resumable")


class Bucket(MultipartCalls, ObjectCalls):
    """A bucket at an endpoint, with the credentials to use it. Safe to share between threads.

    It can be pickled unless it holds a secret: whoever unpickles it looks for the credentials in
    the same place by itself (a profile, the environment, a function of a module).

    Every method tries again what is worth it (`retry`), never follows a redirect, and raises
    errors of the tree in `resumable.errors` only.

    Args:
        name: The bucket's name: 3 to 63 lower-case letters, digits and hyphens.
        endpoint: `https://oss-cn-hangzhou.aliyuncs.com` or the like; HTTPS if it has no scheme.
            Default: `OSS_ENDPOINT`, else what the configuration files say, else that of the
            region.
        region: `cn-hangzhou` or the like, for signature V4 and, without an endpoint, to derive
            that. Default: `OSS_REGION`, else what the endpoint's name tells, else what the
            configuration files say, if they are read.
        credentials: An access key, or a callable that gives one. It is asked again some minutes
            before `expires_at` or, without one, before each request; and after a refusal that
            a new key may cure. Default: `OSS_ACCESS_KEY_ID`, `OSS_ACCESS_KEY_SECRET` and
            `OSS_SESSION_TOKEN`, else the like of Alibaba Cloud, else the configuration files,
            else the RAM role of an ECS instance (docs/reference/environment.md has all of it).
        profile: The name of a profile in the configuration files of ossutil, the Alibaba Cloud
            CLI or SDKs. What it says comes before the environment.
        signature_version: `v1` or `v4`. Default: `v4` where the region is known.
        style: How the bucket is addressed: `virtual`, `path` or `cname`. Default: `path` for an
            IP address and localhost, else `virtual`.
        internal: Use the endpoint for machines inside Alibaba Cloud, in the same region.
        accelerate: Use transfer acceleration, which must be enabled for the bucket; `overseas`
            for its endpoint outside the Chinese mainland.
        retry: For how long requests are tried again, and how long to wait in between.
        connect_timeout: Seconds to wait for a connection.
        timeout: Seconds without a byte moving before a request fails.
        proxy: A URL such as `http://user:password@host:3128` or `socks5h://host:1080`, used for
            every host; False to use none. Default: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
            `NO_PROXY`, never for this machine.
        ca_bundle: Path of a PEM file, or of a folder as OpenSSL has them, of the certificate
            authorities to trust instead of the usual ones. Default: `REQUESTS_CA_BUNDLE`, else
            `SSL_CERT_FILE`, else those of certifi. Certificates are always verified.

    Raises:
        InvalidArgumentError: the name, the endpoint, the signature or the proxy cannot be used.
        CredentialsError: there is no access key.
        TypeError: `retry` is no `RetryPolicy`.
    """

    @suggesting
    def __init__(  # noqa: PLR0913 - the face: every setting by its own name
        self,
        name: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        credentials: Credentials | CredentialsProvider | None = None,
        profile: str | None = None,
        signature_version: SignatureVersion | None = None,
        style: Style | None = None,
        internal: bool = False,
        accelerate: Acceleration = False,
        retry: RetryPolicy | None = None,
        connect_timeout: float = 10.0,
        timeout: float = 60.0,
        proxy: str | Literal[False] | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
    ) -> None:
        # No secret is in a frame from here on.
        route, proxy = read_proxy(proxy), None
        keys, credentials = read_credentials(credentials), None
        address, endpoint = read_endpoint(endpoint, style), None
        check_bucket_name(name)
        _check_types(internal, connect_timeout, timeout, retry)
        found = settle(Wishes(address, region, style, internal, accelerate, keys, profile, route))
        version = _signature(signature_version, found.region)
        target = Target(name, found.endpoint, found.region, version)
        chosen = find_proxy(found.endpoint.origin(name), route, os.environ)
        _warn_of_changes(found.endpoint, chosen)
        transport = RequestsTransport(
            connect_timeout,
            timeout,
            tls="https" in (found.endpoint.scheme, chosen and chosen.scheme),
            proxy=chosen,
            trust=authorities(ca_bundle),
        )
        self._client = Client(target, found.keys, transport, retry or RetryPolicy())
        self._controls = Controls()
        waits = {"retry": retry, "connect_timeout": connect_timeout, "timeout": timeout}
        self._made_of = waits | {"profile": profile, "proxy": route, "ca_bundle": ca_bundle}
        self._keys = keys

    @property
    def endpoint(self) -> str:
        """The endpoint as scheme, host and port."""
        return str(self._client.target.endpoint)

    def __repr__(self) -> str:
        if not hasattr(self, "_client"):  # an error's traceback may show a half-made one
            return "Bucket(...)"
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
        vars(view).update(vars(self), _controls=controls)
        return view

    def __reduce__(self) -> tuple[Callable[..., "Bucket"], tuple[str, dict[str, object]]]:
        target = self._client.target
        options: dict[str, object] = {
            **self._made_of,
            "endpoint": str(target.endpoint),
            "region": target.region,
            "style": target.endpoint.style,
            "signature_version": target.version,
            "credentials": picklable(self._keys),
        }
        return _unpickled, (self.name, options)

    def __copy__(self) -> "Bucket":
        return self.under(self._controls)

    def __deepcopy__(self, _: object) -> "Bucket":
        return self.under(self._controls)


def _unpickled(name: str, options: dict[str, Any]) -> Bucket:
    return Bucket(name, **options)


def check_bucket(bucket: object) -> None:
    """Make sure that an argument is a bucket.

    Raises:
        TypeError: it is something else, such as its name or the bucket of another library.
    """
    if not isinstance(bucket, Bucket):
        advice = "Make one with resumable.Bucket(name, endpoint=…)"
        raise wrong_object("bucket", bucket, "a resumable.Bucket", advice)


def _warn_of_changes(endpoint: Endpoint, proxy: Proxy | None) -> None:
    """Say that a proxy can change requests that it forwards."""
    if proxy is not None and endpoint.scheme == "http" and not proxy.is_socks:
        # squid, for one, adds a Cache-Control, which OSS then stores with the object.
        _log.warning("the proxy %s can change plain http: use an https endpoint", proxy)


def _signature(wanted: SignatureVersion | None, region: str | None) -> SignatureVersion:
    version: SignatureVersion = wanted or ("v4" if region else "v1")
    if version not in ("v1", "v4") or (version == "v4" and not region):
        raise InvalidArgumentError(
            f"signature {version!r} needs a region" if version == "v4" else "v1 or v4 only",
            advice="Give region= or set OSS_REGION",
        )
    return version


def _check_types(internal: object, connect_timeout: object, timeout: object, retry: object) -> None:
    if not isinstance(internal, bool):
        raise wrong_object("internal", internal, "True or False")
    for seconds in (connect_timeout, timeout):
        if not isinstance(seconds, int | float) or not 0 < seconds <= threading.TIMEOUT_MAX:
            raise InvalidArgumentError("connect_timeout and timeout are seconds, more than 0")
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise wrong_object("retry", retry, "a RetryPolicy", "RetryPolicy(attempts=5), say")
