"""A local server that speaks the Alibaba Cloud OSS REST protocol, for trying and testing.

It shares no code with the client: it is an independent reading of the protocol.
"""

from resumable.server.access import (
    DEFAULT_ACCESS_KEY_ID,
    DEFAULT_ACCESS_KEY_SECRET,
    AccessKey,
)
from resumable.server.faults import Fault, Faults
from resumable.server.log import Exchange, ExchangeLog
from resumable.server.server import LocalServer, serve
from resumable.server.store import RootInUseError

__all__ = [
    "DEFAULT_ACCESS_KEY_ID",
    "DEFAULT_ACCESS_KEY_SECRET",
    "AccessKey",
    "Exchange",
    "ExchangeLog",
    "Fault",
    "Faults",
    "LocalServer",
    "RootInUseError",
    "serve",
]
