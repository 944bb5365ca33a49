"""The client of this project. Variants: `md5+crc`, which is the default, and `crc`."""

from resumable import Bucket, Credentials, upload_file
from tests.bench.clients.child import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, REGION, Job, run


def _bucket(job: Job) -> Bucket:
    return Bucket(
        BUCKET,
        endpoint=job.endpoint,
        region=REGION,
        credentials=Credentials(ACCESS_KEY_ID, ACCESS_KEY_SECRET),
        ca_bundle=job.ca_bundle or None,
    )


def large(job: Job) -> None:
    """Upload one file in parts."""
    with _bucket(job) as bucket:
        upload_file(
            bucket,
            job.key,
            job.path,
            part_size=job.part_size,
            thread_num=job.threads,
            enable_checkpoint=True,
            checkpoint_path=f"{job.scratch}/large.cp",
            content_md5=job.variant == "md5+crc",
        )


def small(job: Job) -> None:
    """Upload small files one after another."""
    with _bucket(job) as bucket:
        for key, path in job.small_files():
            upload_file(bucket, key, path, content_md5=job.variant == "md5+crc")


if __name__ == "__main__":
    run({"large": large, "small": small})
