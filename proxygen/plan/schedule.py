"""Which due certificates are ordered now, from which authority, and which are postponed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from proxygen.failure import Failure, Scope, failure
from proxygen.model.certificate import GLOBAL, Authority, Bundle, Certificate
from proxygen.plan.backoff import RememberedFailure, after_failures, order_purpose, postponed_until
from proxygen.plan.quota import Quota, QuotaEntry, is_exempt, is_renewal
from proxygen.plan.renewal import WARNED, warned_from
from proxygen.plan.steps import Forecast, Issue, PostponedOrder

PATIENCE = 3
"""Failures in a row after which a renewal goes to the next authority."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is ordered *now*, in order, and what is *waiting*."""

    now: tuple[Issue, ...] = ()
    waiting: tuple[PostponedOrder, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduleInputs:
    """What a schedule depends on: bundles and failures by owner, failures by authority, quotas.

    *forced* are the owners that a person asked for: earlier failures count only if the authority
    itself named a moment. *purposes* tell, by directory, how an authority is asked: if that
    changed, its earlier failures do not count.
    """

    bundles: Mapping[str, Bundle]
    failures: Mapping[str, RememberedFailure] = field(default_factory=dict)
    authority_failures: Mapping[str, RememberedFailure] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    forced: Collection[str] = ()
    purposes: Mapping[str, str] = field(default_factory=dict)


def schedule(due: Iterable[Issue], past: ScheduleInputs, now: datetime) -> Schedule:
    """Return the orders to place, those that end first at the front, and what is postponed.

    It uses up the quotas of *past*.
    """
    asked: list[Issue] = []
    waiting: list[PostponedOrder] = []
    for step in sorted(due, key=lambda each: urgency(each.certificate, past, now)):
        answer = place_order(step, past, now)
        if isinstance(answer, PostponedOrder):
            waiting.append(answer)
        else:
            asked.append(answer)
    return Schedule(tuple(asked), tuple(waiting))


def urgency(wanted: Certificate, past: ScheduleInputs, now: datetime) -> tuple[bool, datetime]:
    """Return the sort key of an order: the global certificate, then those that end first.

    A certificate that does not exist yet comes after those whose end people are alerted of already.
    """
    bundle = past.bundles.get(wanted.owner)
    there = bundle is not None and not bundle.stand_in
    return wanted.owner != GLOBAL, bundle.not_after if bundle and there else now + WARNED


def place_order(step: Issue, past: ScheduleInputs, now: datetime) -> Issue | PostponedOrder:
    """Return an order with the authorities to ask in turn, or its postponement."""
    wanted = step.certificate
    last_failure = past.failures.get(wanted.owner)
    until = postponed_until(last_failure, order_purpose(wanted), now)
    if last_failure and until and postpones(last_failure, wanted, past):
        return PostponedOrder(
            wanted, until, "failed", after_failures(last_failure), last_failure.asked
        )
    asked = candidate_authorities(step, past, now)
    able = [each for each in asked if not paused_until(each, wanted, past, now)]
    if not able:
        return at_fault(wanted, asked, past, now)
    return within_limits(step, able, past, now)


def postpones(last_failure: RememberedFailure, wanted: Certificate, past: ScheduleInputs) -> bool:
    """Return whether a failure postpones a certificate even if a person asks for it."""
    return last_failure.asked or wanted.owner not in past.forced


def candidate_authorities(
    step: Issue, past: ScheduleInputs, now: datetime
) -> tuple[Authority, ...]:
    """Return the authorities to ask in turn.

    Others than the first only if it is urgent: nothing serves, the end is near, or the first has
    failed for long. One failed renewal is no reason to change.
    """
    wanted = step.certificate
    bundle = past.bundles.get(wanted.owner)
    first = wanted.authorities[0]
    last_failure, authority_failure = (
        past.failures.get(wanted.owner),
        failure_of_authority(first, past),
    )
    urgent = (
        bundle is None
        or bundle.stand_in
        or now >= warned_from(bundle)
        or (
            last_failure
            and last_failure.purpose == order_purpose(wanted)
            and last_failure.count >= PATIENCE
        )
        or (authority_failure and authority_failure.count >= PATIENCE)
    )
    return wanted.authorities if urgent else wanted.authorities[:1]


def failure_of_authority(authority: Authority, past: ScheduleInputs) -> RememberedFailure | None:
    """Return why an authority issued for nobody, None if it is asked in another way now."""
    authority_failure = past.authority_failures.get(authority.directory)
    about = past.purposes.get(authority.directory, "")
    return authority_failure if authority_failure and authority_failure.purpose == about else None


def paused_until(
    authority: Authority, wanted: Certificate, past: ScheduleInputs, now: datetime
) -> datetime | None:
    """Return until when an authority is not asked, None if it may be."""
    authority_failure = failure_of_authority(authority, past)
    if authority_failure is None or not postpones(authority_failure, wanted, past):
        return None
    return authority_failure.again if authority_failure.holds(now) else None


def at_fault(
    wanted: Certificate, asked: Sequence[Authority], past: ScheduleInputs, now: datetime
) -> PostponedOrder:
    """Return the postponement until the first authority may be asked again."""
    troubles = (
        failure_of_authority(each, past) for each in asked if paused_until(each, wanted, past, now)
    )
    authority_failure = min((each for each in troubles if each), key=lambda each: each.again)
    return PostponedOrder(
        wanted,
        authority_failure.again,
        "authority",
        authority_paused(authority_failure),
        authority_failure.asked,
    )


def authority_paused(authority_failure: RememberedFailure) -> Failure:
    """Return why no order is placed at an authority; its name stands in the sentence once."""
    of, why = authority_failure.of, authority_failure.failure
    code = "several" if of in why.what else "authority-paused"
    return failure(code, Scope.AUTHORITY, of, words=why.words, parts=(why,))


def within_limits(
    step: Issue, able: Sequence[Authority], past: ScheduleInputs, now: datetime
) -> Issue | PostponedOrder:
    """Return the order if an authority's limits allow it, otherwise its postponement.

    If the first authority is at a limit, the next one is asked only if the certificate ends before.
    """
    wanted = step.certificate
    bundle = past.bundles.get(wanted.owner)
    moments = [free_at(wanted, each, past, now) for each in able]
    free = [each for each, moment in zip(able, moments, strict=True) if moment <= now]
    ends = bundle is not None and bundle.not_after < moments[0]
    if free and (free[0] == able[0] or ends):
        use_quota(wanted, free[0], past, now)
        return replace(step, authorities=tuple(free))
    use_quota(wanted, able[0], past, moments[0])
    reached = failure("limits-reached", Scope.AUTHORITY, able[0].directory)
    return PostponedOrder(wanted, moments[0], "limit", reached)


def free_at(
    wanted: Certificate, authority: Authority, past: ScheduleInputs, now: datetime
) -> datetime:
    """Return from when on an authority's limits allow the order."""
    quota = past.quotas.get(authority.directory)
    return quota.free_at(quota_entry(wanted, authority, past, now), now) if quota else now


def use_quota(
    wanted: Certificate, authority: Authority, past: ScheduleInputs, at: datetime
) -> None:
    """Count the order as placed at a moment."""
    if quota := past.quotas.get(authority.directory):
        quota.take(quota_entry(wanted, authority, past, at), at)


def quota_entry(
    wanted: Certificate, authority: Authority, past: ScheduleInputs, at: datetime
) -> QuotaEntry:
    """Return what an order counts for.

    One that replaces a certificate counts for nothing (RFC 9773 section 5; Let's Encrypt exempts it
    from all rate limits), if the authority is known to offer renewal information.
    """
    bundle = past.bundles.get(wanted.owner)
    suggested = bundle is not None and bundle.renewal is not None and bundle.renewal.start
    return QuotaEntry(
        at,
        wanted.names,
        renewal=is_renewal(wanted, bundle, authority.directory),
        exempt=bool(suggested)
        and replaced_identifier(bundle, wanted, authority) is not None
        and is_exempt(bundle, at),
    )


def replaced_identifier(
    bundle: Bundle | None, wanted: Certificate, authority: Authority
) -> str | None:
    """Return the identifier of the certificate that an order replaces (RFC 9773 section 5).

    None if they have no name in common: the authority would refuse the order.
    """
    if bundle is None or bundle.stand_in or bundle.authority != authority.directory:
        return None
    shares = not set(wanted.names).isdisjoint(bundle.names)
    return (bundle.identifier or None) if shares else None


def forecast_issuance(scheduled: Schedule, wanted: int) -> Forecast | None:
    """Return when the last certificate that limits postpone is ordered; None if there is none."""
    held = [each.until for each in scheduled.waiting if each.code == "limit"]
    due = len(scheduled.now) + len(scheduled.waiting)
    return Forecast(due, wanted, max(held)) if held else None
