"""Which certificate authorities TLS trusts. Certificates are always verified."""

import os
import ssl
from functools import cache

import certifi

from resumable.errors import InvalidArgumentError, LocalFileError


def context_for(trust: tuple[str | None, str], *, tls: bool) -> ssl.SSLContext:
    """The context of all TLS connections of a bucket.

    Args:
        trust: Path of a PEM file or a folder of authorities, None for those of certifi; and which
            setting says so.
        tls: Whether there are to be such connections. Without it no authority is trusted.

    Raises:
        InvalidArgumentError: what is to be trusted cannot be read.
    """
    path, setting = trust
    if not tls and (path is None or setting != "ca_bundle"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return usual_context() if path is None else _context_of(path, setting)


def _context_of(path: str, setting: str) -> ssl.SSLContext:
    try:
        return _trusting(path)
    except OSError as error:  # an SSLError is one, too
        raise InvalidArgumentError(
            f"the certificate authorities in {path!r} ({setting}) cannot be used: "
            f"{error.strerror or error}"
        ) from None


@cache
def usual_context() -> ssl.SSLContext:
    """The context that trusts the authorities of certifi."""
    path = certifi.where()
    try:
        return _trusting(path)
    except OSError as error:
        raise LocalFileError.of(error, "reading", path) from None


def _trusting(path: str) -> ssl.SSLContext:
    # Not the default context, which heeds SSLKEYLOGFILE, and has other rules in each Python.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if os.path.isdir(path):  # read as certificates are verified, from whatever working folder
        context.load_verify_locations(capath=os.path.join(os.getcwd(), path))
    else:
        context.load_verify_locations(cafile=path)
    # A name stands among the alternative ones of a certificate, as RFC 9110 has it.
    context.hostname_checks_common_name = False
    return context
