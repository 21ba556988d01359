"""Bundles are kept whole on any store; what is damaged there harms no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from proxygen.model.certificate import GLOBAL, KeyAndChain, RenewalInfo
from proxygen.stores import Values
from proxygen.stores.bundles import (
    BUNDLE,
    Bundles,
    facts_key,
    facts_keys,
    failure_key,
    order_key,
    secret_key,
)
from tests.certificates import DAY, NOON
from tests.failures import NO, no
from tests.models import bundle, site
from tests.standins import MemoryStore

SITE = site("""\
global: {url: mail.example.net, certificate: selfsigned}
domains: {a.example: {url: www.a.example, certificate: selfsigned}}
""")
(WANTED,) = (each for each in SITE.certificates if each.owner == "a.example")
PAIR = KeyAndChain(
    b"-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n",
    b"-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n",
)
DIGEST = hashlib.sha256(PAIR.pem).hexdigest()
MAIN, OWN = (replace(bundle(wanted), digest=DIGEST) for wanted in SITE.certificates)


@pytest.fixture
def store() -> MemoryStore:
    """Return a store that holds both bundles."""
    store = MemoryStore()
    for each in (MAIN, OWN):
        Bundles(store).save(PAIR, each)
    return store


def test_what_was_saved_is_found_with_its_key(store: MemoryStore) -> None:
    assert Bundles(store).all() == {GLOBAL: MAIN, "a.example": OWN}
    assert Bundles(store).facts("a.example") == OWN
    assert Bundles(store).material(OWN) == PAIR
    assert Bundles(store).facts("b.example") is None


def test_key_and_facts_are_put_at_once_and_what_they_settle_goes_with_that() -> None:
    puts: list[Values] = []

    class Recording(MemoryStore):
        def put_if(self, former: Values, values: Values) -> bool:
            puts.append(values)
            return super().put_if(former, values)

    store = Recording()
    bundles = Bundles(store)
    bundles.save(PAIR, OWN)
    renewed = replace(OWN, digest="1" * 64)
    bundles.save(PAIR, renewed)
    assert {key: value is not None for key, value in puts[-1].items()} == {
        secret_key("a.example", renewed.digest): True,
        **dict.fromkeys(facts_keys("a.example"), False),
        facts_key(OWN): True,
        failure_key("a.example"): False,
        order_key("a.example"): False,
        secret_key("a.example", OWN.digest): False,
    }
    assert bundles.material(OWN) is None
    store.put(order_key("a.example"), b"begun")
    bundles.failed(WANTED, NO, NOON, 0.5)
    bundles.save(PAIR, replace(OWN, stand_in=True))
    assert store.get(order_key("a.example")) == b"begun"
    assert bundles.failures()
    bundles.forget(OWN)
    assert puts[-1].keys() == {
        *facts_keys("a.example"),
        *(secret_key("a.example", DIGEST), failure_key("a.example")),
    }


def test_a_certificate_with_a_key_of_another_type_takes_the_place_of_the_former(
    store: MemoryStore,
) -> None:
    bundles = Bundles(store)
    for key_type in ("rsa-2048", "rsa-1024", "ed25519", "../x"):
        other = replace(
            OWN, key_type=key_type, digest=hashlib.sha256(key_type.encode()).hexdigest()
        )
        bundles.save(PAIR, other)
        assert bundles.all()["a.example"] == other == bundles.facts("a.example")
        assert len([key for key in store.values if "a.example" in key]) == 2
    assert facts_key(other) == "certificates/other/a.example"


def test_facts_are_kept_by_owner_and_type_of_key(store: MemoryStore) -> None:
    """What a later proxygen keeps beside each other is no trouble: the latest counts."""
    later = replace(OWN, key_type="rsa-2048", not_before=OWN.not_before + DAY, digest="1" * 64)
    store.put_all({secret_key("a.example", "1" * 64): b"", facts_key(later): BUNDLE.written(later)})
    bundles = Bundles(store)
    assert bundles.all() == {GLOBAL: MAIN, "a.example": later}
    assert bundles.facts("a.example") == later
    bundles.tidy(["a.example"])
    assert store.get(secret_key("a.example", OWN.digest)) == PAIR.pem
    moved = facts_key(later).replace("rsa-2048", "rsa-3072")
    store.put_all({moved: BUNDLE.written(later), facts_key(later): None})
    assert bundles.all() == {GLOBAL: MAIN, "a.example": OWN}


def test_a_bundle_that_another_process_renews_meanwhile_is_not_absent() -> None:
    renewed = replace(OWN, digest="1" * 64)

    class Renewed(MemoryStore):
        """A store in which it is renewed right after the facts were read."""

        def has(self, key: str) -> bool:
            if not super().has(secret_key("a.example", renewed.digest)):
                Bundles(self).save(PAIR, renewed)
            return super().has(key)

    store = Renewed()
    Bundles(store).save(PAIR, OWN)
    assert Bundles(store).all() == {"a.example": renewed}


def test_no_key_is_in_the_facts_or_shown(store: MemoryStore) -> None:
    assert b"PRIVATE" not in (store.get(facts_key(OWN)) or b"")
    assert "PRIVATE" not in repr(PAIR)


def test_what_becomes_known_is_kept_of_the_one_that_is_stored_and_of_no_other(
    store: MemoryStore,
) -> None:
    told = RenewalInfo(NOON + DAY)
    bundles, others = Bundles(store), Bundles(store)
    others.note(OWN, replace=True)
    both = bundles.note(OWN, renewal=told)  # by who did not know of that
    assert (both.replace, both.renewal) == (True, told)
    assert others.facts("a.example") == both
    renewed = replace(OWN, digest="1" * 64, not_before=NOON)
    others.save(PAIR, renewed)
    assert bundles.note(OWN, renewal=told) == renewed
    assert bundles.facts("a.example") == renewed
    others.forget(renewed)
    assert bundles.note(OWN, renewal=told) == OWN
    assert bundles.facts("a.example") is None


@pytest.mark.parametrize(
    "do",
    [
        lambda bundles: bundles.note(OWN, replace=True),
        lambda bundles: bundles.forget(OWN),
        lambda bundles: bundles.save_first(PAIR, replace(OWN, stand_in=True), OWN),
    ],
    ids=["note", "forget", "stand-in"],
)
def test_what_is_stored_in_the_very_moment_is_neither_overwritten_nor_forgotten(
    do: Callable[[Bundles], object],
) -> None:
    renewed = replace(OWN, digest="1" * 64, not_before=NOON)

    class Meanwhile(MemoryStore):
        others: Bundles | None = None

        def put_if(self, former: Values, values: Values) -> bool:
            others, self.others = self.others, None
            if others:
                others.save(PAIR, renewed)
            return super().put_if(former, values)

    store = Meanwhile()
    bundles = Bundles(store)
    bundles.save(PAIR, OWN)
    store.others = Bundles(store)
    do(bundles)
    assert bundles.all() == {"a.example": renewed}


def test_a_stand_in_or_what_is_adopted_takes_the_place_of_what_it_was_chosen_for(
    store: MemoryStore,
) -> None:
    bundles, interim = Bundles(store), replace(OWN, digest="2" * 64, stand_in=True)
    renewed = replace(OWN, digest="1" * 64, not_before=NOON)
    assert bundles.save_first(PAIR, interim, OWN)
    assert bundles.facts("a.example") == interim
    bundles.save(PAIR, renewed)
    assert not bundles.save_first(PAIR, interim, OWN)
    assert not bundles.save_first(PAIR, interim, None)
    assert bundles.facts("a.example") == renewed
    store.delete(secret_key("a.example", renewed.digest))  # of no use to anybody
    assert bundles.save_first(PAIR, interim, None)


def test_a_failure_that_came_since_is_not_forgotten(store: MemoryStore) -> None:
    bundles = Bundles(store)
    bundles.failed(WANTED, no("no"), NOON, 0.5)
    first = bundles.failures()["a.example"]
    bundles.failed(WANTED, no("still not"), NOON + DAY, 0.5)
    bundles.forget_failure("a.example", first)
    second = bundles.failures()["a.example"]
    assert second.failure.words == "still not"
    bundles.forget_failure("a.example", second)
    assert not bundles.failures()


def test_what_is_forgotten_leaves_nothing(store: MemoryStore) -> None:
    Bundles(store).forget(OWN)
    assert not [key for key in store.values if "a.example" in key]
    assert Bundles(store).all() == {GLOBAL: MAIN}


DAMAGES: list[bytes | dict[str, Any]] = [
    *(b"", b"{", b"[]", b"null", b"\xff", b"{}", b"1", b"[" * 100_000, b'{"owner": "a.example"}'),
    *({"names": "abc"}, {"names": [1]}, {"names": None}, {"key_type": 3}, {"fingerprint": None}),
    *({"not_after": "2027-01-01"}, {"not_after": "2027-01-01T00:00:00"}, {"not_before": 0}),
    *({"owner": "../x"}, {"owner": "global"}, {"digest": "../../x"}, {"digest": None}),
    *({"stand_in": "yes"}, {"not_after": "9999-12-31T23:59:59-14:00"}),
    *({"not_before": "0001-01-01T00:00:00+00:00"}, {"not_after": "0001-01-01T00:00:00+14:00"}),
    *({"fingerprint": "\0"}, {"spki": "A" * 64}, {"serial": "1\n"}, {"serial": ""}),
    {"renewal": {"look_at": "9999-12-31T23:59:59-14:00"}},
    {"renewal": {"look_at": "2027-01-01T00:00:00"}},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: str(each)[:40])
def test_damaged_facts_are_absent_and_harm_no_other(
    store: MemoryStore, damage: bytes | dict[str, Any]
) -> None:
    if isinstance(damage, dict):
        damage = json.dumps(asdict(OWN) | damage, default=str).encode()
    store.put(facts_key(OWN), damage)
    assert Bundles(store).all() == {GLOBAL: MAIN}
    assert Bundles(store).facts("a.example") is None


def test_a_certificate_without_an_end_is_kept_with_one_that_can_be_reckoned_with(
    store: MemoryStore,
) -> None:
    endless = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280 section 4.1.2.5
    Bundles(store).note(OWN, not_after=endless)
    found = Bundles(store).facts("a.example")
    assert found
    assert found.not_after.year == 9990
    assert found.not_after + 1000 * DAY


def test_stored_moments_are_read_as_utc(store: MemoryStore) -> None:
    there = timezone(timedelta(hours=14))
    info = RenewalInfo(NOON.astimezone(there), NOON, NOON, None)
    Bundles(store).note(OWN, not_after=NOON.astimezone(there), renewal=info)
    found = Bundles(store).facts("a.example")
    assert found
    assert found.renewal
    for moment in (found.not_after, found.renewal.look_at):
        assert (moment, moment.utcoffset()) == (NOON, timedelta(0))


def test_a_pair_that_is_not_whole_is_absent(store: MemoryStore) -> None:
    store.put(secret_key("a.example", OWN.digest), PAIR.pem[:-1])
    assert Bundles(store).material(OWN) is None
    store.delete(secret_key("a.example", OWN.digest))
    assert Bundles(store).material(OWN) is None


def test_failures_are_counted_from_the_first_on_and_ended_by_success(store: MemoryStore) -> None:
    bundles = Bundles(store)
    for day in range(3):
        error = no("the authority's words", problem="urn:x")
        bundles.failed(WANTED, error, NOON + day * DAY, 0)
    attempt = bundles.failures()["a.example"]
    assert (attempt.count, attempt.since, attempt.at) == (3, NOON, NOON + 2 * DAY)
    assert attempt.failure == no("the authority's words", problem="urn:x")
    bundles.save(PAIR, OWN)
    assert bundles.failures() == {}


EDGE = (
    b'{"of": "a.example", "at": "2026-11-20T12:00:00Z", "since": "2026-11-20T12:00:00Z", '
    b'"count": 1, "again": "0001-01-01T00:00:00+14:00", "what": "no"}'
)


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"owner": 1}', b"\xff", EDGE])
def test_a_damaged_failure_is_absent(store: MemoryStore, damage: bytes) -> None:
    store.put(failure_key("a.example"), damage)
    assert Bundles(store).failures() == {}
    Bundles(store).failed(WANTED, NO, NOON, 0)
    assert Bundles(store).failures()["a.example"].count == 1


def test_a_failure_whose_next_moment_has_no_zone_is_absent_and_harms_no_other(
    store: MemoryStore,
) -> None:
    bundles = Bundles(store)
    bundles.failed(WANTED, no(retry_at=NOON), NOON, 0)
    key = failure_key("a.example")
    kept = json.loads(store.get(key) or b"")
    kept["failure"]["retry_at"] = "2026-11-20T12:00:00"
    store.put(key, json.dumps(kept).encode())
    assert bundles.failures() == {}


def test_facts_of_one_name_and_two_types_harm_nobody(store: MemoryStore) -> None:
    bundles = Bundles(store)
    bundles.failed(WANTED, NO, NOON, 0)
    key = failure_key("a.example")
    kept = json.loads(store.get(key) or b"")
    kept["failure"]["facts"] = [["a", 1], ["a", "x"], ["a", ["y"]]]
    store.put(key, json.dumps(kept).encode())
    assert str(bundles.failures()["a.example"].failure)


@pytest.mark.parametrize("days", [-1, 1])
def test_the_authoritys_own_moment_wins_over_a_shorter_and_a_longer_pause(
    store: MemoryStore, days: int
) -> None:
    for _ in range(4):
        Bundles(store).failed(WANTED, NO, NOON, 0.5)
    asked = NOON + DAY * (1 + 0.5 * days)
    Bundles(store).failed(WANTED, no(retry_at=asked), NOON, 0.5)
    attempt = Bundles(store).failures()["a.example"]
    assert (attempt.again, attempt.asked) == (asked, True)


class Counting(MemoryStore):
    """Notes which values were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, key: str) -> bytes | None:
        """Return the value, and note it."""
        self.read.append(key)
        return super().get(key)


def counting() -> Counting:
    """Return a store that holds both bundles."""
    store = Counting()
    for each in (MAIN, OWN):
        Bundles(store).save(PAIR, each)
    return store


def test_facts_are_read_again_when_they_changed_and_only_then() -> None:
    store = counting()
    bundles = Bundles(store)
    assert bundles.all() == {GLOBAL: MAIN, "a.example": OWN}
    store.read.clear()
    again = bundles.all()
    assert again == {GLOBAL: MAIN, "a.example": OWN}
    assert not store.read
    Bundles(store).note(OWN, replace=True)  # as another process does
    store.read.clear()
    assert bundles.all()["a.example"].replace
    assert store.read == [facts_key(OWN)]


def test_known_facts_whose_key_is_gone_are_absent_until_it_is_back() -> None:
    store = counting()
    bundles = Bundles(store)
    bundles.all()
    store.delete(secret_key("a.example", OWN.digest))
    assert bundles.all() == {GLOBAL: MAIN}
    store.put(secret_key("a.example", OWN.digest), PAIR.pem)
    assert bundles.all() == {GLOBAL: MAIN, "a.example": OWN}


def test_known_facts_that_are_damaged_or_forgotten_meanwhile_are_absent() -> None:
    store = counting()
    bundles = Bundles(store)
    bundles.all()
    store.put(facts_key(OWN), b"{")
    assert bundles.all() == {GLOBAL: MAIN}
    store.delete(facts_key(MAIN))
    assert bundles.all() == {}


def test_a_stamp_that_proves_nothing_is_not_relied_on() -> None:
    class Unsure(Counting):
        def stamps(self, prefix: str) -> dict[str, None]:
            return dict.fromkeys(self.keys(prefix))

    store = Unsure()
    bundles = Bundles(store)
    bundles.save(PAIR, OWN)
    bundles.all()
    bundles.note(OWN, replace=True)
    assert bundles.all()["a.example"].replace
