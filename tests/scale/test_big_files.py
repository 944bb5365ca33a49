"""Files larger than memory allows for, and kills on the way."""

import hashlib
import os
from pathlib import Path

import pytest

from resumable import Bucket
from resumable.server import LocalServer
from tests.scale.children import (
    acknowledged,
    kill_when_acknowledged,
    result_and_peak_memory,
    start_cp,
)

MIB = 1024 * 1024
GIB = 1024 * MIB


def write_random(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size // MIB):
            block = os.urandom(MIB)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def sha256_of_object(bucket: Bucket, key: str) -> str:
    digest = hashlib.sha256()
    with bucket.get_object(key) as answer:
        for block in answer.blocks():
            digest.update(block)
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("size", "part_size"),
    [
        pytest.param(96 * MIB, MIB, id="96MiB"),
        pytest.param(2 * GIB, 8 * MIB, id="2GiB", marks=pytest.mark.large),
    ],
)
def test_upload_killed_twice_ends_with_the_right_object(
    server: LocalServer, bucket: Bucket, folder: Path, size: int, part_size: int
) -> None:
    file = folder / "big.bin"
    sha256 = write_random(file, size)
    options = ("--threads=4", f"--part-size={part_size}")
    for share in (0.25, 0.6):
        process = start_cp(server, file, "big", *options)
        kill_when_acknowledged(process, server, int(share * size))
    result, _ = result_and_peak_memory(start_cp(server, file, "big", *options))

    assert sha256_of_object(bucket, "big") == sha256
    assert result["resumed"]
    assert result["parts_reused"] > 0
    assert result["bytes_sent"] + result["bytes_reused"] == size
    assert acknowledged(server) <= size + 2 * 4 * part_size, "more than what was in flight"
    assert os.listdir(folder) == ["big.bin"]


@pytest.mark.parametrize(
    ("size", "part_size"),
    [
        pytest.param(400 * MIB, 350 * MIB, id="350MiB-part"),
        pytest.param(5 * GIB + 16 * MIB, 5 * GIB, id="5GiB-part", marks=pytest.mark.large),
        pytest.param(5 * GIB, 5 * 10**9, id="5GB-part", marks=pytest.mark.large),
    ],
)
@pytest.mark.parametrize("md5", ["--content-md5", "--no-content-md5"])
def test_memory_does_not_grow_with_the_part_size(
    server: LocalServer, bucket: Bucket, folder: Path, size: int, part_size: int, md5: str
) -> None:
    file = folder / "sparse.bin"
    with file.open("wb") as sparse:
        sparse.truncate(size)
    process = start_cp(server, file, "sparse", "--threads=4", f"--part-size={part_size}", md5)
    result, peak = result_and_peak_memory(process)
    assert bucket.head_object("sparse").size == size
    assert result["parts_total"] == 2
    print(f"peak RSS {peak / MIB:.0f} MiB")
    assert peak <= 150 * MIB
