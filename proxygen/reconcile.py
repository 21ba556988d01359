"""ONE ROUND: observe, plan, apply, tell. Read this file first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any

from proxygen.apply.hooks import Hooks
from proxygen.apply.look import look
from proxygen.apply.walk import ANSWERS, Outcome, Progress, Walk
from proxygen.assemble import Parts
from proxygen.errors import ProxygenError, ServiceError
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Role, Site
from proxygen.model.views import mail_view, web_view
from proxygen.observe import observe, unanswered
from proxygen.plan.alerts import warnings
from proxygen.plan.backoff import purpose, purpose_of
from proxygen.plan.compare import compare, is_local, issues, stand_in
from proxygen.plan.installation import Installation, installation
from proxygen.plan.observed import Observed
from proxygen.plan.schedule import Past, Schedule, forecast, schedule
from proxygen.plan.steps import Issue, Plan
from proxygen.services import Endpoint

VIEWS = {Role.WEB: web_view, Role.MAIL: mail_view}


def always(plan: Plan, observed: Observed) -> bool:  # noqa: ARG001
    """Return that every plan is worth walking."""
    return True


MOST_PASSES = 5
"""A stand-in, supplied files, services for the challenges, orders, services: no round has more."""


def reconcile(
    site: Site,
    parts: Parts,
    progress: Progress,
    only: Collection[str] = (),
    worth: Callable[[Plan, Observed], bool] = always,
) -> Outcome:
    """One round: make what is into what should be; *only*: owners to obtain certificates for.

    What is issued changes what must be installed, so after issuing the rest is planned again
    from the whole state. A certificate that could not be obtained is not tried twice. A plan
    that is not *worth* it is not walked.
    """
    outcome = Outcome()
    for authority in site.authorities:
        parts.ledger(authority.directory).set_right(parts.now())
    hooks = Hooks(parts, progress.say, progress.leave)
    hooks.begin()
    for _ in range(MOST_PASSES):
        observed = look(site, parts, observe(site, parts), only, progress.stop)
        plan = next_plan(site, parts, observed, only, outcome.tried)
        outcome.warnings, outcome.waiting = list(plan.warnings), list(plan.waiting)
        if not worth(plan, observed):
            break
        issued = Walk(site, observed, parts, outcome, progress, hooks.before).steps(plan)
        if not issued and not only_issues(plan):
            break
    outcome.failures += plan.failures
    outcome.observed = forgotten(site, parts, observed)
    hooks.after(site, outcome.observed, outcome.failures, lambda: met(site, parts, observed))
    outcome.warnings += [*outcome.notes, *hooks.warnings]
    return outcome


def forgotten(site: Site, parts: Parts, observed: Observed) -> Observed:
    """Return what is, with the failures as they are now; those of what is due no more are gone."""
    bundles = parts.bundles
    attempts = bundles.held("attempts")
    due = issues(site, observed, parts.now()) if attempts else ()
    by_owner = {step.certificate.owner: step for step in due}
    for owner, attempt in list(attempts.items()):
        step = by_owner.get(owner)
        if step is None or attempt.purpose != purpose(step.certificate):
            bundles.forget_failure(owner)
            del attempts[owner]
    bundles.forget_orders(each.key for each in site.owners)
    troubles, looks = bundles.held("troubles"), bundles.held("looks")
    return replace(observed, attempts=attempts, troubles=troubles, looks=looks)


def met(site: Site, parts: Parts, observed: Observed) -> list[Endpoint]:
    """Return where clients meet certificates, at the services that can be worked with."""
    found: list[Endpoint] = []
    for name, state in observed.services.items():
        if state.facts and GLOBAL in observed.bundles:
            module = parts.services[name]
            view = VIEWS[module.ROLE](site, observed.bundles)
            found += module.endpoints(view, state.settings, state.facts)
    return found


def next_plan(
    site: Site,
    parts: Parts,
    observed: Observed,
    only: Collection[str],
    tried: Collection[str],
) -> Plan:
    """Return what is to be done next: the certificates alone where these are obtained first.

    What comes after them, and what is worth knowing, is planned anew in any case.
    """
    due, scheduled, answered = obtained(site, parts, observed, only, tried)
    if due and answered and GLOBAL in observed.bundles:
        return Plan(due, (), waiting=scheduled.waiting)
    return whole_plan(site, parts, observed, due, scheduled, answered=answered)


def only_issues(plan: Plan) -> bool:
    """Return whether a plan obtains certificates and does nothing else."""
    return bool(plan.steps) and all(isinstance(step, Issue) for step in plan.steps)


def make_plan(
    site: Site,
    parts: Parts,
    observed: Observed,
    only: Collection[str] = (),
    tried: Collection[str] = (),
) -> Plan:
    """Return what is to be done now; reads and asks, but changes nothing."""
    due, scheduled, answered = obtained(site, parts, observed, only, tried)
    return whole_plan(site, parts, observed, due, scheduled, answered=answered)


def obtained(
    site: Site,
    parts: Parts,
    observed: Observed,
    only: Collection[str],
    tried: Collection[str],
) -> tuple[tuple[Issue, ...], Schedule, bool]:
    """Return what is to be obtained, how its orders were scheduled, whether they are answered."""
    due = issues(site, observed, parts.now(), tried)
    if only:
        due = tuple(step for step in due if step.certificate.owner in only)
    due, scheduled = scheduling(due, site, parts, observed, only)
    first = stand_in(site, observed)
    if first and not only_local_global(due):
        due = (first, *due)
    return due, scheduled, challenges_answered(due, observed, parts)


def whole_plan(
    site: Site,
    parts: Parts,
    observed: Observed,
    due: tuple[Issue, ...],
    scheduled: Schedule,
    *,
    answered: bool,
) -> Plan:
    """Return all there is to do, certificates and services."""
    now = parts.now()
    wanted, failures = installations(site, parts, provisional(site, observed, now))
    return Plan(
        compare(due, site, wanted, observed, now, answered=answered),
        warnings(site, observed, now),
        answered,
        failures,
        scheduled.waiting,
        forecast(scheduled, sum(bool(each.authorities) for each in site.certificates)),
    )


def scheduling(
    due: tuple[Issue, ...],
    site: Site,
    parts: Parts,
    observed: Observed,
    forced: Collection[str],
) -> tuple[tuple[Issue, ...], Schedule]:
    """Return what is obtained now, and how the orders among it were scheduled."""
    orders = [step for step in due if not is_local(step)]
    if not orders:
        return due, Schedule()
    now = parts.now()
    quotas = {
        each.directory: parts.quota(each)
        for each in site.authorities
        if any(asdict(each.limits).values())
    }
    purposes = {each.directory: purpose_of(each) for each in site.authorities}
    past = Past(observed.bundles, observed.attempts, observed.troubles, quotas, forced, purposes)
    scheduled = schedule(orders, past, now)
    return (*(step for step in due if is_local(step)), *scheduled.now), scheduled


def provisional(site: Site, observed: Observed, now: datetime) -> Observed:
    """Return what is with a global certificate in any case, so that a plan can show it all.

    A first plan is made before there is one. What is planned with it is never installed: the
    stand-in is issued first, and the rest planned again.
    """
    if GLOBAL in observed.bundles:
        return observed
    coming = Bundle(
        owner=GLOBAL,
        names=tuple(sorted(site.main.names)),
        issuer="selfsigned",
        issued_by="",
        not_before=now,
        not_after=now,
        serial="",
        fingerprint="",
        spki="",
        digest="to-be-issued",
        key_type="",
        stand_in=True,
    )
    return replace(observed, bundles={**observed.bundles, GLOBAL: coming})


def only_local_global(due: tuple[Issue, ...]) -> bool:
    """Return whether the global certificate comes at once, so that no stand-in is needed."""
    return any(
        step.certificate.owner == GLOBAL and step.certificate.issuer == "selfsigned" for step in due
    )


def installations(
    site: Site, parts: Parts, observed: Observed
) -> tuple[dict[str, Installation], tuple[tuple[str, ProxygenError], ...]]:
    """Return what each usable service should have, and why the others are not usable."""
    wanted: dict[str, Installation] = {}
    failures: list[tuple[str, ProxygenError]] = []
    for name, state in observed.services.items():
        try:
            if state.error:
                raise state.error
            wanted[name] = wanted_of(name, site, parts, observed)
        except ServiceError as error:
            failures.append((name, error))
    return wanted, tuple(failures)


def wanted_of(name: str, site: Site, parts: Parts, observed: Observed) -> Installation:
    """Return what one service should have; it is handed its role's view and nothing else.

    It follows from that view and a few facts: while these are the same, so is it.
    """
    module, state = parts.services[name], observed.services[name]
    view = VIEWS[module.ROLE](site, observed.bundles)
    given = (view, state.settings, state.facts)
    make = partial(rendered, name, parts, *given)
    return parts.latest.of(f"wanted {name}", (*given, parts.layout, parts.templates), make)


def rendered(name: str, parts: Parts, view: Any, settings: Any, facts: Any) -> Installation:
    """Return what one service should have for a view."""
    module = parts.services[name]
    return installation(
        name,
        module.wanted(view, settings, facts, parts.layout),
        module.pointer(facts),
        module.endpoints(view, settings, facts),
        parts.templates,
        parts.layout.live(name),
    )


def challenges_answered(due: tuple[Issue, ...], observed: Observed, parts: Parts) -> bool:
    """Return whether every name of a due order is answered for by the web server that runs.

    One whose configuration cannot be worked with at present may still run and answer.
    """
    names = [name for step in due if not is_local(step) for name in step.certificate.names]
    for name, state in observed.services.items():
        module = parts.services[name]
        if names and (state.pid or state.error) and hasattr(module, ANSWERS):
            listener = module.challenge_listener(state.settings)
            if unanswered(listener, names):
                return False
    return True
