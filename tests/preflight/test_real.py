"""Names looked at in a real DNS, from its root down, and at a real nginx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxygen.dns.resolver import Resolver
from proxygen.names.findings import finding_sentence
from proxygen.names.states import Evidence
from proxygen.preflight import Asked, AuthorityIdentity, Beacon, Preflight, own_addresses
from tests.conftest import require
from tests.live import nameserver
from tests.live.machine import temporary_root
from tests.live.nameserver import FIRST, ROOT, SECOND, Internet
from tests.live.needs import needs
from tests.live.nginx import Nginx
from tests.preflight.standins import NOON, TOKEN, told

pytestmark = needs("named", "nginx")
LETSENCRYPT = AuthorityIdentity(
    "https://ca.test/directory", ("letsencrypt.org",), "https://ca.test/acct/1"
)
PUBLISHED = "192.0.2.10"
BODY = "drawn"
SERVER = """
server {{
    listen {address}:{port};
    location /.well-known/acme-challenge/ {{ root {folder}; }}
    location / {{ return 404; }}
}}
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Internet]:
    """Return the little internet."""
    require(["named"])
    with temporary_root() as root, nameserver.internet(root) as running:
        yield running


class Servers(Nginx):
    """Our server block at one address, and another customer's at another."""

    def __init__(self, root: Path, ours: str, theirs: str) -> None:
        super().__init__(root)
        self.addresses = {ours: "www", theirs: "empty"}

    def configure(self) -> None:
        """Write the server blocks and the challenge file."""
        super().configure()
        place = self.root / "www/.well-known/acme-challenge"
        place.mkdir(parents=True)
        (place / TOKEN).write_text(f"{BODY}\n")
        blocks = (
            SERVER.format(address=each, port=self.http, folder=self.root / folder)
            for each, folder in self.addresses.items()
        )
        (self.conf_d / "servers.conf").write_text("".join(blocks))


@pytest.fixture
def nginx(root: Path, net: Internet) -> Iterator[Nginx]:
    """Return nginx: it answers our challenge at FIRST, and 404 at SECOND."""
    with Servers(root, net.at(FIRST), net.at(SECOND)) as running:
        yield running


def check_name(
    net: Internet,
    *names: str,
    addresses: tuple[str, ...] = (PUBLISHED,),
    beacon: Beacon | None = None,
    challenge: str = "http-01",
    authority: AuthorityIdentity = LETSENCRYPT,
) -> dict[str, Evidence]:
    """Look at names from the root of the little internet."""
    found: dict[str, Evidence] = {}
    preflight = Preflight(
        Resolver(roots=(net.at(ROOT),), system=lambda: ()),
        addresses,
        beacon,
        lambda: NOON,
        local=tuple,
        public=lambda _: True,
    )
    zones = ("hoster.test", "nobody.example")
    asked = (Asked("shop.example", each, challenge, (authority,), zones) for each in names)
    preflight.check_names(
        asked, lambda each, evidence: found.update({each.name: evidence}), lambda: False
    )
    return found


def published(net: Internet, name: str, rdtype: str, value: str) -> None:
    """Make *value* the record of a name at both servers of its zone."""
    for number in (FIRST, SECOND):
        net.server.set(name, rdtype, value, address=net.at(number))


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("www.hoster.test", []),
        ("alias.shop.example", []),
        ("www.signed.example", []),
        ("www.half-gone.example", []),
        ("nothing.shop.example", [("nxdomain", True)]),
        ("dangling.shop.example", [("nxdomain", True)]),
        ("www.nobody.example", [("no-delegation", True)]),
        ("lost.shop.example", [("no-delegation", True)]),
        ("text.shop.example", [("no-address", True)]),
        ("www.lame.example", [("servers-lame", True)]),
        ("www.gone.example", [("servers-silent", True)]),
        ("www.expired.example", [("dnssec", True)]),
        ("www.mismatch.example", [("dnssec", True)]),
        ("www.unsigned.example", [("dnssec", True)]),
        ("round.shop.example", [("cname-loop", True)]),
        ("c0.shop.example", [("chain-too-long", True)]),
        ("www.lagging.example", [("differing", True), ("elsewhere", True)]),
        ("many.shop.example", [*[("elsewhere", True)] * 7, ("too-many", False)]),
    ],
)
def test_the_dns_of_a_name(net: Internet, name: str, codes: list[tuple[str, bool]]) -> None:
    assert told(check_name(net, name)[name]) == codes


def test_what_is_kept_of_a_check(net: Internet) -> None:
    evidence = check_name(net, "far.shop.example")["far.shop.example"]
    assert evidence.addresses == (PUBLISHED,)
    assert evidence.chain == ("alias.shop.example", "www.hoster.test")
    assert evidence.caa == ('0 issue "letsencrypt.org"',)
    assert any(net.at(FIRST) in each for each in evidence.servers)
    assert evidence.source == "authoritative"


def test_caa_of_the_domain_holds_for_its_hosts(net: Internet) -> None:
    other = AuthorityIdentity("https://other.test/directory", ("other.test",))
    evidence = check_name(net, "alias.shop.example", authority=other)["alias.shop.example"]
    assert told(evidence) == [("caa", True)]
    assert evidence.findings[0].get("domain") == "shop.example"


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("shop.example", []),
        ("*.shop.example", []),
        ("not-there.shop.example", []),
        ("nobody.example", [("no-delegation", True)]),
        ("gone.example", [("servers-silent", True)]),
        ("lame.example", [("servers-lame", True)]),
        ("expired.example", [("dnssec", True)]),
    ],
)
def test_the_zone_of_a_record(net: Internet, name: str, codes: list[tuple[str, bool]]) -> None:
    assert told(check_name(net, name, challenge="dns-01")[name]) == codes


def test_an_alias_of_the_record_must_lead_to_a_zone(net: Internet) -> None:
    name = "_acme-challenge.delegating.dynamic.example"
    published(net, name, "CNAME", "delegating.hoster.test.")
    wanted = "delegating.dynamic.example"
    assert told(check_name(net, wanted, challenge="dns-01")[wanted]) == []
    published(net, name, "CNAME", "delegating.nobody.example.")
    assert told(check_name(net, wanted, challenge="dns-01")[wanted]) == [("acme-challenge", True)]


def test_a_name_becomes_right_when_its_record_does(net: Internet, nginx: Nginx) -> None:
    beacon, here = Beacon(TOKEN, BODY, nginx.http), net.at(FIRST)
    name, host = "late.dynamic.example", "ours.dynamic.example"

    def found() -> Evidence:
        return check_name(net, name, addresses=(here,), beacon=beacon)[name]

    assert told(found()) == [("nxdomain", True)]
    published(net, name, "A", net.at(SECOND))
    evidence = found()
    assert told(evidence) == [("elsewhere", True)]
    assert "(404 Not Found (nginx/" in finding_sentence(evidence.findings[0])
    published(net, name, "A", here)
    assert told(found()) == []
    published(net, host, "A", here)
    at_host = check_name(net, host, addresses=(), beacon=beacon)[host]
    assert own_addresses(at_host, public=lambda _: True) == (here,)


def test_one_bad_name_never_costs_the_others(net: Internet) -> None:
    names = ("www.gone.example", "www.hoster.test", "www.expired.example", "x" * 70 + ".example")
    found = check_name(net, *names)
    assert set(found) == set(names)
    assert told(found["www.hoster.test"]) == []
    assert told(found[names[3]]) == [("cannot-look", False)]
