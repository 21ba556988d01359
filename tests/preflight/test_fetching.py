"""A challenge file over redirects, and servers that mean harm."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from proxygen.names.causes import cause
from proxygen.names.findings import reason_words
from proxygen.preflight import Beacon
from proxygen.preflight.fetching import HOPS, Fetched, Fetching
from proxygen.preflight.http import Astray, RequestTarget, redirect_target
from tests.certificates import leaf
from tests.preflight.standins import (
    BODY,
    NAME,
    TOKEN,
    Dns,
    Script,
    leading_to,
    reply,
    right,
    web,
    wrong,
)

OTHER = "redirected.example"


def fetched(
    address: str,
    beacon: Beacon,
    dns: Dns | None = None,
    *,
    forbidden: tuple[str, ...] = (),
    patience: float = 5,
) -> Fetched:
    """Fetch the beacon once."""

    async def fetch() -> Fetched:
        fetching = Fetching(dns or Dns(), 1, lambda each: each not in forbidden, patience)
        return await fetching.fetch(NAME, address, beacon)

    return asyncio.run(fetch())


def to(location: str) -> Script:
    """Return a script that answers each request with a redirect."""
    return lambda _: reply("301 Moved Permanently", "", f"Location: {location}")


def behind(location: str) -> Script:
    """Return a script that redirects the first request, and answers the second."""
    count = itertools.count()
    return lambda head: right(head) if next(count) else to(location)(head)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"Content-Length: {len(BODY)}\r\n\r\n{BODY}", id="as long as it says"),
        pytest.param(f"\r\n{BODY}\r\n", id="to the end, with a new line"),
        pytest.param(
            f"Transfer-Encoding: chunked\r\n\r\n4\r\n{BODY[:4]}\r\n"
            f"{len(BODY) - 4:x};x=y\r\n{BODY[4:]}\r\n0\r\n\r\n",
            id="in chunks",
        ),
    ],
)
def test_the_file_is_read_however_it_is_sent(network: str, beacon: Beacon, body: str) -> None:
    said = f"HTTP/1.1 200 OK\r\n{body}".encode()
    with web(f"{network}1", beacon.port, lambda _: said):
        assert fetched(f"{network}1", beacon).right


def test_a_server_that_keeps_the_connection_open_costs_no_waiting(
    network: str, beacon: Beacon
) -> None:
    end = threading.Event()

    def open_ended(head: str) -> Iterator[bytes]:
        yield right(head)
        end.wait(60)

    with web(f"{network}1", beacon.port, open_ended):
        assert fetched(f"{network}1", beacon, patience=30).right
        end.set()


def test_a_redirect_on_the_same_host_stays_at_the_address(network: str, beacon: Beacon) -> None:
    here, port = f"{network}1", beacon.port
    path = f"/.well-known/acme-challenge/{TOKEN}"
    for location in (path, f"http://{NAME}:{port}{path}", f"//{NAME}:{port}{path}"):
        dns = Dns()
        with web(here, port, behind(location)) as server:
            assert fetched(here, beacon, dns).right
        assert len(server.seen) == 2
        assert not dns.asked


def test_a_redirect_to_https_is_followed_whatever_the_certificate(
    network: str, beacon: Beacon, tmp_path: Path
) -> None:
    here = f"{network}1"
    location = f"https://{NAME}/.well-known/acme-challenge/{TOKEN}"
    with (
        web(here, beacon.port, to(location)),
        web(here, 443, right, self_signed(tmp_path)) as server,
    ):
        assert fetched(here, beacon).right
    assert f"Host: {NAME}\n" in server.seen[0]


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return a context with a certificate that nobody trusts, for another name."""
    bundle = folder / "bundle.pem"
    issued = leaf(None, "another.example")
    bundle.write_bytes(issued.pair().pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    return context


def test_a_redirect_to_another_host_is_looked_up_and_followed(network: str, beacon: Beacon) -> None:
    here, there = f"{network}1", f"{network}2"
    location = f"http://{OTHER}:{beacon.port}/.well-known/acme-challenge/{TOKEN}"
    with web(here, beacon.port, to(location)), web(there, beacon.port, right) as server:
        assert fetched(here, beacon, leading_to(there, name=OTHER)).right
    assert f"Host: {OTHER}:{beacon.port}\n" in server.seen[0]


@pytest.mark.parametrize("literal", [False, True], ids=["by name", "by address"])
def test_a_redirect_into_a_private_network_is_not_followed(
    network: str, beacon: Beacon, literal: bool
) -> None:
    here, there = f"{network}1", f"{network}2"
    host = there if literal else OTHER
    dns = leading_to(there, name=OTHER)
    with (
        web(here, beacon.port, to(f"http://{host}:{beacon.port}/")),
        web(there, beacon.port, right) as server,
    ):
        got = fetched(here, beacon, dns, forbidden=(there,))
    assert (got.right, got.reached) == (False, True)
    assert told(got).endswith("its address cannot be reached from the internet")
    assert not server.seen


def test_a_redirect_to_a_host_without_address_ends_there(network: str, beacon: Beacon) -> None:
    with web(f"{network}1", beacon.port, to(f"http://{OTHER}/")):
        got = fetched(f"{network}1", beacon)
    why = "it has no address that can be reached from here"
    assert told(got) == f"after a redirect to http://{OTHER}/: {why}"


def test_redirects_in_a_circle_end(network: str, beacon: Beacon) -> None:
    with web(f"{network}1", beacon.port, to("/again")) as server:
        got = fetched(f"{network}1", beacon)
    assert told(got).endswith(f"more than {HOPS} redirects")
    assert len(server.seen) == HOPS + 1


def test_what_answers_after_a_redirect_is_told_with_where(network: str, beacon: Beacon) -> None:
    here, there = f"{network}1", f"{network}2"
    location = f"http://{OTHER}:{beacon.port}/login"
    with web(here, beacon.port, to(location)), web(there, beacon.port, wrong):
        got = fetched(here, beacon, leading_to(there, name=OTHER))
    assert told(got) == f"after a redirect to {location}: 404 Not Found (Apache)"


def told(got: Fetched) -> str:
    """Return what came instead of the file, in words."""
    return reason_words(got.why) if got.why else ""


TARGET = RequestTarget("http", NAME, 80, "/x")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        pytest.param("", "not a URL", id="none"),
        pytest.param("http://a.example/ HTTP/1.1", "not a URL", id="a space"),
        pytest.param("/\rX-Evil: 1", "not a URL", id="a line of its own"),
        pytest.param("/\x00", "not a URL", id="a control character"),
        pytest.param("/ü", "not a URL", id="not ASCII"),
        pytest.param("/" + "a" * 2000, "not a URL", id="too long"),
        pytest.param("http://a.example:22/", "port 22", id="another port"),
        pytest.param("gopher://a.example/", "not an HTTP URL", id="another scheme"),
        pytest.param("http://localhost/", "not an HTTP URL", id="no full host name"),
        pytest.param("http://[::1/", "not an HTTP URL", id="half an address"),
        pytest.param("http://a.example:99999/", "not an HTTP URL", id="no port"),
        pytest.param("https:///x", "not an HTTP URL", id="no host"),
    ],
)
def test_no_redirect_is_followed_that_no_authority_would_follow(location: str, words: str) -> None:
    with pytest.raises(Astray) as raised:
        redirect_target(TARGET, location, frozenset({80, 443}))
    assert words in reason_words(raised.value.why)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://A.example", RequestTarget("https", "a.example", 443, "/")),
        ("http://u:p@a.example/b?c#d", RequestTarget("http", "a.example", 80, "/b?c")),
        ("?q", RequestTarget("http", NAME, 80, "/x?q")),
        ("http://[2001:db8::1]/", RequestTarget("http", "2001:db8::1", 80, "/")),
    ],
)
def test_redirects_are_read_as_urls(location: str, target: RequestTarget) -> None:
    assert redirect_target(TARGET, location, frozenset({80, 443})) == target


def endless(piece: bytes) -> Script:
    """Return a script that sends its piece again and again, until nobody listens."""

    def script(_: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        yield from itertools.repeat(piece)

    return script


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        pytest.param(b"X: y\r\n" * 100, "the header of the answer is longer", id="head"),
        pytest.param(b"x" * 1000, "the header of the answer is longer", id="line"),
        pytest.param(b"\r\n\r\n" + b"x" * 100, "different content", id="body"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1500, "different", id="chunks"
        ),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 99, "not HTTP", id="length"),
    ],
)
def test_an_answer_without_end_is_left(
    network: str, beacon: Beacon, piece: bytes, words: str
) -> None:
    with web(f"{network}1", beacon.port, endless(piece)):
        got = fetched(f"{network}1", beacon)
    assert not got.right
    assert words in told(got)


@pytest.mark.parametrize(
    "pieces", [pytest.param(b"HTTP", id="nothing more"), pytest.param(b"", id="nothing at all")]
)
def test_a_server_that_drags_on_is_left_in_time(
    network: str, beacon: Beacon, pieces: bytes
) -> None:
    end = threading.Event()

    def dragging(_: str) -> Iterator[bytes]:
        yield pieces
        while not end.wait(0.05):
            yield b"x" if pieces else b""

    with web(f"{network}1", beacon.port, dragging):
        got = fetched(f"{network}1", beacon, patience=0.3)
        end.set()
    assert got == Fetched(False, True, cause("no-answer", seconds="0.3"))


def test_what_a_server_says_of_itself_is_bounded_and_printable(
    network: str, beacon: Beacon
) -> None:
    said = reply("404 \x1b[2J", "", "Server: \x1b]0;x" + "y" * 5000)
    with web(f"{network}1", beacon.port, lambda _: said):
        got = fetched(f"{network}1", beacon)
    assert told(got).startswith(r"404 Not Found (\x1b]0;xyyy")
    assert len(told(got)) < 100


def test_an_address_without_connections_is_left_alone(network: str, beacon: Beacon) -> None:
    async def fetch(times: int) -> list[Fetched]:
        fetching = Fetching(Dns(), 1, lambda _: True)
        said = [await fetching.fetch(NAME, f"{network}1", beacon) for _ in range(times)]
        with web(f"{network}1", beacon.port, right):
            return [*said, await fetching.fetch(NAME, f"{network}1", beacon)]

    refused = Fetched(False, False, cause("refused"))
    assert asyncio.run(fetch(3)) == [refused] * 4
    assert asyncio.run(fetch(2)) == [refused, refused, Fetched(True, True)]


def test_slow_servers_of_one_domain_keep_no_other_waiting(network: str, beacon: Beacon) -> None:
    """Eight addresses that do not answer; the ninth fetch, for another domain, is the second."""
    addresses = [f"{network}{number}" for number in range(10, 18)]

    async def good_one() -> int:
        fetching = Fetching(Dns(), 1, lambda _: True, patience=3)
        slow = [
            asyncio.create_task(fetching.fetch("www.evil.example", each, beacon))
            for each in addresses
        ]
        await asyncio.sleep(0)
        fetched = await fetching.fetch(NAME, f"{network}1", beacon)
        assert fetched.right
        done = sum(each.done() for each in slow)
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return done

    with ExitStack() as stack:
        for each in addresses:
            stack.enter_context(socket.create_server((each, beacon.port)))
        stack.enter_context(web(f"{network}1", beacon.port, right))
        assert asyncio.run(good_one()) == 1
