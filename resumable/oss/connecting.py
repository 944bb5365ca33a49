"""A connection that chooses among the addresses of its host, by public hooks of urllib3 only.

An address is put in the place of the name for as long as a connection is made; TLS still verifies
the name.
"""

import selectors
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import urllib3

from resumable.oss.addresses import Addresses, is_address, look_up

# What is known of the addresses of hosts is true for the whole process.
_addresses = Addresses(
    refused=(urllib3.exceptions.NewConnectionError,),
    timed_out=(urllib3.exceptions.ConnectTimeoutError, TimeoutError),
)


class ResolvingConnection(urllib3.connection.HTTPConnection):
    """Connects to the first address of its host that works, and remembers those that do not.

    Attributes:
        looks_up_names: Whether names are looked up here: not where a proxy does it.
    """

    looks_up_names = True

    def connect(self) -> None:
        """Connect; all attempts together take as long as the timeout to connect."""
        host, timeout = self.host, self.timeout
        # A proxy that is spoken to over TLS is verified by the name that is connected to.
        is_tls_proxy = self.proxy is not None and self.proxy.scheme == "https"
        if timeout is None or not self.looks_up_names or is_tls_proxy or is_address(host):
            super().connect()
            return
        try:
            addresses = look_up(host, self.port)
        except UnicodeError as error:
            unknown = socket.gaierror(socket.EAI_NONAME, "the name cannot be one")
            raise urllib3.exceptions.NameResolutionError(host, self, unknown) from error
        except socket.gaierror as error:
            # For want of a descriptor, too, the name is just not known: taking one tells.
            selectors.DefaultSelector().close()
            raise urllib3.exceptions.NameResolutionError(host, self, error) from error
        attempt = self._attempt(super().connect, timeout)
        try:
            with self.verifying(host):
                _addresses.connect(addresses, self.port, timeout, attempt)
        finally:
            self.host, self.timeout = host, timeout

    def verifying(self, host: str) -> AbstractContextManager[None]:  # noqa: ARG002 - for TLS
        """A context in which TLS verifies this name, whatever is connected to."""
        return nullcontext()

    def _attempt(self, connect: Callable[[], None], timeout: float) -> Callable[[str, float], None]:
        def attempt(address: str, seconds: float) -> None:
            self.host, self.timeout = address, seconds
            try:
                connect()
            except Exception:
                # Not by close(), which would forget the tunnel that is to be made.
                if self.sock is not None:
                    self.sock.close()
                    self.sock = None
                raise
            self.sock.settimeout(timeout)

        return attempt
