"""The name server for tests keeps what it promises to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.rcode
import dns.tsig
import dns.update
import pytest

from tests.live.machine import temporary_root
from tests.live.nameserver import NameServer, TsigKey, signed, zone_text
from tests.live.needs import needs

pytestmark = needs("named")


@pytest.fixture(scope="module")
def named() -> Iterator[NameServer]:
    """Return a server of one zone that is written and one that is updated."""
    zones = {
        "a.example": zone_text("a.example", "www A 192.0.2.1", "ns1 A 127.0.0.1"),
        "b.example": zone_text("b.example", "ns1 A 127.0.0.1"),
    }
    with temporary_root() as root, NameServer(root, zones, dynamic=("b.example",)) as running:
        yield running


def values(named: NameServer, name: str, rdtype: str) -> list[str]:
    """Return the records of a name."""
    return sorted(each.to_text() for rrset in named.ask(name, rdtype).answer for each in rrset)


def test_a_zone_that_is_written_is_served_at_once(named: NameServer) -> None:
    for number in (2, 3):
        text = zone_text("a.example", f"www A 192.0.2.{number}", "ns1 A 127.0.0.1")
        named.write("a.example", text)
        assert values(named, "www.a.example", "A") == [f"192.0.2.{number}"]


def test_an_update_replaces_and_deletes(named: NameServer) -> None:
    name = "_acme-challenge.b.example"
    named.set(name, "TXT", "one", "two")
    assert values(named, name, "TXT") == ['"one"', '"two"']
    named.set(name, "TXT")
    assert values(named, name, "TXT") == []


def test_an_update_without_the_key_is_refused(named: NameServer) -> None:
    update = dns.update.UpdateMessage("b.example")
    update.add("x", 60, "A", "192.0.2.1")
    with pytest.raises(AssertionError, match="REFUSED"):
        named.send(update)
    assert named.tsig_key.secret != TsigKey().secret


def test_a_zone_is_signed(tmp_path: Path) -> None:
    text = zone_text("a.example", "ns1 A 127.0.0.1")
    made = signed(tmp_path, "a.example", text)
    assert "RRSIG" in made.text
    assert made.ds.split()[1:3] == ["13", "2"]
    assert made.wrong_ds.split()[:3] == made.ds.split()[:3]
    assert made.wrong_ds != made.ds
