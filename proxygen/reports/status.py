"""status: every certificate, whence it is, how long it lasts, where it is served."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxygen import assemble
from proxygen.assemble import Installation
from proxygen.errors import Coded, words_json
from proxygen.host import processes
from proxygen.model.certificate import GLOBAL, Bundle, Certificate, RenewalInfo, holder_of
from proxygen.model.former import Removal, SetAside
from proxygen.model.layout import Layout, file_stem
from proxygen.model.site import Owner, Site
from proxygen.model.views import serving_bundle
from proxygen.observe.site import observe
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.compare import due_issues, is_local
from proxygen.plan.failures import of_authority, of_owner
from proxygen.plan.observed import Observed
from proxygen.plan.renewal import SUPPLIED, Reason, renew_at, warned_from
from proxygen.plan.schedule import Schedule, forecast_issuance
from proxygen.plan.steps import Forecast, Issue, PostponedOrder
from proxygen.plan.unserved import not_verified, services_showing
from proxygen.reports.by_cause import next_try
from proxygen.stores.outbox import DeliveryFailure, Outbox, mails_wait
from proxygen.texts.bounds import bounded_warnings
from proxygen.texts.names import ModelName, names_with_failure
from proxygen.texts.warnings import site_warnings

if TYPE_CHECKING:
    from proxygen.apply.hooks import Ran


@dataclass(frozen=True, slots=True)
class OwnerLine:
    """What is to be said of one owner."""

    owner: Owner
    own: bool
    bundle: Bundle | None
    services: tuple[str, ...]
    last_failure: RememberedFailure | None
    due: Reason | None = None
    postponed: PostponedOrder | None = None
    hooks: tuple[Ran, ...] = ()
    names_left_out: tuple[ModelName, ...] = ()

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the line as ``--json`` prints it."""
        bundle, wanted = self.bundle, self.owner.certificate
        return {
            "owner": self.owner.key,
            "url": f"https://{self.owner.host}" if self.owner.host else None,
            "names": list(self.owner.names),
            "contact": self.owner.contact,
            "wanted": wanted.issuer if wanted else GLOBAL,
            "authorities": authorities_json(wanted),
            "served_with": served_with(self),
            "certificate": certificate_json(bundle, now) if bundle else None,
            "services": list(self.services),
            "due": {"code": self.due.code, "words": self.due.words} if self.due else None,
            "postponed": self.postponed.as_json() if self.postponed else None,
            "names_left_out": [unready_json(each) for each in self.names_left_out],
            "last_error": error_json(self.last_failure) if self.last_failure else None,
            "hooks": [each.as_json() for each in self.hooks],
        }


def unready_json(each: ModelName) -> dict[str, Any]:
    """Return what is known of a name that cannot be proven; `proxygen names` knows more."""
    since = each.since.isoformat() if each.since else None
    return {"name": each.name, "state": each.state, "since": since, "words": each.words}


def authorities_json(wanted: Certificate | None) -> list[dict[str, Any]]:
    """Return the authorities to ask, the preferred one first."""
    asked = wanted.authorities if wanted else ()
    return [{"directory": each.directory, "profile": each.profile or None} for each in asked]


def certificate_json(bundle: Bundle, now: datetime) -> dict[str, Any]:
    """Return what is known of a certificate that was issued."""
    return {
        "owner": bundle.owner,
        "names": list(bundle.names),
        "source": bundle.issuer,
        "authority": bundle.authority or None,
        "profile": bundle.profile or None,
        "issuer": bundle.issued_by,
        "not_before": bundle.not_before.isoformat(),
        "not_after": bundle.not_after.isoformat(),
        "days_left": (bundle.not_after - now).days,
        "renew_at": renew_at(bundle).isoformat() if is_renewed(bundle) else None,
        "alerts_from": warned_from(bundle).isoformat(),
        "renewal_info": suggestion_json(bundle.renewal) if bundle.renewal else None,
        "replace": bundle.replace,
        "serial": bundle.serial,
        "identifier": bundle.identifier or None,
        "fingerprint": bundle.fingerprint,
        "key_type": bundle.key_type,
        "stand_in": bundle.stand_in,
        "adopted": bundle.adopted.split(),
    }


def suggestion_json(told: RenewalInfo) -> dict[str, Any]:
    """Return what the authority suggested (RFC 9773 section 4.2), and when it is polled again."""
    return {
        "window_start": told.start.isoformat() if told.start else None,
        "window_end": told.end.isoformat() if told.end else None,
        "moment": told.moment.isoformat() if told.moment else None,
        "explanation": told.explanation,
        "next_poll": told.look_at.isoformat(),
    }


def error_json(last_failure: RememberedFailure) -> dict[str, Any]:
    """Return the last failure, how often in a row, and when it is tried again."""
    return {
        "at": last_failure.at.isoformat(),
        "since": last_failure.since.isoformat(),
        "count": last_failure.count,
        "next_attempt": last_failure.again.isoformat(),
        "what": last_failure.failure.what,
        "remedy": last_failure.failure.remedy or None,
        "problem": last_failure.failure.problem,
        "words": last_failure.failure.words,
        "failure": last_failure.failure.as_json(),
    }


def scheduled_of(
    due: tuple[Issue, ...],
    unprovable: tuple[PostponedOrder, ...],
    site: Site,
    installation: Installation,
    observed: Observed,
) -> Schedule:
    """Return which of the due certificates would be asked for now, and which wait.

    *unprovable* wait for names that must be in them.
    """
    if not due:
        return Schedule(waiting=unprovable)
    from proxygen.obtain import schedule_orders

    orders = [step for step in due if not is_local(step)]
    scheduled = schedule_orders(orders, site, installation, observed, ())
    return replace(scheduled, waiting=(*scheduled.waiting, *unprovable))


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How every owner's certificate and every service is at a moment, and what is wrong.

    *failing* are the authorities that cannot be used, *daemon* tells whether the daemon runs.
    """

    at: datetime
    lines: tuple[OwnerLine, ...]
    observed: Observed
    failing: tuple[RememberedFailure, ...]
    forecast: Forecast | None
    set_aside: tuple[SetAside, ...]
    held_back: tuple[Removal, ...]
    warnings: tuple[Coded, ...]
    mail: OutboxState
    daemon: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "at": self.at.isoformat(),
            "owners": [each.as_json(self.at) for each in self.lines],
            "services": [service_words(name, self.observed) for name in self.observed.services],
            "abandoned": list(self.observed.abandoned),
            "gone": list(self.observed.gone),
            "failing_authorities": [{"authority": e.of} | error_json(e) for e in self.failing],
            "forecast": self.forecast.as_json() if self.forecast else None,
            "set_aside": [each.as_json() for each in self.set_aside],
            "held_back": [each.as_json() for each in self.held_back],
            "warnings": [*map(words_json, bounded_warnings(self.warnings))],
            "mail": self.mail.as_json(),
            "daemon": self.daemon,
        }


def status_report(layout: Layout, now: datetime) -> StatusReport:
    """Return how everything is, from what is stored and what runs; nothing is connected to."""
    site = assemble.read_site(layout)
    installation = assemble.build_installation(layout, lambda: now)
    observed = observe(site, installation)
    due, unprovable = due_issues(site, observed, now)
    scheduled = scheduled_of(due, unprovable, site, installation, observed)
    return StatusReport(
        at=now,
        lines=tuple(with_hooks(owner_lines(site, observed, due, scheduled, now), installation)),
        observed=observed,
        failing=tuple(failing_authorities(site, observed, now)),
        forecast=forecast_of(site, scheduled),
        set_aside=site.set_aside,
        held_back=site.held_back,
        warnings=site_warnings(site, observed, now),
        mail=OutboxState.of(installation),
        daemon=daemon_runs(layout),
    )


def forecast_of(site: Site, scheduled: Schedule) -> Forecast | None:
    """Return when all will be there that limits hold up; None where they hold up none."""
    return forecast_issuance(scheduled, sum(bool(each.authorities) for each in site.certificates))


def failing_authorities(site: Site, observed: Observed, now: datetime) -> list[RememberedFailure]:
    """Return the troubles of the authorities that the model names, in its order."""
    found = (of_authority(each, observed, now) for each in site.authorities)
    return [each for each in found if each]


def owner_lines(
    site: Site, observed: Observed, due: Iterable[Issue], scheduled: Schedule, now: datetime
) -> list[OwnerLine]:
    """Return a line for every owner, the global one first."""
    reasons = {each.certificate.owner: each.reason for each in due}
    waiting = {each.owner: each for each in scheduled.waiting}
    names: dict[str, tuple[ModelName, ...]] = {}
    for named in names_with_failure(site, observed, now):
        names[named.owner.key] = (*names.get(named.owner.key, ()), named)
    lines = (owner_line(owner, observed, now) for owner in site.holders)
    return [
        replace(
            each,
            due=reasons.get(each.owner.key),
            postponed=waiting.get(each.owner.key),
            names_left_out=names.get(each.owner.key, ()),
        )
        for each in lines
    ]


def owner_line(owner: Owner, observed: Observed, now: datetime) -> OwnerLine:
    """Return the line of one owner."""
    own = serving_bundle(owner, observed.bundles)
    bundle = own or observed.bundles.get(GLOBAL if owner.key == holder_of(owner.key) else "")
    services = tuple(services_showing(owner, observed))
    last_failure = of_owner(owner.certificate, observed, now) if owner.certificate else None
    return OwnerLine(owner, own is not None, bundle, services, last_failure)


def with_hooks(lines: list[OwnerLine], installation: Installation) -> list[OwnerLine]:
    """Return the lines with how the last runs of hooks went; what is not there is not read."""
    there = {key.rpartition("/")[2] for key in installation.own.keys("hooks/runs")}
    if not there:
        return lines
    from proxygen.apply import hooks

    return [
        replace(each, hooks=hooks.last_runs(installation.own, each.owner.key))
        if file_stem(each.owner.key) in there
        else each
        for each in lines
    ]


@dataclass(frozen=True, slots=True)
class OutboxState:
    """Letters that wait: how many, the *oldest* since when, *again* is when the next is tried.

    *trouble*: why none can be delivered.
    """

    waiting: int
    oldest: datetime | None = None
    again: datetime | None = None
    trouble: DeliveryFailure | None = None

    @classmethod
    def of(cls, installation: Installation) -> OutboxState:
        """Return what waits in the letterbox."""
        outbox = Outbox(installation.store)
        found = outbox.waiting().values()
        if not found:
            return cls(0)
        trouble = outbox.delivery_failure()
        agains = (each.again or each.since for each in found)
        again = trouble.again if trouble else min(agains)
        return cls(len(found), min(each.since for each in found), again, trouble)

    def line(self, now: datetime) -> str:
        """Return it as a line."""
        why = f": {self.trouble.failure.what}" if self.trouble else ""
        then = next_try(self.again or now, now)
        return f"{mails_wait(self.waiting)} for the mail server{why}; {then}"

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "waiting": self.waiting,
            "oldest": self.oldest.isoformat() if self.oldest else None,
            "next_attempt": self.again.isoformat() if self.again else None,
            "last_error": delivery_json(self.trouble) if self.trouble else None,
        }


def delivery_json(trouble: DeliveryFailure) -> dict[str, Any]:
    """Return why no letter can be delivered, as ``--json`` prints it."""
    return {
        "what": trouble.failure.what,
        "count": trouble.count,
        "next_attempt": trouble.again.isoformat(),
        "failure": trouble.failure.as_json(),
    }


def daemon_runs(layout: Layout) -> bool:
    """Return whether the daemon runs.

    It holds this lock, with its process id in it; its program is ours, or Python's.
    """
    programs = ("proxygen", str(Path(sys.executable).resolve()))
    return any(processes.master(layout.watch / "lock", program) for program in programs)


def is_renewed(bundle: Bundle) -> bool:
    """Return whether proxygen renews it; a supplied one is the administrator's."""
    return bundle.issuer not in SUPPLIED


def served_with(line: OwnerLine) -> str:
    """Return whose certificate serves the owner's URL."""
    if line.owner.host is None:
        return "global URL"
    if line.bundle is None:
        return "nothing yet"
    if line.bundle.stand_in:
        return "stand-in"
    return "own" if line.own else GLOBAL


def service_words(name: str, observed: Observed) -> dict[str, Any]:
    """Return what is to be said of one service."""
    state = observed.services[name]
    return {
        "service": name,
        "version": ".".join(map(str, state.facts.version)) if state.facts else None,
        "main": str(state.facts.main) if state.facts else None,
        "running": state.pid is not None,
        "set_up": state.installed.generation is not None,
        "in_the_way": state.in_the_way or None,
        "refused": state.installed.refused.as_json() if state.installed.refused else None,
        "unasked": sorted(state.installed.unasked),
        "not_verified": list(not_verified(state)),
        "error": state.error.as_json() if state.error else None,
    }
