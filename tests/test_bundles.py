"""Bundles are kept whole on any store; what is damaged there harms no other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from proxygen.bundles import Bundles, attempt_key, facts_key, secret_key
from proxygen.errors import IssueFailed
from proxygen.model.certificate import GLOBAL, KeyAndChain
from tests.certificates import DAY, NOON
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


def test_the_secret_is_there_before_the_facts_and_the_former_goes_last() -> None:
    order: list[str] = []

    class Recording(MemoryStore):
        def put(self, key: str, value: bytes) -> None:
            order.append(f"put {key}")
            super().put(key, value)

        def delete(self, key: str) -> None:
            order.append(f"delete {key}")
            super().delete(key)

    bundles = Bundles(Recording())
    bundles.save(PAIR, OWN)
    order.clear()
    renewed = replace(OWN, digest="1" * 64)
    bundles.save(PAIR, renewed)
    assert order == [
        f"put {secret_key('a.example', renewed.digest)}",
        f"put {facts_key('a.example')}",
        f"delete {attempt_key('a.example')}",
        f"delete {secret_key('a.example', OWN.digest)}",
    ]
    assert bundles.material(OWN) is None


def test_no_key_is_in_the_facts_or_shown(store: MemoryStore) -> None:
    assert b"PRIVATE" not in (store.get(facts_key("a.example")) or b"")
    assert "PRIVATE" not in repr(PAIR)


def test_what_is_forgotten_leaves_nothing(store: MemoryStore) -> None:
    Bundles(store).forget(OWN)
    assert not [key for key in store.values if "a.example" in key]
    assert Bundles(store).all() == {GLOBAL: MAIN}


DAMAGES: list[bytes | dict[str, Any]] = [
    *(b"", b"{", b"[]", b"null", b"\xff", b"{}", b"1", b"[" * 100_000, b'{"owner": "a.example"}'),
    *({"names": "abc"}, {"names": [1]}, {"names": None}, {"key_type": 3}, {"fingerprint": None}),
    *({"not_after": "2027-01-01"}, {"not_after": "2027-01-01T00:00:00"}, {"not_before": 0}),
    *({"owner": "../x"}, {"owner": "global"}, {"digest": "../../x"}, {"digest": None}),
    {"stand_in": "yes"},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: str(each)[:40])
def test_damaged_facts_are_absent_and_harm_no_other(
    store: MemoryStore, damage: bytes | dict[str, Any]
) -> None:
    if isinstance(damage, dict):
        damage = json.dumps(asdict(OWN) | damage, default=str).encode()
    store.put(facts_key("a.example"), damage)
    assert Bundles(store).all() == {GLOBAL: MAIN}
    assert Bundles(store).facts("a.example") is None


def test_a_pair_that_is_not_whole_is_absent(store: MemoryStore) -> None:
    store.put(secret_key("a.example", OWN.digest), PAIR.pem[:-1])
    assert Bundles(store).material(OWN) is None
    store.delete(secret_key("a.example", OWN.digest))
    assert Bundles(store).material(OWN) is None


def test_failures_are_counted_from_the_first_on_and_ended_by_success(store: MemoryStore) -> None:
    bundles = Bundles(store)
    for day in range(3):
        error = IssueFailed("no", problem="urn:x", words="the authority's words")
        bundles.failed(WANTED, error, NOON + day * DAY)
    attempt = bundles.attempts()["a.example"]
    assert (attempt.count, attempt.since, attempt.at) == (3, NOON, NOON + 2 * DAY)
    assert (attempt.what, attempt.words, attempt.problem) == (
        "no",
        "the authority's words",
        "urn:x",
    )
    bundles.save(PAIR, OWN)
    assert bundles.attempts() == {}


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"owner": 1}', b"\xff"])
def test_a_damaged_attempt_is_absent(store: MemoryStore, damage: bytes) -> None:
    store.put(attempt_key("a.example"), damage)
    assert Bundles(store).attempts() == {}
    Bundles(store).failed(WANTED, IssueFailed("no"), NOON)
    assert Bundles(store).attempts()["a.example"].count == 1
