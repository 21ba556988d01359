"""Walks a plan of orders; one failure stops no other order."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from proxygen.apply.issuance import Issuance
from proxygen.apply.outcome import NAMES, NOT_READY, Outcome, Progress
from proxygen.assemble import Installation
from proxygen.errors import Bug, Coded, IssueFailed
from proxygen.model.certificate import Bundle, Certificate
from proxygen.model.hosts import readable_name
from proxygen.model.site import Site
from proxygen.names.findings import sentence_about
from proxygen.names.states import NameState, unanswered_names
from proxygen.plan.observed import Observed
from proxygen.plan.steps import CheckNames, Forget, Issue, Plan, done_words

LOOKING = 120.0
"""Seconds of checking names after which an order is placed for those known by then."""

MOST_ORDERS = 4
"""How often a certificate is ordered in one run, each time without the names refused before."""

Asking = tuple[Certificate, str]


@dataclass(slots=True)
class Tried:
    """What one run tried already.

    *owners*: whose certificates it ordered, *asked*: with which names, *names*: which names it
    checked, each with its owner.
    """

    owners: set[str] = field(default_factory=set)
    asked: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)

    @property
    def much(self) -> int:
        """Return how much was tried so far."""
        return len(self.names) + sum(map(len, self.asked.values()))


@dataclass(frozen=True, slots=True)
class Orders:
    """Walks plans of one run."""

    site: Site
    installation: Installation
    outcome: Outcome
    progress: Progress
    issuance: Issuance
    tried: Tried

    def walk(self, plan: Plan, observed: Observed) -> bool:
        """Do the steps; return whether what was found out makes a new plan worthwhile.

        When told to stop, it begins nothing more; what was not begun does not count as tried.
        """
        again = False
        for kind, group in groupby(plan.steps, key=type):
            if self.progress.stop():
                return False
            if kind is CheckNames:
                steps = [step for step in group if isinstance(step, CheckNames)]
                if asked := self.names_to_check(steps, observed):
                    self.check_names(asked, observed)
                    return True
            elif kind is Issue:
                due = [step for step in group if isinstance(step, Issue)]
                if due := [s for s in due if s.certificate.owner not in self.tried.owners]:
                    again |= self.order(due, observed)
            else:
                self.forget(step for step in group if isinstance(step, Forget))
        return again

    def names_to_check(self, steps: Iterable[CheckNames], observed: Observed) -> list[Asking]:
        """Return the names to check, none twice in one run.

        And none of a certificate while a web server answers challenges for none of its names.
        """
        asked = [each for step in steps for each in step.asked]
        asked = [each for each in asked if (each[0].owner, each[1]) not in self.tried.names]
        answers = observed.answers
        return [one for one in asked if len(unanswered_names(one[0], answers)) < len(one[0].names)]

    def check_names(self, asked: list[Asking], observed: Observed) -> None:
        """Check names before an order."""
        from proxygen.apply.preflight import NameChecks

        self.progress.say(str(CheckNames(tuple(asked))))
        self.progress.count(NAMES, 0, len(asked))
        many = itertools.count(1)

        def told(asking: Asking, name_state: NameState) -> None:
            self.tried.names.add((asking[0].owner, asking[1]))
            if name_state.obstacle:
                wanted, name = asking
                words = f"{readable_name(name)} ({readable_name(wanted.owner)})"
                words = f"waiting for DNS: {words}: {sentence_about(name, name_state.obstacle)}"
                self.progress.say(Coded(words, NOT_READY, name))
            self.progress.count(NAMES, next(many), len(asked))

        until = time.monotonic() + LOOKING
        before = len(self.tried.names)
        checks = NameChecks(
            self.site,
            self.installation,
            observed.answers is None,
            lambda: time.monotonic() > until or self.progress.stop(),
        )
        checks.noted(asked, observed, told)
        if len(self.tried.names) == before and not self.progress.stop():
            self.tried.owners.update(wanted.owner for wanted, _ in asked)  # nobody came to look

    def order(self, due: list[Issue], observed: Observed) -> bool:
        """Order certificates; return whether any was issued, or may do without refused names."""
        self.tried.owners.update(step.certificate.owner for step in due)
        results = self.issuance.all(due, observed, listen=observed.answers is None)
        again = [each for step, found in results if (each := self.may_do_without(step, found))]
        begun = {step.certificate.owner for step, _ in results}
        stopped = {step.certificate.owner for step in due} - begun
        self.tried.owners.difference_update(again, stopped)
        return bool(again) or any(isinstance(found, Bundle) for _, found in results)

    def may_do_without(self, step: Issue, found: Bundle | IssueFailed | Bug) -> str | None:
        """Return the owner whose certificate may do without the names that were refused.

        Not if the very same was ordered before in this run: nothing could be stored. Nor if it was
        ordered often: others want theirs meanwhile.
        """
        wanted = step.certificate
        said = found.failure.refused if isinstance(found, IssueFailed) else ()
        refused = {each.name for each in said}
        asked = self.tried.asked.setdefault(wanted.owner, set())
        known = wanted.names in asked
        asked.add(wanted.names)
        often = len(asked) >= MOST_ORDERS
        if known or often or wanted.strict or not refused & set(wanted.names):
            return None
        return None if wanted.names[0] in refused else wanted.owner

    def forget(self, steps: Iterable[Forget]) -> None:
        """Remove bundles that nobody wants."""
        for step in steps:
            self.installation.bundles.forget(step.bundle)
            self.outcome.done.append(done_words(step))
            self.progress.say(done_words(step))
