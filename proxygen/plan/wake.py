"""When the calendar next wants a round."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from proxygen.model.certificate import Bundle, Certificate
from proxygen.model.hosts import is_wildcard
from proxygen.model.site import Site
from proxygen.names.states import check_due, not_ready, skips_preflight, unanswered_names
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.compare import NOTHING, selection_of
from proxygen.plan.observed import Observed
from proxygen.plan.renewal import SUPPLIED, renew_at
from proxygen.plan.selection import UNANSWERED
from proxygen.plan.steps import PostponedOrder

LONGEST = timedelta(days=1)

SILENT = timedelta(hours=1)
"""After what time a web server is asked again about a name that it did not answer for."""


def wake_at(
    site: Site, observed: Observed, waiting: Collection[PostponedOrder], now: datetime
) -> datetime:
    """Return when something is next due, at most a day from *now*.

    That is the renewal of a certificate, the poll of its renewal information when the authority
    asked for it, the next check of a name, and the end of a pause. Never before *now*, which is the
    answer while something is due that was not tried.
    """
    held = {each.owner: each.until for each in waiting}
    moments = [now + LONGEST]
    for wanted in site.certificates:
        if wanted.issuer not in SUPPLIED:
            moments += moments_of(wanted, observed, held, now)
        elif (last_failure := observed.failures.get(wanted.owner)) and last_failure.holds(now):
            moments.append(last_failure.again)  # files may become right by the calendar alone
    return max(now, min(moments))


def moments_of(
    wanted: Certificate, observed: Observed, held: Mapping[str, datetime], now: datetime
) -> Iterator[datetime]:
    """Yield the moments at which something is due for one certificate."""
    bundle, last_failure = observed.bundles.get(wanted.owner), observed.failures.get(wanted.owner)
    if wanted.owner in held:
        yield held[wanted.owner]
    else:
        selection = selection_of(wanted, observed, now)
        if selection and selection.wanted:
            yield tried_again(selection.wanted, last_failure, observed, now)
        elif selection:
            yield selection.joins_at or selection.until or now
        elif bundle:
            yield renew_at(bundle)
            yield from poll_moments(bundle, observed.poll_failures.get(bundle.authority), now)
    yield from name_moments(wanted, observed, now)
    for name in unanswered_names(wanted, observed.answers):
        if wanted.owner in held or bundle is None or not bundle.covers(name):
            told = observed.answers and name in observed.answers.silent
            yield now + (SILENT if told else UNANSWERED)


def waiting_names(site: Site, observed: Observed, now: datetime) -> dict[str, str]:
    """Return the names that wait to be proven, with their owners; no certificate has them yet.

    A check may find them ready as soon as the DNS was changed. Nobody asks for a wildcard.
    """
    found = {}
    for wanted in site.certificates:
        known, bundle = observed.names.get(wanted.owner), observed.bundles.get(wanted.owner)
        for name in not_ready(wanted, known, now) if known else ():
            issued = bundle is not None and not bundle.stand_in and bundle.covers(name)
            if not (issued or is_wildcard(name) or skips_preflight(wanted, name)):
                found[name] = wanted.owner
    return found


def name_moments(wanted: Certificate, observed: Observed, now: datetime) -> Iterator[datetime]:
    """Yield when names are checked or ordered next that cannot be proven now."""
    known = observed.names.get(wanted.owner, NOTHING)
    for name in not_ready(wanted, known, now) if known else ():
        refusal = known[name].refusal
        if not skips_preflight(wanted, name):
            yield check_due(known[name], now)
        elif refusal:
            yield refusal.again


def tried_again(
    wanted: Certificate, last_failure: RememberedFailure | None, observed: Observed, now: datetime
) -> datetime:
    """Return when something that failed just now is tried again."""
    troubles = (observed.authority_failures.get(each.directory) for each in wanted.authorities)
    moments = [each.again for each in (last_failure, *troubles) if each and each.holds(now)]
    return min(moments, default=now)


def poll_moments(
    bundle: Bundle, held: RememberedFailure | None, now: datetime
) -> Iterator[datetime]:
    """Yield when to poll renewal information next, if there is any.

    Not before the authority may be asked again, if it could not be asked or offers none.
    """
    if bundle.renewal:
        held_until = held.again if held and held.holds(now) else now
        yield max(bundle.renewal.look_at, held_until)
