"""What to do next, from an error and what the caller had asked for. No I/O.

Arguments are named as programs write them; the command line puts its own options in their place.
"""

import re

from resumable.errors import ConnectionFailedError, NetworkError, ServerError
from resumable.oss.endpoint import Endpoint, region_of

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def network_advice(error: NetworkError, bucket: str, endpoint: Endpoint) -> str:
    """What may be wrong if a host cannot be reached; empty if nothing is known.

    Args:
        error: What the transport raised.
        bucket: The bucket's name.
        endpoint: Where it was looked for.
    """
    if endpoint.style == "virtual" and endpoint.host.startswith(f"{bucket}."):
        host = endpoint.host.removeprefix(f"{bucket}.")
        return (
            f"The bucket's name is twice in {error.host}: give endpoint='{host}', or style='cname' "
            "if the host is the bucket's own"
        )
    if isinstance(error, ConnectionFailedError) and error.is_plain:
        return f"The server speaks plain HTTP: give endpoint='http://{_authority(endpoint)}'"
    is_unknown = isinstance(error, ConnectionFailedError) and error.is_unresolved
    if is_unknown and endpoint.style == "virtual" and not endpoint.host.endswith(".aliyuncs.com"):
        return (
            f"If {endpoint.host} itself is known and has its buckets in the path, give style='path'"
        )
    if is_unknown:
        return "Check the name of the endpoint, and this machine's DNS"
    return ""


def server_advice(
    error: ServerError, told_bucket: str, bucket: str, endpoint: Endpoint, region: str | None
) -> str:
    """What may be wrong if a request is refused; empty if nothing is known.

    Args:
        error: The refusal. Its `endpoint` is checked, and set to nothing if it is none.
        told_bucket: Which bucket the answer speaks of, or empty.
        bucket: The bucket's name.
        endpoint: Where it was looked for.
        region: With which region the request was signed.
    """
    if error.endpoint and not _HOST.fullmatch(error.endpoint):
        error.endpoint = ""
    if error.endpoint and error.endpoint != endpoint.host:
        scheme = "http://" if endpoint.scheme == "http" else ""
        advice = f"The bucket is at {error.endpoint}: give endpoint='{scheme}{error.endpoint}'"
        found = region_of(error.endpoint)
        return (
            f"{advice} and region='{found}'" if region and found not in (None, region) else advice
        )
    if error.code == "SecondLevelDomainForbidden":
        return "This endpoint takes no bucket in the path: give style='virtual'"
    if error.code == "NoSuchBucket" and told_bucket not in ("", bucket):
        style = "virtual" if endpoint.style == "path" else "path"
        return f"The server takes {told_bucket[:63]!r} for the bucket: give style='{style}'"
    if error.status == 400 and not error.request_id and endpoint.scheme == "http":
        return (
            "If the server expects TLS, which OSS would have said otherwise, give "
            f"endpoint='https://{_authority(endpoint)}'"
        )
    return ""


def _authority(endpoint: Endpoint) -> str:
    return str(endpoint).partition("://")[2]
