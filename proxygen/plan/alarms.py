"""What is worth a message now: certificates near their end, and what does not work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from proxygen.errors import IssueFailed, NotServed, ProxygenError, ServiceError
from proxygen.model.certificate import Bundle, Certificate
from proxygen.model.site import Owner, Site
from proxygen.plan.backoff import Attempt
from proxygen.plan.observed import Observed
from proxygen.plan.renewal import SUPPLIED, warned_from
from proxygen.plan.steps import Waiting
from proxygen.plan.unserved import owners_not_served

THRESHOLDS = tuple(timedelta(days=days) for days in (60, 30, 14, 7))
"""How long before its end people are told of a supplied certificate; after the last, daily."""

FIRST_PART = {"file": 0.5, "hook": 0.25}
"""The part of a life that may be left at the first warning. Other clients renew at a third."""

WRONG_FOR = timedelta(days=1)
"""How long a model may be wrong, while the last good one goes on, before people are told."""

CERTIFICATE = "certificate"
"""How alerts about an owner's certificate are remembered."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody should know, as long as it holds.

    *kind* is ``renewal``, ``supplied``, ``unserved``, ``store``, ``model`` or ``terms``; *of* is
    the owner, service, or directory. Another *mark* makes it news again. *daily*: it is said
    every day, *at_once*: it does not wait for the next day. *attempt* is the last failure, of
    the whole authority where *everybody* is set; *again* is when the next attempt comes, and
    *limited* tells that it waits for a rate limit.
    """

    kind: str
    of: str
    mark: str = ""
    daily: bool = True
    at_once: bool = False
    owner: Owner | None = None
    bundle: Bundle | None = None
    attempt: Attempt | None = None
    everybody: bool = False
    again: datetime | None = None
    limited: bool = False
    since: datetime | None = None
    words: str = ""

    @property
    def key(self) -> str:
        """What it is remembered by; an owner has one certificate, wherever it comes from."""
        return f"{CERTIFICATE if self.owner else self.kind}:{self.of}"

    @property
    def grave(self) -> tuple[int, datetime]:
        """Its place among others: what does not work at all, what ends first, mere notes."""
        if self.bundle:
            return 1, self.bundle.not_after
        return 2 if self.kind == "terms" else 0, EARLIEST


EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A model that is wrong *since* then, while the last good one goes on; *words* tell how."""

    since: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A round, as far as people are told of it.

    *observed* is None for one that came to nothing. *unwritable* tells why nothing can be
    stored, *wrong* what is wrong with the model on the disk, *terms* the new terms of service
    (URL) of authorities by directory.
    """

    observed: Observed | None
    failures: tuple[tuple[str, ProxygenError], ...] = ()
    waiting: tuple[Waiting, ...] = ()
    unwritable: str = ""
    wrong: Wrong | None = None
    terms: Mapping[str, str] = field(default_factory=dict)


def alerts(site: Site, seen: Seen, now: datetime) -> tuple[Alert, ...]:
    """Return all that is worth a message, the gravest first."""
    found = [*unwritable(seen), *wrong(seen, now), *terms(seen)]
    if seen.observed:
        found += [*unserved(site, seen, seen.observed), *ending(site, seen, seen.observed, now)]
    return tuple(sorted(found, key=lambda each: each.grave))


def unwritable(seen: Seen) -> Iterator[Alert]:
    """Nothing can be stored, so nothing can be renewed."""
    if seen.unwritable:
        yield Alert("store", "", at_once=True, words=seen.unwritable)


def wrong(seen: Seen, now: datetime) -> Iterator[Alert]:
    """The model is wrong for long; nothing that was changed in it takes effect."""
    if seen.wrong and now - seen.wrong.since >= WRONG_FOR:
        since, words = seen.wrong.since, seen.wrong.words
        yield Alert("model", "", at_once=True, since=since, words=words)


def terms(seen: Seen) -> Iterator[Alert]:
    """An authority has new terms of service: worth a note, once."""
    for directory, url in seen.terms.items():
        yield Alert("terms", directory, mark=url, daily=False, words=url)


def unserved(site: Site, seen: Seen, observed: Observed) -> Iterator[Alert]:
    """A client does not see what is wanted, a renewed certificate for instance.

    Be it that a service shows something else, that it refused to be given what was renewed,
    or that it cannot be worked with, which may pass until the day is over.
    """
    failed = dict(seen.failures)
    for name, state in observed.services.items():
        error = failed.get(name)
        words = f"{error.what}\n{error.words}\n{error.remedy}" if error else ""
        refused = isinstance(error, ServiceError) and owners_not_served(site, observed, name)
        if isinstance(error, NotServed) or state.installed.unserved or refused:
            yield Alert("unserved", name, at_once=True, words=words)
        elif state.error:
            yield Alert("unserved", name, words=str(state.error))


def ending(site: Site, seen: Seen, observed: Observed, now: datetime) -> Iterator[Alert]:
    """Certificates near their end, and those that have ended."""
    waiting = {each.owner: each for each in seen.waiting}
    failed = {of: error for of, error in seen.failures if isinstance(error, IssueFailed)}
    for owner, wanted, bundle in stored(site, observed):
        if wanted.issuer in SUPPLIED:
            if passed := stage(wanted, bundle, now):
                yield supplied(owner, bundle, passed, failed.get(owner.key), now)
        elif now >= warned_from(bundle):
            attempt, everybody = failure(wanted, observed, failed.get(owner.key), now)
            wait = waiting.get(owner.key)
            yield Alert(
                "renewal",
                owner.key,
                at_once=ends_today(bundle, now),
                owner=owner,
                bundle=bundle,
                attempt=attempt,
                everybody=everybody,
                again=next_attempt(attempt, wait, now),
                limited=wait is not None and wait.code == "limit",
            )


def stored(site: Site, observed: Observed) -> Iterator[tuple[Owner, Certificate, Bundle]]:
    """Yield each owner whose certificate is there, a stand-in apart."""
    for owner in site.owners:
        bundle = observed.bundles.get(owner.key)
        if owner.certificate and bundle and not bundle.stand_in:
            yield owner, owner.certificate, bundle


def supplied(
    owner: Owner, bundle: Bundle, passed: int, error: IssueFailed | None, now: datetime
) -> Alert:
    """Return the alert of a supplied certificate that is past that many thresholds."""
    return Alert(
        "supplied",
        owner.key,
        mark=f"{bundle.digest[:16]} {passed}",
        daily=passed == len(THRESHOLDS),
        at_once=ends_today(bundle, now),
        owner=owner,
        bundle=bundle,
        attempt=attempt_of(owner.key, error, now) if error else None,
    )


def ends_today(bundle: Bundle, now: datetime) -> bool:
    """Return whether the next day's message would come too late; *now* is in the host's time."""
    return now < bundle.not_after <= next_day(now)


def next_day(now: datetime) -> datetime:
    """Return the next midnight of the time zone that *now* is in."""
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def thresholds(wanted: Certificate, bundle: Bundle) -> Iterator[datetime]:
    """Yield from when on people are told of a supplied certificate, the first one first."""
    most = bundle.lifetime * FIRST_PART.get(wanted.issuer, 1)
    for each in THRESHOLDS:
        yield bundle.not_after - min(each, most)


def stage(wanted: Certificate, bundle: Bundle, now: datetime) -> int:
    """Return how many thresholds a supplied certificate is past."""
    if bundle.not_after - now > THRESHOLDS[0]:
        return 0
    return sum(now >= each for each in thresholds(wanted, bundle))


def failure(
    wanted: Certificate, observed: Observed, error: IssueFailed | None, now: datetime
) -> tuple[Attempt | None, bool]:
    """Return why a certificate is not renewed, and whether that is everybody's trouble.

    The later one counts of its own failure and its authority's; what could not be stored is
    known from this round alone.
    """
    own = observed.attempts.get(wanted.owner)
    asked = [observed.troubles.get(each.directory) for each in wanted.authorities]
    trouble = next((each for each in asked if each), None)
    if trouble and (own is None or own.at < trouble.at):
        return trouble, True
    if own is None and error:
        return attempt_of(wanted.owner, error, now), False
    return own, False


def attempt_of(owner: str, error: IssueFailed, now: datetime) -> Attempt:
    """Return what failed just now, where nothing more is known."""
    return Attempt(
        of=owner,
        at=now,
        since=now,
        count=1,
        again=error.retry_at or now,
        what=error.what,
        words=error.words,
        remedy=error.remedy,
        problem=error.problem,
    )


def next_attempt(attempt: Attempt | None, wait: Waiting | None, now: datetime) -> datetime | None:
    """Return when it is tried again, None for soon."""
    again = wait.until if wait else attempt.again if attempt else None
    return again if again and again > now else None


def upcoming(site: Site, observed: Observed, now: datetime) -> datetime | None:
    """Return when the next certificate comes so near its end that people are told."""
    coming: datetime | None = None
    for _, wanted, bundle in stored(site, observed):
        if coming and bundle.not_after - THRESHOLDS[0] >= coming:
            continue
        if wanted.issuer in SUPPLIED:
            moments = [each for each in thresholds(wanted, bundle) if each > now]
        else:
            moments = [each for each in (warned_from(bundle),) if each > now]
        coming = min([*moments, *([coming] if coming else [])], default=None)
    return coming
