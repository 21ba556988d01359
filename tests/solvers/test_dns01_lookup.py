"""Where a TXT record belongs and who shows it, without making a resolver believe there is none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from dns.message import Message

from proxygen.dns.answers import Led
from proxygen.dns.resolver import Resolver
from proxygen.errors import IssueFailed
from proxygen.solvers.dns01_lookup import Lookups
from tests.dns.scripted import Scripted, asked_for, delegating, holding, rooting
from tests.live import needs, ports
from tests.live.nameserver import Recursor, network
from tests.solvers.zones import APEX, HALF, LAGGING, TARGETS, Zones

pytestmark = needs("named", "ip")


@pytest.fixture
def resolver(zones: Zones) -> Iterator[Recursor]:
    """A resolver that remembers what is not there for a minute."""
    with zones.resolver() as running:
        yield running


def texts(resolver: Recursor, name: str) -> str:
    """Return what the resolver says of a name."""
    return str(resolver.ask(name, "TXT"))


def by(resolver: Recursor) -> Lookups:
    """Return lookups that ask a resolver."""
    return Lookups(Resolver([(resolver.address, resolver.port)], port=resolver.port))


def test_a_resolver_does_not_learn_from_us_that_a_record_is_missing(
    zones: Zones, resolver: Recursor
) -> None:
    name, led = f"_acme-challenge.fresh.{APEX}", f"_acme-challenge.led.{APEX}"
    zones.server.set(led, "CNAME", f"there.{TARGETS}.")
    with by(resolver) as lookups:
        assert lookups.target(name, ()) == name
        assert lookups.zone(name) == APEX
        assert lookups.target(led, ()) == f"there.{TARGETS}"
        assert lookups.zone(led) == TARGETS
    for place in (name, f"there.{TARGETS}"):
        zones.server.set(place, "TXT", '"value"')
        assert '"value"' in texts(resolver, place)


def test_every_server_of_the_zone_is_asked_anew(zones: Zones) -> None:
    name = f"_acme-challenge.every.{LAGGING}"
    before = zones.lookups.shown([name])[name]
    zones.server.set(name, "TXT", '"one"', '"two " "strings"')
    after = zones.lookups.shown([name])[name]
    assert [each.values for each in before] == [(), ()]
    assert [sorted(each.values) for each in after] == [["one", "two strings"], []]


def test_a_server_that_does_not_answer_is_told_as_such(zones: Zones) -> None:
    name = f"_acme-challenge.{HALF}"
    served, silent = zones.lookups.shown([name])[name]
    assert not served.words
    assert silent.words


def test_a_zone_that_nobody_knows_is_told_with_why(zones: Zones) -> None:
    with pytest.raises(IssueFailed, match="is in no zone that exists") as failed:
        zones.lookups.zone("_acme-challenge.www.nobody.example")
    assert "nobody.example" in failed.value.words


def aliases(query: Message) -> Message:
    """Answer with an alias: from ``there`` back to ``here``, and from the others to ``there``."""
    name = query.question[0].name.to_text()
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    target = "here.a.example." if name.startswith("there.") else "there.a.example."
    soa = "ns.a.example. h.a.example. 1 1 1 1 1"
    if query.question[0].rdtype == dns.rdatatype.SOA:
        reply.authority = [dns.rrset.from_text("a.example.", 60, "IN", "SOA", soa)]
    elif not name.startswith(("_acme-challenge.", "there.", "here.")):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    else:
        reply.answer = [dns.rrset.from_text(name, 60, "IN", "CNAME", target)]
    return reply


def test_aliases_in_a_circle_are_found_whoever_answers() -> None:
    port = ports.reserve()
    with network() as prefix:
        root = rooting(f"{prefix}1", delegating("a.example", {"ns.a.example": f"{prefix}2"}))
        with Scripted(port, {f"{prefix}1": root, f"{prefix}2": aliases}):
            resolving = Resolver(roots=(f"{prefix}1",), port=port, patience=0.5)
            led = asyncio.run(resolving.led("_acme-challenge.a.example", "TXT"))
            with Lookups(resolving) as lookups, pytest.raises(IssueFailed, match="by way of there"):
                lookups.target("_acme-challenge.a.example", ())
    ports.release(port)
    assert led.circling
    assert led.targets == ("there.a.example", "here.a.example", "there.a.example")


def test_no_name_is_refused_since_questions_about_others_took_the_time() -> None:
    """Each question to a silent server of the same domain keeps the only place."""
    port, held = ports.reserve(), threading.Event()

    def dead(query: Message) -> None:
        held.set()

    with network() as prefix:
        evil = {f"e{at}.a.example": f"{prefix}{at}" for at in (10, 11, 12)}
        apex = delegating("a.example", {"ns.a.example": f"{prefix}2"})

        def says(query: Message) -> bytes | Message | None:
            domain = ".".join(asked_for(query)[0].split(".")[-3:])
            below = domain in evil and delegating(domain, {f"ns.{domain}": evil[domain]})
            return (below or holding("a.example"))(query)

        parts = {
            f"{prefix}1": rooting(f"{prefix}1", apex),
            f"{prefix}2": says,
            **dict.fromkeys(evil.values(), dead),
        }
        resolving = Resolver(
            roots=(f"{prefix}1",), port=port, in_flight=1, patience=0.6, tries=1, within=1
        )

        async def others() -> list[asyncio.Task[Led]]:
            return [asyncio.create_task(resolving.led(f"_acme-challenge.{e}", "TXT")) for e in evil]

        with Scripted(port, parts), Lookups(resolving) as lookups:
            assert lookups.zone("_acme-challenge.a.example") == "a.example"
            lookups.asked(others())
            assert held.wait(10)
            with pytest.raises(IssueFailed) as failed:
                lookups.zone("_acme-challenge.a.example")
    ports.release(port)
    assert failed.value.failure.refused == ()


def test_after_the_end_nobody_waits_for_ever(zones: Zones) -> None:
    with Lookups(zones.lookups.resolver) as lookups:
        assert lookups.zone(APEX) == APEX
    with lookups:
        assert lookups.zone(APEX) == APEX  # it begins anew
