"""An authority's limits: never more in any window than it allows, and never later than needed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.model.site import AuthorityLimits
from proxygen.plan.quota import Quota, QuotaEntry, QuotaKind
from tests.certificates import DAY, NOON

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
LIMITS = AuthorityLimits(orders=3, registered_domain=2, name_set=1, failed_validations=2)


def registered(name: str) -> str:
    """Return the last two labels."""
    return ".".join(name.split(".")[-2:])


def quota(*entries: QuotaEntry, limits: AuthorityLimits = LIMITS, now: datetime = NOON) -> Quota:
    """Return a quota of which *entries* were used."""
    return Quota(limits, entries, registered, now)


def order(
    *names: str, at: datetime = NOON, renewal: bool = False, exempt: bool = False
) -> QuotaEntry:
    """Return a new order."""
    return QuotaEntry(at, names, renewal=renewal, exempt=exempt)


def test_an_order_within_every_limit_is_free_at_once() -> None:
    assert quota().free_at(order("a.example"), NOON) == NOON


def test_orders_of_an_account_wait_until_the_first_of_them_is_three_hours_old() -> None:
    used = [order(f"{n}.example", at=NOON - n * HOUR) for n in range(3)]
    assert quota(*used).free_at(order("new.example"), NOON) == NOON + HOUR
    assert quota(*used[:2]).free_at(order("new.example"), NOON) == NOON


def test_names_of_one_registered_domain_share_its_certificates() -> None:
    used = [order("a.shop.example", at=NOON - DAY), order("b.shop.example", at=NOON - 2 * DAY)]
    late = quota(*used, limits=AuthorityLimits(registered_domain=2))
    assert late.free_at(order("c.shop.example"), NOON) == NOON + 5 * DAY
    assert late.free_at(order("c.other.example"), NOON) == NOON


def test_the_same_set_of_names_is_one_whatever_their_order() -> None:
    used = order("a.example", "b.example", at=NOON - DAY)
    same = quota(used).free_at(order("b.example", "a.example", renewal=True), NOON)
    assert same == NOON + 6 * DAY
    assert quota(used).free_at(order("a.example"), NOON) == NOON


def test_failed_validations_of_a_name_hold_up_every_order_with_it() -> None:
    failed = [
        QuotaEntry(NOON - n * SECOND, ("a.example",), kind=QuotaKind.FAILED) for n in (10, 20)
    ]
    assert (
        quota(*failed).free_at(order("a.example", "b.example"), NOON) == NOON + HOUR - 20 * SECOND
    )
    assert quota(*failed).free_at(order("b.example"), NOON) == NOON


def test_a_renewal_counts_for_its_set_of_names_alone() -> None:
    used = [order(f"{n}.shop.example", renewal=True) for n in range(9)]
    assert quota(*used).free_at(order("new.shop.example"), NOON) == NOON
    assert quota(*used).free_at(order("1.shop.example", renewal=True), NOON) == NOON + 7 * DAY


def test_what_replaces_a_certificate_counts_for_nothing() -> None:
    used = [order("a.example", exempt=True)] * 9
    assert quota(*used).free_at(order("a.example"), NOON) == NOON
    full = quota(*[order("a.example")] * 9)
    assert full.free_at(order("a.example", exempt=True), NOON) == NOON


def test_without_limits_nothing_waits() -> None:
    used = [order("a.example")] * 1000
    assert quota(*used, limits=AuthorityLimits()).free_at(order("a.example"), NOON) == NOON


def test_what_was_noted_while_the_clock_was_ahead_counts_from_now_on() -> None:
    used = [order(f"{n}.example", at=NOON + 300 * DAY) for n in range(3)]
    assert quota(*used).free_at(order("new.example"), NOON) == NOON + 3 * HOUR


@given(
    st.lists(st.sampled_from(["a.x.example", "b.x.example", "c.y.example", "d.z.example"])),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_no_window_ever_holds_more_than_the_limit(
    names: list[str], orders: int, domain: int
) -> None:
    limits = AuthorityLimits(orders=orders, registered_domain=domain)
    ours = quota(limits=limits)
    made: list[tuple[datetime, str]] = []
    for name in names:
        at = ours.free_at(order(name), NOON)
        ours.take(order(name), at)
        made.append((at, registered(name)))
    for at, of in made:
        assert len([one for one, _ in made if at - 3 * HOUR < one <= at]) <= orders
        same = [one for one, each in made if each == of and at - 7 * DAY < one <= at]
        assert len(same) <= domain


@pytest.mark.parametrize("orders", [1, 300])
def test_a_thousand_orders_are_scheduled_as_quickly_as_the_limit_allows(orders: int) -> None:
    ours = quota(limits=AuthorityLimits(orders=orders))
    for number in range(1000):
        entry = order(f"{number}.example")
        at = ours.free_at(entry, NOON)
        ours.take(entry, at)
    assert at == NOON + (999 // orders) * 3 * HOUR
