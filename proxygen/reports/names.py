"""names: how every name stands, with evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from proxygen.apply.outcome import Count, tell_nobody
from proxygen.assemble import Installation
from proxygen.model.hosts import readable_name
from proxygen.model.site import Site
from proxygen.names.causes import Cause
from proxygen.names.findings import finding_sentence, reason_words
from proxygen.names.states import (
    Evidence,
    Finding,
    NameState,
    NameStates,
    Refusal,
    state_after_check,
)
from proxygen.observe.site import stored_names as known_names
from proxygen.stores import challenge_answers
from proxygen.texts.names import ModelName, model_names

OTHER = "other"
"""Stands for the states of names that no authority has to prove."""


@dataclass(frozen=True, slots=True)
class NamesReport:
    """How *names* stand at a moment."""

    at: datetime
    names: tuple[ModelName, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "at": self.at.isoformat(),
            "counts": dict(Counter(state_word(each) for each in self.names)),
            "not_checked": sum(each.is_unseen for each in self.names),
            "names": [name_json(each, self.at) for each in self.names],
        }


def names_report(site: Site, installation: Installation) -> NamesReport:
    """Return how every name of the model stands, as far as is known."""
    now, answers = installation.now(), challenge_answers.of_all(installation.own)
    known = known_names(site, installation)
    return NamesReport(
        now, tuple(model_names(site, installation.bundles.all(), known, now, answers))
    )


def checked_now(
    names: Collection[ModelName], site: Site, installation: Installation, count: Count = tell_nobody
) -> list[ModelName]:
    """Return the names as they stand after a check now; nothing of it is kept."""
    from proxygen.apply.preflight import check_names_now

    found = check_names_now(site, installation, {each.owner.key for each in names}, count)
    known = {owner: dict(names) for owner, names in installation.names.all().items()}
    for (owner, name), evidence in found.items():
        of_it = known.setdefault(owner, {})
        of_it[name] = state_as_checked(of_it, name, evidence)
    answers = challenge_answers.of_all(installation.own)
    if answers:  # a challenge that came back was answered, whatever was seen before
        proven = {name for (_, name), each in found.items() if not each.grave and not each.is_blind}
        answers = replace(answers, silent=answers.silent - proven)
    wanted = {each.name for each in names}
    every = model_names(site, installation.bundles.all(), known, installation.now(), answers)
    return [each for each in every if each.name in wanted]


def state_as_checked(names: NameStates, name: str, evidence: Evidence) -> NameState:
    """Return what would be known; the next check is due as before, since nothing is kept."""
    former = names.get(name)
    name_state = state_after_check(former, name, evidence, 0.0)
    return replace(name_state, look_at=former.look_at) if former else name_state


def state_word(each: ModelName) -> str:
    """Return the state of a name as it is typed."""
    return each.state.value if each.state else OTHER


def name_json(each: ModelName, now: datetime) -> dict[str, Any]:
    """Return what is to be said of one name, as ``--json`` prints it."""
    name_state, again = each.name_state, each.next_check
    refusal = name_state.refusal if name_state else None
    shown = readable_name(each.name)
    return {
        "name": each.name,
        "unicode": shown.partition(" ")[0],
        "owner": each.owner.key,
        "state": state_word(each),
        "words": each.words,
        "since": moment_json(each.since),
        "next_check": moment_json(max(again, now)) if again else None,
        "joins_at": moment_json(each.joins_at),
        "covered": each.is_covered,
        "not_after": moment_json(each.bundle.not_after)
        if each.bundle and each.is_covered
        else None,
        "at_risk": each.is_at_risk,
        "challenge": each.wanted.challenge if each.state and each.wanted else None,
        "answered": each.answered,
        "unchecked": each.is_unchecked,
        "checks": name_state.looks if name_state else 0,
        "dropped": moment_json(name_state.dropped) if name_state else None,
        "evidence": evidence_json(name_state.evidence)
        if name_state and name_state.evidence
        else None,
        "refusal": refusal_json(refusal) if refusal else None,
    }


def refusal_json(refusal: Refusal) -> dict[str, Any]:
    """Return why an authority refused a name, or was not asked, as ``--json`` prints it."""
    why = refusal.failure
    told = {"what": why.what if why else None, "failure": why.as_json() if why else None}
    moments = {at: moment_json(getattr(refusal, at)) for at in ("at", "since", "again")}
    return asdict(refusal) | moments | told


def moment_json(each: datetime | None) -> str | None:
    """Return a moment as ``--json`` prints it."""
    return each.isoformat() if each else None


def evidence_json(found: Evidence) -> dict[str, Any]:
    """Return what a check found, as ``--json`` prints it."""
    return {
        "at": found.at.isoformat(),
        "addresses": list(found.addresses),
        "chain": list(found.chain),
        "caa": list(found.caa),
        "servers": list(found.servers),
        "source": found.source,
        "findings": [*map(finding_json, found.findings)],
    }


def finding_json(each: Finding) -> dict[str, Any]:
    """Return a finding with its facts, as ``--json`` prints it."""
    return {"grave": each.grave} | cause_json(each.as_cause()) | {"words": finding_sentence(each)}


def cause_json(each: Cause) -> dict[str, Any]:
    """Return why something is so, as ``--json`` prints it."""
    return {
        "code": each.code,
        "facts": dict(each.facts),
        "because": [*map(cause_json, each.because)],
        "words": reason_words(each),
    }
