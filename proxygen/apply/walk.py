"""The steps of a plan in order; one failure does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from proxygen import assemble
from proxygen.apply.issue import Result, issue_all, issuer_of
from proxygen.apply.service import LiveService, Target, bring
from proxygen.assemble import Parts
from proxygen.errors import IssueFailed, NotServed, ProxygenError, ServiceError
from proxygen.model.site import Site
from proxygen.plan.compare import LOCAL
from proxygen.plan.observed import Observed
from proxygen.plan.steps import Forget, Install, Issue, Plan, Step, Verify

SEVERITY = (ServiceError, IssueFailed, NotServed)
"""Which failure gives the exit code where there are several: what was not done comes first."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What a run did: the words of each step done, and each failure with what it concerns.

    *tried* are the owners whose certificate was asked for.
    """

    done: list[str] = field(default_factory=list)
    failures: list[tuple[str, ProxygenError]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)

    @property
    def exit_code(self) -> int:
        """Return the exit code of the gravest failure, 0 without any."""
        kinds = [kind for kind in SEVERITY if any(isinstance(e, kind) for _, e in self.failures)]
        return kinds[0].exit_code if kinds else 0

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as ``--json`` prints it."""
        return {
            "done": self.done,
            "failures": [{"of": what} | error.as_json() for what, error in self.failures],
            "warnings": self.warnings,
            "exit_code": self.exit_code,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how it goes: *say* a line a step; *count* certificates done of all."""

    say: Say
    count: Callable[[int, int], None]


def nothing(*told: object) -> None:  # noqa: ARG001
    """Do nothing with what is told."""


SILENT = Progress(nothing, nothing)


def walk(
    plan: Plan, site: Site, observed: Observed, parts: Parts, outcome: Outcome, progress: Progress
) -> bool:
    """Do the steps; return whether what was issued makes the rest worth planning again."""
    for kind, group in groupby(plan.steps, key=of_kind):
        steps = list(group)
        if kind in (LOCAL, Issue):
            issue_steps = [step for step in steps if isinstance(step, Issue)]
            if issued(issue_steps, site, observed, parts, outcome, progress):
                return True
        elif kind is Forget:
            forget(steps, parts, outcome, progress)
        else:
            install(steps, observed, parts, outcome, progress)
    return False


def of_kind(step: Step) -> Any:
    """Return what steps that belong together share.

    Certificates that ask nobody (LOCAL) come apart from orders: once they are there, the
    services may have to be set up before the authority looks at its challenges.
    """
    if isinstance(step, Issue):
        return LOCAL if issuer_of(step) in LOCAL else Issue
    if isinstance(step, Forget):
        return Forget
    return step.installation.service if isinstance(step, Install) else step.service


def issued(
    steps: list[Issue],
    site: Site,
    observed: Observed,
    parts: Parts,
    outcome: Outcome,
    progress: Progress,
) -> bool:
    """Obtain certificates; return whether any was."""
    words = {issuer_of(step) for step in steps}
    count = 0
    many = len(steps)

    def done(result: Result) -> None:
        nonlocal count
        count += 1
        tell(result, outcome, progress)
        progress.count(count, many)

    outcome.tried |= {step.certificate.owner for step in steps if not step.stand_in}
    listen = not serves_challenges(observed, parts.services)
    try:
        with assemble.issuers(parts, site, words, listen=listen) as issuers:
            results = issue_all(steps, issuers, parts.bundles, observed.sources, parts.now, done)
    except IssueFailed as error:
        outcome.failures += [(step.certificate.owner, error) for step in steps]
        return False
    return any(not isinstance(result, IssueFailed) for _, result in results)


def tell(result: Result, outcome: Outcome, progress: Progress) -> None:
    """Note one result and say it."""
    step, found = result
    if isinstance(found, IssueFailed):
        outcome.failures.append((step.certificate.owner, found))
        progress.say(f"failed: {step}: {found.what}")
        return
    outcome.done.append(str(step))
    progress.say(f"{step}\n  until {found.not_after:%Y-%m-%d %H:%M} UTC, from {found.issued_by}")


def serves_challenges(observed: Observed, services: Mapping[str, Any]) -> bool:
    """Return whether a web server runs that answers challenges."""
    return any(
        state.pid is not None and hasattr(services[name], "challenge_listener")
        for name, state in observed.services.items()
    )


def forget(steps: list[Step], parts: Parts, outcome: Outcome, progress: Progress) -> None:
    """Remove bundles that nobody wants."""
    for step in steps:
        if isinstance(step, Forget):
            parts.bundles.forget(step.bundle)
            outcome.done.append(str(step))
            progress.say(str(step))


def install(
    steps: list[Step], observed: Observed, parts: Parts, outcome: Outcome, progress: Progress
) -> None:
    """Bring one service to what is wanted: its Install, Reload and Verify are one."""
    step = next(each for each in steps if isinstance(each, Install))
    endpoints = next((each.endpoints for each in steps if isinstance(each, Verify)), ())
    wanted = step.installation
    module = parts.services[wanted.service]
    progress.say(str(step))
    try:
        service = LiveService(module, observed.services[wanted.service], wanted.live)
        service.build(wanted, parts.bundles)
        bring(service, Target(wanted.id, wanted.parameters), endpoints, progress.say)
    except (ServiceError, NotServed) as error:
        outcome.failures.append((wanted.service, error))
        progress.say(f"failed: {step}: {error.what}")
        return
    outcome.done += [str(each) for each in steps]
