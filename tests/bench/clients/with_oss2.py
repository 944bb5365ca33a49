"""oss2, the first Python SDK. It compares the CRC-64."""

import oss2

from tests.bench.clients.child import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, Job, run


def _bucket(job: Job) -> oss2.Bucket:
    auth = oss2.Auth(ACCESS_KEY_ID, ACCESS_KEY_SECRET)
    return oss2.Bucket(auth, job.endpoint, BUCKET, is_path_style=True)


def large(job: Job) -> None:
    """Upload one file in parts."""
    oss2.resumable_upload(
        _bucket(job),
        job.key,
        job.path,
        store=oss2.ResumableStore(root=job.scratch),
        multipart_threshold=job.part_size,
        part_size=job.part_size,
        num_threads=job.threads,
    )


def small(job: Job) -> None:
    """Upload small files one after another."""
    bucket = _bucket(job)
    for key, path in job.small_files():
        bucket.put_object_from_file(key, path)


if __name__ == "__main__":
    run({"large": large, "small": small})
