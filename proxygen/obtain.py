"""WHAT IS DUE -> CHECKED NAMES -> ORDERS -> THE STORE. One server does this; read this first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace

from proxygen.apply.hooks import Hooks
from proxygen.apply.issuance import Issuance
from proxygen.apply.orders import Orders, Tried
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.renewal_information import poll_renewals
from proxygen.assemble import Installation
from proxygen.errors import IssueFailed
from proxygen.failure import not_obtained
from proxygen.model.hosts import readable_name
from proxygen.model.site import Site
from proxygen.names.states import Answers
from proxygen.observe.site import observe_store, source_hashes
from proxygen.plan.backoff import order_purpose, purpose_of
from proxygen.plan.compare import (
    LOCAL,
    bundles_to_forget,
    due_issues,
    in_order,
    issues_of,
    names_to_check,
)
from proxygen.plan.observed import Observed
from proxygen.plan.schedule import Schedule, ScheduleInputs, forecast_issuance, schedule
from proxygen.plan.steps import CheckNames, Issue, Plan


def obtain(
    site: Site,
    installation: Installation,
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
        installation.ledger(authority.directory).set_right(installation.now())
    installation.bundles.refile(site.certificates)
    hooks = Hooks(installation, progress.say, progress.leave)
    hooks.begin()
    issuance = Issuance(site, installation, outcome, progress, hooks.before)
    while True:
        observed = poll_renewals(
            site, installation, observe_store(site, installation), only, progress.leave
        )
        plan = plan_orders(site, installation, observed, only, tried.owners)
        outcome.waiting = list(plan.waiting)
        for of, error in plan.failures:
            outcome.failed(of, error)
        orders = Orders(site, installation, outcome, progress, issuance, tried)
        if not orders.walk(plan, observed):
            break
    outcome.observed = observed_now(site, installation, observed)
    hooks.failed_all(site, outcome.observed, outcome.failures)
    outcome.notes += hooks.warnings
    return outcome


def plan_orders(
    site: Site,
    installation: Installation,
    observed: Observed,
    only: Collection[str] = (),
    tried: Collection[str] = (),
) -> Plan:
    """Return the plan of orders, with the names to check before them and what must wait."""
    now = installation.now()
    wanted = [
        each
        for each in site.certificates
        if each.issuer not in LOCAL and (not only or each.owner in only)
    ]
    due, unprovable = issues_of(wanted, observed, now, tried, only)
    silent = [each for each in unprovable if each.silent]
    scheduled = schedule_orders(due, site, installation, observed, only)
    asked = tuple(
        (each, name)
        for each, name in names_to_check(wanted, observed, scheduled.now, now)
        if each.owner not in tried
    )
    look_first = (CheckNames(asked),) if asked else ()
    return Plan(
        (*in_order(scheduled.now, look_first), *bundles_to_forget(site, observed, now)),
        failures=tuple(
            (each.owner, not_answered(each.silent, observed.answers)) for each in silent
        ),
        waiting=(*scheduled.waiting, *(each for each in unprovable if not each.silent)),
        forecast=forecast_issuance(
            scheduled, sum(bool(each.authorities) for each in site.certificates)
        ),
    )


def not_answered(names: Collection[str], answers: Answers | None) -> IssueFailed:
    """Return the error for names that are not ordered: failed validations would be counted."""
    met = dict(answers.met) if answers else {}
    words = next((met[name] for name in names if name in met), "")
    code = "challenges-met-otherwise" if words else "challenges-not-answered"
    names = tuple(map(readable_name, names))
    return IssueFailed(not_obtained(code, names=names, words=words))


def schedule_orders(
    due: Collection[Issue],
    site: Site,
    installation: Installation,
    observed: Observed,
    forced: Collection[str],
) -> Schedule:
    """Return which orders are placed now, and which are postponed."""
    if not due:
        return Schedule()
    quotas = {
        each.directory: installation.quota(each)
        for each in site.authorities
        if any(asdict(each.limits).values())
    }
    purposes = {each.directory: purpose_of(each) for each in site.authorities}
    past = ScheduleInputs(
        observed.bundles, observed.failures, observed.authority_failures, quotas, forced, purposes
    )
    return schedule(list(due), past, installation.now())


def observed_now(site: Site, installation: Installation, observed: Observed) -> Observed:
    """Return what is observed, with the failures and names of now.

    Failures of what is no longer due are forgotten, as are orders and names of owners that are
    gone.
    """
    bundles, now = installation.bundles, installation.now()
    attempts = bundles.failures_below("attempts")
    there = replace(observed, sources=source_hashes(site)) if attempts else observed
    due, waiting = due_issues(site, there, now) if attempts else ((), ())
    about = {step.certificate.owner: order_purpose(step.certificate) for step in due}
    waits = {each.owner for each in waiting}
    for owner, last_failure in list(attempts.items()):
        if owner not in waits and about.get(owner) != last_failure.purpose:
            bundles.forget_failure(owner, last_failure)
            del attempts[owner]
    bundles.forget_orders(each.key for each in site.holders)
    installation.names.keep({each.owner: each.names for each in site.certificates})
    troubles, held = bundles.failures_below("troubles"), bundles.failures_below("looks")
    return replace(observed, failures=attempts, authority_failures=troubles, poll_failures=held)
