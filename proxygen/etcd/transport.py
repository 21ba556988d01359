"""Transport: one exchange with one member, bounded in octets and time."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)

from proxygen.errors import UsageError
from proxygen.etcd.answers import LARGEST_ANSWER
from proxygen.host import files
from proxygen.host.connection import Timed, TimedTls, TooMuch, connect

LARGEST_EXCHANGE = LARGEST_ANSWER + 256 * 1024
"""With the head and the signs between chunks."""
IDLE = 4
"""Connections to a member that are kept."""
FAILED = (HTTPError, OSError, ValueError, TooMuch)
"""What an exchange that had no usable answer ends with."""


@dataclass(frozen=True, slots=True)
class EtcdPatience:
    """How long is waited, in seconds.

    *connect*: for a connection with TLS. *answer*: for one member's answer, connecting included.
    *all*: for the answer of any member. *silent*: how long a watch may bring nothing.
    """

    connect: float = 3
    answer: float = 6
    all: float = 15
    silent: float = 15


@dataclass(frozen=True, slots=True)
class EtcdAccess:
    """Where the members are, *endpoints* as ``https://HOST:PORT``, and as who they are asked."""

    endpoints: tuple[str, ...]
    context: ssl.SSLContext | None = field(default=None, repr=False)
    user: str = ""
    password: bytes = field(default=b"", repr=False)
    patience: EtcdPatience = EtcdPatience()


@dataclass(frozen=True, slots=True)
class MemberAnswer:
    """What a member answered."""

    status: int
    body: bytes = field(repr=False)


def tls_context(authority: bytes, certificate: bytes = b"", key: bytes = b"") -> ssl.SSLContext:
    """Return a context that trusts that authority alone, and shows a client certificate.

    Raise UsageError for a certificate that etcd's gateway would refuse, ValueError for what is
    none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TimedTls
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=authority.decode("ascii"))
        if certificate:
            require_nameless(x509.load_pem_x509_certificate(certificate))
            files.show_certificate(context, certificate, key)
    except ssl.SSLError as error:
        raise ValueError(error.reason or "not a certificate with its key") from error
    return context


def require_nameless(certificate: x509.Certificate) -> None:
    """Raise UsageError for a client certificate with a common name.

    With users, the gateway refuses each request that comes with one (etcd takes its name for a
    user, and cannot tell whose request the gateway passes on).
    """
    if names := common_names(certificate):
        raise UsageError(
            f"the client certificate for etcd has the common name {names[0]!r},"
            " with which etcd refuses every request",
            remedy="have one made with subject alternative names and without a common name",
        )


def common_names(certificate: x509.Certificate) -> list[str]:
    """Return the common names of a certificate's subject."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [str(each.value) for each in found]


class Member:
    """One member of a cluster; many threads share its connections."""

    def __init__(self, url: str, access: EtcdAccess) -> None:
        place = urlsplit(url)
        self.url = url
        self.host, self.port = place.hostname or "", place.port or 2379
        self.access = access
        self.tls = place.scheme == "https"
        options: dict[str, Any] = {"maxsize": IDLE, "retries": False}
        if self.tls:
            options["ssl_context"] = access.context
        pool = HttpsPool if self.tls else HttpPool
        self.pool: urllib3.HTTPConnectionPool = pool(self.host, self.port, **options)

    def send(self, path: str, body: bytes, token: str, seconds: float) -> MemberAnswer:
        """Return the answer to one request; raise one of FAILED if there is none in time."""
        timeout = urllib3.Timeout(connect=min(self.access.patience.connect, seconds), total=seconds)
        response = self.pool.urlopen(
            "POST",
            path,
            body=body,
            headers=headers_with(token),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=timeout,
        )
        try:
            found = MemberAnswer(response.status, whole_body(response))
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return found

    def stream(self, path: str, body: bytes, token: str) -> Stream:
        """Return an answer that has no end, on a connection of its own; raise one of FAILED."""
        seconds = self.access.patience.answer
        made: HTTPConnection
        if self.tls:
            made = Https(self.host, self.port, timeout=seconds, ssl_context=self.access.context)
        else:
            made = Http(self.host, self.port, timeout=seconds)
        try:
            made.connect()
            made.request(
                "POST", path, body, headers_with(token), preload_content=False, decode_content=False
            )
            return Stream(made, made.sock, made.getresponse())
        except BaseException:
            made.close()
            raise

    def certificate_flaws(self) -> Iterator[str]:
        """Yield what is wrong with the member's certificate for what etcd does with it."""
        shown = self.shown_certificate()
        if shown is None:
            return
        if self.access.user in common_names(shown):
            yield (
                f"the certificate of {self.url} has the common name of the user"
                f" {self.access.user!r}: whoever reaches it needs no password"
            )
        usage = extended_usage(shown)
        if usage is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
            yield (
                f"the certificate of {self.url} is not for clients (clientAuth), which its"
                " gateway needs beside serverAuth"
            )

    def shown_certificate(self) -> x509.Certificate | None:
        """Return the certificate that the member shows, None where it shows none in time."""
        if not self.tls:
            return None
        made = Https(
            self.host,
            self.port,
            timeout=self.access.patience.connect,
            ssl_context=self.access.context,
        )
        try:
            made.connect()
            found = made.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]
            return x509.load_der_x509_certificate(found) if found else None
        except FAILED:
            return None
        finally:
            made.close()


def extended_usage(certificate: x509.Certificate) -> x509.ExtendedKeyUsage | None:
    """Return what a certificate is for, None if it does not say."""
    try:
        return certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return None


class Stream:
    """An answer that goes on until one side ends it: a JSON object a line."""

    def __init__(self, made: HTTPConnection, sock: Any, response: Any) -> None:
        self.made, self.sock, self.response = made, sock, response
        self.status: int = response.status
        self.rest = bytearray()

    def line(self, seconds: float) -> bytes:
        """Return the next line, within *seconds*; raise one of FAILED, EOFError at the end."""
        self.sock.settimeout(seconds)
        while b"\n" not in self.rest:
            if len(self.rest) > LARGEST_ANSWER:
                raise TooMuch(f"a line of more than {LARGEST_ANSWER} octets")
            if not (piece := self.response.read1(65536, decode_content=False)):
                raise EOFError
            self.rest += piece
        line, _, rest = self.rest.partition(b"\n")
        self.rest = rest
        return bytes(line)

    def body(self, seconds: float) -> bytes:
        """Return all that comes until the other side ends, as it does after a refusal."""
        self.sock.settimeout(seconds)
        return whole_body(self.response)

    def cut(self) -> None:
        """End it at once, whoever reads from it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the connection back to the system."""
        self.cut()
        self.response.close()
        self.made.close()


def headers_with(token: str) -> dict[str, str]:
    """Return the headers of a request."""
    headers = {"Content-Type": "application/json"}
    return headers | ({"Authorization": token} if token else {})


def whole_body(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the complete body; raise TooMuch if it is too large."""
    body = bytearray()
    while piece := response.read1(65536, decode_content=False):
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise TooMuch(f"more than {LARGEST_ANSWER} octets")
    return bytes(body)


class Http(HTTPConnection):
    """A connection whose time limit is one for all of a request."""

    def _new_conn(self) -> socket.socket:
        """Return a connection to the member."""
        return opened(self)

    def request(self, *arguments: Any, **more: Any) -> None:
        """Send a request: its time begins, also on a connection that was used before."""
        begin_exchange(self)
        super().request(*arguments, **more)


class Https(HTTPSConnection):
    """The same with TLS."""

    def _new_conn(self) -> socket.socket:
        """Return a connection to the member."""
        return opened(self)

    def connect(self) -> None:
        """Connect; what takes too long is no connection, whichever part of it that is."""
        try:
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error

    def request(self, *arguments: Any, **more: Any) -> None:
        """Send a request: its time begins, also on a connection that was used before."""
        begin_exchange(self)
        super().request(*arguments, **more)


class HttpPool(urllib3.HTTPConnectionPool):
    """Connections to a member."""

    ConnectionCls = Http


class HttpsPool(urllib3.HTTPSConnectionPool):
    """Connections to a member by TLS."""

    ConnectionCls = Https


def begin_exchange(made: HTTPConnection) -> None:
    """Have the time and the octets of an exchange begin."""
    if isinstance(made.sock, Timed):
        made.sock.most = LARGEST_EXCHANGE
        made.sock.settimeout(made.timeout)


def opened(made: HTTPConnection) -> socket.socket:
    """Return a connection to where *made* is to lead."""
    host = made._dns_host
    try:
        return connect(host.strip("[]"), made.port or 0, float(made.timeout or 0))
    except socket.gaierror as error:
        raise NameResolutionError(host, made, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(made, "no connection in time") from error
    except OSError as error:
        raise NewConnectionError(made, error.strerror or str(error)) from error
