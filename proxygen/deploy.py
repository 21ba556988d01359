"""WHAT THE STORE HOLDS -> GENERATIONS -> PROOF. Every server does this; read this first."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from proxygen.apply import refusals
from proxygen.apply.change import not_running
from proxygen.apply.deployment import Deployment, installed_by
from proxygen.apply.hooks import Hooks
from proxygen.apply.issuance import Issuance
from proxygen.apply.outcome import Outcome, Progress, nothing
from proxygen.apply.refused_parts import Heeding
from proxygen.apply.rendering import installations, met
from proxygen.assemble import Parts
from proxygen.errors import CheckFailed, NotServed, ProxygenError, ServiceError
from proxygen.model.certificate import GLOBAL, HTTP
from proxygen.model.site import Site
from proxygen.names.states import Answers
from proxygen.observe.configured import with_candidates
from proxygen.observe.services import looked_since
from proxygen.observe.site import observe
from proxygen.plan.adoption import adopted, adoptions, as_they_are, not_adopted, not_usable
from proxygen.plan.compare import LOCAL, as_they_were, changes_of, issues_of, stand_in
from proxygen.plan.culprits import why_left_out
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.steps import Adopt, Install, Issue, Plan
from proxygen.stores import answered

NOTHING_BEFORE: Mapping[str, str | None] = {}

LONGEST_ASKING = 30.0
"""Seconds for which it is asked at which names challenges are answered."""
PROBED = 200
"""At how many names that were answered for it is seen whether they still are after a change."""


def deploy(
    site: Site,
    parts: Parts,
    progress: Progress,
    unserved: Collection[str] = (),
    before: Mapping[str, str | None] = NOTHING_BEFORE,
    only: Collection[str] = (),
) -> Outcome:
    """Bring this host's services to what the store holds, and prove it; ask no authority.

    Certificates that need no authority are stored first: those that services have already, those in
    files, and self-signed ones. *unserved* are services that were seen to serve something else
    although their files are right: they are reloaded. *before* are the generations that served
    before this run, if it deploys a second time. *only*: the owners whose certificates are stored
    first.
    """
    outcome = Outcome(set_aside=site.set_aside, held_back=site.held_back, before=dict(before))
    hooks = Hooks(parts, progress.say, progress.leave)
    hooks.begin()
    heeding = Heeding(site, parts, progress)
    issuance = Issuance(site, parts, outcome, progress, nothing)
    walk = Deployment(site, parts, outcome, progress, issuance)
    observed = seen(site, parts)
    if heeding.again(observed):
        observed = seen(site, parts)
    plan = plan_deployment(site, parts, observed, reload=unserved, only=only)
    outcome.waiting = list(plan.waiting)
    outcome.notes += told_of_stand_ins(site, observed, plan, parts.now())
    if walk.supply(plan, observed):
        observed = seen(site, parts, walk.unadopted)
        plan = plan_deployment(site, parts, observed, walk.supplied, unserved, only)
    if GLOBAL not in walk.unadopted:  # else services stay as they are: a stand-in were worse
        walk.services(plan, observed)
        while heeding.after(observed, outcome):
            observed = seen(site, parts, walk.unadopted)
            plan = plan_deployment(site, parts, observed, walk.supplied, only=only)
            walk.services(plan, observed)
        for of, error in plan.failures:
            outcome.failed(of, error)
        note_refusals(parts, observed, plan, outcome)
    note_answered(site, parts, observed, installed_by(outcome, plan))
    present = replace(observed, services=looked_since(observed.services, parts.layout))
    outcome.observed = present
    outcome.stopped = list(stopped(present, outcome.failures))
    hooks.failed_all(site, present, outcome.failures)
    hooks.deployed_all(site, present, lambda: met(site, parts, observed))
    outcome.notes += hooks.warnings
    for of, error in left_out(present):
        outcome.failed(of, error)
    return outcome


def seen(site: Site, parts: Parts, unadopted: Collection[str] = ()) -> Observed:
    """Return what is observed, with the certificates in the services' own configuration.

    Owners whose certificate could not be adopted stay as clients see them now.
    """
    observed = with_candidates(site, parts, observe(site, parts))
    return as_they_are(site, observed, unadopted)


def plan_deployment(
    site: Site,
    parts: Parts,
    observed: Observed,
    supplied: Collection[str] = (),
    reload: Collection[str] = (),
    only: Collection[str] = (),
) -> Plan:
    """Return the plan for this host, as far as it follows from what the store holds.

    *supplied* are the owners whose certificates were stored in this deployment already, *only*
    those for whom it is done at all. Without a global certificate, services get nothing.
    """
    now = parts.now()
    adopt = tuple(
        each for each in adoptions(site, observed, now) if each.bundle.owner not in supplied
    )
    then = adopted(observed, adopt)
    local = (
        each
        for each in site.certificates
        if each.issuer in LOCAL and (not only or each.owner in only)
    )
    due, _ = issues_of(local, then, now, supplied)
    held = {
        each: until
        for each in due
        if each.certificate.owner not in only and (until := as_they_were(each, then, now))
    }
    due, waiting = tuple(each for each in due if each not in held), tuple(held.values())
    first = stand_in(site, then)
    if first and not any(is_self_signed(step, GLOBAL) for step in due):
        due = (first, *due)
    if GLOBAL not in then.bundles:
        return Plan((*adopt, *due), waiting=waiting)
    wanted, failures = installations(site, parts, then)
    installs = [
        step
        for name, installation in wanted.items()
        for step in changes_of(installation, then.services[name], reload=name in reload)
    ]
    return Plan((*adopt, *due, *installs), failures=failures, waiting=waiting)


def is_self_signed(step: Issue, owner: str) -> bool:
    """Return whether a step makes a self-signed certificate, so that no stand-in is needed."""
    return step.certificate.owner == owner and step.certificate.issuer == "selfsigned"


def told_of_stand_ins(site: Site, observed: Observed, plan: Plan, now: datetime) -> tuple[str, ...]:
    """Return why what the model names is not adopted, nor, where a stand-in is made, services'."""
    made = any(isinstance(step, Issue) and step.stand_in for step in plan.steps)
    adopts = {step.bundle.owner for step in plan.steps if isinstance(step, Adopt)}
    named = (each for each in not_adopted(site, observed, now) if each.of not in adopts)
    return (*named, *(not_usable(site, observed, now) if made else ()))


# What becomes known.


def left_out(observed: Observed) -> Iterator[tuple[str, ProxygenError]]:
    """Yield a warning for each part that a service refuses."""
    for state in observed.services.values():
        if facts := state.facts:
            for each in state.left_out:
                yield each.of, CheckFailed(why_left_out(each, state.name, facts))


def note_refusals(parts: Parts, observed: Observed, plan: Plan, outcome: Outcome) -> None:
    """Note which services did not get what the model wants, until they do.

    Services that proxygen cannot work with are not noted: every run observes that anew.
    """
    failures = dict(outcome.failures)
    for name, state in observed.services.items():
        error, live = failures.get(name), parts.layout.live(name)
        if isinstance(error, ServiceError) and state.error is None:
            refusals.note(live, error, parts.now())
        elif state.error is None and is_in_place(name, plan, outcome):
            refusals.settle(live)


def is_in_place(name: str, plan: Plan, outcome: Outcome) -> bool:
    """Return whether a service has what the model wants, whether or not clients see it."""
    installs = [step for step in plan.steps if isinstance(step, Install)]
    left = [str(each) for each in installs if each.installation.service == name]
    not_served = any(of == name and isinstance(e, NotServed) for of, e in outcome.failures)
    return not_served or set(left) <= set(outcome.done)


def stopped(
    observed: Observed, failures: Collection[tuple[str, ProxygenError]]
) -> Iterator[tuple[str, NotServed]]:
    """Yield the services that do not run although nothing failed, each with its error.

    This is no step and leaves no note: if nothing is due, nothing is written.
    """
    failed = {of for of, _ in failures}
    for name, state in observed.services.items():
        if state.pid is None and state.error is None and name not in failed:
            yield name, not_running(name)


def note_answered(site: Site, parts: Parts, observed: Observed, installed: Collection[str]) -> None:
    """Store for which names the web server answers challenges, found out as an authority would.

    If nothing can be written, the next run does it.
    """
    found = dict(answers_of(site, parts, observed, installed))
    for name in parts.services.keys() - observed.services.keys():
        found[name] = None
    for name, answers in found.items():
        with suppress(OSError):
            answered.note(parts.own, name, answers)


def answers_after(
    site: Site, parts: Parts, observed: Observed, installs: Collection[str]
) -> Answers | None:
    """Return for which names web servers will answer challenges after *plan*; store nothing.

    A service that gets something installed is expected to answer for all.
    """
    there = {name: state for name, state in observed.services.items() if name not in installs}
    found = dict(answers_of(site, parts, replace(observed, services=there), ()))
    for name in observed.services.keys() & set(installs):
        if parts.services[name].challenges and runs(observed.services[name]):
            found[name] = Answers(frozenset(proven_here(site)))
    return answered.together([each for each in found.values() if each is not None])


def answers_of(
    site: Site, parts: Parts, observed: Observed, installed: Collection[str]
) -> Iterator[tuple[str, Answers | None]]:
    """Yield for which names each web server answers challenges, None for one that does not run.

    One that proxygen cannot work with may still run and answer. Earlier answers are kept, and a few
    of them asked again once the service was *installed* anew.
    """
    wanted = proven_here(site)
    for name, state in observed.services.items():
        challenges = parts.services[name].challenges
        if challenges is None:
            continue
        if not runs(state):
            yield name, None
            continue
        former, until = answered.of(parts.own, name) or Answers(), time.monotonic() + LONGEST_ASKING
        known, listener = former.names & wanted, challenges(state.settings)
        kept = known
        if name in installed and answered.asked(listener, sorted(kept)[:PROBED], until).silent:
            kept = frozenset()
        noted = known | former.silent
        left = sorted(wanted - kept, key=lambda each: (each in noted, each))
        found = answered.asked(listener, left, until)
        names = (known | found.names) - found.silent
        yield name, Answers(names, (former.silent & wanted | found.silent) - names)


def runs(state: ServiceState) -> bool:
    """Return whether a service runs, or may run because proxygen cannot work with it."""
    return state.pid is not None or state.error is not None


def proven_here(site: Site) -> frozenset[str]:
    """Return the names for which a web server of this host must answer challenges."""
    ordered = (each for each in site.certificates if each.issuer == "acme")
    return frozenset(name for each in ordered if each.challenge == HTTP for name in each.names)
