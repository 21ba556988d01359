"""Which due certificates are ordered now, from which authority, and which are postponed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from proxygen.failure import Failure, Scope, failure
from proxygen.model.certificate import GLOBAL, Authority, Bundle, Certificate
from proxygen.plan.backoff import Attempt, after_failures, purpose, waits
from proxygen.plan.quota import Entry, Quota, is_exempt, is_renewal
from proxygen.plan.renewal import WARNED, warned_from
from proxygen.plan.steps import Forecast, Issue, Waiting

PATIENCE = 3
"""Failures in a row after which a renewal goes to the next authority."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is ordered *now*, in order, and what is *waiting*."""

    now: tuple[Issue, ...] = ()
    waiting: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What a schedule depends on: bundles and failures by owner, failures by authority, quotas.

    *forced* are the owners that a person asked for: earlier failures count only if the authority
    itself named a moment. *purposes* tell, by directory, how an authority is asked: if that
    changed, its earlier failures do not count.
    """

    bundles: Mapping[str, Bundle]
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    troubles: Mapping[str, Attempt] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    forced: Collection[str] = ()
    purposes: Mapping[str, str] = field(default_factory=dict)


def schedule(due: Iterable[Issue], past: Past, now: datetime) -> Schedule:
    """Return the orders to place, those that end first at the front, and what is postponed.

    It uses up the quotas of *past*.
    """
    asked: list[Issue] = []
    waiting: list[Waiting] = []
    for step in sorted(due, key=lambda each: urgency(each.certificate, past, now)):
        answer = placed(step, past, now)
        if isinstance(answer, Waiting):
            waiting.append(answer)
        else:
            asked.append(answer)
    return Schedule(tuple(asked), tuple(waiting))


def urgency(wanted: Certificate, past: Past, now: datetime) -> tuple[bool, datetime]:
    """Return the sort key of an order: the global certificate, then those that end first.

    A certificate that does not exist yet comes after those whose end people are alerted of already.
    """
    bundle = past.bundles.get(wanted.owner)
    there = bundle is not None and not bundle.stand_in
    return wanted.owner != GLOBAL, bundle.not_after if bundle and there else now + WARNED


def placed(step: Issue, past: Past, now: datetime) -> Issue | Waiting:
    """Return an order with the authorities to ask in turn, or its postponement."""
    wanted = step.certificate
    attempt = past.attempts.get(wanted.owner)
    until = waits(attempt, purpose(wanted), now)
    if attempt and until and holds(attempt, wanted, past):
        return Waiting(wanted, until, "failed", after_failures(attempt), attempt.asked)
    asked = candidates(step, past, now)
    able = [each for each in asked if not paused(each, wanted, past, now)]
    if not able:
        return at_fault(wanted, asked, past, now)
    return within_limits(step, able, past, now)


def holds(attempt: Attempt, wanted: Certificate, past: Past) -> bool:
    """Return whether a failure postpones a certificate even if a person asks for it."""
    return attempt.asked or wanted.owner not in past.forced


def candidates(step: Issue, past: Past, now: datetime) -> tuple[Authority, ...]:
    """Return the authorities to ask in turn.

    Others than the first only if it is urgent: nothing serves, the end is near, or the first has
    failed for long. One failed renewal is no reason to change.
    """
    wanted = step.certificate
    bundle = past.bundles.get(wanted.owner)
    first = wanted.authorities[0]
    attempt, trouble = past.attempts.get(wanted.owner), trouble_of(first, past)
    urgent = (
        bundle is None
        or bundle.stand_in
        or now >= warned_from(bundle)
        or (attempt and attempt.purpose == purpose(wanted) and attempt.count >= PATIENCE)
        or (trouble and trouble.count >= PATIENCE)
    )
    return wanted.authorities if urgent else wanted.authorities[:1]


def trouble_of(authority: Authority, past: Past) -> Attempt | None:
    """Return why an authority issued for nobody, None if it is asked in another way now."""
    trouble = past.troubles.get(authority.directory)
    about = past.purposes.get(authority.directory, "")
    return trouble if trouble and trouble.purpose == about else None


def paused(authority: Authority, wanted: Certificate, past: Past, now: datetime) -> datetime | None:
    """Return until when an authority is not asked, None if it may be."""
    trouble = trouble_of(authority, past)
    if trouble is None or not holds(trouble, wanted, past):
        return None
    return trouble.again if trouble.holds(now) else None


def at_fault(wanted: Certificate, asked: Sequence[Authority], past: Past, now: datetime) -> Waiting:
    """Return the postponement until the first authority may be asked again."""
    troubles = (trouble_of(each, past) for each in asked if paused(each, wanted, past, now))
    trouble = min((each for each in troubles if each), key=lambda each: each.again)
    return Waiting(wanted, trouble.again, "authority", authority_paused(trouble), trouble.asked)


def authority_paused(trouble: Attempt) -> Failure:
    """Return why no order is placed at an authority; its name stands in the sentence once."""
    of, why = trouble.of, trouble.failure
    code = "several" if of in why.what else "authority-paused"
    return failure(code, Scope.AUTHORITY, of, words=why.words, parts=(why,))


def within_limits(
    step: Issue, able: Sequence[Authority], past: Past, now: datetime
) -> Issue | Waiting:
    """Return the order if an authority's limits allow it, otherwise its postponement.

    If the first authority is at a limit, the next one is asked only if the certificate ends before.
    """
    wanted = step.certificate
    bundle = past.bundles.get(wanted.owner)
    moments = [free_at(wanted, each, past, now) for each in able]
    free = [each for each, moment in zip(able, moments, strict=True) if moment <= now]
    ends = bundle is not None and bundle.not_after < moments[0]
    if free and (free[0] == able[0] or ends):
        use(wanted, free[0], past, now)
        return replace(step, authorities=tuple(free))
    use(wanted, able[0], past, moments[0])
    reached = failure("limits-reached", Scope.AUTHORITY, able[0].directory)
    return Waiting(wanted, moments[0], "limit", reached)


def free_at(wanted: Certificate, authority: Authority, past: Past, now: datetime) -> datetime:
    """Return from when on an authority's limits allow the order."""
    quota = past.quotas.get(authority.directory)
    return quota.free_at(entry(wanted, authority, past, now), now) if quota else now


def use(wanted: Certificate, authority: Authority, past: Past, at: datetime) -> None:
    """Count the order as placed at a moment."""
    if quota := past.quotas.get(authority.directory):
        quota.take(entry(wanted, authority, past, at), at)


def entry(wanted: Certificate, authority: Authority, past: Past, at: datetime) -> Entry:
    """Return what an order counts for.

    One that replaces a certificate counts for nothing (RFC 9773 section 5; Let's Encrypt exempts it
    from all rate limits), if the authority is known to offer renewal information.
    """
    bundle = past.bundles.get(wanted.owner)
    suggested = bundle is not None and bundle.renewal is not None and bundle.renewal.start
    return Entry(
        at,
        wanted.names,
        renewal=is_renewal(wanted, bundle, authority.directory),
        exempt=bool(suggested)
        and replaced(bundle, wanted, authority) is not None
        and is_exempt(bundle, at),
    )


def replaced(bundle: Bundle | None, wanted: Certificate, authority: Authority) -> str | None:
    """Return the identifier of the certificate that an order replaces (RFC 9773 section 5).

    None if they have no name in common: the authority would refuse the order.
    """
    if bundle is None or bundle.stand_in or bundle.authority != authority.directory:
        return None
    shares = not set(wanted.names).isdisjoint(bundle.names)
    return (bundle.identifier or None) if shares else None


def forecast(scheduled: Schedule, wanted: int) -> Forecast | None:
    """Return when the last certificate that limits postpone is ordered; None if there is none."""
    held = [each.until for each in scheduled.waiting if each.code == "limit"]
    due = len(scheduled.now) + len(scheduled.waiting)
    return Forecast(due, wanted, max(held)) if held else None
