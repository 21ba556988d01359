"""A wildcard's alias is no delegation: told by a sibling that nobody has, or by the signature."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import cycle

import dns.rcode
import pytest
from dns.message import Message

from proxygen.dns.answers import Led, LookupFailure, LookupResult
from proxygen.dns.resolver import Resolver
from proxygen.dns.wildcards import sibling_of
from tests.dns.scripted import Says, Scripted, answer, asked_for, delegating, rooting
from tests.live import needs, ports
from tests.live.nameserver import network
from tests.solvers.zones import APEX, TARGETS, Zones, zones

pytestmark = needs("named", "ip")
ZONE = "a.example"
NAME = f"_acme-challenge.www.{ZONE}"
WEB = f"web.hoster.{ZONE}"
SOA = f"{ZONE} 60 SOA ns.test. host.test. 1 3600 600 86400 60"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zones]:
    """Name servers that take updates."""
    with zones(tmp_path_factory.mktemp("zones")) as served:
        yield served


def asked(says: Says, delegated: tuple[str, ...] = ()) -> tuple[Led, LookupResult, list[str]]:
    """Return where NAME leads by a server of its zone, what a check finds, and what was asked."""
    port = ports.reserve()
    with network() as prefix:
        root = rooting(f"{prefix}1", delegating(ZONE, {f"ns.{ZONE}": f"{prefix}2"}))
        with Scripted(port, {f"{prefix}1": root, f"{prefix}2": says}) as server:
            resolving = Resolver(roots=(f"{prefix}1",), port=port, patience=0.5)
            led = asyncio.run(resolving.led(NAME, "TXT", delegated))
            found = asyncio.run(resolving.resolve(NAME, "TXT"))
            names = server.names(f"{prefix}2")
    ports.release(port)
    return led, found, names


def leading(*targets: str, own: str = "", dname: str = "", labels: int = 0) -> Says:
    """Return a server whose wildcard leads to *targets* in turn, and NAME to its *own*."""
    turns = cycle(targets)

    def says(query: Message) -> Message:
        name, rdtype = asked_for(query)
        if "_" not in name or rdtype not in ("TXT", "CNAME"):
            return answer(query, authority=(SOA,))
        if not name.startswith("_acme-challenge.") and not targets:
            return answer(query, authority=(SOA,), rcode=dns.rcode.NXDOMAIN)
        if name.endswith((f"acme.{ZONE}", f"hoster.{ZONE}")):
            return answer(query, authority=(SOA,))
        target = own if own and name == NAME else next(turns)
        extra = [f"www.{ZONE} 60 DNAME {dname}."] if dname else []
        if dname:
            target = f"{name.partition('.')[0]}.{dname}"
        if labels:
            extra.append(
                f"{name} 60 RRSIG CNAME 13 {labels} 60 20300101000000 20200101000000 1 {ZONE}. AAAA"
            )
        return answer(query, f"{name} 60 CNAME {target}.", *extra)

    return says


@pytest.mark.parametrize(
    ("says", "followed"),
    [
        pytest.param(leading(WEB), False, id="a wildcard"),
        pytest.param(leading(WEB, own="w.acme.a.example"), True, id="an alias beside it"),
        pytest.param(leading(own="w.acme.a.example"), True, id="an alias and no wildcard"),
        pytest.param(
            leading(WEB, own=WEB),
            False,
            id="both lead to the same",
        ),
        pytest.param(leading("w.acme.a.example", labels=2), False, id="signed as a wildcard"),
        pytest.param(leading("w.acme.a.example", labels=4), True, id="signed as itself"),
        pytest.param(leading("x.test", dname="acme.a.example"), True, id="a DNAME record above"),
    ],
)
def test_what_a_wildcard_leads_elsewhere_is_not_followed(says: Says, followed: bool) -> None:
    led, found, _ = asked(says)
    assert bool(led.targets) is followed
    assert bool(found.chain) is followed
    assert bool(led.wildcard) is bool(found.wildcard) is not followed
    if not followed:
        assert led.zone == found.zone == ZONE
        assert not found.failure


def test_servers_that_answer_in_turn_are_asked_more_than_once() -> None:
    led, found, names = asked(leading("web1.hoster.a.example", "web2.hoster.a.example"))
    assert not led.targets
    assert not found.chain
    assert len(set(names)) > 2


def test_a_zone_that_is_there_for_records_is_led_to_on_purpose() -> None:
    led, _, _ = asked(leading("www.acme.a.example"), ("acme.a.example",))
    assert led.targets == ("www.acme.a.example",)


def test_a_sibling_is_asked_for_only_where_there_is_an_alias() -> None:
    def nothing(query: Message) -> Message:
        return answer(query, authority=(SOA,), rcode=dns.rcode.NXDOMAIN)

    led, found, names = asked(nothing)
    assert not led.wildcard
    assert found.failure is LookupFailure.NX_DOMAIN
    assert not [each for each in names if each.startswith("_") and each != NAME]


def test_a_sibling_is_beside_the_name_and_not_longer() -> None:
    name = sibling_of(NAME)
    assert name.partition(".")[2] == f"www.{ZONE}"
    assert len(name) <= len(NAME)
    assert name != sibling_of(NAME)


@pytest.mark.parametrize("place", [f"*.{APEX}", f"*.deep.{APEX}", f"*.there.{APEX}"])
def test_real_wildcards_at_any_depth(real: Zones, place: str) -> None:
    """Also below a name that has records of its own, where the wildcard above does not hold."""
    real.server.set(place, "CNAME", f"web.{TARGETS}.")
    real.server.set(f"there.{APEX}", "A", "192.0.2.7")
    name = f"_acme-challenge.{place.removeprefix('*.')}"
    assert real.lookups.target(name, ()) == name
    assert real.lookups.zone(name) == APEX
    assert real.lookups.target(name, (TARGETS,)) == f"web.{TARGETS}"
    real.server.set(name, "TXT", '"seen"')
    (shown,) = real.lookups.shown([name])[name]
    assert shown.values == ("seen",)
    real.server.set(place, "TXT", '"other"')


def test_resolvers_that_the_model_names_change_nothing(real: Zones) -> None:
    real.server.set(f"*.resolved.{APEX}", "CNAME", f"web.{TARGETS}.")
    real.server.set(f"_acme-challenge.own.resolved.{APEX}", "CNAME", f"own.{TARGETS}.")
    with real.resolver() as resolver:
        asking = Resolver([(resolver.address, resolver.port)], port=resolver.port)
        name, own = (f"_acme-challenge.{each}resolved.{APEX}" for each in ("", "own."))
        found, other = (asyncio.run(asking.resolve(each, "TXT")) for each in (name, own))
    assert (found.chain, found.wildcard) == ((), f"web.{TARGETS}")
    assert found.zone == APEX
    assert (other.chain, other.wildcard) == ((f"own.{TARGETS}",), "")


def test_a_wildcard_with_texts_is_as_good_as_no_record(real: Zones) -> None:
    real.server.set(f"*.texts.{APEX}", "TXT", '"v=spf1 -all"')
    name = f"_acme-challenge.texts.{APEX}"
    assert real.lookups.target(name, ()) == name
