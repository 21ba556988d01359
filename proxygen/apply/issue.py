"""Obtains certificates side by side; each is checked, and stored before anything else."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby

from proxygen.apply.authority_state import AuthorityState
from proxygen.apply.side_by_side import completed_futures
from proxygen.assemble import Installation
from proxygen.errors import Bug, IssueFailed, StoreFailed
from proxygen.failure import NotObtained, RefusedName, Scope, not_obtained
from proxygen.issuers import Issuer
from proxygen.model.certificate import Authority, Bundle, Certificate, KeyAndChain
from proxygen.model.x509 import describe_bundle
from proxygen.names.states import NameState, dropped_state, state_after_refusal
from proxygen.plan.quota import is_renewal
from proxygen.plan.schedule import replaced_identifier
from proxygen.plan.steps import Issue

Result = tuple[Issue, Bundle | IssueFailed | Bug]


@dataclass(slots=True)
class CertificateIssuer:
    """Obtains certificates; *issuers* by word, those that ask an authority by its directory.

    *sources* and *marks* are those of supplied files (Observed). *stop* tells whether to begin no
    more of them, *before* is called before each order.
    """

    installation: Installation
    issuers: Mapping[str, Issuer]
    sources: Mapping[str, str]
    stop: Callable[[], bool]
    before: Callable[[Certificate], None]
    authority_state: AuthorityState
    marks: Mapping[str, str] = field(default_factory=dict)

    def all(self, steps: Iterable[Issue], done: Callable[[Result], None]) -> list[Result]:
        """Obtain every certificate; one failure is no reason not to obtain the others.

        *done* is told of each result as it comes, from this thread. A result is stored before
        it is told.
        """
        results: list[Result] = []
        for word, group in groupby(sorted(steps, key=issuer_of), key=issuer_of):
            pool = ThreadPoolExecutor(self.issuers[word].concurrency, f"issue-{word[:20]}")
            try:
                waiting = {pool.submit(self.one, step): step for step in group}
                for step, future in completed_futures(waiting, self.stop):
                    result = step, outcome_of(future)
                    self.remember(result)
                    results.append(result)
                    done(result)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return results

    def one(self, step: Issue) -> Bundle:
        """Obtain one certificate from the first authority that issues it, and store it."""
        if not step.authorities:
            return self.issue(step, issuer_of(step), None)
        failures: list[NotObtained] = []
        for authority in step.authorities:
            try:
                return self.asked(step, authority, scheduled=not failures)
            except IssueFailed as error:
                failures.append(error.failure)
                if error.failure.unproven:
                    break  # no other authority would see what this one did not
        raise IssueFailed(first_failure(failures))

    def asked(self, step: Issue, authority: Authority, *, scheduled: bool) -> Bundle:
        """Obtain a certificate from one authority; raise IssueFailed, and note whose fault."""
        wanted, directory = step.certificate, authority.directory
        self.authority_state.ask(directory, wanted, scheduled=scheduled)
        self.before(wanted)
        former = self.installation.bundles.facts(wanted.owner)
        try:
            bundle = self.issue(step, directory, authority)
        except IssueFailed as error:
            self.authority_state.failed(directory, error.failure)
            raise
        renewal = is_renewal(wanted, former, directory)
        self.authority_state.issued(directory, wanted, renewal=renewal)
        return bundle

    def issue(self, step: Issue, word: str, authority: Authority | None) -> Bundle:
        """Obtain one certificate and store it."""
        bundles, issuer = self.installation.bundles, self.issuers[word]
        former = bundles.facts(step.certificate.owner)
        wanted = step.certificate
        if former and former.replace:  # its key is not to be trusted
            wanted = replace(wanted, keep_key=False)
        pair = issuer.issue(
            wanted,
            bundles.material(former) if former else None,
            replaced_identifier(former, wanted, authority) if authority else None,
        )
        bundle = self.described(step, pair, authority)
        if step.stand_in:  # it settles nothing that keeps the real one away, which may be there now
            first = bundles.save_first(pair, bundle, None)
            return bundle if first else bundles.facts(wanted.owner) or bundle
        moved = [name for name in lost_names(step, former) if name not in step.unanswered]
        self.give_up(moved, wanted.owner)
        bundles.save(pair, bundle)
        issuer.finished(wanted.owner)
        with contextlib.suppress(OSError):  # what is known too much is found out at the next look
            self.installation.names.forget(wanted.owner, wanted.names)
        return bundle

    def give_up(self, names: Collection[str], owner: str) -> None:
        """Note names that a certificate does without from now on.

        Before it is stored: whoever is killed in between knows afterwards that they moved away.
        """
        book, now = self.installation.names, self.installation.now()
        with contextlib.suppress(OSError):
            known = book.of(owner)
            if gone := [dropped_state(known[name], now) for name in names if name in known]:
                book.note(owner, gone)

    def described(self, step: Issue, pair: KeyAndChain, authority: Authority | None) -> Bundle:
        """Return the facts about what was obtained."""
        wanted = step.certificate
        if step.stand_in:
            return describe_bundle(pair, replace(wanted, issuer="selfsigned"), stand_in=True)
        return replace(
            describe_bundle(pair, wanted, authority), source=self.sources.get(wanted.owner, "")
        )

    def remember_refused(self, step: Issue, failure: NotObtained) -> None:
        """Keep which names an authority refused, so that the next order does without them."""
        owner, by = step.certificate.owner, step.certificate.checked_by

        def refused_now(name_state: NameState | None, name: RefusedName) -> NameState:
            now, draw = self.installation.now(), self.installation.draw()
            return state_after_refusal(
                name_state, name.name, name.problem, name.words, now, draw, name.failure
            )

        with contextlib.suppress(OSError):
            known = self.installation.names.of(owner)
            self.installation.names.note(
                owner,
                [
                    replace(refused_now(known.get(each.name), each), by=by)
                    for each in failure.refused
                    if each.name in step.certificate.names
                ],
            )

    def remember(self, result: Result) -> None:
        """Keep a failure, for `proxygen status` and for the pause before the next try.

        An authority that refuses everybody is no failure of this certificate.
        """
        step, found = result
        if isinstance(found, Bundle):
            return
        failure = found.failure
        if failure.refused:
            self.remember_refused(step, failure)
        if not failure.everybody:
            with contextlib.suppress(OSError):  # the failure is told in any case
                installation, wanted = self.installation, step.certificate
                source = self.marks.get(wanted.owner, "")
                installation.bundles.failed(
                    wanted, failure, installation.now(), installation.draw(), source
                )


def lost_names(step: Issue, former: Bundle | None) -> tuple[str, ...]:
    """Return the names that the former certificate has, and an order is placed without."""
    if former is None or former.stand_in:
        return ()
    return tuple(name for name in step.left_out if former.covers(name))


def issuer_of(step: Issue) -> str:
    """Return the word or directory of the issuer; a stand-in is always self-signed."""
    if step.stand_in:
        return "selfsigned"
    return step.authorities[0].directory if step.authorities else step.certificate.issuer


def first_failure(failures: list[NotObtained]) -> NotObtained:
    """Return the failure of the first authority, with what the others said besides."""
    first, *others = failures
    if not others:
        return first
    everybody = all(each.everybody for each in failures)
    named = [each.retry_at for each in failures if each.retry_at and not each.everybody]
    return replace(
        first,
        code="no-authority",
        scope=Scope.AUTHORITY if everybody else Scope.OWNER,
        facts=(),
        parts=tuple(failures),
        words="\n".join(each.words for each in failures if each.words),
        refused=next((each.refused for each in failures if not each.everybody), ()),
        retry_at=first.retry_at if everybody else max(named, default=None),
    )


def outcome_of(future: Future[Bundle]) -> Bundle | IssueFailed | Bug:
    """Return the bundle or the failure; our own bug in one domain's work harms no other."""
    try:
        return future.result()
    except IssueFailed as error:
        return error
    except OSError as error:
        return StoreFailed(not_obtained("nothing-stored", Scope.HOST, words=error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other domains go on
        words = "".join(traceback.format_exception(error))
        return Bug(repr(error), words=words)
