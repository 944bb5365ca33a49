"""What carries a signed request to its endpoint and brings the answer back."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

import urllib3

from resumable.errors import ConnectionFailedError, ProtocolError
from resumable.oss.adapter import Adapter
from resumable.oss.authorities import context_for
from resumable.oss.cancellation import Cancellation
from resumable.oss.connections import BodyFailedError, Exchange
from resumable.oss.failures import TRANSPORT_EXCEPTIONS, translate_error
from resumable.oss.intermediaries import foreign_answer
from resumable.oss.messages import REQUEST_ID, Answer, WireRequest
from resumable.oss.proxies import Proxy

_log = logging.getLogger("resumable")
_MAX_ANSWER = 16 * 1024 * 1024
_READ_BLOCK = 256 * 1024
# What may be asked twice, even if the first time was heard.
_SAFE = ("GET", "HEAD")
# What no header carries: in a log it would look like lines, or steer a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]+")


class OpenAnswer:
    """An answer whose body is still on the wire.

    Attributes:
        status: The HTTP status.
        headers: The headers; their names are in lower case.
        size: Bytes of the body, if the head says.
    """

    def __init__(
        self, raw: urllib3.HTTPResponse, exchange: Exchange, cancellation: Cancellation
    ) -> None:
        self._raw = raw
        self._exchange = exchange
        self._cancellation = cancellation
        self.status = raw.status
        # Taken by name, a header that came several times is one.
        self.headers = {name.lower(): _as_text(raw.headers[name]) for name in raw.headers}
        self.size = raw.length_remaining

    def whole(self) -> Answer:
        """The answer with all of its body, which must be of a size that OSS gives.

        Raises:
            NetworkError: the body ends before the announced length.
            ProtocolError: it is larger.
        """
        size, blocks = self.size or 0, list[bytes]()
        with self._exchange.deadline():
            while size <= _MAX_ANSWER and (block := self._read()):
                blocks.append(block)
                size = max(size, sum(map(len, blocks)))
        if size > _MAX_ANSWER:
            raise ProtocolError(f"an answer of more than {_MAX_ANSWER} bytes")
        return Answer(self.status, self.headers, b"".join(blocks))

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes in, not decoded.

        Raises:
            NetworkError: it ends before the announced length.
        """
        while block := self._read():
            yield block

    def _read(self) -> bytes:
        try:
            with self._exchange.deadline():
                data = self._raw.read1(_READ_BLOCK, decode_content=False)
            self._exchange.check()
            return data
        except TRANSPORT_EXCEPTIONS as error:
            failure = translate_error(error, self._exchange, self._cancellation)
        raise failure from None


class Transport(Protocol):
    """What carries requests to an endpoint. Shared by threads."""

    def send(self, request: WireRequest, cancellation: Cancellation) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            NetworkError: there was no whole answer.
            ProtocolError: the answer is larger than any that OSS gives.
            TransferCancelledError: the request was cancelled.
        """
        ...

    def open(
        self, request: WireRequest, cancellation: Cancellation
    ) -> AbstractContextManager[OpenAnswer]:
        """Send a request and leave the answer's body to be read within the context.

        Raises:
            NetworkError: there was no answer.
            TransferCancelledError: the request was cancelled.
        """
        ...

    def close(self) -> None:
        """Close the connections that are idle."""
        ...


class RequestsTransport:
    """The transport on requests. Connections are kept open between requests.

    Args:
        connect_timeout: Seconds to wait for a connection.
        timeout: Seconds without a byte moving, in either direction, before a request fails.
        tls: Whether there are to be TLS connections. Without it no authority is trusted.
        trust: Path of a PEM file or a folder of the certificate authorities to trust, None for
            the usual ones; and which setting says so. Certificates are always verified.
        proxy: What all requests go through.
    """

    def __init__(
        self,
        connect_timeout: float,
        timeout: float,
        *,
        tls: bool,
        trust: tuple[str | None, str] = (None, ""),
        proxy: Proxy | None = None,
    ) -> None:
        self._timeouts = (connect_timeout, timeout)
        self._context = context_for(trust, tls=tls)
        self._proxy = proxy
        if proxy is not None:
            _log.info("requests go through the proxy %s, given by %s", proxy, proxy.setting)
        self._made = os.getpid(), Adapter(self._context, proxy)

    def _adapter(self) -> Adapter:
        """The connections of this process: with its parent's a child would get their answers."""
        owner, adapter = self._made
        if owner != os.getpid():
            self._made = _, adapter = os.getpid(), Adapter(self._context, self._proxy)
        return adapter

    def close(self) -> None:
        """Close the connections that are idle."""
        self._adapter().close()

    def send(self, request: WireRequest, cancellation: Cancellation) -> Answer:
        """Send a request and read the whole answer; raises as `Transport.send` does."""
        with self.open(request, cancellation) as answer:
            return answer.whole()

    @contextmanager
    def open(self, request: WireRequest, cancellation: Cancellation) -> Iterator[OpenAnswer]:
        """Send a request; raises as `Transport.open` does."""
        exchange = Exchange(request, self._timeouts[1])
        with cancellation.interruptible(exchange.abort):
            raw = self._start(exchange, cancellation)
            try:
                answer = OpenAnswer(raw, exchange, cancellation)
                if foreign := foreign_answer(request, answer, self._proxy):
                    raise foreign
                _log.debug(
                    "%s %s%s: %d, request id %s",
                    request.method,
                    request.origin,
                    request.target,
                    answer.status,
                    answer.headers.get(REQUEST_ID, "unknown"),
                )
                yield answer
            finally:
                exchange.detach()
                # A connection whose answer was read to its end is back in the pool by now.
                raw.close()

    def _start(self, exchange: Exchange, cancellation: Cancellation) -> urllib3.HTTPResponse:
        """Send a request and read the head of its answer."""
        adapter = self._adapter()
        try:
            return adapter.start(exchange, self._timeouts[0])
        except BodyFailedError as failed:
            failure: BaseException = failed.error
        except TRANSPORT_EXCEPTIONS as error:
            failure = translate_error(error, exchange, cancellation, self._proxy)
            if exchange.is_reused and not cancellation.is_broken:
                # What became of it while it was idle may have become of the others, too.
                adapter.close()
                lost = isinstance(failure, ConnectionFailedError) and not exchange.is_answered
                if lost and exchange.request.method in _SAFE:
                    exchange.is_reused = exchange.is_connected = False
                    return self._start(exchange, cancellation)
        except (KeyboardInterrupt, SystemExit) as stopped:
            failure = stopped.with_traceback(None)
        # Raised out here so that it does not carry the request, and with it the signature, along.
        raise failure from None


def _as_text(value: str) -> str:
    """A header's value as http.client read it, which takes every byte for latin-1."""
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode()
    return _CONTROL.sub(" ", value)
