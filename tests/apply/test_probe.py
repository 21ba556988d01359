"""The client that verifies: every protocol, every refusal, and servers that mean harm."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from proxygen.apply.outcome import never_stop
from proxygen.apply.probe import (
    AT_ONCE,
    Patience,
    Probed,
    ProbeOutcome,
    failure_met,
    probe,
    probe_all,
    probe_endpoints,
)
from proxygen.model.certificate import Bundle
from proxygen.services import Endpoint
from tests.live.authority import Authority

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Act = Callable[[socket.socket], None]


def said(seen: Probed) -> str:
    """Return what a client met, in English; empty where it was shown a certificate."""
    return seen.met.what if seen.met else ""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls(authority, tmp_path_factory.mktemp("tls"))


class Tls:
    """The server's side of TLS, with one certificate."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        issued = authority.issue("mail.example.net")
        self.fingerprint = hashlib.sha256(issued.certificate.public_bytes(Encoding.DER)).hexdigest()
        file = folder / "pair.pem"
        file.write_bytes(issued.key + issued.fullchain)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(file)
        self.names: list[str | None] = []
        self.context.sni_callback = lambda _, name, __: self.names.append(name)

    def shake(self, connection: socket.socket) -> None:
        with self.context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    @property
    def bundle(self) -> Bundle:
        names = ("mail.example.net",)
        key = ("1", self.fingerprint, "", "", "ecdsa-p256")
        return Bundle("global", names, "file", "Test CA", NOON, NOON, *key)


@contextmanager
def listening(act: Act, family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    """Serve connections, one after the other, until the block ends."""
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((host, 0), family=family) as listener:
        ended = threading.Event()
        thread = threading.Thread(target=serve, args=(listener, act, ended))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            socket.create_connection(listener.getsockname()[:2]).close()
            thread.join()


def serve(listener: socket.socket, act: Act, ended: threading.Event) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            if ended.is_set():
                return
            connection.settimeout(5)
            try:
                act(connection)
            except OSError:
                continue


def script(*lines: bytes, then: Act | None = None) -> Act:
    """Answer with the first line, then one line for each that the client says."""

    def act(connection: socket.socket) -> None:
        connection.sendall(lines[0])
        for line in lines[1:]:
            assert connection.recv(1000).endswith(b"\r\n")
            connection.sendall(line)
        if then:
            then(connection)

    return act


def at(port: int, starttls: str | None = None, **more: object) -> Endpoint:
    return Endpoint("test", "127.0.0.1", port, "mail.example.net", None, starttls, **more)


GREETINGS = {
    "smtp": (b"220-mail ESMTP\r\n220 ready\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n"),
    "lmtp": (b"220 mail LMTP\r\n", b"250-mail\r\n250-STARTTLS\r\n250 SIZE\r\n", b"220 go\r\n"),
    "imap": (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"* X\r\na1 OK go\r\n"),
    "pop3": (b"+OK ready\r\n", b"+OK go\r\n"),
    "sieve": (b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\nOK "ready"\r\n', b'OK "go"\r\n'),
}


@pytest.mark.parametrize("starttls", GREETINGS)
def test_each_protocol_leads_to_the_served_leaf(server: Tls, starttls: str) -> None:
    with listening(script(*GREETINGS[starttls], then=server.shake)) as port:
        assert probe(at(port, starttls)) == Probed(server.fingerprint)


def test_tls_from_the_first_byte_and_the_name_that_is_asked_for(server: Tls) -> None:
    server.names.clear()
    with listening(server.shake) as port:
        assert probe(at(port)) == Probed(server.fingerprint)
        assert probe(Endpoint("test", "127.0.0.1", port, "", None)) == Probed(server.fingerprint)
    assert server.names == ["mail.example.net", None]


def test_a_wildcard_is_asked_for_by_a_name_that_it_stands_for(server: Tls) -> None:
    with listening(server.shake) as port:
        wild = Endpoint("nginx", "127.0.0.1", port, "*.a.example", server.bundle)
        longest = replace(wild, server_name=f"*.{'.'.join(['a' * 49] * 5)}.a")
        assert probe_endpoints((wild, longest), within(30)) == ProbeOutcome()
    asked = server.names[-2:]
    assert sorted(map(str, asked)) == sorted(
        (f"p{longest.server_name[1:]}", "proxygen-probe.a.example")
    )


def test_ipv6(server: Tls) -> None:
    with listening(server.shake, socket.AF_INET6) as port:
        assert probe(Endpoint("test", "::1", port, "a.example", None)) == Probed(server.fingerprint)


def test_proxy_protocol_goes_first(server: Tls) -> None:
    headers = []

    def act(connection: socket.socket) -> None:
        header = b""
        while not header.endswith(b"\r\n"):
            header += connection.recv(1)
        headers.append(header.split())
        server.shake(connection)

    with listening(act) as port:
        assert probe(at(port, proxy_protocol=True)) == Probed(server.fingerprint)
    (words,) = headers
    assert words[:4] == [b"PROXY", b"TCP4", b"127.0.0.1", b"127.0.0.1"]
    assert int(words[5]) == port


@pytest.mark.parametrize(
    ("starttls", "act", "words"),
    [
        ("smtp", script(b"554 go away\r\n"), "the server refused the connection: 554 go away"),
        ("smtp", script(b"220 x\r\n", b"250 SIZE\r\n"), "STARTTLS is not offered"),
        ("smtp", script(b"220 x\r\n", b"502 what\r\n"), "EHLO is refused: 502 what"),
        ("smtp", script(b"220 x\r\n", b"250 STARTTLS\r\n", b"454 no\r\n"), "is refused: 454 no"),
        ("imap", script(b"* BYE full\r\n"), "refused the connection: * BYE full"),
        ("imap", script(b"* OK x\r\n", b"a1 BAD what\r\n"), "not offered: a1 BAD what"),
        ("pop3", script(b"+OK x\r\n", b"-ERR what\r\n"), "STLS is not offered: -ERR what"),
        ("sieve", script(b'"SASL" ""\r\nOK\r\n'), "STARTTLS is not offered"),
        ("imap", script(b"* OK \x1b[31m\r\n", b"a1 NO \x1b[2Jred\r\n"), "a1 NO ?[2Jred"),
        ("pop3", script(b""), "closed the connection before TLS"),
        ("pop3", script(b"+OK x\r\n", b"+OK go\r\n+OK injected\r\n"), "continued in plain text"),
    ],
)
def test_a_server_that_does_not_come_to_tls_is_quoted(starttls: str, act: Act, words: str) -> None:
    with listening(act) as port:
        seen = probe(at(port, starttls))
    assert seen.fingerprint is None
    assert not seen.refused
    assert words in said(seen)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert probe(at(port)) == Probed(None, failure_met("not-connected", "connection refused"))


@pytest.mark.parametrize("address", ["", "a\0b", "[::1]", "no.such.host.invalid", "x" * 300])
def test_what_is_no_address_is_told(address: str) -> None:
    assert said(probe(Endpoint("test", address, 1, "a.example", None)))


def flood(what: bytes) -> Act:
    def act(connection: socket.socket) -> None:
        while True:
            connection.sendall(what)

    return act


def silent(connection: socket.socket) -> None:
    connection.recv(10_000)
    connection.recv(10_000)


def dripping(connection: socket.socket) -> None:
    """One byte now and then: each of them in time, all of them never."""
    connection.settimeout(0.05)
    while True:
        try:
            if not connection.recv(1000):
                return
        except TimeoutError:
            connection.sendall(b"2")


@pytest.mark.parametrize("starttls", [None, *GREETINGS])
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(silent, id="silence"),
        pytest.param(dripping, id="one byte now and then"),
        pytest.param(flood(b"x" * 4096), id="an endless line"),
        pytest.param(flood(b"220-\r\n* X\r\n"), id="endless lines"),
        pytest.param(script(b"\x00\xff\n\r" * 50), id="garbage"),
        pytest.param(script(b""), id="closed at once"),
    ],
)
def test_a_hostile_server_neither_hangs_nor_floods(starttls: str | None, act: Act) -> None:
    with listening(act) as port:
        seen = probe(at(port, starttls), timeout=0.4)
    assert (seen.fingerprint, seen.refused) == (None, False)
    assert said(seen)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (b"220-" + b"x" * 4096, "the server sent a line that is too long"),
        (b"220-\r\n", "the server sent too many lines"),
        (b"220-" + b"x" * 4000 + b"\r\n", "the server sent too much data before TLS"),
    ],
)
def test_what_a_server_may_say_is_bounded(what: bytes, words: str) -> None:
    with listening(flood(what)) as port:
        assert said(probe(at(port, "smtp"))) == words


def test_a_refused_handshake_is_told_from_no_answer(server: Tls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    def refuse(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True):
            pass

    with listening(refuse) as port:
        seen = probe(at(port))
        assert seen.refused
        assert "unrecognized name" in said(seen)
        assert probe_endpoints([at(port)], within(0.2)).wrong == ()
    with listening(server.shake) as port:
        assert probe_endpoints([at(port)], within(0.2)).wrong == (
            (at(port), Probed(server.fingerprint)),
        )


def test_no_answer_is_not_a_refusal() -> None:
    with listening(script(b"")) as port:
        ((endpoint, seen),) = probe_endpoints([at(port)], within(0.2)).wrong
    assert endpoint == at(port)
    assert not seen.refused


def test_old_protocols_are_not_spoken(authority: Authority, tmp_path: Path) -> None:
    old = Tls(authority, tmp_path)
    with warnings.catch_warnings(action="ignore"):
        old.context.maximum_version = ssl.TLSVersion.TLSv1_1
    with listening(old.shake) as port:
        assert probe(at(port)).fingerprint is None


def within(seconds: float, timeout: float = 5.0) -> Patience:
    """Return the patience that ends after so many seconds."""
    return Patience(seconds, seconds, never_stop, timeout)


def test_what_is_wrong_is_asked_again_until_the_wanted_leaf_is_served(
    server: Tls, authority: Authority, tmp_path: Path
) -> None:
    before, count = Tls(authority, tmp_path), iter(range(100))

    def act(connection: socket.socket) -> None:
        (before if next(count) < 3 else server).shake(connection)

    with listening(act) as port:
        assert probe_endpoints([wanted(port, server)], within(30)) == ProbeOutcome()
    assert next(count) == 4


def test_what_was_not_asked_when_the_time_was_over_is_not_wrong(server: Tls) -> None:
    with listening(silent) as port:
        others = [wanted(port, server, f"{number}.example") for number in range(100)]
        found = probe_endpoints(others, within(0, timeout=0.2))
    assert [endpoint for endpoint, _ in found.wrong] == others[:AT_ONCE]
    assert found.wrong[0][1] == Probed(None, failure_met("no-answer", seconds="0.2"))
    assert found.unasked == tuple(others[AT_ONCE:])


def test_it_is_counted_how_many_places_were_asked(server: Tls) -> None:
    told: list[tuple[str, int, int]] = []
    patience = Patience(60, 60, never_stop, count=lambda *counted: told.append(counted))
    with listening(server.shake) as port:
        places = [wanted(port, server, f"{number}.example") for number in range(40)]
        assert probe_endpoints(places, patience) == ProbeOutcome()
    assert told[0] == ("places probed", 0, 40)
    assert sorted(told) == [("places probed", number, 40) for number in range(41)]


def test_a_right_answer_gives_the_others_more_time_up_to_the_most(server: Tls) -> None:
    """A slow host answers every 10 seconds: within 15 of the one before, but not for ever."""
    passed = iter(range(0, 10_000, 10))
    now = [0.0]

    def act(connection: socket.socket) -> None:
        now[0] = next(passed)
        server.shake(connection)

    with listening(act) as port:
        places = [wanted(port, server, f"{number}.example") for number in range(100)]
        asked_all = probe_endpoints(places, Patience(200, 5_000, never_stop, clock=lambda: now[0]))
        assert asked_all == ProbeOutcome()
        found = probe_endpoints(places, Patience(200, 500, never_stop, clock=lambda: now[0]))
    assert not found.wrong
    assert 0 < len(found.unasked) < 100 - AT_ONCE


def test_what_is_wrong_is_asked_once_more_although_the_time_is_over(
    server: Tls, authority: Authority, tmp_path: Path
) -> None:
    other = Tls(authority, tmp_path)
    with listening(other.shake) as port:
        place = wanted(port, server)
        assert probe_endpoints([place], within(0)).wrong == ((place, Probed(other.fingerprint)),)
    assert len(other.names) == 2


def test_where_we_are_to_stop_nothing_is_wrong(server: Tls) -> None:
    with listening(silent) as port:
        places = [wanted(port, server, f"{number}.example") for number in range(20)]
        found = probe_endpoints(places, Patience(30, 30, lambda: True, 0.2))
    assert not found.wrong
    assert set(found.unasked) == set(places)


def wanted(port: int, server: Tls, name: str = "mail.example.net") -> Endpoint:
    """Return a place that should show what *server* has."""
    return Endpoint("test", "127.0.0.1", port, name, server.bundle)


def test_all_are_asked_at_once(server: Tls) -> None:
    meet = threading.Barrier(4, timeout=5)

    def act(connection: socket.socket) -> None:
        meet.wait()
        server.shake(connection)

    with listening(act) as a, listening(act) as b, listening(act) as c, listening(act) as d:
        seen = probe_all([at(a), at(b), at(c), at(d), at(a)], concurrency=4)
    assert seen == {at(port): Probed(server.fingerprint) for port in (a, b, c, d)}
