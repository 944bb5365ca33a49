"""Who is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """A way of uploading.

    Attributes:
        name: As the tables call it.
        program: The module of `tests.bench.clients` that does it.
        variant: Which of the program's ways.
        package: What is installed for it, into an environment of its own; empty for those that
            run in this one's.
    """

    name: str
    program: str
    variant: str = ""
    package: str = ""


OURS = Subject("resumable", "with_resumable", "md5+crc")
OURS_CRC = Subject("resumable, CRC-64 only", "with_resumable", "crc")
OSS2 = Subject("oss2", "with_oss2", package="oss2")
OSS_V2 = Subject("alibabacloud-oss-v2", "with_oss_v2", package="alibabacloud-oss-v2")
BOTO3 = Subject("boto3", "with_boto3", package="boto3[crt]")
BOTO3_CRT = Subject("boto3 with the CRT", "with_boto3_crt", package="boto3[crt]")
FLOOR_TWICE = Subject("floor: MD5 + CRC-64, read twice", "floor", "md5+crc twice")
FLOOR_WHOLE = Subject("floor: MD5 + CRC-64, read whole", "floor", "md5+crc whole")
FLOOR_CRC = Subject("floor: CRC-64", "floor", "crc")
FLOOR_NONE = Subject("floor: no checks", "floor", "none")

CLIENTS = (OURS_CRC, OURS, OSS2, OSS_V2, BOTO3, BOTO3_CRT)
FLOORS = (FLOOR_NONE, FLOOR_CRC, FLOOR_TWICE, FLOOR_WHOLE)
