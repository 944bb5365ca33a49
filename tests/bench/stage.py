"""Where uploads are measured: the sink, the sources, and whether all of it arrived."""

import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

from tests.bench.clients.child import Job
from tests.bench.digests import SourceDigests
from tests.bench.environment import OtherClients
from tests.bench.measuring import ROOT, BenchError, child_environment, own_python, run_program
from tests.bench.reading import digests_of, first_parts
from tests.bench.subjects import Subject

_CERTIFICATE = ROOT / "fixtures" / "keys" / "localhost.pem"
_PEM = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_BLOCK = 1024 * 1024
THREADS = 4


@dataclass(frozen=True, slots=True)
class Source:
    """A file to upload in parts of one size, or a folder of small files.

    `label` is what the sink knows its digests by. The digests are of each upload it takes.
    """

    label: str
    path: Path
    part_size: int
    digests: Mapping[str, SourceDigests]

    @property
    def size(self) -> int:
        """Bytes to upload in all."""
        return sum(digests.size for digests in self.digests.values())


class Sink:
    """A running sink."""

    def __init__(self) -> None:
        command = [own_python(), "-m", "tests.bench.sink", str(_CERTIFICATE)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            text=True,
        )
        assert self._process.stdout is not None
        self._ports = json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()

    def endpoint(self, *, tls: bool) -> str:
        """Its URL. Its certificate is of a name, not of an address."""
        return (
            f"https://localhost:{self._ports['https']}"
            if tls
            else f"http://127.0.0.1:{self._ports['http']}"
        )

    def learn(self, source: Source) -> None:
        """Tell it the digests of what will arrive."""
        for key, digests in source.digests.items():
            label = key.partition("/")[0]
            self._ask("PUT", f"/-/digests/{quote(label)}", json.dumps(digests.as_json()))

    def refuse(self, key: str, number: int) -> None:
        """Let it refuse a part once."""
        self._ask("PUT", f"/-/refuse/{quote(key)}?part={number}", "")

    def forget_counts(self, key: str) -> None:
        """Let it count anew for a key, and keep the parts that it has."""
        self._ask("PUT", f"/-/recount/{quote(key)}", "")

    def arrived(self, key: str) -> dict[str, Any]:
        """What came for a key since this was asked last."""
        told: dict[str, Any] = json.loads(self._ask("GET", f"/-/arrived/{quote(key)}", ""))
        return told

    def _ask(self, method: str, target: str, body: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._ports["http"], timeout=60)
        try:
            connection.request(method, target, body.encode())
            answer = connection.getresponse()
            if answer.status != 200:
                raise BenchError(f"the sink: {answer.status} to {method} {target}")
            return answer.read()
        finally:
            connection.close()


class Stage:
    """A sink, a folder of sources, and the programs to run.

    Args:
        folder: Where sources and checkpoints go.
        others: The environments of the other clients.
    """

    def __init__(self, folder: Path, others: OtherClients) -> None:
        self.folder = folder
        self.others = others
        self.sink = Sink()
        self._authority = folder / "authority.pem"
        # Not every client takes a file that holds the key as well.
        found = _PEM.search(_CERTIFICATE.read_text(encoding="ascii"))
        assert found is not None
        self._authority.write_text(found[0] + "\n", encoding="ascii")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sink.close()

    def file(self, name: str, size: int) -> Path:
        """A file of random bytes, in the page cache."""
        path = self.folder / name
        with path.open("wb") as file:
            for done in range(0, size, _BLOCK):
                file.write(os.urandom(min(_BLOCK, size - done)))
            _write_back(file)
        return path

    def source(self, path: Path, part_size: int, digests: SourceDigests | None = None) -> Source:
        """A file as a source in parts of this size, which the sink knows from now on."""
        label = f"{path.name}-{part_size}"
        known = digests or digests_of(path, part_size)
        made = Source(label, path, part_size, {f"{label}/large": known})
        self.sink.learn(made)
        return made

    def beginning_of(self, source: Source, parts: int) -> Source:
        """The first parts of a source as a source of its own."""
        digests = first_parts(source.digests[f"{source.label}/large"], parts)
        path = self.folder / f"first-{parts}"
        shutil.copyfile(source.path, path)
        with path.open("r+b") as file:
            file.truncate(digests.size)
            _write_back(file)
        return self.source(path, source.part_size, digests)

    def small_files(self, count: int, size: int) -> Source:
        """A folder of small files."""
        folder = self.folder / "small"
        folder.mkdir()
        paths = [self.file(f"small/{number:05}", size) for number in range(count)]
        digests = {f"small-{path.name}/small": digests_of(path, size) for path in paths}
        made = Source("small", folder, size, digests)
        self.sink.learn(made)
        return made

    def missing(self, subject: Subject) -> str:
        """Why a subject cannot be measured; an empty string if it can."""
        return self.others.missing(subject.package) if subject.package else ""

    def upload(
        self, subject: Subject, source: Source, *, tls: bool = False, action: str = "large"
    ) -> dict[str, float]:
        """Upload a source as a whole; what it cost.

        Raises:
            BenchError: it failed, or not everything arrived exactly once.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            try:
                figures = self.run(subject, source, scratch, tls=tls, action=action)
            finally:
                arrived = {key: self.sink.arrived(key) for key in source.digests}
        requests = 0
        for key, digests in source.digests.items():
            came = arrived[key]
            expected = [[number, part.size] for number, part in enumerate(digests.parts, start=1)]
            if came["payload"] != digests.size or came["object_parts"] != expected:
                raise BenchError(
                    f"{subject.name}: {came['payload']} bytes arrived for {key} in "
                    f"{len(came['object_parts'])} parts, not {digests.size} in {len(expected)}"
                )
            requests += sum(came["requests"].values())
        files = len(source.digests)
        return {**figures, "bytes": source.size, "files": files, "requests": requests}

    def resume(self, subject: Subject, source: Source) -> dict[str, float]:
        """Upload a source of which all parts but the last are there; what only that cost.

        Raises:
            BenchError: it failed, or more than the missing part was sent.
        """
        (key,), (digests,) = source.digests, source.digests.values()
        last = digests.parts[-1]
        self.sink.refuse(key, len(digests.parts))
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            try:
                # One after another: of several at once, some may not have begun when one fails.
                self.run(subject, source, scratch, threads=1)
            except BenchError:
                self.sink.forget_counts(key)
            else:
                raise BenchError(f"{subject.name}: a part was refused, and it did not fail")
            figures = self.run(subject, source, scratch)
        came = self.sink.arrived(key)
        if came["payload"] != last.size or len(came["object_parts"]) != len(digests.parts):
            raise BenchError(f"{subject.name}: {came['payload']} bytes sent again, not {last.size}")
        return {**figures, "bytes": last.size, "requests": sum(came["requests"].values())}

    def run(
        self,
        subject: Subject,
        source: Source,
        scratch: str,
        *,
        tls: bool = False,
        action: str = "large",
        threads: int = THREADS,
    ) -> dict[str, float]:
        """Run a subject's program once."""
        authority = str(self._authority) if tls else ""
        job = Job(
            action=action,
            variant=subject.variant,
            endpoint=self.sink.endpoint(tls=tls),
            label=source.label,
            path=str(source.path),
            part_size=source.part_size,
            threads=threads,
            scratch=scratch,
            ca_bundle=authority,
        )
        python = self.others.python(subject.package) if subject.package else own_python()
        program = f"tests.bench.clients.{subject.program}"
        command = [python, "-m", program, json.dumps(job._asdict())]
        return run_program(command, child_environment(Path(scratch), authority))


def _write_back(file: BinaryIO) -> None:
    """Let a file reach the disk now: later it would disturb the first runs."""
    file.flush()
    os.fsync(file.fileno())
