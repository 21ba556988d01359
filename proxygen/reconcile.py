"""BOTH HALVES IN ONE RUN: deploy what is there, obtain, deploy what was obtained."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

from proxygen.apply.hooks import Hooks
from proxygen.apply.orders import Tried
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.rendering import met
from proxygen.assemble import Parts
from proxygen.deploy import (
    answers_after,
    deploy,
    left_out,
    plan_deployment,
    stopped,
    told_of_stand_ins,
)
from proxygen.errors import LockHeld
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Site
from proxygen.observe.configured import with_candidates
from proxygen.observe.site import observe, observe_store
from proxygen.obtain import obtain, plan_orders
from proxygen.plan.adoption import adopted
from proxygen.plan.observed import Observed
from proxygen.plan.shown import Showing
from proxygen.plan.steps import Adopt, Install, Issue, Plan
from proxygen.texts.names import not_ready
from proxygen.texts.warnings import LEFT_OUT, not_asked, warnings

PORTION = 120.0
"""Seconds of ordering after which what was obtained is deployed before the rest is ordered."""


def itself(site: Site) -> Site:
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
    deployed: Callable[[Site], Site] = itself
    latest: Callable[[Site], Site] = itself


UNLOCKED = Alone()


def reconcile(
    site: Site,
    parts: Parts,
    progress: Progress,
    only: Collection[str] = (),
    alone: Alone = UNLOCKED,
) -> Outcome:
    """Make the host match the site; *only*: the owners to obtain certificates for.

    If another process is obtaining certificates, this one deploys all the same.
    """
    with alone.deploying():
        site = alone.latest(site)
        for owner in only:
            parts.names.hasten(owner, parts.now())
        deployed = deploy(site, parts, progress, only=only)
        site = alone.deployed(site)
    done, came = list(deployed.done), Outcome()
    tried, more = Tried(), True
    while more:
        portion, before = Portion(progress.stop), tried.much
        try:
            with alone.obtaining():
                site = alone.latest(site)
                found = obtain(site, parts, replace(progress, stop=portion.stop), only, tried)
        except LockHeld as error:
            came.locked = error
            break
        came = followed(came, found)
        done += found.done
        if found.obtained:
            with alone.deploying():
                site, former = alone.latest(site), deployed
                deployed = deploy(site, parts, progress, before=former.before, only=only)
                carry(former, deployed)
                site = alone.deployed(site)
            done += deployed.done
        more = portion.is_over and tried.much > before
    seen = came.observed if not came.obtained and came.locked is None else None
    return replace(together(site, parts, deployed, came, seen), done=done)


def nothing_due(site: Site, parts: Parts, observed: Observed) -> Outcome:
    """Return the outcome of obtaining when no certificate is due and nothing is done."""
    hooks = Hooks(parts)
    hooks.begin()
    hooks.deployed_all(site, observed, lambda: met(site, parts, observed))
    plan = make_plan(site, parts, observed)
    deployed = Outcome(
        failures=[*plan.failures, *left_out(observed)],
        notes=hooks.warnings,
        observed=observed,
        set_aside=site.set_aside,
        held_back=site.held_back,
    )
    deployed.stopped = list(stopped(observed, deployed.failures))
    return together(site, parts, deployed, Outcome(waiting=list(plan.waiting)), observed)


def carry(former: Outcome, deployed: Outcome) -> None:
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


def followed(first: Outcome, second: Outcome) -> Outcome:
    """Return the outcome of two portions of obtaining, as one."""
    again = {of for of, _ in second.failures}
    second.failures += [(of, error) for of, error in first.failures if of not in again]
    second.terms = first.terms | second.terms
    second.notes = [*first.notes, *second.notes]
    second.obtained += first.obtained
    return second


def together(
    site: Site, parts: Parts, deployed: Outcome, came: Outcome, seen: Observed | None = None
) -> Outcome:
    """Return the outcome of both halves, with what is observed since."""
    present = now_known(site, parts, deployed, seen)
    told = [
        *(each for each in warnings(site, present, parts.now()) if each.code != LEFT_OUT),
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
        names=tuple(not_ready(site, present, parts.now())),
    )


def now_known(
    site: Site, parts: Parts, deployed: Outcome, seen: Observed | None = None
) -> Observed:
    """Return what a deployment observed, updated with what the store holds now."""
    if deployed.observed is None:
        return observe(site, parts)
    stored = seen or observe_store(site, parts)  # either half may be the later one
    return replace(
        deployed.observed,
        bundles=stored.bundles,
        attempts=stored.attempts,
        troubles=stored.troubles,
        looks=stored.looks,
        names=stored.names,
        answers=stored.answers,
    )


def deploy_alone(site: Site, parts: Parts, progress: Progress, alone: Alone) -> Outcome:
    """Deploy what the store holds, and obtain nothing."""
    with alone.deploying():
        site = alone.latest(site)
        deployed = deploy(site, parts, progress)
        site = alone.deployed(site)
    return together(site, parts, deployed, Outcome())


def make_plan(site: Site, parts: Parts, observed: Observed, only: Collection[str] = ()) -> Plan:
    """Return the plans of both halves; read and ask, but change nothing."""
    observed, now = with_candidates(site, parts, observed), parts.now()
    here = plan_deployment(site, parts, observed, only=only)
    adopt = tuple(step for step in here.steps if isinstance(step, Adopt))
    stored = adopted(observed, adopt)
    then = with_global(site, stored, now)
    if GLOBAL not in stored.bundles:
        later = plan_deployment(site, parts, then, only=only)
        installs = (step for step in later.steps if not isinstance(step, Adopt | Issue))
        here = replace(later, steps=(*here.steps, *installs), waiting=here.waiting)
    installed = {step.installation.service for step in here.steps if isinstance(step, Install)}
    answers = answers_after(site, parts, observed, installed)
    orders = plan_orders(site, parts, replace(stored, answers=answers), only)
    steps = (*here.steps, *orders.steps)
    roles = {name: parts.services[name].role for name in observed.services}
    waiting = (*here.waiting, *orders.waiting)
    showing = Showing(site, observed, then, steps, waiting, roles, now)
    told = told_of_stand_ins(site, observed, here, now)
    known = (*told, *warnings(site, stored, now))
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
