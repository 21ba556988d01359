"""Walks a plan that brings this host's services to what the store holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from proxygen.apply.change import as_service_error, probe_again, switch_to
from proxygen.apply.issuance import Issuance
from proxygen.apply.outcome import FAILED, Outcome, Progress
from proxygen.apply.service import LiveService, SwitchTarget
from proxygen.assemble import Installation
from proxygen.errors import Coded, NotServed, ProxygenError, ServiceError, StoreFailed
from proxygen.failure import Scope, not_obtained
from proxygen.host import files
from proxygen.model.site import Site
from proxygen.plan.observed import Observed
from proxygen.plan.steps import Adopt, Install, Issue, Plan, Reload, Step, Verify, done_words

Steps = list[Install | Reload | Verify]


@dataclass(frozen=True, slots=True)
class Deployment:
    """Walks the plans of one deployment.

    *supplied* are the owners whose certificates were stored or tried, *unadopted* those whose
    certificate could not be adopted.
    """

    site: Site
    installation: Installation
    outcome: Outcome
    progress: Progress
    issuance: Issuance
    supplied: set[str] = field(default_factory=set)
    unadopted: set[str] = field(default_factory=set)

    def supply(self, plan: Plan, observed: Observed) -> bool:
        """Store the certificates that need no authority; return whether there were any."""
        adopt = [step for step in plan.steps if isinstance(step, Adopt)]
        due = [step for step in plan.steps if isinstance(step, Issue)]
        self.adopt(adopt, observed)
        if due:
            self.supplied.update(step.certificate.owner for step in due if not step.stand_in)
            self.issuance.all(due, observed)
        return bool(adopt or due)

    def adopt(self, steps: Iterable[Adopt], observed: Observed) -> None:
        """Store certificates that services have; one that cannot be stored is not tried again.

        Nor is one for whose owner another process stored one since it was *observed*.
        """
        for step in steps:
            owner = step.bundle.owner
            try:
                former = observed.bundles.get(owner)
                if not self.installation.bundles.save_first(step.pair, step.bundle, former):
                    continue
            except OSError as error:
                self.supplied.add(owner)
                self.unadopted.add(owner)
                why = not_obtained("nothing-stored", Scope.HOST, words=error)
                self.failed(owner, step, StoreFailed(why))
                continue
            if not step.bundle.is_interim:
                self.outcome.settle(owner)
            self.outcome.done.append(done_words(step))
            self.progress.say(done_words(step))

    def services(self, plan: Plan, observed: Observed) -> None:
        """Bring each service to what is wanted; the steps of a service are one unit."""
        steps = [each for each in plan.steps if isinstance(each, Install | Reload | Verify)]
        for name, group in groupby(steps, key=service_of):
            self.service(name, list(group), observed)

    def service(self, name: str, steps: Steps, observed: Observed) -> None:
        """Bring one service to what is wanted."""
        step = steps[0]
        verify = next(each for each in steps if isinstance(each, Verify))
        try:
            with as_service_error(name):
                if isinstance(step, Install):
                    self.progress.say(str(step))
                    self.bring(step, verify, observed)
                else:
                    if isinstance(step, Reload):
                        self.progress.say(str(step))
                        self.live(name, observed).reload()
                    probe_again(self.live(name, observed), verify.endpoints, self.progress)
        except (ServiceError, NotServed) as error:
            self.failed(name, step, error)
            with suppress(ServiceError, OSError):
                self.live(name, observed).generations.purge_refused()
        else:
            self.outcome.settle(name)
            self.outcome.done += map(done_words, steps)

    def bring(self, step: Install, verify: Verify, observed: Observed) -> None:
        """Build what is wanted beside what serves, then bring the service to it."""
        wanted = step.rendering
        service = self.live(wanted.service, observed)
        if self.installation.services[wanted.service].challenges:
            files.folder(
                self.installation.layout.challenges
            )  # other ACME clients expect their webroot
        generation = service.generations.build(wanted, self.installation.bundles)
        target = SwitchTarget(generation, wanted.parameters)
        before = self.outcome.before.setdefault(wanted.service, service.former)
        switch_to(service, target, verify.endpoints, self.progress, before)

    def live(self, name: str, observed: Observed) -> LiveService:
        """Return a service as it is now, with the means to change it."""
        return LiveService(observed.services[name], self.installation)

    def failed(self, of: str, step: Step, error: ProxygenError) -> None:
        """Note a failure and report it; a later one about the same replaces it."""
        self.outcome.failed(of, error)
        self.progress.say(Coded(f"failed: {step}: {error.what}", FAILED, of))


def service_of(step: Install | Reload | Verify) -> str:
    """Return the service of a step."""
    return step.rendering.service if isinstance(step, Install) else step.service


def installed_by(outcome: Outcome, plan: Plan) -> Collection[str]:
    """Return the services for which a plan's Install was done."""
    installs = [step for step in plan.steps if isinstance(step, Install)]
    return {step.rendering.service for step in installs if str(step) in outcome.done}
