"""Trust: the root certificates that programs on this machine know."""

from __future__ import annotations

import re
import ssl
import warnings
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from proxygen.host import files

LARGEST = 1024 * 1024
HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""How certificates are called in OpenSSL's folder (openssl-rehash(1))."""


def system_roots() -> tuple[x509.Certificate, ...]:
    """Return the roots that OpenSSL trusts here, without those that cannot be read.

    SSL_CERT_FILE and SSL_CERT_DIR say otherwise where, as for every program that uses it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    if not context.get_ca_certs():  # those of a folder come only when they are needed
        load_folder(context, ssl.get_default_verify_paths().capath)
    found: list[x509.Certificate] = []
    with warnings.catch_warnings(action="ignore"):
        for der in context.get_ca_certs(binary_form=True):
            with suppress(ValueError):
                found.append(x509.load_der_x509_certificate(der))
    return tuple(found)


def load_folder(context: ssl.SSLContext, folder: str | None) -> None:
    """Load the roots of a folder; those that cannot be read are left out."""
    for name in filter(HASHED.fullmatch, files.names(Path(folder)) if folder else ()):
        with suppress(OSError, ValueError):  # SSLError is one of the former
            held = files.read(Path(str(folder)) / name, LARGEST) or b""
            context.load_verify_locations(cadata=held.decode("ascii", "ignore"))
