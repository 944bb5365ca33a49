"""The least that any Python program pays: threads that read, hash and send, and nothing else.

Variants:
    crc: each block is read, digested and sent; the answer's CRC-64 is compared.
    md5+crc twice: as a Content-MD5 goes out before the bytes, a part is read and digested block by
        block, and read again to be sent.
    md5+crc whole: a part is read as a whole, digested and sent from memory.
    none: blocks are read and sent.
"""

import hashlib
import os
import re
import socket
import ssl
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

import anycrc
from fastcrc import crc64

from tests.bench.clients.child import BUCKET, Job, run

_BLOCK = 256 * 1024
_CRC = re.compile(rb"x-oss-hash-crc64ecma: (\d+)")
_LENGTH = re.compile(rb"Content-Length: (\d+)")


class Connection:
    """A kept connection to the sink."""

    def __init__(self, job: Job) -> None:
        url = urlsplit(job.endpoint)
        self._host = url.netloc
        self._target = f"/{BUCKET}/{job.key}?"
        self._sock = socket.create_connection((url.hostname or "", url.port or 0))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if url.scheme == "https":
            trusted = ssl.create_default_context(cafile=job.ca_bundle)
            self._sock = trusted.wrap_socket(self._sock, server_hostname=url.hostname)

    def begin(self, method: str, query: str, size: int, headers: str = "") -> None:
        """Send the head of a request."""
        head = (
            f"{method} {self._target}{query} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Length: {size}\r\n{headers}\r\n"
        )
        self._sock.sendall(head.encode())

    def send(self, block: memoryview | bytes) -> None:
        """Send some of the body."""
        self._sock.sendall(block)

    def answer(self) -> tuple[bytes, bytes]:
        """Head and body of the answer, which must be a success."""
        answer = b""
        while (end := answer.find(b"\r\n\r\n") + 4) < 4:
            answer += self._more()
        head = answer[:end]
        size = int(_LENGTH.search(head)[1])  # type: ignore[index]
        while len(answer) < end + size:
            answer += self._more()
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(head.decode())
        return head, answer[end:]

    def _more(self) -> bytes:
        block = self._sock.recv(65536)
        if not block:
            raise ConnectionResetError
        return block


class Sender:
    """Sends the parts of a file from several threads."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._file = os.open(job.path, os.O_RDONLY)
        self._size = os.fstat(self._file).st_size
        count = -(-self._size // job.part_size)
        self._tasks = deque(range(1, count + 1))
        self._crcs: dict[int, int] = {}
        self._errors: list[Exception] = []

    def run(self) -> None:
        """Upload the file."""
        connection = Connection(self._job)
        connection.begin("POST", "uploads", 0)
        _, body = connection.answer()
        upload_id = body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
        threads = [
            threading.Thread(target=self._work, args=(upload_id,)) for _ in range(self._job.threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        self._complete(connection, upload_id)

    def _complete(self, connection: Connection, upload_id: str) -> None:
        rows = "".join(f"<Part><PartNumber>{n}</PartNumber></Part>" for n in sorted(self._crcs))
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        connection.begin("POST", f"uploadId={upload_id}", len(body))
        connection.send(body)
        head, _ = connection.answer()
        if self._job.variant != "none":
            model, whole = anycrc.Model("CRC64-XZ"), 0
            for number, crc in sorted(self._crcs.items()):
                whole = model.combine(whole, crc, self._extent(number)[1])
            _compare(head, whole)

    def _work(self, upload_id: str) -> None:
        try:
            connection = Connection(self._job)
            send = {
                "none": self._send_plain,
                "crc": self._send_with_crc,
                "md5+crc twice": self._send_read_twice,
                "md5+crc whole": self._send_held,
            }[self._job.variant]
            whole = self._job.variant == "md5+crc whole"
            buffer = memoryview(bytearray(self._job.part_size if whole else _BLOCK))
            while self._tasks:
                try:
                    number = self._tasks.popleft()
                except IndexError:  # another thread was quicker
                    return
                query = f"partNumber={number}&uploadId={upload_id}"
                self._crcs[number] = send(connection, query, self._extent(number), buffer)
        except Exception as error:  # noqa: BLE001 - raised again by the main thread
            self._errors.append(error)

    def _send_plain(
        self, connection: Connection, query: str, extent: tuple[int, int], buffer: memoryview
    ) -> int:
        connection.begin("PUT", query, extent[1])
        for block in self._blocks(extent, buffer):
            connection.send(block)
        connection.answer()
        return 0

    def _send_with_crc(
        self, connection: Connection, query: str, extent: tuple[int, int], buffer: memoryview
    ) -> int:
        crc = 0
        connection.begin("PUT", query, extent[1])
        for block in self._blocks(extent, buffer):
            crc = crc64.xz(block, crc)
            connection.send(block)
        return _compare(connection.answer()[0], crc)

    def _send_read_twice(
        self, connection: Connection, query: str, extent: tuple[int, int], buffer: memoryview
    ) -> int:
        crc, md5 = 0, hashlib.md5(usedforsecurity=False)
        for block in self._blocks(extent, buffer):
            crc = crc64.xz(block, crc)
            md5.update(block)
        connection.begin("PUT", query, extent[1], _announced(md5.digest()))
        for block in self._blocks(extent, buffer):
            connection.send(block)
        return _compare(connection.answer()[0], crc)

    def _send_held(
        self, connection: Connection, query: str, extent: tuple[int, int], buffer: memoryview
    ) -> int:
        crc, md5, filled = 0, hashlib.md5(usedforsecurity=False), 0
        for block in self._blocks(extent, buffer, whole=True):
            crc = crc64.xz(block, crc)
            md5.update(block)
            filled += len(block)
        connection.begin("PUT", query, extent[1], _announced(md5.digest()))
        connection.send(buffer[:filled])
        return _compare(connection.answer()[0], crc)

    def _extent(self, number: int) -> tuple[int, int]:
        offset = (number - 1) * self._job.part_size
        return offset, min(self._job.part_size, self._size - offset)

    def _blocks(
        self, extent: tuple[int, int], buffer: memoryview, *, whole: bool = False
    ) -> Iterator[memoryview]:
        """Read a part in blocks: each over the one before, or, as a whole, one behind the other."""
        offset, size = extent
        for done in range(0, size, _BLOCK):
            within = done if whole else 0
            block = buffer[within : within + min(_BLOCK, size - done)]
            if os.preadv(self._file, [block], offset + done) != len(block):
                raise EOFError(self._job.path)
            yield block


def _announced(md5: bytes) -> str:
    return f"Content-MD5: {b64encode(md5).decode()}\r\n"


def _compare(head: bytes, crc: int) -> int:
    told = _CRC.search(head)
    if told is None or int(told[1]) != crc:
        raise ValueError("another CRC-64")
    return crc


if __name__ == "__main__":
    run({"large": lambda job: Sender(job).run()})
