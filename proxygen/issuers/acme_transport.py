"""HTTPS to an ACME authority: trusted roots, bounded answers, time limits, Retry-After."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from proxygen import __version__
from proxygen.dns import reach
from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, Scope, not_obtained
from proxygen.host.connection import Timed, TimedTls, TooMuch, connect
from proxygen.issuers.acme_answers import printable_text
from proxygen.issuers.trusted_roots import trust_roots
from proxygen.model.hosts import is_address

LARGEST_ANSWER = 1024 * 1024
LARGEST_EXCHANGE = LARGEST_ANSWER + 128 * 1024
"""With the head, interim answers, the signs between chunks, and what follows the last of them."""
DOWN = (ConnectTimeoutError, NewConnectionError, ProxyError, SSLError)
"""Failures that the next request to the same host would meet as well."""
ABOUT_ONE = (ValueError, TooMuch)
"""Failures that are about one answer or URL."""
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(days=1)
LONGEST_REFUSAL = timedelta(days=8)
"""Of a request that was refused: limits count a week, and say when it is over."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds.

    *connect*: for a connection, from the look for addresses to the end of TLS's handshake.
    *answer*: for all of one request, from there to the last octet of the answer, however often
    it must be sent again for a nonce. *down*: how long a host that could not be reached is left
    alone. *first_pause* doubles at each look at an order up to *longest_pause*; *longest_asked* is
    the longest that an authority may ask for there. *order*: for all of one order; the request
    that is under way then may go on to its own end.
    """

    connect: float = 10
    answer: float = 60
    down: float = 60
    first_pause: float = 0.1
    longest_pause: float = 10
    longest_asked: float = 15
    order: float = 600


@dataclass(frozen=True, slots=True)
class AcmeResponse:
    """What the authority answered; *retry_at* is when it asks to come again, if it does."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    retry_at: datetime | None


@dataclass(slots=True)
class Reach:
    """Which hosts an authority may lead us to: its own, and others on the internet.

    *host* is the one that the model names, in *beside* the addresses it had. Another host, which
    the authority names, is connected to at a public address, or in the same private network.
    """

    host: str
    beside: set[str] = field(default_factory=set)

    def allows(self, host: str, address: str) -> bool:
        """Return whether *host* may be connected to at an address."""
        if host.lower() == self.host:
            self.beside.add(address)
            return True
        return reach.may_connect(address, reach.is_public, self.beside)

    def check(self, url: str) -> None:
        """Raise Unreached for a URL with an address that may not be connected to.

        A proxy would do that for us; what a name leads to there is the proxy's to judge.
        """
        host = urlsplit(url).hostname or ""
        if is_address(host) and not self.allows(host, host):
            raise PermissionError(errno.EACCES, "its address is not one of the internet")


class Transport:
    """Sends requests to one authority; many threads share it and its connections.

    *directory* is the URL that the model has, *shared* are those that every certificate needs:
    a request there that fails would fail for everybody. Trouble is that of a host: while one is
    down nobody waits for it again, and others are asked nevertheless.
    """

    def __init__(
        self,
        directory: str,
        roots: Iterable[Path],
        connections: int,
        now: Callable[[], datetime],
        pace: Pace,
    ) -> None:
        self.shared = {directory}
        self.roots = tuple(roots)
        self.connections = connections
        self.now = now
        self.pace = pace
        self.reach = Reach(host_of(directory))
        self.pools: dict[str | None, urllib3.PoolManager] = {}
        self.lock = threading.Lock()
        self.down: dict[str, tuple[float, NotObtained]] = {}

    def end(self) -> float:
        """Return the moment of the monotonic clock at which a request that begins now is over."""
        return time.monotonic() + self.pace.answer

    def send(self, method: str, url: str, body: bytes | None, end: float) -> AcmeResponse:
        """Return the answer to one request, complete by the moment *end*.

        Raise Unreached if there is none.
        """
        down = self.down.get(netloc_of(url))
        if down and time.monotonic() < down[0]:
            raise Unreached(replace(down[1], where=url), down=True)
        try:
            answer = self.exchange(method, url, body, max(end - time.monotonic(), 0.001))
        except (HTTPError, OSError, ValueError, TooMuch) as error:
            raise self.unreached(url, error) from error
        self.down.pop(netloc_of(url), None)
        return answer

    def exchange(self, method: str, url: str, body: bytes | None, seconds: float) -> AcmeResponse:
        """Send one request and read the bounded answer. Redirects are answers like others."""
        headers = {"User-Agent": f"proxygen/{__version__}"}
        if body is not None:
            headers["Content-Type"] = "application/jose+json"
        self.reach.check(url)
        response = self.pool(url).request(
            method,
            url,
            body=body,
            headers=headers,
            redirect=False,
            preload_content=False,
            decode_content=False,  # nobody asked for it, and little may become much
            timeout=urllib3.Timeout(connect=min(self.pace.connect, seconds), total=seconds),
        )
        try:
            answer = self.answer(response)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return answer

    def answer(self, response: urllib3.BaseHTTPResponse) -> AcmeResponse:
        """Read an answer."""
        if response.status < 200:  # RFC 8297: another one follows, which nobody would read
            raise ProtocolError(f"an interim answer: {response.status}")
        body = whole_body(response)
        asked = response.headers.get("Retry-After")
        longest = LONGEST_WAIT if response.status < 400 else LONGEST_REFUSAL
        retry_at = retry_moment(asked, self.now(), longest) if asked else None
        return AcmeResponse(response.status, response.headers, body, retry_at)

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
            "ssl_context": trusting_context(self.roots),
            "retries": False,
        }
        if proxy:
            pools: urllib3.PoolManager = urllib3.ProxyManager(proxy, **options)
        else:
            pools = urllib3.PoolManager(**options)
        allows = self.reach.allows if proxy is None else lambda _host, _address: True
        pools.pool_classes_by_scheme = {"https": pool_of(allows)}
        return pools

    def unreached(self, url: str, error: Exception) -> Unreached:
        """Return the error for a request without an answer, and remember a host that is down.

        One that does not answer about one order may well answer about others.
        """
        shared = url in self.shared
        down = isinstance(error, DOWN) or (shared and isinstance(error, ReadTimeoutError))
        for_all = shared or (down and netloc_of(url) in map(netloc_of, self.shared))
        for_all = for_all and not isinstance(error, ABOUT_ONE)
        failure = not_obtained(
            failure_code(error, self.roots),
            Scope.AUTHORITY if for_all else Scope.OWNER,
            where=url,
            server=netloc_of(url),
            words=printable_text(words_of(error)),
        )
        if down:
            self.down[netloc_of(url)] = (time.monotonic() + self.pace.down, failure)
        broken = isinstance(error, ProtocolError | ConnectionError)
        return Unreached(failure, broken=broken, down=down)


class Unreached(IssueFailed):
    """A request had no answer.

    *broken*: the connection ended before that was complete. *down*: so would all requests to the
    same host end.
    """

    def __init__(self, failure: NotObtained, *, broken: bool = False, down: bool = False) -> None:
        super().__init__(failure)
        self.broken = broken
        self.down = down


class Connection(HTTPSConnection):
    """A connection whose time limit is one for all of a request; *allows* tells where to."""

    allows: ClassVar[Callable[[str, str], bool]]

    def _new_conn(self) -> socket.socket:
        """Return a connection to the host, or to the proxy."""
        host, seconds = self._dns_host, float(self.timeout or 0)
        allowed = partial(type(self).allows, host)
        try:
            made = connect(host.strip("[]"), self.port or 443, seconds, allowed)
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except OSError as error:
            raise NewConnectionError(self, network_words(error)) from error
        made.most = LARGEST_EXCHANGE
        return made

    def connect(self) -> None:
        """Connect; what takes too long is no connection, whichever part of it that is."""
        try:
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        if isinstance(self.sock, Timed):
            self.sock.most = LARGEST_EXCHANGE

    def request(self, *arguments: Any, **more: Any) -> None:
        """Send a request: its time begins, also on a connection that was used before."""
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        super().request(*arguments, **more)


def pool_of(allows: Callable[[str, str], bool]) -> type[urllib3.HTTPSConnectionPool]:
    """Return the class of pools of our connections, which go where *allows* says."""
    own = type("Connection", (Connection,), {"allows": staticmethod(allows)})
    return type("Pool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": own})


def host_of(url: str) -> str:
    """Return the host in a URL, empty for none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def netloc_of(url: str) -> str:
    """Return host and port of a URL as it has them."""
    return urlsplit(url).netloc.lower()


def network_words(error: OSError) -> str:
    """Return an error of the network in the system's words."""
    return error.strerror or str(error) or type(error).__name__


def whole_body(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the complete body; raise TooMuch if it is too large."""
    body = bytearray()
    while piece := response.read1(65536, decode_content=False):
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise TooMuch(f"more than {LARGEST_ANSWER} octets")
    return bytes(body)


def retry_moment(asked: str, now: datetime, longest: timedelta) -> datetime | None:
    """Return when Retry-After asks to come again (RFC 9110 section 10.2.3).

    That is a second off at least, and *longest* at most.
    """
    try:
        wait = (
            delay_seconds(asked) if asked.strip().isdigit() else parsedate_to_datetime(asked) - now
        )
    except (ValueError, TypeError, OverflowError):
        return None
    return now + min(max(wait, SHORTEST_WAIT), longest)


def delay_seconds(asked: str) -> timedelta:
    """Return a number of seconds, however long its digits."""
    digits = asked.strip().lstrip("0")
    return LONGEST_REFUSAL if len(digits) > 6 else timedelta(seconds=int(digits or "0"))


def trusting_context(roots: tuple[Path, ...]) -> ssl.SSLContext:
    """Return a TLS context that trusts *roots* alone, or the system's if there are none.

    The certificates are loaded here, so that no variable that other libraries read
    (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE) can put others in their place.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TimedTls
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for root in roots:
        trust_roots(context, root)
    if not roots:
        context.load_default_certs()
    return context


def words_of(error: Exception) -> str:
    """Return what an error says, without the pool or connection that urllib3 puts first."""
    said_by = [str(each) for each in error.args if isinstance(each, str | Exception)]
    whole = ": ".join(said_by) if isinstance(error, HTTPError) and said_by else str(error)
    named, mark, said = whole.partition("): ")
    return said if mark and named.startswith(("Pool(host=", "Connection(host=")) else whole


def failure_code(error: Exception, roots: tuple[Path, ...]) -> str:
    """Return the code of what went wrong."""
    match error:
        case TooMuch():
            return "answer-too-large"
        case SSLError():
            return "not-trusted-by-roots" if roots else "not-trusted"
        case NewConnectionError() | ProxyError():  # the first is a ConnectTimeoutError as well
            return "not-reached"
        case ConnectTimeoutError() | ReadTimeoutError():
            return "not-answered-in-time"
        case ProtocolError() | ConnectionError():
            return "connection-broken"
        case _:
            return "not-reached"
