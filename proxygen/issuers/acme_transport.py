"""HTTPS to an ACME authority: trusted roots, bounded answers, time limits, Retry-After."""

from __future__ import annotations

import copy
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from proxygen import __version__
from proxygen.errors import IssueFailed
from proxygen.issuers.acme_answers import printable

LARGEST_ANSWER = 1024 * 1024
DOWN = (ConnectTimeoutError, NewConnectionError, ProxyError, ReadTimeoutError, SSLError)
"""Failures that the next request would meet as well."""
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(days=1)
LONGEST_REFUSAL = timedelta(days=8)
"""Of a request that was refused: limits count a week, and say when it is over."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds.

    *connect*, *read*: for a connection, and for each piece of an answer; *answer*: for all of
    it. *down*: how long an authority that could not be reached is left alone. *first_pause*
    doubles at each look at an order up to *longest_pause*. *order*: for all of one order.
    """

    connect: float = 10
    read: float = 30
    answer: float = 60
    down: float = 60
    first_pause: float = 0.1
    longest_pause: float = 10
    order: float = 600


@dataclass(frozen=True, slots=True)
class Answer:
    """What the authority answered; *retry_at* is when it asks to come again, if it does."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    retry_at: datetime | None


class Transport:
    """Sends requests to one authority; many threads share it and its connections."""

    def __init__(
        self, roots: Iterable[Path], connections: int, now: Callable[[], datetime], pace: Pace
    ) -> None:
        self.roots = tuple(roots)
        self.connections = connections
        self.now = now
        self.pace = pace
        self.pools: dict[str | None, urllib3.PoolManager] = {}
        self.lock = threading.Lock()
        self.down: tuple[float, IssueFailed] | None = None

    def send(self, method: str, url: str, body: bytes | None = None) -> Answer:
        """Return the answer to one request; raise IssueFailed when there is none.

        While the authority is down nobody waits for it again.
        """
        down = self.down  # once, as other threads change it
        if down and time.monotonic() < down[0]:
            raise copy.copy(down[1])
        try:
            answer = self.exchange(method, url, body)
        except (HTTPError, OSError, ValueError) as error:
            raise self.unreached(url, error) from error
        self.down = None
        return answer

    def exchange(self, method: str, url: str, body: bytes | None) -> Answer:
        """Send one request and read the bounded answer. Redirects are answers like others."""
        headers = {"User-Agent": f"proxygen/{__version__}"}
        if body is not None:
            headers["Content-Type"] = "application/jose+json"
        response = self.pool(url).request(
            method, url, body=body, headers=headers, redirect=False, preload_content=False
        )
        try:
            answer = self.answer(response)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return answer

    def answer(self, response: urllib3.BaseHTTPResponse) -> Answer:
        """Read an answer."""
        body = whole(response, time.monotonic() + self.pace.answer)
        asked = response.headers.get("Retry-After")
        longest = LONGEST_WAIT if response.status < 400 else LONGEST_REFUSAL
        retry_at = moment(asked, self.now(), longest) if asked else None
        return Answer(response.status, response.headers, body, retry_at)

    def pool(self, url: str) -> urllib3.PoolManager:
        """Return the connections to use for *url*: direct, or by the environment's proxy."""
        host = urlsplit(url).hostname or ""
        proxy = None if proxy_bypass(host) else getproxies().get("https")
        with self.lock:
            if proxy not in self.pools:
                self.pools[proxy] = self.opened(proxy)
            return self.pools[proxy]

    def opened(self, proxy: str | None) -> urllib3.PoolManager:
        """Return new connections that trust the authority's roots only."""
        options: dict[str, Any] = {
            "maxsize": self.connections,
            "ssl_context": trusting(self.roots),
            "timeout": urllib3.Timeout(connect=self.pace.connect, read=self.pace.read),
            "retries": False,
            "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        }
        return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)

    def unreached(self, url: str, error: Exception) -> IssueFailed:
        """Return the error for a request without an answer, and remember an authority down."""
        kind = Broken if isinstance(error, ProtocolError | ConnectionError) else IssueFailed
        host = urlsplit(url).netloc
        failed = kind(
            f"the authority at {host} {trouble(error)}",
            where=url,
            remedy=remedy(error, self.roots),
            words=printable(str(error)),
            everybody=not isinstance(error, ValueError),  # which is about one answer, or one URL
        )
        if isinstance(error, DOWN):
            self.down = (time.monotonic() + self.pace.down, failed)
        return failed


class Broken(IssueFailed):
    """A connection ended before the answer was complete."""


class TooMuch(ValueError):
    """An answer is larger, or takes longer, than any honest one."""


def whole(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """Return the complete body; raise TooMuch when it is too large or comes too slowly."""
    body = bytearray()
    while piece := response.read1(65536):
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise TooMuch(f"more than {LARGEST_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise TooMuch("an answer that does not end")
    return bytes(body)


def moment(asked: str, now: datetime, longest: timedelta) -> datetime | None:
    """Return when Retry-After asks to come again (RFC 9110 section 10.2.3).

    That is a second off at least, and *longest* at most.
    """
    try:
        wait = seconds(asked) if asked.strip().isdigit() else parsedate_to_datetime(asked) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return now + min(max(wait, SHORTEST_WAIT), longest)


def seconds(asked: str) -> timedelta:
    """Return a number of seconds, however long its digits."""
    digits = asked.strip().lstrip("0")
    return LONGEST_REFUSAL if len(digits) > 6 else timedelta(seconds=int(digits or "0"))


def trusting(roots: tuple[Path, ...]) -> ssl.SSLContext:
    """Return a TLS context that trusts *roots* alone, or the system's if there are none.

    The certificates are loaded here, so that no variable that other libraries read
    (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE) can put others in their place.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for root in roots:
        load(context, root)
    if not roots:
        context.load_default_certs()
    return context


def load(context: ssl.SSLContext, root: Path) -> None:
    """Trust the certificates in the file *root*; raise IssueFailed."""
    try:
        context.load_verify_locations(cafile=root)
    except (OSError, ssl.SSLError) as error:
        raise IssueFailed(
            "a trusted root of the authority cannot be read",
            where=str(root),
            remedy="`acme.trusted_roots` must name readable PEM files with CA certificates",
            final=True,
            everybody=True,
            words=printable(str(error)),
        ) from error


def trouble(error: Exception) -> str:
    """Return what went wrong, for a sentence."""
    match error:
        case TooMuch():
            return f"sent {error}"
        case SSLError():
            return "could not be reached safely"
        case NewConnectionError() | ProxyError():
            return "could not be reached"
        case ConnectTimeoutError() | ReadTimeoutError():
            return "did not answer in time"
        case ProtocolError() | ConnectionError():
            return "broke the connection"
        case _:
            return "could not be reached"


def remedy(error: Exception, roots: tuple[Path, ...]) -> str:
    """Return what to do about a request without an answer."""
    if not isinstance(error, SSLError):
        return "check `acme.directory` and this host's way to it (DNS, firewall, https_proxy)"
    if roots:
        return "check `acme.trusted_roots`: the authority's certificate must come from one of them"
    return (
        "check the system's CA certificates (package ca-certificates) and its clock; a private"
        " authority needs `acme.trusted_roots`"
    )
