"""names: how every name stands, with evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from proxygen.apply.outcome import Count, nothing
from proxygen.assemble import Parts
from proxygen.model.hosts import readable
from proxygen.model.site import Site
from proxygen.names.causes import Cause
from proxygen.names.findings import reason, sentence
from proxygen.names.states import Evidence, Finding, Known, Names, Refusal, looked
from proxygen.observe.site import names as known_names
from proxygen.stores import answered
from proxygen.texts.names import Named, named

OTHER = "other"
"""Stands for the states of names that no authority has to prove."""


@dataclass(frozen=True, slots=True)
class NamesReport:
    """How *names* stand at a moment."""

    at: datetime
    names: tuple[Named, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "at": self.at.isoformat(),
            "counts": dict(Counter(word(each) for each in self.names)),
            "not_checked": sum(each.is_unseen for each in self.names),
            "names": [name_json(each, self.at) for each in self.names],
        }


def names_report(site: Site, parts: Parts) -> NamesReport:
    """Return how every name of the model stands, as far as is known."""
    now, answers = parts.now(), answered.of_all(parts.own)
    known = known_names(site, parts)
    return NamesReport(now, tuple(named(site, parts.bundles.all(), known, now, answers)))


def checked_now(
    names: Collection[Named], site: Site, parts: Parts, count: Count = nothing
) -> list[Named]:
    """Return the names as they stand after a check now; nothing of it is kept."""
    from proxygen.apply.preflight import looked_now

    found = looked_now(site, parts, {each.owner.key for each in names}, count)
    known = {owner: dict(names) for owner, names in parts.names.all().items()}
    for (owner, name), evidence in found.items():
        of_it = known.setdefault(owner, {})
        of_it[name] = as_looked(of_it, name, evidence)
    answers = answered.of_all(parts.own)
    if answers:  # a challenge that came back was answered, whatever was seen before
        proven = {name for (_, name), each in found.items() if not each.grave and not each.is_blind}
        answers = replace(answers, silent=answers.silent - proven)
    wanted = {each.name for each in names}
    every = named(site, parts.bundles.all(), known, parts.now(), answers)
    return [each for each in every if each.name in wanted]


def as_looked(names: Names, name: str, evidence: Evidence) -> Known:
    """Return what would be known; the next check is due as before, since nothing is kept."""
    former = names.get(name)
    known = looked(former, name, evidence, 0.0)
    return replace(known, look_at=former.look_at) if former else known


def word(each: Named) -> str:
    """Return the state of a name as it is typed."""
    return each.state.value if each.state else OTHER


def name_json(each: Named, now: datetime) -> dict[str, Any]:
    """Return what is to be said of one name, as ``--json`` prints it."""
    known, again = each.known, each.next_look
    refusal = known.refusal if known else None
    shown = readable(each.name)
    return {
        "name": each.name,
        "unicode": shown.partition(" ")[0],
        "owner": each.owner.key,
        "state": word(each),
        "words": each.words,
        "since": moment(each.since),
        "next_check": moment(max(again, now)) if again else None,
        "joins_at": moment(each.joins_at),
        "covered": each.is_covered,
        "not_after": moment(each.bundle.not_after) if each.bundle and each.is_covered else None,
        "at_risk": each.is_at_risk,
        "challenge": each.wanted.challenge if each.state and each.wanted else None,
        "answered": each.answered,
        "unchecked": each.is_unchecked,
        "checks": known.looks if known else 0,
        "dropped": moment(known.dropped) if known else None,
        "evidence": evidence(known.evidence) if known and known.evidence else None,
        "refusal": refused(refusal) if refusal else None,
    }


def refused(refusal: Refusal) -> dict[str, Any]:
    """Return why an authority refused a name, or was not asked, as ``--json`` prints it."""
    why = refusal.failure
    told = {"what": why.what if why else None, "failure": why.as_json() if why else None}
    moments = {at: moment(getattr(refusal, at)) for at in ("at", "since", "again")}
    return asdict(refusal) | moments | told


def moment(each: datetime | None) -> str | None:
    """Return a moment as ``--json`` prints it."""
    return each.isoformat() if each else None


def evidence(found: Evidence) -> dict[str, Any]:
    """Return what a check found, as ``--json`` prints it."""
    return {
        "at": found.at.isoformat(),
        "addresses": list(found.addresses),
        "chain": list(found.chain),
        "caa": list(found.caa),
        "servers": list(found.servers),
        "source": found.source,
        "findings": [*map(finding, found.findings)],
    }


def finding(each: Finding) -> dict[str, Any]:
    """Return a finding with its facts, as ``--json`` prints it."""
    return {"grave": each.grave} | because(each.as_cause()) | {"words": sentence(each)}


def because(each: Cause) -> dict[str, Any]:
    """Return why something is so, as ``--json`` prints it."""
    return {
        "code": each.code,
        "facts": dict(each.facts),
        "because": [*map(because, each.because)],
        "words": reason(each),
    }
