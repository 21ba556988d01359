"""What a service presents: connect as a client does and read the leaf certificate."""

from __future__ import annotations

import hashlib
import itertools
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from proxygen.failure import Failure, Scope, Value
from proxygen.host.connection import Timed, TimedTls, TooMuch, open_connection, places_of
from proxygen.model.hosts import example_of, is_wildcard
from proxygen.services import Endpoint

LONGEST_LINE, MOST_BYTES, MOST_LINES = 8192, 65536, 200
"""What a server may say before TLS begins; a capability line takes a few hundred bytes."""

PLACES = "places probed"
"""What is counted while places are probed."""
AT_ONCE = 32
"""How many places are probed at a time: those that let a client wait do not add up."""
LONGEST_ANSWER = 20.0
"""Seconds for one answer: postscreen lets a new client wait 6, restrictions may `sleep` longer."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
ALERT = re.compile(r"SSLV3_ALERT|TLSV1")
"""OpenSSL's names of the alerts that a server sends (TLSV1_UNRECOGNIZED_NAME, TLSV13_ALERT_…)."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a client saw: SHA-256 (hex) of the served leaf's DER form, or what it *met* instead.

    *refused*: the server spoke TLS and refused the handshake, as opposed to not answering. *leaf*
    is the certificate itself (DER), kept only if it is not the wanted one. *seconds*: how long the
    client waited. *as_before*: nor did it see what is wanted before the change that was made.
    """

    fingerprint: str | None
    met: Failure | None = None
    refused: bool = False
    leaf: bytes = field(default=b"", compare=False, repr=False)
    seconds: float = field(default=0.0, compare=False, repr=False)
    as_before: bool = field(default=False, compare=False, repr=False)

    @property
    def came_to_tls(self) -> bool:
        """Whether the server presented a certificate, or refused to by means of TLS."""
        return self.fingerprint is not None or self.refused


def failure_met(code: str, words: str = "", **facts: Value) -> Failure:
    """Return what a client met instead of a certificate, with the server's words."""
    return Failure(code, Scope.SERVICE, "", tuple(facts.items()), words)


UNASKED = Probed(None, failure_met("not-asked"))


class Unmet(Exception):
    """The server did not begin TLS; *failure* says where it stopped."""

    def __init__(self, code: str, words: str = "", **facts: Value) -> None:
        super().__init__(failure_met(code, words, **facts))

    @property
    def failure(self) -> Failure:
        """Why the server did not begin TLS."""
        found: Failure = self.args[0]
        return found


class Conversation:
    """Lines exchanged before TLS, bounded in length and number; the connection bounds the rest."""

    def __init__(self, connection: Timed) -> None:
        self.connection = connection
        self.received = b""
        self.lines = 0

    def say(self, line: str) -> None:
        """Send a line."""
        self.connection.sendall(line.encode("ascii") + b"\r\n")

    def line(self) -> str:
        """Return the next line without its end; raise Unmet if the server says too much."""
        while b"\n" not in self.received:
            if len(self.received) > LONGEST_LINE:
                raise Unmet("endless-line")
            if not (more := self.connection.recv(4096)):
                raise Unmet("closed-before-tls")
            self.received += more
        line, _, self.received = self.received.partition(b"\n")
        self.lines += 1
        if self.lines > MOST_LINES:
            raise Unmet("many-lines")
        return line.rstrip(b"\r").decode("ascii", "replace")

    def until(self, *beginnings: str) -> list[str]:
        """Return the lines up to one that starts with one of *beginnings* (in upper case)."""
        lines = [self.line()]
        while not lines[-1].upper().startswith(beginnings):
            lines.append(self.line())
        return lines

    def expect(self, wanted: str, *others: str, code: str, command: str = "") -> list[str]:
        """Return the lines up to *wanted*; raise Unmet if one of *others* comes instead."""
        lines = self.until(wanted, *others)
        if not lines[-1].upper().startswith(wanted):
            raise Unmet(code, shown_line(lines[-1]), command=command)
        return lines


SMTP_ENDS = tuple(f"{digit}{rest:02} " for digit in (2, 3, 4, 5) for rest in range(100))


def smtp(talk: Conversation, greeting: str = "EHLO") -> None:
    """Bring SMTP to TLS (RFC 3207)."""
    talk.expect("220 ", *SMTP_ENDS, code="banner-refuses")
    talk.say(f"{greeting} [127.0.0.1]")
    offered = talk.expect("250 ", *SMTP_ENDS, code="command-refused", command=greeting)
    if "STARTTLS" not in {line[4:].strip().upper() for line in offered}:
        raise Unmet("starttls-missing", command="STARTTLS")
    talk.say("STARTTLS")
    talk.expect("220 ", *SMTP_ENDS, code="command-refused", command="STARTTLS")


def imap(talk: Conversation) -> None:
    """Bring IMAP to TLS (RFC 9051 section 6.2.1)."""
    talk.expect("* OK", "* ", code="banner-refuses")
    talk.say("a1 STARTTLS")
    talk.expect("A1 OK", "A1 ", "* BYE", code="starttls-not-offered", command="STARTTLS")


def pop3(talk: Conversation) -> None:
    """Bring POP3 to TLS (RFC 2595 section 4)."""
    talk.expect("+OK", "-ERR", code="banner-refuses")
    talk.say("STLS")
    talk.expect("+OK", "-ERR", code="starttls-not-offered", command="STLS")


def sieve(talk: Conversation) -> None:
    """Bring ManageSieve to TLS (RFC 5804 section 2.2)."""
    offered = talk.expect("OK", "NO", "BYE", code="banner-refuses")
    if '"STARTTLS"' not in {line.strip().upper() for line in offered}:
        raise Unmet("starttls-missing", command="STARTTLS")
    talk.say("STARTTLS")
    talk.expect("OK", "NO", "BYE", code="command-refused", command="STARTTLS")


STARTTLS: Mapping[str, Callable[[Conversation], None]] = {
    "smtp": smtp,
    "lmtp": partial(smtp, greeting="LHLO"),
    "imap": imap,
    "pop3": pop3,
    "sieve": sieve,
}


def any_certificate() -> ssl.SSLContext:
    """Return the TLS settings of a current client that accepts any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TimedTls
    return context


def client_of(version: ssl.TLSVersion, ciphers: str = "") -> ssl.SSLContext:
    """Return the TLS settings of a client that knows one version alone, maybe some *ciphers*."""
    context = any_certificate()
    context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


CLIENT = any_certificate()
CLIENTS: Mapping[str, ssl.SSLContext] = {
    "": CLIENT,
    "TLS 1.2": client_of(ssl.TLSVersion.TLSv1_2),
    "TLS 1.3": client_of(ssl.TLSVersion.TLSv1_3),
    "TLS 1.2, ECDSA": client_of(ssl.TLSVersion.TLSv1_2, "aECDSA+AESGCM:aECDSA+CHACHA20:aECDSA"),
    "TLS 1.2, RSA": client_of(ssl.TLSVersion.TLSv1_2, "aRSA+AESGCM:aRSA+CHACHA20:aRSA"),
}
"""Clients by the word of ``Endpoint.client``; in TLS 1.2, the cipher names the algorithm."""
OF_ONE_ALGORITHM = ("TLS 1.2, ECDSA", "TLS 1.2, RSA")


def probe(endpoint: Endpoint, timeout: float = LONGEST_ANSWER) -> Probed:
    """Return what a client of *endpoint* sees within *timeout* seconds; raise nothing.

    Where two certificates are to be shown, it connects until both were seen.
    """
    began = time.monotonic()
    seen = probe_as(endpoint.client, endpoint, timeout)
    if not endpoint.client and endpoint.beside and is_as_wanted(endpoint, seen):
        seen = probe_both(endpoint, seen, timeout)
    leaf = b"" if is_as_wanted(endpoint, seen) else seen.leaf
    return replace(seen, leaf=leaf, seconds=time.monotonic() - began)


def probe_both(endpoint: Endpoint, first: Probed, timeout: float) -> Probed:
    """Return what a client sees who does with one algorithm only, if that is not as wanted.

    *first* is what a client saw who does with both. Every certificate has to be shown to somebody:
    the ciphers of a service may leave one of them to clients with TLS 1.3.
    """
    missing = set((endpoint.shown or "").split("+")) - {first.fingerprint}
    last = first
    for client in OF_ONE_ALGORITHM:
        seen = probe_as(client, endpoint, timeout)
        if seen.fingerprint and not is_as_wanted(endpoint, seen):
            return seen
        missing -= {seen.fingerprint}
        last = seen if seen.fingerprint is None else last
    return last if missing else first


def probe_as(client: str, endpoint: Endpoint, timeout: float) -> Probed:
    """Return what one of CLIENTS sees within *timeout* seconds, with the certificate."""
    end = time.monotonic() + timeout
    try:
        place = places_of(endpoint.address, endpoint.port, timeout)[0]  # of a name, its first one
        with open_connection(place, end - time.monotonic()) as connection:
            prepare_tls(connection, endpoint)
            return shake_hands(CLIENTS[client], connection, asked_for(endpoint.server_name))
    except TimeoutError:
        return Probed(None, failure_met("no-answer", seconds=f"{timeout:g}"))
    except Unmet as unmet:
        return Probed(None, unmet.failure)
    except TooMuch:
        return Probed(None, failure_met("much-before-tls"))
    except (OSError, ValueError) as error:  # ValueError: not an address or a name at all
        words = str(getattr(error, "strerror", None) or error).lower()
        return Probed(None, failure_met("not-connected", words))


def prepare_tls(connection: Timed, endpoint: Endpoint) -> None:
    """Exchange what precedes TLS there; raise Unmet or TooMuch if the server does not agree."""
    connection.most = MOST_BYTES
    if endpoint.proxy_protocol:
        connection.sendall(proxy_header(connection))
    if endpoint.starttls is None:
        return
    talk = Conversation(connection)
    STARTTLS[endpoint.starttls](talk)
    if talk.received:
        raise Unmet("plain-text-after-starttls")


def asked_for(name: str) -> str:
    """Return the name that a client sends (SNI): for a wildcard, a name that it covers."""
    return example_of(name) if is_wildcard(name) else name


def proxy_header(connection: socket.socket) -> bytes:
    """Return version 1 of the PROXY protocol's header for *connection*."""
    source, target = connection.getsockname(), connection.getpeername()
    family = "TCP6" if connection.family == socket.AF_INET6 else "TCP4"
    return f"PROXY {family} {source[0]} {target[0]} {source[1]} {target[1]}\r\n".encode("ascii")


def shake_hands(client: ssl.SSLContext, connection: Timed, server_name: str) -> Probed:
    """Return the leaf that the server presents, or how it refuses (RFC 8446 section 6)."""
    try:
        with client.wrap_socket(connection, server_hostname=server_name or None) as secured:
            leaf = secured.getpeercert(binary_form=True)
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        words = reason.lower().replace("_", " ")
        return Probed(
            None, failure_met("handshake-failed", words), refused=bool(ALERT.match(reason))
        )
    if not leaf:
        return Probed(None, failure_met("no-certificate-presented"))
    return Probed(hashlib.sha256(leaf).hexdigest(), leaf=leaf)


def shown_line(line: str) -> str:
    """Return the first 200 characters of a server's line, those not printable as ``?``."""
    return "".join(letter if letter.isprintable() else "?" for letter in line[:200])


def is_as_wanted(endpoint: Endpoint, seen: Probed) -> bool:
    """Return whether a client sees the certificate, or the refusal, that *endpoint* wants."""
    if endpoint.bundle is None:
        return seen.refused
    return seen.fingerprint in {each.fingerprint for each in endpoint.bundles}


def probe_all(
    endpoints: Iterable[Endpoint], concurrency: int = AT_ONCE, timeout: float = LONGEST_ANSWER
) -> dict[Endpoint, Probed]:
    """Return what clients see at each endpoint; *concurrency* are probed at a time."""
    return side_by_side(endpoints, lambda _, endpoint: probe(endpoint, timeout), concurrency)


def side_by_side(
    endpoints: Iterable[Endpoint],
    one: Callable[[int, Endpoint], Probed],
    concurrency: int = AT_ONCE,
) -> dict[Endpoint, Probed]:
    """Return what *one* finds at each endpoint; it gets the number of the endpoint, from 0."""
    asked = tuple(dict.fromkeys(endpoints))
    with ThreadPoolExecutor(concurrency, "probe") as threads:
        return dict(zip(asked, threads.map(one, range(len(asked)), asked), strict=True))


def count_for_nobody(what: str, done: int, of: int) -> None:
    """Count for nobody."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long places are probed: *quiet* seconds after the last right answer, *most* in all.

    So many places get the time that a loaded host needs for them. *timeout* is how many seconds one
    answer may take, *timeout_of* tells it for each place instead. *stop* tells whether to end now,
    *clock* is monotonic. *count* gets the number of places that were probed, and of how many.
    """

    quiet: float
    most: float
    stop: Callable[[], bool]
    timeout: float = LONGEST_ANSWER
    clock: Callable[[], float] = time.monotonic
    count: Callable[[str, int, int], None] = count_for_nobody
    timeout_of: Callable[[Endpoint], float] | None = None

    def seconds_for(self, endpoint: Endpoint) -> float:
        """Return how many seconds one answer of a place may take."""
        return self.timeout_of(endpoint) if self.timeout_of else self.timeout


WrongEndpoints = tuple[tuple[Endpoint, Probed], ...]


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """The result of probing: places where clients see something *wrong*, and those not probed.

    A place that was not probed is not wrong. One that gives no answer, or none in TLS, is.
    """

    wrong: WrongEndpoints = ()
    unasked: tuple[Endpoint, ...] = ()


class PatientProbe:
    """Probes places as long as *patience* lasts; each answer that *is_right* prolongs it."""

    def __init__(self, patience: Patience, is_right: Callable[[Endpoint, Probed], bool]) -> None:
        self.patience = patience
        self.is_right = is_right
        now = patience.clock()
        self.last = now + patience.most
        self.end = min(now + patience.quiet, self.last)

    def is_over(self, after: float = 0.0) -> bool:
        """Return whether no time will be left *after* so many seconds."""
        return self.patience.stop() or self.patience.clock() + after >= self.end

    def once(self, endpoints: Iterable[Endpoint]) -> dict[Endpoint, Probed]:
        """Return what clients see, UNASKED where no time was left.

        The first AT_ONCE are probed in any case, so that every run makes progress.
        """
        every, many = tuple(endpoints), itertools.count(1)
        count = self.patience.count
        count(PLACES, 0, len(every))

        def one(number: int, endpoint: Endpoint) -> Probed:
            late = number >= AT_ONCE and self.is_over()
            seen = UNASKED if late else self.probe_endpoint(endpoint)
            count(PLACES, next(many), len(every))
            return seen

        return side_by_side(every, one)

    def again(self, endpoints: Iterable[Endpoint]) -> dict[Endpoint, Probed]:
        """Return what clients see now, also if no time is left."""
        return side_by_side(endpoints, lambda _, endpoint: self.probe_endpoint(endpoint))

    def probe_endpoint(self, endpoint: Endpoint) -> Probed:
        """Return what a client sees; a right answer gives the other places more time."""
        seen = probe(endpoint, self.patience.seconds_for(endpoint))
        if self.is_right(endpoint, seen):
            self.end = min(self.patience.clock() + self.patience.quiet, self.last)
        return seen


def probe_endpoints(
    endpoints: Iterable[Endpoint],
    patience: Patience,
    is_right: Callable[[Endpoint, Probed], bool] = is_as_wanted,
) -> ProbeOutcome:
    """Return the endpoints at which clients see something wrong, and those that were not probed.

    A reload takes a moment, so wrong places are probed again, with growing pauses, until all are
    right or no time is left; once more in any case. If *patience* stops before that, they count as
    not probed.
    """
    asking = PatientProbe(patience, is_right)
    seen = asking.once(endpoints)
    unasked = tuple(endpoint for endpoint, what in seen.items() if what is UNASKED)
    bad = {each: what for each, what in seen.items() if what is not UNASKED}
    bad = {each: what for each, what in bad.items() if not is_right(each, what)}
    pause, often = FIRST_PAUSE, 1
    while bad and not patience.stop() and (often < 2 or not asking.is_over(after=pause)):
        time.sleep(pause)
        pause, often = min(2 * pause, LONGEST_PAUSE), often + 1
        bad = {each: what for each, what in asking.again(bad).items() if not is_right(each, what)}
    if bad and often < 2:
        return ProbeOutcome((), (*unasked, *bad))
    return ProbeOutcome(tuple(bad.items()), unasked)
