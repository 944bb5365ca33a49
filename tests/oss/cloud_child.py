"""An upload with credentials of Alibaba Cloud's services, in a network where these are local.

    unshare -n -m sh tests/oss/cloud_network.sh PYTHON -m tests.oss.cloud_child FOLDER JSON

The metadata service of ECS is at its own address here, and STS at its own name, with a certificate.
Printed is what came of it, as JSON. What JSON says:

- `bucket`: arguments of Bucket; `command`: of the command line, instead.
- `refuse`: operations that are refused once with SecurityTokenExpired.
- `broken`: services that fail; `sts once later`: at the second question.
- `lives`: seconds until the end of each key, the last one also of all that follow.
- `parts`: of the file; `stall`: seconds that each takes.
- `proxy`: the login at a proxy, which is given by `proxy=`.
"""

import json
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import certifi

KEYS = Path(__file__).parents[2] / "fixtures" / "keys"
certifi.where = lambda: str(KEYS / "sts.pem")  # before requests reads where it is

from resumable import Bucket, ResumableError, RetryPolicy, upload_file  # noqa: E402
from resumable.server import AccessKey, LocalServer  # noqa: E402
from tests.oss.proxyserver import HttpProxy  # noqa: E402

COMMAND_LINE = f"""
import sys, certifi
certifi.where = lambda: {str(KEYS / "sts.pem")!r}
from resumable.__main__ import main
sys.exit(main())
"""
PART = 102_400
METADATA = "/latest/meta-data/ram/security-credentials/"
_LIVES = [3600.0]


class Issuer:
    """Makes temporary keys, each another one, and knows who asked for them and how."""

    def __init__(self, broken: list[str], lives: list[float]) -> None:
        self.broken = broken
        self.asked: list[str] = []
        self._numbers = count(1)
        # In whole seconds, as services tell it.
        self._ends = [int(time.time() + life) + 1 for life in lives]

    def key(self) -> dict[str, str]:
        number = next(self._numbers)
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._end(number)))
        return {
            "AccessKeyId": f"STS.{number}",
            "AccessKeySecret": f"secret{number}",
            "SecurityToken": f"token{number}",
            "Expiration": ends,
        }

    def access_keys(self) -> dict[str, AccessKey]:
        return {
            f"STS.{n}": AccessKey(f"secret{n}", f"token{n}", self._end(n)) for n in range(1, 200)
        }

    def fails(self, service: str) -> bool:
        """Whether a service is to fail now: always, or (`once later`) at the second question."""
        is_second = len(self.asked) == 2
        return service in self.broken or (is_second and f"{service} once later" in self.broken)

    def _end(self, number: int) -> int:
        return self._ends[min(number, len(self._ends)) - 1]


class Handler(BaseHTTPRequestHandler):
    """Metadata, STS and a service of one's own, by what is asked for."""

    issuer: Issuer

    def do_PUT(self) -> None:
        self._answer(200, "metadata-token" if self.path == "/latest/api/token" else "")

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.startswith(METADATA):
            self._metadata(url.path.removeprefix(METADATA))
        elif url.path == "/credentials":
            self.issuer.asked.append("service")
            self._answer(200, json.dumps({"Code": "Success", **self.issuer.key()}))
        else:
            self._sts(parse_qs(url.query))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self._sts(parse_qs(urlsplit(self.path).query) | parse_qs(body))

    def _metadata(self, role: str) -> None:
        version = "v2" if self.headers.get("X-aliyun-ecs-metadata-token") else "v1"
        self.issuer.asked.append(f"metadata {version} {role}".strip())
        if self.issuer.fails("metadata"):
            self._answer(404, "not found")
        elif role:
            self._answer(200, json.dumps({"Code": "Success", **self.issuer.key()}))
        else:
            self._answer(200, "machine-role")

    def _sts(self, asked: dict[str, list[str]]) -> None:
        action, role = asked["Action"][0], asked["RoleArn"][0]
        who = asked.get("OIDCToken", asked.get("AccessKeyId", ["?"]))[0].strip()
        self.issuer.asked.append(f"{action} {role} {who}")
        if self.issuer.fails("sts"):
            told = {"Code": "NoPermission", "Message": "no", "AccessKeySecret": "secret0"}
            self._answer(403, json.dumps(told))
        else:
            self._answer(200, json.dumps({"Credentials": self.issuer.key()}))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: standard error is what the test reads."""


def serve(issuer: Issuer, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
    handler = type("OfIssuer", (Handler,), {"issuer": issuer})
    server = ThreadingHTTPServer((host, port), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(folder: Path, wanted: dict[str, Any]) -> None:
    issuer = Issuer(wanted.get("broken", []), wanted.get("lives", _LIVES))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(KEYS / "sts.pem")
    serve(issuer, "100.100.100.200", 80)
    serve(issuer, "127.0.0.1", 443, tls)
    file = folder / "file.bin"
    file.write_bytes(bytes(range(256)) * 400 * wanted.get("parts", 6))
    told: dict[str, Any] = {"error": None}
    with LocalServer(folder / "oss", access_keys=issuer.access_keys()) as server:
        for operation in wanted.get("refuse", []):
            expired = {"status": 403, "code": "SecurityTokenExpired"}
            server.faults.add({"operation": operation, "skip": 2, "times": 1, "effect": expired})
        if "stall" in wanted:
            server.faults.add(
                {
                    "operation": "UploadPart",
                    "times": None,
                    "effect": {"stall_answer": wanted["stall"]},
                }
            )
        proxy = HttpProxy(login=unquote(wanted["proxy"])) if "proxy" in wanted else None
        if proxy is not None:
            wanted["bucket"]["proxy"] = proxy.url(wanted["proxy"])
        if "command" in wanted:
            command = [sys.executable, "-c", COMMAND_LINE, *wanted["command"], "--endpoint"]
            command += [server.endpoint, str(file), "oss://examplebucket/k"]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            told["error"], told["code"] = ran.stderr, ran.returncode
        else:
            told |= upload(server.endpoint, file, wanted["bucket"])
        told["proxied"] = [asked.target for asked in proxy.asked] if proxy is not None else []
        told["operations"] = [exchange.operation for exchange in server.log]
        told["refused"] = sum(exchange.status == 403 for exchange in server.log)
    print(json.dumps(told | {"asked": issuer.asked}))


def upload(endpoint: str, file: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    policy = RetryPolicy(attempts=2, base=0.01)
    try:
        with Bucket("examplebucket", **{"endpoint": endpoint, "retry": policy, **arguments}) as b:
            return {"size": upload_file(b, "k", str(file), part_size=PART).size}
    except ResumableError as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
