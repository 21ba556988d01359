"""Logs what a round did; what did not change is not logged again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from proxygen.apply.issue import Result
from proxygen.apply.outcome import Outcome
from proxygen.errors import Bug, IssueFailed, Mistake, NotServed, ProxygenError
from proxygen.failure import failure_words
from proxygen.host.logs import log_event
from proxygen.model.certificate import Bundle
from proxygen.model.former import CONFIRM, Removal
from proxygen.model.site import Site
from proxygen.plan.steps import Issue, PostponedOrder
from proxygen.stores.bundles import ATTEMPT, Bundles, failure_key
from proxygen.texts.bounds import MOST_TOLD

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR


@dataclass(slots=True)
class EventLog:
    """Writes events, and remembers what was logged and still holds."""

    mistakes: frozenset[str] = frozenset()
    warnings: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    owners: set[str] = field(default_factory=set)
    wrong_files: dict[str, str] = field(default_factory=dict)
    held_back: dict[str, str] = field(default_factory=dict)

    def wrong(self, mistakes: Iterable[Mistake | ProxygenError], *, served: bool) -> None:
        """Log each mistake of the model once; *served*: the last right version stays in force."""
        told = {str(each): each for each in mistakes}
        for words in [each for each in told if each not in self.mistakes]:
            log_event(ERROR, "model_mistake", **fields_of(told[words]))
        if self.mistakes != told.keys():
            until = "the last right version" if served else "nothing"
            log_event(WARNING, "model_wrong", mistakes=len(told), goes_on_with=until)
        self.mistakes = frozenset(told)

    def right(self, domains: int) -> None:
        """Log that the model was read."""
        log_event(INFO, "model_read", domains=domains, was_wrong=bool(self.mistakes) or None)
        self.mistakes = frozenset()

    def as_it_was(self, site: Site) -> None:
        """Log which included files are set aside and which removals are held back, each once."""
        wrong = {str(one): (each, one) for each in site.set_aside for one in each.mistakes}
        for words in [each for each in wrong if each not in self.wrong_files]:
            file, mistake = wrong[words]
            log_event(
                ERROR, "file_set_aside", file=file.file, kept=len(file.kept), **fields_of(mistake)
            )
        files = {file.file for file, _ in wrong.values()}
        for file_again in sorted(set(self.wrong_files.values()) - files):
            log_event(INFO, "file_right_again", file=file_again)
        self.wrong_files = {words: file.file for words, (file, _) in wrong.items()}
        held = {str(each): each for each in site.held_back}
        for words in [each for each in held if each not in self.held_back]:
            log_event(WARNING, "removal_held_back", **fields_of_removal(held[words]))
        there = {each.file for each in held.values()}
        for over in sorted(set(self.held_back.values()) - there):
            log_event(INFO, "removal_settled", file=over)
        self.held_back = {words: each.file for words, each in held.items()}

    def certificate(self, result: Result, bundles: Bundles) -> None:
        """Log what became of one certificate."""
        step, found = result
        if isinstance(found, Bundle):
            log_obtained(step, found)
            return
        self.owners.add(step.certificate.owner)
        last_failure = ATTEMPT.read(bundles.readable(failure_key(step.certificate.owner)))
        log_event(
            ERROR,
            "certificate_failed",
            owner=step.certificate.owner,
            reason=step.reason.code,
            problem=found.failure.problem,
            next_try=last_failure.again if last_failure else None,
            tries=last_failure.count if last_failure else None,
            **fields_of(found),
        )

    def deployed(self, outcome: Outcome) -> None:
        """Log what a deployment did to services, and what failed."""
        failed = dict(outcome.failures)
        for name in outcome.before.keys() - failed.keys():
            log_event(INFO, "service_changed", service=name)
        self.failed(outcome)

    def failed(self, outcome: Outcome) -> None:
        """Log what failed, except for certificates whose failure was logged already."""
        for of, error in outcome.failures:
            if of not in self.owners:
                log_event(ERROR, event_of(error), of=of, **fields_of(error))
            self.owners.discard(of)

    def outcome(self, outcome: Outcome) -> None:
        """Log what is new."""
        for words in [each for each in outcome.warnings if each not in self.warnings]:
            log_event(WARNING, "warning", what=words)
        self.warnings = frozenset(outcome.warnings)
        self.log_postponed(outcome.waiting)

    def obtained(self, outcome: Outcome, seconds: float) -> None:
        """Log the outcome of obtaining certificates, if there was anything to do."""
        self.failed(outcome)
        if outcome.done or outcome.failures:
            log_event(
                INFO,
                "obtaining_ended",
                seconds=seconds,
                certificates=outcome.obtained,
                failures=len(outcome.failures),
                waiting=len(outcome.waiting),
            )

    def ended(self, outcome: Outcome, seconds: float, due: datetime | None) -> None:
        """Log how much a round did, how long it took, and when the next one is due."""
        log_event(
            INFO,
            "round_ended",
            seconds=seconds,
            steps=len(outcome.done),
            failures=len(outcome.failures),
            waiting=len(outcome.waiting),
            next=due,
        )

    def log_postponed(self, waiting: Iterable[PostponedOrder]) -> None:
        """Log which certificates are postponed that were not before."""
        present = {str(each): each for each in waiting}
        new = [each for words, each in present.items() if words not in self.waiting]
        for each in new[:MOST_TOLD]:
            said = {"owner": each.owner, "until": each.until, "reason": each.code}
            log_event(INFO, "waiting", **said, what=each.words)
        if len(new) > MOST_TOLD:
            log_event(INFO, "waiting_more", certificates=len(new) - MOST_TOLD, of=len(present))
        self.waiting = frozenset(present)


def log_obtained(step: Issue, bundle: Bundle) -> None:
    """Say that a certificate was obtained."""
    log_event(
        INFO,
        "certificate_obtained",
        owner=bundle.owner,
        reason="stand-in" if step.stand_in else step.reason.code,
        issuer=bundle.issuer,
        issued_by=bundle.issued_by,
        until=bundle.not_after,
        names=len(bundle.names),
    )


def event_of(error: ProxygenError) -> str:
    """Return the event for a failure."""
    if isinstance(error, NotServed):
        return "not_served"
    if isinstance(error, Bug):
        return "bug"
    return "certificate_failed" if isinstance(error, IssueFailed) else "service_failed"


def fields_of_removal(removal: Removal) -> dict[str, object]:
    """Return what a removal that is held back says, as fields."""
    return {
        "file": removal.file,
        "domains": len(removal.domains),
        "which": tuple(removal.domains[:MOST_TOLD]),
        "why": removal.why,
        "remedy": CONFIRM,
    }


def fields_of(error: Mistake | ProxygenError) -> dict[str, object]:
    """Return what a failure or mistake says, as fields."""
    if isinstance(error, Mistake):
        return {
            "where": error.where,
            "field": error.field or None,
            "what": error.reason,
            "remedy": error.remedy,
        }
    return {
        "where": error.where or None,
        "what": error.what,
        "remedy": error.remedy or None,
        "words": error.words or failure_words(error.failure).words or None,
    }
