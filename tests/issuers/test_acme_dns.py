"""Names proven by the DNS, and addresses: a real authority, real name servers, real refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxygen.errors import IssueFailed
from proxygen.issuers.acme import AcmeIdentity, AcmeIssuer
from proxygen.model import persist
from proxygen.model.certificate import Certificate
from proxygen.model.x509 import covered_names
from proxygen.solvers import Solver
from proxygen.solvers.dns01 import Dns01
from proxygen.solvers.dns01_records import KeptRecords
from proxygen.solvers.dnspersist01 import PersistentRecord
from proxygen.solvers.http01 import Webroot
from tests.conftest import require
from tests.failures import not_issued
from tests.issuers.at_pebble import URN, Place, issuer, leaf, made, settings, usual, wanted
from tests.live import needs
from tests.live.machine import temporary_root
from tests.live.pebble import Pebble
from tests.live.small_authority import SmallAuthority
from tests.live.small_authority_dns import ISSUER
from tests.solvers.zones import APEX, HALF, TARGETS, Zones
from tests.solvers.zones import zones as running
from tests.standins import MemoryStore

pytestmark = needs("named", "ip", "pebble", "pebble-challtestsrv")


@pytest.fixture(scope="module")
def zones() -> Iterator[Zones]:
    """Name servers that take updates."""
    require(["named", "ip"])
    with temporary_root() as root, running(root) as served:
        yield served


@pytest.fixture(scope="module")
def pebble(zones: Zones) -> Iterator[Pebble]:
    """An authority whose resolver finds these name servers."""
    with temporary_root() as root, zones.resolver() as resolver:
        place = f"{resolver.address}:{resolver.port}"
        with Pebble(root, http_port=1, dnsserver=place) as authority:
            yield authority


@pytest.fixture
def authority(zones: Zones, tmp_path: Path) -> Iterator[SmallAuthority]:
    """An authority that offers dns-persist-01 beside the others."""
    with SmallAuthority(
        tmp_path,
        clock=lambda: datetime.now(UTC),
        http_port=1,
        challenges=("http-01", "dns-01", "dns-persist-01"),
        nameserver=(zones.server.address, zones.server.port),
    ) as running_one:
        yield running_one


def dns01(zones: Zones, store: MemoryStore) -> Dns01:
    """Return a solver that writes to these zones."""
    more = {"propagation_timeout": 20, "delegated": [TARGETS]}
    updates = zones.updates(ttl=0, **more)  # the resolver keeps nothing
    return Dns01("ours", updates, KeptRecords(store), zones.lookups, lambda: datetime.now(UTC))


def by(**solvers: Solver) -> Callable[[Certificate], dict[str, Solver]]:
    """Return who proves every certificate; `dns_01` is written for dns-01."""
    named = {each.replace("_", "-"): solver for each, solver in solvers.items()}
    return lambda _: named


def by_dns(zones: Zones, pebble: Pebble, store: MemoryStore | None = None) -> AcmeIssuer:
    """Return an issuer at Pebble that proves names by dns-01."""
    own = store or MemoryStore()
    return issuer(settings(pebble), by(dns_01=dns01(zones, own)), own)


def names(pair: object) -> tuple[str, ...]:
    """Return what a certificate is for."""
    return covered_names(leaf(pair))  # type: ignore[arg-type]


def failing(one: AcmeIssuer, asked: Certificate) -> IssueFailed:
    """Return how an order fails."""
    with pytest.raises(IssueFailed) as failed:
        one.issue(asked, None)
    return failed.value


# dns-01


def test_a_name_and_its_wildcard_in_one_order(zones: Zones, pebble: Pebble) -> None:
    store = MemoryStore()
    asked = wanted(f"a.{APEX}", f"*.a.{APEX}", challenge="dns-01", solver="ours")
    pair = by_dns(zones, pebble, store).issue(asked, None)
    assert names(pair) == (f"*.a.{APEX}", f"a.{APEX}")
    assert zones.values(f"_acme-challenge.a.{APEX}") == set()
    assert not list(store.keys("records"))


def test_a_delegated_name_is_proven_in_the_zone_that_it_leads_to(
    zones: Zones, pebble: Pebble
) -> None:
    zones.server.set(f"_acme-challenge.led.{APEX}", "CNAME", f"led.{TARGETS}.")
    asked = wanted(f"*.led.{APEX}", challenge="dns-01", solver="ours")
    assert names(by_dns(zones, pebble).issue(asked, None)) == (f"*.led.{APEX}",)
    assert zones.values(f"led.{TARGETS}") == set()


@pytest.mark.parametrize("name", [f"www.wild.{APEX}", f"*.wild.{APEX}"])
def test_behind_a_wildcard_the_record_is_written_at_the_name_itself(
    zones: Zones, pebble: Pebble, name: str
) -> None:
    """The wildcard leads into the zone of somebody else, where a record would be seen by nobody."""
    zones.server.set(f"*.wild.{APEX}", "CNAME", f"web.{HALF}.")
    asked = wanted(name, challenge="dns-01", solver="ours")
    assert names(by_dns(zones, pebble).issue(asked, None)) == (name,)
    assert zones.values(f"_acme-challenge.{name.removeprefix('*.')}") == set()


def test_certificates_side_by_side_leave_each_other_their_values(
    zones: Zones, pebble: Pebble
) -> None:
    one = by_dns(zones, pebble)
    origin = wanted("x.example").origin
    names_of_three = (f"side.{APEX}", f"*.side.{APEX}", f"side.{APEX}")  # bind drops more askers
    asked = [
        Certificate(f"owner{number}", (name,), "acme", origin)
        for number, name in enumerate(names_of_three)
    ]
    with ThreadPoolExecutor(3) as pool:
        pairs = list(pool.map(lambda each: one.issue(each, None), asked))
    assert [names(pair) for pair in pairs] == [each.names for each in asked]
    assert zones.values(f"_acme-challenge.side.{APEX}") == set()


class PartlyAbsent:
    """Presents what *solver* does, but for some names nothing."""

    def __init__(self, solver: Dns01, absent: Sequence[str]) -> None:
        self.solver = solver
        self.absent = absent
        self.notes: tuple[str, ...] = ()

    def present(self, name: str, token: str, key_authorization: str) -> None:
        if name not in self.absent:
            self.solver.present(name, token, key_authorization)

    def settle(self, answers: Sequence[tuple[str, str]]) -> None:
        self.solver.settle([each for each in answers if each[0] not in self.absent])

    def cleanup(self, name: str, token: str) -> None:
        self.solver.cleanup(name, token)


def test_exactly_the_names_that_failed_are_refused_wildcards_told_from_their_parent(
    zones: Zones, pebble: Pebble
) -> None:
    store = MemoryStore()
    asked = wanted(f"r.{APEX}", f"*.r.{APEX}", f"s.{APEX}", challenge="dns-01", solver="ours")
    partly = PartlyAbsent(dns01(zones, store), [f"*.r.{APEX}"])
    error = failing(issuer(settings(pebble), by(dns_01=partly), store), asked)
    [refused] = error.failure.refused
    assert (refused.name, refused.problem) == (f"*.r.{APEX}", f"{URN}unauthorized")
    assert "TXT" in refused.words or "Correct value" in refused.words
    assert error.failure.unproven == (f"*.r.{APEX}",)
    assert "did not find our TXT record" in error.what
    assert "_acme-challenge" in error.remedy
    assert "port 80" not in error.remedy
    assert zones.values(f"_acme-challenge.r.{APEX}") == set()


def test_names_whose_record_cannot_be_written_are_refused_alone_and_nothing_is_left(
    zones: Zones, pebble: Pebble
) -> None:
    store = MemoryStore()
    bad = ("a.nobody.invalid", "z.nobody.invalid")
    asked = wanted(f"w.{APEX}", *bad, challenge="dns-01", solver="ours")
    error = failing(by_dns(zones, pebble, store), asked)
    assert {each.name for each in error.failure.refused} == set(bad)
    assert all(name in str(error) for name in bad)
    assert error.failure.unproven == ()  # the authority counted nothing
    assert zones.values(f"_acme-challenge.w.{APEX}") == set()
    assert not list(store.keys("records"))


def test_nothing_is_ordered_while_nobody_can_prove_it(pebble: Pebble) -> None:
    def nobody(_: Certificate) -> dict[str, Solver]:
        raise not_issued("the secret env:KEY does not exist", final=True)

    orders, accounts = made(pebble, "orders"), made(pebble, "accounts")
    error = failing(issuer(settings(pebble), nobody), wanted(f"n.{APEX}", challenge="dns-01"))
    assert "env:KEY" in error.what
    assert (made(pebble, "orders"), made(pebble, "accounts")) == (orders, accounts)


def test_what_could_not_be_taken_back_is_told(zones: Zones, pebble: Pebble) -> None:
    one = by_dns(zones, pebble)
    solver = one.solvers(wanted("x.example"))["dns-01"]
    one.issue(wanted(f"note.{APEX}", challenge="dns-01"), None)
    assert one.notes == ()
    solver.notes += ("a record was left",)
    assert one.notes == ("a record was left",)


# dns-persist-01


def persisting(
    authority: SmallAuthority, zones: Zones, *, fallback: bool = False
) -> tuple[AcmeIssuer, MemoryStore]:
    """Return an issuer that answers dns-persist-01, and its store."""
    store = MemoryStore()
    more = {"dns_01": dns01(zones, store)} if fallback else {}
    solvers = by(dns_persist_01=PersistentRecord(), **more)
    return issuer(settings(authority), solvers, store), store


def publish(zones: Zones, one: AcmeIssuer, name: str, *, wildcard: bool) -> None:
    """Publish the record that the authority wants to see."""
    one.account()
    identity = one.identity()
    assert identity.account
    text = persist.record(identity.caa_identities[0], identity.account, wildcard)
    zones.server.set(persist.name(name), "TXT", f'"{text}"')


def test_a_standing_record_proves_names_again_and_again(
    zones: Zones, authority: SmallAuthority
) -> None:
    one, store = persisting(authority, zones)
    publish(zones, one, f"p.{APEX}", wildcard=True)
    asked = wanted(f"p.{APEX}", f"*.p.{APEX}", challenge="dns-persist-01")
    first = one.issue(asked, None)
    one.finished(asked.owner)
    assert names(first) == names(one.issue(asked, first)) == (f"*.p.{APEX}", f"p.{APEX}")
    assert not list(store.keys("records"))


def test_a_missing_record_is_told_as_it_is_to_be_published(
    zones: Zones, authority: SmallAuthority
) -> None:
    one, _ = persisting(authority, zones)
    publish(zones, one, f"q.{APEX}", wildcard=False)
    asked = wanted(f"q.{APEX}", f"*.q.{APEX}", challenge="dns-persist-01")
    error = failing(one, asked)
    account = one.identity().account
    line = f'_validation-persist.q.{APEX}. IN TXT "{ISSUER}; accounturi={account}; policy=wildcard"'
    assert line in error.remedy
    assert [each.name for each in error.failure.refused] == [f"*.q.{APEX}"]


def test_where_it_is_not_offered_a_solver_proves_by_dns01(zones: Zones, pebble: Pebble) -> None:
    store = MemoryStore()
    solvers = by(dns_persist_01=PersistentRecord(), dns_01=dns01(zones, store))
    asked = wanted(f"*.f.{APEX}", challenge="dns-persist-01", solver="ours")
    assert names(issuer(settings(pebble), solvers, store).issue(asked, None)) == (f"*.f.{APEX}",)


def test_where_it_is_not_offered_what_is_offered_is_told(zones: Zones, pebble: Pebble) -> None:
    one = issuer(settings(pebble), by(dns_persist_01=PersistentRecord()))
    error = failing(one, wanted(f"g.{APEX}", challenge="dns-persist-01"))
    assert f"does not offer dns-persist-01 for g.{APEX}" in error.what
    assert "dns-01" in error.words
    assert "http-01" in error.words
    assert error.failure.final


# Refusals of an order


@pytest.mark.parametrize("bad", [("b",), ("b", "d")])
def test_the_names_that_no_order_is_made_for_are_refused(
    zones: Zones, authority: SmallAuthority, bad: tuple[str, ...]
) -> None:
    authority.rejecting = {f"{each}.{APEX}" for each in bad}
    one, _ = persisting(authority, zones)
    error = failing(one, wanted(*(f"{each}.{APEX}" for each in "abcd")))
    assert tuple(each.name for each in error.failure.refused) == tuple(
        f"{each}.{APEX}" for each in bad
    )
    assert {each.problem for each in error.failure.refused} == {f"{URN}rejectedIdentifier"}


# Identity


def test_identity_is_told_without_an_account_being_registered(
    zones: Zones, authority: SmallAuthority
) -> None:
    one, _ = persisting(authority, zones)
    assert one.identity() == AcmeIdentity((ISSUER,), None)
    assert authority.counts["newAccount"] == 0
    account = one.account()
    assert one.identity() == AcmeIdentity((ISSUER,), account.url)


# Addresses


def test_an_address_is_proven_over_http_beside_names(common: Place) -> None:
    asked = wanted("own.address.example", "127.0.0.1")
    pair = usual(common).issue(asked, None)
    assert names(pair) == ("127.0.0.1", "own.address.example")


def test_an_address_that_does_not_answer_is_refused_as_it_is_spelled_here(common: Place) -> None:
    error = failing(usual(common), wanted("half.address.example", "127.0.0.99", "::1"))
    assert {each.name for each in error.failure.refused} == {"127.0.0.99", "::1"}


def test_an_order_for_addresses_is_continued(common: Place) -> None:
    store = MemoryStore()
    given = settings(common.pebble)
    asked = wanted("again.address.example", "127.0.0.1")
    first = issuer(given, Webroot(common.challenges), store).issue(asked, None)
    orders = made(common.pebble, "orders")
    again = issuer(given, Webroot(common.challenges), store).issue(asked, None)
    assert leaf(first) == leaf(again)
    assert made(common.pebble, "orders") == orders


def test_moments_after_which_a_record_holds_no_more(
    zones: Zones, authority: SmallAuthority
) -> None:
    one, _ = persisting(authority, zones)
    account = one.account().url
    over = datetime.now(UTC) - timedelta(hours=1)
    text = f"{persist.record(ISSUER, account, wildcard=False)}; persistUntil={over.timestamp():.0f}"
    zones.server.set(persist.name(f"u.{APEX}"), "TXT", f'"{text}"')
    assert not persist.matches(text, [ISSUER], account, False, datetime.now(UTC))
    assert failing(one, wanted(f"u.{APEX}", challenge="dns-persist-01")).failure.refused
