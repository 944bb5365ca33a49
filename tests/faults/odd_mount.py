"""A file system of one file whose stat never stands still, in FUSE's own protocol.

    python -m tests.faults.odd_mount FOLDER FILE mtime|inode|ctime

It needs root and /dev/fuse, and no library. FOLDER/NAME has the bytes of FILE. Its mtime or its
inode number alternates between two values, as replicated volumes and network file systems tell
them, or its ctime is the time of the call. It says `mounted`, and ends with SIGTERM.
"""

import ctypes
import errno
import os
import signal
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from subprocess import PIPE, Popen
from typing import NoReturn

import pytest

NAME = "odd.bin"
ODDITIES = ("mtime", "inode", "ctime")

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _RELEASE = 1, 2, 3, 14, 15, 18
_FLUSH, _INIT, _OPENDIR, _RELEASEDIR, _INTERRUPT, _BATCH_FORGET = 25, 26, 27, 29, 36, 42
_ROOT, _FILE = 1, 2
_LARGEST_REQUEST = 1 << 21
_SECONDS = 1_600_000_000
_STAMPS = (819_130_985, 821_105_924)


class OddFileSystem:
    """Answers the kernel's requests.

    Args:
        data: What the file holds.
        oddity: What does not stand still.
    """

    def __init__(self, data: bytes, oddity: str) -> None:
        self._data = data
        self._oddity = oddity
        self._looks = cycle((0, 1))
        opened = struct.pack("<Q2I", 1, 0, 0)
        features = struct.pack("<4I2H2I2H8I", 7, 31, 1 << 17, 0, 12, 9, 1 << 20, 1, *[0] * 10)
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            _INIT: lambda *_: features,
            _LOOKUP: self._lookup,
            _GETATTR: self._getattr,
            _READ: self._read,
            **dict.fromkeys((_OPEN, _OPENDIR), lambda *_: opened),
            **dict.fromkeys((_RELEASE, _FLUSH, _RELEASEDIR), lambda *_: b""),
        }

    def answer(self, operation: int, node: int, body: bytes) -> bytes | None:
        """The answer to a request; None if it gets none.

        Raises:
            OSError: the answer is an error.
        """
        if operation in (_FORGET, _INTERRUPT, _BATCH_FORGET):
            return None
        if operation == _LOOKUP and body.rstrip(b"\0") != NAME.encode():
            raise OSError(errno.ENOENT, "")
        if operation not in self._answers:
            raise OSError(errno.ENOSYS, "")
        return self._answers[operation](node, body)

    def _lookup(self, _node: int, _body: bytes) -> bytes:
        return struct.pack("<4Q2I", _FILE, 0, 0, 0, 0, 0) + self._attributes(_FILE)

    def _getattr(self, node: int, _body: bytes) -> bytes:
        return struct.pack("<Q2I", 0, 0, 0) + self._attributes(node)

    def _read(self, _node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return self._data[offset : offset + size]

    def _attributes(self, node: int) -> bytes:
        form, size = "<6Q10I", len(self._data)
        if node == _ROOT:
            mode = stat.S_IFDIR | 0o755
            return struct.pack(form, 1, *[0] * 8, mode, 2, 0, 0, 0, 4096, 0)
        odd = next(self._looks)
        inode = 7 + odd * (self._oddity == "inode")
        stamp = _STAMPS[odd * (self._oddity == "mtime")]
        changed = divmod(time.time_ns(), 10**9) if self._oddity == "ctime" else (_SECONDS, stamp)
        times = _SECONDS, _SECONDS, changed[0], 0, stamp, changed[1]
        mode = stat.S_IFREG | 0o644
        return struct.pack(form, inode, size, size // 512, *times, mode, 1, 0, 0, 0, 4096, 0)


def serve(folder: str, file: str, oddity: str) -> NoReturn:
    """Mount it and answer until SIGTERM comes."""
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"odd", os.fsencode(folder), b"fuse", 6, options):
        sys.exit(os.strerror(ctypes.get_errno()))

    def stop(*_: object) -> NoReturn:
        libc.umount2(os.fsencode(folder), 2)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    odd = OddFileSystem(Path(file).read_bytes(), oddity)
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    while True:
        request = os.read(device, _LARGEST_REQUEST)
        _, operation, number, node = struct.unpack_from("<IIQQ", request)
        try:
            data, error = odd.answer(operation, node, request[40:]), 0
        except OSError as failed:
            data, error = b"", failed.errno or errno.EIO
        if data is not None:
            with suppress(FileNotFoundError):  # whoever asked was interrupted
                os.write(device, struct.pack("<IiQ", 16 + len(data), -error, number) + data)


@contextmanager
def odd_mount(folder: Path, file: Path, oddity: str) -> Iterator[Path]:
    """The path of a file on such a file system; the test is skipped where it cannot be mounted."""
    if not os.path.exists("/dev/fuse") or os.geteuid() != 0:
        pytest.skip("only root mounts file systems, and needs /dev/fuse for it")
    folder.mkdir()
    command = [sys.executable, "-m", "tests.faults.odd_mount", str(folder), str(file), oddity]
    root = Path(__file__).parents[2]
    with Popen(command, cwd=root, stdout=PIPE, stderr=PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            assert served.stderr is not None
            if served.stdout.readline() != "mounted\n":
                pytest.skip(f"this machine does not let it be mounted: {served.stderr.read()}")
            yield folder / NAME
        finally:
            served.terminate()


if __name__ == "__main__":
    serve(*sys.argv[1:])
