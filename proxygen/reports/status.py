"""status: every certificate, whence it is, how long it lasts, where it is served."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxygen import assemble
from proxygen.assemble import Parts
from proxygen.errors import Coded, words_json
from proxygen.host import processes
from proxygen.model.certificate import GLOBAL, Bundle, Certificate, RenewalInfo
from proxygen.model.former import Removal, SetAside
from proxygen.model.layout import Layout, stem
from proxygen.model.site import Owner, Site
from proxygen.model.views import serving
from proxygen.observe.site import observe
from proxygen.plan.backoff import Attempt
from proxygen.plan.compare import is_local, issues
from proxygen.plan.failures import of_authority, of_owner
from proxygen.plan.observed import Observed
from proxygen.plan.renewal import SUPPLIED, Reason, renew_at, warned_from
from proxygen.plan.schedule import Schedule, forecast
from proxygen.plan.steps import Forecast, Issue, Waiting
from proxygen.plan.unserved import showing
from proxygen.reports.by_cause import next_attempt
from proxygen.stores.outbox import Letterbox, Trouble, letters_wait
from proxygen.texts.bounds import bounded
from proxygen.texts.names import Named, troubled
from proxygen.texts.warnings import warnings

if TYPE_CHECKING:
    from proxygen.apply.hooks import Ran


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be said of one owner."""

    owner: Owner
    own: bool
    bundle: Bundle | None
    services: tuple[str, ...]
    attempt: Attempt | None
    due: Reason | None = None
    waiting: Waiting | None = None
    hooks: tuple[Ran, ...] = ()
    unproven: tuple[Named, ...] = ()

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the line as ``--json`` prints it."""
        bundle, wanted = self.bundle, self.owner.certificate
        return {
            "owner": self.owner.key,
            "url": f"https://{self.owner.host}" if self.owner.host else None,
            "names": list(self.owner.names),
            "contact": self.owner.contact,
            "wanted": wanted.issuer if wanted else GLOBAL,
            "authorities": authorities(wanted),
            "served_with": served_with(self),
            "certificate": certificate(bundle, now) if bundle else None,
            "services": list(self.services),
            "due": {"code": self.due.code, "words": self.due.words} if self.due else None,
            "postponed": self.waiting.as_json() if self.waiting else None,
            "names_left_out": [unproven(each) for each in self.unproven],
            "last_error": error(self.attempt) if self.attempt else None,
            "hooks": [each.as_json() for each in self.hooks],
        }


def unproven(each: Named) -> dict[str, Any]:
    """Return what is known of a name that cannot be proven; `proxygen names` knows more."""
    since = each.since.isoformat() if each.since else None
    return {"name": each.name, "state": each.state, "since": since, "words": each.words}


def authorities(wanted: Certificate | None) -> list[dict[str, Any]]:
    """Return the authorities to ask, the preferred one first."""
    asked = wanted.authorities if wanted else ()
    return [{"directory": each.directory, "profile": each.profile or None} for each in asked]


def certificate(bundle: Bundle, now: datetime) -> dict[str, Any]:
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
        "renew_at": renew_at(bundle).isoformat() if renews(bundle) else None,
        "alerts_from": warned_from(bundle).isoformat(),
        "renewal_info": suggested(bundle.renewal) if bundle.renewal else None,
        "replace": bundle.replace,
        "serial": bundle.serial,
        "identifier": bundle.identifier or None,
        "fingerprint": bundle.fingerprint,
        "key_type": bundle.key_type,
        "stand_in": bundle.stand_in,
        "adopted": bundle.adopted.split(),
    }


def suggested(told: RenewalInfo) -> dict[str, Any]:
    """Return what the authority suggested (RFC 9773 section 4.2), and when it is polled again."""
    return {
        "window_start": told.start.isoformat() if told.start else None,
        "window_end": told.end.isoformat() if told.end else None,
        "moment": told.moment.isoformat() if told.moment else None,
        "explanation": told.explanation,
        "next_poll": told.look_at.isoformat(),
    }


def error(attempt: Attempt) -> dict[str, Any]:
    """Return the last failure, how often in a row, and when it is tried again."""
    return {
        "at": attempt.at.isoformat(),
        "since": attempt.since.isoformat(),
        "count": attempt.count,
        "next_attempt": attempt.again.isoformat(),
        "what": attempt.failure.what,
        "remedy": attempt.failure.remedy or None,
        "problem": attempt.failure.problem,
        "words": attempt.failure.words,
        "failure": attempt.failure.as_json(),
    }


def scheduled_of(
    due: tuple[Issue, ...],
    unprovable: tuple[Waiting, ...],
    site: Site,
    parts: Parts,
    observed: Observed,
) -> Schedule:
    """Return which of the due certificates would be asked for now, and which wait.

    *unprovable* wait for names that must be in them.
    """
    if not due:
        return Schedule(waiting=unprovable)
    from proxygen.obtain import scheduling

    orders = [step for step in due if not is_local(step)]
    scheduled = scheduling(orders, site, parts, observed, ())
    return replace(scheduled, waiting=(*scheduled.waiting, *unprovable))


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How every owner's certificate and every service is at a moment, and what is wrong.

    *failing* are the authorities that cannot be used, *daemon* tells whether the daemon runs.
    """

    at: datetime
    lines: tuple[Line, ...]
    observed: Observed
    failing: tuple[Attempt, ...]
    forecast: Forecast | None
    set_aside: tuple[SetAside, ...]
    held_back: tuple[Removal, ...]
    warnings: tuple[Coded, ...]
    mail: Mail
    daemon: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "at": self.at.isoformat(),
            "owners": [each.as_json(self.at) for each in self.lines],
            "services": [service(name, self.observed) for name in self.observed.services],
            "abandoned": list(self.observed.abandoned),
            "gone": list(self.observed.gone),
            "failing_authorities": [{"authority": e.of} | error(e) for e in self.failing],
            "forecast": self.forecast.as_json() if self.forecast else None,
            "set_aside": [each.as_json() for each in self.set_aside],
            "held_back": [each.as_json() for each in self.held_back],
            "warnings": [*map(words_json, bounded(self.warnings))],
            "mail": self.mail.as_json(),
            "daemon": self.daemon,
        }


def status_report(layout: Layout, now: datetime) -> StatusReport:
    """Return how everything is, from what is stored and what runs; nothing is connected to."""
    site = assemble.site(layout)
    parts = assemble.parts(layout, lambda: now)
    observed = observe(site, parts)
    due, unprovable = issues(site, observed, now)
    scheduled = scheduled_of(due, unprovable, site, parts, observed)
    return StatusReport(
        at=now,
        lines=tuple(with_hooks(gathered(site, observed, due, scheduled, now), parts)),
        observed=observed,
        failing=tuple(troubles(site, observed, now)),
        forecast=forecast_of(site, scheduled),
        set_aside=site.set_aside,
        held_back=site.held_back,
        warnings=warnings(site, observed, now),
        mail=Mail.of(parts),
        daemon=runs(layout),
    )


def forecast_of(site: Site, scheduled: Schedule) -> Forecast | None:
    """Return when all will be there that limits hold up; None where they hold up none."""
    return forecast(scheduled, sum(bool(each.authorities) for each in site.certificates))


def troubles(site: Site, observed: Observed, now: datetime) -> list[Attempt]:
    """Return the troubles of the authorities that the model names, in its order."""
    found = (of_authority(each, observed, now) for each in site.authorities)
    return [each for each in found if each]


def gathered(
    site: Site, observed: Observed, due: Iterable[Issue], scheduled: Schedule, now: datetime
) -> list[Line]:
    """Return a line for every owner, the global one first."""
    reasons = {each.certificate.owner: each.reason for each in due}
    waiting = {each.owner: each for each in scheduled.waiting}
    names: dict[str, tuple[Named, ...]] = {}
    for named in troubled(site, observed, now):
        names[named.owner.key] = (*names.get(named.owner.key, ()), named)
    lines = (line(owner, observed, now) for owner in site.owners)
    return [
        replace(
            each,
            due=reasons.get(each.owner.key),
            waiting=waiting.get(each.owner.key),
            unproven=names.get(each.owner.key, ()),
        )
        for each in lines
    ]


def line(owner: Owner, observed: Observed, now: datetime) -> Line:
    """Return the line of one owner."""
    own = serving(owner, observed.bundles)
    bundle = own or observed.bundles.get(GLOBAL)
    services = tuple(showing(owner, observed))
    attempt = of_owner(owner.certificate, observed, now) if owner.certificate else None
    return Line(owner, own is not None, bundle, services, attempt)


def with_hooks(lines: list[Line], parts: Parts) -> list[Line]:
    """Return the lines with how the last runs of hooks went; what is not there is not read."""
    there = {key.rpartition("/")[2] for key in parts.own.keys("hooks/runs")}
    if not there:
        return lines
    from proxygen.apply import hooks

    return [
        replace(each, hooks=hooks.runs(parts.own, each.owner.key))
        if stem(each.owner.key) in there
        else each
        for each in lines
    ]


@dataclass(frozen=True, slots=True)
class Mail:
    """Letters that wait: how many, the *oldest* since when, *again* is when the next is tried.

    *trouble*: why none can be delivered.
    """

    waiting: int
    oldest: datetime | None = None
    again: datetime | None = None
    trouble: Trouble | None = None

    @classmethod
    def of(cls, parts: Parts) -> Mail:
        """Return what waits in the letterbox."""
        box = Letterbox(parts.store)
        found = box.waiting().values()
        if not found:
            return cls(0)
        trouble = box.trouble()
        agains = (each.again or each.since for each in found)
        again = trouble.again if trouble else min(agains)
        return cls(len(found), min(each.since for each in found), again, trouble)

    def line(self, now: datetime) -> str:
        """Return it as a line."""
        why = f": {self.trouble.failure.what}" if self.trouble else ""
        then = next_attempt(self.again or now, now)
        return f"{letters_wait(self.waiting)} for the mail server{why}; {then}"

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "waiting": self.waiting,
            "oldest": self.oldest.isoformat() if self.oldest else None,
            "next_attempt": self.again.isoformat() if self.again else None,
            "last_error": trouble_json(self.trouble) if self.trouble else None,
        }


def trouble_json(trouble: Trouble) -> dict[str, Any]:
    """Return why no letter can be delivered, as ``--json`` prints it."""
    return {
        "what": trouble.failure.what,
        "count": trouble.count,
        "next_attempt": trouble.again.isoformat(),
        "failure": trouble.failure.as_json(),
    }


def runs(layout: Layout) -> bool:
    """Return whether the daemon runs.

    It holds this lock, with its process id in it; its program is ours, or Python's.
    """
    programs = ("proxygen", str(Path(sys.executable).resolve()))
    return any(processes.master(layout.watch / "lock", program) for program in programs)


def renews(bundle: Bundle) -> bool:
    """Return whether proxygen renews it; a supplied one is the administrator's."""
    return bundle.issuer not in SUPPLIED


def served_with(line: Line) -> str:
    """Return whose certificate serves the owner's URL."""
    if line.owner.host is None:
        return "global URL"
    if line.bundle is None:
        return "nothing yet"
    if line.bundle.stand_in:
        return "stand-in"
    return "own" if line.own else GLOBAL


def service(name: str, observed: Observed) -> dict[str, Any]:
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
        "error": state.error.as_json() if state.error else None,
    }
