"""ONE ROUND: observe, plan, apply, tell. Read this file first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from proxygen.apply.walk import ANSWERS, Outcome, Progress, Walk
from proxygen.assemble import Parts
from proxygen.errors import ProxygenError, ServiceError
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Role, Site
from proxygen.model.views import mail_view, web_view
from proxygen.observe import observe, unanswered
from proxygen.plan.alerts import warnings
from proxygen.plan.compare import LOCAL, compare, issues, stand_in
from proxygen.plan.installation import Installation, installation
from proxygen.plan.observed import Observed
from proxygen.plan.steps import Issue, Plan

VIEWS = {Role.WEB: web_view, Role.MAIL: mail_view}

MOST_PASSES = 5
"""A stand-in, supplied files, services for the challenges, orders, services: no round has more."""


def reconcile(site: Site, parts: Parts, progress: Progress, only: Collection[str] = ()) -> Outcome:
    """One round: make what is into what should be; *only*: owners to obtain certificates for.

    What is issued changes what must be installed, so after issuing the rest is planned again
    from the whole state. A certificate that could not be obtained is not tried twice.
    """
    outcome = Outcome()
    for _ in range(MOST_PASSES):
        observed = observe(site, parts)
        plan = make_plan(site, parts, observed, only, outcome.tried)
        again = Walk(site, observed, parts, outcome, progress).steps(plan)
        outcome.warnings = list(plan.warnings)
        if not again:
            break
    outcome.failures += plan.failures
    return outcome


def make_plan(
    site: Site,
    parts: Parts,
    observed: Observed,
    only: Collection[str] = (),
    tried: Collection[str] = (),
) -> Plan:
    """Return what is to be done now; reads and asks, but changes nothing."""
    now = parts.now()
    due = issues(site, observed, now, tried)
    if only:
        due = tuple(step for step in due if step.certificate.owner in only)
    first = stand_in(site, observed)
    if first and not only_local_global(due):
        due = (first, *due)
    wanted, failures = installations(site, parts, provisional(site, observed, now))
    answered = challenges_answered(due, observed, parts)
    steps = compare(due, site, wanted, observed, now, answered=answered)
    return Plan(steps, warnings(site, observed, now), answered, failures)


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
    """Return what one service should have; it is handed its role's view and nothing else."""
    module, state = parts.services[name], observed.services[name]
    view = VIEWS[module.ROLE](site, observed.bundles)
    wanted = module.wanted(view, state.settings, state.facts, parts.layout)
    return installation(
        name,
        wanted,
        module.pointer(state.facts),
        module.endpoints(view, state.settings, state.facts),
        parts.templates,
        parts.layout.live(name),
    )


def challenges_answered(due: tuple[Issue, ...], observed: Observed, parts: Parts) -> bool:
    """Return whether every name of a due order is answered for by the web server that runs.

    One whose configuration cannot be worked with at present may still run and answer.
    """
    names = [
        name
        for step in due
        if step.certificate.issuer not in LOCAL and not step.stand_in
        for name in step.certificate.names
    ]
    for name, state in observed.services.items():
        module = parts.services[name]
        if names and (state.pid or state.error) and hasattr(module, ANSWERS):
            listener = module.challenge_listener(state.settings)
            if unanswered(listener, names):
                return False
    return True
