"""Many names looked at: so many at once, none of them harming another."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack

import pytest

from proxygen.dns.answers import LookupResult
from proxygen.names.findings import finding_sentence
from proxygen.names.states import Evidence
from proxygen.preflight import Asked, Beacon, Preflight
from proxygen.preflight.fetching import Fetching
from proxygen.preflight.name_check import NameCheck
from proxygen.preflight.reachability import Here, Leading
from tests.preflight.standins import (
    NOON,
    PRIVATE_CA,
    Dns,
    http,
    leading_to,
    only,
    reply,
    right,
    told,
    web,
)


def never() -> bool:
    """Go on to the end."""
    return False


def all_of(dns: Dns, names: list[str], beacon: Beacon | None = None) -> dict[str, Evidence]:
    """Look at names by http-01; every address counts as public."""
    found: dict[str, Evidence] = {}
    preflight = Preflight(dns, (), beacon, lambda: NOON, local=tuple, public=lambda _: True)
    preflight.check_names(
        map(http, names), lambda asked, each: found.update({asked.name: each}), never
    )
    return found


def test_every_name_is_told_with_when_it_was_checked_and_who_said_it() -> None:
    names = [f"n{number}.example" for number in range(120)]
    found = all_of(Dns({(each, "A"): ("192.0.2.1",) for each in names}), names)
    assert sorted(found) == sorted(names)
    assert {each.at for each in found.values()} == {NOON}
    assert {each.servers for each in found.values()} == {("ns1.shop.example",)}
    assert {each.source for each in found.values()} == {"authoritative"}


def test_a_bug_at_one_name_harms_no_other_and_is_no_reason_to_wait() -> None:
    dns = leading_to("192.0.2.1", name="good.example")
    dns.said["bad.example", "A"] = ZeroDivisionError("division by zero")
    found = all_of(dns, ["bad.example", "good.example"])
    assert told(found["bad.example"]) == [("cannot-look", False)]
    assert "ZeroDivisionError: division by zero" in finding_sentence(only(found["bad.example"]))
    assert told(found["good.example"]) == [("not-fetched", False)]


def test_a_bug_while_an_address_is_asked_is_no_reason_to_wait(network: str, port: int) -> None:
    beacon = Beacon("a-token", None, port)  # type: ignore[arg-type]
    with web(f"{network}1", port, right):
        found = all_of(leading_to(f"{network}1", name="bad.example"), ["bad.example"], beacon)
    assert told(found["bad.example"]) == [("cannot-look", False)]


def test_it_is_told_in_the_thread_of_the_caller() -> None:
    threads = []
    preflight = Preflight(Dns(), (), None, lambda: NOON, local=tuple)
    preflight.check_names([http()], lambda *_: threads.append(threading.current_thread()), never)
    assert threads == [threading.current_thread()]


def test_told_to_stop_it_ends_although_nobody_answers() -> None:
    dns, found = Dns({("www.shop.example", "A"): None}), []
    asked = iter([False, True])
    preflight = Preflight(dns, (), None, lambda: NOON, local=tuple)
    preflight.check_names([http()], lambda *each: found.append(each), lambda: next(asked))
    assert dns.asked
    assert not found


def test_what_the_caller_raises_reaches_the_caller() -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    preflight = Preflight(Dns(), (), None, lambda: NOON, local=tuple)
    with pytest.raises(OSError, match="no space left"):
        preflight.check_names([http()], full, never)


class Counting(Dns):
    """Counts how many names are looked at at once."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.most = 0

    async def resolve(self, name: str, rdtype: str) -> LookupResult:
        if "." in name.removesuffix(".example"):
            return await super().resolve(name, rdtype)
        self.names.add(name)
        self.most = max(self.most, len(self.names))
        await asyncio.sleep(0)
        found = await super().resolve(name, rdtype)
        self.names.discard(name)
        return found


def test_no_more_names_are_checked_at_once_than_allowed() -> None:
    dns, told_of = Counting(), []
    preflight = Preflight(dns, (), None, lambda: NOON, local=tuple, in_flight=7)
    asked = (http(f"n{number}.example") for number in range(100))
    preflight.check_names(asked, lambda *each: told_of.append(each), never)
    assert len(told_of) == 100
    assert 1 < dns.most <= 7


class Held:
    """Answers after a moment, and counts how many requests wait for it at once."""

    def __init__(self) -> None:
        self.now = self.most = self.all = 0
        self.lock = threading.Lock()

    def __call__(self, head: str) -> bytes:
        with self.lock:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
        threading.Event().wait(0.01)
        with self.lock:
            self.now -= 1
        return right(head)


def test_no_more_connections_are_open_than_allowed(network: str, beacon: Beacon) -> None:
    here = tuple(f"{network}{number}" for number in range(1, 5))
    names = [f"n{number}.example" for number in range(10)]
    dns = Dns({(each, "A"): here for each in names})
    preflight = Preflight(dns, here, beacon, lambda: NOON, local=tuple, in_flight=3)
    found: list[Evidence] = []
    held = Held()
    with ExitStack() as stack:
        for each in here:
            stack.enter_context(web(each, beacon.port, held))
        preflight.check_names(map(http, names), lambda _, each: found.append(each), never)
    assert not any(each.findings for each in found)
    assert held.all == 40
    assert 1 < held.most <= 3


def check_one_name(dns: Dns, asked: Asked, stated: str, beacon: Beacon, seconds: float) -> Evidence:
    """Look at one name, for no longer than *seconds*."""

    async def look() -> Evidence:
        fetching = Fetching(dns, 5, lambda _: True, patience=60)
        here = Here(frozenset({stated}), frozenset())
        return await NameCheck(dns, Leading(here, beacon, fetching), lambda: NOON, seconds).at(
            asked
        )

    return asyncio.run(look())


def test_a_check_ends_in_time_when_the_dns_does_not(beacon: Beacon) -> None:
    dns = Dns({("www.shop.example", "A"): None, ("www.shop.example", "AAAA"): None})
    assert told(check_one_name(dns, http(), "192.0.2.1", beacon, 0.3)) == [("cannot-look", False)]
    records = Dns({("_acme-challenge.shop.example", "TXT"): None})
    asked = Asked("shop.example", "*.shop.example", "dns-01", (PRIVATE_CA,))
    assert told(check_one_name(records, asked, "192.0.2.1", beacon, 0.3)) == [
        ("cannot-look", False)
    ]


def test_a_check_ends_in_time_when_a_server_and_caa_do_not(network: str, beacon: Beacon) -> None:
    here, end = f"{network}1", threading.Event()
    dns = leading_to(here)
    dns.said["www.shop.example", "CAA"] = None

    def silent(_: str) -> bytes:
        end.wait(60)
        return reply("200 OK")

    with web(here, beacon.port, silent):
        evidence = check_one_name(dns, http(), here, beacon, 0.3)
        end.set()
    assert told(evidence) == [("not-fetched", False), ("caa-lookup", False)]


def test_ten_thousand_names_are_told() -> None:
    count = 0

    def one_more(*_: object) -> None:
        nonlocal count
        count += 1

    preflight = Preflight(Dns(), (), None, lambda: NOON, local=tuple)
    asked = (Asked("o", f"n{n}.example", "dns-01", (PRIVATE_CA,)) for n in range(10_000))
    preflight.check_names(asked, one_more, never)
    assert count == 10_000
