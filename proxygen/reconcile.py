"""BOTH HALVES IN ONE RUN: deploy what is there, obtain, deploy what was obtained."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

from proxygen.apply.hooks import Hooks
from proxygen.apply.looks import Stale, nothing_stale, stale_services
from proxygen.apply.orders import Tried
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.rendering import probed_endpoints
from proxygen.assemble import Installation
from proxygen.deploy import (
    answers_after,
    deploy,
    left_out,
    plan_deployment,
    stopped_services,
    told_of_stand_ins,
)
from proxygen.errors import LockHeld
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Site
from proxygen.observe.configured import with_candidates
from proxygen.observe.site import observe, observe_store
from proxygen.obtain import obtain, plan_orders
from proxygen.plan.adoption import observed_after_adoption
from proxygen.plan.observed import Observed
from proxygen.plan.shown import ShownInputs
from proxygen.plan.steps import Adopt, Install, Issue, Plan
from proxygen.texts.names import not_ready
from proxygen.texts.warnings import LEFT_OUT, not_asked, site_warnings

PORTION = 120.0
"""Seconds of ordering after which what was obtained is deployed before the rest is ordered."""


def same_site(site: Site) -> Site:
    """Return *site*: there is no newer one."""
    return site


@dataclass(frozen=True, slots=True)
class Alone:
    """The locks under which each half runs, one process at a time; *obtaining* may raise LockHeld.

    *latest* returns the site to deploy, as another process may have deployed a newer one.
    *deployed* is told of it afterwards, and returns it with what is stored of it.
    """

    deploying: Callable[[], AbstractContextManager[object]] = nullcontext
    obtaining: Callable[[], AbstractContextManager[object]] = nullcontext
    deployed: Callable[[Site], Site] = same_site
    latest: Callable[[Site], Site] = same_site


UNLOCKED = Alone()


def reconcile(
    site: Site,
    installation: Installation,
    progress: Progress,
    only: Collection[str] = (),
    alone: Alone = UNLOCKED,
) -> Outcome:
    """Make the host match the site; *only*: the owners to obtain certificates for.

    If another process is obtaining certificates, this one deploys all the same.
    """
    with alone.deploying():
        site = alone.latest(site)
        only = site.with_beside(only)
        for owner in only:
            installation.names.hasten(owner, installation.now())
        deployed = deploy(site, installation, progress, only=only, stale=stale_services)
        site = alone.deployed(site)
    done, came = list(deployed.done), Outcome()
    tried, more = Tried(), True
    while more:
        portion, before = Portion(progress.stop), tried.much
        try:
            with alone.obtaining():
                site = alone.latest(site)
                found = obtain(
                    site, installation, replace(progress, stop=portion.stop), only, tried
                )
        except LockHeld as error:
            came.locked = error
            break
        came = join_portions(came, found)
        done += found.done
        if found.obtained:
            with alone.deploying():
                site, former = alone.latest(site), deployed
                deployed = deploy(site, installation, progress, before=former.before, only=only)
                carry_findings(former, deployed)
                site = alone.deployed(site)
            done += deployed.done
        more = portion.is_over and tried.much > before
    seen = came.observed if not came.obtained and came.locked is None else None
    return replace(join_halves(site, installation, deployed, came, seen), done=done)


def nothing_due(site: Site, installation: Installation, observed: Observed) -> Outcome:
    """Return the outcome of obtaining when no certificate is due and nothing is done."""
    hooks = Hooks(installation)
    hooks.begin()
    hooks.deployed_all(site, observed, lambda: probed_endpoints(site, installation, observed))
    plan = make_plan(site, installation, observed)
    deployed = Outcome(
        failures=[*plan.failures, *left_out(observed)],
        notes=hooks.warnings,
        observed=observed,
        set_aside=site.set_aside,
        held_back=site.held_back,
    )
    deployed.stopped = list(stopped_services(observed, deployed.failures))
    return join_halves(site, installation, deployed, Outcome(waiting=list(plan.waiting)), observed)


def carry_findings(former: Outcome, deployed: Outcome) -> None:
    """Add to a later deployment of a run what the *former* one found out.

    Files that the former one could not use are not read twice, so its failures still hold.
    """
    waiting = {each.owner for each in deployed.waiting}
    failed = [(of, error) for of, error in former.failures if of in waiting]
    deployed.notes[:0], deployed.failures[:0] = former.notes, failed
    told = {of for of, _ in failed}
    deployed.waiting = [each for each in deployed.waiting if each.owner not in told]


@dataclass(slots=True)
class Portion:
    """Tells whether to begin no more orders: when told to *leave*, or after PORTION seconds."""

    leave: Callable[[], bool]
    until: float = 0.0
    is_over: bool = False

    def stop(self) -> bool:
        """Return whether to begin no more orders; time counts from the first call."""
        if self.leave():
            return True
        self.until = self.until or time.monotonic() + PORTION
        self.is_over = self.is_over or time.monotonic() > self.until
        return self.is_over


def join_portions(first: Outcome, second: Outcome) -> Outcome:
    """Return the outcome of two portions of obtaining, as one."""
    again = {of for of, _ in second.failures}
    second.failures += [(of, error) for of, error in first.failures if of not in again]
    second.terms = first.terms | second.terms
    second.notes = [*first.notes, *second.notes]
    second.obtained += first.obtained
    return second


def join_halves(
    site: Site,
    installation: Installation,
    deployed: Outcome,
    came: Outcome,
    seen: Observed | None = None,
) -> Outcome:
    """Return the outcome of both halves, with what is observed since."""
    present = observed_since(site, installation, deployed, seen)
    told = [
        *(
            each
            for each in site_warnings(site, present, installation.now())
            if each.code != LEFT_OUT
        ),
        *not_asked(present.services.values()),
        *deployed.notes,
        *came.notes,
    ]
    return replace(
        deployed,
        done=[*deployed.done, *came.done],
        failures=[*deployed.failures, *came.failures],
        warnings=list(dict.fromkeys(told)),
        waiting=[*deployed.waiting, *came.waiting],
        terms=came.terms,
        obtained=deployed.obtained + came.obtained,
        observed=present,
        locked=came.locked,
        names=tuple(not_ready(site, present, installation.now())),
    )


def observed_since(
    site: Site, installation: Installation, deployed: Outcome, seen: Observed | None = None
) -> Observed:
    """Return what a deployment observed, updated with what the store holds now."""
    if deployed.observed is None:
        return observe(site, installation)
    stored = seen or observe_store(site, installation)  # either half may be the later one
    return replace(
        deployed.observed,
        bundles=stored.bundles,
        failures=stored.failures,
        authority_failures=stored.authority_failures,
        poll_failures=stored.poll_failures,
        names=stored.names,
        answers=stored.answers,
    )


def deploy_alone(
    site: Site, installation: Installation, progress: Progress, alone: Alone
) -> Outcome:
    """Deploy what the store holds, and obtain nothing."""
    with alone.deploying():
        site = alone.latest(site)
        deployed = deploy(site, installation, progress)
        site = alone.deployed(site)
    return join_halves(site, installation, deployed, Outcome())


def make_plan(
    site: Site,
    installation: Installation,
    observed: Observed,
    only: Collection[str] = (),
    stale: Stale = nothing_stale,
) -> Plan:
    """Return the plans of both halves; read and ask, but change nothing.

    *stale* tells which services serve something else than their files say.
    """
    observed, now = with_candidates(site, installation, observed), installation.now()
    here = plan_deployment(site, installation, observed, only=only, stale=stale)
    adopt = tuple(step for step in here.steps if isinstance(step, Adopt))
    stored = observed_after_adoption(observed, adopt)
    then = with_global(site, stored, now)
    if GLOBAL not in stored.bundles:
        later = plan_deployment(site, installation, then, only=only)
        installs = (step for step in later.steps if not isinstance(step, Adopt | Issue))
        here = replace(later, steps=(*here.steps, *installs), waiting=here.waiting)
    installed = {step.rendering.service for step in here.steps if isinstance(step, Install)}
    answers = answers_after(site, installation, observed, installed)
    orders = plan_orders(site, installation, replace(stored, answers=answers), only)
    steps = (*here.steps, *orders.steps)
    roles = {name: installation.services[name].role for name in observed.services}
    waiting = (*here.waiting, *orders.waiting)
    showing = ShownInputs(site, observed, then, steps, waiting, roles, now)
    told = told_of_stand_ins(site, observed, here, now)
    known = (*told, *site_warnings(site, stored, now))
    return replace(
        orders,
        steps=steps,
        waiting=waiting,
        warnings=known,
        failures=(*here.failures, *orders.failures),
        shown=showing.all(),
    )


def with_global(site: Site, observed: Observed, now: datetime) -> Observed:
    """Return what is observed, with a global certificate in any case, so that a plan can show all.

    Before the first run there is none. The one that is made up for it is never installed.
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
