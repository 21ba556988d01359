"""What another process writes in the very moment is neither overwritten nor forgotten."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from proxygen.issuers.acme_kept import (
    KEY,
    NEXT,
    KeptAccount,
    KeptOrder,
    KeptOrders,
    Registered,
    thumbprint,
)
from proxygen.model.certificate import KeyAndChain
from proxygen.plan.quota import QuotaEntry
from proxygen.solvers.dns01_records import GIVEN_UP, KeptRecords, TxtRecord
from proxygen.stores.bundles import Bundles, order_key, secret_key
from proxygen.stores.file_failures import Failures
from proxygen.stores.ledger import Ledger
from proxygen.stores.outbox import Outbox
from tests.certificates import DAY, NOON
from tests.failures import no
from tests.models import bundle, site
from tests.stores.meanwhile import Meanwhile

CA, OTHER_CA = "https://ca.example/dir", "https://other.example/dir"
OWNER = "global"
(WANTED, *_) = site("global: {url: mail.example.net, certificate: selfsigned}").certificates
ORDER = KeptOrder(purpose="p", url=f"{CA}/order/1", key="k")
ACCOUNT = Registered(url=f"{CA}/account/1", contact="it@a.example")


@pytest.fixture
def store() -> Meanwhile:
    """Return a store; set its *other* right before what is to be disturbed."""
    return Meanwhile()


# Orders


def test_room_for_an_order_is_made_beside_orders_elsewhere(store: Meanwhile) -> None:
    store.other = lambda it: KeptOrders(it, OTHER_CA).put(OWNER, ORDER)
    KeptOrders(store, CA).make_room(OWNER)
    assert KeptOrders(store, OTHER_CA).get(OWNER) == ORDER


@pytest.mark.parametrize(
    "tidy",
    [
        pytest.param(lambda bundles: bundles.forget_orders([]), id="nobody's order"),
        pytest.param(lambda bundles: bundles.tidy([]), id="tidying"),
    ],
)
def test_an_order_that_is_begun_meanwhile_stays(
    store: Meanwhile, tidy: Callable[[Bundles], None]
) -> None:
    KeptOrders(store, CA).put(OWNER, ORDER)
    newer = ORDER.model_copy(update={"url": f"{CA}/order/2"})
    store.other = lambda it: KeptOrders(it, CA).put(OWNER, newer)
    tidy(Bundles(store))
    assert KeptOrders(store, CA).get(OWNER) == newer
    tidy(Bundles(store))
    assert not store.has(order_key(OWNER))


# The account


def test_of_two_new_keys_of_one_account_the_first_that_is_stored_counts(store: Meanwhile) -> None:
    theirs: list[str] = []
    store.other = lambda it: theirs.append(thumbprint(KeptAccount(it, CA).new_key()))
    account = KeptAccount(store, CA)
    assert account.key() is None
    assert [thumbprint(account.new_key())] == theirs


def test_the_key_that_was_agreed_to_counts_and_the_next_one_of_another_stays(
    store: Meanwhile,
) -> None:
    ours, theirs = KeptAccount(store, CA), KeptAccount(store, CA)
    ours.new_key()
    coming = thumbprint(ours.new_key(NEXT))
    assert theirs.key(NEXT)
    theirs.drop_next()
    other = thumbprint(theirs.new_key(NEXT))
    ours.move()
    ours.drop_next()
    found = [theirs.key(KEY), theirs.key(NEXT)]
    assert [thumbprint(each) for each in found if each] == [coming, other]


def test_what_another_process_told_the_authority_of_the_account_stays(store: Meanwhile) -> None:
    ours, theirs = KeptAccount(store, CA), KeptAccount(store, CA)
    assert ours.registered() is None
    assert theirs.registered() is None
    theirs.register(ACCOUNT)
    ours.register(ACCOUNT.model_copy(update={"contact": None}))
    assert ours.registered() == ACCOUNT
    changed = ACCOUNT.model_copy(update={"contact": "hostmaster@a.example"})
    ours.register(changed)
    assert theirs.registered() == changed


# Files that cannot be used


def test_what_is_found_of_other_files_meanwhile_stays(store: Meanwhile) -> None:
    ours, theirs = Failures(store), Failures(store)
    assert ours.of("a.example", "former", NOON) is None
    assert theirs.of("a.example", "present", NOON) is None
    theirs.keep("a.example", "present", no())
    ours.keep("a.example", "former", no())
    ours.forget("a.example")
    assert theirs.of("a.example", "present", NOON)
    assert ours.of("a.example", "present", NOON)
    ours.keep("a.example", "later", no())
    assert ours.of("a.example", "later", NOON)
    ours.forget("a.example")
    assert not store.values


# Bundles


def test_of_two_bundles_that_are_saved_at_once_no_key_is_left_behind(store: Meanwhile) -> None:
    def pair(name: bytes) -> KeyAndChain:
        key = b"-----BEGIN PRIVATE KEY-----\n%b\n-----END PRIVATE KEY-----\n" % name
        return KeyAndChain(key, b"-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n")

    def digest(of: KeyAndChain) -> str:
        return hashlib.sha256(of.pem).hexdigest()

    first, second = pair(b"first"), pair(b"second")
    ours = replace(bundle(WANTED), digest=digest(first))
    theirs = replace(ours, digest=digest(second))
    store.other = lambda it: Bundles(it).save(second, theirs)
    Bundles(store).save(first, ours)
    assert Bundles(store).all() == {OWNER: ours}
    assert not store.has(secret_key(OWNER, theirs.digest))


# The ledger


def test_what_is_noted_while_entries_are_set_right_is_not_lost(store: Meanwhile) -> None:
    ahead = QuotaEntry(NOON + 300 * DAY, ("a.example",))
    Ledger(store, CA).note(ahead)
    store.other = lambda it: Ledger(it, CA).note(replace(ahead, names=("b.example",)))
    Ledger(store, CA).set_right(NOON)
    found = [(each.at, each.names) for each in Ledger(store, CA).entries(NOON)]
    assert found == [(NOON, ("a.example",)), (NOON, ("b.example",))]


# Mail


def test_new_terms_of_another_authority_are_kept_beside_ours(store: Meanwhile) -> None:
    store.other = lambda it: Outbox(it).change_terms(lambda kept: kept | {OTHER_CA: "theirs"})
    Outbox(store).change_terms(lambda kept: kept | {CA: "ours"})
    assert Outbox(store).terms() == {CA: "ours", OTHER_CA: "theirs"}


# Records of dns-01


def test_a_record_that_is_written_again_is_not_forgotten_as_an_old_one(store: Meanwhile) -> None:
    record = TxtRecord("ours", "_acme-challenge.a.example", "value")
    later = NOON + GIVEN_UP + timedelta(days=1)
    KeptRecords(store).put(record, NOON)
    store.other = lambda it: KeptRecords(it).put(record, later)
    assert list(KeptRecords(store).left("ours", later)) == []
    assert list(KeptRecords(store).left("ours", later)) == [record]
