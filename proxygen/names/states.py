"""What is known of a name: what a look at it found, what an authority said, when to look again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from proxygen.failure import Failure
from proxygen.model.certificate import HTTP, Bundle, Certificate
from proxygen.names.causes import Cause, own_facts

MINUTE = timedelta(minutes=1)
LOOKS = tuple(
    minutes * MINUTE
    for minutes in (1, 2, 3, 5, 5, 10, 10, 15, 15, 30, 30, 60, 60, 120, 240, 480, 1440)
)
"""After the first look that found a name not ready, the second, …, and every later one."""

FRESH = timedelta(hours=1)
"""How long a look that found a name ready is believed."""

JITTER = 0.1
"""By how much of itself a pause grows at most, so that names are not looked at in a burst."""

AGAIN = tuple(minutes * MINUTE for minutes in (1, 10, 100, 1440))
"""How long a name is left out after an authority refused it once, twice, … in a row."""

CHANGED = (timedelta(0), *LOOKS)
"""How long a name is left out after so many refusals although something else is found since then.

Some records are others at each look.
"""

BLIND = timedelta(days=1)
"""How long a name is taken for what it was while nothing can be looked up from here."""

SKEW = timedelta(hours=1)
"""By how much a look may be later than now; more, and the clock was wrong when it was noted."""


class State(StrEnum):
    """What a name is on its way to (DESIGN section 4)."""

    WAITING = "waiting"
    READY = "ready"
    ISSUED = "issued"
    FAILED = "failed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a look found; *code* names the sentence, *facts* what stands in it.

    *grave*: an authority would refuse the name because of it. *because* tells why it is so.
    """

    code: str
    facts: tuple[tuple[str, str], ...] = ()
    grave: bool = True
    because: tuple[Cause, ...] = ()

    @property
    def compared(self) -> tuple[object, ...]:
        """What of it is the same as long as nothing changed.

        Of what is no reason to wait, the causes may be others each time.
        """
        causes = self.because if self.grave else ()
        return self.code, own_facts(self.facts), self.grave, [each.compared for each in causes]

    def as_cause(self) -> Cause:
        """Return it as the cause of something else."""
        return Cause(self.code, self.facts, self.because)

    def get(self, fact: str) -> str:
        """Return a fact, empty for none."""
        return dict(self.facts).get(fact, "")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a look at a name found at a moment.

    *addresses* are those it resolves to, *chain* the CNAME targets on the way, *caa* the CAA
    records that hold for it, each in presentation form, *servers* who was asked. *source* is
    ``authoritative``, ``resolvers`` or ``system``.
    """

    at: datetime
    addresses: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    caa: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    source: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def grave(self) -> Finding | None:
        """The first thing because of which an authority would refuse the name, None for none."""
        return next((each for each in self.findings if each.grave), None)

    @property
    def is_blind(self) -> bool:
        """Whether nothing speaks against the name only because nothing could be looked up."""
        return not self.grave and any(each.code == "cannot-look" for each in self.findings)

    @property
    def mark(self) -> str:
        """What changes when what was found does, whenever and by whomever it was looked at."""
        findings = [each.compared for each in self.findings]
        found = (sorted(self.addresses), self.chain, sorted(self.caa), findings)
        return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An authority refused a name: the type of its problem, its words, how often in a row.

    Where it was not even asked, *failure* tells why.

    The name is left out until *again*, or until a look finds something else than *mark*, which
    is heeded ever later the more often it was refused.
    """

    at: datetime
    since: datetime
    count: int
    again: datetime
    problem: str = ""
    words: str = ""
    failure: Failure | None = None
    mark: str = ""

    def holds(self, evidence: Evidence | None, now: datetime) -> bool:
        """Return whether the authority would say the same again, as far as can be seen."""
        same = evidence is None or not self.mark or evidence.mark == self.mark
        until = self.again if same else min(self.again, self.heeded_at)
        return self.at <= now + SKEW and now < until

    @property
    def heeded_at(self) -> datetime:
        """From when on it counts that something else is found."""
        return self.at + CHANGED[min(max(self.count, 1), len(CHANGED)) - 1]

    def is_outdated(self, found: Evidence) -> bool:
        """Return whether it does not hold any more because of what a look found."""
        return self.holds(None, found.at) and not self.holds(found, found.at)


@dataclass(frozen=True, slots=True)
class NameState:
    """What is known of one name.

    *looks* counts those in a row that found it not ready, *look_at* is when the next one is
    due. *bad_since* is when the first of them was, *ready_since* the first that found it ready
    again. *dropped* is when a certificate was renewed without it, as it had moved away. *by* tells
    how the model had it looked at.
    """

    name: str
    look_at: datetime
    evidence: Evidence | None = None
    refusal: Refusal | None = None
    looks: int = 0
    bad_since: datetime | None = None
    ready_since: datetime | None = None
    dropped: datetime | None = None
    by: str = ""

    @property
    def obstacle(self) -> Finding | None:
        """What stands in the way of a proof, as far as the last look showed."""
        return self.evidence.grave if self.evidence else None

    def is_ready(self, now: datetime) -> bool:
        """Return whether to ask an authority for the name, as far as is known."""
        if self.refusal and self.refusal.holds(self.evidence, now):
            return False
        return self.obstacle is None

    def since(self) -> datetime | None:
        """Return since when the name is in its state, None where nobody looked."""
        if self.refusal and self.obstacle is None:
            return self.ready_since or self.refusal.since
        return self.bad_since or self.ready_since


def state_after_check(
    former: NameState | None, name: str, found: Evidence, draw: float
) -> NameState:
    """Return what is known after one look more; *draw*, from 0 to 1, varies the pause.

    Where nothing could be looked up, what was known before counts for some time.
    """
    before = former or NameState(name, found.at)
    evidence, refusal = evidence_to_use(before, found), before.refusal
    if refusal and refusal.is_outdated(evidence):
        refusal = replace(refusal, again=found.at)
    held = refusal is not None and refusal.holds(evidence, found.at)
    if evidence.grave is None and not held:
        since = min(before.ready_since or found.at, found.at)
        return NameState(name, found.at + FRESH, evidence, refusal, 0, None, since)
    looks = before.looks + 1
    look_at = found.at + LOOKS[min(looks, len(LOOKS)) - 1] * (1 + JITTER * draw)
    if refusal and held:
        other = refusal.mark and evidence.mark != refusal.mark
        look_at = min(look_at, refusal.heeded_at if other else refusal.again)
    bad_since = min(before.bad_since or found.at, found.at) if evidence.grave else None
    return NameState(name, look_at, evidence, refusal, looks, bad_since, None, before.dropped)


def evidence_to_use(former: NameState, found: Evidence) -> Evidence:
    """Return what to go by: what was found, or before, where nothing can be looked up now."""
    last = former.evidence
    lately = last is not None and last.at - SKEW <= found.at < last.at + BLIND
    return last if found.is_blind and last and lately and (last.grave or former.refusal) else found


def state_after_refusal(
    former: NameState | None,
    name: str,
    problem: str,
    words: str,
    now: datetime,
    draw: float,
    failure: Failure | None = None,
) -> NameState:
    """Return what is known after an authority refused a name.

    It knows better: what a look finds is worth nothing until it finds something else.
    """
    name_state = former or NameState(name, now)
    before = name_state.refusal
    count = before.count + 1 if before else 1
    pause = AGAIN[min(count, len(AGAIN)) - 1] * (1 + JITTER * draw)
    refusal = Refusal(
        at=now,
        since=min(before.since, now) if before else now,
        count=count,
        again=now + pause,
        problem=problem,
        words=words,
        failure=failure,
        mark=name_state.evidence.mark if name_state.evidence else "",
    )
    look_at = min(now + LOOKS[0], refusal.again) if name_state.evidence else refusal.again
    return replace(name_state, refusal=refusal, look_at=look_at, looks=0, ready_since=None)


def hastened_state(name_state: NameState, now: datetime) -> NameState:
    """Return what is known of a name that a person wants looked at, and asked for, now."""
    refusal = name_state.refusal and replace(name_state.refusal, again=now)
    return replace(name_state, look_at=now, refusal=refusal, looks=0)


def due_state(name_state: NameState, now: datetime) -> NameState:
    """Return what is known of a name that is to be checked now, once more than it would be."""
    return replace(name_state, look_at=now, looks=max(0, name_state.looks - 1))


def up_to_date(known: NameStates, by: str, now: datetime) -> NameStates:
    """Return what is known of names, to be looked at now where the model has it done otherwise.

    Neither a refusal nor looks in vain count then.
    """
    same = ("", by)
    if all(each.by in same for each in known.values()):
        return known
    return {
        name: each if each.by in same else replace(each, look_at=now, looks=0, refusal=None)
        for name, each in known.items()
    }


def dropped_state(name_state: NameState, now: datetime) -> NameState:
    """Return what is known of a name that a certificate was renewed without."""
    return replace(name_state, dropped=name_state.dropped or now)


def check_due(name_state: NameState, now: datetime) -> datetime:
    """Return when a name is looked at again: now, if the clock was wrong when that was noted."""
    ahead = name_state.evidence is not None and name_state.evidence.at > now + SKEW
    return (
        now
        if ahead or name_state.look_at > now + LOOKS[-1] * (1 + JITTER) + SKEW
        else name_state.look_at
    )


def is_stale(name_state: NameState | None, now: datetime) -> bool:
    """Return whether nothing that is known is recent enough to ask an authority by it."""
    if name_state is None or name_state.evidence is None:
        return True
    return not name_state.evidence.at - SKEW <= now < name_state.evidence.at + FRESH


def state_of(
    name: str, bundle: Bundle | None, name_state: NameState | None, now: datetime
) -> State:
    """Return the state of a name that an authority is to prove."""
    issued = bundle is not None and not bundle.stand_in and bundle.covers(name)
    if name_state is None:
        return State.ISSUED if issued else State.READY
    if name_state.dropped and not issued and not name_state.is_ready(now):
        return State.MOVED
    if issued:
        return State.ISSUED
    if name_state.is_ready(now):
        return State.READY
    return State.WAITING if name_state.obstacle else State.FAILED


NameStates = Mapping[str, NameState]
"""What is known of an owner's names, by name."""


@dataclass(frozen=True, slots=True)
class Answers:
    """For which *names* a web server answers challenges of http-01, and for which it does not.

    It was not asked yet about any that is in neither. *met* is what came instead of the answer, for
    some that are silent.
    """

    names: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    met: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def unanswered_names(wanted: Certificate, answers: Answers | None) -> list[str]:
    """Return the names of a certificate for which no web server is known to answer challenges.

    None for *answers*: there is no such server, so proxygen answers itself.
    """
    if answers is None or wanted.issuer != "acme" or wanted.challenge != HTTP:
        return []
    return [name for name in wanted.names if name not in answers.names]


def skips_preflight(wanted: Certificate, name: str) -> bool:
    """Return whether a name is not looked at before the authority is asked."""
    return name in wanted.unchecked


def not_ready(wanted: Certificate, known: NameStates, now: datetime) -> Iterator[str]:
    """Yield the names that an authority is not to be asked for now.

    Of one that skips the preflight only an authority's refusal counts.
    """
    for name in wanted.names:
        each = known.get(name)
        if each is None:
            continue
        if skips_preflight(wanted, name):
            if each.refusal and each.refusal.holds(None, now):
                yield name
        elif not each.is_ready(now):
            yield name
