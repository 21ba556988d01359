"""Alerts: what a person should know now: certificates about to expire, and what does not work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from proxygen.errors import IssueFailed, NotServed, ProxygenError, ServiceError
from proxygen.failure import Failure
from proxygen.model.certificate import GLOBAL, Bundle, Certificate, holder_of
from proxygen.model.site import Owner, Site
from proxygen.names.states import NameState, State, not_ready
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.failures import FIRST_YEAR, LAST_YEAR, of_authority, of_owner
from proxygen.plan.observed import Observed
from proxygen.plan.renewal import SUPPLIED, warned_from
from proxygen.plan.selection import MOVED
from proxygen.plan.steps import PostponedOrder
from proxygen.plan.unserved import owners_not_served
from proxygen.texts.names import ModelName
from proxygen.texts.names import of_owner as names_of

THRESHOLDS = tuple(timedelta(days=days) for days in (60, 30, 14, 7))
"""How long before a supplied certificate expires there is an alert; after the last one, daily."""

FIRST_PART = {"file": 0.5, "hook": 0.25}
"""The part of a lifetime that may be left at the first alert. Other clients renew at a third."""

WRONG_FOR = timedelta(days=1)
"""How long a model may have mistakes, while its last good version is used, before an alert."""

MISSING_FOR = timedelta(days=1)
"""How long a first certificate may be missing before an alert."""

UNPROVEN_FOR = timedelta(days=1)
"""How long a name may be left out of a certificate before an alert."""

GIVEN_UP = timedelta(days=28)
"""After this, alerts about the wrong DNS of a domain end."""

DAILY, WEEKLY, ONCE = 1, 7, 0
"""After how many days an alert is mailed again."""

CERTIFICATE = "certificate"
"""The kind under which alerts about an owner's certificate are remembered."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know as long as it lasts.

    *kind* is ``renewal``, ``supplied``, ``missing`` (never obtained), ``names`` (left out of a
    certificate), ``moved`` (names that it was renewed without), ``unserved``, ``store``,
    ``model``, ``aside`` (included files are), ``held`` (a removal is held back) or ``terms``;
    *of* is the owner, service, or directory. Another *mark* makes it
    news again; that of ``moved`` has a word for each name, and only a new word is news. *every*:
    after how many days it is mailed again, ONCE for never; *at_once*: it does not wait for the next
    day. *last_failure* is the last failure, of the whole authority where *everybody* is set;
    *again* is when the next attempt comes, and *limited* tells that it waits for a rate limit.
    *failure* is what went wrong where it is no certificate's matter. *name_states* are the names
    that it is about, or that hold a certificate up.
    """

    kind: str
    of: str
    mark: str = ""
    every: int = DAILY
    at_once: bool = False
    owner: Owner | None = None
    bundle: Bundle | None = None
    last_failure: RememberedFailure | None = None
    everybody: bool = False
    again: datetime | None = None
    limited: bool = False
    since: datetime | None = None
    words: str = ""
    failure: Failure | None = None
    name_states: tuple[NameState, ...] = ()

    @property
    def key(self) -> str:
        """By what it is remembered; an owner has one certificate, wherever it comes from."""
        return f"{CERTIFICATE if self.owner and not self.of_names else self.kind}:{self.of}"

    @property
    def of_names(self) -> bool:
        """Whether it is about names that a certificate in use does not cover."""
        return self.kind in OF_NAMES

    @property
    def is_theirs(self) -> bool:
        """Whether it goes to the domain's contact, and to the operator only if there is none.

        Hosters have many customers that are half set up.
        """
        return self.of_names or (self.kind == "missing" and bool(self.name_states))

    @property
    def daily(self) -> bool:
        """Whether it is mailed every day."""
        return self.every == DAILY

    @property
    def grave(self) -> tuple[int, datetime]:
        """Its place among others: what does not work at all, what expires first, mere notes."""
        if self.bundle:
            return 1, self.bundle.not_after
        place = {ONCE: 3, WEEKLY: 2}.get(self.every, 0)
        return place, EARLIEST


EARLIEST = datetime.min.replace(tzinfo=UTC)
OF_NAMES = frozenset({"names", "moved"})


@dataclass(frozen=True, slots=True)
class WrongModel:
    """What is wrong with the model, and *since* when; *words* are its messages, in lines."""

    since: datetime
    words: str


@dataclass(frozen=True, slots=True)
class RoundResult:
    """A round, as far as alerts depend on it.

    *observed* is None for one that came to nothing. *unwritable* tells why nothing can be
    stored, *wrong* what is wrong with the model on the disk, *terms* the new terms of service
    (URL) of authorities by directory. *aside* are included files that are set aside, *held* is a
    removal that is held back.
    """

    observed: Observed | None
    failures: tuple[tuple[str, ProxygenError], ...] = ()
    waiting: tuple[PostponedOrder, ...] = ()
    unwritable: Failure | None = None
    wrong: WrongModel | None = None
    terms: Mapping[str, str] = field(default_factory=dict)
    aside: WrongModel | None = None
    held: WrongModel | None = None


def alerts(site: Site, result: RoundResult, now: datetime) -> tuple[Alert, ...]:
    """Return all alerts, the most serious first."""
    found = [
        *unwritable_store(result),
        *wrong_model(result, now),
        *as_it_was(result),
        *new_terms(result),
    ]
    if result.observed:
        found += unserved_places(site, result, result.observed)
        found += missing_certificates(site, result, result.observed, now)
        found += ending_certificates(site, result, result.observed, now)
        found += left_out(site, result.observed, now)
    return tuple(sorted(found, key=lambda each: each.grave))


def unwritable_store(result: RoundResult) -> Iterator[Alert]:
    """Yield that nothing can be stored, so that nothing can be renewed."""
    if result.unwritable:
        yield Alert("store", "", at_once=True, failure=result.unwritable)


def wrong_model(result: RoundResult, now: datetime) -> Iterator[Alert]:
    """Yield that the model has had mistakes for so long; no change of it takes effect."""
    if result.wrong and now - result.wrong.since >= WRONG_FOR:
        since, words = result.wrong.since, result.wrong.words
        yield Alert("model", "", at_once=True, since=since, words=words)


def as_it_was(result: RoundResult) -> Iterator[Alert]:
    """Yield which domains stay as they were: by a mistake, or until a person confirms."""
    for kind, told in (("held", result.held), ("aside", result.aside)):
        if told:
            yield Alert(kind, "", at_once=True, since=told.since, words=told.words)


def new_terms(result: RoundResult) -> Iterator[Alert]:
    """Yield the authorities with new terms of service."""
    for directory, url in result.terms.items():
        yield Alert("terms", directory, mark=url, every=ONCE, words=url)


def unserved_places(site: Site, result: RoundResult, observed: Observed) -> Iterator[Alert]:
    """Yield the services from which clients do not receive the right certificate.

    A service presents another one, or refused the renewed one; or it cannot be worked with, which
    is not mailed before the next day, since it may pass.
    """
    failed = dict(result.failures)
    for name, state in observed.services.items():
        error = failed.get(name)
        why = error.failure if error else None
        refused = isinstance(error, ServiceError) and owners_not_served(site, observed, name)
        if isinstance(error, NotServed) or state.installed.unserved or refused:
            yield Alert("unserved", name, at_once=True, failure=why)
        elif state.error:
            yield Alert("unserved", name, failure=state.error.failure)


def ending_certificates(
    site: Site, result: RoundResult, observed: Observed, now: datetime
) -> Iterator[Alert]:
    """Yield the certificates that expire soon, and those that have expired."""
    waiting, failed = postponed_and_failed(result)
    for owner, wanted, bundle in stored_certificates(site, observed):
        if wanted.issuer in SUPPLIED:
            if passed := thresholds_passed(wanted, bundle, now):
                why = of_owner(wanted, observed, now)
                if why is None and (error := failed.get(owner.key)):
                    why = failure_of_round(owner.key, error, now)
                yield supplied_alert(owner, bundle, passed, why, now)
        elif now >= warned_from(bundle):
            last_failure, everybody = failure_of(wanted, site, observed, failed.get(owner.key), now)
            postponed = waiting.get(owner.key)
            held = names_not_ready(wanted, observed, last_failure, postponed, now)
            yield Alert(
                "renewal",
                owner.key,
                every=repeat_after(wanted, held, bundle.not_after, now),
                at_once=ends_today(bundle, now),
                owner=owner,
                bundle=bundle,
                last_failure=None if held else last_failure,
                everybody=everybody and not held,
                again=next_order(last_failure, postponed, now),
                limited=postponed is not None and postponed.code == "limit",
                name_states=held,
            )


def names_not_ready(
    wanted: Certificate,
    observed: Observed,
    last_failure: RememberedFailure | None,
    postponed: PostponedOrder | None,
    now: datetime,
) -> tuple[NameState, ...]:
    """Return the names because of whose DNS a certificate cannot be obtained, if that is why.

    The name of the URL, or any with ``strict_names``. A failure after the last check of a name, or
    another reason to postpone the order, is nearer to the cause.
    """
    if postponed is not None and postponed.code not in ("names", "failed"):
        return ()
    known = observed.names.get(wanted.owner) if wanted.issuer == "acme" else None
    missing = tuple(not_ready(wanted, known, now)) if known else ()
    needed = missing if wanted.strict else [each for each in missing if each == wanted.names[0]]
    found = tuple(known[name] for name in needed if known[name].obstacle) if known else ()
    seen = [each.evidence.at for each in found if each.evidence]
    return found if found and (last_failure is None or max(seen) >= last_failure.at) else ()


def repeat_after(
    wanted: Certificate, held: tuple[NameState, ...], ended: datetime, now: datetime
) -> int:
    """Return after how many days it is mailed again that a certificate expires, or has expired.

    Daily. Where a domain's URL has pointed elsewhere for days, that is on purpose: weekly once it
    has expired, and after some weeks no more.
    """
    since = min((each.bad_since or now for each in held), default=now)
    if holder_of(wanted.owner) == GLOBAL or not held or now < ended or now - since < MOVED:
        return DAILY
    return WEEKLY if now - ended < GIVEN_UP else ONCE


def left_out(site: Site, observed: Observed, now: datetime) -> Iterator[Alert]:
    """Yield the names that a certificate in use does not cover: weekly, for some weeks.

    Once for those without which it was renewed, as they had pointed elsewhere for days.
    """
    for owner, wanted, bundle in stored_certificates(site, observed):
        known = observed.names.get(owner.key) if wanted.issuer == "acme" else None
        if not known:
            continue
        found = [*names_of(owner, bundle, known, now)]
        late = tuple(each.name_state for each in found if each.name_state and is_late(each, now))
        if late:
            since = [each.since() or now for each in late]
            fresh = holder_of(owner.key) == GLOBAL or now - max(since) < GIVEN_UP
            every = WEEKLY if fresh else ONCE
            yield Alert(
                "names", owner.key, every=every, owner=owner, since=min(since), name_states=late
            )
        gone = tuple(
            each.name_state for each in found if each.name_state and each.state is State.MOVED
        )
        if gone:
            yield Alert(
                "moved",
                owner.key,
                mark=" ".join(map(word_of_name, gone)),
                every=ONCE,
                owner=owner,
                name_states=gone,
            )


def is_late(each: ModelName, now: datetime) -> bool:
    """Return whether a name has been left out for so long that there is an alert."""
    if each.state not in (State.WAITING, State.FAILED) or each.name_state is None:
        return False
    return now - (each.name_state.since() or now) >= UNPROVEN_FOR


def word_of_name(gone: NameState) -> str:
    """Return a short digest of a name and of when it was left out."""
    return hashlib.sha256(f"{gone.name} {gone.dropped}".encode()).hexdigest()[:8]


def postponed_and_failed(
    result: RoundResult,
) -> tuple[dict[str, PostponedOrder], dict[str, IssueFailed]]:
    """Return by owner which orders are postponed, and which failed in this round."""
    failed = {of: error for of, error in result.failures if isinstance(error, IssueFailed)}
    return {each.owner: each for each in result.waiting}, failed


def stored_certificates(
    site: Site, observed: Observed
) -> Iterator[tuple[Owner, Certificate, Bundle]]:
    """Yield each owner with a certificate; stand-ins and damaged facts do not count."""
    for owner in site.holders:
        bundle = observed.bundles.get(owner.key)
        if owner.certificate and bundle and not bundle.stand_in and is_sound(bundle):
            yield owner, owner.certificate, bundle


def is_sound(bundle: Bundle) -> bool:
    """Return whether the dates of a certificate are plausible."""
    return FIRST_YEAR <= bundle.not_before.year <= bundle.not_after.year <= LAST_YEAR


def missing_certificates(
    site: Site, result: RoundResult, observed: Observed, now: datetime
) -> Iterator[Alert]:
    """Yield the certificates that were never obtained, after attempts for a day.

    The global one daily, since clients refuse the stand-in; others weekly, and after some weeks
    no more where a domain's own DNS is why. Not those that another client (``hook``) obtains, or
    that only wait for a rate limit.
    """
    waiting, failed = postponed_and_failed(result)
    for owner, wanted, bundle in absent_certificates(site, observed):
        last_failure, everybody = failure_of(wanted, site, observed, failed.get(owner.key), now)
        postponed = waiting.get(owner.key)
        held = names_not_ready(wanted, observed, last_failure, postponed, now)
        since = missing_since(last_failure, bundle, held)
        limited = postponed is not None and postponed.code == "limit"
        if since is None or now - since < MISSING_FOR or (limited and last_failure is None):
            continue
        given_up = bool(held) and now - since >= GIVEN_UP
        yield Alert(
            "missing",
            owner.key,
            mark="missing",
            every=DAILY if holder_of(owner.key) == GLOBAL else ONCE if given_up else WEEKLY,
            owner=owner,
            last_failure=None if held else last_failure,
            everybody=everybody and not held,
            name_states=held,
            again=next_order(last_failure, postponed, now),
            limited=limited,
            since=since,
        )


def absent_certificates(
    site: Site, observed: Observed
) -> Iterator[tuple[Owner, Certificate, Bundle | None]]:
    """Yield each owner whose certificate was not obtained yet, with its stand-in."""
    for owner in site.holders:
        bundle = observed.bundles.get(owner.key)
        if owner.certificate and (bundle is None or (bundle.stand_in and is_sound(bundle))):
            yield owner, owner.certificate, bundle


def missing_since(
    last_failure: RememberedFailure | None, bundle: Bundle | None, held: tuple[NameState, ...] = ()
) -> datetime | None:
    """Return since when a certificate is missing.

    Since its stand-in, unless that was there before us, the first failure, or the first look at
    the names that hold it up.
    """
    moments = [bundle.not_before] if bundle and not bundle.adopted else []
    moments += [each.bad_since for each in held if each.bad_since]
    return min([*moments, *([last_failure.since] if last_failure else [])], default=None)


def supplied_alert(
    owner: Owner, bundle: Bundle, passed: int, last_failure: RememberedFailure | None, now: datetime
) -> Alert:
    """Return the alert about a supplied certificate that is past that many thresholds.

    *last_failure* is why what is supplied by now could not be used, if so.
    """
    return Alert(
        "supplied",
        owner.key,
        mark=f"{bundle.digest[:16]} {passed}",
        every=DAILY if passed == len(THRESHOLDS) else ONCE,
        at_once=ends_today(bundle, now),
        owner=owner,
        bundle=bundle,
        last_failure=last_failure,
    )


def ends_today(bundle: Bundle, now: datetime) -> bool:
    """Return whether the mail of the next day would come too late; *now* is in the host's time."""
    return now < bundle.not_after <= next_day(now)


def next_day(now: datetime) -> datetime:
    """Return the next midnight of the time zone that *now* is in."""
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def thresholds(wanted: Certificate, bundle: Bundle) -> Iterator[datetime]:
    """Yield the moments from which on there is an alert about a supplied certificate, in order."""
    most = bundle.lifetime * FIRST_PART.get(wanted.issuer, 1)
    for each in THRESHOLDS:
        yield bundle.not_after - min(each, most)


def thresholds_passed(wanted: Certificate, bundle: Bundle, now: datetime) -> int:
    """Return how many thresholds a supplied certificate is past."""
    if bundle.not_after - now > THRESHOLDS[0]:
        return 0
    return sum(now >= each for each in thresholds(wanted, bundle))


def failure_of(
    wanted: Certificate, site: Site, observed: Observed, error: IssueFailed | None, now: datetime
) -> tuple[RememberedFailure | None, bool]:
    """Return why a certificate is not obtained, and whether the whole authority is why.

    The later one counts of its own failure and that of its authority, the preferred one: others
    are asked only where that cannot issue. What could not be stored is known from this round
    alone.
    """
    own = of_owner(wanted, observed, now)
    preferred = wanted.authorities[0].directory if wanted.authorities else ""
    asked = next((each for each in site.authorities if each.directory == preferred), None)
    authority_failure = of_authority(asked, observed, now) if asked else None
    if authority_failure and (own is None or own.at < authority_failure.at):
        return authority_failure, True
    if own is None and error:
        return failure_of_round(wanted.owner, error, now), False
    return own, False


def failure_of_round(owner: str, error: IssueFailed, now: datetime) -> RememberedFailure:
    """Return what failed just now, where nothing more is known."""
    return RememberedFailure(
        of=owner,
        at=now,
        since=now,
        count=1,
        again=error.failure.retry_at or now,
        failure=error.failure,
    )


def next_order(
    last_failure: RememberedFailure | None, postponed: PostponedOrder | None, now: datetime
) -> datetime | None:
    """Return when it is tried again, None for soon."""
    again = postponed.until if postponed else last_failure.again if last_failure else None
    return again if again and again > now else None


def next_alert(site: Site, observed: Observed, now: datetime) -> datetime | None:
    """Return when the next alert about an expiring certificate begins.

    Or when the next one has been missing, or a name left out, for so long.
    """
    coming: datetime | None = None
    for _, wanted, bundle in stored_certificates(site, observed):
        if coming and bundle.not_after - THRESHOLDS[0] >= coming:
            continue
        if wanted.issuer in SUPPLIED:
            moments = [each for each in thresholds(wanted, bundle) if each > now]
        else:
            moments = [each for each in (warned_from(bundle),) if each > now]
        coming = min([*moments, *([coming] if coming else [])], default=None)
    for _, wanted, stand_in in absent_certificates(site, observed):
        last_failure, _ = failure_of(wanted, site, observed, None, now)
        since = missing_since(
            last_failure, stand_in, names_not_ready(wanted, observed, last_failure, None, now)
        )
        if since and now < since + MISSING_FOR and (not coming or since + MISSING_FOR < coming):
            coming = since + MISSING_FOR
    every = (each for names in observed.names.values() for each in names.values())
    late = (each.since() for each in every if each.obstacle or each.refusal)
    moments = [each + UNPROVEN_FOR for each in late if each and each + UNPROVEN_FOR > now]
    return min([*moments, *([coming] if coming else [])], default=None)
