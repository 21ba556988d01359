"""Obtains certificates, stores and reports them, for both halves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from proxygen import assemble
from proxygen.apply.authority_state import AuthorityState
from proxygen.apply.issue import CertificateIssuer, Result, issuer_of, lost_names
from proxygen.apply.outcome import FAILED, Outcome, Progress
from proxygen.assemble import Installation
from proxygen.errors import Coded, coded_words
from proxygen.issuers import Issuer
from proxygen.model.certificate import Bundle, Certificate
from proxygen.model.hosts import readable_name
from proxygen.model.site import Site
from proxygen.plan.observed import Observed
from proxygen.plan.steps import Issue, done_words

ELSEWHERE = (
    "which leads elsewhere; it is added again once it leads here; if it moved away for good, remove"
    " it from the model"
)
NOT_ANSWERED = (
    "for which the web server does not answer challenges; it is added again once"
    " the web server does"
)
"""Why a certificate was renewed without a name, and what becomes of it."""

CERTIFICATES = "certificates"
"""What is counted while certificates are obtained."""


@dataclass(frozen=True, slots=True)
class Issuance:
    """Obtains certificates side by side; each is stored, then reported.

    *before* is called before each order of a certificate.
    """

    site: Site
    installation: Installation
    outcome: Outcome
    progress: Progress
    before: Callable[[Certificate], None]

    def all(self, due: list[Issue], observed: Observed, *, listen: bool = False) -> list[Result]:
        """Obtain certificates; *listen*: proxygen answers challenges itself."""
        many = itertools.count(1)
        self.progress.count(CERTIFICATES, 0, len(due))

        def told(result: Result) -> None:
            self.note_result(result, observed)
            self.progress.count(CERTIFICATES, next(many), len(due))

        words = {issuer_of(step) for step in due}
        words |= {each.directory for step in due for each in step.authorities}
        with assemble.issuers(self.installation, self.site, words, listen=listen) as issuers:
            sources, stop = observed.sources, self.progress.stop
            authority_state = self.authority_state(observed)
            given = self.installation, issuers, sources, stop, self.before, authority_state
            issuing = CertificateIssuer(*given, observed.marks)
            results = issuing.all(due, told)
            self.outcome.terms |= new_terms(issuers)
            self.outcome.notes += account_notes(issuers)
        return results

    def authority_state(self, observed: Observed) -> AuthorityState:
        """Return how we stand with the authorities."""
        stored = observed.bundles.values()
        lifetimes = [each.lifetime for each in stored if each.authority and not each.stand_in]
        authorities = {each.directory: each for each in self.site.authorities}
        return AuthorityState(self.installation, authorities, min(lifetimes, default=None))

    def note_result(self, result: Result, observed: Observed) -> None:
        """Note the result of one issue and report it."""
        step, found = result
        owner = step.certificate.owner
        if not isinstance(found, Bundle):
            self.outcome.failed(owner, found)
            self.progress.say(Coded(f"failed: {step}: {found.what}", FAILED, owner))
        else:
            if not step.stand_in:
                self.outcome.settle(owner)
            self.outcome.obtained += 1
            self.outcome.notes += left_behind(step, observed)
            self.outcome.done.append(done_words(step))
            until = f"until {found.not_after:%Y-%m-%d %H:%M} UTC, from {found.issued_by}"
            self.progress.say(Coded(f"{step}; {until}", "issue", owner))
        self.progress.result(result)


def left_behind(step: Issue, observed: Observed) -> Iterator[str]:
    """Yield a note about each name that the former certificate has and the renewed one lacks."""
    for name in lost_names(step, observed.bundles.get(step.certificate.owner)):
        why = NOT_ANSWERED if name in step.unanswered else ELSEWHERE
        words = (
            f"{readable_name(step.certificate.owner)}: renewed without {readable_name(name)}, {why}"
        )
        yield Coded(words, "renewed-without", name)


def new_terms(issuers: Mapping[str, Issuer]) -> dict[str, str]:
    """Return the new terms of service of authorities, by their directory."""
    found = {word: getattr(issuer, "new_terms", None) for word, issuer in issuers.items()}
    return {directory: url for directory, url in found.items() if url}


def account_notes(issuers: Mapping[str, Issuer]) -> Iterable[str]:
    """Return the warnings about the accounts at the authorities."""
    told = (words for issuer in issuers.values() for words in getattr(issuer, "notes", ()))
    return [*coded_words("account", told)]
