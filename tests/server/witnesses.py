"""The public OSS clients, as witnesses that the server speaks their protocol.

Their imports warn about things that are theirs alone, so they happen here and only here.
"""

import warnings
from collections.abc import Sequence
from typing import Any

from resumable.server import DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET, LocalServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import alibabacloud_oss_v2
    import oss2

__all__ = ["alibabacloud_oss_v2", "classic_bucket", "new_client", "oss2"]

REGION = "cn-hangzhou"


def classic_bucket(
    server: LocalServer, version: str = "v4", token: str | None = None, name: str = "bucket"
) -> Any:  # noqa: ANN401 - it has no types
    """A bucket of the `oss2` package."""
    keys = (DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET)
    if token is not None:
        provider = oss2.StsAuth(*keys, token, auth_version=version)
        return oss2.Bucket(provider, server.endpoint, name, region=REGION)
    auth = oss2.AuthV4(*keys) if version == "v4" else oss2.Auth(*keys)
    return oss2.Bucket(auth, server.endpoint, name, region=REGION)


def new_client(
    server: LocalServer, version: str = "v4", additional_headers: Sequence[str] = ()
) -> Any:  # noqa: ANN401 - it has no types
    """A client of the `alibabacloud_oss_v2` package."""
    config = alibabacloud_oss_v2.config.load_default()
    config.credentials_provider = alibabacloud_oss_v2.credentials.StaticCredentialsProvider(
        DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET
    )
    config.region = REGION
    config.endpoint = server.endpoint
    config.signature_version = version
    config.additional_headers = list(additional_headers)
    return alibabacloud_oss_v2.Client(config)
