"""dns-01 at real name servers: records where the authority looks, seen by all, and taken back."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from proxygen.errors import IssueFailed
from proxygen.failure import RefusedName
from proxygen.solvers import Writer
from proxygen.solvers.dns01 import Dns01, ShownRecords
from proxygen.solvers.dns01_records import (
    GIVEN_UP,
    KeptRecords,
    TxtRecord,
    challenge_name,
    challenge_value,
)
from proxygen.stores import Store
from tests.failures import not_issued
from tests.live import needs
from tests.solvers.zones import APEX, HALF, LAGGING, TARGETS, Zones
from tests.standins import MemoryStore

pytestmark = needs("named", "ip")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANSWER = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
VALUE = challenge_value(ANSWER)
OTHER = f"{ANSWER[:-1]}J"
numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"n{next(numbers)}.{APEX}"


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Records of this process are forgotten between tests, as if each were a process."""
    yield
    Dns01.presented.clear()


def solver(
    zones: Zones,
    store: Store,
    writer: Writer | None = None,
    *,
    called: str = "ours",
    now: datetime = NOW,
    left_aside: float = 60,
) -> Dns01:
    """Return a solver as a new round has it."""
    return Dns01(
        called,
        writer or zones.updates(propagation_timeout=10, delegated=[TARGETS]),
        KeptRecords(store),
        zones.lookups,
        lambda: now,
        left_aside,
    )


def kept(store: Store) -> int:
    """Return how many records are remembered."""
    return len(list(store.keys("records")))


class Refusing:
    """A writer that adds, and can remove nothing."""

    patience = 10.0
    delegated: tuple[str, ...] = ()

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def add(self, name: str, value: str) -> None:
        self.writer.add(name, value)

    def remove(self, name: str, value: str) -> None:
        raise not_issued("the provider is down for maintenance")


def test_the_record_is_that_of_the_rfc() -> None:
    assert challenge_name("*.www.example.org") == "_acme-challenge.www.example.org"
    assert challenge_value("token.thumbprint") == "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I"


def test_an_answer_is_seen_and_taken_back_however_often(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    one = solver(zones, store)
    one.present(name, "t", ANSWER)
    one.settle([(name, "t")])
    assert zones.values(challenge_name(name)) == {VALUE}
    one.cleanup(name, "t")
    one.cleanup(name, "t")
    one.cleanup(name, "never presented")
    assert zones.values(challenge_name(name)) == set()
    assert kept(store) == 0


def test_a_name_and_its_wildcard_have_each_their_value(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    one = solver(zones, store)
    one.present(name, "a", ANSWER)
    one.present(f"*.{name}", "b", OTHER)
    one.settle([(name, "a"), (f"*.{name}", "b")])
    assert zones.values(challenge_name(name)) == {VALUE, challenge_value(OTHER)}
    one.cleanup(name, "a")
    assert zones.values(challenge_name(name)) == {challenge_value(OTHER)}


def test_the_record_is_written_where_the_alias_leads(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    target = f"{name.partition('.')[0]}.{TARGETS}"
    zones.server.set(challenge_name(name), "CNAME", f"between.{name}.")
    zones.server.set(f"between.{name}", "CNAME", f"{target}.")
    one = solver(zones, store)
    one.present(name, "t", ANSWER)
    one.settle([(name, "t")])
    assert zones.values(target) == {VALUE}
    one.cleanup(name, "t")
    assert zones.values(target) == set()


class Leading:
    """What leads every name to one *target*."""

    def __init__(self, target: str) -> None:
        self.end = target

    def target(self, name: str, delegated: Collection[str]) -> str:
        return self.end

    def shown(self, names: Collection[str]) -> Mapping[str, tuple[ShownRecords, ...]]:
        return {}


class Noting:
    """A writer that writes nothing but the names it was asked for, into a list."""

    patience = 10.0

    def __init__(self, delegated: tuple[str, ...]) -> None:
        self.delegated = delegated
        self.written: list[str] = []

    def add(self, name: str, value: str) -> None:
        self.written.append(name)

    def remove(self, name: str, value: str) -> None:
        self.written.remove(name)


def led(target: str, *delegated: str, store: MemoryStore | None = None) -> tuple[Dns01, Noting]:
    """Return a solver whose every name leads to *target*, and its writer."""
    noting = Noting(delegated)
    records = KeptRecords(store or MemoryStore())
    return Dns01("ours", noting, records, Leading(target), lambda: NOW), noting


@pytest.mark.parametrize(
    ("target", "delegated"),
    [
        ("_acme-challenge.www.shop.co.uk", []),  # no alias at all
        ("_Acme-Challenge.WWW.shop.co.uk", []),
        ("elsewhere.shop.co.uk", []),  # its own registered domain
        ("Elsewhere.SHOP.co.uk", []),
        ("www.shop.co.uk.acme.example.net", ["other.test", "acme.example.net"]),
        ("A.Acme.Example.NET", ["acme.example.net"]),
        ("acme.example.net", ["acme.example.net"]),
    ],
)
def test_an_alias_is_followed_within_its_domain_and_into_what_is_delegated(
    target: str, delegated: list[str]
) -> None:
    one, noting = led(target, *delegated)
    one.present("*.www.shop.co.uk", "t", ANSWER)
    assert noting.written == [target]


@pytest.mark.parametrize(
    ("target", "delegated"),
    [
        ("x.victim.dyn.test", []),
        ("x.victim.dyn.test", ["acme.example.net"]),
        ("evilacme.example.net", ["acme.example.net"]),  # no border of a label
        ("example.net", ["acme.example.net"]),
        ("acme.example.net.evil.test", ["acme.example.net"]),
        ("another.co.uk", []),  # beside it, below the same public suffix
        ("co.uk", []),
    ],
)
def test_an_alias_that_leads_anywhere_else_is_refused_before_anything_is_done(
    target: str, delegated: list[str]
) -> None:
    store = MemoryStore()
    one, noting = led(target, *delegated, store=store)
    with pytest.raises(IssueFailed) as failed:
        one.present("www.shop.co.uk", "t", ANSWER)
    one.cleanup("www.shop.co.uk", "t")
    [refused] = failed.value.failure.refused
    assert (refused.name, refused.problem) == ("www.shop.co.uk", "")
    assert f"_acme-challenge.www.shop.co.uk points to {target}, which is in none" in str(
        refused.failure
    )
    assert f"add {target} to `delegated` of the solver ours" in failed.value.remedy
    assert "remove the CNAME record" in failed.value.remedy
    assert noting.written == []
    assert kept(store) == 0
    assert Dns01.presented == {}


def test_the_zone_to_add_is_told_where_the_alias_shows_it() -> None:
    one, _ = led("www.shop.co.uk.acme.example.net")
    with pytest.raises(IssueFailed) as failed:
        one.present("*.www.shop.co.uk", "t", ANSWER)
    assert "add acme.example.net to `delegated`" in failed.value.remedy


def test_an_alias_of_a_customer_takes_no_name_of_ours_away(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    """Where a TXT record stands, a wildcard holds no more for what is above (RFC 4592, 2.2.1)."""
    zones.server.set(f"*.{name}", "A", "192.0.2.7")
    evil = f"evil.{name.partition('.')[0]}.{TARGETS}"
    zones.server.set(challenge_name(evil), "CNAME", f"x.victim.{name}.")
    assert zones.addresses(f"victim.{name}") == {"192.0.2.7"}
    one = solver(zones, store, zones.updates(delegated=[f"acme.{name}"]))
    with pytest.raises(IssueFailed, match=f"for {evil} could not be published") as failed:
        one.present(evil, "t", ANSWER)
    assert [each.name for each in failed.value.failure.refused] == [evil]
    assert zones.addresses(f"victim.{name}") == {"192.0.2.7"}
    assert zones.values(f"x.victim.{name}") == set()
    assert kept(store) == 0


def test_aliases_in_a_circle_are_told_for_that_name(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    zones.server.set(challenge_name(name), "CNAME", f"round.{name}.")
    zones.server.set(f"round.{name}", "CNAME", f"{challenge_name(name)}.")
    with pytest.raises(IssueFailed, match="is in no zone that exists") as failed:
        solver(zones, store).present(f"*.{name}", "t", ANSWER)
    assert [each.name for each in failed.value.failure.refused] == [f"*.{name}"]


def test_a_server_that_shows_nothing_in_time_is_named_with_what_it_shows(
    zones: Zones, store: MemoryStore
) -> None:
    one = solver(zones, store, zones.updates(propagation_timeout=1))
    one.present(LAGGING, "t", ANSWER)
    with pytest.raises(IssueFailed, match=f"after 1 s, .* for {LAGGING}") as failed:
        one.settle([(LAGGING, "t")])
    assert "ns3.lagging.example" in failed.value.words
    assert "ns1.lagging.example" not in failed.value.words
    assert "NODATA" in failed.value.words
    assert "propagation_timeout" in failed.value.remedy
    assert [each.name for each in failed.value.failure.refused] == [LAGGING]
    one.cleanup(LAGGING, "t")
    assert zones.values(challenge_name(LAGGING)) == set()


def test_a_silent_server_is_left_aside_after_a_while_and_not_before(
    zones: Zones, store: MemoryStore
) -> None:
    patient = solver(zones, store, zones.updates(propagation_timeout=1), left_aside=60)
    patient.present(HALF, "t", ANSWER)
    with pytest.raises(IssueFailed, match="some name servers do not serve"):
        patient.settle([(HALF, "t")])
    solver_that_goes_on = solver(zones, store, left_aside=0)
    solver_that_goes_on.present(HALF, "u", OTHER)
    solver_that_goes_on.settle([(HALF, "u")])


def test_what_a_killed_run_left_is_removed_by_the_next_one(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    solver(zones, store).present(name, "t", ANSWER)
    Dns01.presented.clear()  # the process is gone
    assert zones.values(challenge_name(name)) == {VALUE}
    assert kept(store) == 1
    solver(zones, store, called="another").present(f"b.{name}", "t", ANSWER)
    assert zones.values(challenge_name(name)) == {VALUE}  # not its own
    one = solver(zones, store)
    one.present(f"c.{name}", "t", ANSWER)
    assert zones.values(challenge_name(name)) == set()
    one.cleanup(f"c.{name}", "t")
    assert kept(store) == 1


def test_records_in_use_by_this_process_stay(zones: Zones, store: MemoryStore, name: str) -> None:
    solver(zones, store).present(name, "t", ANSWER)
    solver(zones, store).present(f"b.{name}", "t", ANSWER)
    assert zones.values(challenge_name(name)) == {VALUE}


class Watching:
    """A writer that fails, and notes what was remembered when it was called."""

    patience = 10.0
    delegated: tuple[str, ...] = ()

    def __init__(self, store: Store, error: IssueFailed) -> None:
        self.store = store
        self.error = error
        self.remembered: list[int] = []

    def add(self, name: str, value: str) -> None:
        self.remembered.append(kept(self.store))
        raise self.error

    def remove(self, name: str, value: str) -> None:
        self.remembered.append(kept(self.store))


def test_a_record_is_remembered_until_it_is_known_that_it_is_not_there(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    watching = Watching(store, not_issued("no answer in time"))
    one = solver(zones, store, watching)
    with pytest.raises(IssueFailed, match=f"for {name} could not be published: .* no answer"):
        one.present(name, "t", ANSWER)
    one.cleanup(name, "t")
    assert watching.remembered == [1, 1]
    assert kept(store) == 0


def test_what_was_refused_for_the_name_itself_is_not_removed(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    refused = (RefusedName(challenge_name(name), "", "NOTAUTH"),)
    watching = Watching(store, not_issued(refused=refused))
    one = solver(zones, store, watching)
    with pytest.raises(IssueFailed) as failed:
        one.present(name, "t", ANSWER)
    one.cleanup(name, "t")
    assert failed.value.failure.refused == (RefusedName(name, "", "NOTAUTH"),)
    assert watching.remembered == [1]
    assert kept(store) == 0
    assert Dns01.presented == {}


def test_a_name_without_a_zone_is_told(zones: Zones, store: MemoryStore) -> None:
    with pytest.raises(IssueFailed, match="is in no zone that exists") as failed:
        solver(zones, store).present("www.nobody.invalid", "t", ANSWER)
    assert [each.name for each in failed.value.failure.refused] == ["www.nobody.invalid"]


def test_what_cannot_be_removed_is_told_and_removed_later(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    refusing = solver(zones, store, Refusing(zones.updates()))
    refusing.present(name, "t", ANSWER)
    refusing.cleanup(name, "t")
    assert "down for maintenance" in refusing.notes[0]
    assert zones.values(challenge_name(name)) == {VALUE}
    solver(zones, store).present(f"b.{name}", "t", ANSWER)
    assert zones.values(challenge_name(name)) == set()


def test_records_that_nobody_can_remove_hinder_nothing_and_are_forgotten(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    records = KeptRecords(store)
    for number in range(5):
        records.put(TxtRecord("ours", f"gone{number}.{name}", VALUE), NOW)
    one = solver(zones, store, Refusing(zones.updates()))
    one.present(name, "t", ANSWER)
    assert kept(store) == 6
    later = NOW + GIVEN_UP + timedelta(days=1)
    solver(zones, store, now=later).present(f"b.{name}", "t", ANSWER)
    assert kept(store) == 1


def test_at_the_end_a_process_removes_its_own_records(
    zones: Zones, store: MemoryStore, name: str
) -> None:
    one = solver(zones, store)
    one.present(name, "t", ANSWER)
    one.present(f"b.{name}", "t", ANSWER)
    Dns01.withdraw()
    assert zones.values(challenge_name(name)) == set()
    assert zones.values(challenge_name(f"b.{name}")) == set()
    assert kept(store) == 0
    assert Dns01.presented == {}
