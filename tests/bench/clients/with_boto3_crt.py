"""boto3 through the CRT, Amazon's client in C.

boto3 itself gives the CRT no endpoint; this is what it does, with one.
"""

from botocore.config import Config  # type: ignore[import-not-found]
from botocore.credentials import Credentials  # type: ignore[import-not-found]
from botocore.session import Session  # type: ignore[import-not-found]
from s3transfer.crt import (  # type: ignore[import-not-found]
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

from tests.bench.clients.child import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, REGION, Job, run


def _manager(job: Job) -> CRTTransferManager:
    keys = BotocoreCRTCredentialsWrapper(Credentials(ACCESS_KEY_ID, ACCESS_KEY_SECRET))
    client = create_s3_crt_client(
        REGION,
        crt_credentials_provider=keys.to_crt_credentials_provider(),
        part_size=job.part_size,
        use_ssl=job.endpoint.startswith("https:"),
        verify=job.ca_bundle or None,
    )
    config = Config(s3={"addressing_style": "path"})
    settings = {"region_name": REGION, "endpoint_url": job.endpoint, "config": config}
    return CRTTransferManager(client, BotocoreCRTRequestSerializer(Session(), settings))


def large(job: Job) -> None:
    """Upload one file in parts."""
    with _manager(job) as manager:
        manager.upload(job.path, BUCKET, job.key).result()


def small(job: Job) -> None:
    """Upload small files one after another."""
    with _manager(job) as manager:
        for key, path in job.small_files():
            manager.upload(path, BUCKET, key).result()


if __name__ == "__main__":
    run({"large": large, "small": small})
