"""The steps of a plan in order; one failure does not stop the rest."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from proxygen import assemble
from proxygen.apply.change import as_service_error, bring, look_again
from proxygen.apply.issue import Issuing, Result, issuer_of, lost, store_failed
from proxygen.apply.service import LiveService, Target
from proxygen.apply.standing import Standing
from proxygen.assemble import Parts
from proxygen.errors import (
    HELD_BACK,
    SET_ASIDE,
    Bug,
    Coded,
    IssueFailed,
    NotServed,
    ProxygenError,
    ServiceError,
    coded,
    words_json,
)
from proxygen.host import files
from proxygen.issuers import Issuer
from proxygen.model.certificate import HTTP, Bundle, Certificate
from proxygen.model.former import Removal, SetAside
from proxygen.model.hosts import readable
from proxygen.model.site import Site
from proxygen.plan.compare import LOCAL
from proxygen.plan.names import Known
from proxygen.plan.observed import Observed
from proxygen.plan.states import about
from proxygen.plan.steps import (
    Adopt,
    Forget,
    Install,
    Issue,
    Look,
    Plan,
    Step,
    Verify,
    Waiting,
    done,
)
from proxygen.services import Endpoint

SEVERITY = (Bug, ServiceError, IssueFailed, NotServed)
"""Which failure gives the exit code where there are several: what was not done comes first."""

LOOKING = 120.0
"""Seconds of looking at names after which an order is placed for those that are known by then."""

MOST_ORDERS = 4
"""How often a certificate is ordered in one run, each time without the names refused before."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What a run did: the words of each step done, and each failure with what it concerns.

    *stopped* are services with which all was done, but that do not run, each with the error that
    says so. *waiting* are certificates that are due but must wait, *tried* the owners whose
    certificate was asked for, *asked* with which names, *unadopted* those whose certificate could
    not be adopted, *unanswered* those for whom nobody was, as no service answers challenges,
    *before* the generation of each service that served when the run began. *observed* is what was
    there when the last plan was made. *terms* are new terms of service (URL) by the directory of
    the authority whose they are, *notes* what else is worth a warning. *seen* counts the names that
    were looked at. *set_aside* are included files with mistakes, *held_back* removals that wait for
    a person. *declined*: what there is to do was not worth a round.
    """

    done: list[str] = field(default_factory=list)
    failures: list[tuple[str, ProxygenError]] = field(default_factory=list)
    stopped: list[tuple[str, NotServed]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    unadopted: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    asked: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    before: dict[str, str | None] = field(default_factory=dict)
    terms: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seen: int = 0
    observed: Observed | None = None
    set_aside: tuple[SetAside, ...] = ()
    held_back: tuple[Removal, ...] = ()
    declined: bool = False

    def settle(self, of: str) -> None:
        """Forget the failure of something that was done in the end."""
        self.failures = [(each, error) for each, error in self.failures if each != of]

    @property
    def not_done(self) -> list[tuple[str, ProxygenError]]:
        """What is not as wanted in the end, with what it concerns."""
        return [*self.failures, *self.stopped]

    @property
    def exit_code(self) -> int:
        """Return the exit code of the gravest failure, 0 without any.

        A certificate that waits because it failed before is still one that was not obtained.
        """
        found = self.not_done
        kinds = {kind for kind in SEVERITY if any(isinstance(e, kind) for _, e in found)}
        if any(each.code in ("failed", "authority", "names") for each in self.waiting):
            kinds.add(IssueFailed)
        gravest = (kind.exit_code for kind in SEVERITY if kind in kinds)
        return next(gravest, HELD_BACK if self.held_back else SET_ASIDE if self.set_aside else 0)

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as ``--json`` prints it."""
        return {
            "done": [*map(words_json, self.done)],
            "failures": [{"of": what} | error.as_json() for what, error in self.not_done],
            "warnings": [*map(words_json, self.warnings)],
            "waiting": [each.as_json() for each in self.waiting],
            "set_aside": [each.as_json() for each in self.set_aside],
            "held_back": [each.as_json() for each in self.held_back],
            "exit_code": self.exit_code,
        }


def never() -> bool:
    """Return that there is no reason to stop."""
    return False


def nothing(*told: object) -> None:
    """Do nothing with what is told."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how it goes: *say* a line a step; *count* certificates done of all.

    *stop* tells whether to begin no more orders; *result* is told of each certificate. *leave*
    tells, also from other threads, whether to end hooks that run.
    """

    say: Say
    count: Callable[[int, int], None]
    stop: Callable[[], bool] = never
    result: Callable[[Result], None] = nothing
    leave: Callable[[], bool] = never


SILENT = Progress(nothing, nothing)


@dataclass(frozen=True, slots=True)
class Walk:
    """The steps of a plan in order; *observed* is what it was made from.

    *before* is called before each order of a certificate.
    """

    site: Site
    observed: Observed
    parts: Parts
    outcome: Outcome
    progress: Progress
    before: Callable[[Certificate], None] = nothing

    def steps(self, plan: Plan) -> bool:
        """Do the steps; return whether what was seen or issued makes the rest worth a new plan."""
        for kind, group in groupby(plan.steps, key=of_kind):
            if kind is Adopt:
                self.adopt(step for step in group if isinstance(step, Adopt))
                return True
            if kind is Look:
                steps = [step for step in group if isinstance(step, Look)]
                if asked := self.to_look_at(plan, steps):
                    self.look(asked)
                    return True
            elif kind in (LOCAL, Issue):
                due = [each for each in group if isinstance(each, Issue) and self.is_open(each)]
                due = due if kind is LOCAL else self.to_order(plan, due)
                if due and self.issue(due):
                    return True
            elif kind is Forget:
                self.forget(step for step in group if isinstance(step, Forget))
            else:
                self.install(list(group))
        return False

    def to_order(self, plan: Plan, due: list[Issue]) -> list[Issue]:
        """Return what to ask the authority for; what not has failed.

        Not what a web server must answer for that had to be set up first, and was not: the
        authority counts failed validations.
        """
        failed = self.not_answering(plan)
        if not failed:
            return due
        for step in (each for each in due if each.certificate.challenge == HTTP):
            self.outcome.tried.add(step.certificate.owner)
            self.outcome.unanswered.add(step.certificate.owner)
            error = IssueFailed(
                f"not asked for: {', '.join(failed)} does not answer the authority's challenges",
                remedy="correct what is said of it, then run `proxygen apply`",
            )
            self.failed(step.certificate.owner, step, error)
        return [each for each in due if each.certificate.challenge != HTTP]

    def not_answering(self, plan: Plan) -> list[str]:
        """Return the services that should answer challenges, but could not be set up to."""
        if plan.answered:
            return []
        failures = (*plan.failures, *self.outcome.failures)
        refused = {of for of, error in failures if isinstance(error, ServiceError)}
        return sorted(refused & set(self.challenge_services()))

    def to_look_at(self, plan: Plan, steps: list[Look]) -> list[tuple[Certificate, str]]:
        """Return the names to look at; where it is too late for that, nothing is ordered."""
        asked = [each for step in steps for each in step.asked]
        if self.progress.stop():
            self.outcome.tried.update(wanted.owner for wanted, _ in asked)
            return []
        failed = self.not_answering(plan)
        return [each for each in asked if not failed or each[0].challenge != HTTP]

    def is_open(self, step: Issue) -> bool:
        """Return whether a certificate is still to be obtained in this run."""
        return step.stand_in or step.certificate.owner not in self.outcome.tried

    def look(self, asked: list[tuple[Certificate, str]]) -> None:
        """Look at names, before an authority is asked for them."""
        from proxygen.apply.preflight import Looking

        self.progress.say(str(Look(tuple(asked))))
        many = itertools.count(1)

        def done(asking: tuple[Certificate, str], known: Known) -> None:
            self.progress.count(next(many), len(asked))
            self.outcome.seen += 1
            if known.trouble:
                wanted, name = asking
                words = f"{readable(name)} ({readable(wanted.owner)})"
                self.progress.say(f"waiting for DNS: {words}: {about(name, known.trouble)}")

        until = time.monotonic() + LOOKING
        looking = Looking(
            self.site,
            self.parts,
            self.listens(),
            lambda: time.monotonic() > until or self.progress.stop(),
        )
        looking.noted(asked, self.observed, done)

    def listens(self) -> bool:
        """Return whether proxygen answers challenges itself, as no web server does."""
        return not any(self.may_run(name) for name in self.challenge_services())

    def issue(self, due: list[Issue]) -> bool:
        """Obtain certificates; return whether any was, or some may be without the names refused."""
        self.outcome.tried.update(step.certificate.owner for step in due if not step.stand_in)
        many = itertools.count(1)

        def done(result: Result) -> None:
            self.tell(result)
            self.progress.count(next(many), len(due))

        words = {issuer_of(step) for step in due}
        words |= {each.directory for step in due for each in step.authorities}
        with assemble.issuers(self.parts, self.site, words, listen=self.listens()) as issuers:
            sources, stop = self.observed.sources, self.progress.stop
            issuing = Issuing(self.parts, issuers, sources, stop, self.before, self.standing())
            results = issuing.all(due, done)
            self.outcome.terms |= new_terms(issuers)
            self.outcome.notes += notes(issuers)
        again = [each for step, found in results if (each := self.may_do_without(step, found))]
        self.outcome.tried.difference_update(again)
        return bool(again) or any(isinstance(found, Bundle) for _, found in results)

    def may_do_without(self, step: Issue, found: Bundle | IssueFailed | Bug) -> str | None:
        """Return the owner whose certificate may do without the names that were refused.

        Not one for which the very same was asked before in this run: nothing could be stored.
        And none for which much was asked: others want their certificates installed meanwhile.
        """
        wanted = step.certificate
        refused = {each.name for each in found.refused} if isinstance(found, IssueFailed) else set()
        asked = self.outcome.asked.setdefault(wanted.owner, set())
        known = wanted.names in asked
        asked.add(wanted.names)
        often = len(asked) >= MOST_ORDERS
        if known or often or wanted.strict or not refused & set(wanted.names):
            return None
        return None if wanted.names[0] in refused else wanted.owner

    def standing(self) -> Standing:
        """Return how we stand with the authorities."""
        stored = self.observed.bundles.values()
        lifetimes = [each.lifetime for each in stored if each.authority and not each.stand_in]
        authorities = {each.directory: each for each in self.site.authorities}
        return Standing(self.parts, authorities, min(lifetimes, default=None))

    def challenge_services(self) -> list[str]:
        """Return the services that answer challenges."""
        known = self.parts.services
        return [name for name in self.observed.services if known[name].challenges]

    def may_run(self, name: str) -> bool:
        """Return whether a service runs, or may do although it cannot be worked with."""
        state = self.observed.services[name]
        return state.pid is not None or state.error is not None

    def tell(self, result: Result) -> None:
        """Note the result of one issue and say it."""
        step, found = result
        self.progress.result(result)
        if not isinstance(found, Bundle):
            self.failed(step.certificate.owner, step, found)
            return
        if not step.stand_in:
            self.outcome.settle(step.certificate.owner)
        self.outcome.notes += left_behind(step, self.observed)
        self.outcome.done.append(done(step))
        until = f"until {found.not_after:%Y-%m-%d %H:%M} UTC, from {found.issued_by}"
        self.progress.say(f"{step}\n  {until}")

    def adopt(self, steps: Iterable[Adopt]) -> None:
        """Store certificates that services have; what cannot be stored is not tried again."""
        for step in steps:
            owner = step.bundle.owner
            try:
                self.parts.bundles.save(step.pair, step.bundle)
            except OSError as error:
                self.outcome.tried.add(owner)
                self.outcome.unadopted.add(owner)
                self.failed(owner, step, store_failed(error))
                continue
            if not step.bundle.is_interim:
                self.outcome.settle(owner)
            self.outcome.done.append(done(step))
            self.progress.say(str(step))

    def forget(self, steps: Iterable[Forget]) -> None:
        """Remove bundles that nobody wants."""
        for step in steps:
            self.parts.bundles.forget(step.bundle)
            self.outcome.done.append(done(step))
            self.progress.say(str(step))

    def install(self, steps: list[Step]) -> None:
        """Bring one service to what is wanted: its Install, Reload and Verify are one."""
        step = steps[0]
        name = str(of_kind(step))
        verify = next(each for each in steps if isinstance(each, Verify))
        try:
            with as_service_error(name):
                if isinstance(step, Install):
                    self.progress.say(str(step))
                    self.bring(step, verify.endpoints)
                else:
                    given = verify.endpoints, self.progress.say, self.progress.leave
                    look_again(self.live(name), *given)
        except (ServiceError, NotServed) as error:
            self.failed(name, step, error)
            with suppress(ServiceError, OSError):
                self.live(name).generations.purge_refused()
        else:
            self.outcome.settle(name)
            self.outcome.done += map(done, steps)

    def bring(self, step: Install, endpoints: tuple[Endpoint, ...]) -> None:
        """Build what is wanted beside what serves, then bring the service to it."""
        wanted = step.installation
        service = self.live(wanted.service)
        if wanted.service in self.challenge_services():
            files.folder(self.parts.layout.challenges)  # other ACME clients expect their webroot
        generation = service.generations.build(wanted, self.parts.bundles)
        target = Target(generation, wanted.parameters)
        before = self.outcome.before.setdefault(wanted.service, service.former)
        bring(service, target, endpoints, self.progress.say, before, self.progress.leave)

    def live(self, name: str) -> LiveService:
        """Return a service as it is now, with the means to change it."""
        return LiveService(self.observed.services[name], self.parts)

    def failed(self, of: str, step: Step, error: ProxygenError) -> None:
        """Note a failure and say it; a later one of the same takes its place."""
        self.outcome.settle(of)
        self.outcome.failures.append((of, error))
        self.progress.say(f"failed: {step}: {error.what}")


def left_behind(step: Issue, observed: Observed) -> Iterator[str]:
    """Yield a word about each name that a certificate had, and was renewed without; said once."""
    for name in lost(step, observed.bundles.get(step.certificate.owner)):
        words = (
            f"{readable(step.certificate.owner)}: renewed without {readable(name)}, which leads"
            " elsewhere; it comes back by itself when it leads here again; if it moved away for"
            " good, take it out of the model"
        )
        yield Coded(words, "renewed-without", name)


def new_terms(issuers: Mapping[str, Issuer]) -> dict[str, str]:
    """Return the new terms of service that authorities have, by their directory."""
    found = {word: getattr(issuer, "new_terms", None) for word, issuer in issuers.items()}
    return {directory: url for directory, url in found.items() if url}


def notes(issuers: Mapping[str, Issuer]) -> list[str]:
    """Return what is worth a warning about the accounts at the authorities."""
    told = (words for issuer in issuers.values() for words in getattr(issuer, "notes", ()))
    return [*coded("account", told)]


def of_kind(step: Step) -> Any:
    """Return what steps that belong together share.

    Certificates that ask nobody (LOCAL) come apart from orders: once they are there, the
    services may have to be set up before the authority looks at its challenges.
    """
    if isinstance(step, Issue):
        return LOCAL if issuer_of(step) in LOCAL else Issue
    if isinstance(step, Adopt | Look | Forget):
        return type(step)
    return step.installation.service if isinstance(step, Install) else step.service
