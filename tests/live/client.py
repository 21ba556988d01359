"""What a client sees: the certificate a port shows, and the answer to a request."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509

GREETINGS: Mapping[str, tuple[tuple[bytes, bytes], ...]] = {
    "smtp": ((b"", b"220 "), (b"EHLO client.example\r\n", b"250 "), (b"STARTTLS\r\n", b"220 ")),
    "imap": ((b"", b"* OK"), (b"a STARTTLS\r\n", b"a OK")),
    "pop3": ((b"", b"+OK"), (b"STLS\r\n", b"+OK")),
    "sieve": ((b"", b"OK"), (b"STARTTLS\r\n", b"OK")),
}
"""For each protocol: what a client sends, and how the last line of the answer begins."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def leaf(
    port: int,
    name: str = "",
    *,
    starttls: str | None = None,
    trust: bytes | None = None,
    by: ssl.SSLContext | None = None,
) -> x509.Certificate:
    """Return the certificate that *port* shows to a client that asks for *name* (SNI).

    With *trust*, a root as PEM, chain and name must hold as well. *by* is a client of its own.
    Raise ssl.SSLError when the handshake fails, ConnectionError when the protocol is not as
    expected.
    """
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        secured(plain, name, starttls, by or context(trust)) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def names(certificate: x509.Certificate) -> frozenset[str]:
    """Return the host names of a certificate."""
    sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return frozenset(sans.value.get_values_for_type(x509.DNSName))


def get(
    port: int,
    host: str,
    path: str = "/",
    *,
    tls: bool = True,
    sni: str | None = None,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    trust: bytes | None = None,
) -> Reply:
    """Return the answer of *port* to one request for *host*; *sni* asks for another name.

    Redirects are not followed. *trust* as in ``leaf``.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.connect()
    try:
        if tls:
            name = host if sni is None else sni
            connection.sock = secured(connection.sock, name, None, context(trust))
        connection.request(method, path, body, {"Host": host, **(headers or {})})
        reply = connection.getresponse()
        fields = {key.lower(): value for key, value in reply.getheaders()}
        return Reply(reply.status, fields, reply.read())
    finally:
        connection.close()


def secured(
    plain: socket.socket, name: str, starttls: str | None, by: ssl.SSLContext | None
) -> ssl.SSLSocket:
    """Return *plain* with TLS on it, after the protocol's own greetings."""
    for question, answer in GREETINGS[starttls] if starttls else ():
        plain.sendall(question)
        expect(plain, answer)
    return (by or context(None)).wrap_socket(plain, server_hostname=name or None)


def expect(plain: socket.socket, answer: bytes) -> None:
    """Read lines until one begins with *answer*; raise ConnectionError when none does."""
    received = b""
    while not any(line.startswith(answer) for line in received.split(b"\r\n")[:-1]):
        part = plain.recv(4096)
        received += part
        if not part or len(received) > 65_536:
            raise ConnectionError(f"expected {answer!r}, got {received[:200]!r}")


def context(trust: bytes | None) -> ssl.SSLContext:
    """Return a client's context: one that trusts *trust* alone, or one that checks nothing."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust is None:
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
    else:
        client.load_verify_locations(cadata=trust.decode())
    return client
