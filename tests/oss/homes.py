"""Home folders with the configuration files of other programs in them."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """A home folder, into which the files of other programs are put."""

    folder: Path

    def ossutil(self, text: str) -> Path:
        return self._put(self.folder / ".ossutilconfig", text.encode())

    def aliyun(self, content: object) -> Path:
        return self._put(self.folder / ".aliyun" / "config.json", json.dumps(content).encode())

    def sdk(self, text: str) -> Path:
        """The file of the SDKs of Alibaba Cloud."""
        return self._put(self.folder / ".alibabacloud" / "credentials.ini", text.encode())

    def profile(self, **values: object) -> Path:
        """The configuration of the Alibaba Cloud CLI with this one profile."""
        named = {"name": "default", **values}
        return self.aliyun({"current": named["name"], "profiles": [named]})

    def _put(self, path: Path, content: bytes) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
        return path
