"""Which names of a certificate are ordered now, which wait, and until when."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from proxygen.failure import Failure, Scope, failure
from proxygen.model.certificate import Bundle, Certificate
from proxygen.model.hosts import readable_name
from proxygen.names.states import (
    Answers,
    Finding,
    NameState,
    NameStates,
    check_due,
    is_stale,
    not_ready,
    skips_preflight,
    unanswered_names,
)
from proxygen.plan.renewal import Reason, warned_from, why_issue

MOVED = timedelta(days=3)
MOVED_PART = 1 / 15
"""How long a name of a certificate must lead elsewhere, at most, before it is renewed without."""

FLAPPING = timedelta(hours=1)
"""How long a name must be in trouble before others join the certificate without it."""

GATHER = timedelta(minutes=5)
"""How long a name that became ready waits for others, so that several join by one order."""

UNANSWERED = timedelta(minutes=10)
"""After what time a web server is asked again whether it answers challenges for a name."""

HOPEFUL = 9
"""Looks in vain after which nobody waits for a name any more."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to order now.

    *wanted* is the certificate with the names to order, None if nothing is to be ordered. *reason*
    is why. *until* is when a certificate that is due can be ordered, and *why* tells why not now,
    with the *finding* about its name.
    *joins_at* is when names that are ready are added to a certificate that serves. *name* is the
    name that it waits for, if it is a single one. *silent* are names that must be in it and for
    which a web server answers no challenges; *unanswered* are those that are left out for that
    reason.
    """

    wanted: Certificate | None = None
    reason: Reason | None = None
    until: datetime | None = None
    why: Failure | None = None
    finding: Finding | None = None
    joins_at: datetime | None = None
    name: str = ""
    silent: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()


def select_names(
    wanted: Certificate,
    bundle: Bundle | None,
    source: str,
    known: NameStates,
    now: datetime,
    *,
    hurry: bool = False,
    answers: Answers | None = None,
) -> Selection | None:
    """Return what to order, None while nothing is due.

    The name of the URL must be in, and with *strict* every name. A name that was issued and leads
    elsewhere now postpones a renewal by some days, in case it comes back; one that never was issued
    postpones nothing. So does a name for which no web server is known to answer challenges, but
    only until people are alerted of the end. In a *hurry*, names that are ready wait for no others.
    If the end is near, the authority is asked whatever the checks say: its verdict wins.
    """
    reason = why_issue(wanted, bundle, source, now)
    if reason is None or wanted.issuer != "acme":
        return Selection(wanted, reason) if reason else None
    missing = not_to_ask_for(wanted, known, now, answers)
    if missing and is_ending(bundle, now):
        missing -= set(wanted.names if wanted.strict else wanted.names[:1])
    if not missing:
        return selection_with_new_names(wanted, bundle, reason, known, now)
    if wanted.strict or wanted.names[0] in missing:
        return postponed_selection(wanted, known, missing, now, answers)
    found = selection_without(wanted, bundle, source, known, missing, now, answers)
    if hurry and found and found.joins_at:
        return selection_without(wanted, bundle, source, known, missing, found.joins_at, answers)
    return found


def is_ending(bundle: Bundle | None, now: datetime) -> bool:
    """Return whether a certificate is so near its end that people are alerted."""
    return (
        bundle is not None and not bundle.stand_in and warned_from(bundle) <= now < bundle.not_after
    )


def not_to_ask_for(
    wanted: Certificate, known: NameStates, now: datetime, answers: Answers | None
) -> set[str]:
    """Return the names not to order now.

    If the name of the URL was refused, or all names must be in, ordering the others is no help: the
    pause of the certificate as a whole decides, and names are left out only because of what a check
    found, or because no web server answers for them.
    """
    missing, others = set(not_ready(wanted, known, now)), unanswered_names(wanted, answers)
    if wanted.strict or wanted.names[0] in missing:
        missing = {
            name for name in missing if known[name].obstacle and not skips_preflight(wanted, name)
        }
    return missing.union(others)


def selection_without(
    wanted: Certificate,
    bundle: Bundle | None,
    source: str,
    known: NameStates,
    missing: set[str],
    now: datetime,
    answers: Answers | None,
) -> Selection | None:
    """Return what to order without the missing names."""
    narrowed = narrow_certificate(wanted, missing)
    reason = why_issue(narrowed, bundle, source, now)
    if reason is None:
        return None
    others = missing.difference(not_ready(wanted, known, now))
    lost = [name for name in missing if bundle and not bundle.stand_in and bundle.covers(name)]
    moved = [name for name in lost if name not in others]
    until = max((gone_at(known[name], bundle, reason, now) for name in moved), default=now)
    why = leading_elsewhere(moved, until)
    if bundle and len(moved) < len(lost):
        until = warned_from(bundle)
        why = unanswered_reason([name for name in lost if name in others], answers, until)
    if bundle and until > now and now < warned_from(bundle) and reason.code != "replace":
        return Selection(until=until, why=why, name=lost[0] if len(lost) == 1 else "")
    found = selection_with_new_names(narrowed, bundle, reason, known, now, missing)
    return replace(found, unanswered=tuple(sorted(others)))


def narrow_certificate(wanted: Certificate, missing: set[str]) -> Certificate:
    """Return a certificate without some of its names."""
    return replace(wanted, names=tuple(each for each in wanted.names if each not in missing))


def gone_at(
    name_state: NameState, bundle: Bundle | None, reason: Reason, now: datetime
) -> datetime:
    """Return from when on a certificate is renewed without a name that it has."""
    since = name_state.bad_since or (name_state.refusal.since if name_state.refusal else now)
    if reason.code == "names" or bundle is None:
        return since + FLAPPING
    return since + min(MOVED, bundle.lifetime * MOVED_PART)


def leading_elsewhere(lost: list[str], until: datetime) -> Failure:
    """Return why a renewal waits for names that the certificate has."""
    names, moment = tuple(map(readable_name, sorted(lost))), f"{until:%Y-%m-%d %H:%M} UTC"
    return failure("names-not-proven", Scope.OWNER, names=names, until=moment)


def unanswered_reason(lost: list[str], answers: Answers | None, until: datetime) -> Failure:
    """Return why a renewal waits for names that a web server answers no challenges for."""
    part, moment = not_answered(lost, answers), f"{until:%Y-%m-%d %H:%M} UTC"
    return failure("ordered-without", Scope.OWNER, until=moment, parts=(part,))


def not_answered(missing: Collection[str], answers: Answers | None) -> Failure:
    """Return that a web server does not answer challenges for names, or was not asked yet."""
    silent = sorted(name for name in missing if answers and name in answers.silent)
    names = tuple(map(readable_name, silent or sorted(missing)))
    code = "challenges-silent" if silent else "challenges-not-probed"
    return failure(code, Scope.OWNER, names=names)


def selection_with_new_names(
    wanted: Certificate,
    bundle: Bundle | None,
    reason: Reason,
    known: NameStates,
    now: datetime,
    missing: Collection[str] = (),
) -> Selection:
    """Return what to order; a certificate that serves waits a moment so that names gather."""
    if reason.code != "names" or bundle is None:
        return Selection(wanted, reason)
    hopeful = [name for name in missing if name in known and 0 < known[name].looks < HOPEFUL]
    late = [known[name] for name in wanted.names if name in known and not bundle.covers(name)]
    ready = [each.ready_since for each in late if each.ready_since and each.ready_since <= now]
    joins_at = min(ready) + GATHER if hopeful and ready else now
    if joins_at > now:
        return Selection(joins_at=joins_at)
    return Selection(wanted, reason)


def postponed_selection(
    wanted: Certificate,
    known: NameStates,
    missing: Collection[str],
    now: datetime,
    answers: Answers | None,
) -> Selection:
    """Return the selection of a certificate that waits for a name that must be in it."""
    needed = sorted(missing) if wanted.strict else [wanted.names[0]]
    alone = {name for name in needed if name not in known or not known[name].obstacle}
    alone |= {name for name in needed if skips_preflight(wanted, name)}
    if len(alone) == len(needed):
        silent = tuple(name for name in needed if answers and name in answers.silent)
        why, name = not_answered(needed, answers), needed[0] if len(needed) == 1 else ""
        return Selection(until=now + UNANSWERED, why=why, name=name, silent=silent)
    needed = [name for name in needed if name not in alone]
    first = wanted.names[0] if wanted.names[0] in needed else needed[0]
    until = min(check_due(known[name], now) for name in needed)
    why, finding = not_proven(known[first]), known[first].obstacle
    return Selection(until=max(until, now), why=why, finding=finding, name=first)


def not_proven(name_state: NameState) -> Failure:
    """Return that a name cannot be proven; a finding of its check is not part of it."""
    name, refusal = readable_name(name_state.name), name_state.refusal
    if name_state.obstacle or refusal is None:
        return failure("name-not-proven", Scope.OWNER, name=name)
    if refusal.failure:
        why = refusal.failure
        return failure("name-not-proven-since", Scope.OWNER, name=name, parts=(why,))
    return failure("name-not-proven", Scope.OWNER, name=name, words=refusal.words)


def names_due_for_check(
    wanted: Certificate, known: NameStates, now: datetime, *, due: bool
) -> Iterator[str]:
    """Yield the names to check now.

    These are names in trouble whose next check is due and, if an order is *due*, all names that
    were not checked recently.
    """
    for name in wanted.names:
        each = known.get(name)
        if skips_preflight(wanted, name):
            continue
        if each and not each.is_ready(now):
            if now >= check_due(each, now):
                yield name
        elif due and is_stale(each, now):
            yield name
