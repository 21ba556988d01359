"""Names looked up from the root down, at real servers."""

from __future__ import annotations

import asyncio

import pytest

from proxygen.dns.answers import AnswerSource, LookupFailure, LookupResult, ReplyKind
from proxygen.dns.resolver import Resolver
from proxygen.names.findings import cause_words
from tests.causes import why
from tests.dns.scripted import zone_of
from tests.live.nameserver import FIRST, LAME, NOBODY, ROOT, SECOND, Internet
from tests.live.needs import needs

pytestmark = needs("named")


def resolving(net: Internet) -> Resolver:
    """Return what asks the root of the little internet, and no resolver of this host."""
    return Resolver(roots=(net.at(ROOT),), system=lambda: ())


def resolve(net: Internet, name: str, rdtype: str) -> LookupResult:
    """Look once, without anything kept."""
    return asyncio.run(resolving(net).resolve(name, rdtype))


@pytest.mark.parametrize(
    ("name", "rdtype", "records", "chain", "zone"),
    [
        pytest.param("www.shop.example", "A", ["192.0.2.10"], [], "shop.example", id="A"),
        pytest.param("WWW.Shop.Example.", "A", ["192.0.2.10"], [], "shop.example", id="spelling"),
        pytest.param("www.shop.example", "AAAA", ["2001:db8::10"], [], "shop.example", id="AAAA"),
        pytest.param(
            "shop.example", "CAA", ['0 issue "letsencrypt.org"'], [], "shop.example", id="CAA"
        ),
        pytest.param("text.shop.example", "TXT", ["one two"], [], "shop.example", id="TXT joined"),
        pytest.param("www.shop.example", "CAA", [], [], "shop.example", id="no such record"),
        pytest.param(
            "far.shop.example",
            "A",
            ["192.0.2.10"],
            ["alias.shop.example", "www.hoster.test"],
            "hoster.test",
            id="aliases across zones",
        ),
        pytest.param(
            "c2.shop.example",
            "A",
            ["192.0.2.12"],
            [f"c{number}.shop.example" for number in range(3, 13)],
            "shop.example",
            id="ten aliases",
        ),
        pytest.param(
            "alias.shop.example", "CNAME", ["www.hoster.test."], [], "shop.example", id="CNAME"
        ),
        pytest.param(
            "www.glueless.example", "A", ["192.0.2.10"], [], "glueless.example", id="no glue"
        ),
        pytest.param(
            "www.sub.deep.example", "A", ["192.0.2.10"], [], "sub.deep.example", id="same server"
        ),
    ],
)
def test_records_are_found_at_the_end_of_the_chain(
    net: Internet, name: str, rdtype: str, records: list[str], chain: list[str], zone: str
) -> None:
    found = resolve(net, name, rdtype)
    assert (list(found.records), list(found.chain), found.zone) == (records, chain, zone)
    assert (found.failure, found.because, found.dnssec, found.differing) == ("", (), None, False)
    assert found.source is AnswerSource.AUTHORITATIVE
    assert len(found.replies) == 2


@pytest.mark.parametrize(
    ("name", "trouble", "words", "chain"),
    [
        pytest.param(
            "no.shop.example", "nxdomain", "shop.example do not know no.shop", 0, id="name"
        ),
        pytest.param(
            "a.nobody.example", "no-delegation", "not know nobody.example", 0, id="domain"
        ),
        pytest.param(
            "a.nowhere", "no-delegation", "the name servers of . do not know", 0, id="no such TLD"
        ),
        pytest.param("lost.shop.example", "no-delegation", "nobody.example", 1, id="alias to it"),
        pytest.param("dangling.shop.example", "nxdomain", "nothing.hoster.test", 1, id="dangling"),
        pytest.param("www.gone.example", "servers-silent", "connection refused", 0, id="gone"),
        pytest.param("www.lame.example", "servers-lame", "answers REFUSED", 0, id="lame"),
        pytest.param("a.left.example", "servers-silent", "ns.right.example: no pub", 0, id="ring"),
        pytest.param("round.shop.example", "cname-loop", "-> about.shop.example ->", 2, id="loop"),
        pytest.param("c1.shop.example", "chain-too-long", "more than 10 CNAME", 11, id="too long"),
        pytest.param("a..example", "cannot-look", "the DNS cannot be asked this", 0, id="no name"),
    ],
)
def test_trouble_names_what_is_wrong_and_whose_words_say_so(
    net: Internet, name: str, trouble: str, words: str, chain: int
) -> None:
    found = resolve(net, name, "A")
    assert found.failure == trouble
    assert words in cause_words(found.because)
    assert found.records == ()
    assert len(found.chain) == chain


def test_a_server_that_lags_behind_is_seen(net: Internet) -> None:
    found = resolve(net, "www.lagging.example", "A")
    assert found.differing
    assert {each.server: each.records for each in found.replies} == {
        f"ns1.lagging.example ({net.at(FIRST)})": ("192.0.2.10",),
        f"ns2.lagging.example ({net.at(SECOND)})": ("192.0.2.99",),
    }


@pytest.mark.parametrize(
    ("name", "number", "kind"),
    [
        ("www.half-lame.example", LAME, ReplyKind.REFUSED),
        ("www.half-gone.example", NOBODY, ReplyKind.SILENT),
    ],
)
def test_one_server_that_does_not_serve_is_told_and_harms_nothing(
    net: Internet, name: str, number: int, kind: ReplyKind
) -> None:
    found = resolve(net, name, "A")
    assert (found.records, found.failure, found.differing) == (("192.0.2.10",), "", False)
    [wrong] = [each for each in found.replies if net.at(number) in each.server]
    assert wrong.kind is kind


@pytest.mark.parametrize(
    ("name", "dnssec"),
    [
        ("www.signed.example", ""),
        ("no-such-record.signed.example", ""),
        ("any.wild.signed.example", ""),
        ("www.old.signed.example", ""),
        ("alias.signed.example", "zone expired.example"),
        ("www.expired.example", "zone expired.example: the signature of the DNSKEY record expired"),
        ("www.mismatch.example", "zone mismatch.example: no DNSKEY of the zone matches the DS"),
        ("www.unsigned.example", "but the zone has no DNSKEY"),
        ("www.shop.example", ""),
    ],
)
def test_what_is_wrong_with_the_signatures_is_told(net: Internet, name: str, dnssec: str) -> None:
    found = resolve(net, name, "A")
    assert dnssec in why(found.dnssec)
    assert bool(found.dnssec) == bool(dnssec)


def test_an_answer_that_does_not_fit_into_a_datagram_comes_over_tcp(net: Internet) -> None:
    assert len(resolve(net, "many.shop.example", "A").records) == 99


def test_a_zone_is_told_with_every_server(net: Internet) -> None:
    apex, servers = zone_of(resolving(net), "www.glueless.example")
    assert apex == "glueless.example"
    assert servers == [
        ("ns1.hoster.test", net.at(FIRST), 53),
        ("ns2.hoster.test", net.at(SECOND), 53),
    ]
    assert zone_of(resolving(net), "www.nobody.example") == ("", [])


def test_servers_that_only_the_zone_itself_names_are_among_all(net: Internet) -> None:
    name = "www.hidden.example"
    assert len(resolve(net, name, "A").replies) == 1
    assert len(asyncio.run(resolving(net).led(name, "A")).replies) == 2


def test_every_server_is_asked_now_whatever_is_kept(net: Internet) -> None:
    name = "_acme-challenge.dynamic.example"
    asking = resolving(net)

    async def both() -> tuple[LookupResult, list[tuple[str, ...]]]:
        await asking.resolve(name, "TXT")
        net.server.set(name, "TXT", '"first"', address=net.at(FIRST))
        replies = (await asking.led(name, "TXT")).replies
        return await asking.resolve(name, "TXT"), [each.records for each in replies]

    kept, now = asyncio.run(both())
    assert (kept.records, kept.failure) == ((), LookupFailure.NX_DOMAIN)
    assert now == [("first",), ()]


def test_every_server_is_asked_for_the_name_at_the_end_of_the_chain(net: Internet) -> None:
    replies = asyncio.run(resolving(net).led("far.shop.example", "A")).replies
    assert [(each.server.split()[0], each.records) for each in replies] == [
        ("ns1.hoster.test", ("192.0.2.10",)),
        ("ns2.hoster.test", ("192.0.2.10",)),
    ]
    assert asyncio.run(resolving(net).led("a.nobody.example", "TXT")).replies == ()


def test_what_is_kept_serves_the_next_event_loop(net: Internet) -> None:
    asking = resolving(net)
    first = asyncio.run(asking.resolve("www.shop.example", "A"))
    asked = asking.asking.asked
    assert asyncio.run(asking.resolve("www.shop.example", "A")) == first
    assert asking.asking.asked == asked
    asyncio.run(asking.resolve("www.shop.example", "AAAA"))
    assert asking.asking.asked == asked + 2  # the way to the zone is known


def test_the_same_question_at_the_same_time_is_asked_once(net: Internet) -> None:
    asking = resolving(net)

    async def many() -> list[LookupResult]:
        return await asyncio.gather(*(asking.resolve("www.shop.example", "A") for _ in range(20)))

    found = asyncio.run(many())
    assert len(set(found)) == 1
    assert asking.asking.asked == 4  # root, registry, and two servers
