"""The account over its years: another key, other terms, a backup, a second authority."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxygen.errors import IssueFailed, UsageError
from proxygen.issuers.acme import AcmeIssuer
from proxygen.issuers.acme_account import find_account
from proxygen.issuers.acme_backup import Backup
from proxygen.issuers.acme_kept import NEXT, KeptAccount, thumbprint
from proxygen.model.x509 import dns_names
from proxygen.solvers.http01 import Webroot
from proxygen.stores import Store
from proxygen.stores.filesystem import FileStore
from tests.issuers.at_pebble import (
    MAC,
    Place,
    at,
    behind,
    external,
    issuer,
    kill_at,
    leaf,
    made,
    problem_at,
    settings,
    usual,
    wanted,
)
from tests.live import needs
from tests.live.acme2certifier import Acme2certifier
from tests.live.between import Between, Hold, Reply
from tests.live.pebble import Manners
from tests.live.processes import until
from tests.standins import MemoryStore

pytestmark = needs("pebble", "pebble-challtestsrv")

ROLL = "rollover-account-key"


def kept(one: AcmeIssuer) -> KeptAccount:
    """Return what is stored of an issuer's account."""
    return KeptAccount(one.store, one.settings.directory)


def mark(one: AcmeIssuer) -> str:
    """Return the thumbprint of the stored key."""
    key = kept(one).key()
    assert key
    return thumbprint(key)


# Another key


def test_after_a_roll_over_the_same_account_has_another_key(common: Place) -> None:
    one = usual(common)
    url = one.account().url
    former = one.account().key
    one.account().roll_over()
    assert mark(one) != thumbprint(former)
    assert not one.store.has(f"{kept(one).folder}/{NEXT}")
    later = issuer(one.settings, one.solvers, one.store)
    assert later.issue(wanted("rolled.example"), None)
    assert one.issue(wanted("rolled-here.example"), None)
    assert later.account().url == url
    assert find_account(later.server, former) is None


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_roll_over_is_finished_by_the_next_run(
    own: Place, tmp_path: Path, moment: str
) -> None:
    folder = own.challenges.parent
    store = FileStore(folder / "store")
    with Between(own.pebble, tmp_path) as between:
        one = issuer(settings(between), Webroot(own.challenges), store)
        one.account()
        between.hold = Hold(ROLL, moment)
        kill_at(between.hold, between, folder, script="roll_over_once.py")
        coming = kept(one).key(NEXT)
        assert coming
        later = issuer(settings(between), Webroot(own.challenges), store)
        assert later.issue(wanted("a.killed.example"), None)
        # Released, the request that was held before Pebble saw it may come late.
        until(lambda: len(between.times(ROLL)) == len(between.sent(ROLL)), "all requests to end")
        again = issuer(settings(between), Webroot(own.challenges), store)
        assert again.issue(wanted("b.killed.example"), None)
    assert mark(one) == thumbprint(coming)
    assert kept(one).key(NEXT) is None
    assert made(own.pebble, "accounts") == 1


def test_a_roll_over_that_the_authority_never_heard_of_is_finished(common: Place) -> None:
    one = usual(common)
    one.account()
    coming = kept(one).new_key(NEXT)
    assert issuer(one.settings, one.solvers, one.store).issue(wanted("unheard.example"), None)
    assert mark(one) == thumbprint(coming)


def test_a_roll_over_that_comes_late_counts(between: Between, common: Place) -> None:
    one = behind(between, common)
    one.account()
    coming = kept(one).new_key(NEXT)
    # As if the request of the killed run had overtaken the one that finishes its work.
    refusal = problem_at(ROLL, 409, "malformed", {})
    between.tamper = at(ROLL, lambda reply: refusal(ROLL, reply))  # not what Pebble did not do
    later = issuer(one.settings, one.solvers, one.store)
    assert later.issue(wanted("late.example"), None)
    assert mark(one) == thumbprint(coming)


def test_an_unfinished_roll_over_that_is_refused_is_given_up(
    between: Between, common: Place
) -> None:
    one = behind(between, common)
    former = thumbprint(one.account().key)
    kept(one).new_key(NEXT)
    between.instead = lambda step, _: reply_of(problem_at(ROLL, 409, "malformed", {}), step)
    later = issuer(one.settings, one.solvers, one.store)
    assert later.issue(wanted("given-up.example"), None)
    assert mark(one) == former
    assert kept(one).key(NEXT) is None


def test_the_next_key_is_stored_before_the_authority_hears_of_it(
    between: Between, common: Place
) -> None:
    one = behind(between, common)
    one.account()
    stored: list[bool] = []

    def look(step: str, signed: dict[str, Any]) -> None:
        if step == ROLL:
            stored.append(one.store.has(f"{kept(one).folder}/{NEXT}"))

    between.instead = look
    one.account().roll_over()
    assert stored
    assert all(stored)  # of a busy machine the authority may hear twice


def test_an_unfinished_move_of_the_key_is_finished(common: Place) -> None:
    one = usual(common)
    one.account()
    pem = kept(one).read()
    assert pem
    one.store.put(f"{kept(one).folder}/{NEXT}", pem)
    assert issuer(one.settings, one.solvers, one.store).issue(wanted("moved.example"), None)
    assert kept(one).read() == pem
    assert not one.store.has(f"{kept(one).folder}/{NEXT}")


def test_a_refused_roll_over_leaves_the_key_as_it_is(between: Between, common: Place) -> None:
    one = behind(between, common)
    former = thumbprint(one.account().key)
    refusal = problem_at(ROLL, 409, "malformed", {})
    between.instead = lambda step, _: reply_of(refusal, step)
    with pytest.raises(IssueFailed, match="refused the account"):
        one.account().roll_over()
    assert kept(one).key(NEXT) is None
    later = issuer(one.settings, one.solvers, one.store)
    assert later.issue(wanted("unrolled.example"), None)
    assert mark(one) == former


def reply_of(refusal: Callable[[str, Reply], Reply], step: str) -> Reply | None:
    """Return what a refusal says at a step, None at others."""
    nothing = Reply(0, {}, b"")
    said = refusal(step, nothing)
    return None if said is nothing else said


def test_a_second_roll_over_after_a_lost_answer_begins_with_the_right_key(
    between: Between, common: Place
) -> None:
    one = behind(between, common)
    one.account()
    lost = iter([True])
    between.tamper = lambda step, reply: (
        replace(reply, status=504, body=b"") if step == ROLL and next(lost, False) else reply
    )
    with pytest.raises(IssueFailed):
        one.account().roll_over()
    one.account().roll_over()
    assert issuer(one.settings, one.solvers, one.store).issue(wanted("twice.example"), None)


def test_an_authority_that_forgot_both_keys_gets_the_one_in_use(own: Place) -> None:
    one = issuer(settings(own.pebble), Webroot(own.challenges))
    one.account()
    former = mark(one)
    kept(one).new_key(NEXT)
    own.pebble.stop()
    own.pebble.start()
    later = issuer(one.settings, one.solvers, one.store)
    assert later.issue(wanted("forgotten.example"), None)
    assert mark(one) == former


def test_an_authority_without_roll_over_is_said_to_have_none(
    between: Between, common: Place
) -> None:
    between.tamper = at("dir", lambda reply: reply.saying(keyChange=None))
    with pytest.raises(IssueFailed, match="cannot change the key") as failed:
        behind(between, common).account().roll_over()
    assert failed.value.failure.final


# Terms


def with_terms(url: str | None) -> Callable[[str, Reply], Reply]:
    """Return what has the directory name other terms."""
    return at("dir", lambda reply: reply.saying(meta={"termsOfService": url}))


NEW_TERMS = "https://authority.example/terms/2"


def test_changed_terms_are_agreed_to_and_told_once(between: Between, common: Place) -> None:
    one = behind(between, common)
    one.issue(wanted("terms.example"), None)
    assert one.new_terms is None
    between.tamper = with_terms(NEW_TERMS)
    told = []
    for number in range(2):
        later = issuer(one.settings, one.solvers, one.store)
        assert later.issue(wanted(f"terms{number}.example"), None)
        told.append(later.new_terms)
    assert told == [NEW_TERMS, None]
    assert [said["termsOfServiceAgreed"] for said in between.sent("my-account")] == [True]
    assert kept(one).registered().terms == NEW_TERMS  # type: ignore[union-attr]


def test_terms_that_were_not_noted_before_are_not_new(between: Between, common: Place) -> None:
    one = behind(between, common)
    one.account()
    key = f"{kept(one).folder}/account"
    stored = json.loads(one.store.get(key) or b"{}")
    del stored["terms"]
    one.store.put(key, json.dumps(stored).encode())
    later = issuer(one.settings, one.solvers, one.store)
    later.account()
    assert later.new_terms is None
    assert kept(one).registered().terms  # type: ignore[union-attr]


def test_an_authority_that_takes_no_update_for_its_terms_issues_all_the_same(
    between: Between, common: Place
) -> None:
    one = behind(between, common)
    one.account()
    terms, refusal = with_terms(NEW_TERMS), problem_at("my-account", 400, "malformed", {})
    between.tamper = lambda step, reply: refusal(step, terms(step, reply))
    later = issuer(one.settings, one.solvers, one.store)
    assert later.issue(wanted("stubborn.example"), None)
    assert later.new_terms == NEW_TERMS


def test_terms_that_a_person_must_agree_to_are_named(between: Between, common: Place) -> None:
    one = behind(between, common)
    one.account()
    more = {"instance": "https://authority.example/agree"}
    terms = with_terms(NEW_TERMS)
    refusal = problem_at("my-account", 403, "userActionRequired", {}, **more)
    between.tamper = lambda step, reply: refusal(step, terms(step, reply))
    with pytest.raises(IssueFailed) as failed:
        issuer(one.settings, one.solvers, one.store).issue(wanted("agree.example"), None)
    assert more["instance"] in failed.value.remedy
    assert (failed.value.failure.final, failed.value.failure.everybody) == (True, True)


# A contact that the authority does not take


def refusing(step: str, _: dict[str, Any]) -> Reply | None:
    """Refuse an update of the account; Pebble, which rejects some nonces, is not asked."""
    return reply_of(problem_at("my-account", 400, "invalidContact", {}), step)


def accepting(step: str, _: dict[str, Any]) -> Reply | None:
    """Let Pebble answer."""
    return None


def with_contact(one: AcmeIssuer, contact: str, now: datetime | None = None) -> AcmeIssuer:
    """Return a later process's issuer, with another contact in its model, at another time."""
    later = issuer(replace(one.settings, contact=contact), one.solvers, one.store)
    if now:
        later.server.now = lambda: now
    return later


def contacts(between: Between) -> list[Any]:
    """Return what the authority was told of a contact that is another one."""
    return [said.get("contact") for said in between.sent("my-account")]


def test_a_refused_contact_is_noted_and_certificates_are_obtained_all_the_same(
    between: Between, common: Place
) -> None:
    one = behind(between, common)
    one.account()
    assert one.notes == ()
    between.instead = refusing
    later = with_contact(one, "new@proxygen.test")
    assert later.issue(wanted("refused-contact.example"), None)
    (note,) = later.notes
    for words in ("new@proxygen.test", "keeps admin@proxygen.test", "`contact`", "because"):
        assert words in note
    registered = kept(one).registered()
    assert registered
    assert registered.contact == "admin@proxygen.test"


def test_a_refused_contact_is_told_again_after_a_day_and_noted_until_it_is_taken(
    between: Between, common: Place
) -> None:
    one = behind(between, common)
    one.account()
    between.instead = refusing
    with_contact(one, "new@proxygen.test").account()
    between.instead = accepting
    between.tamper = at("dir", lambda reply: reply.with_header("Date", ""))
    now = datetime.now(UTC)
    soon = with_contact(one, "new@proxygen.test", now + timedelta(hours=23))
    soon.account()
    assert len(contacts(between)) == 1
    assert len(soon.notes) == 1
    late = with_contact(one, "new@proxygen.test", now + timedelta(days=1, minutes=1))
    late.account()
    assert contacts(between) == [["mailto:new@proxygen.test"]] * 2
    assert late.notes == ()
    registered = kept(one).registered()
    assert registered
    assert registered.contact == "new@proxygen.test"


def test_another_contact_than_the_refused_one_is_told_at_once(
    between: Between, common: Place
) -> None:
    one = behind(between, common)
    one.account()
    between.instead = refusing
    with_contact(one, "new@proxygen.test").account()
    between.instead = accepting
    later = with_contact(one, "newer@proxygen.test")
    later.account()
    assert (later.notes, contacts(between)[1:]) == ((), [["mailto:newer@proxygen.test"]])
    back = with_contact(one, "newer@proxygen.test")
    back.account()
    assert (back.notes, len(contacts(between))) == ((), 2)


def test_new_terms_beside_a_refused_contact_are_told_once(between: Between, common: Place) -> None:
    one = behind(between, common)
    one.account()
    between.instead, between.tamper = refusing, with_terms(NEW_TERMS)
    told = []
    for _ in range(2):
        later = with_contact(one, "new@proxygen.test")
        later.account()
        told.append(later.new_terms)
    assert told == [NEW_TERMS, None]
    assert len(contacts(between)) == 1


# A backup


def backup(one: AcmeIssuer) -> Backup:
    """Return a backup of an issuer's account."""
    return Backup.of(kept(one), one.settings.directory, datetime.now(UTC))


def test_a_backup_is_good_until_the_key_is_another(common: Place) -> None:
    one = usual(common)
    one.account()
    saved = Backup.read(backup(one).content, "backup.json")
    saved.check(kept(one), one.server)
    one.account().roll_over()
    with pytest.raises(UsageError, match="not the one in use"):
        saved.check(kept(one), one.server)


def test_a_backup_of_an_account_that_the_authority_lost_is_not_good(own: Place) -> None:
    one = issuer(settings(own.pebble), Webroot(own.challenges))
    one.account()
    own.pebble.stop()
    own.pebble.start()
    with pytest.raises(IssueFailed, match="does not know the account"):
        backup(one).check(kept(one), one.server)
    assert made(own.pebble, "accounts") == 1, "asking must not register it"


def test_no_backup_is_made_while_it_is_open_which_key_counts(common: Place) -> None:
    one = usual(common)
    with pytest.raises(UsageError, match="no account"):
        backup(one)
    one.account()
    kept(one).new_key(NEXT)
    with pytest.raises(UsageError, match="was interrupted"):
        backup(one)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"directory": "http://x", "url": 7}', b"\xff"],
)
def test_what_is_no_backup_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"x\.json is not a backup"):
        Backup.read(content, "x.json")


def test_a_backup_shows_no_key_by_accident(common: Place) -> None:
    one = usual(common)
    one.account()
    assert "PRIVATE" not in repr(backup(one))


# A second authority


def unfinished(front: Between, place: Place, store: Store, name: str) -> None:
    """Begin an order that is not finished: the next call goes on with it."""
    front.tamper = at("finalize-order", lambda reply: late(reply))
    with pytest.raises(IssueFailed, match="not finished"):
        issuer(settings(front), Webroot(place.challenges), store).issue(wanted(name), None)
    front.tamper = lambda _, reply: reply


def late(reply: Reply) -> Reply:
    """Return an answer that the order takes longer than a run."""
    return reply.saying(status="processing").with_header("Retry-After", "7200")


@pytest.fixture
def second(own: Place, tmp_path: Path) -> Iterator[Between]:
    """A server before the Pebble of one test."""
    (tmp_path / "second").mkdir()
    with Between(own.pebble, tmp_path / "second") as server:
        yield server


def test_each_of_two_authorities_goes_on_with_its_own_order(
    between: Between, common: Place, second: Between, own: Place
) -> None:
    store = MemoryStore()
    both = [(between, common), (second, own)]
    for front, place in both:
        unfinished(front, place, store, "two.example")
    for front, place in both:
        one = issuer(settings(front), Webroot(place.challenges), store)
        assert dns_names(leaf(one.issue(wanted("two.example"), None))) == ("two.example",)
    assert [len(front.sent("order-plz")) for front, _ in both] == [1, 1]
    assert len({key.split("/")[1] for key in store.keys("accounts")}) == 2


def test_a_refusal_at_one_authority_leaves_the_order_at_the_other(
    between: Between, common: Place, own: Place
) -> None:
    store = MemoryStore()
    unfinished(between, common, store, "other.example")
    own.pebble.dns.add_a("other.example", "127.0.0.66")
    refusing = issuer(settings(own.pebble), Webroot(own.challenges), store)
    with pytest.raises(IssueFailed, match="refused"):
        refusing.issue(wanted("other.example"), None)
    assert behind(between, common, store=store).issue(wanted("other.example"), None)
    assert len(between.sent("order-plz")) == 1


def test_what_one_authority_finished_is_begun_nowhere(
    between: Between, common: Place, own: Place
) -> None:
    store = MemoryStore()
    unfinished(between, common, store, "done.example")
    other = issuer(settings(own.pebble), Webroot(own.challenges), store)
    other.issue(wanted("done.example"), None)
    other.finished("done.example")
    assert list(store.keys("orders")) == []


def test_another_account_does_not_go_on_with_the_order_of_the_former(
    between: Between, common: Place
) -> None:
    store = MemoryStore()
    unfinished(between, common, store, "account.example")
    for key in list(store.keys("accounts")):
        store.delete(key)
    before = len(between.seen)
    assert behind(between, common, store=store).issue(wanted("account.example"), None)
    steps = [step for step, _ in between.seen[before:]]
    assert "my-order" not in steps[: steps.index("order-plz")]


@pytest.mark.parametrize("own", [Manners(external_accounts={"kid-1": MAC})], indirect=True)
def test_a_second_authority_has_its_own_binding_and_roots(common: Place, own: Place) -> None:
    store = MemoryStore()
    first = issuer(settings(common.pebble), Webroot(common.challenges), store)
    assert first.issue(wanted("own.example"), None)
    bound = settings(own.pebble, external_account=external("kid-1"))
    assert issuer(bound, Webroot(own.challenges), store).issue(wanted("own.example"), None)
    strange = settings(own.pebble, trusted_roots=(common.pebble.trusted_root,))
    with pytest.raises(IssueFailed, match="cannot be used") as failed:
        issuer(strange, Webroot(own.challenges), store).issue(wanted("own.example"), None)
    assert failed.value.failure.everybody


def test_a_second_authority_has_its_own_profile(common: Place, root: Path) -> None:
    store = MemoryStore()
    with Acme2certifier(root) as second:
        given = settings(second, profile="shortlived")
        assert issuer(given, Webroot(root), store).issue(wanted("profile.example.org"), None)
        unknown = settings(second, profile="fast")
        with pytest.raises(IssueFailed, match="default and shortlived") as failed:
            issuer(unknown, Webroot(root), store).issue(wanted("profile.example.org"), None)
    assert (failed.value.failure.final, failed.value.failure.everybody) == (True, True)
