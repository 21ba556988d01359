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
from proxygen.apply.looks import Stale, nothing_stale
from proxygen.apply.outcome import Outcome, Progress, tell_nobody
from proxygen.apply.refused_parts import RefusedParts
from proxygen.apply.rendering import probed_endpoints, render_services
from proxygen.assemble import Installation
from proxygen.errors import CheckFailed, NotServed, ProxygenError, ServiceError
from proxygen.model.certificate import GLOBAL, HTTP
from proxygen.model.site import Site
from proxygen.names.states import Answers
from proxygen.observe.configured import with_candidates
from proxygen.observe.services import states_with_notes
from proxygen.observe.site import observe
from proxygen.plan.adoption import (
    adoptions,
    as_they_are,
    not_adopted,
    not_usable,
    observed_after_adoption,
)
from proxygen.plan.compare import LOCAL, as_they_were, changes_of, issues_of, stand_in
from proxygen.plan.culprits import why_left_out
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.steps import Adopt, Install, Issue, Plan
from proxygen.services import Listener
from proxygen.stores import challenge_answers

NOTHING_BEFORE: Mapping[str, str | None] = {}

LONGEST_ASKING = 30.0
"""Seconds for which it is asked at which names challenges are answered."""
PROBED = 200
"""At how many names that were answered for it is seen whether they still are after a change."""


def deploy(
    site: Site,
    installation: Installation,
    progress: Progress,
    unserved: Collection[str] = (),
    before: Mapping[str, str | None] = NOTHING_BEFORE,
    only: Collection[str] = (),
    stale: Stale = nothing_stale,
) -> Outcome:
    """Bring this host's services to what the store holds, and prove it; ask no authority.

    Certificates that need no authority are stored first: those that services have already, those in
    files, and self-signed ones. *unserved* are services that were seen to serve something else
    although their files are right: they are reloaded; *stale* finds more of them. *before* are the
    generations that served before this run, if it deploys a second time. *only*: the owners whose
    certificates are stored first.
    """
    outcome = Outcome(set_aside=site.set_aside, held_back=site.held_back, before=dict(before))
    installation.bundles.refile(site.certificates)
    hooks = Hooks(installation, progress.say, progress.leave)
    hooks.begin()
    heeding = RefusedParts(site, installation, progress)
    issuance = Issuance(site, installation, outcome, progress, tell_nobody)
    walk = Deployment(site, installation, outcome, progress, issuance)
    observed = observe_adoptable(site, installation)
    if heeding.again(observed):
        observed = observe_adoptable(site, installation)
    plan = plan_deployment(site, installation, observed, (), unserved, only, stale)
    outcome.waiting = list(plan.waiting)
    outcome.notes += told_of_stand_ins(site, observed, plan, installation.now())
    if walk.supply(plan, observed):
        observed = observe_adoptable(site, installation, walk.unadopted)
        plan = plan_deployment(site, installation, observed, walk.supplied, unserved, only, stale)
    if GLOBAL not in walk.unadopted:  # else services stay as they are: a stand-in were worse
        walk.services(plan, observed)
        while heeding.after(observed, outcome):
            observed = observe_adoptable(site, installation, walk.unadopted)
            plan = plan_deployment(site, installation, observed, walk.supplied, only=only)
            walk.services(plan, observed)
        for of, error in plan.failures:
            outcome.failed(of, error)
        note_refusals(installation, observed, plan, outcome)
    note_answered(site, installation, observed, installed_by(outcome, plan))
    present = replace(observed, services=states_with_notes(observed.services, installation.layout))
    outcome.observed = present
    outcome.stopped = list(stopped_services(present, outcome.failures))
    hooks.failed_all(site, present, outcome.failures)
    hooks.deployed_all(site, present, lambda: probed_endpoints(site, installation, observed))
    outcome.notes += hooks.warnings
    for of, error in left_out(present):
        outcome.failed(of, error)
    return outcome


def observe_adoptable(
    site: Site, installation: Installation, unadopted: Collection[str] = ()
) -> Observed:
    """Return what is observed, with the certificates in the services' own configuration.

    Owners whose certificate could not be adopted stay as clients see them now.
    """
    observed = with_candidates(site, installation, observe(site, installation))
    return as_they_are(site, observed, unadopted)


def plan_deployment(
    site: Site,
    installation: Installation,
    observed: Observed,
    supplied: Collection[str] = (),
    reload: Collection[str] = (),
    only: Collection[str] = (),
    stale: Stale = nothing_stale,
) -> Plan:
    """Return the plan for this host, as far as it follows from what the store holds.

    *supplied* are the owners whose certificates were stored in this deployment already, *only*
    those for whom it is done at all. *stale* tells which services to *reload* besides. Without a
    global certificate, services get nothing.
    """
    now = installation.now()
    adopt = tuple(
        each for each in adoptions(site, observed, now) if each.bundle.owner not in supplied
    )
    then = observed_after_adoption(observed, adopt)
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
    wanted, failures = render_services(site, installation, then)
    reload = {*reload, *stale(wanted, then)}
    installs = [
        step
        for name, rendering in wanted.items()
        for step in changes_of(rendering, then.services[name], reload=name in reload)
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


def note_refusals(
    installation: Installation, observed: Observed, plan: Plan, outcome: Outcome
) -> None:
    """Note which services did not get what the model wants, until they do.

    Services that proxygen cannot work with are not noted: every run observes that anew.
    """
    failures = dict(outcome.failures)
    for name, state in observed.services.items():
        error, live = failures.get(name), installation.layout.live(name)
        if isinstance(error, ServiceError) and state.error is None:
            refusals.note_refusal(live, error, installation.now())
        elif state.error is None and is_in_place(name, plan, outcome):
            refusals.settle_refusal(live)


def is_in_place(name: str, plan: Plan, outcome: Outcome) -> bool:
    """Return whether a service has what the model wants, whether or not clients see it."""
    installs = [step for step in plan.steps if isinstance(step, Install)]
    left = [str(each) for each in installs if each.rendering.service == name]
    not_served = any(of == name and isinstance(e, NotServed) for of, e in outcome.failures)
    return not_served or set(left) <= set(outcome.done)


def stopped_services(
    observed: Observed, failures: Collection[tuple[str, ProxygenError]]
) -> Iterator[tuple[str, NotServed]]:
    """Yield the services that do not run although nothing failed, each with its error.

    This is no step and leaves no note: if nothing is due, nothing is written.
    """
    failed = {of for of, _ in failures}
    for name, state in observed.services.items():
        if state.pid is None and state.error is None and name not in failed:
            yield name, not_running(name)


def note_answered(
    site: Site, installation: Installation, observed: Observed, installed: Collection[str]
) -> None:
    """Store for which names the web server answers challenges, found out as an authority would.

    If nothing can be written, the next run does it.
    """
    if any(installation.services[name].challenges for name in observed.services):
        with suppress(OSError):  # then no challenge could be written either
            challenge_answers.place_probe(installation.layout.challenges)
    found = dict(answers_of(site, installation, observed, installed))
    for name in installation.services.keys() - observed.services.keys():
        found[name] = None
    for name, answers in found.items():
        with suppress(OSError):
            challenge_answers.note_answers(installation.own, name, answers)


def answers_after(
    site: Site, installation: Installation, observed: Observed, installs: Collection[str]
) -> Answers | None:
    """Return for which names web servers will answer challenges after *plan*; store nothing.

    A service that gets something installed is expected to answer for all. Without the file to ask
    for, which only a deployment places, what is known counts.
    """
    name, _ = answering_service(installation, observed)
    if name in installs and may_run(observed.services[name]):
        return Answers(names_answered_here(site))
    if challenge_answers.is_placed(installation.layout.challenges):
        return dict(answers_of(site, installation, observed, ())).get(name)
    return challenge_answers.answers_of(installation.own, name) if name else None


def answering_service(
    installation: Installation, observed: Observed
) -> tuple[str, Listener | None]:
    """Return the service at which requests of authorities arrive, and where it listens for them.

    It is the first one of the model that says so; without any, its name is empty.
    """
    for name, state in observed.services.items():
        challenges = installation.services[name].challenges
        if challenges and (listener := challenges(state.settings)):
            return name, listener
    return "", None


def answers_of(
    site: Site, installation: Installation, observed: Observed, installed: Collection[str]
) -> Iterator[tuple[str, Answers | None]]:
    """Yield for which names each web server answers challenges, None for one that does not run.

    None also for one at which no requests of authorities arrive. One that proxygen cannot work with
    may still run and answer. Earlier answers are kept, and a few of them asked again once the
    service was *installed* anew.
    """
    wanted = names_answered_here(site)
    answering, listener = answering_service(installation, observed)
    for name, state in observed.services.items():
        if installation.services[name].challenges is None:
            continue
        if name != answering or listener is None or not may_run(state):
            yield name, None
            continue
        former, until = (
            challenge_answers.answers_of(installation.own, name) or Answers(),
            time.monotonic() + LONGEST_ASKING,
        )
        known = former.names & wanted
        kept = known
        if (
            name in installed
            and challenge_answers.ask_listener(listener, sorted(kept)[:PROBED], until).silent
        ):
            kept = frozenset()
        noted = known | former.silent
        left = sorted(wanted - kept, key=lambda each: (each in noted, each))
        found = challenge_answers.ask_listener(listener, left, until)
        names = (known | found.names) - found.silent
        silent = (former.silent & wanted | found.silent) - names
        yield name, Answers(names, silent, challenge_answers.met_of(silent, found.met, former.met))


def may_run(state: ServiceState) -> bool:
    """Return whether a service runs, or may run because proxygen cannot work with it."""
    return state.pid is not None or state.error is not None


def names_answered_here(site: Site) -> frozenset[str]:
    """Return the names for which a web server of this host must answer challenges."""
    ordered = (each for each in site.certificates if each.issuer == "acme")
    return frozenset(name for each in ordered if each.challenge == HTTP for name in each.names)
