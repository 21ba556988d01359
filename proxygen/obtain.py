"""WHAT IS DUE -> CHECKED NAMES -> ORDERS -> THE STORE. One server does this; read this first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace

from proxygen.apply.hooks import Hooks
from proxygen.apply.issuance import Issuance
from proxygen.apply.orders import Orders, Tried
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.renewal_information import look
from proxygen.assemble import Parts
from proxygen.errors import IssueFailed
from proxygen.failure import not_obtained
from proxygen.model.hosts import readable
from proxygen.model.site import Site
from proxygen.observe.site import observe_store, sources
from proxygen.plan.backoff import purpose, purpose_of
from proxygen.plan.compare import LOCAL, forgotten, in_order, issues, issues_of, looks
from proxygen.plan.observed import Observed
from proxygen.plan.schedule import Past, Schedule, forecast, schedule
from proxygen.plan.steps import Issue, Look, Plan


def obtain(
    site: Site,
    parts: Parts,
    progress: Progress,
    only: Collection[str] = (),
    tried: Tried | None = None,
) -> Outcome:
    """Obtain the certificates that are due from their authorities, and store them.

    *only*: the owners to obtain for. *tried* is what this run tried before: a certificate that
    could not be obtained is not tried twice in one run.
    """
    tried = tried if tried is not None else Tried()
    outcome = Outcome()
    for authority in site.authorities:
        parts.ledger(authority.directory).set_right(parts.now())
    hooks = Hooks(parts, progress.say, progress.leave)
    hooks.begin()
    issuance = Issuance(site, parts, outcome, progress, hooks.before)
    while True:
        observed = look(site, parts, observe_store(site, parts), only, progress.leave)
        plan = plan_orders(site, parts, observed, only, tried.owners)
        outcome.waiting = list(plan.waiting)
        for of, error in plan.failures:
            outcome.failed(of, error)
        orders = Orders(site, parts, outcome, progress, issuance, tried)
        if not orders.walk(plan, observed):
            break
    outcome.observed = settled(site, parts, observed)
    hooks.failed_all(site, outcome.observed, outcome.failures)
    outcome.notes += hooks.warnings
    return outcome


def plan_orders(
    site: Site,
    parts: Parts,
    observed: Observed,
    only: Collection[str] = (),
    tried: Collection[str] = (),
) -> Plan:
    """Return the plan of orders, with the names to check before them and what must wait."""
    now = parts.now()
    wanted = [
        each
        for each in site.certificates
        if each.issuer not in LOCAL and (not only or each.owner in only)
    ]
    due, unprovable = issues_of(wanted, observed, now, tried, only)
    silent = [each for each in unprovable if each.silent]
    scheduled = scheduling(due, site, parts, observed, only)
    asked = tuple(
        (each, name)
        for each, name in looks(wanted, observed, scheduled.now, now)
        if each.owner not in tried
    )
    look_first = (Look(asked),) if asked else ()
    return Plan(
        (*in_order(scheduled.now, look_first), *forgotten(site, observed, now)),
        failures=tuple((each.owner, not_answered(each.silent)) for each in silent),
        waiting=(*scheduled.waiting, *(each for each in unprovable if not each.silent)),
        forecast=forecast(scheduled, sum(bool(each.authorities) for each in site.certificates)),
    )


def not_answered(names: Collection[str]) -> IssueFailed:
    """Return the error for names that are not ordered: failed validations would be counted."""
    names = tuple(map(readable, names))
    return IssueFailed(not_obtained("challenges-not-answered", names=names))


def scheduling(
    due: Collection[Issue],
    site: Site,
    parts: Parts,
    observed: Observed,
    forced: Collection[str],
) -> Schedule:
    """Return which orders are placed now, and which are postponed."""
    if not due:
        return Schedule()
    quotas = {
        each.directory: parts.quota(each)
        for each in site.authorities
        if any(asdict(each.limits).values())
    }
    purposes = {each.directory: purpose_of(each) for each in site.authorities}
    past = Past(observed.bundles, observed.attempts, observed.troubles, quotas, forced, purposes)
    return schedule(list(due), past, parts.now())


def settled(site: Site, parts: Parts, observed: Observed) -> Observed:
    """Return what is observed, with the failures and names of now.

    Failures of what is no longer due are forgotten, as are orders and names of owners that are
    gone.
    """
    bundles, now = parts.bundles, parts.now()
    attempts = bundles.held("attempts")
    there = replace(observed, sources=sources(site)) if attempts else observed
    due, waiting = issues(site, there, now) if attempts else ((), ())
    about = {step.certificate.owner: purpose(step.certificate) for step in due}
    waits = {each.owner for each in waiting}
    for owner, attempt in list(attempts.items()):
        if owner not in waits and about.get(owner) != attempt.purpose:
            bundles.forget_failure(owner, attempt)
            del attempts[owner]
    bundles.forget_orders(each.key for each in site.owners)
    parts.names.keep({each.owner: each.names for each in site.certificates})
    troubles, held = bundles.held("troubles"), bundles.held("looks")
    return replace(observed, attempts=attempts, troubles=troubles, looks=held)
