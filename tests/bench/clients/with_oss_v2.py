"""alibabacloud-oss-v2, the second Python SDK. It compares the CRC-64."""

import alibabacloud_oss_v2 as oss

from tests.bench.clients.child import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, REGION, Job, run


def _client(job: Job) -> oss.Client:
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        ACCESS_KEY_ID, ACCESS_KEY_SECRET
    )
    config.region, config.endpoint, config.use_path_style = REGION, job.endpoint, True
    return oss.Client(config)


def large(job: Job) -> None:
    """Upload one file in parts."""
    uploader = _client(job).uploader(
        part_size=job.part_size,
        parallel_num=job.threads,
        enable_checkpoint=True,
        checkpoint_dir=f"{job.scratch}/",
    )
    uploader.upload_file(oss.PutObjectRequest(bucket=BUCKET, key=job.key), job.path)


def small(job: Job) -> None:
    """Upload small files one after another."""
    client = _client(job)
    for key, path in job.small_files():
        client.put_object_from_file(oss.PutObjectRequest(bucket=BUCKET, key=key), path)


if __name__ == "__main__":
    run({"large": large, "small": small})
