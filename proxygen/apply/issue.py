"""Issue: certificates obtained side by side, checked, and stored before anything else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime

from proxygen.bundles import Bundles
from proxygen.errors import IssueFailed
from proxygen.issuers import Issuer
from proxygen.model.certificate import Bundle, Certificate
from proxygen.model.x509 import describe
from proxygen.plan.steps import Issue

Result = tuple[Issue, Bundle | IssueFailed]


def issue_all(
    steps: Iterable[Issue],
    issuers: Mapping[str, Issuer],
    bundles: Bundles,
    sources: Mapping[str, str],
    now: Callable[[], datetime],
    done: Callable[[Result], None],
) -> list[Result]:
    """Obtain every certificate; one failure is no reason not to obtain the others.

    *done* is told of each result as it comes, from this thread. A result is stored before it
    is told.
    """
    results: list[Result] = []
    by_issuer: dict[str, list[Issue]] = {}
    for step in steps:
        by_issuer.setdefault(issuer_of(step), []).append(step)
    for word, group in by_issuer.items():
        issuer = issuers[word]

        def one(step: Issue, issuer: Issuer = issuer) -> Bundle:
            return issue(step, issuer, bundles, sources)

        pool = ThreadPoolExecutor(issuer.concurrency, thread_name_prefix=f"issue-{word}")
        try:
            waiting = {pool.submit(one, step): step for step in group}
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    step = waiting.pop(future)
                    try:
                        result = step, outcome(future)
                    except Exception:
                        # Our own bug: the orders that are under way end first, then it is told.
                        pool.shutdown(wait=True, cancel_futures=True)
                        raise
                    remember(result, bundles, now())
                    results.append(result)
                    done(result)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return results


def issuer_of(step: Issue) -> str:
    """Return the word of the issuer; a stand-in is always self-signed."""
    return "selfsigned" if step.stand_in else step.certificate.issuer


def issue(step: Issue, issuer: Issuer, bundles: Bundles, sources: Mapping[str, str]) -> Bundle:
    """Obtain one certificate and store it."""
    wanted = step.certificate
    former = bundles.facts(wanted.owner)
    pair = issuer.issue(wanted, bundles.material(former) if former else None)
    described = describe(pair, as_issued(step), stand_in=step.stand_in)
    bundle = replace(described, source=sources.get(wanted.owner, ""))
    bundles.save(pair, bundle)
    issuer.finished(wanted.owner)
    return bundle


def as_issued(step: Issue) -> Certificate:
    """Return the certificate with the issuer that it is really from."""
    if step.stand_in:
        return replace(step.certificate, issuer="selfsigned", authority="")
    return step.certificate


def outcome(future: Future[Bundle]) -> Bundle | IssueFailed:
    """Return the bundle or the failure; anything else is our own bug and rises."""
    try:
        return future.result()
    except IssueFailed as error:
        return error
    except OSError as error:
        return IssueFailed(
            f"nothing can be stored: {error}",
            remedy="make room or correct the permissions, then run `proxygen apply`",
        )


def remember(result: Result, bundles: Bundles, now: datetime) -> None:
    """Keep a failure, for `proxygen status`."""
    step, failure = result
    if isinstance(failure, IssueFailed):
        with contextlib.suppress(OSError):  # the failure is told in any case
            bundles.failed(step.certificate, failure, now)
