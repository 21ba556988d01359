"""Names of upstream servers are looked up side by side, and nobody waits for what hangs."""

from __future__ import annotations

import socket
import threading

import pytest

from proxygen.host import addresses
from proxygen.host.addresses import AT_ONCE, UNANSWERED, Addresses, system_addresses


def test_names_are_answered_with_addresses_or_with_why_not() -> None:
    def ask(name: str) -> tuple[str, ...]:
        if name == "gone":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return () if name == "empty" else ("10.0.0.1", "2001:db8::1")

    found = Addresses(ask).of(["app", "gone", "empty"])
    assert found["app"].addresses == ("10.0.0.1", "2001:db8::1")
    assert not found["app"].trouble
    assert found["gone"].trouble == "Name or service not known"
    assert found["empty"].trouble


def test_the_system_is_asked_as_nginx_asks_it() -> None:
    assert "127.0.0.1" in system_addresses("localhost")
    assert system_addresses("2130706433") == ("127.0.0.1",)


@pytest.mark.parametrize("name", ["a..b", f"{'x' * 64}.example", "x" * 252])
def test_what_is_no_name_has_no_address_and_a_reason(name: str) -> None:
    found = Addresses().of([name])
    assert not found[name].addresses
    assert found[name].trouble


def test_what_hangs_is_not_waited_for_nor_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(addresses, "SILENCE", 0.1)
    answer, count = threading.Event(), []

    def ask(name: str) -> tuple[str, ...]:
        count.append(name)
        if name == "slow":
            answer.wait(30)
        return ("10.0.0.1",)

    lookups = Addresses(ask)
    for _ in range(3):
        found = lookups.of(["slow", "quick"])
        assert found["slow"].trouble == UNANSWERED
        assert found["quick"].addresses
    assert count.count("slow") == 1
    answer.set()
    lookups.wait({"slow"})
    assert lookups.of(["slow"], age=60)["slow"].addresses == ("10.0.0.1",)


def test_never_more_threads_than_some_however_many_names() -> None:
    lock, most, running = threading.Lock(), 0, 0

    def ask(name: str) -> tuple[str, ...]:
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        return (f"10.0.{int(name) // 250}.{int(name) % 250}",)

    lookups = Addresses(ask)
    found = lookups.of([str(each) for each in range(10_000)])
    assert len({each.addresses for each in found.values()}) == 10_000
    assert most <= AT_ONCE
    lookups.only(["7"])
    assert list(lookups.found) == ["7"]


def test_what_was_looked_up_lately_is_not_looked_up_again() -> None:
    asked = []

    def ask(name: str) -> tuple[str, ...]:
        asked.append(name)
        return ("10.0.0.1",)

    now = [100.0]
    lookups = Addresses(ask, ticks=lambda: now[0])
    lookups.of(["app"])
    now[0] += 50
    lookups.of(["app"], age=90)
    assert len(asked) == 1
    now[0] += 50
    lookups.of(["app"], age=90)
    lookups.of(["app"])
    assert len(asked) == 3
