"""What a monitoring system is told: how bad it is, what is wrong, and figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from proxygen.model.certificate import GLOBAL, Bundle, Certificate
from proxygen.model.hosts import readable_name
from proxygen.model.site import Acme, Site
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.culprits import left_out_sentence
from proxygen.plan.failures import of_authority, of_owner
from proxygen.plan.left_out import PartKind
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.renewal import LAST_PART, SUPPLIED, renew_at, warned_from
from proxygen.plan.unserved import owners_not_served
from proxygen.services import WebFacts
from proxygen.texts.alerts import UNPROVEN_FOR, names_not_ready
from proxygen.texts.names import TROUBLED, model_names
from proxygen.texts.warnings import was_not_asked, was_refused, without_addresses

LAST_CALL = 0.4
"""Which part of the time in which people are warned is critical: 2 of 5 days."""
SUPPLIED_WARNED = timedelta(days=14)
"""How long before its end a supplied certificate is told about: somebody has to obtain one."""
GRACE = timedelta(hours=25)
"""How late a renewal may be: a timer looks twice a day."""


MILD = frozenset({PartKind.ADDITIONS, PartKind.CERTIFICATE})
"""What may be left out while requests are answered."""

OURS = frozenset({"not-answered", "acme-challenge"})
"""Findings about a name that are this installation's trouble, whoever the name belongs to."""


class Level(IntEnum):
    """The exit codes of a monitoring plugin (Monitoring Plugins Development Guidelines)."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One thing that is wrong: how bad, in a word for programs, and in words."""

    level: Level
    code: str
    words: str


@dataclass(frozen=True, slots=True)
class ExpiryThresholds:
    """How long before a certificate's end it is told about; None: in proportion to its life."""

    warning: timedelta | None = None
    critical: timedelta | None = None


def health_findings(
    site: Site, observed: Observed, now: datetime, limits: ExpiryThresholds = ExpiryThresholds()
) -> tuple[HealthFinding, ...]:
    """Return all that is wrong, the most serious first."""
    found = (
        *the_global_one(observed),
        *the_global_names(site, observed, now),
        *of_services(site, observed),
        *(
            each
            for wanted in site.certificates
            for each in certificate_findings(wanted, observed, now, limits)
        ),
        *(
            each
            for authority in site.authorities
            for each in failing_authority(authority, observed, now)
        ),
        *abandoned_services(observed),
        *(
            HealthFinding(Level.WARNING, "no-address", words)
            for words in without_addresses(site, observed)
        ),
    )
    return tuple(sorted(found, key=lambda each: -each.level))


def the_global_one(observed: Observed) -> Iterator[HealthFinding]:
    """Yield what is wrong with the global certificate itself: clients refuse a stand-in."""
    bundle = observed.bundles.get(GLOBAL)
    if bundle is None:
        yield HealthFinding(
            Level.CRITICAL, "no-global-certificate", "there is no global certificate yet"
        )
    elif bundle.stand_in:
        yield HealthFinding(
            Level.CRITICAL, "stand-in", "the global certificate is a self-signed stand-in"
        )


def the_global_names(site: Site, observed: Observed, now: datetime) -> Iterator[HealthFinding]:
    """Names of the global URL that cannot be proven for a day: the operator's own DNS is wrong."""
    main = replace(site, domains=())
    for each in model_names(main, observed.bundles, observed.names, now):
        if each.state in TROUBLED or each.is_at_risk:
            since = each.since or now
            if now - since >= UNPROVEN_FOR:
                words = (
                    f"{readable_name(each.name)}: {each.words}; since {since:%Y-%m-%d %H:%M} UTC"
                )
                yield HealthFinding(Level.WARNING, "unproven", f"{GLOBAL}: {each.title}: {words}")


def of_services(site: Site, observed: Observed) -> Iterator[HealthFinding]:
    """A service that does not run, cannot be worked with, or shows something else."""
    for name, state in sorted(observed.services.items()):
        if state.error:
            yield HealthFinding(Level.CRITICAL, "service", f"{name}: {state.error.what}")
        elif state.refusal:
            running = "" if state.pid else f"{name} is not running: "
            remedy = "correct that, then run" if state.blamed else "run"
            words = f"{running}{state.in_the_way}: {remedy} `proxygen apply`"
            yield HealthFinding(Level.CRITICAL, "in-the-way", words)
        elif state.pid is None:
            yield HealthFinding(Level.CRITICAL, "not-running", f"{name} is not running")
        elif state.installed.unserved:
            yield HealthFinding(
                Level.CRITICAL, "not-served", f"{name} does not serve the right certificate"
            )
        elif late := owners_not_served(site, observed, name):
            whose = ", ".join(map(readable_name, late[:3])) + (
                f" and {len(late) - 3} more" if len(late) > 3 else ""
            )
            words = f"{name} does not serve the renewed certificate of {whose}"
            yield HealthFinding(
                Level.CRITICAL, "not-renewed-there", f"{words}: see `proxygen apply`"
            )
        elif state.installed.generation is None:
            yield HealthFinding(
                Level.WARNING, "not-set-up", f"{name} is not yet set up by proxygen"
            )
        if state.error is None:
            yield from noted_of(state)


def noted_of(state: ServiceState) -> Iterator[HealthFinding]:
    """What was noted of a service that may serve all the same, as it had it before."""
    if state.installed.refused:
        yield HealthFinding(Level.WARNING, "refused", was_refused(state))
    if state.installed.unasked:
        yield HealthFinding(Level.WARNING, "unasked", was_not_asked(state))
    if facts := state.facts:
        closed = facts.closed if isinstance(facts, WebFacts) else frozenset()
        for each in state.left_out:
            lost = each.part.name in closed or each.part.kind not in MILD
            level = Level.CRITICAL if lost else Level.WARNING
            yield HealthFinding(level, "left-out", left_out_sentence(each, state.name, facts))


def certificate_findings(
    wanted: Certificate, observed: Observed, now: datetime, limits: ExpiryThresholds
) -> Iterator[HealthFinding]:
    """What is wrong with one certificate.

    Not one that a domain's own DNS holds up: that is no reason to wake the operator, and its
    contact is told.
    """
    bundle, last_failure = observed.bundles.get(wanted.owner), of_owner(wanted, observed, now)
    real = bundle if bundle and not bundle.stand_in else None
    if is_theirs(wanted, observed, last_failure, now):
        return
    if last_failure:
        since, what = f"{last_failure.since:%Y-%m-%d}", last_failure.failure.what
        words = f"{readable_name(wanted.owner)}: not obtained since {since}: {what}"
        yield HealthFinding(Level.WARNING, "not-obtained", words)
    elif real is None and wanted.owner != GLOBAL:
        yield HealthFinding(
            Level.WARNING, "no-certificate", f"{readable_name(wanted.owner)}: no certificate yet"
        )
    if real is None:
        return
    if (level := nearness(real, now, limits)) != Level.OK:
        yield HealthFinding(
            level, "ending", f"{readable_name(wanted.owner)}: {time_left(real, now)}"
        )
    elif real.issuer not in SUPPLIED and now > renew_at(real) + GRACE and not last_failure:
        words = f"{readable_name(wanted.owner)}: renewal due since {renew_at(real):%Y-%m-%d}"
        yield HealthFinding(Level.WARNING, "renewal-due", words)


def is_theirs(
    wanted: Certificate, observed: Observed, last_failure: RememberedFailure | None, now: datetime
) -> bool:
    """Return whether nothing but a domain's own DNS holds its certificate up."""
    held = (
        names_not_ready(wanted, observed, last_failure, None, now) if wanted.owner != GLOBAL else ()
    )
    codes = {each.obstacle.code for each in held if each.obstacle}
    return bool(codes) and not codes & OURS


def nearness(bundle: Bundle, now: datetime, limits: ExpiryThresholds) -> Level:
    """Return how bad it is that the end of a certificate is as near as it is."""
    if now >= min(critical_from(bundle, limits), bundle.not_after):
        return Level.CRITICAL
    return Level.WARNING if now >= warning_from(bundle, limits) else Level.OK


def warning_from(bundle: Bundle, limits: ExpiryThresholds) -> datetime:
    """Return from when on a certificate's end is near."""
    if limits.warning is not None:
        return bundle.not_after - limits.warning
    if bundle.issuer in SUPPLIED:
        return bundle.not_after - min(SUPPLIED_WARNED, bundle.lifetime * LAST_PART)
    return warned_from(bundle)


def critical_from(bundle: Bundle, limits: ExpiryThresholds) -> datetime:
    """Return from when on a certificate's end is an emergency: its last 2 days, or 8 %."""
    if limits.critical is not None:
        return bundle.not_after - limits.critical
    return bundle.not_after - (bundle.not_after - warned_from(bundle)) * LAST_CALL


def time_left(bundle: Bundle, now: datetime) -> str:
    """Return in words how long a certificate lasts."""
    left = bundle.not_after - now
    if left <= timedelta(0):
        return f"expired on {bundle.not_after:%Y-%m-%d %H:%M} UTC"
    if left < timedelta(days=2):
        return f"expires in {int(left.total_seconds() // 3600)} hours"
    return f"expires in {left.days} days"


def failing_authority(
    authority: Acme, observed: Observed, now: datetime
) -> Iterator[HealthFinding]:
    """Yield that an authority cannot be used at present."""
    if authority_failure := of_authority(authority, observed, now):
        since = f"{authority_failure.since:%Y-%m-%d %H:%M} UTC"
        words = (
            f"{authority.directory} has issued nothing since {since}: "
            f"{authority_failure.failure.what}"
        )
        yield HealthFinding(Level.WARNING, "authority", words)


def abandoned_services(observed: Observed) -> Iterator[HealthFinding]:
    """Yield the services that left the model or this host: nothing renews their certificates."""
    for name in observed.gone:
        words = f"{name} was set up by proxygen, but is not on this host any more"
        yield HealthFinding(Level.WARNING, "gone", f"{words}: run `proxygen uninstall {name}`")
    for name in observed.abandoned:
        yield HealthFinding(
            Level.WARNING,
            "abandoned",
            f"{name} is no longer in `services`; its certificate will expire",
        )


def first_to_end(site: Site, observed: Observed) -> Bundle | None:
    """Return the certificate in use that ends first."""
    bundles = [observed.bundles.get(each.owner) for each in site.certificates]
    return min((each for each in bundles if each), key=lambda each: each.not_after, default=None)
