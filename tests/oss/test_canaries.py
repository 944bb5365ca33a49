"""What the transport relies on in requests, urllib3 and http.client, one test for each behaviour.

If one of these fails after an update, the transport has to be looked at before the update is taken.
"""

import http.client
import queue
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.connection import is_connection_dropped

from tests.oss.conftest import Serve
from tests.oss.rawserver import Peer, RawServer, answer, answering


class Told(urllib3.connection.HTTPConnection):
    """A connection that notes which of its methods were called."""

    calls: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.calls = []
        made.append(self)
        super().__init__(*args, **kwargs)

    def connect(self) -> None:
        self.calls.append("connect")
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append("request")
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        self.calls.append(f"send {type(data).__name__}")
        super().send(data)

    def getresponse(self) -> Any:
        self.calls.append("getresponse")
        return super().getresponse()


made: list[Told] = []


class ToldPool(urllib3.HTTPConnectionPool):
    ConnectionCls = Told

    class QueueCls(queue.LifoQueue[Any]):
        """Another class than the pool's own."""


class Adapter(HTTPAdapter):
    hooks: list[str]

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self.hooks = []
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        super().init_poolmanager(*args, socket_options=options, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": ToldPool}

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        self.hooks.append("cert_verify")

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        self.hooks.append("key")
        return super().build_connection_pool_key_attributes(*args, **kwargs)

    def request_url(self, *args: Any, **kwargs: Any) -> str:
        self.hooks.append("request_url")
        return super().request_url(*args, **kwargs)

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        self.hooks.append("build_response")
        return super().build_response(req, resp)


@pytest.fixture
def adapter() -> Iterator[Adapter]:
    made.clear()
    with closing(Adapter(max_retries=0)) as opened:
        yield opened


def prepared(server: RawServer, body: Any = None, **headers: Any) -> requests.PreparedRequest:
    request = requests.PreparedRequest()
    request.method = "PUT" if body is not None else "GET"
    request.url = f"{server.endpoint}/k"
    request.headers = requests.structures.CaseInsensitiveDict(headers)
    request.body = body
    return request


def test_pool_makes_the_connections_and_the_queue_that_it_is_given(
    serve: Serve, adapter: Adapter
) -> None:
    server = serve(answering(answer(200)))
    adapter.send(prepared(server), stream=True).close()
    pool = adapter.poolmanager.connection_from_url(server.endpoint)
    assert isinstance(pool.pool, ToldPool.QueueCls)
    assert [type(connection) for connection in made] == [Told]
    assert made[0].socket_options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


def test_adapter_calls_its_public_hooks(serve: Serve, adapter: Adapter) -> None:
    adapter.send(prepared(serve(answering(answer(200)))), stream=True).close()
    assert adapter.hooks == ["key", "cert_verify", "request_url", "build_response"]


def test_connection_is_asked_for_by_public_methods(serve: Serve, adapter: Adapter) -> None:
    body = iter([memoryview(b"ab"), memoryview(b"c")])
    headers = {"Content-Length": "3"}
    adapter.send(prepared(serve(answering(answer(200))), body, **headers), stream=True).close()
    sends = ["send bytes", "send memoryview", "send memoryview"]
    assert [call for call in made[0].calls if call != "connect"] == [
        "request",
        *sends,
        "getresponse",
    ]


def test_header_that_is_bytes_is_sent_as_it_is(serve: Serve, adapter: Adapter) -> None:
    server = serve(answering(answer(200)))
    adapter.send(prepared(server, **{"x-name": "日本".encode()}), stream=True).close()
    assert server.requests[0].headers["x-name"].encode("latin-1").decode() == "日本"


def test_answer_is_asked_for_after_a_request_that_broke_off(
    serve: Serve, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Told.request

    def breaks_off(self: Told, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"body": None, "headers": {}, "chunked": False}
        request(self, *args, **kwargs)

    monkeypatch.setattr(Told, "request", breaks_off)
    found = adapter.send(prepared(serve(answering(answer(403))), b"x" * 100), stream=True)
    assert found.status_code == 403
    found.close()


def test_exception_that_is_none_of_the_network_s_passes_through(
    serve: Serve, adapter: Adapter
) -> None:
    class BodyError(Exception):
        pass

    def fails() -> Iterator[bytes]:
        yield b"a"
        raise BodyError

    headers = {"Content-Length": "2"}
    with pytest.raises(BodyError):
        adapter.send(prepared(serve(answering(answer(200))), fails(), **headers), stream=True)


def test_dropped_is_what_is_not_connected() -> None:
    class Never(Told):
        @property
        def is_connected(self) -> bool:
            return False

    assert is_connection_dropped(Never("127.0.0.1"))


def test_answer_can_be_read_after_the_socket_was_closed(serve: Serve) -> None:
    server = serve(answering(answer(200, b"content")))
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/")
    found = connection.getresponse()
    assert connection.sock is not None
    connection.sock.close()
    connection.sock = None
    assert found.read() == b"content"
    found.close()


def test_context_of_the_pool_manager_is_that_of_its_connections() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    manager = urllib3.PoolManager(ssl_context=context)
    pool = manager.connection_from_host("localhost", 1, scheme="https")
    assert pool.conn_kw["ssl_context"] is context
    assert vars(pool.ConnectionCls("localhost", **pool.conn_kw))["ssl_context"] is context


def cut_off(peer: Peer) -> None:
    peer.request()


def refuses_connect(peer: Peer) -> None:
    peer.head()
    peer.send(answer(407))


def too_many_headers(peer: Peer) -> None:
    peer.request()
    peer.send(answer(200, headers={f"a{number}": "b" for number in range(150)}))


def causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
        if isinstance(inner, BaseException):
            yield from causes(inner)


@pytest.mark.parametrize(
    ("script", "is_it"),
    [
        (cut_off, lambda cause: type(cause).__name__ == "RemoteDisconnected"),
        (too_many_headers, lambda cause: type(cause).__name__ == "HTTPException"),
    ],
)
def test_kind_of_a_failure_is_among_the_causes(
    serve: Serve, script: Callable[[Peer], None], is_it: Callable[[BaseException], bool]
) -> None:
    with closing(HTTPAdapter()) as plain, pytest.raises(requests.RequestException) as failed:
        plain.send(prepared(serve(script)), stream=True)
    assert any(map(is_it, causes(failed.value)))


def test_name_that_is_not_known_is_among_the_causes() -> None:
    request = requests.PreparedRequest()
    request.method, request.url = "GET", "http://k.invalid/"
    request.prepare_headers({})
    with closing(HTTPAdapter()) as plain, pytest.raises(requests.RequestException) as failed:
        plain.send(request)
    assert any(isinstance(cause, socket.gaierror) for cause in causes(failed.value))


def test_tunnel_that_is_refused_says_with_which_status(serve: Serve) -> None:
    proxy = serve(refuses_connect)
    request = requests.PreparedRequest()
    request.method, request.url = "GET", "https://oss.example.com/k"
    request.prepare_headers({})
    with closing(HTTPAdapter()) as plain, pytest.raises(requests.RequestException) as failed:
        plain.send(request, proxies={"https": proxy.endpoint})
    assert any("Tunnel connection failed: 407" in str(cause) for cause in causes(failed.value))
