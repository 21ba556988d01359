"""ONE ROUND: observe, plan, apply, tell. Read this file first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial

from proxygen.apply import refusals
from proxygen.apply.change import as_service_error, not_running
from proxygen.apply.culprits import Culprits, noted, original, place
from proxygen.apply.hooks import Hooks
from proxygen.apply.look import look
from proxygen.apply.service import LiveService
from proxygen.apply.walk import Outcome, Progress, Walk
from proxygen.assemble import Parts
from proxygen.configured import with_candidates
from proxygen.errors import CheckFailed, NotServed, ProxygenError, ServiceError
from proxygen.host.ports import is_free
from proxygen.model.certificate import GLOBAL, HTTP, Bundle
from proxygen.model.site import Site
from proxygen.model.views import VIEWS, View
from proxygen.observe import looked_since, observe, unanswered
from proxygen.plan.adoption import adopted, adoptions, as_they_are, not_usable
from proxygen.plan.alerts import from_services, not_asked, warnings
from proxygen.plan.backoff import purpose, purpose_of
from proxygen.plan.compare import compare, in_order, is_local, issues, looks, stand_in
from proxygen.plan.installation import Installation, installation, overrides_in
from proxygen.plan.left_out import LeftOut
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.render import Templates
from proxygen.plan.schedule import Past, Schedule, forecast, schedule
from proxygen.plan.shown import Showing
from proxygen.plan.steps import Adopt, Install, Issue, Look, Plan
from proxygen.plan.without import failure, is_new, parts_of, sentence, suspected, without
from proxygen.services import Endpoint, Facts, ServiceSettings, additions_of


def always(plan: Plan, observed: Observed) -> bool:  # noqa: ARG001
    """Return that every plan is worth walking."""
    return True


MOST_PASSES = 13
"""Adoptions, a stand-in, supplied files, services for the challenges, names, orders, services.

An order that was refused for some names is followed by one for the others, up to three times; a
service that refuses something is set up without it, after it was asked up to MOST_ASKED times.
"""


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
    outcome = Outcome(set_aside=site.set_aside, held_back=site.held_back)
    for authority in site.authorities:
        parts.ledger(authority.directory).set_right(parts.now())
    for owner in only:
        parts.names.hasten(owner, parts.now())
    hooks = Hooks(parts, progress.say, progress.leave)
    hooks.begin()
    passes = MOST_PASSES
    heeding = Heeding(site, parts, progress)
    while passes:
        observed = observe(site, parts)
        if heeding.again(observed):
            observed = observe(site, parts)
        observed = with_candidates(site, parts, observed)
        observed = look(site, parts, observed, only, progress.stop)
        observed = as_they_are(site, observed, outcome.unadopted)
        plan = next_plan(site, parts, observed, only, outcome.tried, outcome.unadopted)
        outcome.warnings, outcome.waiting = list(plan.warnings), list(plan.waiting)
        if not worth(plan, observed):
            outcome.declined = True
            break
        seen = outcome.seen
        again = Walk(site, observed, parts, outcome, progress, hooks.before).steps(plan)
        again = heeding.after(observed, outcome) or again
        if not again and not only_issues(plan):
            break
        passes -= outcome.seen == seen  # each look leaves fewer names to look at
    outcome.failures += plan.failures
    if GLOBAL not in outcome.unadopted:
        note_refusals(parts, observed, plan, outcome)
    outcome.observed = present = forgotten(site, parts, observed)
    outcome.warnings = still_true(outcome.warnings, observed, present)
    outcome.stopped = list(stopped(present, outcome.failures))
    hooks.after(site, outcome.observed, outcome.failures, lambda: met(site, parts, observed))
    outcome.warnings += [*outcome.notes, *hooks.warnings]
    left_out = dict(left_out_of(present))
    outcome.failures += left_out.values()
    outcome.warnings = [words for words in outcome.warnings if words not in left_out]
    return outcome


def left_out_of(observed: Observed) -> Iterator[tuple[str, tuple[str, ProxygenError]]]:
    """Yield the warning about each part that a service refuses, with whom it fails, and why."""
    for state in observed.services.values():
        if facts := state.facts:
            for each in state.left_out:
                yield sentence(each, facts), (each.of, failure(each, facts))


MOST_ASKED = 3
"""How often it is found out in one run what one service refuses."""


@dataclass(slots=True)
class Heeding:
    """Finds out which parts of a configuration a service refuses, so that the rest is served.

    What it refused before is asked again in every run: it may take it by now. Not what it refused
    at a reload, which a check does not tell, while nothing is other than then.
    """

    site: Site
    parts: Parts
    progress: Progress
    began: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    suspected: dict[str, tuple[LeftOut, ...]] = field(default_factory=dict)

    def again(self, observed: Observed) -> bool:
        """Ask again at the beginning of a run; return whether something is other than noted."""
        if self.began:
            return False
        self.began = True
        services = observed.services.items()
        known = [name for name, state in services if set(state.left_out) - set(still(state))]
        return bool([name for name in known if self.ask(name, observed)])

    def after(self, observed: Observed, outcome: Outcome) -> bool:
        """Find out what was refused; return whether there is a configuration without it."""
        refused = [of for of, error in outcome.failures if isinstance(error, CheckFailed)]
        found = [name for name in refused if name in observed.services]
        known = [name for name in found if self.ask(name, observed)]
        others = [(of, error) for of, error in outcome.failures if of not in refused]
        failed = [each for each in others if isinstance(each[1], ServiceError)]
        known += [of for of, error in failed if self.suspect(of, error, observed)]
        for name in known:
            outcome.settle(name)
        if known:
            for owner in outcome.unanswered:
                outcome.settle(owner)
            outcome.tried -= outcome.unanswered
            outcome.unanswered.clear()
        return bool(known)

    def suspect(self, name: str, error: ProxygenError, observed: Observed) -> bool:
        """Leave out directives that are new where a service passed the check, but not a reload.

        One of them may listen where somebody else does: first those that could be meant, then all.
        Where it fails without them as well they are not to blame. Return whether to try once more.
        """
        state = observed.services.get(name)
        if state is None or state.facts is None:
            return False
        first = self.suspected.setdefault(name, state.left_out)
        with told_if_failed(name, self.progress):
            service = LiveService(state, self.parts)
            found = parts_of(self.site, observed.bundles, state.facts, name)
            new = [each for each in found if is_new(each, state.installed)]
            words = error.words or error.what
            additions = additions_of(state.facts)
            those = suspected(new, words, additions) or new
            said = original(words, service, additions)
            told = (LeftOut(each, said, place(said), state.pid or -1) for each in those)
            if not noted(service, (*state.left_out, *told) if those else first):
                return False
            return bool(those)
        return False

    def ask(self, name: str, observed: Observed) -> bool:
        """Ask one service; return whether something is other than noted.

        What it would refuse at a reload again stays left out.
        """
        state, module = observed.services[name], self.parts.services[name]
        kept, facts = still(state), state.whole or state.facts
        if facts is None or GLOBAL not in observed.bundles:
            return False
        self.asked[name] += 1
        if self.asked[name] > MOST_ASKED:
            return False
        self.progress.say(f"ask {name} what it refuses")
        view = VIEWS[module.role](self.site, observed.bundles)
        render = partial(rendered, name, self.parts, view, state.settings)
        alive = partial(self.progress.say, f"check {name}")
        with told_if_failed(name, self.progress):
            service = LiveService(state, self.parts)
            facts = without(facts, [each.part for each in kept], self.site, state.installed)
            facts = renderable(facts, render, state)
            culprits = Culprits(service, self.site, self.parts.bundles, facts, render, alive)
            found = culprits.found()
            if found is None:
                return False
            return noted(service, (*kept, *found)) or bool(culprits.damaged)
        return False


@contextmanager
def told_if_failed(name: str, progress: Progress) -> Iterator[None]:
    """Have it said where a service cannot be asked, or what it refuses not be noted."""
    try:
        with as_service_error(name):
            yield
    except ServiceError as error:
        progress.say(f"{name} cannot be asked what it refuses: {error.what}")


def still(state: ServiceState) -> list[LeftOut]:
    """Return what a service refused at a reload, and would again.

    That is while somebody else listens where it could not, or else until it is started anew. A
    name that had no address may have one at any time.
    """
    refused = [each for each in state.left_out if each.at_reload and not each.is_of_a_name]
    same = [each for each in refused if not each.taken and state.pid in (each.at_reload, None)]
    return [*same, *(each for each in refused if each.taken and not all(map(is_free, each.taken)))]


def renderable(facts: Facts, render: Callable[[Facts], Installation], state: ServiceState) -> Facts:
    """Return facts by which a configuration can be written: with former templates if need be."""
    former = overrides_in(state.installed.manifest)
    if former is None or former == facts.overrides:
        return facts
    try:
        render(facts)
    except ServiceError:
        return replace(facts, overrides=former)
    return facts


def still_true(told: Collection[str], before: Observed, after: Observed) -> list[str]:
    """Return the warnings without those of services that were found to be right since.

    And with what a service was not asked, as there was no time left.
    """
    settled = set(from_services(before)) - set(from_services(after))
    found = [words for words in told if words not in settled]
    return list(dict.fromkeys([*found, *not_asked(after.services.values())]))


def note_refusals(parts: Parts, observed: Observed, plan: Plan, outcome: Outcome) -> None:
    """Note which services were not given what the model wants, until they are.

    Not of one that cannot be worked with: that is seen whenever somebody looks. A plan of
    certificates alone tells nothing about services.
    """
    failures = dict(outcome.failures)
    for name, state in observed.services.items():
        error, live = failures.get(name), parts.layout.live(name)
        if isinstance(error, ServiceError) and state.error is None:
            refusals.note(live, error, parts.now())
        elif state.error is None and not only_issues(plan) and is_in_place(name, plan, outcome):
            refusals.settle(live)


def is_in_place(name: str, plan: Plan, outcome: Outcome) -> bool:
    """Return whether a service has what the model wants, be it that clients see it or not."""
    installs = [step for step in plan.steps if isinstance(step, Install)]
    left = [str(each) for each in installs if each.installation.service == name]
    not_served = any(of == name and isinstance(e, NotServed) for of, e in outcome.failures)
    return not_served or set(left) <= set(outcome.done)


def stopped(
    observed: Observed, failures: Collection[tuple[str, ProxygenError]]
) -> Iterator[tuple[str, NotServed]]:
    """Yield the services that do not run although nothing failed, each with what says so.

    What is told of them is no step and leaves no note: with nothing due, nothing is written.
    """
    failed = {of for of, _ in failures}
    for name, state in observed.services.items():
        if state.pid is None and state.error is None and name not in failed:
            yield name, not_running(name)


def forgotten(site: Site, parts: Parts, observed: Observed) -> Observed:
    """Return what is, with failures and looks as they are now.

    Failures of what is due no more are gone.
    """
    bundles = parts.bundles
    attempts = bundles.held("attempts")
    due, waiting = issues(site, observed, parts.now()) if attempts else ((), ())
    about = {step.certificate.owner: purpose(step.certificate) for step in due}
    waits = {each.owner for each in waiting}
    for owner, attempt in list(attempts.items()):
        if owner not in waits and about.get(owner) != attempt.purpose:
            bundles.forget_failure(owner)
            del attempts[owner]
    bundles.forget_orders(each.key for each in site.owners)
    parts.names.keep({each.owner: each.names for each in site.certificates})
    troubles, held = bundles.held("troubles"), bundles.held("looks")
    services = looked_since(observed.services, parts.layout)
    known = replace(observed, attempts=attempts, troubles=troubles, looks=held)
    return replace(known, services=services)


def met(site: Site, parts: Parts, observed: Observed) -> list[Endpoint]:
    """Return where clients meet certificates, at the services that can be worked with."""
    found: list[Endpoint] = []
    for name, state in observed.services.items():
        if state.facts and GLOBAL in observed.bundles:
            module = parts.services[name]
            view = VIEWS[module.role](site, observed.bundles)
            found += module.endpoints(view, state.settings, state.facts)
    return found


def next_plan(
    site: Site,
    parts: Parts,
    observed: Observed,
    only: Collection[str],
    tried: Collection[str],
    unadopted: Collection[str],
) -> Plan:
    """Return what is to be done next: the certificates alone where these are obtained first.

    What comes after them, and what is worth knowing, is planned anew in any case. Where the global
    certificate could not be adopted nothing comes after them: services stay as they are.
    """
    found = obtained(site, parts, observed, only, tried, unadopted)
    if GLOBAL in unadopted:
        return without_services(site, parts, observed, found)
    certain = found.answered and GLOBAL in observed.bundles
    if found.adopt or ((found.due or found.look) and certain):
        local = [step for step in found.due if is_local(step)]
        orders = [step for step in found.due if not is_local(step)]
        steps = (*found.adopt, *local, *in_order(orders, found.look))
        return Plan(steps, (), waiting=found.scheduled.waiting)
    return whole_plan(site, parts, observed, found)


def without_services(site: Site, parts: Parts, observed: Observed, found: Obtained) -> Plan:
    """Return what can be done while no service may be touched: certificates of domains."""
    local = [step for step in found.due if is_local(step)]
    orders = [step for step in found.due if not is_local(step)] if found.answered else []
    steps = (*found.adopt, *local, *in_order(orders, found.look if found.answered else ()))
    told = tuple(warnings(site, observed, parts.now()))
    return Plan(steps, told, found.answered, waiting=found.scheduled.waiting)


def only_issues(plan: Plan) -> bool:
    """Return whether a plan looks at names and obtains certificates, and does nothing else."""
    return bool(plan.steps) and all(isinstance(step, Look | Issue) for step in plan.steps)


def make_plan(
    site: Site,
    parts: Parts,
    observed: Observed,
    only: Collection[str] = (),
    tried: Collection[str] = (),
) -> Plan:
    """Return what is to be done now; reads and asks, but changes nothing."""
    observed = with_candidates(site, parts, observed)
    return whole_plan(site, parts, observed, obtained(site, parts, observed, only, tried))


@dataclass(frozen=True, slots=True)
class Obtained:
    """What is to be obtained (*due*), and how these orders were *scheduled*.

    *adopt*: what is adopted before all else. *look*: at which names, before. *answered*: whether a
    web server answers the challenges.
    """

    adopt: tuple[Adopt, ...]
    due: tuple[Issue, ...]
    look: tuple[Look, ...]
    scheduled: Schedule
    answered: bool


def obtained(
    site: Site,
    parts: Parts,
    observed: Observed,
    only: Collection[str],
    tried: Collection[str],
    unadopted: Collection[str] = (),
) -> Obtained:
    """Return what is to be obtained, and what must be known before."""
    now = parts.now()
    found = adoptions(site, observed, now)
    adopt = tuple(step for step in found if step.bundle.owner not in unadopted)
    observed = adopted(observed, adopt)
    due, unprovable = issues(site, observed, now, tried, only)
    if only:
        due = tuple(step for step in due if step.certificate.owner in only)
        unprovable = tuple(each for each in unprovable if each.owner in only)
    due, scheduled = scheduling(due, site, parts, observed, only)
    asked = [
        (wanted, name)
        for wanted, name in looks(site, observed, due, now)
        if wanted.owner not in tried and (not only or wanted.owner in only)
    ]
    first = stand_in(site, observed)
    if first and GLOBAL not in unadopted and not only_local_global(due):
        due = (first, *due)
    scheduled = replace(scheduled, waiting=(*scheduled.waiting, *unprovable))
    names = [name for wanted, name in asked if wanted.challenge == HTTP]
    answered = challenges_answered(due, names, observed, parts)
    return Obtained(adopt, due, (Look(tuple(asked)),) if asked else (), scheduled, answered)


def whole_plan(
    site: Site,
    parts: Parts,
    observed: Observed,
    found: Obtained,
) -> Plan:
    """Return all there is to do, certificates and services."""
    now, scheduled, answered = parts.now(), found.scheduled, found.answered
    then = provisional(site, adopted(observed, found.adopt), now)
    wanted, failures = installations(site, parts, then)
    steps = compare(found.due, site, wanted, then, now, answered=answered, look=found.look)
    told = not_usable(site, observed, now) if any(each.stand_in for each in found.due) else ()
    steps = (*found.adopt, *steps)
    roles = {name: parts.services[name].role for name in observed.services}
    showing = Showing(site, observed, then, steps, scheduled.waiting, roles, now)
    return Plan(
        steps,
        (*told, *warnings(site, adopted(observed, found.adopt), now)),
        answered,
        failures,
        scheduled.waiting,
        forecast(scheduled, sum(bool(each.authorities) for each in site.certificates)),
        showing.all(),
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
            if former := with_former_templates(name, site, parts, observed):
                wanted[name] = former
    return wanted, tuple(failures)


def with_former_templates(
    name: str, site: Site, parts: Parts, observed: Observed
) -> Installation | None:
    """Return what a service should have by the administrator's templates that it took last.

    None where that is not known, or these are no better.
    """
    state = observed.services[name]
    former = overrides_in(state.installed.manifest)
    if state.facts is None or former is None or former == state.facts.overrides:
        return None
    try:
        there = replace(state, facts=replace(state.facts, overrides=former))
        services = {**observed.services, name: there}
        return wanted_of(name, site, parts, replace(observed, services=services))
    except ServiceError:
        return None


def wanted_of(name: str, site: Site, parts: Parts, observed: Observed) -> Installation:
    """Return what one service should have; it is handed its role's view and nothing else.

    It follows from that view and a few facts: while these are the same, so is it.
    """
    module, state = parts.services[name], observed.services[name]
    if state.facts is None:
        raise state.error or ServiceError(f"{name} was not looked at")
    view = VIEWS[module.role](site, observed.bundles)
    given = (view, state.settings, state.facts)
    make = partial(rendered, name, parts, *given)
    return parts.latest.of(f"wanted {name}", (*given, parts.layout, parts.templates), make)


def rendered(
    name: str, parts: Parts, view: View, settings: ServiceSettings, facts: Facts
) -> Installation:
    """Return what one service should have for a view."""
    module, templates = parts.services[name], templates_for(name, parts, facts)
    return installation(
        name,
        module.wanted(view, settings, facts, parts.layout),
        module.pointer(facts.main),
        module.endpoints(view, settings, facts),
        templates,
        parts.layout.live(name),
        facts.version,
        templates.overriding(module.kind),
    )


def templates_for(name: str, parts: Parts, facts: Facts) -> Templates:
    """Return the templates of a service's files: those that are there, or were."""
    kind = parts.services[name].kind
    if facts.overrides is None or facts.overrides == parts.templates.overriding(kind):
        return parts.templates
    return parts.templates.instead(kind, facts.overrides)


def challenges_answered(
    due: tuple[Issue, ...], looked_at: Collection[str], observed: Observed, parts: Parts
) -> bool:
    """Return whether every name of a due order is answered for by the web server that runs.

    And every name that is *looked_at*, as that looks at the answer to a challenge. One whose
    configuration cannot be worked with at present may still run and answer.
    """
    asked = [step.certificate for step in due if not is_local(step)]
    names = [name for each in asked if each.challenge == HTTP for name in each.names]
    names = list(dict.fromkeys([*names, *looked_at]))
    for name, state in observed.services.items():
        challenges = parts.services[name].challenges
        if names and (state.pid or state.error) and challenges:
            listener = challenges.challenge_listener(state.settings)
            if unanswered(listener, names):
                return False
    return True
