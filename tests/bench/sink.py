"""A server that takes uploads, counts them and keeps nothing: what is measured is the client.

    python -m tests.bench.sink CERTIFICATE

It speaks just enough OSS and S3, over HTTP and HTTPS, prints its two ports as JSON, and ends when
its standard input does. Nothing is hashed: it is told the digests of what will arrive.
"""

import json
import socket
import ssl
import sys
import threading

from tests.bench.messages import Request, drop_payload, read_body, read_head
from tests.bench.sink_store import Store
from tests.bench.streams import HungUpError, Wire

_HOST = "127.0.0.1"
_BACKLOG = 256
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def talk(sock: socket.socket, store: Store) -> None:
    """Answer the requests of one connection until the client hangs up."""
    wire = Wire(sock)
    while (request := read_head(wire)) is not None:
        if request.headers.get("expect", "").lower() == "100-continue":
            sock.sendall(_CONTINUE)
        sock.sendall(_answer(request, wire, store))


def _answer(request: Request, wire: Wire, store: Store) -> bytes:
    if request.is_control:
        return store.control(request, read_body(request, wire)).on_the_wire()
    payload, body = 0, b""
    if request.is_payload:
        payload = drop_payload(request, wire)
    else:
        body = read_body(request, wire)
    return store.answer(request, payload, body).on_the_wire(to_head=request.method == "HEAD")


def _welcome(sock: socket.socket, store: Store, tls: ssl.SSLContext | None) -> None:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with tls.wrap_socket(sock, server_side=True) if tls is not None else sock as peer:
            talk(peer, store)
    except (HungUpError, OSError) as error:
        # A client that is killed or gives up ends like this; that it failed, the client tells.
        sys.stderr.write(f"sink: {type(error).__name__}: {error}\n")


def _accept(listener: socket.socket, store: Store, tls: ssl.SSLContext | None) -> None:
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_welcome, args=(sock, store, tls), daemon=True).start()


def main(certificate: str) -> None:
    """Serve until the standard input ends."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    store, ports = Store(), []
    for context in (None, tls):
        listener = socket.create_server((_HOST, 0), backlog=_BACKLOG)
        ports.append(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, store, context), daemon=True).start()
    print(json.dumps({"http": ports[0], "https": ports[1]}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
