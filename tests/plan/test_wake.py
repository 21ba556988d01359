"""When the calendar wants a round: at the next moment, not before, and never in the past."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from proxygen.failure import Scope, failure
from proxygen.model.certificate import GLOBAL, RenewalInfo
from proxygen.model.site import Site
from proxygen.names.states import (
    Evidence,
    Finding,
    NameState,
    state_after_check,
    state_after_refusal,
)
from proxygen.plan.backoff import RememberedFailure, order_purpose
from proxygen.plan.observed import Observed
from proxygen.plan.steps import PostponedOrder
from proxygen.plan.wake import wake_at
from tests.certificates import DAY, NOON
from tests.failures import NO
from tests.models import bundles, site

HOUR = timedelta(hours=1)
SITE = site(
    """
global: {url: mail.example.net, certificate: acme}
domains: {a.example: {url: www.a.example, certificate: acme}}
acme: {directory: "https://ca/dir", terms_of_service_agreed: true}
"""
)
MAIN, OWN = SITE.certificates
LATER = failure("order-not-placed", Scope.OWNER)
STORED = {owner: replace(each, not_after=NOON + 90 * DAY) for owner, each in bundles(SITE).items()}


def at(observed: Observed, *waiting: PostponedOrder) -> timedelta:
    """Return how long it is until the next round."""
    return wake_at(SITE, observed, waiting, NOON) - NOON


def observed(**own: object) -> Observed:
    """Return what is, the bundle of the domain changed."""
    return Observed(STORED | {OWN.owner: replace(STORED[OWN.owner], **own)}, {}, {})


def test_without_anything_due_it_is_a_day() -> None:
    assert at(Observed(STORED, {}, {})) == DAY


def test_a_certificate_is_renewed_when_it_is_time() -> None:
    ends = NOON + 30 * DAY
    assert at(observed(not_before=ends - 90 * DAY + HOUR, not_after=ends + HOUR)) < DAY


def test_renewal_information_is_asked_for_when_it_is_time() -> None:
    assert at(observed(renewal=RenewalInfo(NOON + 2 * HOUR))) == 2 * HOUR
    assert at(observed(renewal=RenewalInfo(NOON - DAY))) == timedelta(0)


def test_what_failed_is_tried_again_when_its_pause_is_over() -> None:
    failed = RememberedFailure(
        OWN.owner, NOON, NOON, 3, NOON + HOUR, NO, purpose=order_purpose(OWN)
    )
    state = Observed({GLOBAL: STORED[GLOBAL]}, {}, {}, failures={OWN.owner: failed})
    assert at(state) == HOUR
    trouble = RememberedFailure("https://ca/dir", NOON, NOON, 1, NOON + 2 * HOUR, NO)
    assert at(replace(state, failures={}, authority_failures={trouble.of: trouble})) == 2 * HOUR


def test_what_was_not_tried_is_due_now() -> None:
    assert at(Observed({GLOBAL: STORED[GLOBAL]}, {}, {})) == timedelta(0)


def test_what_waits_is_due_when_it_may_be() -> None:
    state = Observed({GLOBAL: STORED[GLOBAL]}, {}, {})
    assert at(state, PostponedOrder(OWN, NOON + 5 * HOUR, "limit", LATER)) == 5 * HOUR


NAME = OWN.names[0]
NOWHERE = Finding("no-address")


def waiting_for(known: NameState, wanted: Site = SITE) -> timedelta:
    """Return how long it is until the next round where this is known of the domain's name."""
    state = Observed(STORED, {}, {}, names={OWN.owner: {NAME: known}})
    return wake_at(wanted, state, (), NOON) - NOON


def test_a_name_in_trouble_is_due_when_it_is_checked_again() -> None:
    known = state_after_check(None, NAME, Evidence(NOON, findings=(NOWHERE,)), 0.0)
    assert waiting_for(known) == timedelta(minutes=1)
    assert waiting_for(replace(known, look_at=NOON + 365 * DAY)) == timedelta(0)


def test_a_name_that_nobody_checks_is_due_when_it_may_be_asked_for_again() -> None:
    """Otherwise there were round after round in which nothing can be done."""
    skipping = site(
        """
global: {url: mail.example.net, certificate: acme}
domains: {a.example: {url: www.a.example, certificate: acme, skip_preflight: true}}
acme: {directory: "https://ca/dir", terms_of_service_agreed: true}
"""
    )
    known = state_after_check(None, NAME, Evidence(NOON - DAY, findings=(NOWHERE,)), 0.0)
    failed = state_after_refusal(known, NAME, "", "no", NOON - HOUR, 0.0)
    assert failed.refusal is not None
    failed = replace(failed, refusal=replace(failed.refusal, again=NOON + HOUR))
    assert waiting_for(failed, skipping) == HOUR
