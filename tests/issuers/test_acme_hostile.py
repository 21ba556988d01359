"""Hostile authorities: whatever drips, a request ends; trouble of one host is no other's."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxygen.errors import IssueFailed
from proxygen.host import connection
from proxygen.issuers.acme_server import AcmeServer
from proxygen.issuers.acme_transport import LARGEST_EXCHANGE, Pace, Unreached
from proxygen.model.certificate import KeyAndChain
from proxygen.solvers.http01 import Webroot
from tests.issuers.at_pebble import (
    QUICK,
    Place,
    at,
    issuer,
    made,
    problem_at,
    saying,
    settings,
    wanted,
)
from tests.issuers.hostile import Client, HostileAuthority, Says, hostile
from tests.live import needs, ports
from tests.live.between import Between, Reply
from tests.standins import MemoryStore

LONG = 60
"""Seconds within which what must end has ended; what drips would go on for ever."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT = Pace(connect=0.4, answer=0.8)


def server(authority: HostileAuthority, pace: Pace = SHORT) -> AcmeServer:
    """Return what asks an authority."""
    return AcmeServer(settings(authority), 4, lambda: datetime.now(UTC), pace)


def failure(asked: Callable[[], object]) -> IssueFailed:
    """Return how a request fails, which it must do by itself."""
    with ThreadPoolExecutor(1) as threads:
        error = threads.submit(asked).exception(LONG)
    assert isinstance(error, IssueFailed), error
    return error


def then(*steps: Callable[[Client], object]) -> Says:
    """Return what hears a request, and then does one thing after the other."""

    def says(client: Client) -> None:
        client.heard()
        for step in steps:
            step(client)

    return says


DRIPPING: dict[str, Says] = {
    "nothing": lambda client: client.wait(),
    "the status line": then(lambda c: c.say(b"HTTP/1.1 200 "), lambda c: c.drip(b"O")),
    "a header": then(lambda c: c.say(HEAD, b"X-Slow: "), lambda c: c.drip(b"x")),
    "many headers": then(lambda c: c.say(HEAD), lambda c: c.drip(b"X: y\r\n", 0.05)),
    "interim answers": then(lambda c: c.drip(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "a body": then(
        lambda c: c.say(HEAD, b"Content-Length: 100000\r\n\r\n"), lambda c: c.drip(b" ")
    ),
    "chunks": then(lambda c: c.say(CHUNKED), lambda c: c.drip(b"1\r\n \r\n")),
    "the size of a chunk": then(lambda c: c.say(CHUNKED), lambda c: c.drip(b"0")),
    "trailers": then(lambda c: c.say(CHUNKED, b"0\r\n"), lambda c: c.drip(b"X: y\r\n")),
}


@pytest.mark.parametrize("says", DRIPPING.values(), ids=DRIPPING)
def test_a_request_is_over_in_time_whatever_drips(tmp_path: Path, says: Says) -> None:
    with hostile(tmp_path, says) as authority:
        failed = failure(server(authority).directory)
    assert "cannot be used" in failed.what
    assert "did not answer in time" in failed.what
    assert failed.failure.everybody


FLOODING: dict[str, Says] = {
    "interim answers": then(lambda c: c.flood(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "a body": then(lambda c: c.say(HEAD, b"\r\n"), lambda c: c.flood(b" " * 100)),
    "trailers": then(lambda c: c.say(CHUNKED, b"0\r\n"), lambda c: c.flood(b"X: y\r\n" * 10)),
    "chunks": then(lambda c: c.say(CHUNKED), lambda c: c.flood(b"1;" + b"x" * 99 + b"\r\n \r\n")),
}


@pytest.mark.parametrize("says", FLOODING.values(), ids=FLOODING)
def test_no_answer_is_larger_than_any_honest_one(tmp_path: Path, says: Says) -> None:
    with hostile(tmp_path, says) as authority:
        failed = failure(server(authority, Pace(answer=LONG)).directory)
    assert "more than" in failed.words
    assert str(LARGEST_EXCHANGE) in failed.words or "1048576" in failed.words


def record(client: Client) -> None:
    """Begin a record of TLS that does not end."""
    client.connection.recv(4096)
    client.say(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
    client.drip(b"\x03")


@pytest.mark.parametrize("says", [record, lambda client: client.wait()], ids=["drips", "silent"])
def test_a_handshake_is_over_in_time(tmp_path: Path, says: Says) -> None:
    with hostile(tmp_path, says, tls=False) as authority:
        failed = failure(server(authority).directory)
    assert "did not answer in time" in failed.what


def test_the_lookup_of_the_address_is_a_part_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, looks = threading.Event(), []

    def never(*asked: object, **_: object) -> list[object]:
        looks.append(asked)
        over.wait()
        return []

    monkeypatch.setattr(connection.socket, "getaddrinfo", never)
    with hostile(tmp_path, Client.wait) as authority:
        given = replace(settings(authority), directory="https://acme.example/dir")
        one = AcmeServer(given, 4, lambda: datetime.now(UTC), Pace(connect=0.2, answer=0.5, down=0))
        with ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(one.network.get, given.directory) for _ in range(3)]
            failures = [each.exception(LONG) for each in asked]
    over.set()
    assert all(isinstance(each, Unreached) for each in failures)
    assert "did not answer in time" in str(failures[0])
    assert len(looks) == 1, "who asks for the same host waits for the same look"


def test_nonces_that_are_rejected_share_the_time_of_one_request(
    common: Place, tmp_path: Path
) -> None:
    """Each rejection is answered in time, all of them together are not."""
    with Between(common.pebble, tmp_path) as between:
        one = issuer(settings(between), Webroot(common.challenges), pace=replace(QUICK, answer=1.5))
        one.issue(wanted("nonces.example"), None)
        late, rejected = threading.Event(), problem_at("order-plz", 400, "badNonce", {})

        def tamper(step: str, reply: Reply) -> Reply:
            if step == "order-plz":
                late.wait(0.6)
            return rejected(step, reply)

        between.tamper = tamper
        asked = len(between.times("order-plz"))
        failed = failure(lambda: one.issue(wanted("more.nonces.example"), None))
        assert "did not answer in time" in failed.what
        assert len(between.times("order-plz")) - asked < 6


def test_all_requests_of_an_order_share_its_time(common: Place, tmp_path: Path) -> None:
    """Each authorization is shown in time, a hundred of them are not."""
    with Between(common.pebble, tmp_path) as between:
        late = threading.Event()

        def tamper(step: str, reply: Reply) -> Reply:
            if step != "order-plz" or reply.status != 201:
                return reply
            url = reply.said["authorizations"][0]
            return reply.saying(authorizations=[f"{url}{n}" for n in range(900)])

        def instead(step: str, _signed: object) -> Reply | None:
            if step != "authZ":
                return None
            late.wait(0.1)
            identifier = {"type": "dns", "value": "many.example"}
            said = {"identifier": identifier, "status": "valid", "challenges": []}
            return Reply(200, {}, json.dumps(said).encode())

        between.tamper, between.instead = tamper, instead
        one = issuer(settings(between), Webroot(common.challenges), pace=replace(QUICK, order=1))
        failed = failure(lambda: one.issue(wanted("many.example"), None))
        assert "has not finished the order" in failed.what
        assert len(between.times("authZ")) < 100


def test_what_is_packed_is_not_unpacked(tmp_path: Path) -> None:
    """A thousandth of what it would become: nobody asked for it to be packed."""
    bomb = gzip.compress(b" " * 50_000_000)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with hostile(tmp_path, then(lambda c: c.say(head, bomb), Client.wait)) as authority:
        answer = server(authority, Pace(answer=LONG)).network.get(authority.directory)
    assert answer.body == bomb


def test_an_interim_answer_is_no_answer(tmp_path: Path) -> None:
    said = b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\n{}"
    with hostile(tmp_path, then(lambda c: c.say(said), Client.wait)) as authority:
        failed = failure(server(authority).directory)
    assert "closed the connection" in failed.what


# Which hosts an authority may lead to


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        pytest.param("https://127.0.0.77:{port}/order", True, id="beside it"),
        pytest.param("https://10.0.0.1/order", False, id="a private network"),
        pytest.param("https://169.254.169.254/latest", False, id="a cloud's metadata"),
        pytest.param("https://[::1]:{port}/order", False, id="this host"),
        pytest.param("https://[::ffff:10.0.0.1]/order", False, id="mapped"),
        pytest.param("https://[64:ff9b::a00:1]/order", False, id="by NAT64"),
    ],
)
def test_an_authority_leads_nobody_into_a_private_network(
    tmp_path: Path, url: str, asked: bool
) -> None:
    with hostile(tmp_path, then(lambda c: c.say(HEAD, b"Content-Length: 2\r\n\r\n{}"))) as first:
        one = server(first, Pace(answer=LONG))
        one.network.get(first.directory)
        failed = failure(lambda: one.network.get(url.format(port=ports.reserve())))
    assert ("refused" in failed.words) is asked
    assert ("internet" in failed.words) is not asked
    assert not failed.failure.everybody


def test_a_name_that_leads_into_a_private_network_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def found(host: str, port: int, **more: int) -> list[tuple[object, ...]]:
        return list(real("10.0.0.1" if host == "inside.example" else host, port, **more))

    monkeypatch.setattr(connection.socket, "getaddrinfo", found)
    with hostile(tmp_path, then(lambda c: c.say(HEAD, b"Content-Length: 2\r\n\r\n{}"))) as first:
        one = server(first, Pace(answer=LONG))
        one.network.get(first.directory)
        failed = failure(lambda: one.network.get("https://inside.example/order"))
    assert "no address that may be connected to" in failed.words


# Trouble of one host

pebble = needs("pebble", "pebble-challtestsrv")


@pytest.fixture
def dead() -> Iterator[str]:
    """Return the URL of a host at which nobody listens."""
    port = ports.reserve()
    yield f"https://127.0.0.78:{port}"
    ports.release(port)


def led_to(elsewhere: str, step: str, field: str) -> Callable[[str, Reply], Reply]:
    """Return what has an authority's answers name a URL on another host."""

    def change(reply: Reply) -> Reply:
        given = reply.said.get(field)
        if not given:
            return reply
        path = (given[0] if isinstance(given, list) else given).split("/", 3)[3]
        url = f"{elsewhere}/{path}"
        return reply.saying(**{field: [url] if isinstance(given, list) else url})

    return at(step, change)


@pebble
@pytest.mark.parametrize(
    ("step", "field"), [("order-plz", "authorizations"), ("my-order", "certificate")]
)
def test_a_host_that_is_down_is_no_trouble_of_the_authority(
    between: Between, common: Place, dead: str, step: str, field: str
) -> None:
    wrong = led_to(dead, step, field)
    victims = {"dead.example"}

    def tamper(at: str, reply: Reply) -> Reply:
        said = json.loads(reply.body) if reply.body.startswith(b"{") else {}
        names = {each["value"] for each in said.get("identifiers", ())}
        return wrong(at, reply) if names & victims else reply

    between.tamper = tamper
    one = issuer(settings(between), Webroot(common.challenges))
    failed = failure(lambda: one.issue(wanted("dead.example"), None))
    assert not failed.failure.everybody
    assert dead.removeprefix("https://") in failed.what
    assert one.issue(wanted("alive.example"), None)


def kept(store: MemoryStore, owner: str) -> dict[str, object]:
    """Return the orders that are kept for an owner, by authority."""
    stored = store.get(f"orders/{owner}")
    return dict(json.loads(stored)["orders"]) if stored else {}


def with_order_at(store: MemoryStore, owner: str, url: str) -> None:
    """Have the order that is kept for an owner lie elsewhere."""
    stored = store.get(f"orders/{owner}")
    assert stored
    memory = json.loads(stored)
    for each in memory["orders"].values():
        each["url"] = url
    store.put(f"orders/{owner}", json.dumps(memory).encode())


def begun(between: Between, common: Place, store: MemoryStore, owner: str) -> None:
    """Begin an order that is not finished."""
    between.tamper = at("my-order", saying(status="processing"))
    pace = replace(QUICK, order=0.5)
    one = issuer(settings(between), Webroot(common.challenges), store, pace=pace)
    assert "not finished" in failure(lambda: one.issue(wanted(owner), None)).what
    between.tamper = lambda _, reply: reply
    assert kept(store, owner)


def tries(
    between: Between, common: Place, store: MemoryStore, owner: str, **pace: float
) -> Iterator[KeyAndChain | IssueFailed]:
    """Yield how it ends, run after run."""
    while True:
        quick = replace(QUICK, **pace)
        one = issuer(settings(between), Webroot(common.challenges), store, pace=quick)
        try:
            yield one.issue(wanted(owner), None)
        except IssueFailed as error:
            yield error


@pebble
@pytest.mark.parametrize("where", ["refuses", "is unknown", "hangs", "is private"])
def test_an_order_that_cannot_be_reached_is_dropped_in_the_end(
    between: Between, common: Place, tmp_path: Path, dead: str, where: str
) -> None:
    owner, store = f"{where.replace(' ', '-')}.kept.example", MemoryStore()
    begun(between, common, store, owner)
    with hostile(tmp_path, then(Client.wait), address="127.0.0.79") as hanging:
        url = {
            "refuses": dead,
            "is unknown": "https://nobody.invalid",
            "hangs": hanging.url,
            "is private": "https://10.0.0.1",
        }[where]
        with_order_at(store, owner, f"{url}/my-order/1")
        orders = made(common.pebble, "orders")
        runs = tries(between, common, store, owner, answer=2)
        for _ in range(3):
            failed = next(runs)
            assert isinstance(failed, Unreached)
            assert not failed.failure.everybody
            assert made(common.pebble, "orders") == orders
        assert isinstance(next(runs), KeyAndChain)
    assert made(common.pebble, "orders") == orders + 1


@pebble
@pytest.mark.parametrize(
    ("status", "runs"), [pytest.param(404, 0, id="gone"), pytest.param(500, 3, id="broken")]
)
def test_an_order_that_is_not_shown_is_dropped(
    between: Between, common: Place, status: int, runs: int
) -> None:
    owner, store = f"s{status}.kept.example", MemoryStore()
    begun(between, common, store, owner)
    gone = Reply(status, {}, b"{}")
    shown = (
        "/"
        + json.loads(store.get(f"orders/{owner}") or b"")["orders"][between.directory]["url"].split(
            "/", 3
        )[3]
    )
    between.tamper_path = lambda path, reply: gone if path == shown else reply
    outcomes = tries(between, common, store, owner)
    for _ in range(runs):
        failed = next(outcomes)
        assert isinstance(failed, IssueFailed)
        assert not failed.failure.everybody
    assert isinstance(next(outcomes), KeyAndChain)


@pebble
def test_an_order_outlives_an_authority_that_is_away(
    between: Between, common: Place, dead: str
) -> None:
    """What is down for everybody is not the order's fault: it is continued afterwards."""
    owner, store = "outage.kept.example", MemoryStore()
    begun(between, common, store, owner)
    orders = made(common.pebble, "orders")
    away = replace(settings(between), directory=between.directory)
    between.tamper = lambda _, reply: Reply(503, {}, b"busy")
    for _ in range(5):
        one = issuer(away, Webroot(common.challenges), store)
        assert failure(lambda one=one: one.issue(wanted(owner), None)).failure.everybody
    between.tamper = lambda _, reply: reply
    assert isinstance(next(tries(between, common, store, owner)), KeyAndChain)
    assert made(common.pebble, "orders") == orders


@pebble
def test_an_order_that_is_never_finished_is_dropped_in_the_end(
    between: Between, common: Place
) -> None:
    owner, store = "never.kept.example", MemoryStore()
    begun(between, common, store, owner)
    first = kept(store, owner)[between.directory]
    assert isinstance(first, dict)
    between.tamper_path = lambda path, reply: (
        reply.saying(status="processing") if first["url"].endswith(path) else reply
    )
    runs = tries(between, common, store, owner, order=0.2)
    for _ in range(9):  # and once while it was begun
        assert "not finished" in str(next(runs))
    assert isinstance(next(tries(between, common, store, owner)), KeyAndChain)


@pebble
def test_a_second_order_of_another_name_goes_on_beside_one_that_hangs(
    between: Between, common: Place, tmp_path: Path
) -> None:
    store = MemoryStore()
    begun(between, common, store, "hang.kept.example")
    with hostile(tmp_path, then(Client.wait), address="127.0.0.80") as hanging:
        with_order_at(store, "hang.kept.example", f"{hanging.url}/order")
        pace = replace(QUICK, answer=2)
        one = issuer(settings(between), Webroot(common.challenges), store, pace=pace)
        assert not failure(lambda: one.issue(wanted("hang.kept.example"), None)).failure.everybody
        assert one.issue(wanted("other.kept.example"), None)
