"""What all measured programs have in common: a job comes in, figures go out.

Only what every Python has is imported here, so that no program pays for another's imports.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

ACCESS_KEY_ID = "examplekeyid"
ACCESS_KEY_SECRET = "examplekeysecret"
REGION = "cn-hangzhou"
BUCKET = "examplebucket"


class Job(NamedTuple):
    """What to upload, and where to.

    Attributes:
        action: `large` for one file in parts, `small` for a folder of small files.
        variant: Which of its ways of working the program is to use.
        endpoint: URL of the sink.
        label: Of the table of digests; a large file goes under the key `<label>/large`, a small
            one under `<label>-<name>/small`.
        path: The file, or the folder of small files.
        scratch: A folder for checkpoints.
        ca_bundle: PEM file of the authority to trust, for HTTPS.
    """

    action: str
    variant: str
    endpoint: str
    label: str
    path: str
    part_size: int
    threads: int
    scratch: str
    ca_bundle: str

    @property
    def key(self) -> str:
        """The key of a large file."""
        return f"{self.label}/large"

    def small_files(self) -> list[tuple[str, str]]:
        """The small files: key and path of each."""
        names = sorted(os.listdir(self.path))
        return [(f"{self.label}-{name}/small", os.path.join(self.path, name)) for name in names]


def run(actions: Mapping[str, Callable[[Job], object]]) -> None:
    """Carry out the job that the command line holds, and print what it cost."""
    job = Job(**json.loads(sys.argv[1]))
    cpu, began = _cpu(), time.monotonic()
    actions[job.action](job)
    wall, cpu = time.monotonic() - began, _cpu() - cpu
    print(json.dumps({"upload_wall": wall, "upload_cpu": cpu, "peak_rss": _peak_rss()}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_rss() -> int:
    """The most memory that was resident, in bytes.

    What getrusage tells of a child includes what its parent had resident when it forked.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
