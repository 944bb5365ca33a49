"""boto3 with its own transfers, as they are by default but for the number of threads."""

import boto3  # type: ignore[import-not-found]
from boto3.s3.transfer import TransferConfig  # type: ignore[import-not-found]
from botocore.client import BaseClient, Config  # type: ignore[import-not-found]

from tests.bench.clients.child import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, REGION, Job, run


def _client(job: Job) -> BaseClient:
    return boto3.client(
        "s3",
        endpoint_url=job.endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=ACCESS_KEY_SECRET,
        verify=job.ca_bundle or None,
        config=Config(s3={"addressing_style": "path"}),
    )


def large(job: Job) -> None:
    """Upload one file in parts."""
    # "classic" is the default but for machines of Amazon's.
    config = TransferConfig(preferred_transfer_client="classic", max_concurrency=job.threads)
    _client(job).upload_file(job.path, BUCKET, job.key, Config=config)


def small(job: Job) -> None:
    """Upload small files one after another."""
    client = _client(job)
    for key, path in job.small_files():
        with open(path, "rb") as file:
            client.put_object(Bucket=BUCKET, Key=key, Body=file)


if __name__ == "__main__":
    run({"large": large, "small": small})
